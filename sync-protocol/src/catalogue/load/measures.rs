//! Measures, indicators, workflows and requirements.

use toml::Spanned;

use super::{
    Report,
    raw::{Count, Dates, Limit, RawHaving, RawIndicator, RawMeasure, RawRequirement, RawTerm, RawWindow, RawWorkflow},
    returns::{expression, variables_exist},
};
use crate::catalogue::{
    Aggregate, CapBy, Catalogue, ColumnType, Day, Expression, Having, Indicator, Ledger, Measure, Recorded, Requested,
    Step, Term, Window, Workflow,
};
use crate::row::{KEPT_BY, STATE};

pub(super) fn measure(raw: RawMeasure, catalogue: &Catalogue, report: &mut Report<'_>) -> Option<Measure> {
    let ledger = known_ledger(&raw.ledger, catalogue, report)?;
    let each = raw.each.as_ref().map(|list| list.get_ref().clone());
    if let Some(list) = raw.each.as_ref().filter(|list| catalogue.list(list.get_ref()).is_none()) {
        report.at(list, format!("unknown code list `{}`", list.get_ref()));
    }
    let condition =
        raw.condition.as_ref().and_then(|text| checked(text, Some(ledger), each.as_deref(), catalogue, report));
    let of = Some((ledger, each.as_deref()));
    let mut all = |raw: &[RawHaving]| -> Vec<Having> {
        raw.iter().filter_map(|raw| having(raw, of, catalogue, report)).collect()
    };
    let (with, without) = (all(&raw.with), all(&raw.without));
    let joined = raw.joined.as_ref().and_then(|raw| having(raw, of, catalogue, report));
    // What is added up or told apart are columns of the rows that count.
    let counted = joined.as_ref().and_then(|joined| catalogue.ledger(&joined.ledger)).unwrap_or(ledger);
    let value = raw.value.as_ref().and_then(|text| checked(text, Some(counted), each.as_deref(), catalogue, report));
    let aggregate = match (&raw.sum, &raw.distinct, raw.count) {
        (None, None, Count::Rows) if value.is_some() => Aggregate::Value(value?),
        (Some(column), None, Count::Rows) => {
            let key = column.get_ref();
            match counted.column(key).map(|column| &column.column_type) {
                Some(ColumnType::Int) => Aggregate::Sum(key.clone()),
                Some(ColumnType::MoneyYuan | ColumnType::MoneyWan | ColumnType::Decimal | ColumnType::Score) => {
                    Aggregate::SumHundredths(key.clone())
                }
                Some(ColumnType::Multi(_)) => Aggregate::Members(key.clone()),
                _ => {
                    report.at(column, format!("`{key}` is no column of numbers of `{}`", counted.id));
                    return None;
                }
            }
        }
        (None, Some(column), Count::Rows) => {
            column_exists(column, counted, report);
            Aggregate::Distinct(column.get_ref().clone())
        }
        (None, None, Count::Units) => Aggregate::Units,
        (None, None, Count::Rows) => Aggregate::Rows,
        _ => {
            report.at(&raw.id, "a measure has one of `count`, `sum`, `distinct`");
            return None;
        }
    };
    let parted = raw.by_ledger.as_ref().map_or(Some(ledger), |name| known_ledger(name, catalogue, report))?;
    for column in raw.by.iter().chain(&raw.organisation) {
        column_exists(column, parted, report);
    }
    let day = raw.day.as_ref().and_then(|day| {
        let ledger = known_ledger(&day.ledger, catalogue, report)?;
        column_exists(&day.column, ledger, report);
        let condition = checked(&day.condition, Some(ledger), each.as_deref(), catalogue, report)?;
        Some(Day { ledger: ledger.id.clone(), condition, column: day.column.get_ref().clone() })
    });
    let cap_by = raw.cap_by.as_ref().and_then(|cap| {
        let ledger = known_ledger(&cap.ledger, catalogue, report)?;
        let value = checked(&cap.value, Some(ledger), each.as_deref(), catalogue, report)?;
        Some(CapBy { ledger: ledger.id.clone(), value })
    });
    let mut limit = |limit: &Option<Spanned<Limit>>| {
        limit.as_ref().and_then(|limit| number(limit.get_ref(), limit, catalogue, report))
    };
    let (at_least, at_most, cap) = (limit(&raw.at_least), limit(&raw.at_most), limit(&raw.cap));
    Some(Measure {
        id: raw.id.into_inner(),
        title: raw.title,
        ledger: ledger.id.clone(),
        condition,
        with,
        without,
        joined,
        organisation: raw.organisation.map(Spanned::into_inner),
        day,
        aggregate,
        at_least,
        at_most,
        cap,
        cap_by,
        each,
        by: raw.by.map(Spanned::into_inner),
        by_ledger: raw.by_ledger.map(Spanned::into_inner),
        once: raw.once,
        year_before: raw.year_before,
    })
}

