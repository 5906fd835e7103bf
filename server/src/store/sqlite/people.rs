//! People, sessions, invitations, audit.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row, sqlite::SqliteRow};
use sync_protocol::DeviceId;

use super::{SqliteStore, attempts, audit, codec, erase};
use crate::{
    audit::tree::{Hash, Node},
    auth::SESSION_MS,
    store::{
        Attempt, AuditEntry, AuditLine, Credentials, Failed, INVITATION_MS, Invitation, PeopleStore, Person, PersonId,
        Standing, StoreError,
    },
};

const PEOPLE: &str = "SELECT id, name, full_name, role, unit, is_handler, is_disabled, must_change, totp_confirmed,
                             password, totp, totp_step, last_password FROM people";

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
            last_password: row.try_get("last_password")?,
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

    async fn shut_totps(
        &self,
        length: usize,
        with: &(dyn for<'s> Fn(&'s [u8]) -> Result<Vec<u8>, StoreError> + Sync),
    ) -> Result<(), StoreError> {
        let of_length = i64::try_from(length).unwrap_or(i64::MAX);
        let select = "SELECT count(*) FROM people WHERE length(totp) = $1";
        let open: i64 = sqlx::query_scalar(select).bind(of_length).fetch_one(&self.readers).await?;
        if open == 0 {
            return Ok(());
        }
        let mut tx = self.writer.begin().await?;
        let rows = sqlx::query("SELECT id, totp FROM people WHERE length(totp) = $1").bind(of_length);
        for row in rows.fetch_all(&mut *tx).await? {
            let (id, secret): (Vec<u8>, Vec<u8>) = (row.try_get("id")?, row.try_get("totp")?);
            let shut = with(&secret)?;
            sqlx::query("UPDATE people SET totp = $2 WHERE id = $1").bind(id).bind(shut).execute(&mut *tx).await?;
        }
        erase::unswept(&mut tx).await?;
        tx.commit().await
    }

    async fn standing(&self, attempt: &Attempt) -> Result<Standing, StoreError> {
        attempts::standing(&self.readers, attempt).await
    }

    async fn failed(
        &self,
        attempt: &Attempt,
        failures_max: i64,
        locked_until_ms: i64,
        note: Option<&AuditEntry>,
    ) -> Result<Failed, StoreError> {
        let mut tx = self.writer.begin().await?;
        let failed = attempts::failed(&mut tx, attempt, failures_max, locked_until_ms).await?;
        if failed == Failed::Locked
            && let Some(note) = note
        {
            audit::append(&mut tx, note, None).await?;
        }
        tx.commit().await?;
        Ok(failed)
    }

    async fn forgive(&self, attempt: &Attempt) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        attempts::forgive(&mut tx, attempt).await?;
        tx.commit().await
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

    async fn close_session(&self, token_hash: &[u8; 32], note: &AuditEntry) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        let close = sqlx::query("DELETE FROM sessions WHERE token_hash = $1").bind(token_hash.as_slice());
        if close.execute(&mut *tx).await?.rows_affected() > 0 {
            audit::append(&mut tx, note, None).await?;
        }
        tx.commit().await
    }

    async fn invitation(&self, code_hash: &[u8; 32], now_ms: i64) -> Result<Option<Invitation>, StoreError> {
        let row = sqlx::query(
            "SELECT person, device_name, expires_at_ms, invited_by, inviter FROM invitations
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
            let invited_by = row.try_get::<Option<String>, _>("invited_by")?.unwrap_or_default();
            let inviter = codec::person_id(&row, "inviter")?;
            Ok(Invitation { code_hash: *code_hash, person, device_name, expires_at_ms, invited_by, inviter })
        };
        row.map(read).transpose()
    }

    async fn recovered(
        &self,
        code_hash: &[u8; 32],
        nonce_hash: &[u8; 32],
        now_ms: i64,
    ) -> Result<Option<DeviceId>, StoreError> {
        let row = sqlx::query(
            "SELECT i.device FROM invitations i JOIN people p ON p.id = i.person AND p.is_disabled = 0
             WHERE i.code_hash = $1 AND i.nonce_hash = $2 AND i.expires_at_ms > $3
               AND i.created_at_ms <= $3 AND i.created_at_ms > $3 - $4",
        )
        .bind(code_hash.as_slice())
        .bind(nonce_hash.as_slice())
        .bind(now_ms)
        .bind(INVITATION_MS)
        .fetch_optional(&self.readers)
        .await?;
        row.map(|row| codec::device_id(&row, "device")).transpose()
    }

    async fn append_audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        audit::append(&mut tx, entry, None).await?;
        tx.commit().await
    }

    async fn audit(&self, after: i64, count: i64) -> Result<Vec<AuditLine>, StoreError> {
        audit::lines(&self.readers, after, count).await
    }

    async fn audit_lines(&self) -> Result<u64, StoreError> {
        audit::count(&self.readers).await
    }

    async fn audit_nodes(&self, nodes: &[Node]) -> Result<Vec<Hash>, StoreError> {
        audit::nodes(&self.readers, nodes).await
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
