//! Which ledgers are kept. Nought of a ledger in which nobody has entered anything is no figure: it prints 未建台账.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::{
    Row, UnitId,
    catalogue::{Catalogue, Content, Expected, ReturnForm, Sheet, SheetRows, Term},
    unit::{Unit, UnitLevel},
};

use super::{ReturnError, at_and_below, figures::read};
use crate::Server;

/// Printed where a ledger has no row.
pub(crate) const NOT_KEPT: &str = "未建台账";
/// Printed for a unit without an approved copy.
pub(super) const NOT_REPORTED: &str = "未报";
/// Units that a note names; of more it says how many.
const NAMED_MAX: usize = 6;

/// Rows of a ledger.
#[derive(Debug, Clone, Copy, Default)]
struct Rows {
    all: i64,
    unreviewed: i64,
}

/// What the reporting units at and below the top of a return have rows of.
#[derive(Debug)]
pub(crate) struct Kept<'a> {
    catalogue: &'a Catalogue,
    /// Whether the top is the county: only there nobody else can have kept a ledger that is empty.
    is_county: bool,
    reporting: Vec<Unit>,
    /// By reporting unit and ledger.
    by_unit: BTreeMap<(UnitId, String), Rows>,
    /// By ledger.
    whole: BTreeMap<String, Rows>,
    /// Reporting unit → ledgers of which rows are expected there.
    expected: BTreeMap<UnitId, BTreeSet<&'a str>>,
    /// Reporting units without an approved copy, where it is drawn from copies.
    unreported: &'a BTreeSet<UnitId>,
}

/// The ledgers that a return counts or lists.
pub(super) fn ledgers_of(catalogue: &Catalogue, form: &ReturnForm) -> BTreeSet<String> {
    form.sheets.iter().flat_map(|sheet| ledgers(catalogue, sheet)).collect()
}

/// The ledgers that a sheet counts or lists.
pub(super) fn ledgers(catalogue: &Catalogue, sheet: &Sheet) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match &sheet.rows {
        SheetRows::List { ledger, .. } => found.extend([ledger.clone()]),
        SheetRows::Indicators | SheetRows::IndicatorMatrix => found.extend(ledgers_of_indicators(catalogue)),
        _ => {}
    }
    for column in &sheet.columns {
        if let Content::Text { ledger, .. } = &column.content {
            found.insert(ledger.clone());
        }
    }
    found.extend(sheet.terms().flat_map(|term| sources(catalogue, term)));
    found
}

/// The ledgers that indicators count.
pub(crate) fn ledgers_of_indicators(catalogue: &Catalogue) -> BTreeSet<String> {
    let terms =
        catalogue.indicators().iter().flat_map(|indicator| indicator.numerator.iter().chain(&indicator.denominator));
    terms.flat_map(|term| sources(catalogue, term)).collect()
}

fn sources(catalogue: &Catalogue, term: &Term) -> BTreeSet<String> {
    let sources = catalogue.measure(&term.measure).map(|measure| measure.sources());
    sources.into_iter().flat_map(|(counted, absent)| counted.into_iter().chain(absent).map(str::to_owned)).collect()
}

impl<'a> Kept<'a> {
    /// Looks which of these ledgers have rows at and below a unit.
    pub(crate) async fn of(
        server: &'a Server,
        top: UnitId,
        ledgers: &BTreeSet<String>,
        unreported: &'a BTreeSet<UnitId>,
    ) -> Result<Self, ReturnError> {
        let catalogue = server.catalogue.as_ref();
        let units = at_and_below(server.store.units().await?, top);
        let mut kept = Self {
            catalogue,
            is_county: top == server.county,
            reporting: units.iter().filter(|unit| unit.level == UnitLevel::ReportingUnit).cloned().collect(),
            by_unit: BTreeMap::new(),
            whole: BTreeMap::new(),
            expected: BTreeMap::new(),
            unreported,
        };
        let above: BTreeMap<UnitId, UnitId> = units.iter().filter_map(|unit| Some((unit.id, place(unit)?))).collect();
        let below: BTreeSet<UnitId> = units.iter().map(|unit| unit.id).collect();
        let wanted: Vec<String> = ledgers.iter().cloned().collect();
        for count in server.store.row_counts(&wanted, &server.period()).await? {
            if !below.contains(&count.unit) {
                continue;
            }
            let of_unit = above.get(&count.unit).map(|place| (*place, count.ledger.clone()));
            let of_unit = of_unit.map(|key| kept.by_unit.entry(key).or_default());
            for rows in of_unit.into_iter().chain([kept.whole.entry(count.ledger).or_default()]) {
                rows.all += count.rows;
                rows.unreviewed += count.unreviewed;
            }
        }
        let ids: Vec<UnitId> = units.iter().map(|unit| unit.id).collect();
        kept.expect(server, ledgers, (&ids, &above)).await?;
        Ok(kept)
    }