/// A condition on other rows; `of` is the ledger of the row that it is about, whose columns are `$row.name`.
pub(super) fn having(
    raw: &RawHaving,
    of: Option<(&Ledger, Option<&str>)>,
    catalogue: &Catalogue,
    report: &mut Report<'_>,
) -> Option<Having> {
    let ledger = known_ledger(&raw.ledger, catalogue, report)?;
    let condition = expression(&raw.condition, Some(ledger), report)?;
    let each = of.and_then(|(_, each)| each);
    let of_row =
        |name: &str| of.is_some_and(|(own, _)| name.strip_prefix("row.").is_some_and(|c| own.column(c).is_some()));
    let known =
        |name: &str| Some(name) == each || name == "line_code" || of_row(name) || catalogue.has_variable(name, each);
    variables_exist(&condition, known, &raw.condition, report);
    for pair in &raw.same {
        let (own, other) = pair.get_ref();
        for (ledger, column) in of.map(|(own_ledger, _)| (own_ledger, own)).into_iter().chain([(ledger, other)]) {
            if ledger.column(column).is_none() && column != KEPT_BY {
                report.at(pair, format!("unknown column `{column}` of `{}`", ledger.id));
            }
        }
    }
    let mut with = Vec::new();
    for more in &raw.with {
        with.extend(having(more, Some((ledger, each)), catalogue, report));
    }
    let same = raw.same.iter().map(|pair| pair.get_ref().clone()).collect();
    Some(Having { ledger: ledger.id.clone(), condition, reach: raw.reach, same, with })
}

pub(super) fn known_ledger<'a>(
    name: &Spanned<String>,
    catalogue: &'a Catalogue,
    report: &mut Report<'_>,
) -> Option<&'a Ledger> {
    let ledger = catalogue.ledger(name.get_ref());
    if ledger.is_none() {
        report.at(name, format!("unknown ledger `{}`", name.get_ref()));
    }
    ledger
}

pub(super) fn column_exists(column: &Spanned<String>, ledger: &Ledger, report: &mut Report<'_>) {
    if ledger.column(column.get_ref()).is_none() {
        report.at(column, format!("unknown column `{}`", column.get_ref()));
    }
}

/// An expression of a measure: its variables are county parameters and what it is counted for each of.
pub(super) fn checked(
    text: &Spanned<String>,
    ledger: Option<&Ledger>,
    each: Option<&str>,
    catalogue: &Catalogue,
    report: &mut Report<'_>,
) -> Option<Expression> {
    let expression = expression(text, ledger, report)?;
    let known = |name: &str| Some(name) == each || name == "line_code" || catalogue.has_variable(name, each);
    variables_exist(&expression, known, text, report);
    Some(expression)
}

/// A whole number, as it is or of a county parameter: `$table.code` is one entry of a table, which counts as the sum of them.
fn number<T>(limit: &Limit, place: &Spanned<T>, catalogue: &Catalogue, report: &mut Report<'_>) -> Option<i64> {
    let name = match limit {
        Limit::Number(number) => return Some(*number),
        Limit::Parameter(name) => name,
    };
    let name_of = |name: &str| match name.split_once('.') {
        Some((table, code)) => catalogue.parameter(table)?.get(code),
        None => catalogue.parameter(name),
    };
    let value = name.strip_prefix('$').and_then(name_of).and_then(|value| match value {
        toml::Value::Table(table) => table.values().map(toml::Value::as_integer).sum(),
        value => value.as_integer(),
    });
    if value.is_none() {
        report.at(place, format!("`{name}` is no county parameter with a whole number"));
    }
    value
}

pub(super) fn indicator(raw: RawIndicator, catalogue: &Catalogue, report: &mut Report<'_>) -> Indicator {
    let variables = &raw.variables;
    for (list, code) in variables {
        if catalogue.list(list).is_none_or(|list| list.code(code.get_ref()).is_none()) {
            report.at(code, format!("`{}` is no code of a list `{list}`", code.get_ref()));
        }
    }
    let month_day = |text: &str| text.len() == 5 && text.as_bytes()[2] == b'-';
    if let Some(due) =
        raw.due.as_ref().filter(|due| !month_day(due.get_ref()) && catalogue.parameter(due.get_ref()).is_none())
    {
        report.at(due, format!("`{}` is neither a month-day nor a county parameter", due.get_ref()));
    }
    let mut terms = |raw: &[Spanned<RawTerm>]| -> Vec<Term> {
        raw.iter()
            .map(|place| {
                let term = term(place, catalogue, report);
                match catalogue.measure(&term.measure) {
                    None => report.at(place, format!("unknown measure `{}`", term.measure)),
                    Some(measure) => {
                        if let Some(each) = measure.each.as_ref().filter(|each| !variables.contains_key(*each)) {
                            let message = format!("measure `{}` is counted for each `{each}`: say which", term.measure);
                            report.at(place, message);
                        }
                        if term.window != Window::All && measure.by.is_none() {
                            report.at(place, format!("measure `{}` is not kept apart by a date", term.measure));
                        }
                    }
                }
                term
            })
            .collect()
    };
    let (numerator, denominator) = (terms(&raw.numerator), terms(&raw.denominator));
    Indicator {
        id: raw.id.into_inner(),
        name: raw.name.into_inner(),
        title: raw.title,
        numerator,
        denominator,
        denominator_constant: raw
            .denominator_constant
            .as_ref()
            .and_then(|limit| number(limit.get_ref(), limit, catalogue, report)),
        variables: raw.variables.into_iter().map(|(name, code)| (name, code.into_inner())).collect(),
        growth_of_means: raw.growth_of_means,
        target_percent: raw.target_percent,
        target_growth: raw.target_growth,
        basis: raw.basis,
        due: raw.due.map(Spanned::into_inner),
        returns: raw.returns,
    }
}

