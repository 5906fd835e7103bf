//! Adding people and changing what they may do: what HTTP and the command line share.

use serde_json::json;
use sync_protocol::unit::{Unit, UnitLevel};

use crate::{
    Server,
    auth::{self, Books, Role, Weak},
    clock,
    store::{Person, PersonId, StoreError},
};

/// Why a person was not added or changed.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// Somebody else has this name.
    #[error("登录名已被使用 | this sign-in name is taken: `{0}`")]
    NameTaken(String),
    /// No name, or one with characters that are not typed.
    #[error(
        "登录名和姓名应为1至40个字符，登录名不含空格 | names have 1 to 40 characters, a sign-in name has no spaces"
    )]
    Name,
    /// A named handler of a role that has none.
    #[error("该角色不能担任专人 | this role may not be a handler of restricted data: {0}")]
    Handler(Role),
    /// A role that looks after the whole county, at a unit below it.
    #[error("该角色只设在县级 | this role is only given at the county: {0}")]
    CountyOnly(Role),
    /// Nobody could undo it.
    #[error("不能停用或降级最后一名系统管理员 | the last administrator stays")]
    LastAdministrator,
    /// The password.
    #[error(transparent)]
    Weak(#[from] Weak),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is said about a person who is added or changed.
#[derive(Debug, Clone)]
pub struct Profile {
    /// As changes name them.
    pub full_name: String,
    /// What they are.
    pub role: Role,
    /// The unit at the top of what they see.
    pub unit: Unit,
    /// Whether they are a named handler of restricted data.
    pub is_handler: bool,
}

impl Profile {
    fn check(&self) -> Result<(), PeopleError> {
        check_name(&self.full_name)?;
        match self.role {
            role if self.is_handler && !role.may_be_handler() => Err(PeopleError::Handler(role)),
            role if role.is_of_county() && self.unit.level != UnitLevel::County => Err(PeopleError::CountyOnly(role)),
            _ => Ok(()),
        }
    }

    /// What the audit log says of it.
    pub fn detail(&self, name: &str) -> serde_json::Value {
        json!({ "name": name, "role": self.role, "handler": self.is_handler })
    }
}

fn check_name(name: &str) -> Result<(), PeopleError> {
    let is_name = (1..=40).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if is_name && name.trim() == name { Ok(()) } else { Err(PeopleError::Name) }
}

/// Adds a person with a first password, which they change before anything else; returns both.
pub async fn add(server: &Server, name: &str, profile: &Profile) -> Result<(Person, String), PeopleError> {
    profile.check()?;
    check_name(name)?;
    if name.contains(char::is_whitespace) {
        return Err(PeopleError::Name);
    }
    let password = auth::new_password();
    let hash = auth::hash(name, &password).await?;
    let person = Person {
        id: PersonId::from_bytes(clock::random()),
        name: name.to_owned(),
        full_name: profile.full_name.clone(),
        role: profile.role,
        unit: profile.unit.id,
        is_handler: profile.is_handler,
        is_disabled: false,
        must_change: true,
        has_totp: false,
    };
    if server.store.people().add_person(&person, &hash, clock::now_ms()).await? {
        Ok((person, password))
    } else {
        Err(PeopleError::NameTaken(name.to_owned()))
    }
}

/// Changes what a person may do, now and on all their devices.
pub async fn change(
    server: &Server,
    person: Person,
    profile: &Profile,
    is_disabled: bool,
) -> Result<Person, PeopleError> {
    profile.check()?;
    let is_needed = |person: &Person| person.role == Role::Administrator && !person.is_disabled;
    if is_needed(&person) && (is_disabled || profile.role != Role::Administrator) {
        let others = server.store.people().everybody().await?;
        if !others.iter().any(|other| other.id != person.id && is_needed(other)) {
            return Err(PeopleError::LastAdministrator);
        }
    }
    let changed = Person {
        full_name: profile.full_name.clone(),
        role: profile.role,
        unit: profile.unit.id,
        is_handler: profile.is_handler,
        is_disabled,
        ..person
    };
    let books = Books::on_a_phone(profile.role, profile.unit.level);
    server.store.people().change_person(&changed, &books).await?;
    Ok(changed)
}

/// Gives a person a new first password.
pub async fn reset(server: &Server, person: &Person) -> Result<String, PeopleError> {
    let password = auth::new_password();
    let hash = auth::hash(&person.name, &password).await?;
    server.store.people().set_password(person.id, &hash, true).await?;
    Ok(password)
}

/// Whether nobody can add people yet.
pub async fn is_first_run(server: &Server) -> Result<bool, StoreError> {
    let people = server.store.people().everybody().await?;
    Ok(!people.iter().any(|person| person.role == Role::Administrator && !person.is_disabled))
}
