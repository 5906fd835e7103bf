//! Use cases of several writes. Each is one transaction with what the audit log says of it: all of it is done and noted, or
//! nothing is.

use sync_protocol::{ChangeHash, DeviceId, UnitId, unit::Unit};

use super::{
    Attempt, AuditEntry, DeviceRecord, DocumentWrite, Invitation, Person, PersonId, ProposalDecision, QuarantineState,
    Replacement, Submission, SubmissionStep, UnitChange,
};
use crate::auth::Books;

/// A use case.
#[derive(Debug, Clone)]
pub struct Deed {
    /// What it does.
    pub act: Act,
    /// Documents that it writes to.
    pub documents: Vec<DocumentWrite>,
    /// What the audit log says of it. Where the act gives something a number, they name it.
    pub notes: Vec<AuditEntry>,
}

impl Deed {
    /// One that writes to no document.
    pub fn new(act: Act, note: AuditEntry) -> Self {
        Self { act, documents: Vec::new(), notes: vec![note] }
    }
}

/// What became of a use case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Performed {
    /// It is done, noted and durable; the number that it has given, if it gives one.
    Done(Option<i64>),
    /// Nothing was done: somebody else has written to one of the documents. Read them again and try again.
    Stale,
    /// Nothing was done: what it begins from is not so any more.
    NotNow,
}

