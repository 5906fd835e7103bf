//! Measures and returns.

use std::collections::BTreeSet;

use toml::Spanned;

use super::{
    Report,
    raw::{Count, Print, RawColumn, RawMeasure, RawReturn},
};
use crate::catalogue::{
    Aggregate, Catalogue, Check, ColumnType, Content, Expression, Format, Group, Ledger, Measure, ReturnColumn,
    ReturnForm, Variable,
};

pub(super) fn measure(raw: RawMeasure, catalogue: &Catalogue, report: &mut Report<'_>) -> Option<Measure> {
    let Some(ledger) = catalogue.ledger(raw.ledger.get_ref()) else {
        report.at(&raw.ledger, format!("unknown ledger `{}`", raw.ledger.get_ref()));
        return None;
    };
    let condition = raw.condition.as_ref().and_then(|text| expression(text, Some(ledger), report));
    let aggregate = match (raw.sum, raw.count) {
        (Some(column), Count::Rows) => {
            if ledger.column(column.get_ref()).is_none_or(|c| c.column_type != ColumnType::Int) {
                report.at(&column, format!("`{}` is not an int column of `{}`", column.get_ref(), ledger.id));
            }
            Aggregate::Sum(column.into_inner())
        }
        (Some(column), Count::Units) => {
            report.at(&column, "a measure has either `sum` or `count`");
            return None;
        }
        (None, Count::Units) => Aggregate::Units,
        (None, Count::Rows) => Aggregate::Rows,
    };
    Some(Measure { id: raw.id.into_inner(), title: raw.title, ledger: ledger.id.clone(), condition, aggregate })
}

/// Reads an expression; columns must exist in `ledger` (none may be named without one).
fn expression(text: &Spanned<String>, ledger: Option<&Ledger>, report: &mut Report<'_>) -> Option<Expression> {
    match Expression::parse(text.get_ref()) {
        Ok(expression) => {
            let mut unknown = Vec::new();
            expression.names(
                &mut |column| {
                    let stored = |l: &Ledger| l.column(column).is_some() && !l.unit.names_unit(column);
                    if !ledger.is_some_and(stored) {
                        unknown.push(column.to_owned());
                    }
                },
                &mut |_| {},
            );
            for column in unknown {
                report.at(text, format!("unknown column `{column}`"));
            }
            Some(expression)
        }
        Err(message) => {
            report.at(text, message);
            None
        }
    }
}

