//! People, sessions, invitations and the audit log, as their callers see them.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use sync_protocol::{DeviceId, UnitId};
use uuid::Uuid;

use super::{DeviceRecord, StoreError};
use crate::auth::{Books, Grant, Role};

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
    /// Wrong attempts in a row.
    pub failures: i64,
    /// Until when nobody gets in.
    pub locked_until_ms: i64,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("failures", &self.failures).finish_non_exhaustive()
    }
}

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
}

/// Computes the hash of a line: what is stored, and what verification expects.
pub type Chain = fn(before: &[u8; 32], number: i64, entry: &AuditEntry) -> [u8; 32];

/// The part of the store that knows people.
#[async_trait]
pub trait PeopleStore: Send + Sync {
    /// Adds somebody; `false` if the name is taken.
    async fn add_person(&self, person: &Person, password: &str, now_ms: i64) -> Result<bool, StoreError>;

    /// Changes what is known of somebody. Their devices get the same unit and these books; whoever is disabled is signed
    /// out, and their devices are revoked.
    async fn change_person(&self, person: &Person, books: &Books) -> Result<(), StoreError>;

    /// Everybody, by name.
    async fn everybody(&self) -> Result<Vec<Person>, StoreError>;

    /// Somebody.
    async fn person(&self, person: PersonId) -> Result<Option<Person>, StoreError>;

    /// Whoever signs in with this name.
    async fn person_by_name(&self, name: &str) -> Result<Option<(Person, Credentials)>, StoreError>;

    /// A new password; everybody who had signed in with the old one is signed out.
    async fn set_password(&self, person: PersonId, password: &str, must_change: bool) -> Result<(), StoreError>;

    /// A secret for one-time codes, or none; it is not asked for before it is confirmed.
    async fn set_totp(&self, person: PersonId, secret: Option<&[u8]>) -> Result<(), StoreError>;

    /// Takes a one-time code's time step, once: `false` if it or a later one was taken. Confirms the secret.
    async fn take_totp_step(&self, person: PersonId, step: i64) -> Result<bool, StoreError>;

    /// Notes a wrong attempt; returns how many there were in a row. With `locked_until_ms` they are counted anew.
    async fn failed(&self, person: PersonId, locked_until_ms: Option<i64>) -> Result<i64, StoreError>;

    /// Begins a session, and forgets those that are over.
    async fn open_session(
        &self,
        token_hash: &[u8; 32],
        person: PersonId,
        now_ms: i64,
        expires_at_ms: i64,
    ) -> Result<(), StoreError>;

    /// Whose session it is, if it goes on and they may still sign in.
    async fn session(&self, token_hash: &[u8; 32], now_ms: i64) -> Result<Option<Person>, StoreError>;

    /// Ends a session.
    async fn close_session(&self, token_hash: &[u8; 32]) -> Result<(), StoreError>;

    /// Keeps a one-time code.
    async fn invite(&self, invitation: &Invitation, now_ms: i64) -> Result<(), StoreError>;

    /// A one-time code that may still be used.
    async fn invitation(&self, code_hash: &[u8; 32], now_ms: i64) -> Result<Option<Invitation>, StoreError>;

    /// Enrols a device by a one-time code; `false` if it was used meanwhile.
    async fn redeem(&self, code_hash: &[u8; 32], device: &DeviceRecord, now_ms: i64) -> Result<bool, StoreError>;

    /// Appends to the audit log.
    async fn append_audit(&self, entry: &AuditEntry, chain: Chain) -> Result<(), StoreError>;

    /// Lines of the audit log behind this number, so many at most.
    async fn audit(&self, after: i64, count: i64) -> Result<Vec<AuditLine>, StoreError>;
}
