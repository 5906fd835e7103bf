//! The code on a printed return: whether there is such a return, and what it says, for those who may see it.

use importer::{
    ReadLimits,
    seal::{Drawn, Seal, examine, typed_code},
    workbook::look::SheetLook,
};
use serde::Serialize;
use sync_protocol::UnitId;

use super::{AsOf, ReturnError, verify};
use crate::{
    Server,
    aside::aside,
    auth::{Caller, Permission},
    store::StoreError,
};

/// Rows of a sheet that are shown.
const ROWS_MAX: usize = 2000;

/// A sheet as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SealedSheet {
    /// Its name.
    pub name: String,
    /// Its rows, each cell a text.
    pub rows: Vec<Vec<String>>,
}

/// What is known of a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Known {
    /// The code as it is printed.
    pub code: String,
    /// Whether a return with this code was drawn here.
    pub exists: bool,
    /// The same in words, and what else there is to be said.
    pub sentence: String,
    /// Of what it was drawn; only for those who may see it.
    #[schema(value_type = Option<Object>)]
    pub drawn: Option<Drawn>,
    /// What it says; only for those who may see it.
    pub sheets: Vec<SealedSheet>,
}

/// Looks a code up, for somebody or for a stranger. None, if it cannot be a code.
pub async fn look_up(server: &Server, typed: &str, caller: Option<&Caller>) -> Result<Option<Known>, ReturnError> {
    let Some(code) = typed_code(typed) else { return Ok(None) };
    let known = |exists, sentence: &str| Known {
        code: code.clone(),
        exists,
        sentence: sentence.to_owned(),
        drawn: None,
        sheets: Vec::new(),
    };
    let Some(drawn) = drawn(server, &code).await? else {
        let sentence = "本服务器没有生成过此校验码的报表，请核对是否输错 | no return with this code was drawn here: check what was typed";
        return Ok(Some(known(false, sentence)));
    };
    let may = match caller {
        Some(caller) => may_see(server, caller, &drawn).await?,
        None => false,
    };
    if !may {
        let sentence = "本服务器生成过此校验码的报表；登录后，有权查看该单位的人可看到其内容 | a return with this code was drawn here: whoever may see its unit is shown what it says once they have signed in";
        return Ok(Some(known(true, sentence)));
    }
    let look = sealed(server, &code, &drawn).await?;
    let Some(sheets) = look else {
        let sentence = "本服务器生成过此校验码的报表，但其内容已不能原样重现（程序或目录已更新，或有记录被擦除） | a return with this code was drawn here, but what it said cannot be drawn again (the program or the catalogue has changed since, or records were erased)";
        return Ok(Some(Known { drawn: Some(drawn), ..known(true, sentence) }));
    };
    let sentence =
        "以下是生成时的内容，请与纸面逐项核对 | this is what it said when it was drawn: compare it with the paper";
    Ok(Some(Known { drawn: Some(drawn), sheets, ..known(true, sentence) }))
}

async fn drawn(server: &Server, code: &str) -> Result<Option<Drawn>, StoreError> {
    let stored = server.store.seal(code).await?;
    let damaged = |error: serde_json::Error| StoreError::Damaged(format!("seal {code}: {error}"));
    stored.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()
}

/// Whether somebody may see what a return says: they may draw it.
pub async fn may_see(server: &Server, caller: &Caller, drawn: &Drawn) -> Result<bool, StoreError> {
    let Ok(unit) = drawn.unit.parse::<UnitId>() else { return Ok(false) };
    let is_below = server.store.is_below(unit, caller.grant.unit).await?;
    Ok(is_below && caller.may(Permission::DrawReturns).is_ok() && caller.clearance() >= verify::class(&drawn.class))
}

/// What was sealed: of the copy that was submitted, or drawn again with the same code.
async fn sealed(server: &Server, code: &str, drawn: &Drawn) -> Result<Option<Vec<SealedSheet>>, ReturnError> {
    let submission = server.store.submissions().await?.into_iter().rfind(|submission| submission.code == code);
    let bytes = match submission {
        Some(submission) => server.store.submitted_workbook(submission.number).await?,
        None if drawn.copies.is_some() => verify::again(server, drawn, None).await.ok(),
        None => verify::again(server, drawn, Some(AsOf::Seq(drawn.seq))).await.ok(),
    };
    let Some(bytes) = bytes else { return Ok(None) };
    let (keys, limits) = (server.keyring.seal_keys(), ReadLimits::default());
    let read = aside(move || {
        let examined = examine(&bytes, &keys, &limits).ok().flatten()?;
        Seal::parse(&examined.statement, &keys, &limits)
    });
    let seal = read.await?.filter(|seal| seal.code == code);
    Ok(seal.map(|seal| seal.look.sheets.iter().filter(|sheet| sheet.is_visible).map(rows).collect()))
}

/// The rows of a sheet, as texts.
fn rows(sheet: &SheetLook) -> SealedSheet {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for ((row, column), cell) in &sheet.cells {
        let (row, column) = (usize::try_from(*row).unwrap_or(usize::MAX), usize::from(*column));
        if row >= ROWS_MAX {
            break;
        }
        if rows.len() <= row {
            rows.resize(row + 1, Vec::new());
        }
        let Some(line) = rows.get_mut(row) else { continue };
        if line.len() <= column {
            line.resize(column + 1, String::new());
        }
        if let Some(place) = line.get_mut(column) {
            *place = cell.printed();
        }
    }
    SealedSheet { name: sheet.name.clone(), rows }
}
