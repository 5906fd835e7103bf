//! Returns 报表: standardized workbooks from the projection.

pub mod behind;
mod board;
pub mod codes;
mod collection;
pub mod conflicts;
mod figures;
mod frame;
pub(crate) mod kept;
mod ledger;
mod list;
mod marks;
mod named;
mod past;
mod print;
mod sealing;
mod small;
mod summary;
pub mod verify;

use std::{collections::BTreeSet, path::PathBuf};

use importer::workbook::write::{Book, Created, WriteError};
use sync_protocol::{
    UnitId, Value,
    catalogue::{ReturnForm, Sensitivity, Variables},
    unit::Unit,
};

use crate::{
    Server, clock, periods,
    store::{Seal, StoreError},
};

pub(crate) use conflicts::said;
pub(crate) use figures::read;
pub use figures::{Counts, Line, Scope, lines};
pub(crate) use named::record_name;
pub use past::{AsOf, Moment, Past};

/// Why a return was not drawn.
#[derive(Debug, thiserror::Error)]
pub enum ReturnError {
    /// No such return or ledger.
    #[error("没有这张报表或台账 no such return or ledger: `{0}`。可用 available: {1}")]
    Unknown(String, String),
    /// A choice that the return does not have.
    #[error("`{name}` 应为 must be one of: {allowed}")]
    Variable {
        /// The variable.
        name: String,
        /// Its codes.
        allowed: String,
    },
    /// It has no such sheet.
    #[error("没有这张工作表，可用 no such sheet, available: {0}")]
    NoSheet(String),
    /// A cell that counts nothing.
    #[error("这一格不是统计数 nothing is counted in this cell: {0}")]
    NoFigure(String),
    /// A return lists reporting units: there are none below this one.
    #[error("该单位之下没有填报单位，不能生成汇总表 no reporting unit below this one: {0}")]
    NoReportingUnit(String),
    /// The unit came into the register after the year was sealed.
    #[error("{1}年度封存时还没有这个单位 there was no such unit when {1} was sealed: {0}")]
    NotThen(String, String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A projected row cannot be read.
    #[error("投影数据损坏 damaged projection: {0}; run `taizhang doctor`")]
    Damaged(#[from] serde_json::Error),
    /// The workbook cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It cannot be sealed.
    #[error(transparent)]
    Seal(#[from] importer::seal::SealError),
    /// The folder.
    #[error("无法写入 cannot write: {0}")]
    Io(#[from] std::io::Error),
}

/// What to draw.
#[derive(Debug, Clone)]
pub struct ReturnRequest {
    /// A return (`R03`) or a ledger (`members`).
    pub name: String,
    /// Choices such as `round=final`.
    pub variables: Vec<(String, String)>,
    /// The folder to write into.
    pub folder: PathBuf,
    /// 统计截止日期.
    pub date: jiff::civil::Date,
    /// The highest class of data that is written in clear.
    pub clearance: Sensitivity,
    /// The unit at the top of what is drawn.
    pub top: Unit,
    /// The state of the past that it is drawn from; the present, if none is given.
    pub as_of: Option<AsOf>,
    /// Who has asked for it, and when: it stands in the foot of each page.
    pub reader: Option<String>,
    /// What is printed below each table besides its own notes.
    pub notes: Vec<String>,
    /// The period of the submitted copies that it is merged from, once it is known as of when each of them is.
    pub copies: Option<String>,
    /// Reporting units without an approved copy for that period.
    pub unreported: BTreeSet<UnitId>,
    /// How the year is sealed that it is drawn of, once that is known.
    pub of_sealed: Option<Seal>,
}

impl ReturnRequest {
    /// A return as it is drawn unless something else is said: from the present, without restricted columns.
    pub fn new(name: impl Into<String>, top: Unit, date: jiff::civil::Date, folder: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            variables: Vec::new(),
            folder: folder.into(),
            date,
            clearance: Sensitivity::S2,
            top,
            as_of: None,
            reader: None,
            notes: Vec::new(),
            copies: None,
            unreported: BTreeSet::new(),
            of_sealed: None,
        }
    }
}

/// A drawn return.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Drawn {
    /// The file.
    pub path: PathBuf,
    /// Rows of the main sheet.
    pub rows: usize,
    /// Check relations that do not hold: row label and relation.
    pub failed_checks: Vec<String>,
    /// Its seal, if it bears one.
    pub seal: Option<Sealed>,
}

/// What is printed below each table of a sealed return.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Sealed {
    /// 校验码.
    pub code: String,
    /// 回执号: the last change that it knows, by its number in the feed.
    pub seq: i64,
    /// Of what it was drawn: enough to draw it again.
    #[serde(skip)]
    pub of: importer::seal::Drawn,
}

/// The unit that everything stands below.
pub async fn county(server: &Server) -> Result<Unit, ReturnError> {
    let unit = server.store.unit(server.county).await?;
    unit.ok_or_else(|| StoreError::Damaged("the county is no unit".into()).into())
}

/// The units at and below this one, parents first, as the register has them.
pub fn at_and_below(units: Vec<Unit>, top: UnitId) -> Vec<Unit> {
    let mut below = BTreeSet::from([top]);
    units
        .into_iter()
        .filter(|unit| {
            let is_in = below.contains(&unit.id) || unit.parent.is_some_and(|parent| below.contains(&parent));
            is_in && {
                below.insert(unit.id);
                true
            }
        })
        .collect()
}

/// Draws a return or a merged ledger, and keeps of what it was drawn: whoever holds it on paper can have its code looked up.
pub async fn draw(server: &Server, request: &ReturnRequest) -> Result<Drawn, ReturnError> {
    let drawn = draw_again(server, request).await?;
    if let Some(seal) = &drawn.seal {
        let of = serde_json::to_string(&seal.of)?;
        // A return can be drawn where nothing can be written: then its file alone says what it is.
        if let Err(error) = server.store.keep_seal(&seal.code, &of, clock::now_ms()).await {
            tracing::warn!(%error, code = seal.code, "the code of a return is not kept");
        }
    }
    Ok(drawn)
}

/// Whether drawing it takes long: a state of the past, all records, or everything there is.
pub fn is_heavy(server: &Server, request: &ReturnRequest) -> bool {
    request.as_of.is_some() || server.catalogue.return_form(&request.name).is_none()
}

/// Whether it has cells that are hidden from some where they are about few people.
pub fn has_small_cells(server: &Server, name: &str) -> bool {
    let mut columns = server
        .catalogue
        .returns()
        .iter()
        .filter(|form| name == collection::NAME || form.number == name)
        .flat_map(|form| form.sheets.iter().flat_map(|sheet| &sheet.columns));
    columns.any(|column| column.small)
}

/// Draws it without keeping anything.
pub(crate) async fn draw_again(server: &Server, request: &ReturnRequest) -> Result<Drawn, ReturnError> {
    let Some(as_of) = &request.as_of else {
        return match periods::seal_of(server).await? {
            Some(seal) => draw_sealed(server, request, seal).await,
            None => draw_from(server, request).await,
        };
    };
    let (past, request) = past::opened(server, request, as_of).await?;
    let drawn = Box::pin(draw_from(&past.server, &request)).await;
    past.close().await;
    drawn
}

/// Draws it of a year that is sealed: its documents do not change any more, and the units are those of then.
async fn draw_sealed(server: &Server, request: &ReturnRequest, seal: Seal) -> Result<Drawn, ReturnError> {
    let register = server.store.periods().register(&server.period()).await?.unwrap_or_default();
    let top = register.iter().find(|unit| unit.id == request.top.id).cloned();
    let top = top.ok_or_else(|| ReturnError::NotThen(request.top.name.clone(), server.period()))?;
    let as_of = Some(AsOf::Seq(seal.seq));
    let request = ReturnRequest { top, as_of, of_sealed: Some(seal), ..request.clone() };
    if register == server.store.units().await? {
        return Box::pin(draw_from(server, &request)).await;
    }
    let past = Past::of_year(server, &register).await?;
    let drawn = Box::pin(draw_from(&past.server, &request)).await;
    past.close().await;
    drawn
}

async fn draw_from(server: &Server, request: &ReturnRequest) -> Result<Drawn, ReturnError> {
    tokio::fs::create_dir_all(&request.folder).await?;
    if request.name == collection::NAME {
        return Box::pin(collection::draw(server, request)).await;
    }
    if let Some(form) = server.catalogue.return_form(&request.name) {
        return summary::draw(server, form, request).await;
    }
    if let Some(ledger) = server.catalogue.ledger(&request.name) {
        return ledger::draw(server, ledger, request).await;
    }
    let returns = server.catalogue.returns().iter().map(|form| form.number.clone());
    let ledgers = server.catalogue.ledgers().iter().map(|ledger| ledger.id.clone());
    let available: Vec<String> = returns.chain(ledgers).chain([collection::NAME.to_owned()]).collect();
    Err(ReturnError::Unknown(request.name.clone(), available.join(", ")))
}

/// The values of a return's variables: what was chosen, or the default.
pub fn variables(server: &Server, form: &ReturnForm, chosen: &[(String, String)]) -> Result<Variables, ReturnError> {
    let mut variables = server.catalogue.variables(server.campaign_year, None);
    variables.extend(choices(server, form, chosen)?.into_iter().map(|(name, value)| (name, Value::text(&value))));
    Ok(variables)
}

/// What is chosen of each of a return's variables.
pub(crate) fn choices(
    server: &Server,
    form: &ReturnForm,
    chosen: &[(String, String)],
) -> Result<Vec<(String, String)>, ReturnError> {
    if let Some((name, _)) = chosen.iter().find(|(name, _)| !form.variables.iter().any(|v| v.name == *name)) {
        let allowed: Vec<&str> = form.variables.iter().map(|v| v.name.as_str()).collect();
        return Err(ReturnError::Variable { name: name.clone(), allowed: allowed.join(", ") });
    }
    let choice = |variable: &sync_protocol::catalogue::Variable| {
        let value = chosen.iter().rev().find(|(name, _)| *name == variable.name).map_or(&variable.default, |(_, v)| v);
        let list = server.catalogue.list(&variable.list);
        if list.is_none_or(|list| list.code(value).is_none()) {
            let allowed: Vec<&str> =
                list.map(|l| l.codes.iter().map(|c| c.code.as_str()).collect()).unwrap_or_default();
            return Err(ReturnError::Variable { name: variable.name.clone(), allowed: allowed.join(", ") });
        }
        Ok((variable.name.clone(), value.clone()))
    };
    form.variables.iter().map(choice).collect()
}

/// 2012年4月30日.
fn chinese_date(date: jiff::civil::Date) -> String {
    format!("{}年{}月{}日", date.year(), date.month(), date.day())
}

/// A new workbook. Its creation time is the statistics date, so that the same figures give the same bytes.
fn book(title: &str, request: &ReturnRequest) -> Result<Book, WriteError> {
    let days = request.date.since(jiff::civil::date(1970, 1, 1)).map_or(0, |span| i64::from(span.get_days()));
    let mut book = Book::new(title, Created { unix_s: days * 86_400 })?;
    if let Some(reader) = &request.reader {
        book.hand_to(reader);
    }
    Ok(book)
}

/// `基组年03表_分类定级汇总表_20120430.xlsx`, without characters that file systems refuse.
fn file_name(parts: &[&str], date: jiff::civil::Date) -> String {
    let name: String = parts
        .join("_")
        .chars()
        .map(|c| if matches!(c, '\\' | '/' | ':' | '*' | '?' | '"' | '<' | '>' | '|') { '-' } else { c })
        .collect();
    format!("{name}_{:04}{:02}{:02}.xlsx", date.year(), date.month(), date.day())
}
