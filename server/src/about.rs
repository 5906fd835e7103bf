//! Everything that is kept about one person, for that person: the records that name them, and what was ever written there.

use std::collections::BTreeMap;

use importer::{
    print::printed,
    workbook::write::{Book, Created, Out, Page, Print, Style, WriteError},
};
use sync_protocol::{
    Identity, Row, RowId, UnitId, Value,
    catalogue::{Column, ColumnType, Ledger, Sensitivity},
    row::PHOTO,
    unit::Unit,
};

use crate::{
    Server, clock,
    history::{self, CellVersion, HistoryError},
    projection,
    returns::{at_and_below, record_name},
    store::StoreError,
};

/// Why there is no workbook.
#[derive(Debug, thiserror::Error)]
pub enum AboutError {
    /// A history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Writing it.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whom it is about.
#[derive(Debug, Clone)]
pub struct Whom {
    /// Their name, in full.
    pub name: String,
    /// Their identity number: records of others of that name are left out.
    pub id_card: Option<String>,
}

/// A record that names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordAbout {
    /// Its unit.
    pub unit: UnitId,
    /// The unit's name.
    pub unit_name: String,
    /// The campaign year.
    pub period: String,
    /// Catalogue id of the ledger.
    pub ledger: String,
    /// What names the record.
    pub name: String,
    /// The record, with what restricted books say of it.
    pub row: Row,
    /// Whether the record is theirs by its number, or names somebody of that name.
    pub is_certain: bool,
}

/// What a record says of whom it names.
#[derive(Default)]
struct Says {
    row: Option<Row>,
    names: bool,
    has_number: bool,
    has_other_number: bool,
}

/// The records at and below a unit that name somebody, of all years.
pub async fn records(server: &Server, top: UnitId, whom: &Whom) -> Result<Vec<RecordAbout>, StoreError> {
    let units = at_and_below(server.store.units().await?, top);
    let ids: Vec<UnitId> = units.iter().map(|unit| unit.id).collect();
    // A record stands in an open book and in its twin.
    let mut said: BTreeMap<(UnitId, String, String, RowId), Says> = BTreeMap::new();
    for (identity, _) in server.store.identities(&ids).await? {
        for projected in server.store.projection(identity.document(&server.tenant)).await? {
            let Some(ledger) = server.catalogue.ledger(&projected.ledger) else { continue };
            let row = projection::row(projected.row, &projected.cells, projected.removed);
            let row = row.map_err(|error| StoreError::Damaged(error.to_string()))?;
            let key = (identity.unit, identity.period.clone(), projected.ledger, projected.row);
            said.entry(key).or_default().add(ledger, row, whom);
        }
    }
    let unit_name = |id: UnitId| {
        let unit: Option<&Unit> = units.iter().find(|unit| unit.id == id);
        unit.map(|unit| unit.name.clone()).unwrap_or_default()
    };
    let mut found = Vec::new();
    for ((unit, period, ledger, _), says) in said {
        let Some(row) = says.row.filter(|_| says.has_number || (says.names && !says.has_other_number)) else {
            continue;
        };
        let (name, is_certain) = (record_name(&server.catalogue, &ledger, &row, Sensitivity::S3), says.has_number);
        found.push(RecordAbout { unit, unit_name: unit_name(unit), period, ledger, name, row, is_certain });
    }
    Ok(found)
}

impl Says {
    fn add(&mut self, ledger: &Ledger, row: Row, whom: &Whom) {
        for (key, value) in &row.cells {
            let Some(column) = ledger.column(key.split('/').next().unwrap_or(key)) else { continue };
            let text = value.to_string();
            match column.column_type {
                ColumnType::IdCard if !value.is_null() => match &whom.id_card {
                    Some(number) if number.eq_ignore_ascii_case(text.trim()) => self.has_number = true,
                    Some(_) => self.has_other_number = true,
                    None => {}
                },
                ColumnType::Person | ColumnType::Text => self.names |= names(&text, &whom.name),
                _ => {}
            }
        }
        match &mut self.row {
            None => self.row = Some(row),
            Some(known) => {
                known.removed |= row.removed;
                known.cells.extend(row.cells);
            }
        }
    }
}

/// Whether a text is this name, or a list of names with it.
fn names(text: &str, name: &str) -> bool {
    text.split(['、', ',', '，', ';', '；', '/', ' ', '\n']).any(|part| part.trim() == name)
}

