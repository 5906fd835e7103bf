//! Signing in: name, password, and a one-time code where the person has one.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use totp_rs::{Builder, Totp};

use super::{Weak, password};
use crate::{
    Server,
    audit::{self, By, Event},
    clock, origin,
    store::{Act, Attempt, CodeTaken, Credentials, Deed, Failed, Hidden, Performed, Person, StoreError, token_hash},
};

/// How long a session goes on: a working day.
pub const SESSION_MS: i64 = 12 * 3600 * 1000;
/// How long nothing is tried from a network after too many wrong attempts.
pub const LOCK_MS: i64 = 15 * 60 * 1000;
/// Bytes of a secret for one-time codes.
pub const TOTP_BYTES: usize = 20;
/// Wrong attempts in a row from one network: whoever guesses shuts nobody out who signs in from elsewhere.
const FAILURES_MAX: i64 = 5;
/// Wrong attempts at one name from all networks together; then only those networks are heard from where somebody was let in by
/// this name before.
const FAILURES_OF_ALL_MAX: i64 = 50;

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Name, password or code are wrong: which of them is not said.
    #[error("登录名、密码或验证码不正确 | wrong name, password or code")]
    Wrong,
    /// Too many wrong attempts: none is taken for so many seconds, be there somebody of that name or not.
    #[error("多次输入错误，请 {0} 秒后再试 | too many wrong attempts: try again in {0} seconds")]
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

/// An attempt at a sign-in name, by whoever sends this request.
fn attempt_at(name: &str, now_ms: i64) -> Attempt {
    let network = origin::address().map(|address| origin::network(address).to_string()).unwrap_or_default();
    Attempt { subject: Sha256::digest(name.as_bytes()).into(), network, at_ms: now_ms }
}

/// For how many seconds such an attempt is not taken. Names that nobody has are answered like any other.
async fn waits_s(server: &Server, attempt: &Attempt) -> Result<Option<u64>, StoreError> {
    let standing = server.store.people().standing(attempt).await?;
    if let Some(wait_s) = locked_s(standing.locked_until_ms, attempt.at_ms) {
        return Ok(Some(wait_s));
    }
    let is_besieged = standing.all >= FAILURES_OF_ALL_MAX && !standing.is_known;
    Ok(is_besieged.then_some(LOCK_MS.unsigned_abs() / 1000))
}

/// Lets somebody in.
pub async fn sign_in(server: &Server, name: &str, password: &str, code: Option<&str>) -> Result<SignedIn, SignInError> {
    let known = server.store.people().person_by_name(name).await?;
    let now_ms = clock::now_ms();
    let attempt = attempt_at(name, now_ms);
    // Whatever is typed for a name that nobody has may be a password: it is written down nowhere.
    let detail = json!({ "name": known.as_ref().map(|(person, _)| person.name.as_str()) });
    if let Some(wait_s) = waits_s(server, &attempt).await? {
        audit::note_failed(server, By::stranger(), Event::SignInFailed, &detail).await;
        return Err(SignInError::Locked(wait_s));
    }
    let stored = known.as_ref().map(|(_, credentials)| credentials.password.as_str());
    let is_right = password::is_right(password, stored).await;
    let enabled = known.as_ref().filter(|(person, _)| !person.is_disabled);
    if let Some((person, credentials)) = enabled.filter(|_| is_right) {
        let checked = code.filter(|_| person.has_totp).and_then(|code| step(server, person, credentials, code, now_ms));
        if checked.is_some() || !person.has_totp {
            let token = BASE64URL_NOPAD.encode(&clock::random::<32>());
            let act = Act::SignIn {
                person: person.id,
                password: Hidden(credentials.password.clone()),
                code: checked,
                attempt: Some(attempt.clone()),
                token_hash: token_hash(&token),
                at_ms: now_ms,
                expires_at_ms: now_ms + SESSION_MS,
            };
            let note = By::from(person).notes(Event::SignedIn, None, &json!({}));
            if let Performed::Done(_) = server.store.perform(&Deed::new(act, note)).await? {
                return Ok(SignedIn { token, person: person.clone() });
            }
        }
    }
    let note = known.as_ref().map(|_| By::stranger().notes(Event::LockedOut, None, &locked(&detail)));
    server.store.people().failed(&attempt, FAILURES_MAX, now_ms + LOCK_MS, note.as_ref()).await?;
    audit::note_failed(server, By::stranger(), Event::SignInFailed, &detail).await;
    Err(SignInError::Wrong)
}

fn locked(detail: &Value) -> Value {
    let mut detail = detail.clone();
    detail["failures"] = FAILURES_MAX.into();
    detail
}

/// The time step of a one-time code, if it is one of now.
fn step(server: &Server, person: &Person, of: &Credentials, code: &str, now_ms: i64) -> Option<CodeTaken> {
    let secret = of.totp.clone()?;
    let seconds = u64::try_from(now_ms / 1000).unwrap_or_default();
    let step = codes(server, person, &server.keyring.open(&secret)?).check(code, seconds)?;
    Some(CodeTaken { secret, step: i64::try_from(step).ok()? })
}

