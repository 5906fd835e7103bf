//! Counting: what the lines of a sheet come to. Sums of tallies wherever they say it; rows are read only where a sheet
//! asks for what no tally keeps apart.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use sync_protocol::{
    Row, UnitId, Value,
    catalogue::{
        Around, Code, Content, Group, Measure, ReturnForm, Sheet, SheetRows, Term, TextFold, UnitRows, Variables,
    },
    unit::{Unit, UnitLevel},
};

use super::{ReturnError, at_and_below};
use crate::{
    Server,
    counting::{self, Keyed},
    indicators, projection,
    store::{StoredRow, SumOf, TallySum},
};

/// Units whose rows are in memory at once.
const UNITS_PER_CHUNK: usize = 50;

/// Measure id → the part that it is kept apart by → value.
pub type Counts = BTreeMap<String, BTreeMap<String, i64>>;

/// A line of a sheet that counts.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// What it is called.
    pub label: String,
    /// The reporting unit that it is of, if it is of one.
    pub unit: Option<Unit>,
    /// The organisation that it is of, if it is of one.
    pub organisation: Option<UnitId>,
    /// The code that it is of, if it is of one.
    pub code: Option<String>,
    /// 其中: part of a line above, left out of the total.
    pub of_which: bool,
    /// All lines as one.
    pub is_total: bool,
    /// What its units count.
    pub counts: Counts,
}

impl Line {
    /// The unit below which everything stands that it counts, if there is one.
    pub(super) fn place(&self) -> Option<UnitId> {
        self.organisation.or_else(|| self.unit.as_ref().map(|unit| unit.id))
    }

    /// What terms come to at a statistics date.
    pub fn value(&self, terms: &[Term], date: Date) -> i64 {
        let one = |term: &Term| -> i64 {
            let parts = self.counts.get(&term.measure).into_iter().flatten();
            let inside = parts.filter(|(by, _)| indicators::counts(&term.window, by, date));
            term.times * inside.map(|(_, value)| value).sum::<i64>()
        };
        terms.iter().map(one).sum()
    }
}

/// What is drawn, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The server.
    pub server: &'a Server,
    /// The return.
    pub form: &'a ReturnForm,
    /// What was chosen.
    pub variables: &'a Variables,
    /// The unit at the top.
    pub top: UnitId,
    /// 统计截止日期.
    pub date: Date,
}

/// The lines of a sheet, without its total.
pub async fn lines(scope: Scope<'_>, sheet: &Sheet) -> Result<Vec<Line>, ReturnError> {
    let units = at_and_below(scope.server.store.units().await?, scope.top);
    let measures = Measures::of(scope, sheet);
    match &sheet.rows {
        SheetRows::Units(None) => by_unit(scope, &measures, &units).await,
        SheetRows::Units(Some(which)) => {
            let organisations = organisations(scope, &measures, which, &units).await?;
            let mut lines = empty_lines(&units);
            for (unit, counts) in organisations {
                let line = lines.iter_mut().find(|line| line.unit.as_ref().map(|own| own.id) == unit.parent);
                if let Some(line) = line {
                    measures.add(&mut line.counts, &counts);
                }
            }
            Ok(lines)
        }
        SheetRows::Organisations(which) => {
            let organisations = organisations(scope, &measures, which, &units).await?;
            let parent = |unit: &Unit| units.iter().find(|known| Some(known.id) == unit.parent).cloned();
            let line = |(unit, counts): (Unit, Counts)| Line {
                label: unit.label().to_owned(),
                unit: parent(&unit),
                organisation: Some(unit.id),
                counts,
                ..Line::default()
            };
            Ok(organisations.into_iter().map(line).collect())
        }
        SheetRows::Groups => by_group(scope, &measures).await,
        SheetRows::Codes { ledger, column, list, only, per_unit } => {
            let codes = scope.server.catalogue.list(list).map(|list| list.codes.as_slice()).unwrap_or_default();
            let codes: Vec<Code> =
                codes.iter().filter(|code| only.is_empty() || only.contains(&code.code)).cloned().collect();
            by_code(scope, &measures, &units, (ledger, column, &codes), *per_unit).await
        }
        SheetRows::List { .. } | SheetRows::Indicators | SheetRows::IndicatorMatrix => Ok(Vec::new()),
    }
}

