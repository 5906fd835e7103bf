//! Returns, and the expressions in them.

use std::collections::BTreeSet;

use toml::Spanned;

use super::{
    Report,
    measures::{self, column_exists, known_ledger},
    raw::{Print, RawCell, RawColumn, RawReturn, RawRows, RawSheet, RawTerm, RawText, RawWindow},
};
use crate::catalogue::returns::belongs;
use crate::catalogue::{
    Aggregate, Catalogue, CellOf, Check, Content, Expression, Format, Group, Ledger, ReturnColumn, ReturnForm, Sheet,
    SheetRows, Summand, Term, TextFold, Variable, Window,
};
use crate::row::{KEPT_BY, REASON, STATE};

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
                    if !ledger.is_some_and(stored) && !matches!(column, STATE | REASON | KEPT_BY) {
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
    (columns, sheets): (Vec<RawColumn>, Vec<RawSheet>),
    catalogue: &mut Catalogue,
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
    let groups: Vec<Group> = raw
        .groups
        .into_iter()
        .filter_map(|group| {
            let condition = expression(&group.condition, organisations, report)?;
            Some(Group { label: group.label, condition, of_which: group.of_which })
        })
        .collect();
    let scope = Scope { form: raw.id.get_ref().clone(), variables: &variables };
    let main = columns_of(columns, &scope, "", catalogue, report);
    let raws = if sheets.is_empty() { default_sheets(&raw.id, &groups) } else { sheets };
    let mut all = Vec::new();
    for (index, sheet) in raws.into_iter().enumerate() {
        all.extend(self::sheet(sheet, index, &scope, &main, catalogue, report));
    }
    let printed: Vec<&ReturnColumn> = all.iter().flat_map(|sheet| &sheet.columns).collect();
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
        sheets: all,
        checks,
        notes: raw.notes.iter().map(|note| completed(note, catalogue)).collect(),
    }
}

/// A note with the days of the county in it: `{conversion_deadline}` is 10月20日.
fn completed(note: &str, catalogue: &Catalogue) -> String {
    let Some((head, rest)) = note.split_once('{') else { return note.to_owned() };
    let Some((name, tail)) = rest.split_once('}') else { return note.to_owned() };
    let day = catalogue.parameter(name).and_then(toml::Value::as_str).and_then(|day| day.split_once('-'));
    let Some((month, day)) = day else { return note.to_owned() };
    format!("{head}{}月{}日{tail}", month.trim_start_matches('0'), day.trim_start_matches('0'))
}

/// A measure must exist, and what it is counted for each of must be a choice of this return.
fn measure_exists<T>(
    term: &Term,
    place: &Spanned<T>,
    variables: &BTreeSet<String>,
    catalogue: &Catalogue,
    report: &mut Report<'_>,
) {
    let id = &term.measure;
    let Some(measure) = catalogue.measure(id) else {
        return report.at(place, format!("unknown measure `{id}`"));
    };
    if let Some(each) = measure.each.as_ref().filter(|each| !variables.contains(*each)) {
        let message = format!("measure `{id}` is counted for each `{each}`, which is no variable of this return");
        report.at(place, message);
    }
    if term.window != Window::All && measure.by.is_none() {
        report.at(place, format!("measure `{id}` is not kept apart by a column"));
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

/// What columns of a return may name.
struct Scope<'a> {
    form: String,
    variables: &'a BTreeSet<String>,
}

/// By reporting unit, and by group where there are groups.
fn default_sheets(place: &Spanned<String>, groups: &[Group]) -> Vec<RawSheet> {
    let sheet = |name: &str, header: Option<&str>, rows: RawRows| RawSheet {
        name: name.to_owned(),
        rows: Spanned::new(place.span(), rows),
        header: header.map(str::to_owned),
        condition: None,
        ledger: None,
        column: None,
        codes: Vec::new(),
        per_unit: false,
        except: Vec::new(),
        columns: Vec::new(),
    };
    let mut sheets = vec![sheet("按填报单位", None, RawRows::Units)];
    if !groups.is_empty() {
        sheets.push(sheet("按领域", Some("领域"), RawRows::Groups));
    }
    sheets
}

fn sheet(
    raw: RawSheet,
    index: usize,
    scope: &Scope<'_>,
    main: &[ReturnColumn],
    catalogue: &mut Catalogue,
    report: &mut Report<'_>,
) -> Option<Sheet> {
    let organisations = catalogue.ledger("organisations").cloned();
    let ledger = match &raw.ledger {
        Some(name) => Some(known_ledger(name, catalogue, report)?.clone()),
        None => None,
    };
    let place = &raw.rows;
    let condition = |ledger: Option<&Ledger>, report: &mut Report<'_>| {
        raw.condition.as_ref().and_then(|text| expression(text, ledger, report))
    };
    let rows = match (place.get_ref(), &ledger, &raw.column) {
        (RawRows::Units | RawRows::Organisations, None, None) => {
            let id = condition(organisations.as_ref(), report).map(|condition| {
                let id = format!("{}/{index}/where", scope.form);
                catalogue.measures.insert(id.clone(), belongs(id.clone(), raw.name.clone(), condition));
                id
            });
            match (place.get_ref(), id) {
                (RawRows::Units, id) => SheetRows::Units(id),
                (_, Some(id)) => SheetRows::Organisations(id),
                (_, None) => {
                    report.at(place, "organisations need a condition: which");
                    return None;
                }
            }
        }
        (RawRows::Groups, None, None) => SheetRows::Groups,
        (RawRows::Codes, Some(ledger), Some(column)) => {
            let Some(list) = ledger.column(column.get_ref()).and_then(|c| c.column_type.list()) else {
                report.at(column, format!("`{}` is no enum column of `{}`", column.get_ref(), ledger.id));
                return None;
            };
            let (ledger, column, list) = (ledger.id.clone(), column.get_ref().clone(), list.to_owned());
            SheetRows::Codes { ledger, column, list, only: raw.codes.clone(), per_unit: raw.per_unit }
        }
        (RawRows::List, Some(ledger), None) => {
            SheetRows::List { condition: condition(Some(ledger), report), ledger: ledger.id.clone() }
        }
        (RawRows::Indicators, None, None) => SheetRows::Indicators,
        (RawRows::IndicatorMatrix, None, None) => SheetRows::IndicatorMatrix,
        _ => {
            report.at(place, "codes need ledger and column, a list needs a ledger, others neither");
            return None;
        }
    };
    let columns = if raw.columns.is_empty() {
        main.iter().filter(|column| !raw.except.contains(&column.number)).cloned().collect()
    } else {
        let listed = if let SheetRows::List { ledger, .. } = &rows { ledger.as_str() } else { "" };
        columns_of(raw.columns, &Scope { form: format!("{}/{index}", scope.form), ..*scope }, listed, catalogue, report)
    };
    Some(Sheet { name: raw.name, header: raw.header, rows, columns })
}