pub(super) fn term(place: &Spanned<RawTerm>, catalogue: &Catalogue, report: &mut Report<'_>) -> Term {
    match place.get_ref() {
        RawTerm::Plain(measure) => Term { measure: measure.clone(), times: 1, window: Window::All },
        RawTerm::Table { measure, times, until, since_months, codes } => {
            let times = times.as_ref().map_or(Some(1), |limit| number(limit, place, catalogue, report));
            let dates = until.then_some(Dates::Until);
            let raw = RawWindow { dates, since_months: *since_months, codes: codes.clone(), ..RawWindow::default() };
            Term { measure: measure.clone(), times: times.unwrap_or(1), window: raw.into() }
        }
    }
}

pub(super) fn requirement(raw: RawRequirement, catalogue: &Catalogue, report: &mut Report<'_>) -> Requested {
    for ledger in &raw.ledgers {
        known_ledger(ledger, catalogue, report);
    }
    for indicator in &raw.indicators {
        if catalogue.indicator(indicator.get_ref()).is_none() {
            report.at(indicator, format!("unknown indicator `{}`", indicator.get_ref()));
        }
    }
    let texts = |spanned: Vec<Spanned<String>>| spanned.into_iter().map(Spanned::into_inner).collect();
    Requested {
        id: raw.id,
        plan: raw.plan,
        ledgers: texts(raw.ledgers),
        returns: raw.returns,
        indicators: texts(raw.indicators),
        target: raw.target,
    }
}

/// A workflow: its column is an enum (or the state of records, in every ledger), and every state is a code of its list.
pub(super) fn workflow(raw: RawWorkflow, catalogue: &Catalogue, report: &mut Report<'_>) -> Option<Workflow> {
    let is_record = raw.ledger.get_ref() == Workflow::EVERY_LEDGER && raw.column.get_ref() == STATE;
    let ledger = if is_record { None } else { Some(known_ledger(&raw.ledger, catalogue, report)?) };
    let column = ledger.and_then(|ledger| ledger.column(raw.column.get_ref()));
    let list = column.and_then(|column| column.column_type.list()).or(is_record.then_some(Catalogue::RECORD_STATES));
    let list = list.and_then(|id| catalogue.list(id));
    let Some(list) = list else {
        report.at(&raw.column, format!("`{}` is no enum column of `{}`", raw.column.get_ref(), raw.ledger.get_ref()));
        return None;
    };
    let state = |state: &Spanned<String>, report: &mut Report<'_>| {
        if list.code(state.get_ref()).is_none() {
            report.at(state, format!("`{}` is no code of `{}`", state.get_ref(), list.id));
        }
        state.get_ref().clone()
    };
    let initial = raw.initial.iter().map(|code| state(code, report)).collect();
    let steps = raw.steps.iter().map(|step| Step {
        from: state(&step.from, report),
        to: state(&step.to, report),
        by: step.by.clone(),
        needs: step.needs.as_ref().and_then(|text| checked(text, ledger, None, catalogue, report)),
    });
    let steps = steps.collect();
    let decisions = raw.decisions.iter().map(|recorded| {
        let name = recorded.column.get_ref();
        let column = ledger.and_then(|ledger| ledger.column(name));
        if column.is_none_or(|column| column.column_type.is_set()) {
            report.at(&recorded.column, format!("`{name}` is no column of `{}` with one value", raw.ledger.get_ref()));
        }
        Recorded { column: name.clone(), by: recorded.by.clone() }
    });
    let decisions = decisions.collect();
    Some(Workflow {
        ledger: raw.ledger.into_inner(),
        column: raw.column.into_inner(),
        title: raw.title,
        initial,
        begun_by: raw.begun_by,
        steps,
        decisions,
    })
}
