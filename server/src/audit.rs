//! The audit log: who did what. It is only appended to, and each line's hash covers the line before it. Whoever owns the machine
//! can write all of that anew; what tells is a checkpoint that somebody else has kept.

mod checkpoints;
mod repeats;
pub mod tree;
pub mod witness;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sync_protocol::{DeviceId, UnitId};

pub use checkpoints::Checkpoints;
pub use repeats::Repeats;

use self::tree::{Edge, Hash};
use crate::{
    Server,
    auth::Caller,
    clock,
    origin::{self, Origin},
    store::{AuditEntry, Person, PersonId, Store, StoreError},
};

/// Whoever has not signed in.
const STRANGER: &str = "（未登录 not signed in）";
/// Lines that are read at once.
const PAGE: i64 = 1000;

/// What is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody signed in.
    SignedIn,
    /// Somebody was not let in.
    SignInFailed,
    /// Somebody who had signed in could not show that it is they: a wrong password, a wrong one-time code.
    ConfirmFailed,
    /// Too many wrong attempts.
    LockedOut,
    /// Somebody signed out.
    SignedOut,
    /// Somebody asked for what they may not.
    Denied,
    /// A person's own new password.
    PasswordChanged,
    /// One-time codes are asked for from now on.
    TotpConfirmed,
    /// One-time codes are asked for no longer.
    TotpRemoved,
    /// A person was added.
    PersonAdded,
    /// What a person may do was changed.
    PersonChanged,
    /// A person got a new password from an administrator.
    PasswordReset,
    /// A one-time code for a device was given.
    DeviceInvited,
    /// A device was enrolled.
    DeviceEnrolled,
    /// The key to what a device has stored was given back to whoever has forgotten its PIN.
    DeviceRecovered,
    /// The person whose device it is has said that it is theirs.
    DeviceConfirmed,
    /// A device without anything took what it may hold.
    DeviceFilled,
    /// A device got a new token.
    TokenRotated,
    /// A device was revoked.
    DeviceRevoked,
    /// Units were added, renamed or moved.
    UnitsChanged,
    /// A workbook was imported.
    Imported,
    /// An import was taken back.
    ImportUndone,
    /// A return or merged ledger was drawn and handed out.
    ReturnDrawn,
    /// The rows behind a cell of a return were looked at.
    ReturnRowsRead,
    /// A copy of a return was submitted, and frozen.
    ReturnSubmitted,
    /// A submitted return was returned, approved, merged, published or archived.
    ReturnStepped,
    /// A submitted copy was handed out.
    SubmissionRead,
    /// A file with findings, which quotes the workbook, was handed out.
    FindingsDrawn,
    /// What an import would change, or has changed, was looked at.
    ImportRead,
    /// The history of a cell was looked at.
    HistoryRead,
    /// Cells in dispute were looked at.
    ConflictsRead,
    /// Everything that is kept about somebody was handed out.
    AboutRead,
    /// Photos of a unit's records were looked at.
    PhotosRead,
    /// Photos that no record names, or that have never become whole, were removed.
    PhotosExpired,
    /// A change that was held back was looked at.
    QuarantineRead,
    /// A change that was held back was taken.
    QuarantineAdmitted,
    /// A change that was held back was not taken.
    QuarantineRejected,
    /// Somebody has ordered that restricted data of a record be erased.
    ErasureOrdered,
    /// It was erased.
    Erased,
    /// A bundle was taken and answered.
    BundleAnswered,
    /// A database that is older than what was acknowledged was taken as it is.
    OlderAccepted,
    /// What follows from the rest was put right.
    Repaired,
    /// Another key signs from now on.
    KeysRotated,
    /// What somebody had proposed was written.
    ProposalAccepted,
    /// What somebody had proposed was not written.
    ProposalRejected,
    /// A year is opened from another one.
    PeriodOpened,
    /// Everything was carried over into a year.
    PeriodCarried,
    /// A year was sealed.
    PeriodSealed,
    /// The seal was taken off a year.
    PeriodUnsealed,
}