fn columns_of(
    raw: Vec<RawColumn>,
    scope: &Scope<'_>,
    listed: &str,
    catalogue: &mut Catalogue,
    report: &mut Report<'_>,
) -> Vec<ReturnColumn> {
    let mut printed: Vec<ReturnColumn> = Vec::new();
    for column in raw {
        let Some(number) = column.number.clone() else {
            let place = column.key.as_ref().map_or(0, |key| key.span().start);
            report.byte(place, "a return column needs a number (栏次)");
            continue;
        };
        let only = column.only.as_ref().and_then(|text| expression(text, None, report));
        if let (Some(text), Some(expression)) = (&column.only, &only) {
            // The year before is known where there is one.
            let known = |name: &str| scope.variables.contains(name) || name == "year_before";
            variables_exist(expression, known, text, report);
        }
        let (format, small, width) = (column.format, column.small, column.width);
        let header = column.header.clone().unwrap_or_else(|| vec![number.get_ref().clone()]);
        let Some(content) = content(&number, column, scope, (&printed, listed), catalogue, report) else { continue };
        let format = format.unwrap_or(match content {
            Content::Count(_) | Content::Sum(_) | Content::Parameter(_) => Format::Count,
            Content::Ratio { .. } | Content::Share { .. } => Format::Percent,
            _ => Format::Text,
        });
        let divisor = divisor(&content, format, catalogue);
        let number = number.into_inner();
        printed.push(ReturnColumn { number, header, content, format, divisor, only, small, width });
    }
    printed
}

/// Hundredths become whole ones, and money 万元.
fn divisor(content: &Content, format: Format, catalogue: &Catalogue) -> i64 {
    let is_hundredths = |terms: &[Term]| {
        let aggregates = terms.iter().filter_map(|term| catalogue.measure(&term.measure));
        aggregates.into_iter().any(|measure| matches!(measure.aggregate, Aggregate::SumHundredths(_)))
    };
    let over = match content {
        Content::Count(terms) => is_hundredths(terms),
        Content::Share { over, under } => is_hundredths(over) && !is_hundredths(under),
        _ => false,
    };
    match (over, format) {
        (true, Format::Money) => 1_000_000,
        (true, _) => 100,
        (false, _) => 1,
    }
}