    /// Finds out of whom rows are expected.
    async fn expect(
        &mut self,
        server: &Server,
        ledgers: &BTreeSet<String>,
        (ids, above): (&[UnitId], &BTreeMap<UnitId, UnitId>),
    ) -> Result<(), ReturnError> {
        let catalogue = self.catalogue;
        let mut conditions = Vec::new();
        for ledger in ledgers.iter().filter_map(|id| catalogue.ledger(id)) {
            match &ledger.expected {
                Some(Expected::Always) => {
                    for unit in self.reporting.iter().map(|unit| unit.id).chain(above.values().copied()) {
                        self.expected.entry(unit).or_default().insert(&ledger.id);
                    }
                }
                Some(Expected::Where(condition)) => conditions.push((ledger, condition)),
                None => {}
            }
        }
        if conditions.is_empty() {
            return Ok(());
        }
        let variables = catalogue.variables(server.campaign_year, None);
        for (unit, rows) in read(server, "organisations", ids).await? {
            let Some(place) = above.get(&unit) else { continue };
            for row in rows.iter().filter(|row: &&Row| row.counts()) {
                let met = conditions.iter().filter(|(_, condition)| condition.holds(row, &variables));
                self.expected.entry(*place).or_default().extend(met.map(|(ledger, _)| ledger.id.as_str()));
            }
        }
        Ok(())
    }

    /// Whether a reporting unit, or everything there is, has no row of a ledger of which rows are expected.
    fn owes(&self, unit: Option<UnitId>, ledger: &str) -> bool {
        let is_expected = |unit: &UnitId| self.expected.get(unit).is_some_and(|ledgers| ledgers.contains(ledger));
        match unit {
            Some(unit) => {
                is_expected(&unit) && self.by_unit.get(&(unit, ledger.to_owned())).is_none_or(|rows| rows.all == 0)
            }
            None => self.is_empty(ledger) && self.expected.keys().any(is_expected),
        }
    }

    fn is_empty(&self, ledger: &str) -> bool {
        self.whole.get(ledger).is_none_or(|rows| rows.all == 0)
    }

    /// Whether nobody has kept a ledger: it is owed, or the whole county has no row of it.
    pub(super) fn lacks(&self, unit: Option<UnitId>, ledger: &str) -> bool {
        self.owes(unit, ledger) || self.is_county && self.is_empty(ledger)
    }

    /// The ledgers for want of which what terms come to is no figure.
    pub(crate) fn lacking(&self, unit: Option<UnitId>, terms: &[Term], value: i64) -> BTreeSet<String> {
        let mut lacking = BTreeSet::new();
        let measures = terms.iter().filter_map(|term| self.catalogue.measure(&term.measure));
        // What a term counts the absence of is no want of another one: the register stands in where no team is kept.
        let handled: BTreeSet<&str> = measures
            .flat_map(|measure| {
                let (counted, absent) = measure.sources();
                absent.into_iter().filter(move |ledger| !counted.contains(ledger))
            })
            .collect();
        for measure in terms.iter().filter_map(|term| self.catalogue.measure(&term.measure)) {
            let (counted, absent) = measure.sources();
            if value == 0 {
                let wanted = counted.iter().filter(|ledger| !handled.contains(*ledger) && self.lacks(unit, ledger));
                lacking.extend(wanted.map(|ledger| (*ledger).to_owned()));
            }
            // What it wants a row of besides is not what it counts the absence of.
            let is_wanted = |ledger: &&str| *ledger != measure.ledger && counted.contains(ledger);
            let absent: BTreeSet<&str> = absent.into_iter().filter(|ledger| !is_wanted(ledger)).collect();
            // What has no row in ledgers that nobody has kept: everything.
            if !absent.is_empty() && absent.iter().all(|ledger| self.owes(unit, ledger)) {
                lacking.extend(absent.into_iter().map(str::to_owned));
            }
        }
        lacking
    }

