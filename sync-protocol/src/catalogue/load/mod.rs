//! Reading catalogue files: every error names file and line.

mod measures;
mod next_year;
mod raw;
mod raw_count;
mod returns;
mod rules;

use std::{collections::BTreeMap, fmt};

use include_dir::{Dir, include_dir};
use sha2::{Digest as _, Sha256};
use toml::Spanned;

use super::{
    Catalogue, Code, CodeList, Column, ColumnType, Expected, Expression, HeaderWords, Ledger, NextYear, Workflow,
};
use crate::{ids::Book, row::is_name};
use raw::{File, RawColumn, RawLedger, RawList};

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

/// Every file under `catalogue/` belongs to the built-in catalogue.
static BUILTIN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/catalogue");

pub(super) fn builtin_sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![&BUILTIN];
    while let Some(folder) = folders.pop() {
        folders.extend(folder.dirs());
        sources.extend(folder.files().filter_map(|file| {
            let text = file.contents_utf8()?.to_owned();
            Some(Source { name: format!("catalogue/{}", file.path().display()), text })
        }));
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    sources
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

/// Every file as it is written; a file that is no TOML of ours is a mistake, and the others are still read.
fn parse<'a>(sources: &'a [Source], errors: &mut Vec<CatalogueError>) -> Vec<(&'a Source, File)> {
    let mut files = Vec::new();
    for source in sources {
        match toml::from_str::<File>(&source.text) {
            Ok(file) => files.push((source, file)),
            Err(error) => {
                let at = error.span().map(|span| span.start).unwrap_or_default();
                Report { source, errors: &mut *errors }.byte(at, error.message());
            }
        }
    }
    files
}

/// Columns that refer to rows of another ledger: it must exist.
fn references(catalogue: &Catalogue, errors: &mut Vec<CatalogueError>) {
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
        if let Some(Expected::Where(condition)) = &ledger.expected {
            let organisations = catalogue.ledger("organisations");
            condition.names(
                &mut |column| {
                    if organisations.is_none_or(|organisations| organisations.column(column).is_none()) {
                        let message = format!("ledger `{}`: organisations have no column `{column}`", ledger.id);
                        errors.push(CatalogueError { file: format!("ledgers/{}.toml", ledger.id), line: 1, message });
                    }
                },
                &mut |_| {},
            );
        }
    }
}

/// Of whom rows are expected: `always`, or a condition on organisations.
fn expected(text: &Spanned<String>, report: &mut Report<'_>) -> Option<Expected> {
    if text.get_ref() == "always" {
        return Some(Expected::Always);
    }
    match Expression::parse(text.get_ref()) {
        Ok(condition) => Some(Expected::Where(condition)),
        Err(message) => {
            report.at(text, message);
            None
        }
    }
}

/// What the files say, in short.
fn digest(sources: &[Source]) -> [u8; 32] {
    let mut all = Sha256::new();
    for text in sources.iter().flat_map(|source| [&source.name, &source.text]) {
        all.update(text.len().to_be_bytes());
        all.update(text);
    }
    all.finalize().into()
}