/// The measures of a sheet.
struct Measures<'a> {
    known: Vec<Keyed<'a>>,
    /// Those of which each part counts once, however many units count it.
    once: BTreeSet<&'a str>,
}

impl<'a> Measures<'a> {
    fn of(scope: Scope<'a>, sheet: &Sheet) -> Self {
        let ids: BTreeSet<&str> = sheet.terms().map(|term| term.measure.as_str()).collect();
        let known: Vec<(&Measure, String)> = ids
            .iter()
            .filter_map(|id| scope.server.catalogue.measure(id))
            .map(|measure| (measure, measure.key(scope.variables)))
            .collect();
        let once = known.iter().map(|(measure, _)| *measure).filter(|measure| measure.once);
        let once = once.map(|measure| measure.id.as_str()).collect();
        Self { known, once }
    }

    /// The keys of those that are kept as tallies.
    fn keys(&self) -> Vec<String> {
        self.known.iter().filter(|(measure, _)| !measure.is_live()).map(|(_, key)| key.clone()).collect()
    }

    fn take(&self, counts: &mut Counts, sum: &TallySum) {
        for (measure, _) in self.known.iter().filter(|(_, key)| *key == sum.measure) {
            let value = counts.entry(measure.id.clone()).or_default().entry(sum.by.clone()).or_default();
            *value = if measure.once { indicators::once(&sum.by, *value, sum.value) } else { *value + sum.value };
        }
    }

    fn add(&self, counts: &mut Counts, more: &Counts) {
        for (id, parts) in more {
            for (by, more) in parts {
                let value = counts.entry(id.clone()).or_default().entry(by.clone()).or_default();
                let is_once = self.once.contains(id.as_str());
                *value = if is_once { indicators::once(by, *value, *more) } else { *value + more };
            }
        }
    }
}

/// A line for each reporting unit, in official order.
fn empty_lines(units: &[Unit]) -> Vec<Line> {
    let reporting = units.iter().filter(|unit| unit.level == UnitLevel::ReportingUnit);
    let line = |unit: &Unit| Line { label: unit.label().to_owned(), unit: Some(unit.clone()), ..Line::default() };
    reporting.map(line).collect()
}

async fn by_unit(scope: Scope<'_>, measures: &Measures<'_>, units: &[Unit]) -> Result<Vec<Line>, ReturnError> {
    let Scope { server, top, date, .. } = scope;
    let mut lines = empty_lines(units);
    for sum in counting::sums(server, top, UnitLevel::ReportingUnit, date, &measures.known).await? {
        let is_of = |line: &&mut Line| line.unit.as_ref().is_some_and(|unit| sum.of == SumOf::Unit(unit.id));
        if let Some(line) = lines.iter_mut().find(is_of) {
            measures.take(&mut line.counts, &sum);
        }
    }
    Ok(lines)
}

/// The organisations that have a measure, with their counts.
async fn organisations(
    scope: Scope<'_>,
    measures: &Measures<'_>,
    which: &str,
    units: &[Unit],
) -> Result<Vec<(Unit, Counts)>, ReturnError> {
    let Scope { server, top, date, .. } = scope;
    let mut known = measures.known.clone();
    known.extend(server.catalogue.measure(which).map(|measure| (measure, which.to_owned())));
    let mut counts: BTreeMap<UnitId, Counts> = BTreeMap::new();
    let mut belong = BTreeSet::new();
    for sum in counting::sums(server, top, UnitLevel::Organisation, date, &known).await? {
        let SumOf::Unit(unit) = sum.of else { continue };
        if sum.measure == which {
            belong.insert(unit);
        }
        measures.take(counts.entry(unit).or_default(), &sum);
    }
    let own = units.iter().filter(|unit| belong.contains(&unit.id));
    Ok(own.map(|unit| (unit.clone(), counts.remove(&unit.id).unwrap_or_default())).collect())
}

