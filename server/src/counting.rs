//! Counting as of a day. A measure that says the same on every day is kept as tallies, which the store sums; one that names
//! the statistics date or looks beyond its unit is counted from rows when it is asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::civil::Date;
use sync_protocol::{
    Row, RowId, UnitId, Value,
    catalogue::{Around, Measure, Neighbours, Reach, UnitRows, Variables},
    row::{KEPT_BY, STATE},
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

/// Counts measures for every unit at and below `top`, from rows. What is about an organisation that the row names counts there,
/// whichever unit of the county keeps the row; a name that nobody in the county has, or several have, stays with the keeper. What is about the
/// year before is counted from its rows, where there are any.
pub(crate) async fn counted(
    server: &Server,
    units: &[Unit],
    top: UnitId,
    date: Date,
    measures: &[&Keyed<'_>],
) -> Result<Vec<Counted>, StoreError> {
    let about = About::new(units, top);
    let mut found = Vec::new();
    // What is about the year before, and what is looked for in all of the county, is read for itself.
    let kind = |measure: &Measure| (measure.year_before, measure.organisation.is_some());
    for wanted in [(false, false), (false, true), (true, false), (true, true)] {
        let own: Vec<&Keyed<'_>> = measures.iter().copied().filter(|(measure, _)| kind(measure) == wanted).collect();
        if own.is_empty() {
            continue;
        }
        each_unit(server, units, (top, date), &own, false, |unit, (measure, key), rows, around, variables| {
            for (by, value) in measure.count_in(rows, around, variables) {
                let of = about.of(measure, unit, by);
                found.extend(of.map(|(unit, by)| Counted { unit, measure: key.clone(), by, value }));
            }
        })
        .await?;
    }
    Ok(found)
}

/// Where what a unit keeps counts: what is about an organisation that the row names counts there.
#[derive(Debug)]
pub(crate) struct About<'u> {
    by_name: HashMap<&'u str, Vec<&'u Unit>>,
    places: HashMap<UnitId, UnitId>,
    below: BTreeSet<UnitId>,
}

impl<'u> About<'u> {
    /// What counts at and below `top`.
    pub(crate) fn new(units: &'u [Unit], top: UnitId) -> Self {
        let mut by_name: HashMap<&str, Vec<&Unit>> = HashMap::new();
        for unit in units {
            let short = unit.short_name.as_deref().filter(|short| *short != unit.name);
            for name in [Some(unit.name.as_str()), short].into_iter().flatten() {
                by_name.entry(name).or_default().push(unit);
            }
        }
        let places = units.iter().map(|unit| (unit.id, place_of(unit))).collect();
        let below = crate::returns::at_and_below(units.to_vec(), top).iter().map(|unit| unit.id).collect();
        Self { by_name, places, below }
    }

    /// The unit in which it counts, and by what it is kept apart there; none, if it counts elsewhere. A name that nobody in the
    /// county has, or that several have, stays with the keeper.
    pub(crate) fn of(&self, measure: &Measure, keeper: UnitId, by: String) -> Option<(UnitId, String)> {
        if measure.organisation.is_none() {
            return Some((keeper, by));
        }
        let about = match self.by_name.get(by.as_str()).map(Vec::as_slice).unwrap_or_default() {
            [one] => one.id,
            several => {
                let mut near = several.iter().filter(|unit| self.places.get(&keeper) == Some(&place_of(unit)));
                near.next().filter(|_| near.next().is_none()).map_or(keeper, |unit| unit.id)
            }
        };
        self.below.contains(&about).then(|| (about, String::new()))
    }
}

/// The reporting unit that a unit belongs to; of one above, the unit itself.
pub(crate) fn place_of(unit: &Unit) -> UnitId {
    if unit.level == UnitLevel::Organisation { unit.parent.unwrap_or(unit.id) } else { unit.id }
}

/// The rows of the county that measures look at.
pub(crate) async fn county(server: &Server, units: &[Unit], measures: &[&Measure]) -> Result<Neighbours, StoreError> {
    let columns = beyond(Reach::County, measures, &columns_of(measures));
    let everywhere: Vec<&Unit> = units.iter().collect();
    Ok(Neighbours::new(merged(rows(server, &columns, &everywhere).await?), measures.iter().copied()))
}

/// What measures read.
fn columns_of(measures: &[&Measure]) -> Columns {
    let mut columns = Columns::new();
    for measure in measures {
        measure.reads(&mut |ledger, column| {
            columns.entry(ledger.to_owned()).or_default().extend([column.to_owned(), STATE.to_owned()]);
        });
    }
    columns
}

/// What of it they read that far from their unit.
fn beyond(wanted: Reach, measures: &[&Measure], columns: &Columns) -> Columns {
    let reaches: BTreeSet<(Reach, String)> = measures.iter().flat_map(|measure| measure.reaches()).collect();
    let of = reaches.into_iter().filter(|(reach, _)| *reach == wanted);
    of.filter_map(|(_, ledger)| Some((ledger.clone(), columns.get(&ledger)?.clone()))).collect()
}

/// Reads what measures count at and below `top`, one reporting unit after the other, and shows the rows of each unit that keeps
/// them: with the columns that the measures read, or whole. What counts at organisations that rows name is read in all of the county; what
/// is about the year before, in its rows.
pub(crate) async fn each_unit(
    server: &Server,
    units: &[Unit],
    (top, date): (UnitId, Date),
    measures: &[&Keyed<'_>],
    are_whole: bool,
    mut show: impl FnMut(UnitId, &Keyed<'_>, &UnitRows, Around<'_>, &Variables) + Send,
) -> Result<(), StoreError> {
    let is_named = measures.iter().any(|(measure, _)| measure.organisation.is_some());
    let top = if is_named { server.county } else { top };
    let is_before = measures.iter().any(|(measure, _)| measure.year_before);
    let before = if is_before { periods::before(server).await? } else { None };
    let kept = before.as_ref().unwrap_or(server);
    let mut bound: Vec<(&Keyed<'_>, Variables)> =
        measures.iter().filter_map(|keyed| Some((*keyed, bound(server, keyed, date)?))).collect();
    if bound.is_empty() {
        return Ok(());
    }
    let counted: Vec<&Measure> = bound.iter().map(|((measure, _), _)| *measure).collect();
    let mut columns = columns_of(&counted);
    for (ledger, columns) in columns.iter_mut().filter(|_| are_whole) {
        let all = server.catalogue.ledger(ledger).map(|ledger| ledger.columns.as_slice()).unwrap_or_default();
        columns.extend(all.iter().map(|column| column.key.clone()));
    }
    let of_township = beyond(Reach::Township, &counted, &columns);
    let of_county = beyond(Reach::County, &counted, &columns);
    let below = crate::returns::at_and_below(units.to_vec(), top);
    let everywhere: Vec<&Unit> = units.iter().collect();
    let county = Neighbours::new(merged(rows(kept, &of_county, &everywhere).await?), counted.iter().copied());
    for chunk in by_reporting_unit(&below) {
        let own = rows(kept, &columns, &chunk).await?;
        let place = chunk.first().map(|first| place_of(first));
        let mut township = UnitRows::new();
        if !of_township.is_empty() {
            let around = units.iter().filter(|unit| Some(unit.id) == place || unit.parent == place);
            township = merged(rows(kept, &of_township, &around.collect::<Vec<_>>()).await?);
        }
        let township = Neighbours::new(township, counted.iter().copied());
        let township_name = units.iter().find(|unit| Some(unit.id) == place).map(|unit| unit.name.as_str());
        let around = Around { township: Some(&township), county: Some(&county) };
        for (unit, rows) in &own {
            let names = chunk.iter().find(|known| known.id == *unit).into_iter().flat_map(|unit| {
                let short = unit.short_name.as_ref().map(|name| ("unit_short_name".to_owned(), Value::text(name)));
                let township = township_name.map(|name| ("township_name".to_owned(), Value::text(name)));
                [("unit_name".to_owned(), Value::text(&unit.name))].into_iter().chain(short).chain(township)
            });
            let names: Vec<_> = names.collect();
            for (keyed, variables) in &mut bound {
                variables.remove("unit_short_name");
                variables.extend(names.iter().cloned());
                show(*unit, keyed, rows, around, variables);
            }
        }
    }
    Ok(())
}

/// Reporting units with their organisations; units that stand for themselves alone.
fn by_reporting_unit(units: &[Unit]) -> Vec<Vec<&Unit>> {
    let mut chunks: Vec<Vec<&Unit>> = Vec::new();
    let mut at: HashMap<UnitId, usize> = HashMap::new();
    for unit in units {
        let index = *at.entry(place_of(unit)).or_insert(chunks.len());
        match chunks.get_mut(index) {
            Some(chunk) => chunk.push(unit),
            None => chunks.push(vec![unit]),
        }
    }
    chunks
}

/// The rows of ledgers that count, by unit.
async fn rows(server: &Server, columns: &Columns, units: &[&Unit]) -> Result<BTreeMap<UnitId, UnitRows>, StoreError> {
    let mut found: BTreeMap<UnitId, UnitRows> = BTreeMap::new();
    let ids: Vec<UnitId> = units.iter().map(|unit| unit.id).collect();
    let names: HashMap<UnitId, &str> = units.iter().map(|unit| (unit.id, unit.name.as_str())).collect();
    for (ledger, wanted) in columns {
        let mut joined: BTreeMap<(UnitId, RowId), Row> = BTreeMap::new();
        for StoredRow { unit, row, cells, removed, .. } in server.store.rows(ledger, &server.period(), &ids).await? {
            join(joined.entry((unit, row)).or_insert_with(|| Row::new(row)), wanted, &cells, removed)?;
        }
        for ((unit, _), mut row) in joined {
            if row.counts() {
                if let Some(name) = names.get(&unit).filter(|_| wanted.contains(KEPT_BY)) {
                    row.cells.insert(KEPT_BY.into(), Value::text(*name));
                }
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
