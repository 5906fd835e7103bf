//! 冲突清单: every cell that people wrote differently, with who and when.

use std::collections::BTreeMap;

use importer::{
    mask::shown,
    stamp::{CONFLICTS, DECISION, KEEP, OTHER, conflict_name},
    workbook::write::{Book, Out, Print, Style, WriteError},
};
use serde::Deserialize;
use sync_protocol::{
    Row, UnitId, Value,
    catalogue::{Column, ColumnType, Sensitivity},
    conflict::Provenance,
    unit::Unit,
};

use super::record_name;
use crate::{
    Server, clock, projection,
    store::{StoreError, StoredConflict},
};

/// A conflict as the projection keeps it.
#[derive(Deserialize)]
struct Conflict {
    address: String,
    values: Vec<ConflictValue>,
}

#[derive(Deserialize)]
struct ConflictValue {
    value: Value,
    change: String,
    provenance: Option<Provenance>,
    written_at_s: i64,
}

/// The cells in dispute of the year that the server is asked about.
pub async fn of_year(server: &Server) -> Result<Vec<StoredConflict>, StoreError> {
    let mut stored = server.store.conflicts().await?;
    stored.retain(|row| row.period == server.period());
    Ok(stored)
}

/// A conflict in words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ConflictLine {
    /// Title of the ledger.
    pub ledger: String,
    /// Name of the unit.
    pub unit: String,
    /// What names the record.
    pub record: String,
    /// Title of the column.
    pub column: String,
    /// The values, the winner first.
    pub values: Vec<ConflictSide>,
    /// The unit, the book and the address of the cell.
    #[serde(skip)]
    pub place: (UnitId, sync_protocol::Book, String),
}

/// One side of a conflict.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ConflictSide {
    /// The value as printed, masked in restricted columns.
    pub value: String,
    /// Who wrote it.
    pub who: String,
    /// When, by the writer's clock, in China Standard Time.
    pub when: String,
    /// The change that wrote it.
    #[serde(skip)]
    pub change: String,
}

/// The conflicts in words.
pub fn lines(server: &Server, stored: &[StoredConflict], units: &[Unit], clearance: Sensitivity) -> Vec<ConflictLine> {
    let names: BTreeMap<UnitId, &str> = units.iter().map(|unit| (unit.id, unit.name.as_str())).collect();
    let mut lines = Vec::new();
    for row in stored {
        let Ok(conflicts) = serde_json::from_str::<Vec<Conflict>>(row.conflicts.get()) else { continue };
        let cells = projection::row(row.row, row.cells.get(), false).unwrap_or_else(|_| Row::new(row.row));
        let ledger = server.catalogue.ledger(&row.ledger);
        for conflict in conflicts {
            let key = conflict.address.split('/').nth(2).unwrap_or_default();
            let column = ledger.and_then(|ledger| ledger.column(key));
            let print = |value: &Value| said(server, column, value, clearance);
            let values = conflict.values.iter().map(|side| ConflictSide {
                value: print(&side.value),
                change: side.change.clone(),
                who: side.provenance.as_ref().map_or("未知", |p| p.who.as_str()).to_owned(),
                when: clock::local(side.written_at_s.saturating_mul(1000)).strftime("%Y-%m-%d %H:%M").to_string(),
            });
            lines.push(ConflictLine {
                ledger: ledger.map_or(row.ledger.clone(), |ledger| ledger.title.clone()),
                unit: names.get(&row.unit).copied().unwrap_or("（未知单位）").to_owned(),
                record: record_name(&server.catalogue, &row.ledger, &cells, clearance),
                column: column.map_or(key, |column| column.title.as_str()).to_owned(),
                values: values.collect(),
                place: (row.unit, row.book, conflict.address.clone()),
            });
        }
    }
    lines
}

/// What a cell says, in words; what no column claims is as restricted as can be.
pub(crate) fn said(server: &Server, column: Option<&Column>, value: &Value, clearance: Sensitivity) -> String {
    if value.is_null() {
        return "（已清空）".to_owned();
    }
    let text = column.map_or_else(|| value.to_string(), |c| importer::print::printed(&server.catalogue, c, value));
    let (kind, class) = column.map_or((&ColumnType::Text, Sensitivity::S3), |c| (&c.column_type, c.sensitivity));
    shown(&text, kind, class, clearance)
}

pub(super) fn sheet(
    server: &Server,
    book: &mut Book,
    stored: &[StoredConflict],
    units: &[Unit],
    ledger: Option<&str>,
    clearance: Sensitivity,
) -> Result<(), WriteError> {
    let stored: Vec<StoredConflict> =
        stored.iter().filter(|row| ledger.is_none_or(|ledger| row.ledger == ledger)).cloned().collect();
    let lines = lines(server, &stored, units, clearance);
    let mut page = book.sheet(CONFLICTS)?;
    let headers = [
        "编号",
        "序号",
        "台账",
        "党组织",
        "记录",
        "列",
        KEEP,
        "填写人",
        "填写时间",
        OTHER,
        "填写人",
        "填写时间",
        DECISION,
    ];
    let title = "冲突清单（同一单元格有不同填写；在“处理”列选择后交回即生效，不选则各值仍均保留）";
    page.merge((0, 1), (0, 12), title, Style::Title)?;
    for (column, header) in (0u16..).zip(headers) {
        page.put(1, column, &Out::Text(header.into()), Style::Header)?;
        page.width(
            column,
            [5.5, 5.5, 16.0, 26.0, 12.0, 12.0, 16.0, 14.0, 16.0, 16.0, 14.0, 16.0, 10.0][usize::from(column)],
        )?;
    }
    page.hide_column(0)?;
    let mut row = 2;
    for (number, line) in lines.iter().enumerate() {
        let Some((winner, others)) = line.values.split_first() else { continue };
        for other in others {
            let (unit, book, address) = &line.place;
            let texts = [
                &conflict_name(*unit, *book, address, &winner.change, &other.change),
                &(number + 1).to_string(),
                &line.ledger,
                &line.unit,
                &line.record,
                &line.column,
                &winner.value,
                &winner.who,
                &winner.when,
                &other.value,
                &other.who,
                &other.when,
                "",
            ];
            for (column, text) in (0u16..).zip(texts) {
                page.put(row, column, &Out::Text(text.to_owned()), Style::Text)?;
            }
            row += 1;
        }
    }
    if row > 2 {
        page.choice((2, 12), (row - 1, 12), &format!("\"{KEEP},{OTHER}\""))?;
    }
    if lines.is_empty() {
        page.merge((2, 1), (2, 12), "没有冲突", Style::TextCentre)?;
    }
    page.freeze(2, 0)?;
    page.print(Print { landscape: true, repeat_rows: (0, 1), pages_wide: 1, repeat_columns: None })
}
