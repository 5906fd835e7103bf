//! Adding people and changing what they may do: what HTTP and the command line share.

use serde_json::json;
use sync_protocol::unit::{Unit, UnitLevel};

use crate::{
    Server,
    audit::{By, Event},
    auth::{self, Books, Role, Weak},
    clock,
    store::{Act, Deed, Hidden, Performed, Person, PersonId, StoreError},
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
    /// They are not what they were when the caller has looked.
    #[error("该人员刚被他人修改，请重新查看后再改 | somebody else has just changed this person: look again")]
    Changed,
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
pub async fn add(
    server: &Server,
    name: &str,
    profile: &Profile,
    by: impl Into<By>,
) -> Result<(Person, String), PeopleError> {
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
    let (added, at_ms) = (Box::new(person.clone()), clock::now_ms());
    let act = Act::AddPerson { person: added, password: Hidden(hash), at_ms };
    let note = by.into().notes(Event::PersonAdded, Some(person.unit), &profile.detail(name));
    match server.store.perform(&Deed::new(act, note)).await? {
        Performed::Done(_) => Ok((person, password)),
        Performed::Stale | Performed::NotNow => Err(PeopleError::NameTaken(name.to_owned())),
    }
}

fn is_needed(person: &Person) -> bool {
    person.role == Role::Administrator && !person.is_disabled
}

/// Changes what a person may do, now and on all their devices; refused, if they are not as they were read any more.
pub async fn change(
    server: &Server,
    before: Person,
    profile: &Profile,
    is_disabled: bool,
    by: impl Into<By>,
) -> Result<Person, PeopleError> {
    profile.check()?;
    let after = Person {
        full_name: profile.full_name.clone(),
        role: profile.role,
        unit: profile.unit.id,
        is_handler: profile.is_handler,
        is_disabled,
        ..before.clone()
    };
    let mut detail = profile.detail(&before.name);
    detail["disabled"] = json!(is_disabled);
    let note = by.into().notes(Event::PersonChanged, Some(after.unit), &detail);
    let books = Books::on_a_phone(profile.role, profile.unit.level);
    let act = Act::ChangePerson { before: Box::new(before.clone()), after: Box::new(after.clone()), books };
    match server.store.perform(&Deed::new(act, note)).await? {
        Performed::Done(_) => Ok(after),
        Performed::Stale | Performed::NotNow => {
            let now = server.store.people().person(before.id).await?;
            let is_as_read = now.is_some_and(|now| {
                let Person { must_change, has_totp, .. } = now;
                now == Person { must_change, has_totp, ..before.clone() }
            });
            // It is the last one now, or was a moment ago: nothing was changed either way.
            let is_last = is_as_read && is_needed(&before) && !is_needed(&after);
            Err(if is_last { PeopleError::LastAdministrator } else { PeopleError::Changed })
        }
    }
}

/// Disables a person, and revokes their devices; `false` if they were disabled already.
pub async fn disable(server: &Server, person: &Person, by: impl Into<By>) -> Result<bool, PeopleError> {
    let Person { role, is_handler, .. } = person;
    let detail = json!({ "name": person.name, "role": role, "handler": is_handler, "disabled": true });
    let note = by.into().notes(Event::PersonChanged, Some(person.unit), &detail);
    match server.store.perform(&Deed::new(Act::DisablePerson(person.id), note)).await? {
        Performed::Done(_) => Ok(true),
        Performed::Stale | Performed::NotNow => match server.store.people().person(person.id).await? {
            Some(now) if now.is_disabled => Ok(false),
            Some(_) => Err(PeopleError::LastAdministrator),
            None => Err(PeopleError::Changed),
        },
    }
}

/// Gives a person a new first password, with which no one-time code is asked for: they may have lost what shows it.
pub async fn reset(server: &Server, person: &Person, by: impl Into<By>) -> Result<String, PeopleError> {
    let password = auth::new_password();
    let hash = Hidden(auth::hash(&person.name, &password).await?);
    let act = Act::SetPassword { person: person.id, expected: None, password: hash, must_change: true };
    let detail = json!({ "name": person.name, "code_removed": person.has_totp });
    let note = by.into().notes(Event::PasswordReset, None, &detail);
    match server.store.perform(&Deed::new(act, note)).await? {
        Performed::Done(_) => Ok(password),
        Performed::Stale | Performed::NotNow => Err(PeopleError::Changed),
    }
}

/// Whether nobody can add people yet.
pub async fn is_first_run(server: &Server) -> Result<bool, StoreError> {
    let people = server.store.people().everybody().await?;
    Ok(!people.iter().any(is_needed))
}
