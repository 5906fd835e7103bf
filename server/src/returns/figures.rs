//! Counting: sums of tallies, by reporting unit and by group. No row is read for a figure.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::{
    Row, UnitId,
    catalogue::{Content, Group, ReturnForm, Variables},
    unit::{Unit, UnitLevel},
};

use super::{ReturnError, at_and_below};
use crate::{
    Server, projection,
    store::{StoredRow, SumOf},
};

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

/// Sums every measure that the form prints.
pub async fn figures(
    server: &Server,
    top: UnitId,
    form: &ReturnForm,
    variables: &Variables,
) -> Result<Figures, ReturnError> {
    // Stored key → measure id, for the chosen variables.
    let keys: BTreeMap<String, &str> =
        used(form).into_iter().filter_map(|id| Some((server.catalogue.measure(id)?.key(variables), id))).collect();
    let measures: Vec<String> = keys.keys().cloned().collect();
    let period = server.period();
    let sums = server.store.sums_by_unit(top, UnitLevel::ReportingUnit, &period, &measures).await?;
    let mut by_unit: BTreeMap<UnitId, Counts> = BTreeMap::new();
    for sum in sums {
        if let (SumOf::Unit(unit), Some(id)) = (sum.of, keys.get(&sum.measure)) {
            *by_unit.entry(unit).or_default().entry((*id).to_owned()).or_default() += sum.value;
        }
    }
    let groups: Vec<String> = (0..form.groups.len()).map(|index| Group::measure_id(&form.id, index)).collect();
    let mut by_group = vec![Counts::new(); groups.len()];
    if !groups.is_empty() {
        for sum in server.store.sums_by_group(top, &groups, &period, &measures).await? {
            if let (SumOf::Group(group), Some(id)) = (sum.of, keys.get(&sum.measure))
                && let Some(index) = groups.iter().position(|known| *known == group)
            {
                *by_group[index].entry((*id).to_owned()).or_default() += sum.value;
            }
        }
    }
    let units = at_and_below(server.store.units().await?, top);
    let reporting = units.into_iter().filter(|unit| unit.level == UnitLevel::ReportingUnit);
    let by_unit = reporting.map(|unit| {
        let counts = by_unit.remove(&unit.id).unwrap_or_default();
        (unit, counts)
    });
    Ok(Figures { by_unit: by_unit.collect(), by_group })
}

/// The rows of a ledger by unit, removed ones too: open and restricted cells joined.
pub(crate) async fn read(
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
        by_unit.entry(unit).or_default().push(row);
    }
    Ok(by_unit)
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
