//! Merged ledgers 台账合并表: every row of a ledger at and below a unit, in official order, with its conflicts.

use std::collections::{BTreeMap, BTreeSet};

use importer::{
    stamp::{REMOVE, ROW_IDS, Stamp},
    workbook::write::{Out, Page, Print, Style},
};
use sync_protocol::{
    ChangeHash, Row, UnitId,
    catalogue::{Column, Ledger, Sensitivity},
    row::EXTRA,
    unit::{Unit, UnitLevel},
};

use super::{
    Drawn, ReturnError, ReturnRequest, at_and_below, book, chinese_date, conflicts, figures::read, file_name, print,
};
use crate::{Server, store::StoreError};

/// How often rows are read that somebody is writing to.
const READ_ROUNDS_MAX: usize = 16;
/// Units whose rows are in memory at once.
const UNITS_PER_CHUNK: usize = 20;
/// Title, meta line, header, hidden keys.
const FIRST_ROW: u32 = 4;

pub(super) async fn draw(server: &Server, ledger: &Ledger, request: &ReturnRequest) -> Result<Drawn, ReturnError> {
    let register = at_and_below(server.store.units().await?, request.top.id);
    let mut units = in_order(&register);
    for (unit, parent) in &mut units {
        // Of the ledger of one organisation its reporting unit is not among them.
        if parent.is_none()
            && unit.level == UnitLevel::Organisation
            && let Some(above) = unit.parent
        {
            *parent = server.store.unit(above).await?;
        }
    }
    let extras =
        if request.clearance == Sensitivity::S3 { extras(server, ledger, &units).await? } else { BTreeSet::new() };
    let path =
        request.folder.join(file_name(&[&ledger.title, &format!("{}年", server.campaign_year), "合并"], request.date));
    let mut book = book(&ledger.title, request)?;
    let mut rows = 0;
    let mut stamp = Stamp {
        ledger: ledger.id.clone(),
        period: server.period(),
        clearance: request.clearance,
        heads: BTreeMap::new(),
        rows: BTreeSet::new(),
    };
    {
        let mut page = book.long_sheet(&ledger.title.chars().take(31).collect::<String>())?;
        let table = Table { server, ledger, extras: &extras, request };
        table.frame(&mut page)?;
        for chunk in units.chunks(UNITS_PER_CHUNK) {
            let ids: Vec<UnitId> = chunk.iter().map(|(unit, _)| unit.id).collect();
            let (mut read, heads) = read_with_heads(server, ledger, &ids).await?;
            stamp.heads.extend(heads);
            for (unit, parent) in chunk {
                let mut own = read.remove(&unit.id).unwrap_or_default();
                own.retain(Row::stands);
                own.sort_by(|a, b| sort_key(ledger, a).cmp(&sort_key(ledger, b)).then(a.id.cmp(&b.id)));
                for row in own {
                    table.row(&mut page, rows, unit, parent.as_ref(), &row)?;
                    stamp.rows.insert((unit.id, row.id));
                    rows += 1;
                }
            }
        }
    }
    let ids: BTreeSet<UnitId> = register.iter().map(|unit| unit.id).collect();
    let mut stored = conflicts::of_year(server).await?;
    stored.retain(|row| ids.contains(&row.unit));
    conflicts::sheet(server, &mut book, &stored, &register, Some(&ledger.id), request.clearance)?;
    stamp.write(&mut book, |statement| server.keys.sign(statement))?;
    book.save(&path)?;
    Ok(Drawn { path, rows, failed_checks: Vec::new(), seal: None })
}

/// Units in official order, each reporting unit followed by its organisations; an organisation alone where its reporting
/// unit is not among them.
pub(super) fn in_order(units: &[Unit]) -> Vec<(Unit, Option<Unit>)> {
    let top = |level| units.iter().filter(move |unit| unit.level == level);
    if top(UnitLevel::ReportingUnit).next().is_none() {
        return units.iter().map(|unit| (unit.clone(), None)).collect();
    }
    let mut ordered = Vec::new();
    ordered.extend(top(UnitLevel::County).map(|unit| (unit.clone(), None)));
    for reporting in top(UnitLevel::ReportingUnit) {
        ordered.push((reporting.clone(), None));
        let own = top(UnitLevel::Organisation).filter(|unit| unit.parent == Some(reporting.id));
        ordered.extend(own.map(|unit| (unit.clone(), Some(reporting.clone()))));
    }
    ordered
}

/// The documents of a ledger, and their newest changes.
type Heads = BTreeMap<(UnitId, sync_protocol::Book), Vec<ChangeHash>>;

/// The rows of some units and the state that they are of: both of the same moment.
async fn read_with_heads(
    server: &Server,
    ledger: &Ledger,
    units: &[UnitId],
) -> Result<(BTreeMap<UnitId, Vec<Row>>, Heads), ReturnError> {
    let heads = async || -> Result<Heads, ReturnError> {
        let known = server.store.identities(units).await?.into_iter();
        let own = known
            .filter(|(identity, _)| identity.period == server.period() && identity.book.open() == ledger.book.open());
        Ok(own.map(|(identity, heads)| ((identity.unit, identity.book), heads)).collect())
    };
    let mut before = heads().await?;
    for _ in 0..READ_ROUNDS_MAX {
        let rows = read(server, &ledger.id, units).await?;
        let after = heads().await?;
        if before == after {
            return Ok((rows, after));
        }
        before = after;
    }
    Err(StoreError::Database("these units are being written to: try again".into()).into())
}

