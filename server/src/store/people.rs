//! People, sessions, invitations and the audit log, as their callers see them.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sync_protocol::{DeviceId, UnitId};
use uuid::Uuid;

use super::StoreError;
use crate::{
    audit::tree::{self, Hash, Node},
    auth::{Grant, Role},
};

/// A person who signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(Uuid);

impl PersonId {
    /// The sixteen bytes that are stored.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The id with these sixteen bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for PersonId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// Somebody who signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, in every combination")]
pub struct Person {
    /// Who it is.
    pub id: PersonId,
    /// What they sign in with.
    pub name: String,
    /// What others call them: changes name them so.
    pub full_name: String,
    /// What they are.
    pub role: Role,
    /// The top of their subtree.
    pub unit: UnitId,
    /// Whether they are a named handler of restricted data.
    pub is_handler: bool,
    /// They may not sign in any more.
    pub is_disabled: bool,
    /// Somebody else knows their password: they change it before anything else.
    pub must_change: bool,
    /// Whether a one-time code is asked for.
    pub has_totp: bool,
}

impl Person {
    /// What they may do.
    pub fn grant(&self) -> Grant {
        Grant { role: self.role, unit: self.unit, is_handler: self.is_handler }
    }
}

/// How a person proves who they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// argon2id, as a PHC string.
    pub password: String,
    /// The secret of one-time codes; asked for once it is confirmed.
    pub totp: Option<Vec<u8>>,
    /// The time step of the last code that was taken.
    pub totp_step: i64,
    /// The password before this one, as a PHC string.
    pub last_password: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("totp_step", &self.totp_step).finish_non_exhaustive()
    }
}

/// For how long wrong attempts are counted in a row.
pub const ATTEMPTS_MS: i64 = 15 * 60 * 1000;
/// For how long it is known from where somebody was let in.
pub const LET_IN_MS: i64 = 90 * 24 * 3600 * 1000;

/// How long a one-time code for a device can be used.
pub const INVITATION_MS: i64 = 24 * 3600 * 1000;

/// A one-time code for a device, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// SHA-256 of the code.
    pub code_hash: [u8; 32],
    /// Who will carry the device.
    pub person: PersonId,
    /// The device's name in lists.
    pub device_name: String,
    /// From when it is worth nothing.
    pub expires_at_ms: i64,
    /// Who has invited it, in words.
    pub invited_by: String,
    /// The same, if they have signed in: the device of somebody else is to be confirmed.
    pub inviter: Option<PersonId>,
}

/// An attempt to show that somebody is who they say.
#[derive(Clone, PartialEq, Eq)]
pub struct Attempt {
    /// SHA-256 of what is tried: a sign-in name, which nobody may have, or what somebody who has signed in is asked for.
    pub subject: [u8; 32],
    /// The network that it comes from; empty where that is no matter.
    pub network: String,
    /// When.
    pub at_ms: i64,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("network", &self.network).finish_non_exhaustive()
    }
}

/// How attempts at something stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Until when nothing is tried from this network.
    pub locked_until_ms: i64,
    /// Wrong attempts from all networks, lately.
    pub all: i64,
    /// Whether somebody was let in from this network before.
    pub is_known: bool,
}

/// A line of the audit log before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, by the server's clock.
    pub at_ms: i64,
    /// Who, in words.
    pub who: String,
    /// Who, if they have signed in.
    pub person: Option<PersonId>,
    /// The device, if it was one.
    pub device: Option<DeviceId>,
    /// What, see [`crate::audit::Event`].
    pub event: String,
    /// The unit that it was about.
    pub unit: Option<UnitId>,
    /// A JSON object; no value of a restricted column.
    pub detail: String,
    /// The address that it was done from; none on the server's own command line.
    pub address: Option<String>,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// Counted from 1, without gaps.
    pub number: i64,
    /// What it says.
    pub entry: AuditEntry,
    /// SHA-256 over the hash of the line before it, its number and what it says.
    pub hash: [u8; 32],
    /// The nodes of the tree over the log that it completes, one behind the other: see [`tree`].
    pub nodes: Vec<u8>,
}

