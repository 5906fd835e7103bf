//! Reading catalogue files: every error names file and line.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Deserialize;
use toml::Spanned;

use super::{
    Aggregate, Catalogue, Check, Code, CodeList, Column, ColumnType, Content, Expression, Format, Group, HeaderWords,
    Ledger, Measure, Requirement, ReturnColumn, ReturnForm, Sensitivity, UnitSource, Variable,
};
use crate::{ids::Book, row::is_name};

/// A catalogue file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its name in messages.
    pub name: String,
    /// Its TOML.
    pub text: String,
}

/// One mistake in a catalogue file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for CatalogueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

/// All mistakes that were found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct CatalogueErrors(pub Vec<CatalogueError>);

impl fmt::Display for CatalogueErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

macro_rules! builtin {
    ($($path:literal),* $(,)?) => {
        vec![$(Source {
            name: concat!("catalogue/", $path).to_owned(),
            text: include_str!(concat!("../../catalogue/", $path)).to_owned(),
        }),*]
    };
}

pub(super) fn builtin_sources() -> Vec<Source> {
    builtin![
        "headers.toml",
        "parameters.toml",
        "codes.toml",
        "measures.toml",
        "ledgers/reporting-units.toml",
        "ledgers/organisations.toml",
        "ledgers/members.toml",
        "ledgers/five-good-assessment.toml",
        "ledgers/grading.toml",
        "ledgers/rectification.toml",
        "ledgers/rectification-items.toml",
        "returns/r03-grading-summary.toml",
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    ledger: Option<RawLedger>,
    #[serde(default)]
    column: Vec<RawColumn>,
    #[serde(default)]
    list: Vec<RawList>,
    #[serde(default)]
    measure: Vec<RawMeasure>,
    #[serde(rename = "return")]
    form: Option<RawReturn>,
    parameters: Option<toml::Table>,
    headers: Option<HeaderWords>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLedger {
    id: Spanned<String>,
    title: String,
    title_en: String,
    #[serde(default)]
    title_aliases: Vec<String>,
    tier: u8,
    book: Spanned<String>,
    writer: String,
    keys: Spanned<Vec<Vec<String>>>,
    #[serde(default)]
    sort: Vec<String>,
    unit: UnitSource,
}

/// A column of a ledger or of a return: the file says which.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawColumn {
    key: Option<Spanned<String>>,
    title: Option<String>,
    #[serde(rename = "type")]
    column_type: Option<Spanned<String>>,
    required: Option<Requirement>,
    #[serde(default)]
    allowed: String,
    #[serde(default)]
    aliases: Vec<Spanned<String>>,
    sensitivity: Option<Sensitivity>,
    number: Option<Spanned<String>>,
    header: Option<Vec<String>>,
    measure: Option<Spanned<String>>,
    ratio: Option<Spanned<[String; 2]>>,
    share: Option<Spanned<[String; 2]>>,
    print: Option<Print>,
    format: Option<Format>,
    only: Option<Spanned<String>>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Print {
    Sequence,
    Group,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawList {
    id: Spanned<String>,
    title: String,
    codes: Spanned<Vec<Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMeasure {
    id: Spanned<String>,
    title: String,
    ledger: Spanned<String>,
    #[serde(rename = "where")]
    condition: Option<Spanned<String>>,
    #[serde(default)]
    count: Count,
    sum: Option<Spanned<String>>,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Count {
    #[default]
    Rows,
    Units,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReturn {
    id: Spanned<String>,
    number: String,
    form_number: String,
    title: String,
    units: String,
    #[serde(default)]
    groups: Vec<RawGroup>,
    #[serde(default)]
    variables: Vec<RawVariable>,
    #[serde(default)]
    lookups: BTreeMap<String, Spanned<[String; 2]>>,
    #[serde(default)]
    checks: Vec<Spanned<String>>,
    #[serde(default)]
    notes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    label: String,
    #[serde(rename = "where")]
    condition: Spanned<String>,
    #[serde(default)]
    of_which: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVariable {
    name: String,
    list: Spanned<String>,
    default: Spanned<String>,
}

/// Collects mistakes of one file.
struct Report<'a> {
    source: &'a Source,
    errors: &'a mut Vec<CatalogueError>,
}

impl Report<'_> {
    fn at<T>(&mut self, place: &Spanned<T>, message: impl Into<String>) {
        self.byte(place.span().start, message);
    }

    fn byte(&mut self, at: usize, message: impl Into<String>) {
        let before = self.source.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        self.errors.push(CatalogueError { file: self.source.name.clone(), line, message: message.into() });
    }
}

pub(super) fn load(sources: &[Source]) -> Result<Catalogue, CatalogueErrors> {
    let mut errors = Vec::new();
    let mut files = Vec::new();
    for source in sources {
        match toml::from_str::<File>(&source.text) {
            Ok(file) => files.push((source, file)),
            Err(error) => {
                let at = error.span().map(|span| span.start).unwrap_or_default();
                Report { source, errors: &mut errors }.byte(at, error.message());
            }
        }
    }
    let mut catalogue = Catalogue {
        ledgers: Vec::new(),
        lists: BTreeMap::new(),
        returns: Vec::new(),
        measures: BTreeMap::new(),
        parameters: toml::Table::new(),
        words: HeaderWords::default(),
        public_key: b"taizhang public row ids, version 1".to_vec(),
    };
    // Each pass may refer to what the passes before it declared, in any file.
    for (source, file) in &mut files {
        let mut report = Report { source, errors: &mut errors };
        catalogue.parameters.extend(file.parameters.take().unwrap_or_default());
        if let Some(words) = file.headers.take() {
            catalogue.words = words;
        }
        for raw in std::mem::take(&mut file.list) {
            let list = code_list(raw, &mut report);
            catalogue.lists.insert(list.id.clone(), list);
        }
    }
    for (source, file) in &mut files {
        let mut report = Report { source, errors: &mut errors };
        if let Some(raw) = file.ledger.take() {
            let columns = std::mem::take(&mut file.column);
            if let Some(ledger) = ledger(raw, columns, &catalogue, &mut report) {
                match catalogue.ledgers.iter_mut().find(|known| known.id == ledger.id) {
                    Some(known) => *known = ledger,
                    None => catalogue.ledgers.push(ledger),
                }
            }
        }
    }
    for (source, file) in &mut files {
        let mut report = Report { source, errors: &mut errors };
        for raw in std::mem::take(&mut file.measure) {
            if let Some(measure) = measure(raw, &catalogue, &mut report) {
                catalogue.measures.insert(measure.id.clone(), measure);
            }
        }
    }
    for (source, file) in files {
        let mut report = Report { source, errors: &mut errors };
        if let Some(raw) = file.form {
            let form = return_form(raw, file.column, &catalogue, &mut report);
            catalogue.returns.retain(|known| known.id != form.id);
            catalogue.returns.push(form);
        } else if let Some(column) = file.column.first() {
            let place = column.key.as_ref().or(column.number.as_ref()).map_or(0, |s| s.span().start);
            report.byte(place, "a [[column]] needs a [ledger] or a [return] in the same file");
        }
    }
    for ledger in &catalogue.ledgers {
        for column in &ledger.columns {
            if let ColumnType::Ref(target) = &column.column_type
                && catalogue.ledger(target).is_none()
            {
                let message =
                    format!("ledger `{}` column `{}` refers to unknown ledger `{target}`", ledger.id, column.key);
                errors.push(CatalogueError { file: format!("ledgers/{}.toml", ledger.id), line: 1, message });
            }
        }
    }
    if errors.is_empty() { Ok(catalogue) } else { Err(CatalogueErrors(errors)) }
}

fn code_list(raw: RawList, report: &mut Report<'_>) -> CodeList {
    let mut codes: Vec<Code> = Vec::new();
    let mut words: BTreeMap<String, String> = BTreeMap::new();
    for entry in raw.codes.get_ref() {
        let [code, label, aliases @ ..] = entry.as_slice() else {
            report.at(&raw.codes, format!("list `{}`: a code needs at least [code, label]", raw.id.get_ref()));
            continue;
        };
        for word in [label].into_iter().chain(aliases) {
            if let Some(other) = words.insert(word.clone(), code.clone()).filter(|other| other != code) {
                report
                    .at(&raw.codes, format!("list `{}`: `{word}` means both `{other}` and `{code}`", raw.id.get_ref()));
            }
        }
        if codes.iter().any(|known| known.code == *code) {
            report.at(&raw.codes, format!("list `{}`: code `{code}` stands twice", raw.id.get_ref()));
        }
        codes.push(Code { code: code.clone(), label: label.clone(), aliases: aliases.to_vec() });
    }
    CodeList { id: raw.id.into_inner(), title: raw.title, codes }
}

fn ledger(raw: RawLedger, columns: Vec<RawColumn>, catalogue: &Catalogue, report: &mut Report<'_>) -> Option<Ledger> {
    if !is_name(raw.id.get_ref()) {
        report.at(&raw.id, "a ledger id has letters, digits, `-` and `_` only");
    }
    let book = match raw.book.get_ref().parse::<Book>() {
        Ok(book) if !book.is_restricted() => book,
        _ => {
            report.at(&raw.book, format!("unknown book `{}`: use unit, township or county", raw.book.get_ref()));
            return None;
        }
    };
    let mut known: Vec<Column> = Vec::new();
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for column in columns {
        let (Some(key), Some(title), Some(type_text), Some(required), Some(sensitivity)) =
            (column.key, column.title, column.column_type, column.required, column.sensitivity)
        else {
            let at = raw.id.span().start;
            report.byte(at, "a ledger column needs key, title, type, required and sensitivity");
            continue;
        };
        if !is_name(key.get_ref()) || known.iter().any(|c| c.key == *key.get_ref()) {
            report.at(&key, format!("column key `{}` is not a name or stands twice", key.get_ref()));
        }
        let Some(column_type) = ColumnType::parse(type_text.get_ref()) else {
            report.at(&type_text, format!("unknown column type `{}`", type_text.get_ref()));
            continue;
        };
        if let Some(list) = column_type.list()
            && catalogue.list(list).is_none()
        {
            report.at(&type_text, format!("unknown code list `{list}`"));
        }
        let claimed = std::iter::once(&title).chain(column.aliases.iter().map(Spanned::get_ref));
        for (index, header) in claimed.enumerate() {
            let other = headers.insert(header.clone(), key.get_ref().clone());
            // A weak word may stand in several columns: it never decides alone.
            if let Some(other) = other.filter(|o| o != key.get_ref() && !catalogue.words.weak.contains(header)) {
                let place = index.checked_sub(1).map_or(&key, |i| &column.aliases[i]);
                report.at(place, format!("header `{header}` already belongs to column `{other}`"));
            }
        }
        known.push(Column {
            key: key.into_inner(),
            title,
            column_type,
            required,
            allowed: column.allowed,
            aliases: column.aliases.into_iter().map(Spanned::into_inner).collect(),
            sensitivity,
        });
    }
    let unit = [&raw.unit.reporting_unit, &raw.unit.code, &raw.unit.name, &raw.unit.short_name, &raw.unit.sort_order];
    let key_columns = raw.keys.get_ref().iter().flatten();
    for column in key_columns.chain(&raw.sort).chain(unit.into_iter().flatten()) {
        if !known.iter().any(|c| c.key == *column) {
            report.at(&raw.id, format!("keys, sort or unit name the column `{column}`, which does not exist"));
        }
    }
    Some(Ledger {
        id: raw.id.into_inner(),
        title: raw.title,
        title_en: raw.title_en,
        title_aliases: raw.title_aliases,
        tier: raw.tier,
        book,
        writer: raw.writer,
        keys: raw.keys.into_inner(),
        sort: raw.sort,
        unit: raw.unit,
        columns: known,
    })
}

fn measure(raw: RawMeasure, catalogue: &Catalogue, report: &mut Report<'_>) -> Option<Measure> {
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

fn return_form(raw: RawReturn, columns: Vec<RawColumn>, catalogue: &Catalogue, report: &mut Report<'_>) -> ReturnForm {
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
        let Some(number) = column.number else {
            report.byte(raw.id.span().start, "a return column needs a number (栏次)");
            continue;
        };
        let only = column.only.as_ref().and_then(|text| expression(text, None, report));
        if let (Some(text), Some(expression)) = (&column.only, &only) {
            variables_exist(expression, &variables, text, report);
        }
        let content = match (column.print, column.measure, column.ratio, column.share) {
            (Some(Print::Sequence), None, None, None) => Content::Sequence,
            (Some(Print::Group), None, None, None) => Content::Group,
            (None, Some(id), None, None) => {
                measure_exists(id.get_ref(), &id, &variables, catalogue, report);
                Content::Measure(id.into_inner())
            }
            (None, None, Some(place), None) => {
                for part in place.get_ref() {
                    let is_measure = |c: &ReturnColumn| c.number == *part && matches!(c.content, Content::Measure(_));
                    if !printed.iter().any(is_measure) {
                        report.at(&place, format!("ratio: no earlier counted column has the number `{part}`"));
                    }
                }
                let [over, under] = place.into_inner();
                Content::Ratio { over, under }
            }
            (None, None, None, Some(place)) => {
                for id in place.get_ref() {
                    measure_exists(id, &place, &variables, catalogue, report);
                }
                let [over, under] = place.into_inner();
                Content::Share { over, under }
            }
            _ => {
                report.at(&number, "a return column has exactly one of print, measure, ratio, share");
                continue;
            }
        };
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