pub(super) fn load(sources: &[Source]) -> Result<Catalogue, CatalogueErrors> {
    let mut errors = Vec::new();
    let mut files = parse(sources, &mut errors);
    let mut catalogue = Catalogue {
        ledgers: Vec::new(),
        lists: BTreeMap::new(),
        returns: Vec::new(),
        measures: BTreeMap::new(),
        indicators: Vec::new(),
        rules: Vec::new(),
        workflows: Vec::new(),
        requirements: Vec::new(),
        parameters: toml::Table::new(),
        words: HeaderWords::default(),
        public_key: b"taizhang public row ids, version 1".to_vec(),
        digest: digest(sources),
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
            if let Some(measure) = measures::measure(raw, &catalogue, &mut report) {
                catalogue.measures.insert(measure.id.clone(), measure);
            }
        }
    }
    for (source, file) in &mut files {
        let mut report = Report { source, errors: &mut errors };
        for raw in std::mem::take(&mut file.indicator) {
            let indicator = measures::indicator(raw, &catalogue, &mut report);
            catalogue.indicators.retain(|known| known.id != indicator.id);
            catalogue.indicators.push(indicator);
        }
    }
    for (source, file) in &mut files {
        let mut report = Report { source, errors: &mut errors };
        for raw in std::mem::take(&mut file.rule) {
            if let Some(rule) = rules::rule(raw, &catalogue, &mut report) {
                catalogue.rules.retain(|known| known.id != rule.id);
                catalogue.rules.push(rule);
            }
        }
    }
    catalogue.indicators.sort_by(|a, b| a.id.cmp(&b.id));
    for (source, file) in &mut files {
        let mut report = Report { source, errors: &mut errors };
        for raw in std::mem::take(&mut file.workflow) {
            if let Some(workflow) = measures::workflow(raw, &catalogue, &mut report) {
                let same = |known: &Workflow| known.ledger == workflow.ledger && known.column == workflow.column;
                catalogue.workflows.retain(|known| !same(known));
                catalogue.workflows.push(workflow);
            }
        }
        for raw in std::mem::take(&mut file.requirement) {
            let requirement = measures::requirement(raw, &catalogue, &mut report);
            catalogue.requirements.push(requirement);
        }
    }
    for (source, file) in files {
        let mut report = Report { source, errors: &mut errors };
        if let Some(raw) = file.form {
            let form = returns::return_form(raw, (file.column, file.sheet), &mut catalogue, &mut report);
            for (index, group) in form.groups.iter().enumerate() {
                let measure = group.measure(&form.id, index);
                catalogue.measures.insert(measure.id.clone(), measure);
            }
            catalogue.returns.retain(|known| known.id != form.id);
            catalogue.returns.push(form);
        } else if let Some(sheet) = file.sheet.first() {
            report.at(&sheet.rows, "a [[sheet]] needs a [return] in the same file");
        } else if let Some(column) = file.column.first() {
            let place = column.key.as_ref().or(column.number.as_ref()).map_or(0, |s| s.span().start);
            report.byte(place, "a [[column]] needs a [ledger] or a [return] in the same file");
        }
    }
    catalogue.ledgers.sort_by_key(|ledger| ledger.number);
    references(&catalogue, &mut errors);
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
    // A column with a mistake of its own is still there for whoever names it.
    let declared: Vec<String> = columns.iter().filter_map(|c| c.key.as_ref()).map(|k| k.get_ref().clone()).collect();
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
            default: column.default,
            allowed: column.allowed,
            aliases: column.aliases.into_iter().map(Spanned::into_inner).collect(),
            sensitivity,
            future: column.future,
        });
    }
    let unit = [&raw.unit.reporting_unit, &raw.unit.code, &raw.unit.name, &raw.unit.short_name, &raw.unit.sort_order];
    let key_columns = raw.keys.get_ref().iter().flatten();
    for column in key_columns.chain(&raw.sort).chain(unit.into_iter().flatten()) {
        if !declared.contains(column) {
            report.at(&raw.id, format!("keys, sort or unit name the column `{column}`, which does not exist"));
        }
    }
    let mut ledger = Ledger {
        id: raw.id.get_ref().clone(),
        number: raw.number,
        title: raw.title,
        title_en: raw.title_en,
        title_aliases: raw.title_aliases,
        tier: raw.tier,
        book,
        writer: raw.writer,
        keeps_rows: raw.keeps_rows,
        expected: raw.expected.as_ref().and_then(|text| expected(text, report)),
        keys: raw.keys.into_inner(),
        sort: raw.sort,
        unit: raw.unit,
        next_year: NextYear::default(),
        columns: known,
    };
    if let Some(declared) = raw.next_year {
        ledger.next_year = next_year::next_year(declared, &ledger, report);
    }
    Some(ledger)
}