impl AuditEntry {
    /// The line in bytes: its number, and each of its fields with its length in front.
    fn bytes(&self, number: i64) -> Vec<u8> {
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.extend(self.at_ms.to_be_bytes());
        let fields: [&[u8]; 6] = [
            self.who.as_bytes(),
            self.person.as_ref().map_or(&[], |id| id.as_bytes()),
            self.device.as_ref().map_or(&[], |id| id.as_bytes()),
            self.event.as_bytes(),
            self.unit.as_ref().map_or(&[], |id| id.as_bytes()),
            self.detail.as_bytes(),
        ];
        // Lines of a time when no address was noted have none: their hashes stay what they were.
        for field in fields.into_iter().chain(self.address.as_ref().map(String::as_bytes)) {
            bytes.extend((field.len() as u64).to_be_bytes());
            bytes.extend(field);
        }
        bytes
    }

    /// The hash of the line: SHA-256 over the hash before it and the line.
    pub fn chained(&self, before: &[u8; 32], number: i64) -> [u8; 32] {
        Sha256::new_with_prefix(before).chain_update(self.bytes(number)).finalize().into()
    }

    /// The leaf of the line in the tree over the log.
    pub fn leaf(&self, number: i64) -> Hash {
        tree::leaf(&self.bytes(number))
    }
}

/// What became of a wrong attempt to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// It was counted.
    Counted,
    /// It was one too many: nobody gets in from there for a while.
    Locked,
    /// It was under way when the one before it was already one too many.
    Still,
}

/// The part of the store that knows people. What they do is a [`Deed`](super::Deed).
#[async_trait]
pub trait PeopleStore: Send + Sync {
    /// Everybody, by name.
    async fn everybody(&self) -> Result<Vec<Person>, StoreError>;

    /// Somebody.
    async fn person(&self, person: PersonId) -> Result<Option<Person>, StoreError>;

    /// Whoever signs in with this name.
    async fn person_by_name(&self, name: &str) -> Result<Option<(Person, Credentials)>, StoreError>;

    /// A secret for one-time codes, which is not asked for before it is confirmed; `false` if one is in use.
    async fn begin_totp(&self, person: PersonId, secret: &[u8]) -> Result<bool, StoreError>;

    /// Puts something else in place of every such secret of this length: what shuts them is `with`.
    async fn shut_totps(
        &self,
        length: usize,
        with: &(dyn for<'s> Fn(&'s [u8]) -> Result<Vec<u8>, StoreError> + Sync),
    ) -> Result<(), StoreError>;

    /// How attempts at this stand.
    async fn standing(&self, attempt: &Attempt) -> Result<Standing, StoreError>;

    /// Counts a wrong attempt. With the last of `failures_max` in a row nothing is tried from there until `locked_until_ms`,
    /// which is noted, if there is somebody whom it is about.
    async fn failed(
        &self,
        attempt: &Attempt,
        failures_max: i64,
        locked_until_ms: i64,
        note: Option<&AuditEntry>,
    ) -> Result<Failed, StoreError>;

    /// Forgets wrong attempts at this from there.
    async fn forgive(&self, attempt: &Attempt) -> Result<(), StoreError>;

    /// Whose session it is, if it goes on and they may still sign in. One that began in the future did not: the clock was wrong.
    async fn session(&self, token_hash: &[u8; 32], now_ms: i64) -> Result<Option<Person>, StoreError>;

    /// Ends a session, and notes that.
    async fn close_session(&self, token_hash: &[u8; 32], note: &AuditEntry) -> Result<(), StoreError>;

    /// A one-time code that may still be used. One that was given in the future was not: the clock was wrong.
    async fn invitation(&self, code_hash: &[u8; 32], now_ms: i64) -> Result<Option<Invitation>, StoreError>;

    /// The device that got its key back by this code and this nonce, while the code would still be worth something.
    async fn recovered(
        &self,
        code_hash: &[u8; 32],
        nonce_hash: &[u8; 32],
        now_ms: i64,
    ) -> Result<Option<DeviceId>, StoreError>;

    /// Appends to the audit log.
    async fn append_audit(&self, entry: &AuditEntry) -> Result<(), StoreError>;

    /// Lines of the audit log behind this number, so many at most.
    async fn audit(&self, after: i64, count: i64) -> Result<Vec<AuditLine>, StoreError>;

    /// Lines that the audit log has.
    async fn audit_lines(&self) -> Result<u64, StoreError>;

    /// Nodes of the tree over it.
    async fn audit_nodes(&self, nodes: &[Node]) -> Result<Vec<Hash>, StoreError>;

    /// Whether the audit log has a line of this event that names this number.
    async fn is_noted(&self, event: &str, number: i64) -> Result<bool, StoreError>;
}