fn sort_key(ledger: &Ledger, row: &Row) -> Vec<Option<sync_protocol::Value>> {
    ledger.sort.iter().map(|column| row.get(column).cloned()).collect()
}

/// Headers that no column claims, met anywhere in the county.
async fn extras(
    server: &Server,
    ledger: &Ledger,
    units: &[(Unit, Option<Unit>)],
) -> Result<BTreeSet<String>, ReturnError> {
    let mut headers = BTreeSet::new();
    for chunk in units.chunks(UNITS_PER_CHUNK) {
        let ids: Vec<UnitId> = chunk.iter().map(|(unit, _)| unit.id).collect();
        for row in read(server, &ledger.id, &ids).await?.values().flatten().filter(|row| row.stands()) {
            let extra = row.cells.keys().filter_map(|key| key.strip_prefix(EXTRA)?.strip_prefix('/'));
            headers.extend(extra.map(str::to_owned));
        }
    }
    Ok(headers)
}

struct Table<'a> {
    server: &'a Server,
    ledger: &'a Ledger,
    extras: &'a BTreeSet<String>,
    request: &'a ReturnRequest,
}

impl Table<'_> {
    fn frame(&self, page: &mut Page<'_>) -> Result<(), ReturnError> {
        let columns = &self.ledger.columns;
        let last = u16::try_from(columns.len() + 1 + self.extras.len()).unwrap_or(u16::MAX);
        page.hide_column(0)?;
        page.width(1, 5.5)?;
        for (at, column) in (2u16..).zip(columns) {
            page.width(at, width(column))?;
        }
        let year = self.server.campaign_year;
        let title = format!("{}{}（{year}年）", self.request.top.name, self.ledger.title);
        // Over the first printed page, where it is read.
        page.merge((0, 1), (0, last.min(10)), &title, Style::Title)?;
        let masked = match self.request.clearance {
            Sensitivity::S3 => "",
            Sensitivity::S2 => "（限制级信息已脱敏）",
            Sensitivity::S0 | Sensitivity::S1 => "（个人信息已脱敏）",
        };
        let meta = format!("统计截止日期：{}{masked}", chinese_date(self.request.date));
        page.merge((1, 1), (1, last.min(10)), &meta, Style::MetaLeft)?;
        page.put(2, 0, &Out::Text(ROW_IDS.into()), Style::Header)?;
        page.put(2, 1, &Out::Text("序号".into()), Style::Header)?;
        for (at, column) in (2u16..).zip(columns) {
            page.put(2, at, &Out::Text(column.title.clone()), Style::Header)?;
        }
        for (at, header) in (2u16 + u16::try_from(columns.len()).unwrap_or(0)..).zip(self.extras) {
            page.put(2, at, &Out::Text(header.clone()), Style::Header)?;
        }
        page.put(2, last + 1, &Out::Text(REMOVE.into()), Style::Header)?;
        page.width(last + 1, 6.0)?;
        page.put(3, 0, &Out::Text("@row".into()), Style::ColumnNumber)?;
        for (at, column) in (2u16..).zip(columns) {
            page.put(3, at, &Out::Text(column.key.clone()), Style::ColumnNumber)?;
        }
        page.hide_row(3)?;
        page.freeze(FIRST_ROW, 2)?;
        // About 130 characters of 10 points fit on a page; the first columns name the record on each of them.
        let characters: f64 = columns.iter().map(width).sum();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a ledger is a few pages wide")]
        let pages_wide = (characters / 130.0).ceil().clamp(1.0, 20.0) as u16;
        let repeat_columns = (pages_wide > 1).then_some((1, 5.min(last)));
        page.print(Print { landscape: true, repeat_rows: (0, 2), pages_wide, repeat_columns })?;
        Ok(())
    }

    fn row(
        &self,
        page: &mut Page<'_>,
        index: usize,
        unit: &Unit,
        parent: Option<&Unit>,
        row: &Row,
    ) -> Result<(), ReturnError> {
        let at = FIRST_ROW + u32::try_from(index).unwrap_or(u32::MAX);
        page.put(at, 0, &Out::Text(format!("{}/{}", unit.id, row.id)), Style::Text)?;
        page.put(at, 1, &Out::Text((index + 1).to_string()), Style::TextCentre)?;
        for (place, column) in (2u16..).zip(&self.ledger.columns) {
            let (value, style) = match self.ledger.unit.named(&column.key, unit, parent) {
                Some(text) => (Out::Text(text), Style::Text),
                None => print::cell(&self.server.catalogue, column, row, self.request.clearance),
            };
            page.put(at, place, &value, style)?;
        }
        for (place, header) in (2u16 + u16::try_from(self.ledger.columns.len()).unwrap_or(0)..).zip(self.extras) {
            let text = row.text(&format!("{EXTRA}/{header}")).to_owned();
            page.put(at, place, &Out::Text(text), Style::Text)?;
        }
        let remove = 2 + u16::try_from(self.ledger.columns.len() + self.extras.len()).unwrap_or(0);
        page.put(at, remove, &Out::Blank, Style::Text)?;
        Ok(())
    }
}

fn width(column: &Column) -> f64 {
    use sync_protocol::catalogue::ColumnType as T;
    match column.column_type {
        T::IdCard | T::Uscc => 21.0,
        T::LongText | T::Ref(_) => 24.0,
        T::Phone | T::Division => 14.0,
        T::Date | T::PDate => 11.0,
        T::Int | T::Bool | T::Score => 8.0,
        _ => 12.0,
    }
}
