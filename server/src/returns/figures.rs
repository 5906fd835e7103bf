//! Counting: measures over the rows of the projection, by reporting unit and by group.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::{
    Row, UnitId,
    catalogue::{Aggregate, Content, Group, Measure, ReturnForm, Variables},
    unit::{Unit, UnitLevel},
};

use super::ReturnError;
use crate::{Server, projection, store::StoredRow};

/// Units whose rows are in memory at once.
const UNITS_PER_CHUNK: usize = 100;

/// Measure id → value.
pub type Counts = BTreeMap<String, i64>;

/// The figures of a return.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Reporting units in official order.
    pub by_unit: Vec<(Unit, Counts)>,
    /// The form's groups.
    pub by_group: Vec<Counts>,
}

/// Counts every measure that the form prints.
pub async fn figures(server: &Server, form: &ReturnForm, variables: &Variables) -> Result<Figures, ReturnError> {
    let measures: Vec<&Measure> = used(form).iter().filter_map(|id| server.catalogue.measure(id)).collect();
    let ledgers: BTreeSet<&str> = measures.iter().map(|m| m.ledger.as_str()).collect();
    let units = server.store.units().await?;
    let parents: BTreeMap<UnitId, Option<UnitId>> = units.iter().map(|unit| (unit.id, unit.parent)).collect();
    let reporting: Vec<&Unit> = units.iter().filter(|unit| unit.level == UnitLevel::ReportingUnit).collect();
    let mut by_unit: BTreeMap<UnitId, Counts> = reporting.iter().map(|unit| (unit.id, Counts::new())).collect();
    let mut by_group = vec![Counts::new(); form.groups.len()];
    let ids: Vec<UnitId> = units.iter().map(|unit| unit.id).collect();
    for chunk in ids.chunks(UNITS_PER_CHUNK) {
        let groups = groups_of(server, chunk, &form.groups, variables).await?;
        for ledger in &ledgers {
            for (unit, rows) in read(server, ledger, chunk).await? {
                let owner = reporting_unit(unit, &parents, &by_unit);
                for measure in measures.iter().filter(|m| m.ledger == **ledger) {
                    let value = count(measure, &rows, variables);
                    if value == 0 {
                        continue;
                    }
                    if let Some(counts) = owner.and_then(|owner| by_unit.get_mut(&owner)) {
                        *counts.entry(measure.id.clone()).or_default() += value;
                    }
                    for group in groups.get(&unit).into_iter().flatten() {
                        *by_group[*group].entry(measure.id.clone()).or_default() += value;
                    }
                }
            }
        }
    }
    let by_unit =
        reporting.into_iter().map(|unit| (unit.clone(), by_unit.remove(&unit.id).unwrap_or_default())).collect();
    Ok(Figures { by_unit, by_group })
}

/// The rows of a ledger by unit: open and restricted cells joined, removed rows left out.
pub(super) async fn read(
    server: &Server,
    ledger: &str,
    units: &[UnitId],
) -> Result<BTreeMap<UnitId, Vec<Row>>, ReturnError> {
    let stored = server.store.rows(ledger, &server.period(), units).await?;
    let mut joined: BTreeMap<(UnitId, sync_protocol::RowId), Row> = BTreeMap::new();
    for StoredRow { unit, row, cells, removed, .. } in stored {
        let joined = joined.entry((unit, row)).or_insert_with(|| Row::new(row));
        joined.removed |= removed;
        joined.cells.extend(projection::cells(&cells)?);
    }
    let mut by_unit: BTreeMap<UnitId, Vec<Row>> = BTreeMap::new();
    for ((unit, _), row) in joined {
        if !row.removed {
            by_unit.entry(unit).or_default().push(row);
        }
    }
    Ok(by_unit)
}

/// Which groups each unit counts in, by its row in `organisations`.
async fn groups_of(
    server: &Server,
    units: &[UnitId],
    groups: &[Group],
    variables: &Variables,
) -> Result<BTreeMap<UnitId, Vec<usize>>, ReturnError> {
    if groups.is_empty() {
        return Ok(BTreeMap::new());
    }
    let organisations = read(server, "organisations", units).await?;
    let of = |rows: Vec<Row>| -> Vec<usize> {
        (0..groups.len()).filter(|g| rows.iter().any(|row| groups[*g].condition.holds(row, variables))).collect()
    };
    Ok(organisations.into_iter().map(|(unit, rows)| (unit, of(rows))).collect())
}

fn count(measure: &Measure, rows: &[Row], variables: &Variables) -> i64 {
    let counted = rows.iter().filter(|row| measure.condition.as_ref().is_none_or(|c| c.holds(row, variables)));
    match &measure.aggregate {
        Aggregate::Rows => i64::try_from(counted.count()).unwrap_or(i64::MAX),
        Aggregate::Units => i64::from(counted.count() > 0),
        Aggregate::Sum(column) => counted
            .map(|row| match row.get(column) {
                Some(sync_protocol::Value::Int(number)) => *number,
                _ => 0,
            })
            .fold(0, i64::saturating_add),
    }
}

fn reporting_unit(
    unit: UnitId,
    parents: &BTreeMap<UnitId, Option<UnitId>>,
    reporting: &BTreeMap<UnitId, Counts>,
) -> Option<UnitId> {
    // A tree of three levels; the bound is for a register that was damaged into a circle.
    let mut at = Some(unit);
    for _ in 0..16 {
        let id = at?;
        if reporting.contains_key(&id) {
            return Some(id);
        }
        at = parents.get(&id).copied().flatten();
    }
    None
}

/// The measures that a form needs.
fn used(form: &ReturnForm) -> BTreeSet<&str> {
    form.columns
        .iter()
        .flat_map(|column| match &column.content {
            Content::Measure(id) => vec![id.as_str()],
            Content::Share { over, under } => vec![over.as_str(), under.as_str()],
            Content::Sequence | Content::Group | Content::Ratio { .. } => Vec::new(),
        })
        .collect()
}
