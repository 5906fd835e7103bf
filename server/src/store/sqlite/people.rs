//! People, sessions, invitations, audit.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row, sqlite::SqliteRow};

use super::{SqliteStore, codec, registry};
use crate::{
    auth::Books,
    store::{
        AuditEntry, AuditLine, Chain, Credentials, DeviceRecord, Invitation, PeopleStore, Person, PersonId, StoreError,
    },
};

const PEOPLE: &str = "SELECT id, name, full_name, role, unit, is_handler, is_disabled, must_change, totp_confirmed,
                             password, totp, totp_step, failures, locked_until_ms FROM people";

#[async_trait]
impl PeopleStore for SqliteStore {
    async fn add_person(&self, person: &Person, password: &str, now_ms: i64) -> Result<bool, StoreError> {
        let mut tx = self.writer.begin().await?;
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
        .bind(password)
        .bind(person.must_change)
        .bind(now_ms)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(added.rows_affected() > 0)
    }

    async fn change_person(&self, person: &Person, books: &Books) -> Result<(), StoreError> {
        let id = person.id.as_bytes().as_slice();
        let unit = person.unit.as_bytes().as_slice();
        let mut tx = self.writer.begin().await?;
        sqlx::query(
            "UPDATE people SET full_name = $2, role = $3, unit = $4, is_handler = $5, is_disabled = $6 WHERE id = $1",
        )
        .bind(id)
        .bind(&person.full_name)
        .bind(person.role.as_str())
        .bind(unit)
        .bind(person.is_handler)
        .bind(person.is_disabled)
        .execute(&mut *tx)
        .await?;
        sqlx::query("UPDATE devices SET owner = $2, role = $3, unit = $4, books = $5, writes = $6 WHERE person = $1")
            .bind(id)
            .bind(&person.full_name)
            .bind(person.role.as_str())
            .bind(unit)
            .bind(registry::join_books(&books.reads))
            .bind(registry::join_books(&books.writes))
            .execute(&mut *tx)
            .await?;
        if person.is_disabled {
            sqlx::query("UPDATE devices SET is_revoked = 1 WHERE person = $1").bind(id).execute(&mut *tx).await?;
            sqlx::query("DELETE FROM sessions WHERE person = $1").bind(id).execute(&mut *tx).await?;
        }
        tx.commit().await
    }

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

