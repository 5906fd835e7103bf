//! Each unit's own counts: kept up to date by the writer, summed by readers.

use sqlx::{AssertSqlSafe, Row, SqliteConnection, SqlitePool};
use sync_protocol::{UnitId, unit::UnitLevel};

use super::codec::{self, placeholders};
use crate::store::{StoreError, SumOf, Tally, TallyRow, TallySum};

/// Tallies in one INSERT.
const TALLIES_PER_INSERT: usize = 100;

/// Counts a unit anew from its stored rows, inside the transaction that changed it.
pub(super) async fn count(
    tx: &mut SqliteConnection,
    tally: &dyn Tally,
    unit: UnitId,
    period: &str,
) -> Result<(), StoreError> {
    let ledgers = tally.ledgers();
    // CROSS JOIN fixes the order: from the unit's few documents to their rows, never through all rows of a ledger.
    let sql = format!(
        "SELECT r.ledger, r.row, r.cells, r.removed FROM documents d CROSS JOIN rows r ON r.document = d.number
         WHERE d.unit = $1 AND d.period = $2 AND r.ledger IN ({})",
        placeholders(3, ledgers.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(unit.as_bytes().as_slice()).bind(period);
    for ledger in ledgers {
        query = query.bind(ledger);
    }
    let rows = query.fetch_all(&mut *tx).await?;
    let rows = rows.iter().map(|row| {
        Ok(TallyRow {
            ledger: row.try_get("ledger")?,
            row: codec::row_id(row)?,
            cells: row.try_get("cells")?,
            removed: row.try_get("removed")?,
        })
    });
    let rows = rows.collect::<Result<Vec<_>, StoreError>>()?;
    let tallies = tally.tally(&rows)?;
    replace(tx, unit, period, &tallies).await
}

/// Puts a unit's tallies in the place of those it had.
pub(super) async fn replace(
    tx: &mut SqliteConnection,
    unit: UnitId,
    period: &str,
    tallies: &[(String, String, i64)],
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM tallies WHERE unit = $1 AND period = $2")
        .bind(unit.as_bytes().as_slice())
        .bind(period)
        .execute(&mut *tx)
        .await?;
    for tallies in tallies.chunks(TALLIES_PER_INSERT) {
        let values = vec!["(?, ?, ?, ?, ?)"; tallies.len()].join(", ");
        let sql = format!("INSERT INTO tallies (measure, period, unit, by, value) VALUES {values}");
        let mut insert = sqlx::query(AssertSqlSafe(sql));
        for (measure, by, value) in tallies {
            insert = insert.bind(measure).bind(period).bind(unit.as_bytes().as_slice()).bind(by).bind(*value);
        }
        insert.execute(&mut *tx).await?;
    }
    Ok(())
}

/// Counts every unit anew when the measures are not those of last time.
pub(super) async fn rebuild_if_changed(pool: &SqlitePool, tally: &dyn Tally) -> Result<(), StoreError> {
    let fingerprint = tally.fingerprint();
    let known: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT value FROM meta WHERE key = 'tallies'").fetch_optional(pool).await?;
    if known.as_deref() == Some(&fingerprint) {
        return Ok(());
    }
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let units = sqlx::query("SELECT DISTINCT unit, period FROM documents").fetch_all(&mut *tx).await?;
    sqlx::query("DELETE FROM tallies").execute(&mut *tx).await?;
    for row in units {
        count(&mut tx, tally, codec::unit_id(&row, "unit")?, row.try_get("period")?).await?;
    }
    sqlx::query("INSERT INTO meta (key, value) VALUES ('tallies', $1) ON CONFLICT (key) DO UPDATE SET value = $1")
        .bind(fingerprint.as_slice())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn sums_by_unit(
    pool: &SqlitePool,
    top: UnitId,
    level: UnitLevel,
    period: &str,
    measures: &[String],
) -> Result<Vec<TallySum>, StoreError> {
    // A unit's own subtree is a range of paths; '0' follows '/' in ASCII.
    let sql = format!(
        "SELECT g.id AS unit, t.measure, t.by, sum(t.value) AS value
         FROM units top
         JOIN units g ON g.path >= top.path AND g.path < rtrim(top.path, '/') || '0' AND (g.level = $2 OR g.id = top.id AND $2 = '')
         JOIN units u ON u.path >= g.path AND u.path < rtrim(g.path, '/') || '0'
         JOIN tallies t ON t.unit = u.id AND t.period = $3
         WHERE top.id = $1 AND t.measure IN ({})
         GROUP BY g.id, t.measure, t.by",
        placeholders(4, measures.len())
    );
    let level = if level == UnitLevel::County { "" } else { level.as_str() };
    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(top.as_bytes().as_slice()).bind(level).bind(period);
    for measure in measures {
        query = query.bind(measure);
    }
    let rows = query.fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            Ok(TallySum {
                of: SumOf::Unit(codec::unit_id(row, "unit")?),
                measure: row.try_get("measure")?,
                by: row.try_get("by")?,
                value: row.try_get("value")?,
            })
        })
        .collect()
}

pub(super) async fn sums_by_group(
    pool: &SqlitePool,
    top: UnitId,
    groups: &[String],
    period: &str,
    measures: &[String],
) -> Result<Vec<TallySum>, StoreError> {
    let sql = format!(
        "SELECT g.measure AS of_group, t.measure, t.by, sum(t.value) AS value
         FROM units top
         JOIN units u ON u.path >= top.path AND u.path < rtrim(top.path, '/') || '0'
         JOIN tallies g ON g.unit = u.id AND g.period = $2
         JOIN tallies t ON t.unit = u.id AND t.period = $2
         WHERE top.id = $1 AND g.measure IN ({}) AND t.measure IN ({})
         GROUP BY g.measure, t.measure, t.by",
        placeholders(3, groups.len()),
        placeholders(3 + groups.len(), measures.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(top.as_bytes().as_slice()).bind(period);
    for measure in groups.iter().chain(measures) {
        query = query.bind(measure);
    }
    let rows = query.fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            Ok(TallySum {
                of: SumOf::Group(row.try_get("of_group")?),
                measure: row.try_get("measure")?,
                by: row.try_get("by")?,
                value: row.try_get("value")?,
            })
        })
        .collect()
}
