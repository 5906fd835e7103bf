//! A hand on the database that is not the program's: tests shut tables with it, look at all that is stored, and write what an
//! earlier version or a wrong clock has left. Only they compile it; it is here since SQL is nowhere else.

use std::{collections::BTreeMap, path::Path};

use server::{audit::tree::Edge, store::AuditEntry};
use sqlx::{AssertSqlSafe, Row, SqlitePool};

/// A second way to a database.
pub struct Hand(SqlitePool);

impl Hand {
    /// On the database of this file, which has to be there.
    pub async fn on(path: &Path) -> anyhow::Result<Self> {
        Ok(Self(SqlitePool::connect(&format!("sqlite://{}", path.display())).await?))
    }

    /// Lets go of it.
    pub async fn close(self) {
        self.0.close().await;
    }

    /// Everything that is stored, table by table; without that an erasure was ordered, which stays whatever comes of it.
    pub async fn content(&self) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
        let mut content = BTreeMap::new();
        let tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\'";
        for table in sqlx::query_scalar::<_, String>(tables).fetch_all(&self.0).await? {
            let quoted = "group_concat('quote(\"' || name || '\")', '||'',''||')";
            let columns = format!("SELECT {quoted} FROM pragma_table_info('{table}')");
            let columns: String = sqlx::query_scalar(AssertSqlSafe(columns)).fetch_one(&self.0).await?;
            let rows = format!("SELECT {columns} AS row FROM \"{table}\" ORDER BY 1");
            let rows = sqlx::query(AssertSqlSafe(rows)).fetch_all(&self.0).await?;
            let mut rows: Vec<String> = rows.iter().map(|row| row.get("row")).collect();
            rows.retain(|row| !row.contains("'erasure-ordered'"));
            content.insert(table, rows);
        }
        Ok(content)
    }

    /// From now on, or not any more, nothing can be written to a table.
    pub async fn shut(&self, table: &str, is_shut: bool) -> anyhow::Result<()> {
        for when in ["INSERT", "UPDATE", "DELETE"] {
            let of = if table == "audit" && when == "INSERT" { "WHEN NEW.event != 'erasure-ordered'" } else { "" };
            let sql = if is_shut {
                format!(
                    "CREATE TRIGGER shut_{when} BEFORE {when} ON {table} {of} BEGIN SELECT RAISE(ABORT, 'shut'); END"
                )
            } else {
                format!("DROP TRIGGER shut_{when}")
            };
            sqlx::query(AssertSqlSafe(sql)).execute(&self.0).await?;
        }
        Ok(())
    }

    /// A session, or a one-time code for a device, that began then and goes on until another time.
    pub async fn begin(
        &self,
        is_session: bool,
        (hash, person): (&[u8], &[u8]),
        (begun_ms, until_ms): (i64, i64),
    ) -> anyhow::Result<()> {
        let sql = if is_session {
            "INSERT INTO sessions (token_hash, person, created_at_ms, expires_at_ms) VALUES ($1, $2, $3, $4)"
        } else {
            "INSERT INTO invitations (code_hash, person, device_name, created_at_ms, expires_at_ms)
             VALUES ($1, $2, '手机', $3, $4)"
        };
        let query = sqlx::query(sql).bind(hash).bind(person).bind(begun_ms).bind(until_ms);
        query.execute(&self.0).await?;
        Ok(())
    }

    /// Whoever was wrong lately is locked out until then.
    pub async fn lock_out(&self, until_ms: i64) -> anyhow::Result<()> {
        sqlx::query("UPDATE attempts SET locked_until_ms = $1").bind(until_ms).execute(&self.0).await?;
        Ok(())
    }

    /// The last time step of everybody's one-time codes.
    pub async fn last_step(&self, step: i64) -> anyhow::Result<()> {
        sqlx::query("UPDATE people SET totp_step = $1").bind(step).execute(&self.0).await?;
        Ok(())
    }

    /// Somebody is nothing but an auditor.
    pub async fn demote(&self, name: &str) -> anyhow::Result<()> {
        sqlx::query("UPDATE people SET role = 'auditor' WHERE name = $1").bind(name).execute(&self.0).await?;
        Ok(())
    }

    /// Every submitted return is approved, and nothing else says so.
    pub async fn approve(&self) -> anyhow::Result<()> {
        sqlx::query("UPDATE submissions SET state = 'approved'").execute(&self.0).await?;
        Ok(())
    }

    /// Two units stand under one another, as an earlier version let anybody write it.
    pub async fn circle(&self, one: &str, other: &str) -> anyhow::Result<()> {
        for (unit, above) in [(one, other), (other, one)] {
            sqlx::query("UPDATE units SET parent = (SELECT id FROM units WHERE code = $1) WHERE code = $2")
                .bind(above)
                .bind(unit)
                .execute(&self.0)
                .await?;
        }
        Ok(())
    }

    /// As if what was erased had not been swept.
    pub async fn unsweep(&self) -> anyhow::Result<()> {
        sqlx::query("INSERT INTO meta (key, value) VALUES ('unswept', x'01')").execute(&self.0).await?;
        Ok(())
    }

    /// Writes the audit log anew, as whoever owns the machine can: with these lines, hashed one behind the other, and with a tree
    /// over them.
    pub async fn rewrite(&self, lines: &[AuditEntry]) -> anyhow::Result<()> {
        let mut tx = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let triggers = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'";
        let triggers = sqlx::query(triggers).fetch_all(&mut *tx).await?;
        for trigger in &triggers {
            let name: &str = trigger.get("name");
            sqlx::query(AssertSqlSafe(format!("DROP TRIGGER {name}"))).execute(&mut *tx).await?;
        }
        sqlx::query("DELETE FROM audit").execute(&mut *tx).await?;
        let (mut before, mut edge) = ([0; 32], Edge::default());
        for (number, entry) in (1..).zip(lines) {
            let nodes = edge.push(entry.leaf(number)).concat();
            before = entry.chained(&before, number);
            sqlx::query(
                "INSERT INTO audit (number, at_ms, who, person, device, event, unit, detail, address, hash, nodes)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(number)
            .bind(entry.at_ms)
            .bind(&entry.who)
            .bind(entry.person.map(|id| id.as_bytes().to_vec()))
            .bind(entry.device.map(|id| id.as_bytes().to_vec()))
            .bind(&entry.event)
            .bind(entry.unit.map(|id| id.as_bytes().to_vec()))
            .bind(&entry.detail)
            .bind(&entry.address)
            .bind(before.to_vec())
            .bind(nodes)
            .execute(&mut *tx)
            .await?;
        }
        for trigger in &triggers {
            sqlx::query(AssertSqlSafe(trigger.get::<String, _>("sql"))).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Changes something of one line of the audit log, and nothing else.
    pub async fn scribble(&self, change: &str, line: i64) -> anyhow::Result<()> {
        let mut tx = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'audit'";
        for name in sqlx::query_scalar::<_, String>(triggers).fetch_all(&mut *tx).await? {
            sqlx::query(AssertSqlSafe(format!("DROP TRIGGER {name}"))).execute(&mut *tx).await?;
        }
        let sql = if change.is_empty() { "DELETE FROM audit".into() } else { format!("UPDATE audit SET {change}") };
        let sql = format!("{sql} WHERE number = {line} OR {line} = 0");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Whether something was erased and not swept.
    pub async fn is_unswept(&self) -> anyhow::Result<bool> {
        let unswept = "SELECT count(*) FROM meta WHERE key = 'unswept'";
        Ok(sqlx::query_scalar::<_, i64>(unswept).fetch_one(&self.0).await? > 0)
    }
}
