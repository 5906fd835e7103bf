//! People of a county, for tests.

use anyhow::Context;
use server::{
    Server,
    audit::{By, Event},
    auth::{Role, SESSION_MS},
    clock,
    people::{self, Profile},
    store::{Act, Deed, Hidden, Performed, Person, PersonId, token_hash},
};
use sync_protocol::UnitId;

/// Adds somebody who has chosen this password.
pub async fn add(
    server: &Server,
    name: &str,
    role: Role,
    unit: UnitId,
    is_handler: bool,
    password: &str,
) -> anyhow::Result<Person> {
    let unit = server.store.unit(unit).await?.context("a unit")?;
    let profile = Profile { full_name: format!("{}{name}", role.chinese()), role, unit, is_handler };
    let (person, _) = people::add(server, name, &profile, "test").await?;
    let hash = server::auth::hash(name, password).await?;
    set_password(server, person.id, hash, false).await?;
    Ok(Person { must_change: false, ..person })
}

/// Gives somebody a password, as it is stored.
pub async fn set_password(server: &Server, person: PersonId, hash: String, must_change: bool) -> anyhow::Result<()> {
    let act = Act::SetPassword { person, expected: None, password: Hidden(hash), must_change };
    let note = By::from("test").notes(Event::PasswordReset, None, &serde_json::json!({}));
    anyhow::ensure!(matches!(server.store.perform(&Deed::new(act, note)).await?, Performed::Done(_)), "set");
    Ok(())
}

/// The cookie of a new session of theirs.
pub async fn cookie(server: &Server, person: &Person) -> anyhow::Result<String> {
    let token = format!("session-{:032x}", u128::from_be_bytes(clock::random()));
    let (_, credentials) = server.store.people().person_by_name(&person.name).await?.context("a person")?;
    let at_ms = clock::now_ms();
    let act = Act::SignIn {
        person: person.id,
        password: Hidden(credentials.password),
        code: None,
        attempt: None,
        token_hash: token_hash(&token),
        at_ms,
        expires_at_ms: at_ms + SESSION_MS,
    };
    let note = By::from(person).notes(Event::SignedIn, None, &serde_json::json!({}));
    anyhow::ensure!(matches!(server.store.perform(&Deed::new(act, note)).await?, Performed::Done(_)), "signed in");
    Ok(format!("taizhang-session={token}"))
}