pub(super) fn return_form(
    raw: RawReturn,
    columns: Vec<RawColumn>,
    catalogue: &Catalogue,
    report: &mut Report<'_>,
) -> ReturnForm {
    for variable in &raw.variables {
        match catalogue.list(variable.list.get_ref()) {
            None => report.at(&variable.list, format!("unknown code list `{}`", variable.list.get_ref())),
            Some(list) if list.code(variable.default.get_ref()).is_none() => {
                report.at(&variable.default, format!("`{}` is no code of `{}`", variable.default.get_ref(), list.id));
            }
            Some(_) => {}
        }
    }
    for place in raw.lookups.values() {
        let [parameter, by] = place.get_ref();
        if catalogue.parameter(parameter).is_none() || !raw.variables.iter().any(|v| v.name == *by) {
            report.at(place, format!("unknown parameter `{parameter}` or variable `{by}`"));
        }
    }
    let mut variables: BTreeSet<String> = raw.variables.iter().map(|v| v.name.clone()).collect();
    variables.extend(raw.lookups.keys().cloned());
    variables.insert("campaign_year".into());
    let organisations = catalogue.ledger("organisations");
    let groups = raw.groups.into_iter().filter_map(|group| {
        let condition = expression(&group.condition, organisations, report)?;
        Some(Group { label: group.label, condition, of_which: group.of_which })
    });
    let groups = groups.collect();
    let mut printed: Vec<ReturnColumn> = Vec::new();
    for column in columns {
        let Some(number) = column.number.clone() else {
            report.byte(raw.id.span().start, "a return column needs a number (栏次)");
            continue;
        };
        let only = column.only.as_ref().and_then(|text| expression(text, None, report));
        if let (Some(text), Some(expression)) = (&column.only, &only) {
            variables_exist(expression, &variables, text, report);
        }
        let Some(content) = content(&number, &column, &printed, &variables, catalogue, report) else { continue };
        let format = column.format.unwrap_or(match content {
            Content::Sequence | Content::Group => Format::Text,
            Content::Measure(_) => Format::Count,
            Content::Ratio { .. } | Content::Share { .. } => Format::Percent,
        });
        printed.push(ReturnColumn {
            header: column.header.unwrap_or_else(|| vec![number.get_ref().clone()]),
            number: number.into_inner(),
            content,
            format,
            only,
        });
    }
    let mut checks = Vec::new();
    for text in &raw.checks {
        match Check::parse(text.get_ref()) {
            Some(check) if check.left.iter().chain(&check.right).all(|n| printed.iter().any(|c| c.number == *n)) => {
                checks.push(check);
            }
            _ => report.at(text, format!("`{}` is no relation between columns of this return", text.get_ref())),
        }
    }
    ReturnForm {
        id: raw.id.into_inner(),
        number: raw.number,
        form_number: raw.form_number,
        title: raw.title,
        units: raw.units,
        variables: raw
            .variables
            .into_iter()
            .map(|v| Variable { name: v.name, list: v.list.into_inner(), default: v.default.into_inner() })
            .collect(),
        lookups: raw.lookups.into_iter().map(|(name, place)| (name, place.into_inner().into())).collect(),
        groups,
        columns: printed,
        checks,
        notes: raw.notes,
    }
}

/// A measure must exist, and its variables must be ones that this return sets.
fn measure_exists<T>(
    id: &str,
    place: &Spanned<T>,
    variables: &BTreeSet<String>,
    catalogue: &Catalogue,
    report: &mut Report<'_>,
) {
    match catalogue.measure(id) {
        None => report.at(place, format!("unknown measure `{id}`")),
        Some(measure) => {
            if let Some(condition) = &measure.condition {
                variables_exist(condition, variables, place, report);
            }
        }
    }
}

fn variables_exist<T>(
    expression: &Expression,
    variables: &BTreeSet<String>,
    place: &Spanned<T>,
    report: &mut Report<'_>,
) {
    let mut unknown = Vec::new();
    expression.names(&mut |_| {}, &mut |name| {
        if !variables.contains(name) {
            unknown.push(name.to_owned());
        }
    });
    for name in unknown {
        report.at(place, format!("unknown variable `${name}`"));
    }
}

/// What a column prints: exactly one of the four ways.
fn content(
    number: &Spanned<String>,
    column: &RawColumn,
    printed: &[ReturnColumn],
    variables: &BTreeSet<String>,
    catalogue: &Catalogue,
    report: &mut Report<'_>,
) -> Option<Content> {
    Some(match (column.print, &column.measure, &column.ratio, &column.share) {
        (Some(Print::Sequence), None, None, None) => Content::Sequence,
        (Some(Print::Group), None, None, None) => Content::Group,
        (None, Some(id), None, None) => {
            measure_exists(id.get_ref(), id, variables, catalogue, report);
            Content::Measure(id.get_ref().clone())
        }
        (None, None, Some(place), None) => {
            for part in place.get_ref() {
                let is_measure = |c: &ReturnColumn| c.number == *part && matches!(c.content, Content::Measure(_));
                if !printed.iter().any(is_measure) {
                    report.at(place, format!("ratio: no earlier counted column has the number `{part}`"));
                }
            }
            let [over, under] = place.get_ref().clone();
            Content::Ratio { over, under }
        }
        (None, None, None, Some(place)) => {
            for id in place.get_ref() {
                measure_exists(id, place, variables, catalogue, report);
            }
            let [over, under] = place.get_ref().clone();
            Content::Share { over, under }
        }
        _ => {
            report.at(number, "a return column has exactly one of print, measure, ratio, share");
            return None;
        }
    })
}