async fn by_group(scope: Scope<'_>, measures: &Measures<'_>) -> Result<Vec<Line>, ReturnError> {
    let Scope { server, form, top, date, .. } = scope;
    let groups: Vec<String> = (0..form.groups.len()).map(|index| Group::measure_id(&form.id, index)).collect();
    let line = |group: &Group| Line { label: group.label.clone(), of_which: group.of_which, ..Line::default() };
    let mut lines: Vec<Line> = form.groups.iter().map(line).collect();
    let period = server.period();
    for sum in server.store.sums_by_group(top, &groups, &period, &measures.keys()).await? {
        if let SumOf::Group(group) = &sum.of
            && let Some(index) = groups.iter().position(|known| known == group)
        {
            measures.take(&mut lines[index].counts, &sum);
        }
    }
    let current: Vec<&Keyed<'_>> = measures.known.iter().filter(|(measure, _)| measure.is_live()).collect();
    if current.is_empty() {
        return Ok(lines);
    }
    let groups = Groups::of(scope).await?;
    let all = server.store.units().await?;
    for counted in counting::counted(server, &all, top, date, &current).await? {
        let of: Vec<usize> = groups.of_unit(counted.unit).collect();
        let sum =
            TallySum { of: SumOf::Unit(counted.unit), measure: counted.measure, by: counted.by, value: counted.value };
        for index in of {
            measures.take(&mut lines[index].counts, &sum);
        }
    }
    Ok(lines)
}

/// Which units are in which group of a return.
#[derive(Debug)]
pub(super) struct Groups(BTreeMap<UnitId, BTreeSet<usize>>);

impl Groups {
    pub(super) async fn of(Scope { server, form, .. }: Scope<'_>) -> Result<Self, ReturnError> {
        let ids: Vec<String> = (0..form.groups.len()).map(|index| Group::measure_id(&form.id, index)).collect();
        let mut members: BTreeMap<UnitId, BTreeSet<usize>> = BTreeMap::new();
        let sums = server.store.sums_by_unit(server.county, UnitLevel::Organisation, &server.period(), &ids).await?;
        for sum in sums {
            if let (SumOf::Unit(unit), Some(index)) = (&sum.of, ids.iter().position(|known| *known == sum.measure)) {
                members.entry(*unit).or_default().insert(index);
            }
        }
        Ok(Self(members))
    }

    /// The groups of a unit.
    pub(super) fn of_unit(&self, unit: UnitId) -> impl Iterator<Item = usize> {
        self.0.get(&unit).into_iter().flatten().copied()
    }
}

async fn by_code(
    scope: Scope<'_>,
    measures: &Measures<'_>,
    units: &[Unit],
    (ledger, column, codes): (&str, &str, &[Code]),
    per_unit: bool,
) -> Result<Vec<Line>, ReturnError> {
    let line = |unit: Option<&Unit>, code: &Code| Line {
        label: code.label.clone(),
        unit: unit.cloned(),
        code: Some(code.code.clone()),
        ..Line::default()
    };
    let reporting: Vec<Option<&Unit>> = if per_unit {
        units.iter().filter(|unit| unit.level == UnitLevel::ReportingUnit).map(Some).collect()
    } else {
        vec![None]
    };
    let mut lines: Vec<Line> = reporting.iter().flat_map(|unit| codes.iter().map(|code| line(*unit, code))).collect();
    let of: Vec<(Option<UnitId>, String)> = lines
        .iter()
        .map(|line| (line.unit.as_ref().map(|unit| unit.id), line.code.clone().unwrap_or_default()))
        .collect();
    each_code(scope, &measures.known, units, (ledger, column, &of), |index, _, measure, rows, around, variables| {
        let counted = Counts::from([(measure.id.clone(), measure.count_in(rows, around, variables))]);
        measures.add(&mut lines[index].counts, &counted);
    })
    .await?;
    Ok(lines)
}

