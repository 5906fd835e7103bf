//! People, sessions, invitations, audit.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row, sqlite::SqliteRow};

use super::{SqliteStore, audit, codec};
use crate::{
    auth::SESSION_MS,
    store::{
        AuditEntry, AuditLine, Credentials, Failed, INVITATION_MS, Invitation, PeopleStore, Person, PersonId,
        StoreError,
    },
};

const PEOPLE: &str = "SELECT id, name, full_name, role, unit, is_handler, is_disabled, must_change, totp_confirmed,
                             password, totp, totp_step, failures, locked_until_ms FROM people";

#[async_trait]
impl PeopleStore for SqliteStore {
    async fn everybody(&self) -> Result<Vec<Person>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(format!("{PEOPLE} ORDER BY name"))).fetch_all(&self.readers).await?;
        rows.iter().map(read_person).collect()
    }

    async fn person(&self, person: PersonId) -> Result<Option<Person>, StoreError> {
        let query = sqlx::query(AssertSqlSafe(format!("{PEOPLE} WHERE id = $1"))).bind(person.as_bytes().as_slice());
        query.fetch_optional(&self.readers).await?.as_ref().map(read_person).transpose()
    }

    async fn person_by_name(&self, name: &str) -> Result<Option<(Person, Credentials)>, StoreError> {
        let query = sqlx::query(AssertSqlSafe(format!("{PEOPLE} WHERE name = $1"))).bind(name);
        let Some(row) = query.fetch_optional(&self.readers).await? else { return Ok(None) };
        let credentials = Credentials {
            password: row.try_get("password")?,
            totp: row.try_get("totp")?,
            totp_step: row.try_get("totp_step")?,
            failures: row.try_get("failures")?,
            locked_until_ms: row.try_get("locked_until_ms")?,
        };
        Ok(Some((read_person(&row)?, credentials)))
    }

    async fn begin_totp(&self, person: PersonId, secret: &[u8]) -> Result<bool, StoreError> {
        let mut tx = self.writer.begin().await?;
        let begun = sqlx::query("UPDATE people SET totp = $2, totp_step = 0 WHERE id = $1 AND totp_confirmed = 0")
            .bind(person.as_bytes().as_slice())
            .bind(secret)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(begun.rows_affected() > 0)
    }

    async fn failed(
        &self,
        person: PersonId,
        failures_max: i64,
        locked_until_ms: i64,
        note: &AuditEntry,
    ) -> Result<Failed, StoreError> {
        let mut tx = self.writer.begin().await?;
        // Those that are under way at once are counted one by one: the last of them locks, once.
        let failures: Option<i64> = sqlx::query_scalar(
            "UPDATE people SET failures = CASE WHEN failures + 1 >= $2 THEN 0 ELSE failures + 1 END,
                               locked_until_ms = CASE WHEN failures + 1 >= $2 THEN $3 ELSE locked_until_ms END
             WHERE id = $1 RETURNING failures",
        )
        .bind(person.as_bytes().as_slice())
        .bind(failures_max)
        .bind(locked_until_ms)
        .fetch_optional(&mut *tx)
        .await?;
        let is_locked = failures == Some(0);
        if is_locked {
            audit::append(&mut tx, note, None).await?;
        }
        tx.commit().await?;
        Ok(if is_locked { Failed::Locked } else { Failed::Counted })
    }

    async fn session(&self, token_hash: &[u8; 32], now_ms: i64) -> Result<Option<Person>, StoreError> {
        let sql = format!(
            "{PEOPLE} WHERE is_disabled = 0
             AND id = (SELECT person FROM sessions WHERE token_hash = $1 AND expires_at_ms > $2
                       AND created_at_ms <= $2 AND created_at_ms > $2 - $3)"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(token_hash.as_slice()).bind(now_ms).bind(SESSION_MS);
        query.fetch_optional(&self.readers).await?.as_ref().map(read_person).transpose()
    }

    async fn close_session(&self, token_hash: &[u8; 32]) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE token_hash = $1").bind(token_hash.as_slice()).execute(&mut *tx).await?;
        tx.commit().await
    }

    async fn invitation(&self, code_hash: &[u8; 32], now_ms: i64) -> Result<Option<Invitation>, StoreError> {
        let row = sqlx::query(
            "SELECT person, device_name, expires_at_ms FROM invitations
             WHERE code_hash = $1 AND device IS NULL AND expires_at_ms > $2
               AND created_at_ms <= $2 AND created_at_ms > $2 - $3",
        )
        .bind(code_hash.as_slice())
        .bind(now_ms)
        .bind(INVITATION_MS)
        .fetch_optional(&self.readers)
        .await?;
        let read = |row: SqliteRow| {
            let expires_at_ms = row.try_get("expires_at_ms")?;
            let device_name = row.try_get("device_name")?;
            let person = codec::person_id(&row, "person")?.ok_or_else(|| StoreError::Damaged("person".into()))?;
            Ok(Invitation { code_hash: *code_hash, person, device_name, expires_at_ms })
        };
        row.map(read).transpose()
    }

    async fn append_audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        audit::append(&mut tx, entry, None).await?;
        tx.commit().await
    }

    async fn audit(&self, after: i64, count: i64) -> Result<Vec<AuditLine>, StoreError> {
        audit::lines(&self.readers, after, count).await
    }

    async fn is_noted(&self, event: &str, number: i64) -> Result<bool, StoreError> {
        audit::is_noted(&self.readers, event, number).await
    }
}

fn read_person(row: &SqliteRow) -> Result<Person, StoreError> {
    Ok(Person {
        id: codec::person_id(row, "id")?.ok_or_else(|| StoreError::Damaged("id".into()))?,
        name: row.try_get("name")?,
        full_name: row.try_get("full_name")?,
        role: codec::role(row)?,
        unit: codec::unit_id(row, "unit")?,
        is_handler: row.try_get("is_handler")?,
        is_disabled: row.try_get("is_disabled")?,
        must_change: row.try_get("must_change")?,
        has_totp: row.try_get("totp_confirmed")?,
    })
}