impl Event {
    /// The name in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "signed-in",
            Self::SignInFailed => "sign-in-failed",
            Self::ConfirmFailed => "confirm-failed",
            Self::LockedOut => "locked-out",
            Self::SignedOut => "signed-out",
            Self::Denied => "denied",
            Self::PasswordChanged => "password-changed",
            Self::TotpConfirmed => "totp-confirmed",
            Self::TotpRemoved => "totp-removed",
            Self::PersonAdded => "person-added",
            Self::PersonChanged => "person-changed",
            Self::PasswordReset => "password-reset",
            Self::DeviceInvited => "device-invited",
            Self::DeviceEnrolled => "device-enrolled",
            Self::DeviceRecovered => "device-recovered",
            Self::DeviceConfirmed => "device-confirmed",
            Self::DeviceFilled => "device-filled",
            Self::TokenRotated => "token-rotated",
            Self::DeviceRevoked => "device-revoked",
            Self::UnitsChanged => "units-changed",
            Self::Imported => "imported",
            Self::ImportUndone => "import-undone",
            Self::ReturnDrawn => "return-drawn",
            Self::ReturnRowsRead => "return-rows-read",
            Self::ReturnSubmitted => "return-submitted",
            Self::ReturnStepped => "return-stepped",
            Self::SubmissionRead => "submission-read",
            Self::FindingsDrawn => "findings-drawn",
            Self::ImportRead => "import-read",
            Self::HistoryRead => "history-read",
            Self::ConflictsRead => "conflicts-read",
            Self::AboutRead => "about-read",
            Self::PhotosRead => "photos-read",
            Self::PhotosExpired => "photos-expired",
            Self::QuarantineRead => "quarantine-read",
            Self::QuarantineAdmitted => "quarantine-admitted",
            Self::QuarantineRejected => "quarantine-rejected",
            Self::ErasureOrdered => "erasure-ordered",
            Self::Erased => "erased",
            Self::BundleAnswered => "bundle-answered",
            Self::OlderAccepted => "older-accepted",
            Self::Repaired => "repaired",
            Self::KeysRotated => "keys-rotated",
            Self::ProposalAccepted => "proposal-accepted",
            Self::ProposalRejected => "proposal-rejected",
            Self::PeriodOpened => "period-opened",
            Self::PeriodCarried => "period-carried",
            Self::PeriodSealed => "period-sealed",
            Self::PeriodUnsealed => "period-unsealed",
        }
    }
}

/// Whoever does something, as the audit log and what they write name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Their name.
    pub name: String,
    /// The same, and where they did it, for the audit log.
    who: String,
    person: Option<PersonId>,
    device: Option<DeviceId>,
}

impl By {
    /// Who, and where they did it.
    pub fn in_words(&self) -> &str {
        &self.who
    }

    /// Who, if they have signed in.
    pub fn person(&self) -> Option<PersonId> {
        self.person
    }

    /// A line of the audit log, to be written in the transaction of what it tells of.
    pub fn notes(&self, event: Event, unit: Option<UnitId>, detail: &Value) -> AuditEntry {
        AuditEntry {
            at_ms: clock::now_ms(),
            who: self.who.clone(),
            person: self.person,
            device: self.device,
            event: event.as_str().to_owned(),
            unit,
            detail: detail.to_string(),
            address: origin::address().map(|address| address.to_string()),
        }
    }

    /// Somebody of whom nobody knows who it is.
    pub fn stranger() -> Self {
        Self { name: STRANGER.to_owned(), who: STRANGER.to_owned(), person: None, device: None }
    }
}

/// Whoever has sent a request.
impl From<&Caller> for By {
    fn from(caller: &Caller) -> Self {
        let device = caller.device.as_ref().map(|device| device.id);
        Self { name: caller.name.clone(), who: caller.name.clone(), person: caller.person_id(), device }
    }
}

/// A person, about their own way in.
impl From<&Person> for By {
    fn from(person: &Person) -> Self {
        let name = person.full_name.clone();
        Self { who: name.clone(), name, person: Some(person.id), device: None }
    }
}

/// Whoever sits at the server's own command line, by the name that they give.
impl From<&str> for By {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned(), who: format!("{name}（命令行 console）"), person: None, device: None }
    }
}

/// Notes what is about to be shown to somebody, or was ordered. What cannot be noted is not done: callers pass the error on. What
/// changes anything is noted in its own transaction instead: see [`crate::store::Deed`].
pub async fn note(
    server: &Server,
    caller: &Caller,
    event: Event,
    unit: Option<UnitId>,
    detail: Value,
) -> Result<(), StoreError> {
    append(server, caller, event, unit, &detail).await
}

