//! Indicators over any subtree of units at a date: sums of tallies, and counts of the rows that the date decides about.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sync_protocol::{
    UnitId, Value,
    catalogue::{Aggregate, Basis, Figure, Indicator, Measure, Term, Window},
    unit::UnitLevel,
};

use crate::{
    Server,
    counting::{self, Keyed},
    returns::{
        ReturnError,
        kept::{self, Kept, NOT_KEPT},
    },
    store::SumOf,
};

/// An indicator of a subtree.
#[derive(Debug, Clone, Serialize)]
pub struct IndicatorLine {
    /// `I-12`.
    pub id: String,
    /// `standalone_formation_rate`.
    pub name: String,
    /// Title in Chinese.
    pub title: String,
    /// The figures.
    #[serde(flatten)]
    pub figure: Figure,
    /// Titles of ledgers that nobody has kept, for want of which it has no figure.
    pub not_kept: NotKept,
    /// As printed.
    pub printed: String,
    /// The least share in percent, if there is a target.
    pub target_percent: Option<i64>,
    /// The target is growth, however little.
    pub target_growth: bool,
    /// Where the target comes from.
    pub basis: Basis,
    /// Whether the target is reached, exactly; none without a target or without anything to reach.
    pub reached: Option<bool>,
    /// By when.
    pub due_on: Option<String>,
}

/// Ledgers that nobody has kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NotKept {
    /// Which the numerator counts.
    pub numerator: Vec<String>,
    /// Which the denominator counts.
    pub denominator: Vec<String>,
}

impl NotKept {
    /// All of them, each once.
    pub fn titles(&self) -> BTreeSet<&str> {
        self.numerator.iter().chain(&self.denominator).map(String::as_str).collect()
    }
}

impl IndicatorLine {
    /// Whether nobody has kept what it counts.
    pub fn has_no_figure(&self) -> bool {
        !self.not_kept.titles().is_empty()
    }
}

/// All indicators, or the named ones, of everything below a unit at a statistics date.
pub async fn indicators(
    server: &Server,
    top: UnitId,
    date: jiff::civil::Date,
    names: &[String],
) -> Result<Vec<IndicatorLine>, ReturnError> {
    let (ledgers, unreported) = (kept::ledgers_of_indicators(&server.catalogue), BTreeSet::new());
    let kept = Kept::of(server, top, &ledgers, &unreported).await?;
    indicators_of(server, (&kept, None), top, date, names).await
}

