//! Counting as of a day. A measure that says the same on every day is kept as tallies, which the store sums; one that names
//! the statistics date or looks beyond its unit is counted from rows when it is asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::civil::Date;
use sync_protocol::{
    Row, RowId, UnitId, Value,
    catalogue::{Around, Measure, Reach, UnitRows, Variables},
    row::STATE,
    unit::{Unit, UnitLevel},
};

use crate::{
    Server, periods,
    store::{StoreError, StoredRow, SumOf, TallySum},
    tallies::join,
};

/// The variable for the length of the period that a return looks back on, a code of the list of the same name.
const SPAN: &str = "report_span";

/// A measure, with the key for what was chosen.
pub(crate) type Keyed<'a> = (&'a Measure, String);

/// The variables that are bound to a day.
pub(crate) fn bind(variables: &mut Variables, date: Date) {
    let month = date.month();
    let first = match variables.get(SPAN).and_then(Value::as_text) {
        Some("month") => month,
        Some("quarter") => (month - 1) / 3 * 3 + 1,
        Some("half") => (month - 1) / 6 * 6 + 1,
        _ => 1,
    };
    let since = Date::new(date.year(), first, 1).unwrap_or(date);
    variables.insert("statistics_date".into(), Value::Text(date.to_string()));
    variables.insert("period_start".into(), Value::Text(since.to_string()));
}

/// The variables of a measure for a key, on a day.
pub(crate) fn bound(server: &Server, (measure, key): &Keyed<'_>, date: Date) -> Option<Variables> {
    let instances = measure.instances(&server.catalogue, server.campaign_year);
    let mut variables = instances.into_iter().find(|instance| instance.key == *key)?.variables;
    bind(&mut variables, date);
    Some(variables)
}

