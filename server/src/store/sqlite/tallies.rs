//! Each unit's own counts: kept up to date by the writer, summed by readers.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};
use sync_protocol::{UnitId, unit::UnitLevel};

use super::{
    codec::{self, placeholders},
    document_key::{Place, is_sealed_text},
    document_keys::DocumentKeys,
    group::for_rows,
    registry,
    tx::Writer,
};
use crate::store::{Concerned, RowCount, StoreError, SumOf, Tally, TallyRow, TallySum};

/// A unit and a period.
pub(super) type UnitPeriod<'a> = (UnitId, &'a str);
/// Measure key, what it is kept apart by, value.
pub(super) type Counted = (String, String, i64);

/// Keys in one DELETE.
const KEYS_PER_DELETE: usize = 500;

/// Counts anew what a change concerns of a unit, from its stored rows, inside the transaction that changed it.
pub(super) async fn count(
    tx: &mut SqliteConnection,
    tally: &dyn Tally,
    keys: &DocumentKeys,
    (unit, period): (UnitId, &str),
    concerned: &Concerned,
) -> Result<(), StoreError> {
    if concerned.measures.is_empty() {
        return Ok(());
    }
    let ledgers = &concerned.ledgers;
    // CROSS JOIN fixes the order: from the unit's few documents to their rows, never through all rows of a ledger.
    let sql = format!(
        "SELECT d.unit, d.book, d.period, r.ledger, r.row, r.cells, r.removed FROM documents d
         CROSS JOIN rows r ON r.document = d.number WHERE d.unit = $1 AND d.period = $2 AND r.ledger IN ({})",
        placeholders(3, ledgers.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(unit.as_bytes().as_slice()).bind(period);
    for ledger in ledgers {
        query = query.bind(ledger);
    }
    let rows = query.fetch_all(&mut *tx).await?;
    let cells = rows.iter().map(|row| cells(keys, row)).collect::<Result<Vec<_>, _>>()?;
    let rows = rows.iter().zip(&cells).map(|(row, cells)| counted(row, cells)).collect::<Result<Vec<_>, _>>()?;
    let tallies = tally.tally(period, &rows, concerned)?;
    replace(tx, (unit, period), concerned, tallies).await
}

/// The cells of a row that comes with what its document is of.
pub(super) fn cells(keys: &DocumentKeys, row: &SqliteRow) -> Result<String, StoreError> {
    let text: String = row.try_get("cells")?;
    // Most rows are open: whose they are is asked of the others.
    if !is_sealed_text(&text) {
        return Ok(text);
    }
    let place = Place::Cells(row.try_get("ledger")?, codec::row_id(row, "row")?);
    keys.open_text(&codec::identity(row)?, place, text)
}

/// A row as it is counted.
pub(super) fn counted<'a>(row: &'a SqliteRow, cells: &'a str) -> Result<TallyRow<'a>, StoreError> {
    let (ledger, removed) = (row.try_get("ledger")?, row.try_get("removed")?);
    Ok(TallyRow { ledger, row: codec::row_id(row, "row")?, cells, removed })
}

/// Puts a unit's tallies in the place of those it had.
async fn replace(
    tx: &mut SqliteConnection,
    (unit, period): (UnitId, &str),
    concerned: &Concerned,
    tallies: Vec<Counted>,
) -> Result<(), StoreError> {
    for keys in concerned.keys.chunks(KEYS_PER_DELETE) {
        let marks = placeholders(3, keys.len());
        let sql = format!("DELETE FROM tallies WHERE unit = $1 AND period = $2 AND measure IN ({marks})");
        let mut delete = sqlx::query(AssertSqlSafe(sql)).bind(unit.as_bytes().as_slice()).bind(period);
        for key in keys {
            delete = delete.bind(key);
        }
        delete.execute(&mut *tx).await?;
    }
    let tallies: Vec<_> = tallies.into_iter().map(|tally| ((unit, period), tally)).collect();
    insert(tx, &tallies).await
}

/// Keeps tallies of units that have none yet.
pub(super) async fn insert(tx: &mut SqliteConnection, tallies: &[(UnitPeriod<'_>, Counted)]) -> Result<(), StoreError> {
    let insert = |values: &str| format!("INSERT INTO tallies (measure, period, unit, by, value) VALUES {values}");
    for_rows(tx, tallies, "(?, ?, ?, ?, ?)", insert, |query, ((unit, period), (measure, by, value))| {
        query.bind(measure).bind(*period).bind(unit.as_bytes().as_slice()).bind(by).bind(*value)
    })
    .await
}

/// Counts every unit anew when the measures are not those of last time.
pub(super) async fn rebuild_if_changed(
    writer: &Writer,
    tally: &dyn Tally,
    keys: &Arc<DocumentKeys>,
) -> Result<(), StoreError> {
    let fingerprint = tally.fingerprint();
    let known: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT value FROM meta WHERE key = 'tallies'").fetch_optional(writer.outside()).await?;
    if known.as_deref() == Some(&fingerprint) {
        return Ok(());
    }
    match rebuild(writer, tally, keys).await {
        // It is counted when the key is there again; until then everything else can be used.
        Err(error @ StoreError::KeyGone) => {
            tracing::warn!(%error, "nothing was counted anew");
            Ok(())
        }
        rebuilt => rebuilt,
    }
}

/// Counts every unit anew.
pub(super) async fn rebuild(writer: &Writer, tally: &dyn Tally, keys: &DocumentKeys) -> Result<(), StoreError> {
    let fingerprint = tally.fingerprint();
    let mut tx = writer.begin().await?;
    let units = sqlx::query("SELECT DISTINCT unit, period FROM documents").fetch_all(&mut *tx).await?;
    sqlx::query("DELETE FROM tallies").execute(&mut *tx).await?;
    let all = tally.concerned(None);
    for row in units {
        count(&mut tx, tally, keys, (codec::unit_id(&row, "unit")?, row.try_get("period")?), &all).await?;
    }
    sqlx::query("INSERT INTO meta (key, value) VALUES ('tallies', $1) ON CONFLICT (key) DO UPDATE SET value = $1")
        .bind(fingerprint.as_slice())
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

/// Characters of one step of a path: an id and its slash.
const STEP: i64 = 37;

/// From tallies to units, never the other way: zeros are not kept, so that most measures are short.
pub(super) async fn sums_by_unit(
    pool: &SqlitePool,
    top: UnitId,
    level: UnitLevel,
    period: &str,
    measures: &[String],
) -> Result<Vec<TallySum>, StoreError> {
    let Some(path) = registry::path(pool, top).await? else { return Ok(Vec::new()) };
    let length = match level {
        UnitLevel::County => i64::try_from(path.len()).unwrap_or(i64::MAX),
        UnitLevel::ReportingUnit => 2 * STEP,
        UnitLevel::Organisation => 3 * STEP,
    };
    let sql = format!(
        "SELECT substr(u.path, 1, $1) AS path, t.measure, t.by, sum(t.value) AS value
         FROM tallies t CROSS JOIN units u ON u.id = t.unit
         WHERE t.period = $2 AND u.path >= $3 AND u.path < $4 AND length(u.path) >= $1 AND t.measure IN ({})
         GROUP BY 1, 2, 3",
        placeholders(5, measures.len())
    );
    let mut query =
        sqlx::query(AssertSqlSafe(sql)).bind(length).bind(period).bind(&path).bind(registry::subtree_end(&path));
    for measure in measures {
        query = query.bind(measure);
    }
    let rows = query.fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            let path: &str = row.try_get("path")?;
            let unit = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            let unit = unit.parse().map_err(|_| StoreError::Damaged(format!("path `{path}`")))?;
            Ok(TallySum {
                of: SumOf::Unit(unit),
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
    let Some(path) = registry::path(pool, top).await? else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT g.measure AS of_group, t.measure, t.by, sum(t.value) AS value
         FROM tallies g CROSS JOIN units u ON u.id = g.unit
         CROSS JOIN tallies t ON t.unit = g.unit AND t.period = $1
         WHERE g.period = $1 AND u.path >= $2 AND u.path < $3 AND g.measure IN ({}) AND t.measure IN ({})
         GROUP BY g.measure, t.measure, t.by",
        placeholders(4, groups.len()),
        placeholders(4 + groups.len(), measures.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(period).bind(&path).bind(registry::subtree_end(&path));
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

/// Rows stand in an open book, in its restricted twin, or in both; what state they are in stands in the open one, where cells are
/// never sealed.
pub(super) async fn row_counts(
    pool: &SqlitePool,
    ledgers: &[String],
    period: &str,
) -> Result<Vec<RowCount>, StoreError> {
    let sql = format!(
        "SELECT unit, ledger, count(*) AS rows, sum(state IN ('draft', 'returned')) AS unreviewed FROM (
             SELECT d.unit, r.ledger, r.row, max(r.removed) AS removed,
                 coalesce(max(CASE WHEN r.cells LIKE '{{%' THEN r.cells ->> '$.\"@state\"' END), '') AS state
             FROM documents d CROSS JOIN rows r ON r.document = d.number
             WHERE d.period = $1 AND r.ledger IN ({}) GROUP BY d.unit, r.ledger, r.row)
         WHERE removed = 0 AND state <> 'void' GROUP BY unit, ledger",
        placeholders(2, ledgers.len())
    );
    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(period);
    for ledger in ledgers {
        query = query.bind(ledger);
    }
    let rows = query.fetch_all(pool).await?;
    let one = |row: &SqliteRow| {
        Ok(RowCount {
            unit: codec::unit_id(row, "unit")?,
            ledger: row.try_get("ledger")?,
            rows: row.try_get("rows")?,
            unreviewed: row.try_get("unreviewed")?,
        })
    };
    rows.iter().map(one).collect()
}