/// What a column prints: exactly one of the ways.
fn content(
    number: &Spanned<String>,
    column: RawColumn,
    scope: &Scope<'_>,
    (printed, listed): (&[ReturnColumn], &str),
    catalogue: &mut Catalogue,
    report: &mut Report<'_>,
) -> Option<Content> {
    let raw =
        RawWindow { dates: column.dates, since_months: column.since_months, codes: column.codes, age: column.age };
    let window = Window::from(raw);
    let mut ways: Vec<Content> = Vec::new();
    if let Some(print) = column.print {
        ways.push(match print {
            Print::Sequence => Content::Sequence,
            Print::Group => Content::Group,
            Print::Unit => Content::Unit,
            Print::Organisation => Content::Organisation,
            Print::Blank => Content::Blank,
        });
    }
    if let Some(id) = &column.measure {
        let term = Term { measure: id.get_ref().clone(), times: 1, window: window.clone() };
        measure_exists(&term, id, scope.variables, catalogue, report);
        ways.push(Content::Count(vec![term]));
    }
    if let Some(count) = column.count {
        let id = format!("{}/{}", scope.form, number.get_ref());
        let title = column.header.as_ref().map_or_else(|| id.clone(), |header| header.join("›"));
        let place = Spanned::new(count.span(), id.clone());
        if let Some(measure) = measures::measure(count.into_inner().measure(place, title), catalogue, report) {
            catalogue.measures.insert(id.clone(), measure);
            let term = Term { measure: id, times: 1, window };
            measure_exists(&term, number, scope.variables, catalogue, report);
            ways.push(Content::Count(vec![term]));
        } else {
            return None;
        }
    }
    let terms = |raw: &[Spanned<RawTerm>], report: &mut Report<'_>| -> Vec<Term> {
        let terms = raw.iter().map(|place| {
            let term = measures::term(place, catalogue, report);
            measure_exists(&term, place, scope.variables, catalogue, report);
            term
        });
        terms.collect()
    };
    if let Some(raw) = &column.terms {
        ways.push(Content::Count(terms(raw.get_ref(), report)));
    }
    if let Some(raw) = &column.share {
        let [over, under] = raw.get_ref();
        ways.push(Content::Share { over: terms(over, report), under: terms(under, report) });
    }
    let summands = |text: &str, place: std::ops::Range<usize>, report: &mut Report<'_>| {
        let summands = Summand::parse(text);
        for summand in &summands {
            let is_number = |c: &ReturnColumn| {
                let is_figure = matches!(c.content, Content::Count(_) | Content::Sum(_) | Content::Parameter(_));
                c.number == summand.number && is_figure
            };
            if !printed.iter().any(is_number) {
                report.byte(place.start, format!("no earlier figure has the number `{}`", summand.number));
            }
        }
        summands
    };
    if let Some(text) = &column.sum {
        ways.push(Content::Sum(summands(text.get_ref(), text.span(), report)));
    }
    if let Some(place) = &column.ratio {
        let [over, under] = place.get_ref();
        let over = summands(over, place.span(), report);
        ways.push(Content::Ratio { over, under: summands(under, place.span(), report) });
    }
    if let Some(name) = column.parameter {
        if catalogue.parameter(name.get_ref()).is_none_or(|value| !value.is_table()) {
            report.at(&name, format!("`{}` is no county parameter with an entry for each code", name.get_ref()));
        }
        ways.push(Content::Parameter(name.into_inner()));
    }
    ways.extend(column.indicator.map(Content::Indicator));
    if let Some(raw) = &column.text {
        ways.extend(text(raw, catalogue, report));
    }
    if let Some(raw) = &column.cell {
        ways.extend(cell(raw, listed, catalogue, report));
    }
    if ways.len() != 1 {
        let one = "a return column has exactly one of print, measure, count, terms, sum, ratio, share, parameter, text, indicator, cell";
        report.at(number, one);
        return None;
    }
    ways.pop()
}

fn text(raw: &Spanned<RawText>, catalogue: &Catalogue, report: &mut Report<'_>) -> Option<Content> {
    let RawText { ledger, condition, greatest, list } = raw.get_ref();
    let known = known_ledger(ledger, catalogue, report)?;
    let fold = match (greatest, list) {
        (Some(column), None) => {
            column_exists(column, known, report);
            TextFold::Greatest(column.get_ref().clone())
        }
        (None, Some(column)) => {
            column_exists(column, known, report);
            TextFold::List(column.get_ref().clone())
        }
        _ => {
            report.at(raw, "a text has one of `greatest`, `list`");
            return None;
        }
    };
    let condition = condition.as_ref().and_then(|text| expression(text, Some(known), report));
    Some(Content::Text { ledger: known.id.clone(), condition, fold })
}

fn cell(raw: &Spanned<RawCell>, listed: &str, catalogue: &Catalogue, report: &mut Report<'_>) -> Option<Content> {
    let Some(own) = catalogue.ledger(listed) else {
        report.at(raw, "only a list has cells");
        return None;
    };
    let cell = match raw.get_ref() {
        RawCell::Own(column) => {
            if own.column(column).is_none() {
                report.at(raw, format!("unknown column `{column}`"));
            }
            CellOf { ledger: None, column: column.clone(), same: None }
        }
        RawCell::Of { ledger, column, same } => {
            let Some(known) = catalogue.ledger(ledger).filter(|known| known.column(column).is_some()) else {
                report.at(raw, format!("unknown column `{ledger}/{column}`"));
                return None;
            };
            let same = match same.as_slice() {
                [] => None,
                [mine, theirs] if own.column(mine).is_some() && known.column(theirs).is_some() => {
                    Some((mine.clone(), theirs.clone()))
                }
                _ => {
                    report.at(raw, "`same` is a column of the list and one of the other ledger");
                    return None;
                }
            };
            CellOf { ledger: Some(known.id.clone()), column: column.clone(), same }
        }
    };
    Some(Content::Cell(cell))
}