/// The same on the server's own command line.
pub async fn note_console(
    server: &Server,
    who: &str,
    event: Event,
    unit: Option<UnitId>,
    detail: Value,
) -> Result<(), StoreError> {
    append(server, who, event, unit, &detail).await
}

async fn append(
    server: &Server,
    by: impl Into<By>,
    event: Event,
    unit: Option<UnitId>,
    detail: &Value,
) -> Result<(), StoreError> {
    server.store.people().append_audit(&by.into().notes(event, unit, detail)).await
}

/// Notes what may happen again and again, be it that an attacker makes it happen: the first time at once, and how often it has
/// happened since in one line, later. What cannot be noted is not done.
pub async fn note_often(
    server: &Server,
    by: impl Into<By>,
    event: Event,
    unit: Option<UnitId>,
    detail: &Value,
) -> Result<(), StoreError> {
    let entry = by.into().notes(event, unit, detail);
    if !server.repeats.is_first(&entry) {
        return Ok(());
    }
    let noted = server.store.people().append_audit(&entry).await;
    if noted.is_err() {
        server.repeats.forget(&entry);
    }
    noted
}

/// The same of what was not done: if it cannot be noted, there is nothing left to refuse.
pub async fn note_failed(server: &Server, by: impl Into<By>, event: Event, detail: &Value) {
    if let Err(error) = note_often(server, by, event, None, detail).await {
        tracing::error!(%error, "what was refused could not be noted");
    }
}

/// Notes that a request was refused.
pub async fn note_refused(server: &Server, origin: &Origin, detail: &Value) {
    note_failed(server, origin.by().unwrap_or_else(By::stranger), Event::Denied, detail).await;
}

/// Notes how often it has happened what was only counted: of what began long enough ago, or of everything.
pub async fn note_counted(server: &Server, everything: bool) {
    for entry in server.repeats.take(clock::now_ms(), everything) {
        if let Err(error) = server.store.people().append_audit(&entry).await {
            tracing::error!(%error, "what was counted could not be noted");
        }
    }
}

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Lines of the log.
    pub lines: i64,
    /// The hash of the last one: noted elsewhere, it proves that nothing was cut off since.
    pub head: [u8; 32],
    /// The first line that is not what was written.
    pub broken: Option<i64>,
    /// Whether the hash that was asked for is one of the log's.
    pub knows: bool,
    /// Lines that say that the database was older than what was acknowledged, and was gone on with.
    pub set_back: Vec<i64>,
}

/// Computes the whole log's hashes anew; `expected` is a hash that was noted earlier.
pub async fn verify(store: &dyn Store, expected: Option<&[u8; 32]>) -> Result<Verified, StoreError> {
    Ok(verify_against(store, expected, BTreeSet::new()).await?.0)
}

/// The same; and the roots over the first so many lines, of those numbers of lines that it has.
pub async fn verify_against(
    store: &dyn Store,
    expected: Option<&[u8; 32]>,
    sizes: BTreeSet<u64>,
) -> Result<(Verified, BTreeMap<u64, Hash>), StoreError> {
    let (knows, set_back) = (expected.is_none(), Vec::new());
    let mut verified = Verified { lines: 0, head: [0; 32], broken: None, knows, set_back };
    let (mut edge, mut roots, mut after) = (Edge::default(), BTreeMap::new(), i64::MIN);
    if sizes.contains(&0) {
        roots.insert(0, edge.root());
    }
    loop {
        let page = store.people().audit(after, PAGE).await?;
        if page.is_empty() {
            return Ok((verified, roots));
        }
        for line in page {
            after = line.number;
            let number = verified.lines + 1;
            let nodes = edge.push(line.entry.leaf(line.number)).concat();
            // What stands behind the first wrong line is looked at all the same: witnesses tell how far it is right.
            let is_right =
                line.number == number && line.entry.chained(&verified.head, number) == line.hash && line.nodes == nodes;
            if !is_right && verified.broken.is_none() {
                verified.broken = Some(number);
            }
            (verified.lines, verified.head) = (number, line.hash);
            verified.knows |= verified.broken.is_none() && expected == Some(&line.hash);
            if line.entry.event == Event::OlderAccepted.as_str() {
                verified.set_back.push(line.number);
            }
            if sizes.contains(&edge.lines()) {
                roots.insert(edge.lines(), edge.root());
            }
        }
    }
}
