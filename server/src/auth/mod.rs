//! Who may do what, and where. Every route and every way of syncing asks here, and nowhere else is it decided.

mod password;
mod register;
mod role;
mod sign_in;
mod table;

use sync_protocol::{Book, UnitId, catalogue::Sensitivity, session::Scope};

pub use password::{Weak, check, hash, is_right, new_password};
pub use register::{UnitDenied, UnitRights};
pub use role::{Books, Grant, Permission, Role};
pub use sign_in::{
    LOCK_MS, SESSION_MS, SignInError, SignedIn, TOTP_BYTES, change_password, confirm_totp, new_totp, remove_totp,
    sign_in, sign_out,
};
pub use table::table;

use crate::store::{DeviceRecord, Person, PersonId, Store, StoreError};

/// Whoever sends a request: a person who has signed in, or a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// What they may do.
    pub grant: Grant,
    /// The books they hold.
    pub books: Books,
    /// As changes and the audit log name them.
    pub name: String,
    /// The person, if it is known who it is.
    pub person: Option<Person>,
    /// The device, if it is one.
    pub device: Option<DeviceRecord>,
}

/// What a request was refused for.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// The role does not cover it.
    #[error("您的角色（{}）没有这项权限 | this role may not do that: {}", .0.chinese(), .1.words())]
    Role(Role, Permission),
    /// It is outside of their units, or does not exist: which of the two is nobody's business.
    #[error("没有这项内容，或不在您的范围内 | no such thing, or not within your units")]
    Outside,
    /// Their password is known to somebody else.
    #[error("请先修改初始密码 | change your initial password first")]
    MustChange,
    /// The device was revoked.
    #[error("本设备已停用 | this device was revoked")]
    Revoked,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Caller {
    /// A person who has signed in.
    pub async fn person(store: &dyn Store, person: Person) -> Result<Self, StoreError> {
        let books = books(store, &person).await?;
        Ok(Self { grant: person.grant(), books, name: person.full_name.clone(), person: Some(person), device: None })
    }

    /// A device.
    pub fn device(device: DeviceRecord) -> Self {
        let books = Books { reads: device.books.clone(), writes: device.writes.clone() };
        Self { grant: device.grant(), books, name: device.owner.clone(), person: None, device: Some(device) }
    }

    /// Whose request it is, for the audit log.
    pub fn person_id(&self) -> Option<PersonId> {
        let carried = self.device.as_ref().and_then(|device| device.person);
        self.person.as_ref().map(|person| person.id).or(carried)
    }

    /// Whether another request comes from the same person, or from the same device where nobody carries it.
    pub fn is_same(&self, other: &Caller) -> bool {
        let device = |caller: &Caller| caller.device.as_ref().map(|device| device.id);
        match (self.person_id(), other.person_id()) {
            (None, None) => device(self) == device(other),
            (one, another) => one == another,
        }
    }

    /// Whether they may do this somewhere in their subtree.
    pub fn may(&self, permission: Permission) -> Result<(), Denied> {
        if self.person.as_ref().is_some_and(|person| person.must_change) {
            return Err(Denied::MustChange);
        }
        if let Some(device) = &self.device {
            // Whatever its carrier is by now: what is still on it has to come in, and what it may no longer hold has to go.
            if permission == Permission::Sync {
                return Ok(());
            }
            if device.is_revoked {
                return Err(Denied::Revoked);
            }
        }
        // On its own a device imports, syncs, sees units and carries the bundles of others, which it cannot open; what concerns
        // others needs a person who has signed in.
        let by_device = matches!(permission, Permission::SeeUnits | Permission::Import | Permission::CarryBundles);
        let is_open = if self.device.is_some() { by_device } else { permission != Permission::Sync };
        if is_open && self.grant.may(permission) { Ok(()) } else { Err(Denied::Role(self.grant.role, permission)) }
    }

    /// Whether they may do this at this unit.
    pub async fn may_at(&self, store: &dyn Store, permission: Permission, unit: UnitId) -> Result<(), Denied> {
        self.may(permission)?;
        if store.is_below(unit, self.grant.unit).await? { Ok(()) } else { Err(Denied::Outside) }
    }

    /// Whether they may review what this unit submits: it stands below their own.
    pub async fn may_review(&self, store: &dyn Store, unit: UnitId) -> Result<(), Denied> {
        self.may_at(store, Permission::ReviewReturns, unit).await?;
        if unit == self.grant.unit { Err(Denied::Outside) } else { Ok(()) }
    }

    /// Whether they may see this book of this unit.
    pub async fn may_read(&self, store: &dyn Store, unit: UnitId, book: Book) -> Result<(), Denied> {
        self.may_at(store, Permission::ReadRecords, unit).await?;
        if self.books.reads.contains(&book) { Ok(()) } else { Err(Denied::Outside) }
    }

    /// Whether they see figures about very few people. From whom these are hidden gets no states of the past of such tables:
    /// two that lie side by side tell what each of them hides.
    pub fn sees_small_cells(&self) -> bool {
        self.clearance() >= Sensitivity::S2
    }

    /// The highest class of data that they see in clear.
    pub fn clearance(&self) -> Sensitivity {
        self.grant.clearance()
    }

    /// Where an import of theirs may write.
    pub fn write_scope(&self) -> Scope {
        Scope { unit: self.grant.unit, books: self.books.writes.clone(), version: 0 }
    }
}

/// The books that a person holds.
pub async fn books(store: &dyn Store, person: &Person) -> Result<Books, StoreError> {
    let unit = store.unit(person.unit).await?;
    let level = unit.map(|unit| unit.level);
    Ok(level
        .map_or(Books { reads: Vec::new(), writes: Vec::new() }, |level| person.role.books(level, person.is_handler)))
}
