//! People of a county, for tests.

use anyhow::Context;
use server::{
    Server,
    auth::Role,
    clock,
    people::{self, Profile},
    store::{Person, token_hash},
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
    let (person, _) = people::add(server, name, &profile).await?;
    let hash = server::auth::hash(name, password).await?;
    server.store.people().set_password(person.id, &hash, false).await?;
    Ok(Person { must_change: false, ..person })
}

/// The cookie of a new session of theirs.
pub async fn cookie(server: &Server, person: &Person) -> anyhow::Result<String> {
    let token = format!("session-{:032x}", u128::from_be_bytes(clock::random()));
    let now_ms = clock::now_ms();
    server.store.people().open_session(&token_hash(&token), person.id, now_ms, now_ms + 600_000).await?;
    Ok(format!("taizhang-session={token}"))
}
