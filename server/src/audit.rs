//! The audit log: who did what. It is only appended to, and each line's hash covers the line before it.

use serde_json::Value;
use sync_protocol::{DeviceId, UnitId};

use crate::{
    Server,
    auth::Caller,
    clock,
    store::{AuditEntry, Person, PersonId, Store, StoreError},
};

/// Lines that are read at once.
const PAGE: i64 = 1000;

/// What is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Somebody signed in.
    SignedIn,
    /// Too many wrong attempts.
    LockedOut,
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
    /// A copy of a return was submitted, and frozen.
    ReturnSubmitted,
    /// A submitted return was returned, approved, merged, published or archived.
    ReturnStepped,
    /// A submitted copy was handed out.
    SubmissionRead,
    /// A file with findings, which quotes the workbook, was handed out.
    FindingsDrawn,
    /// The history of a cell was looked at.
    HistoryRead,
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
    /// What somebody had proposed was written.
    ProposalAccepted,
    /// What somebody had proposed was not written.
    ProposalRejected,
}

impl Event {
    /// The name in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "signed-in",
            Self::LockedOut => "locked-out",
            Self::PasswordChanged => "password-changed",
            Self::TotpConfirmed => "totp-confirmed",
            Self::TotpRemoved => "totp-removed",
            Self::PersonAdded => "person-added",
            Self::PersonChanged => "person-changed",
            Self::PasswordReset => "password-reset",
            Self::DeviceInvited => "device-invited",
            Self::DeviceEnrolled => "device-enrolled",
            Self::TokenRotated => "token-rotated",
            Self::DeviceRevoked => "device-revoked",
            Self::UnitsChanged => "units-changed",
            Self::Imported => "imported",
            Self::ImportUndone => "import-undone",
            Self::ReturnDrawn => "return-drawn",
            Self::ReturnSubmitted => "return-submitted",
            Self::ReturnStepped => "return-stepped",
            Self::SubmissionRead => "submission-read",
            Self::FindingsDrawn => "findings-drawn",
            Self::HistoryRead => "history-read",
            Self::QuarantineRead => "quarantine-read",
            Self::QuarantineAdmitted => "quarantine-admitted",
            Self::QuarantineRejected => "quarantine-rejected",
            Self::ErasureOrdered => "erasure-ordered",
            Self::Erased => "erased",
            Self::BundleAnswered => "bundle-answered",
            Self::OlderAccepted => "older-accepted",
            Self::Repaired => "repaired",
            Self::ProposalAccepted => "proposal-accepted",
            Self::ProposalRejected => "proposal-rejected",
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
        }
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

/// What verification found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Lines of the log.
    pub lines: i64,
    /// The hash of the last one: noted elsewhere, it proves that nothing was cut off since.
    pub head: [u8; 32],
    /// The first line that is not what was written.
    pub broken: Option<i64>,
    /// Whether the hash that was asked for is one of the log's.
    pub knows: bool,
}

/// Computes the whole log's hashes anew; `expected` is a hash that was noted earlier.
pub async fn verify(store: &dyn Store, expected: Option<&[u8; 32]>) -> Result<Verified, StoreError> {
    let mut verified = Verified { lines: 0, head: [0; 32], broken: None, knows: expected.is_none() };
    loop {
        let page = store.people().audit(verified.lines, PAGE).await?;
        if page.is_empty() {
            return Ok(verified);
        }
        for line in page {
            let number = verified.lines + 1;
            if line.number != number || line.entry.chained(&verified.head, number) != line.hash {
                verified.broken = Some(number);
                return Ok(verified);
            }
            (verified.lines, verified.head) = (number, line.hash);
            verified.knows |= expected == Some(&line.hash);
        }
    }
}