/// All of it in one workbook; and how many values it holds.
pub async fn workbook(server: &Server, whom: &Whom, records: &[RecordAbout]) -> Result<(Vec<u8>, usize), AboutError> {
    let now = clock::now_ms();
    let mut book = Book::new("个人信息", Created { unix_s: now / 1000 })?;
    let heads = ["单位", "年度", "台账", "记录", "栏目", "内容"];
    let title = format!("{}：台账中保存的全部内容（{}）", whom.name, clock::local_date(now));
    let mut page = begin(&mut book, "现有内容", &title, &heads)?;
    let mut line = 2;
    let mut histories = Vec::new();
    for record in records {
        for (key, value) in &record.row.cells {
            let Some(column) = column(server, record, key) else {
                put(&mut page, line, &place(server, record, key), &[&value.to_string()])?;
                line += 1;
                continue;
            };
            put(&mut page, line, &place(server, record, &column.title), &[&said(server, column, key, value)])?;
            line += 1;
            histories.push((record, column, history(server, record, key).await?));
        }
    }
    end(&mut page)?;
    let values = usize::try_from(line - 2).unwrap_or_default();
    let heads = ["单位", "年度", "台账", "记录", "栏目", "填写的内容", "填写人", "填写时间", "来源文件", "设备"];
    let mut page = begin(&mut book, "填写经过", "每一处内容由谁、何时填写", &heads)?;
    let mut line = 2;
    for (record, column, versions) in &histories {
        for version in versions {
            let when = clock::local(version.written_at_ms).strftime("%Y-%m-%d %H:%M").to_string();
            let value = match version.value.as_str() {
                "" => "（已清空）".to_owned(),
                "true" | "false" => printed(&server.catalogue, column, &Value::Bool(version.value == "true")),
                text => printed(&server.catalogue, column, &Value::Text(text.to_owned())),
            };
            let (file, device) = (version.file.as_deref(), version.device.as_deref());
            let texts = [&*value, &version.who, &when, file.unwrap_or_default(), device.unwrap_or_default()];
            put(&mut page, line, &place(server, record, &column.title), &texts)?;
            line += 1;
        }
    }
    end(&mut page)?;
    Ok((book.bytes()?, values))
}

fn column<'a>(server: &'a Server, record: &RecordAbout, key: &str) -> Option<&'a Column> {
    server.catalogue.ledger(&record.ledger)?.column(key.split('/').next()?)
}

/// What a cell says; of a set, which member.
fn said(server: &Server, column: &Column, key: &str, value: &Value) -> String {
    let member = key.split_once('/').map(|(_, member)| member);
    let text = printed(&server.catalogue, column, value);
    member.map_or_else(|| text.clone(), |member| format!("{member}：{text}"))
}

fn place(server: &Server, record: &RecordAbout, column: &str) -> [String; 5] {
    let ledger = server.catalogue.ledger(&record.ledger).map_or(record.ledger.clone(), |ledger| ledger.title.clone());
    let column = if column.starts_with(PHOTO) { "照片（指纹）".to_owned() } else { column.to_owned() };
    [record.unit_name.clone(), record.period.clone(), ledger, record.name.clone(), column]
}

async fn history(server: &Server, record: &RecordAbout, key: &str) -> Result<Vec<CellVersion>, AboutError> {
    let (column, member) = key.split_once('/').map_or((key, None), |(column, member)| (column, Some(member)));
    let mut place = history::place(server, record.unit, &record.ledger, record.row.id, column)?;
    if let Some(member) = member {
        place = place.member(member);
    }
    place.identity = Identity { period: record.period.clone(), ..place.identity };
    match history::history(server, &place, Sensitivity::S3).await {
        Err(HistoryError::Unknown) => Ok(Vec::new()),
        history => Ok(history?),
    }
}

fn begin<'b>(book: &'b mut Book, name: &str, title: &str, heads: &[&str]) -> Result<Page<'b>, WriteError> {
    let mut page = book.sheet(name)?;
    let last = u16::try_from(heads.len()).unwrap_or(u16::MAX).saturating_sub(1);
    page.merge((0, 0), (0, last), title, Style::Title)?;
    for (column, head) in (0u16..).zip(heads) {
        page.put(1, column, &Out::Text((*head).to_owned()), Style::Header)?;
        page.width(column, if matches!(*head, "年度") { 8.0 } else { 20.0 })?;
    }
    Ok(page)
}

fn put(page: &mut Page<'_>, row: u32, place: &[String; 5], texts: &[&str]) -> Result<(), WriteError> {
    let texts = place.iter().map(String::as_str).chain(texts.iter().copied());
    for (column, text) in (0u16..).zip(texts) {
        page.put(row, column, &Out::Text(text.to_owned()), Style::Wrapped)?;
    }
    Ok(())
}

fn end(page: &mut Page<'_>) -> Result<(), WriteError> {
    page.freeze(2, 0)?;
    page.print(Print { landscape: true, repeat_rows: (0, 1), pages_wide: 1, repeat_columns: None })
}