/// What a use case does beside documents. Each says what has to be so when it is done, and changes nothing but what it is
/// about: what others have changed since the caller has read it stays changed.
#[derive(Debug, Clone)]
pub enum Act {
    /// Nothing.
    Write,
    /// Adds somebody, unless the name is taken.
    AddPerson {
        /// They.
        person: Box<Person>,
        /// What is stored of their password.
        password: Hidden,
        /// When.
        at_ms: i64,
    },
    /// Changes what is known of somebody who still is what they were `before`, and on their devices; whoever is disabled is
    /// signed out, and their devices are revoked. The last administrator stays.
    ChangePerson {
        /// As they were read.
        before: Box<Person>,
        /// As they are from now on.
        after: Box<Person>,
        /// The books on their devices from now on.
        books: Books,
    },
    /// Disables somebody who is not disabled; all that they have ends. The last administrator stays.
    DisablePerson(PersonId),
    /// A new password, in place of `expected` where that is given; everybody who had signed in with the old one is signed out.
    SetPassword {
        /// Whose.
        person: PersonId,
        /// What is stored of the old one.
        expected: Option<Hidden>,
        /// What is stored of the new one.
        password: Hidden,
        /// Whether they change it before anything else.
        must_change: bool,
    },
    /// Begins a session of somebody who still has the password and the secret that were checked.
    SignIn {
        /// Who.
        person: PersonId,
        /// What is stored of the password that was right.
        password: Hidden,
        /// The one-time code that was right, where one was asked for.
        code: Option<CodeTaken>,
        /// The attempt that this was, unless nothing is tried from there; none where a test makes a session.
        attempt: Option<Attempt>,
        /// SHA-256 of the cookie.
        token_hash: [u8; 32],
        /// When.
        at_ms: i64,
        /// From when it is worth nothing.
        expires_at_ms: i64,
    },
    /// One-time codes are asked for from now on.
    ConfirmTotp(PersonId, CodeTaken),
    /// They are not any more.
    RemoveTotp(PersonId, CodeTaken),
    /// Keeps a one-time code for a device of somebody who is not disabled.
    Invite {
        /// It.
        invitation: Invitation,
        /// When.
        at_ms: i64,
    },
    /// Enrols a device by a one-time code that was not used, for a person who still is what the device says.
    Redeem {
        /// SHA-256 of the code.
        code_hash: [u8; 32],
        /// The device.
        device: Box<DeviceRecord>,
        /// When.
        at_ms: i64,
    },
    /// Uses up a one-time code that was not used, of the person whose device it is, for a device that is not revoked.
    Recover {
        /// SHA-256 of the code.
        code_hash: [u8; 32],
        /// SHA-256 of what the device has drawn, by which it may ask again.
        nonce_hash: Option<[u8; 32]>,
        /// The device.
        device: DeviceId,
        /// When.
        at_ms: i64,
    },
    /// Enrols a device on the server itself.
    Enrol {
        /// It.
        device: Box<DeviceRecord>,
        /// When.
        at_ms: i64,
    },
    /// A new token for a device that still has the old one and is not revoked.
    RotateToken {
        /// The device.
        device: DeviceId,
        /// SHA-256 of the token that it has.
        from: [u8; 32],
        /// SHA-256 of the one that it has from now on.
        to: [u8; 32],
    },
    /// Revokes a device that is not revoked.
    RevokeDevice(DeviceId),
    /// Forgets photos that came before this time and that no record names, or that have not become whole: the number is how many,
    /// and if there are none, nothing is noted.
    ExpirePhotos {
        /// This time.
        before_ms: i64,
    },
    /// Revokes devices and changes people who are in an older database as they were, whoever that leaves; sessions and one-time
    /// codes, which may have ended since, end.
    DoAgain {
        /// Devices that are revoked.
        devices: Vec<DeviceId>,
        /// People as they are from now on, and the books on their devices.
        people: Vec<(Person, Books)>,
    },
    /// The person whose device it is says that it is theirs.
    ConfirmDevice(DeviceId),
    /// Decides on changes in quarantine that are still in these states.
    Settle {
        /// Which, and where each stands.
        held: Vec<(ChangeHash, QuarantineState)>,
        /// Where they stand from now on.
        state: QuarantineState,
        /// Who decides.
        who: String,
        /// When.
        at_ms: i64,
    },
    /// Decides on a proposal that waits, where that writes to no document.
    DecideProposal(ProposalDecision),
    /// Keeps a copy of a return and gives it a number, unless another of the same unit, return and period stands.
    Submit {
        /// It.
        submission: Box<Submission>,
        /// Its workbook.
        workbook: Vec<u8>,
    },
    /// Takes a step with a submitted return that is in the state that the step begins at.
    Step {
        /// Its number.
        number: i64,
        /// The step.
        step: SubmissionStep,
    },
    /// Adds units, and changes those that still are what they were read as; parents come before their children or are known.
    KeepUnits(Vec<UnitChange>),
    /// Opens a year from another one, or goes on with that; not one that is sealed, nor one that was opened from a third.
    OpenPeriod {
        /// The year.
        period: String,
        /// The one that it is opened from.
        from: String,
        /// Who opens it.
        by: String,
        /// When.
        at_ms: i64,
    },
    /// Everything was carried over into a year.
    CarriedPeriod {
        /// The year.
        period: String,
        /// When.
        at_ms: i64,
    },
    /// Seals a year that is not sealed, at the newest change.
    SealPeriod {
        /// The year.
        period: String,
        /// Who seals it.
        by: String,
        /// When.
        at_ms: i64,
        /// The units as they are now.
        register: Vec<Unit>,
        /// The checkpoint of the audit log that its returns carry.
        checkpoint: Option<String>,
    },
    /// Takes the seal off a year.
    UnsealPeriod(String),
    /// Puts successors in the place of documents and forgets photos; stale while changes or imported rows of the unit wait.
    Erase {
        /// The unit.
        unit: UnitId,
        /// The successors.
        replacements: Vec<Replacement>,
        /// Photos of the unit.
        photos: Vec<[u8; 32]>,
    },
}

/// What is in no log: a password as it is stored, which is argon2id as a PHC string.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden")
    }
}

/// A one-time code that was right.
#[derive(Clone, PartialEq, Eq)]
pub struct CodeTaken {
    /// The secret that it was computed from.
    pub secret: Vec<u8>,
    /// Its time step: neither it nor one before it is taken again.
    pub step: i64,
}

impl std::fmt::Debug for CodeTaken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeTaken").field("step", &self.step).finish_non_exhaustive()
    }
}