fn codes(server: &Server, person: &Person, secret: &[u8]) -> Totp {
    let issuer = format!("台账通 {}", server.county_name).replace(':', " ");
    let name = person.name.replace(':', " ");
    Builder::new().with_secret(secret).with_account_name(name).with_issuer(Some(issuer)).build_noncompliant()
}

/// Ends a session.
pub async fn sign_out(server: &Server, person: &Person, token: &str) -> Result<(), StoreError> {
    let note = By::from(person).notes(Event::SignedOut, None, &json!({}));
    server.store.people().close_session(&token_hash(token), &note).await
}

/// A person's own new password; all their sessions end.
pub async fn change_password(server: &Server, person: &Person, old: &str, new: &str) -> Result<(), SignInError> {
    let change = async {
        let known = server.store.people().person_by_name(&person.name).await?;
        let (_, credentials) = known.ok_or(SignInError::Wrong)?;
        if !password::is_right(old, Some(&credentials.password)).await {
            return Err(SignInError::Wrong);
        }
        let is_last = match &credentials.last_password {
            Some(last) => password::is_right(new, Some(last)).await,
            None => false,
        };
        if old == new || is_last {
            return Err(Weak::Again.into());
        }
        let unit = server.store.unit(person.unit).await?;
        let unit = unit.as_ref().map(|unit| (unit.name.as_str(), unit.code.as_deref().unwrap_or_default()));
        let (unit, code) = unit.unwrap_or_default();
        password::check(&[&person.name, &person.full_name, unit, code, &server.county_name], new).await?;
        let hash = Hidden(password::hash(&person.name, new).await?);
        // In place of the one that was checked: an administrator may have given another one meanwhile.
        let expected = Some(Hidden(credentials.password));
        let act = Act::SetPassword { person: person.id, expected, password: hash, must_change: false };
        own(server, person, act, Event::PasswordChanged).await
    };
    guarded(server, person, "password", change).await
}

/// A secret for one-time codes, as the address that an authenticator app reads. It is asked for once it is confirmed; none, if
/// codes are in use already.
pub async fn new_totp(server: &Server, person: &Person) -> Result<Option<String>, StoreError> {
    let secret = clock::random::<TOTP_BYTES>();
    if !server.store.people().begin_totp(person.id, &server.keyring.shut(&secret)?).await? {
        return Ok(None);
    }
    codes(server, person, &secret).to_url().map(Some).map_err(|e| StoreError::Damaged(e.to_string()))
}

/// Confirms it with a first code, or says that it is wrong.
pub async fn confirm_totp(server: &Server, person: &Person, code: &str) -> Result<(), SignInError> {
    let confirm = async {
        let taken = own_code(server, person, code).await?;
        own(server, person, Act::ConfirmTotp(person.id, taken), Event::TotpConfirmed).await
    };
    guarded(server, person, "code", confirm).await
}

/// Does without codes from now on. Whoever finds a desk that somebody has left signed in has no code.
pub async fn remove_totp(server: &Server, person: &Person, code: &str) -> Result<(), SignInError> {
    let remove = async {
        let taken = own_code(server, person, code).await?;
        own(server, person, Act::RemoveTotp(person.id, taken), Event::TotpRemoved).await
    };
    guarded(server, person, "code", remove).await
}

/// What somebody who has signed in is asked for once more. Whoever has got hold of their session guesses a few times, and no more:
/// an attempt is counted before it is looked at, so that it is no use to make many at once.
async fn guarded(
    server: &Server,
    person: &Person,
    what: &str,
    work: impl Future<Output = Result<(), SignInError>>,
) -> Result<(), SignInError> {
    let (people, at_ms) = (server.store.people(), clock::now_ms());
    let subject = Sha256::new_with_prefix("confirm").chain_update(person.id.as_bytes()).finalize().into();
    let attempt = Attempt { subject, network: String::new(), at_ms };
    let detail = json!({ "what": what });
    let fail = async |error| {
        audit::note_failed(server, person, Event::ConfirmFailed, &detail).await;
        Err(error)
    };
    if let Some(wait_s) = locked_s(people.standing(&attempt).await?.locked_until_ms, at_ms) {
        return fail(SignInError::Locked(wait_s)).await;
    }
    let note = By::from(person).notes(Event::LockedOut, None, &locked(&detail));
    // The one behind the last that may be wrong.
    let counted = people.failed(&attempt, FAILURES_MAX + 1, at_ms + LOCK_MS, Some(&note)).await?;
    if counted != Failed::Counted {
        return fail(SignInError::Locked(LOCK_MS.unsigned_abs() / 1000)).await;
    }
    match work.await {
        Err(error @ SignInError::Wrong) => fail(error).await,
        done => {
            people.forgive(&attempt).await?;
            done
        }
    }
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
