//! Indicators over any subtree of units: one SQL sum of tallies, whatever the number of rows.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sync_protocol::{
    UnitId, Value,
    catalogue::{Basis, Figure, Indicator, Term, Window},
    unit::UnitLevel,
};

use crate::{
    Server,
    store::{StoreError, SumOf},
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
    /// As printed.
    pub printed: String,
    /// The least share in percent, if there is a target.
    pub target_percent: Option<i64>,
    /// Where the target comes from.
    pub basis: Basis,
    /// Whether the target is reached, exactly; none without a target or without anything to reach.
    pub reached: Option<bool>,
    /// By when.
    pub due_on: Option<String>,
}

/// All indicators, or the named ones, of everything below a unit at a statistics date.
pub async fn indicators(
    server: &Server,
    top: UnitId,
    date: jiff::civil::Date,
    names: &[String],
) -> Result<Vec<IndicatorLine>, StoreError> {
    let wanted: Vec<&Indicator> = server
        .catalogue
        .indicators()
        .iter()
        .filter(|i| names.is_empty() || names.iter().any(|name| i.id.eq_ignore_ascii_case(name) || i.name == *name))
        .collect();
    let key = |term: &Term, indicator: &Indicator| {
        server.catalogue.measure(&term.measure).map(|measure| measure.key(&indicator.bound()))
    };
    let keys: BTreeSet<String> =
        wanted.iter().flat_map(|i| i.numerator.iter().chain(&i.denominator).filter_map(|term| key(term, i))).collect();
    let keys: Vec<String> = keys.into_iter().collect();
    let sums = server.store.sums_by_unit(top, UnitLevel::County, &server.period(), &keys).await?;
    let mut by_measure: BTreeMap<&str, Vec<(&str, i64)>> = BTreeMap::new();
    for sum in &sums {
        if sum.of == SumOf::Unit(top) {
            by_measure.entry(&sum.measure).or_default().push((&sum.by, sum.value));
        }
    }
    let lines = wanted.into_iter().map(|indicator| {
        let figure = indicator.figure(|term| {
            let sums = key(term, indicator).and_then(|key| by_measure.get(key.as_str()));
            sums.into_iter().flatten().filter(|(by, _)| counts(&term.window, by, date)).map(|(_, value)| value).sum()
        });
        IndicatorLine {
            id: indicator.id.clone(),
            name: indicator.name.clone(),
            title: indicator.title.clone(),
            figure,
            printed: figure.printed(),
            target_percent: indicator.target_percent,
            basis: indicator.basis,
            reached: indicator.target_percent.and_then(|target| figure.reaches(target)),
            due_on: due_on(server, indicator),
        }
    });
    Ok(lines.collect())
}

/// Whether a part of a measure counts at a statistics date. A date of month precision counts with its month. Which names
/// are a unit's own is for its caller to say.
pub(crate) fn counts(window: &Window, by: &str, date: jiff::civil::Date) -> bool {
    let compared = |other: jiff::civil::Date| {
        let other = other.to_string();
        other.get(..by.len()).filter(|_| !by.is_empty()).map(|cut| by.cmp(cut))
    };
    match window {
        Window::All | Window::Own => true,
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
