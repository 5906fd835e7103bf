//! Signing in: name, password, and a one-time code where the person has one.

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;
use totp_rs::{Builder, Totp};

use super::{Weak, password};
use crate::{
    Server,
    audit::{By, Event},
    clock,
    store::{Act, CodeTaken, Credentials, Deed, Hidden, Performed, Person, StoreError, token_hash},
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
    /// Too many wrong attempts: nobody gets in for so many seconds.
    #[error("多次登录失败，请 {0} 秒后再试 | too many wrong attempts: try again in {0} seconds")]
    Locked(u64),
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

/// For how many seconds nobody gets in. A lock-out that would be longer than one lasts was made while the clock was wrong, and
/// does not hold.
fn locked_s(locked_until_ms: i64, now_ms: i64) -> Option<u64> {
    let left_ms = locked_until_ms.saturating_sub(now_ms);
    (1..=LOCK_MS).contains(&left_ms).then(|| left_ms.unsigned_abs().div_ceil(1000))
}

/// Lets somebody in.
pub async fn sign_in(server: &Server, name: &str, password: &str, code: Option<&str>) -> Result<SignedIn, SignInError> {
    let known = server.store.people().person_by_name(name).await?;
    let now_ms = clock::now_ms();
    if let Some(wait_s) = known.as_ref().and_then(|(_, credentials)| locked_s(credentials.locked_until_ms, now_ms)) {
        return Err(SignInError::Locked(wait_s));
    }
    let stored = known.as_ref().map(|(_, credentials)| credentials.password.as_str());
    let is_right = password::is_right(password, stored).await;
    let Some((person, credentials)) = known else { return Err(SignInError::Wrong) };
    if person.is_disabled {
        return Err(SignInError::Wrong);
    }
    if is_right {
        let checked =
            code.filter(|_| person.has_totp).and_then(|code| step(server, &person, &credentials, code, now_ms));
        if checked.is_some() || !person.has_totp {
            let token = BASE64URL_NOPAD.encode(&clock::random::<32>());
            let act = Act::SignIn {
                person: person.id,
                password: Hidden(credentials.password),
                code: checked,
                token_hash: token_hash(&token),
                at_ms: now_ms,
                expires_at_ms: now_ms + SESSION_MS,
            };
            let note = By::from(&person).notes(Event::SignedIn, None, &json!({}));
            if let Performed::Done(_) = server.store.perform(&Deed::new(act, note)).await? {
                return Ok(SignedIn { token, person });
            }
        }
        // A right password without its code is no attempt at guessing: the person is only asked for the code.
        if code.is_none() {
            return Err(SignInError::Wrong);
        }
    }
    let note = By::from(&person).notes(Event::LockedOut, None, &json!({ "failures": FAILURES_MAX }));
    server.store.people().failed(person.id, FAILURES_MAX, now_ms + LOCK_MS, &note).await?;
    Err(SignInError::Wrong)
}

/// The time step of a one-time code, if it is one of now.
fn step(server: &Server, person: &Person, of: &Credentials, code: &str, now_ms: i64) -> Option<CodeTaken> {
    let secret = of.totp.clone()?;
    let seconds = u64::try_from(now_ms / 1000).unwrap_or_default();
    let step = codes(server, person, &secret).check(code, seconds)?;
    Some(CodeTaken { secret, step: i64::try_from(step).ok()? })
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
    let hash = Hidden(password::hash(&person.name, new).await?);
    // In place of the one that was checked: an administrator may have given another one meanwhile.
    let expected = Some(Hidden(credentials.password));
    let act = Act::SetPassword { person: person.id, expected, password: hash, must_change: false };
    own(server, person, act, Event::PasswordChanged).await
}

/// A secret for one-time codes, as the address that an authenticator app reads. It is asked for once it is confirmed; none, if
/// codes are in use already.
pub async fn new_totp(server: &Server, person: &Person) -> Result<Option<String>, StoreError> {
    let secret = clock::random::<20>();
    if !server.store.people().begin_totp(person.id, &secret).await? {
        return Ok(None);
    }
    codes(server, person, &secret).to_url().map(Some).map_err(|e| StoreError::Damaged(e.to_string()))
}

/// Confirms it with a first code, or says that it is wrong.
pub async fn confirm_totp(server: &Server, person: &Person, code: &str) -> Result<(), SignInError> {
    let taken = own_code(server, person, code).await?;
    own(server, person, Act::ConfirmTotp(person.id, taken), Event::TotpConfirmed).await
}

/// Does without codes from now on. Whoever finds a desk that somebody has left signed in has no code.
pub async fn remove_totp(server: &Server, person: &Person, code: &str) -> Result<(), SignInError> {
    let taken = own_code(server, person, code).await?;
    own(server, person, Act::RemoveTotp(person.id, taken), Event::TotpRemoved).await
}

async fn own_code(server: &Server, person: &Person, code: &str) -> Result<CodeTaken, SignInError> {
    let known = server.store.people().person_by_name(&person.name).await?;
    let (person, credentials) = known.ok_or(SignInError::Wrong)?;
    step(server, &person, &credentials, code, clock::now_ms()).ok_or(SignInError::Wrong)
}

/// What a person does about their own way in, from what was just checked.
async fn own(server: &Server, person: &Person, act: Act, event: Event) -> Result<(), SignInError> {
    let note = By::from(person).notes(event, None, &json!({}));
    match server.store.perform(&Deed::new(act, note)).await? {
        Performed::Done(_) => Ok(()),
        Performed::Stale | Performed::NotNow => Err(SignInError::Wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lock-out says how long it still lasts, and one of another time does not hold.
    #[test]
    fn a_lock_out_of_a_clock_that_was_wrong_does_not_hold() {
        let now_ms = 1_352_500_000_000;
        let ten_years = 10 * 365 * 86_400_000;
        for (until_ms, wait_s) in [
            (0, None),
            (now_ms - 1, None),
            (now_ms, None),
            (now_ms + 1, Some(1)),
            (now_ms + 61_000, Some(61)),
            (now_ms + LOCK_MS, Some(900)),
            (now_ms + LOCK_MS + 1, None),
            (now_ms + ten_years, None),
            (i64::MAX, None),
        ] {
            assert_eq!(locked_s(until_ms, now_ms), wait_s, "{until_ms}");
        }
    }
}
