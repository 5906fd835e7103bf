//! Signing in: name, password, and a one-time code where the person has one.

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use totp_rs::{Builder, Totp};

use super::{Weak, password};
use crate::{
    Server,
    audit::{self, Event},
    clock,
    store::{Credentials, Person, StoreError, token_hash},
};

/// How long a session goes on: a working day.
pub const SESSION_MS: i64 = 12 * 3600 * 1000;
/// How long nobody gets in after too many wrong attempts.
pub const LOCK_MS: i64 = 15 * 60 * 1000;
/// Wrong attempts in a row.
const FAILURES_MAX: i64 = 5;

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Name, password or code are wrong: which of them is not said.
    #[error("登录名、密码或验证码不正确 | wrong name, password or code")]
    Wrong,
    /// Too many wrong attempts.
    #[error("多次登录失败，请15分钟后再试 | too many wrong attempts: try again in 15 minutes")]
    Locked,
    /// A new password that is easily guessed.
    #[error(transparent)]
    Weak(#[from] Weak),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A session that has begun.
#[derive(Clone)]
pub struct SignedIn {
    /// What the browser shows from now on; only its hash is stored.
    pub token: String,
    /// Who it is.
    pub person: Person,
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn").field("person", &self.person.id).finish_non_exhaustive()
    }
}

/// Lets somebody in.
pub async fn sign_in(server: &Server, name: &str, password: &str, code: Option<&str>) -> Result<SignedIn, SignInError> {
    let person = check(server, name, password, code).await?;
    let token = BASE64URL_NOPAD.encode(&clock::random::<32>());
    let now_ms = clock::now_ms();
    server.store.people().open_session(&token_hash(&token), person.id, now_ms, now_ms + SESSION_MS).await?;
    audit::note_person(server, &person, Event::SignedIn, json!({})).await?;
    Ok(SignedIn { token, person })
}

/// Whoever this is, if all of it is right.
async fn check(server: &Server, name: &str, password: &str, code: Option<&str>) -> Result<Person, SignInError> {
    let known = server.store.people().person_by_name(name).await?;
    let now_ms = clock::now_ms();
    if known.as_ref().is_some_and(|(_, credentials)| credentials.locked_until_ms > now_ms) {
        return Err(SignInError::Locked);
    }
    let stored = known.as_ref().map(|(_, credentials)| credentials.password.as_str());
    let is_right = password::is_right(password, stored).await;
    let Some((person, credentials)) = known else { return Err(SignInError::Wrong) };
    if person.is_disabled {
        return Err(SignInError::Wrong);
    }
    if is_right && (!person.has_totp || takes(server, &person, &credentials, code.unwrap_or_default()).await?) {
        return Ok(person);
    }
    // A right password without its code is no attempt at guessing: the person is only asked for the code.
    if is_right && code.is_none() {
        return Err(SignInError::Wrong);
    }
    let failures = server.store.people().failed(person.id, None).await?;
    if failures >= FAILURES_MAX {
        server.store.people().failed(person.id, Some(now_ms + LOCK_MS)).await?;
        audit::note_person(server, &person, Event::LockedOut, json!({ "failures": failures })).await?;
    }
    Err(SignInError::Wrong)
}

/// Takes a one-time code, once.
async fn takes(server: &Server, person: &Person, credentials: &Credentials, code: &str) -> Result<bool, StoreError> {
    let Some(secret) = &credentials.totp else { return Ok(false) };
    let now_s = u64::try_from(clock::now_ms() / 1000).unwrap_or_default();
    match codes(server, person, secret).check(code, now_s).and_then(|step| i64::try_from(step).ok()) {
        Some(step) => server.store.people().take_totp_step(person.id, step).await,
        None => Ok(false),
    }
}

fn codes(server: &Server, person: &Person, secret: &[u8]) -> Totp {
    let issuer = format!("台账通 {}", server.county_name).replace(':', " ");
    let name = person.name.replace(':', " ");
    Builder::new().with_secret(secret).with_account_name(name).with_issuer(Some(issuer)).build_noncompliant()
}

/// Ends a session.
pub async fn sign_out(server: &Server, token: &str) -> Result<(), StoreError> {
    server.store.people().close_session(&token_hash(token)).await
}

/// A person's own new password; all their sessions end.
pub async fn change_password(server: &Server, person: &Person, old: &str, new: &str) -> Result<(), SignInError> {
    let known = server.store.people().person_by_name(&person.name).await?;
    let (_, credentials) = known.ok_or(SignInError::Wrong)?;
    if !password::is_right(old, Some(&credentials.password)).await {
        return Err(SignInError::Wrong);
    }
    if old == new {
        return Err(Weak.into());
    }
    let hash = password::hash(&person.name, new).await?;
    server.store.people().set_password(person.id, &hash, false).await?;
    Ok(audit::note_person(server, person, Event::PasswordChanged, json!({})).await?)
}

/// A secret for one-time codes, as the address that an authenticator app reads. It is asked for once it is confirmed.
pub async fn new_totp(server: &Server, person: &Person) -> Result<String, StoreError> {
    let secret = clock::random::<20>();
    server.store.people().set_totp(person.id, Some(&secret)).await?;
    codes(server, person, &secret).to_url().map_err(|e| StoreError::Damaged(e.to_string()))
}

/// Confirms it with a first code, or says that it is wrong.
pub async fn confirm_totp(server: &Server, person: &Person, code: &str) -> Result<(), SignInError> {
    take_own(server, person, code).await?;
    Ok(audit::note_person(server, person, Event::TotpConfirmed, json!({})).await?)
}

/// Does without codes from now on. Whoever finds a desk that somebody has left signed in has no code.
pub async fn remove_totp(server: &Server, person: &Person, code: &str) -> Result<(), SignInError> {
    take_own(server, person, code).await?;
    server.store.people().set_totp(person.id, None).await?;
    Ok(audit::note_person(server, person, Event::TotpRemoved, json!({})).await?)
}

async fn take_own(server: &Server, person: &Person, code: &str) -> Result<(), SignInError> {
    let known = server.store.people().person_by_name(&person.name).await?;
    let (person, credentials) = known.ok_or(SignInError::Wrong)?;
    if takes(server, &person, &credentials, code).await? { Ok(()) } else { Err(SignInError::Wrong) }
}