    async fn set_password(&self, person: PersonId, password: &str, must_change: bool) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        sqlx::query(
            "UPDATE people SET password = $2, must_change = $3, failures = 0, locked_until_ms = 0 WHERE id = $1",
        )
        .bind(person.as_bytes().as_slice())
        .bind(password)
        .bind(must_change)
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM sessions WHERE person = $1")
            .bind(person.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    async fn set_totp(&self, person: PersonId, secret: Option<&[u8]>) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        sqlx::query("UPDATE people SET totp = $2, totp_confirmed = 0, totp_step = 0 WHERE id = $1")
            .bind(person.as_bytes().as_slice())
            .bind(secret)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    async fn take_totp_step(&self, person: PersonId, step: i64) -> Result<bool, StoreError> {
        let mut tx = self.writer.begin().await?;
        let taken = sqlx::query(
            "UPDATE people SET totp_step = $2, totp_confirmed = 1 WHERE id = $1 AND totp IS NOT NULL AND totp_step < $2",
        )
        .bind(person.as_bytes().as_slice())
        .bind(step)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(taken.rows_affected() > 0)
    }

    async fn failed(&self, person: PersonId, locked_until_ms: Option<i64>) -> Result<i64, StoreError> {
        let sql = "UPDATE people SET failures = CASE WHEN $2 IS NULL THEN failures + 1 ELSE 0 END,
                          locked_until_ms = coalesce($2, locked_until_ms) WHERE id = $1 RETURNING failures";
        let query = sqlx::query_scalar(sql).bind(person.as_bytes().as_slice()).bind(locked_until_ms);
        let mut tx = self.writer.begin().await?;
        let failures = query.fetch_optional(&mut *tx).await?.unwrap_or_default();
        tx.commit().await?;
        Ok(failures)
    }

    async fn open_session(
        &self,
        token_hash: &[u8; 32],
        person: PersonId,
        now_ms: i64,
        expires_at_ms: i64,
    ) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE expires_at_ms <= $1").bind(now_ms).execute(&mut *tx).await?;
        sqlx::query("UPDATE people SET failures = 0 WHERE id = $1")
            .bind(person.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
        sqlx::query("INSERT INTO sessions (token_hash, person, created_at_ms, expires_at_ms) VALUES ($1, $2, $3, $4)")
            .bind(token_hash.as_slice())
            .bind(person.as_bytes().as_slice())
            .bind(now_ms)
            .bind(expires_at_ms)
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    }

    async fn session(&self, token_hash: &[u8; 32], now_ms: i64) -> Result<Option<Person>, StoreError> {
        let sql = format!(
            "{PEOPLE} WHERE is_disabled = 0
             AND id = (SELECT person FROM sessions WHERE token_hash = $1 AND expires_at_ms > $2)"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(token_hash.as_slice()).bind(now_ms);
        query.fetch_optional(&self.readers).await?.as_ref().map(read_person).transpose()
    }

    async fn close_session(&self, token_hash: &[u8; 32]) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        sqlx::query("DELETE FROM sessions WHERE token_hash = $1").bind(token_hash.as_slice()).execute(&mut *tx).await?;
        tx.commit().await
    }

    async fn invite(&self, invitation: &Invitation, now_ms: i64) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        // One that nobody used in time is nobody's business any more.
        sqlx::query("DELETE FROM invitations WHERE expires_at_ms <= $1 AND device IS NULL")
            .bind(now_ms)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO invitations (code_hash, person, device_name, created_at_ms, expires_at_ms)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(invitation.code_hash.as_slice())
        .bind(invitation.person.as_bytes().as_slice())
        .bind(&invitation.device_name)
        .bind(now_ms)
        .bind(invitation.expires_at_ms)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    async fn invitation(&self, code_hash: &[u8; 32], now_ms: i64) -> Result<Option<Invitation>, StoreError> {
        let row = sqlx::query(
            "SELECT person, device_name, expires_at_ms FROM invitations
             WHERE code_hash = $1 AND device IS NULL AND expires_at_ms > $2",
        )
        .bind(code_hash.as_slice())
        .bind(now_ms)
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

    async fn redeem(&self, code_hash: &[u8; 32], device: &DeviceRecord, now_ms: i64) -> Result<bool, StoreError> {
        let mut tx = self.writer.begin().await?;
        let used = sqlx::query(
            "UPDATE invitations SET device = $2 WHERE code_hash = $1 AND device IS NULL AND expires_at_ms > $3",
        )
        .bind(code_hash.as_slice())
        .bind(device.id.as_bytes().as_slice())
        .bind(now_ms)
        .execute(&mut *tx)
        .await?;
        if used.rows_affected() == 0 {
            return Ok(false);
        }
        registry::put_device(&mut *tx, device, now_ms).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn append_audit(&self, entry: &AuditEntry, chain: Chain) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        let last = sqlx::query("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1");
        let (number, before) = match last.fetch_optional(&mut *tx).await? {
            Some(row) => (row.try_get::<i64, _>("number")? + 1, codec::hash32(&row, "hash")?),
            None => (1, [0; 32]),
        };
        sqlx::query(
            "INSERT INTO audit (number, at_ms, who, person, device, event, unit, detail, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(number)
        .bind(entry.at_ms)
        .bind(&entry.who)
        .bind(entry.person.map(|id| id.as_bytes().to_vec()))
        .bind(entry.device.map(|id| id.as_bytes().to_vec()))
        .bind(&entry.event)
        .bind(entry.unit.map(|id| id.as_bytes().to_vec()))
        .bind(&entry.detail)
        .bind(chain(&before, number, entry).as_slice())
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    async fn audit(&self, after: i64, count: i64) -> Result<Vec<AuditLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, at_ms, who, person, device, event, unit, detail, hash FROM audit
             WHERE number > $1 ORDER BY number LIMIT $2",
        )
        .bind(after)
        .bind(count)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(read_line).collect()
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

fn read_line(row: &SqliteRow) -> Result<AuditLine, StoreError> {
    let is_null = |column| row.try_get::<Option<&[u8]>, _>(column).map(|bytes| bytes.is_none());
    Ok(AuditLine {
        number: row.try_get("number")?,
        entry: AuditEntry {
            at_ms: row.try_get("at_ms")?,
            who: row.try_get("who")?,
            person: codec::person_id(row, "person")?,
            device: codec::some_device(row, "device")?,
            event: row.try_get("event")?,
            unit: if is_null("unit")? { None } else { Some(codec::unit_id(row, "unit")?) },
            detail: row.try_get("detail")?,
        },
        hash: codec::hash32(row, "hash")?,
    })
}