    /// Whether a unit has no approved copy, where it is drawn from copies.
    pub(super) fn is_unreported(&self, unit: Option<UnitId>) -> bool {
        unit.is_some_and(|unit| self.unreported.contains(&unit))
    }

    /// The title of a ledger.
    pub(crate) fn title(&self, ledger: &str) -> String {
        self.catalogue.ledger(ledger).map_or(ledger, |ledger| &ledger.title).to_owned()
    }

    /// What a note says of cells that print 未建台账: ledger → units (none for all of them) and 栏次.
    pub(super) fn note(&self, missing: &BTreeMap<String, (BTreeSet<Option<UnitId>>, Vec<String>)>) -> Option<String> {
        let one = |(ledger, (units, numbers)): (&String, &(BTreeSet<Option<UnitId>>, Vec<String>))| {
            let names: Vec<&str> =
                self.reporting.iter().filter(|unit| units.contains(&Some(unit.id))).map(Unit::label).collect();
            let whom = match names.len() {
                count if units.contains(&None) || count == self.reporting.len() => "全部单位".to_owned(),
                count if count > NAMED_MAX => format!("{}等{count}个单位", names[..NAMED_MAX].join("、")),
                _ => names.join("、"),
            };
            let numbers = if numbers.is_empty() { String::new() } else { format!("，栏次{}", numbers.join("、")) };
            format!("{}（{whom}{numbers}）", self.title(ledger))
        };
        let all: Vec<String> = missing.iter().map(one).collect();
        (!all.is_empty()).then(|| format!("未建台账、合计未含：{}。", all.join("；")))
    }

    /// The same of ledgers of which some unit has no row, though rows are expected there.
    pub(super) fn note_of_owed(&self, ledgers: &BTreeSet<String>) -> Option<String> {
        let owed = ledgers.iter().filter_map(|ledger| {
            let mut units: BTreeSet<Option<UnitId>> = BTreeSet::new();
            if self.lacks(None, ledger) {
                units.insert(None);
            }
            let owing = self.reporting.iter().map(|unit| Some(unit.id));
            units.extend(owing.filter(|unit| self.owes(*unit, ledger) && !self.is_unreported(*unit)));
            (!units.is_empty()).then(|| (ledger.clone(), (units, Vec::new())))
        });
        self.note(&owed.collect())
    }

    /// What a note says of ledgers of a single unit that are empty, as they may be.
    pub(super) fn note_of_empty(&self, ledgers: &BTreeSet<String>) -> Option<String> {
        let empty = ledgers.iter().filter(|ledger| self.is_empty(ledger) && !self.lacks(None, ledger));
        let titles: Vec<String> = empty.map(|ledger| self.title(ledger)).collect();
        (!titles.is_empty()).then(|| format!("没有记录、按零计的台账：{}。", titles.join("、")))
    }

    /// How many rows of these ledgers nobody has reviewed, with their titles.
    pub(super) fn unreviewed<'l>(&self, ledgers: impl IntoIterator<Item = &'l String>) -> Vec<(String, i64)> {
        let counts = ledgers.into_iter().filter_map(|ledger| {
            let count = self.whole.get(ledger)?.unreviewed;
            (count > 0).then(|| (self.title(ledger), count))
        });
        counts.collect()
    }

    /// What a note says of them.
    pub(super) fn note_of_unreviewed(&self, ledgers: &BTreeSet<String>) -> Option<String> {
        let counts = self.unreviewed(ledgers);
        let all: i64 = counts.iter().map(|(_, count)| count).sum();
        let each: Vec<String> = counts.iter().map(|(title, count)| format!("{title}{count}条")).collect();
        (all > 0).then(|| format!("未审核的记录（草稿、退回）{all}条未计入：{}。", each.join("、")))
    }
}

/// The reporting unit that a unit is, or is of.
fn place(unit: &Unit) -> Option<UnitId> {
    match unit.level {
        UnitLevel::Organisation => unit.parent,
        UnitLevel::ReportingUnit => Some(unit.id),
        UnitLevel::County => None,
    }
}