/// Shows, for each line of codes, the rows of each unit that measures count there: of the ledger only those with the code.
pub(super) async fn each_code(
    scope: Scope<'_>,
    measures: &[Keyed<'_>],
    units: &[Unit],
    (ledger, column, lines): (&str, &str, &[(Option<UnitId>, String)]),
    mut show: impl FnMut(usize, UnitId, &Measure, &UnitRows, Around<'_>, &Variables) + Send,
) -> Result<(), ReturnError> {
    let bound: Vec<(&Measure, Variables)> = measures
        .iter()
        .filter_map(|keyed| Some((keyed.0, counting::bound(scope.server, keyed, scope.date)?)))
        .collect();
    let all = scope.server.store.units().await?;
    let known: Vec<&Measure> = bound.iter().map(|(measure, _)| *measure).collect();
    let county = counting::county(scope.server, &all, &known).await?;
    let mut ledgers: BTreeSet<String> = BTreeSet::from([ledger.to_owned()]);
    for (measure, _) in &bound {
        measure.reads(&mut |ledger, _| {
            ledgers.insert(ledger.to_owned());
        });
    }
    for chunk in units.chunks(UNITS_PER_CHUNK) {
        let ids: Vec<UnitId> = chunk.iter().map(|unit| unit.id).collect();
        let mut by_unit: BTreeMap<UnitId, UnitRows> = BTreeMap::new();
        for ledger in &ledgers {
            for (unit, mut rows) in read(scope.server, ledger, &ids).await? {
                rows.retain(Row::counts);
                by_unit.entry(unit).or_default().insert(ledger.clone(), rows);
            }
        }
        for unit in chunk {
            let Some(rows) = by_unit.get_mut(&unit.id) else { continue };
            let own = rows.remove(ledger).unwrap_or_default();
            let reporting = if unit.level == UnitLevel::Organisation { unit.parent } else { Some(unit.id) };
            let of_unit = lines.iter().enumerate().filter(|(_, (of, _))| of.is_none() || *of == reporting);
            for (index, (_, code)) in of_unit {
                let says = |row: &&Row| code == row.text(column);
                rows.insert(ledger.to_owned(), own.iter().filter(says).cloned().collect());
                for (measure, variables) in &bound {
                    let mut variables = variables.clone();
                    variables.insert("line_code".to_owned(), Value::text(code));
                    let around = Around { county: Some(&county), ..Around::default() };
                    show(index, unit.id, measure, rows, around, &variables);
                }
            }
        }
    }
    Ok(())
}

/// What columns of texts say of each line, by their numbers.
pub(super) async fn texts(
    server: &Server,
    sheet: &Sheet,
    lines: &[Line],
    (top, date): (UnitId, Date),
) -> Result<BTreeMap<String, Vec<String>>, ReturnError> {
    let mut texts = BTreeMap::new();
    for column in &sheet.columns {
        let Content::Text { ledger, condition, fold } = &column.content else { continue };
        let Some(declared) = server.catalogue.ledger(ledger) else { continue };
        let mut variables = server.catalogue.variables(server.campaign_year, None);
        counting::bind(&mut variables, date);
        let units = at_and_below(server.store.units().await?, top);
        let ids: Vec<UnitId> = units.iter().map(|unit| unit.id).collect();
        let rows = read(server, ledger, &ids).await?;
        let of_line = |line: &Line| {
            let own_unit = line.unit.as_ref().map(|unit| unit.id);
            let own = units.iter().filter(|unit| Some(unit.id) == own_unit || unit.parent == own_unit);
            let rows = own.filter_map(|unit| rows.get(&unit.id)).flatten();
            let holds = |row: &&Row| row.counts() && condition.as_ref().is_none_or(|c| c.holds(row, &variables));
            let (TextFold::Greatest(key) | TextFold::List(key)) = fold;
            let mut found: Vec<_> = rows.filter(holds).filter_map(|row| row.get(key)).collect();
            found.sort();
            found.dedup();
            let wanted = if matches!(fold, TextFold::Greatest(_)) { found.len().saturating_sub(1) } else { 0 };
            let of = declared.column(key);
            let printed =
                found[wanted..].iter().filter_map(|v| Some(importer::print::printed(&server.catalogue, of?, v)));
            printed.collect::<Vec<_>>().join("、")
        };
        texts.insert(column.number.clone(), lines.iter().map(of_line).collect());
    }
    Ok(texts)
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
