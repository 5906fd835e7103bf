//! Returns, and the expressions in them.

use std::collections::BTreeSet;

use toml::Spanned;

use super::{
    Report,
    raw::{Print, RawColumn, RawReturn},
};
use crate::catalogue::{
    Catalogue, Check, Content, Expression, Format, Group, Ledger, ReturnColumn, ReturnForm, Variable,
};
use crate::row::{REASON, STATE};

/// Reads an expression; columns must exist in `ledger` (none may be named without one).
pub(super) fn expression(
    text: &Spanned<String>,
    ledger: Option<&Ledger>,
    report: &mut Report<'_>,
) -> Option<Expression> {
    match Expression::parse(text.get_ref()) {
        Ok(expression) => {
            let mut unknown = Vec::new();
            expression.names(
                &mut |column| {
                    let stored = |l: &Ledger| l.column(column).is_some() && !l.unit.names_unit(column);
                    if !ledger.is_some_and(stored) && !matches!(column, STATE | REASON) {
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
    let variables: BTreeSet<String> = raw.variables.iter().map(|v| v.name.clone()).collect();
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
            variables_exist(expression, |name| variables.contains(name), text, report);
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
        groups,
        columns: printed,
        checks,
        notes: raw.notes,
    }
}

/// A measure must exist, and what it is counted for each of must be a choice of this return.
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
            if let Some(each) = measure.each.as_ref().filter(|each| !variables.contains(*each)) {
                report.at(
                    place,
                    format!("measure `{id}` is counted for each `{each}`, which is no variable of this return"),
                );
            }
        }
    }
}

pub(super) fn variables_exist<T>(
    expression: &Expression,
    known: impl Fn(&str) -> bool,
    place: &Spanned<T>,
    report: &mut Report<'_>,
) {
    let mut unknown = Vec::new();
    expression.names(&mut |_| {}, &mut |name| {
        if !known(name) {
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
