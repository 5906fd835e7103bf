//! What is kept no longer than the county has said: of a record that was closed so many days ago, what the restricted books hold
//! of it is erased, as if somebody had ordered it. The record itself stays and goes on counting.

use std::time::Duration;

use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use sync_protocol::{
    UnitId,
    catalogue::{Catalogue, ColumnType},
    document::RowKey,
};

use crate::{
    Server,
    audit::By,
    clock,
    erasure::{self, ErasureError, Extent, Order},
    store::StoreError,
};

/// How often it is looked for.
const INTERVAL: Duration = Duration::from_hours(24);
/// Erased in one go: each sweeps the file of the database, and what is left has its turn the next day.
const AT_ONCE_MAX: usize = 100;

/// One line of the schedule, as `taizhang.toml` has it.
///
/// ```toml
/// [[retention]]
/// ledger = "citizen-requests"
/// after = "evaluated_on"
/// days = 365
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Catalogue id of the ledger.
    pub ledger: String,
    /// The date from which it counts. A record without one is kept.
    pub after: String,
    /// Days that restricted columns are kept from then on.
    pub days: u32,
}

impl Retention {
    /// Whether it can be followed.
    pub fn check(&self, catalogue: &Catalogue) -> anyhow::Result<()> {
        let Self { ledger: id, after, days } = self;
        let ledger = catalogue.ledger(id);
        let ledger =
            ledger.ok_or_else(|| anyhow::anyhow!("没有台账 `{id}`，见 taizhang catalogue show | no such ledger"))?;
        let column = ledger.column(after).filter(|column| {
            matches!(column.column_type, ColumnType::Date | ColumnType::PDate) && ledger.book_of(column) == ledger.book
        });
        anyhow::ensure!(
            column.is_some(),
            "台账 `{id}` 没有可用的日期列 `{after}` | `{after}` is no date of ledger `{id}` that everybody may read"
        );
        let is_restricted = ledger.columns.iter().any(|column| ledger.book_of(column).is_restricted());
        anyhow::ensure!(is_restricted, "台账 `{id}` 没有敏感列可清除 | ledger `{id}` has no restricted columns");
        anyhow::ensure!(*days > 0, "保存天数应大于0 | days must be more than 0");
        Ok(())
    }
}

/// A record of which something is kept for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// Whose record.
    pub unit: UnitId,
    /// It.
    pub record: RowKey,
    /// Until when it was to be kept.
    pub until: Date,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Records that were erased.
    pub erased: usize,
    /// Those that were not, with why not.
    pub left: Vec<(RowKey, String)>,
}

/// The last day that a date of whatever precision may mean; none, if it is no date.
fn last_day(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let year: i16 = parts.next()?.parse().ok()?;
    match (parts.next(), parts.next()) {
        (None, _) => Date::new(year, 12, 31).ok(),
        (Some(month), None) => Some(Date::new(year, month.parse().ok()?, 1).ok()?.last_of_month()),
        (Some(_), Some(_)) => text.parse().ok(),
    }
}

/// The records of which restricted columns were to be kept until before this day, those of one unit after the other.
pub async fn overdue(server: &Server, schedule: &[Retention], today: Date) -> Result<Vec<Overdue>, StoreError> {
    let mut overdue: Vec<Overdue> = Vec::new();
    for (identity, _) in server.store.all_identities().await? {
        let rules = schedule.iter().filter(|rule| {
            let ledger = server.catalogue.ledger(&rule.ledger);
            ledger.is_some_and(|ledger| ledger.book.restricted() == identity.book)
        });
        for rule in rules {
            let rows = server.store.rows(&rule.ledger, &identity.period, &[identity.unit]).await?;
            let until = |cells: &str| {
                let cells: serde_json::Value = serde_json::from_str(cells).ok()?;
                last_day(cells.get(&rule.after)?.as_str()?)?.checked_add(i64::from(rule.days).days()).ok()
            };
            let mut late: Vec<Overdue> = rows
                .iter()
                .filter(|row| !row.book.is_restricted())
                .filter_map(|row| {
                    let record = RowKey { ledger: rule.ledger.clone(), row: row.row };
                    Some(Overdue { unit: row.unit, record, until: until(&row.cells)? })
                })
                .filter(|late| late.until < today)
                .collect();
            if !late.is_empty() {
                let held = erasure::mentioned(server, &identity).await?;
                late.retain(|late| held.contains(&late.record));
            }
            overdue.extend(late);
        }
    }
    overdue.sort_by_key(|late| (late.unit, late.until));
    overdue.dedup_by(|a, b| a.record == b.record && a.unit == b.unit);
    Ok(overdue)
}

/// Erases it.
pub async fn erase(server: &Server, overdue: &[Overdue], by: &By) -> Done {
    let mut done = Done::default();
    for Overdue { unit, record, .. } in overdue {
        let order = Order { by: by.clone(), reason: "保存期满", extent: Extent::Restricted };
        match Box::pin(erasure::erase(server, *unit, record, order)).await {
            Ok(_) | Err(ErasureError::Before) => done.erased += 1,
            Err(error) => done.left.push((record.clone(), error.to_string())),
        }
    }
    done
}

/// Follows the schedule now and every day.
pub async fn keep(server: Server, schedule: Vec<Retention>) {
    while !schedule.is_empty() {
        match overdue(&server, &schedule, clock::today()).await {
            Ok(overdue) if overdue.is_empty() => {}
            Ok(overdue) => {
                let (now, later) = overdue.split_at(overdue.len().min(AT_ONCE_MAX));
                let Done { erased, left } = erase(&server, now, &By::from("taizhang")).await;
                tracing::info!(
                    erased,
                    later = later.len(),
                    "restricted columns were kept for as long as the county has said"
                );
                for (record, why) in left {
                    tracing::warn!(ledger = record.ledger, row = %record.row, why, "not erased though its time is over");
                }
            }
            Err(error) => tracing::error!(%error, "what is kept for too long was not looked for"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_ends_with_the_last_day_that_it_may_mean() {
        for (text, expected) in [
            ("2012-02-14", Some("2012-02-14")),
            ("2012-02", Some("2012-02-29")),
            ("2011", Some("2011-12-31")),
            ("2012-13", None),
            ("去年", None),
            ("", None),
        ] {
            assert_eq!(last_day(text).map(|day| day.to_string()).as_deref(), expected, "{text}");
        }
    }
}
