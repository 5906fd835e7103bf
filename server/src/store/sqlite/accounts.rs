//! What is done with people's accounts. Nothing is written back that was read before: each statement changes the columns that
//! it is about, where they still say what it begins from.

use sqlx::SqliteConnection;
use sync_protocol::DeviceId;

use super::{deed::Outcome, enrolment, registry};
use crate::{
    auth::{Books, SESSION_MS},
    store::{CodeTaken, Hidden, Person, PersonId, StoreError},
};

/// Somebody else may add people.
const NOT_THE_LAST: &str =
    "EXISTS (SELECT 1 FROM people o WHERE o.id != $1 AND o.role = 'administrator' AND o.is_disabled = 0)";
/// Neither this code's time step nor a later one was taken. One far ahead was taken while the clock was wrong.
const FRESH_STEP: &str = "(totp_step < $3 OR totp_step > $3 + 2)";

pub(super) async fn add(
    tx: &mut SqliteConnection,
    person: &Person,
    password: &Hidden,
    at_ms: i64,
) -> Result<Outcome, StoreError> {
    let added = sqlx::query(
        "INSERT INTO people (id, name, full_name, role, unit, is_handler, is_disabled, password, must_change, created_at_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (name) DO NOTHING",
    )
    .bind(person.id.as_bytes().as_slice())
    .bind(&person.name)
    .bind(&person.full_name)
    .bind(person.role.as_str())
    .bind(person.unit.as_bytes().as_slice())
    .bind(person.is_handler)
    .bind(person.is_disabled)
    .bind(&password.0)
    .bind(person.must_change)
    .bind(at_ms)
    .execute(tx)
    .await?;
    Ok(Outcome::of_one(added.rows_affected()))
}

pub(super) async fn change(
    tx: &mut SqliteConnection,
    before: &Person,
    after: &Person,
    books: &Books,
) -> Result<Outcome, StoreError> {
    let (id, unit) = (before.id.as_bytes().as_slice(), after.unit.as_bytes().as_slice());
    let sql = format!(
        "UPDATE people SET full_name = $2, role = $3, unit = $4, is_handler = $5, is_disabled = $6
         WHERE id = $1 AND full_name = $7 AND role = $8 AND unit = $9 AND is_handler = $10 AND is_disabled = $11
           AND (role != 'administrator' OR is_disabled OR ($3 = 'administrator' AND NOT $6) OR {NOT_THE_LAST})"
    );
    let changed = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(id)
        .bind(&after.full_name)
        .bind(after.role.as_str())
        .bind(unit)
        .bind(after.is_handler)
        .bind(after.is_disabled)
        .bind(&before.full_name)
        .bind(before.role.as_str())
        .bind(before.unit.as_bytes().as_slice())
        .bind(before.is_handler)
        .bind(before.is_disabled)
        .execute(&mut *tx)
        .await?;
    if changed.rows_affected() == 0 {
        return Ok(Outcome::NotNow);
    }
    sqlx::query("UPDATE devices SET owner = $2, role = $3, unit = $4, books = $5, writes = $6 WHERE person = $1")
        .bind(id)
        .bind(&after.full_name)
        .bind(after.role.as_str())
        .bind(unit)
        .bind(registry::join_books(&books.reads))
        .bind(registry::join_books(&books.writes))
        .execute(&mut *tx)
        .await?;
    if after.is_disabled {
        end_all(tx, before.id).await?;
    }
    Ok(Outcome::Written(None))
}

pub(super) async fn disable(tx: &mut SqliteConnection, person: PersonId) -> Result<Outcome, StoreError> {
    let sql = format!(
        "UPDATE people SET is_disabled = 1
         WHERE id = $1 AND is_disabled = 0 AND (role != 'administrator' OR {NOT_THE_LAST})"
    );
    let disabled = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(person.as_bytes().as_slice()).execute(&mut *tx).await?;
    if disabled.rows_affected() == 0 {
        return Ok(Outcome::NotNow);
    }
    end_all(tx, person).await?;
    Ok(Outcome::Written(None))
}

/// Does again what an older database does not know, whoever that leaves; sessions and one-time codes may have ended since.
pub(super) async fn do_again(
    tx: &mut SqliteConnection,
    devices: &[DeviceId],
    people: &[(Person, Books)],
) -> Result<Outcome, StoreError> {
    for device in devices {
        // One that is revoked already is as it has to be.
        enrolment::revoke(&mut *tx, *device).await?;
    }
    for (person, books) in people {
        let id = person.id.as_bytes().as_slice();
        sqlx::query("UPDATE people SET role = $2, unit = $3, is_handler = $4, is_disabled = $5 WHERE id = $1")
            .bind(id)
            .bind(person.role.as_str())
            .bind(person.unit.as_bytes().as_slice())
            .bind(person.is_handler)
            .bind(person.is_disabled)
            .execute(&mut *tx)
            .await?;
        sqlx::query("UPDATE devices SET role = $2, unit = $3, books = $4, writes = $5 WHERE person = $1")
            .bind(id)
            .bind(person.role.as_str())
            .bind(person.unit.as_bytes().as_slice())
            .bind(registry::join_books(&books.reads))
            .bind(registry::join_books(&books.writes))
            .execute(&mut *tx)
            .await?;
        if person.is_disabled {
            end_all(tx, person.id).await?;
        }
    }
    for sql in ["DELETE FROM sessions", "DELETE FROM invitations WHERE device IS NULL"] {
        sqlx::query(sql).execute(&mut *tx).await?;
    }
    Ok(Outcome::Written(None))
}