/// The same where it is known which ledgers are kept, by a reporting unit or by anybody.
pub(crate) async fn indicators_of(
    server: &Server,
    (kept, unit): (&Kept<'_>, Option<UnitId>),
    top: UnitId,
    date: jiff::civil::Date,
    names: &[String],
) -> Result<Vec<IndicatorLine>, ReturnError> {
    let wanted: Vec<&Indicator> = server
        .catalogue
        .indicators()
        .iter()
        .filter(|i| names.is_empty() || names.iter().any(|name| i.id.eq_ignore_ascii_case(name) || i.name == *name))
        .collect();
    let key = |term: &Term, indicator: &Indicator| {
        server.catalogue.measure(&term.measure).map(|measure| measure.key(&indicator.bound()))
    };
    let keyed =
        |term: &Term, indicator: &Indicator| Some((key(term, indicator)?, server.catalogue.measure(&term.measure)?));
    let measures: BTreeMap<String, &Measure> = wanted
        .iter()
        .flat_map(|i| i.numerator.iter().chain(&i.denominator).filter_map(move |term| keyed(term, i)))
        .collect();
    let measures: Vec<Keyed<'_>> = measures.into_iter().map(|(key, measure)| (measure, key)).collect();
    let sums = counting::sums(server, top, UnitLevel::County, date, &measures).await?;
    let mut by_measure: BTreeMap<&str, Vec<(&str, i64)>> = BTreeMap::new();
    for sum in &sums {
        if sum.of == SumOf::Unit(top) {
            by_measure.entry(&sum.measure).or_default().push((&sum.by, sum.value));
        }
    }
    let mut lines = Vec::new();
    for indicator in wanted {
        let sum = |term: &Term| -> i64 {
            let sums = key(term, indicator).and_then(|key| by_measure.get(key.as_str()));
            let inside = sums.into_iter().flatten().filter(|(by, _)| counts(&term.window, by, date));
            if server.catalogue.measure(&term.measure).is_none_or(|measure| !measure.once) {
                return inside.map(|(_, value)| value).sum();
            }
            let mut parts: BTreeMap<&str, i64> = BTreeMap::new();
            for (by, value) in inside {
                let counted = parts.entry(by).or_default();
                *counted = once(by, *counted, *value);
            }
            parts.values().sum()
        };
        let lacking = |terms: &[Term]| -> Vec<String> {
            let value = terms.iter().map(|term| term.times * sum(term)).sum();
            kept.lacking(unit, terms, value).iter().map(|ledger| kept.title(ledger)).collect()
        };
        let figure = of_unit(server, indicator, top, indicator.figure(sum));
        let reached = match indicator.target_percent {
            Some(percent) => figure.reaches(percent),
            None if indicator.target_growth => {
                figure.denominator.filter(|under| *under > 0).map(|_| figure.numerator > 0)
            }
            None => None,
        };
        let not_kept =
            NotKept { numerator: lacking(&indicator.numerator), denominator: lacking(&indicator.denominator) };
        let mut line = IndicatorLine {
            id: indicator.id.clone(),
            name: indicator.name.clone(),
            title: indicator.title.clone(),
            figure,
            not_kept,
            printed: figure.printed(),
            target_percent: indicator.target_percent,
            target_growth: indicator.target_growth,
            basis: indicator.basis,
            reached,
            due_on: due_on(server, indicator),
        };
        // What nobody has entered anything about is no figure, and no target that was missed.
        if line.has_no_figure() {
            NOT_KEPT.clone_into(&mut line.printed);
            line.reached = None;
        }
        lines.push(line);
    }
    Ok(lines)
}

/// What a figure is of a unit: a quota is the county's, and of any other only the count says something; money is counted in fen.
pub(crate) fn of_unit(server: &Server, indicator: &Indicator, unit: UnitId, figure: Figure) -> Figure {
    let is_quota_of_all = indicator.denominator_constant.is_some() && unit != server.county;
    Figure {
        denominator: figure.denominator.filter(|_| !is_quota_of_all),
        scale: figure.scale.saturating_mul(hundredths(server, indicator)),
        ..figure
    }
}

/// How many times what it stands for an indicator's numerator is.
pub(crate) fn hundredths(server: &Server, indicator: &Indicator) -> i64 {
    let first = indicator.numerator.first().and_then(|term| server.catalogue.measure(&term.measure));
    if first.is_some_and(|measure| matches!(measure.aggregate, Aggregate::SumHundredths(_))) { 100 } else { 1 }
}

/// What a part comes to that counts once, however many units count it: a village with two branches. Nobody knows how many
/// villages those are whose code is blank, so each of them is one.
pub(crate) fn once(by: &str, counted: i64, more: i64) -> i64 {
    if by.is_empty() { counted + more } else { counted.max(more) }
}

/// Whether a part of a measure counts at a statistics date. A date of month precision counts with its month.
pub(crate) fn counts(window: &Window, by: &str, date: jiff::civil::Date) -> bool {
    let compared = |other: jiff::civil::Date| {
        let other = other.to_string();
        other.get(..by.len()).filter(|_| !by.is_empty()).map(|cut| by.cmp(cut))
    };
    match window {
        Window::All => true,
        Window::Until => compared(date).is_some_and(std::cmp::Ordering::is_le),
        Window::Before => compared(date).is_some_and(std::cmp::Ordering::is_lt),
        Window::NotBefore => compared(date).is_none_or(std::cmp::Ordering::is_ge),
        Window::SinceMonths(months) => {
            let from = date.checked_sub(jiff::Span::new().months(i64::from(*months))).unwrap_or(date);
            compared(from).is_some_and(std::cmp::Ordering::is_ge)
        }
        Window::Codes(codes) => codes.iter().any(|code| code == by),
        Window::Age { from, to } => {
            age(by, date).is_some_and(|age| from.is_none_or(|from| age >= from) && to.is_none_or(|to| age <= to))
        }
    }
}

/// Completed years. Who is born in a month is as if born on its last day, who in a year, on its last.
fn age(born: &str, date: jiff::civil::Date) -> Option<i16> {
    let mut parts = born.split('-');
    let year: i16 = parts.next()?.parse().ok()?;
    let month = parts.next().map_or(Some(12), |month| month.parse().ok())?;
    let first = jiff::civil::Date::new(year, month, 1).ok()?;
    let born = match parts.next() {
        Some(day) => jiff::civil::Date::new(year, month, day.parse().ok()?).ok()?,
        None => first.last_of_month(),
    };
    let had_birthday = (date.month(), date.day()) >= (born.month(), born.day());
    Some(date.year() - born.year() - i16::from(!had_birthday))
}

fn due_on(server: &Server, indicator: &Indicator) -> Option<String> {
    let due = indicator.due.as_deref()?;
    match server.catalogue.variables(server.campaign_year, None).get(due) {
        Some(Value::Text(date)) => Some(date.clone()),
        _ => Some(format!("{}-{due}", server.campaign_year)),
    }
}