/// What measures come to, for each unit of a level at and below `top`.
pub(crate) async fn sums(
    server: &Server,
    top: UnitId,
    level: UnitLevel,
    date: Date,
    measures: &[Keyed<'_>],
) -> Result<Vec<TallySum>, StoreError> {
    let (live, kept): (Vec<_>, Vec<_>) = measures.iter().partition(|(measure, _)| measure.is_live());
    let keys: Vec<String> = kept.into_iter().map(|(_, key)| key.clone()).collect();
    let mut sums = Vec::new();
    if !keys.is_empty() {
        sums = server.store.sums_by_unit(top, level, &server.period(), &keys).await?;
    }
    if live.is_empty() {
        return Ok(sums);
    }
    let units = server.store.units().await?;
    let by_id: HashMap<UnitId, &Unit> = units.iter().map(|unit| (unit.id, unit)).collect();
    let above = |id: UnitId| {
        let mut unit = by_id.get(&id).copied();
        while let Some(found) = unit.filter(|unit| unit.level != level) {
            unit = found.parent.and_then(|parent| by_id.get(&parent).copied());
        }
        unit.map(|unit| unit.id)
    };
    for Counted { unit, measure, by, value } in counted(server, &units, top, date, &live).await? {
        let of = if level == UnitLevel::County { Some(top) } else { above(unit) };
        sums.extend(of.map(|of| TallySum { of: SumOf::Unit(of), measure, by, value }));
    }
    Ok(sums)
}

/// What a measure comes to in a unit.
pub(crate) struct Counted {
    pub(crate) unit: UnitId,
    pub(crate) measure: String,
    pub(crate) by: String,
    pub(crate) value: i64,
}

/// Ledger → columns that are read.
type Columns = HashMap<String, BTreeSet<String>>;

/// Counts measures in every unit at and below `top`, from rows: those of the year before where a measure is about that, and
/// there is one.
pub(crate) async fn counted(
    server: &Server,
    units: &[Unit],
    top: UnitId,
    date: Date,
    measures: &[&Keyed<'_>],
) -> Result<Vec<Counted>, StoreError> {
    let (before, own): (Vec<&Keyed<'_>>, Vec<_>) =
        measures.iter().copied().partition(|(measure, _)| measure.year_before);
    let mut found = of_year((server, server), units, top, date, &own).await?;
    if !before.is_empty() {
        let kept = periods::before(server).await?;
        found.extend(of_year((server, kept.as_ref().unwrap_or(server)), units, top, date, &before).await?);
    }
    Ok(found)
}

/// Counts measures of one year from the rows of one, of this or another: one reporting unit after the other.
async fn of_year(
    (server, kept): (&Server, &Server),
    units: &[Unit],
    top: UnitId,
    date: Date,
    measures: &[&Keyed<'_>],
) -> Result<Vec<Counted>, StoreError> {
    let mut bound: Vec<(&Keyed<'_>, Variables)> =
        measures.iter().filter_map(|keyed| Some((*keyed, bound(server, keyed, date)?))).collect();
    if bound.is_empty() {
        return Ok(Vec::new());
    }
    let (mut columns, mut reaches) = (Columns::new(), BTreeSet::new());
    for ((measure, _), _) in &bound {
        measure.reads(&mut |ledger, column| {
            columns.entry(ledger.to_owned()).or_default().extend([column.to_owned(), STATE.to_owned()]);
        });
        reaches.extend(measure.reaches());
    }
    let beyond = |wanted: Reach| -> Columns {
        let of = reaches.iter().filter(|(reach, _)| *reach == wanted);
        of.filter_map(|(_, ledger)| Some((ledger.clone(), columns.get(ledger)?.clone()))).collect()
    };
    let (of_township, of_county) = (beyond(Reach::Township), beyond(Reach::County));
    let below = crate::returns::at_and_below(units.to_vec(), top);
    let everywhere: Vec<UnitId> = units.iter().map(|unit| unit.id).collect();
    let county = merged(rows(kept, &of_county, &everywhere).await?);
    let mut found = Vec::new();
    for chunk in by_reporting_unit(&below) {
        let ids: Vec<UnitId> = chunk.iter().map(|unit| unit.id).collect();
        let own = rows(kept, &columns, &ids).await?;
        let township = match chunk.first().filter(|_| !of_township.is_empty()) {
            None => UnitRows::new(),
            Some(first) => {
                let place = if first.level == UnitLevel::Organisation { first.parent } else { Some(first.id) };
                let around = units.iter().filter(|unit| Some(unit.id) == place || unit.parent == place);
                let ids: Vec<UnitId> = around.map(|unit| unit.id).collect();
                merged(rows(kept, &of_township, &ids).await?)
            }
        };
        let around = Around { township: Some(&township), county: Some(&county) };
        for (unit, rows) in &own {
            let names = chunk.iter().find(|known| known.id == *unit).into_iter().flat_map(|unit| {
                let short = unit.short_name.as_ref().map(|name| ("unit_short_name".to_owned(), Value::text(name)));
                [("unit_name".to_owned(), Value::text(&unit.name))].into_iter().chain(short)
            });
            let names: Vec<_> = names.collect();
            for ((measure, key), variables) in &mut bound {
                variables.remove("unit_short_name");
                variables.extend(names.iter().cloned());
                let sums = measure.count_in(rows, around, variables);
                let one = |(by, value)| Counted { unit: *unit, measure: key.clone(), by, value };
                found.extend(sums.into_iter().map(one));
            }
        }
    }
    Ok(found)
}

/// Reporting units with their organisations; units that stand for themselves alone.
fn by_reporting_unit(units: &[Unit]) -> Vec<Vec<&Unit>> {
    let mut chunks: Vec<Vec<&Unit>> = Vec::new();
    let mut at: HashMap<UnitId, usize> = HashMap::new();
    for unit in units {
        let place = match unit.level {
            UnitLevel::Organisation => unit.parent.unwrap_or(unit.id),
            _ => unit.id,
        };
        let index = *at.entry(place).or_insert(chunks.len());
        match chunks.get_mut(index) {
            Some(chunk) => chunk.push(unit),
            None => chunks.push(vec![unit]),
        }
    }
    chunks
}

/// The rows of ledgers that count, by unit.
async fn rows(server: &Server, columns: &Columns, units: &[UnitId]) -> Result<BTreeMap<UnitId, UnitRows>, StoreError> {
    let mut found: BTreeMap<UnitId, UnitRows> = BTreeMap::new();
    for (ledger, wanted) in columns {
        let mut joined: BTreeMap<(UnitId, RowId), Row> = BTreeMap::new();
        for StoredRow { unit, row, cells, removed, .. } in server.store.rows(ledger, &server.period(), units).await? {
            join(joined.entry((unit, row)).or_insert_with(|| Row::new(row)), wanted, &cells, removed)?;
        }
        for ((unit, _), row) in joined {
            if row.counts() {
                found.entry(unit).or_default().entry(ledger.clone()).or_default().push(row);
            }
        }
    }
    Ok(found)
}

fn merged(by_unit: BTreeMap<UnitId, UnitRows>) -> UnitRows {
    let mut all = UnitRows::new();
    for (ledger, mut rows) in by_unit.into_values().flatten() {
        all.entry(ledger).or_default().append(&mut rows);
    }
    all
}