/// Ends what somebody has who is disabled: sessions, devices, and codes for further ones.
async fn end_all(tx: &mut SqliteConnection, person: PersonId) -> Result<(), StoreError> {
    for sql in [
        "UPDATE devices SET is_revoked = 1 WHERE person = $1",
        "DELETE FROM sessions WHERE person = $1",
        "DELETE FROM invitations WHERE person = $1 AND device IS NULL",
    ] {
        sqlx::query(sql).bind(person.as_bytes().as_slice()).execute(&mut *tx).await?;
    }
    Ok(())
}

pub(super) async fn set_password(
    tx: &mut SqliteConnection,
    person: PersonId,
    expected: Option<&Hidden>,
    (password, must_change): (&Hidden, bool),
) -> Result<Outcome, StoreError> {
    let id = person.as_bytes().as_slice();
    // One that somebody else has chosen is none that they may want back. Whoever gets one has perhaps lost what shows their codes.
    let set = sqlx::query(
        "UPDATE people SET last_password = CASE WHEN must_change THEN last_password ELSE password END,
                           password = $2, must_change = $3, totp = CASE WHEN $3 THEN NULL ELSE totp END,
                           totp_step = CASE WHEN $3 THEN 0 ELSE totp_step END, totp_confirmed = totp_confirmed AND NOT $3
         WHERE id = $1 AND password = coalesce($4, password)",
    )
    .bind(id)
    .bind(&password.0)
    .bind(must_change)
    .bind(expected.map(|expected| expected.0.as_str()))
    .execute(&mut *tx)
    .await?;
    if set.rows_affected() == 0 {
        return Ok(Outcome::NotNow);
    }
    sqlx::query("DELETE FROM sessions WHERE person = $1").bind(id).execute(&mut *tx).await?;
    Ok(Outcome::Written(None))
}

pub(super) async fn sign_in(
    tx: &mut SqliteConnection,
    (person, password, code): (PersonId, &Hidden, Option<&CodeTaken>),
    token_hash: &[u8; 32],
    (now_ms, expires_at_ms): (i64, i64),
) -> Result<Outcome, StoreError> {
    let id = person.as_bytes().as_slice();
    let sql = format!(
        "UPDATE people SET totp_step = coalesce($3, totp_step)
         WHERE id = $1 AND password = $2 AND is_disabled = 0
           AND CASE WHEN $3 IS NULL THEN totp_confirmed = 0
                    ELSE totp_confirmed = 1 AND totp = $4 AND {FRESH_STEP} END"
    );
    let is_right = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(id)
        .bind(&password.0)
        .bind(code.map(|code| code.step))
        .bind(code.map(|code| code.secret.as_slice()))
        .execute(&mut *tx)
        .await?;
    if is_right.rows_affected() == 0 {
        return Ok(Outcome::NotNow);
    }
    // Those that are over, and those that a wrong clock has made.
    sqlx::query("DELETE FROM sessions WHERE expires_at_ms <= $1 OR created_at_ms > $1 OR created_at_ms <= $1 - $2")
        .bind(now_ms)
        .bind(SESSION_MS)
        .execute(&mut *tx)
        .await?;
    sqlx::query("INSERT INTO sessions (token_hash, person, created_at_ms, expires_at_ms) VALUES ($1, $2, $3, $4)")
        .bind(token_hash.as_slice())
        .bind(id)
        .bind(now_ms)
        .bind(expires_at_ms)
        .execute(&mut *tx)
        .await?;
    Ok(Outcome::Written(None))
}

pub(super) async fn confirm_totp(
    tx: &mut SqliteConnection,
    person: PersonId,
    code: &CodeTaken,
) -> Result<Outcome, StoreError> {
    let set = format!("totp_step = $3, totp_confirmed = 1 WHERE id = $1 AND totp = $2 AND {FRESH_STEP}");
    take_code(tx, &set, person, code).await
}

pub(super) async fn remove_totp(
    tx: &mut SqliteConnection,
    person: PersonId,
    code: &CodeTaken,
) -> Result<Outcome, StoreError> {
    let set = format!("totp = NULL, totp_step = 0, totp_confirmed = 0 WHERE id = $1 AND totp = $2 AND {FRESH_STEP}");
    take_code(tx, &set, person, code).await
}

async fn take_code(
    tx: &mut SqliteConnection,
    set: &str,
    person: PersonId,
    code: &CodeTaken,
) -> Result<Outcome, StoreError> {
    let taken = sqlx::query(sqlx::AssertSqlSafe(format!("UPDATE people SET {set}")))
        .bind(person.as_bytes().as_slice())
        .bind(code.secret.as_slice())
        .bind(code.step)
        .execute(tx)
        .await?;
    Ok(Outcome::of_one(taken.rows_affected()))
}
