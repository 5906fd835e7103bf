//! Checking a return that somebody holds: is it as it was drawn here, and is what it was drawn of still so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use importer::{
    ReadError, ReadLimits,
    isolate::Task,
    seal::{self, Drawn, Examined, Seal},
    workbook::look::Difference,
};
use serde::Serialize;
use sync_protocol::{UnitId, catalogue::Sensitivity};

use super::{AsOf, ReturnError, ReturnRequest, at_and_below, draw_again};
use crate::{Server, aside::aside, heavy::Who, store::StoreError};

/// Things that are named; of more it is only said how many.
const NAMED_MAX: usize = 200;
/// How long a return is drawn again for somebody whom nobody knows.
const STRANGER_TIME_MAX: Duration = Duration::from_secs(10);
/// Returns that were drawn again and are remembered.
const REMEMBERED_MAX: usize = 256;

/// Why a return was not checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is no workbook that can be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Verified {
    /// `valid`: as it was drawn here, byte for byte. `resaved`: another program has saved it since, and everything that a reader
    /// sees is as it was drawn. `altered`: something is not. `outdated`: its seal covers too little to tell. `unsigned`: it
    /// bears no seal of this server.
    pub verdict: &'static str,
    /// The same in words.
    pub sentence: String,
    /// The code that is printed on it.
    pub code: Option<String>,
    /// Of what it was drawn.
    #[schema(value_type = Option<Object>)]
    pub drawn: Option<Drawn>,
    /// Where it is not as it was drawn: `sheet!cell`, a sheet, or the workbook.
    pub altered: Vec<String>,
    /// What is not as it was drawn there, in sentences.
    pub changes: Vec<String>,
    /// Whether a figure would be another one today.
    pub is_stale: bool,
    /// What the ledgers say, as they were at the number of the feed that it names: `same` figures, `different` ones, or
    /// `not_done`.
    pub redrawn: &'static str,
}

/// What drawing a return again has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Redrawn {
    is_stale: bool,
    is_same: Option<bool>,
}

impl Redrawn {
    const NOT_DONE: Self = Self { is_stale: false, is_same: None };
}

/// What was drawn again before, by code and newest change.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<BTreeMap<(String, i64), Redrawn>>);

impl Remembered {
    fn get(&self, key: &(String, i64)) -> Option<Redrawn> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    fn put(&self, key: (String, i64), redrawn: Redrawn) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(key, redrawn);
    }
}

/// Checks a workbook.
pub async fn verify(server: &Server, bytes: Vec<u8>) -> Result<Verified, VerifyError> {
    check(server, bytes, Task::Examine).await
}

/// Checks a workbook of somebody whom nobody knows: with little memory and time.
pub async fn verify_for_stranger(server: &Server, bytes: Vec<u8>) -> Result<Verified, VerifyError> {
    check(server, bytes, Task::ExamineForStranger).await
}

async fn check(server: &Server, bytes: Vec<u8>, task: Task) -> Result<Verified, VerifyError> {
    let reader = server.clone();
    let examined = aside(move || reader.isolation.examine(&bytes, &reader.keyring.seal_keys(), task)).await??;
    let signer = |examined: &Examined| server.keyring.signer(examined.statement.as_bytes(), &examined.signature);
    let Some((signing, examined)) = examined.and_then(|examined| Some((signer(&examined)?, examined))) else {
        let sentence = "没有本服务器的签章，不能确认其真伪 | it bears no seal of this server";
        return Ok(Verified::new("unsigned", sentence.into(), None, Redrawn::NOT_DONE));
    };
    if signing.is_leaked {
        let sentence = "签章所用的密钥已作废（曾泄露，他人可能也能签章），不能确认；请按回执号重新生成一份核对 | it is sealed with a key that somebody else may have had: draw the return again at its number and compare";
        return Ok(Verified::new("outdated", sentence.into(), Some(examined), Redrawn::NOT_DONE));
    }
    if examined.is_old {
        let sentence = "签章是旧版的，只含单元格的数值，不足以确认全部内容；请按回执号重新生成一份核对 | its seal is of an earlier kind and covers values only: draw the return again at its number and compare";
        return Ok(Verified::new("outdated", sentence.into(), Some(examined), Redrawn::NOT_DONE));
    }
    // Only what was drawn here is drawn again: nobody else can make the server draw.
    let again = match task {
        Task::ExamineForStranger => {
            // However many ask, one at a time makes the server draw; the time that it waits is its own.
            let again = redrawn(server, &examined, Some(Who::Strangers));
            tokio::time::timeout(STRANGER_TIME_MAX, again).await.unwrap_or(Ok(Redrawn::NOT_DONE))
        }
        Task::Examine | Task::Read => redrawn(server, &examined, None).await,
    };
    let again = again?;
    let (verdict, sentence) = match (examined.count, examined.is_exact) {
        (0, true) => ("valid", "与生成时逐字节一致 | as it was drawn, byte for byte".to_owned()),
        (0, false) => {
            let sentence = if examined.is_restyled {
                "经其他软件另存，内容未改动；字体、边框、对齐、行高列宽或图片位置与生成时不同 | saved again by another program: everything that is read is as it was drawn, but letters, lines, widths or the places of pictures are not"
            } else {
                "经其他软件另存，内容未改动 | saved again by another program, and everything to be seen is as it was drawn"
            };
            ("resaved", sentence.to_owned())
        }
        (count, _) => ("altered", altered(count, &examined.differences)),
    };
    let sentence = match again.is_same {
        Some(false) => {
            sentence
                + "。注意：按其回执号重新汇总，结果与签章时不同（程序或目录已更新，或有记录被依法擦除） | note: drawn again at its number, the figures are others than those that were sealed (the program or the catalogue has changed since, or records were erased)"
        }
        _ => sentence,
    };
    Ok(Verified::new(verdict, sentence, Some(examined), again))
}

/// How much of what was altered, in a sentence.
fn altered(count: usize, differences: &[Difference]) -> String {
    use importer::workbook::look::What;
    let of = |kinds: &[What]| differences.iter().filter(|difference| kinds.contains(&difference.what)).count();
    let cells = of(&[What::Value, What::Formula, What::Format, What::Added, What::Gone]);
    let sheets = of(&[What::SheetGone, What::SheetAdded, What::SheetOrder, What::SheetHidden, What::SheetShown]);
    let others = of(&[What::Other]);
    let more = if count > differences.len() { "（只列出前面的 the first are listed）" } else { "" };
    format!(
        "有 {count} 处与生成时不一致：单元格 {cells} 处、工作表 {sheets} 处、其他 {others} 处{more} | {count} thing(s) are not as they were drawn: {cells} of cells, {sheets} of sheets, {others} other"
    )
}

impl Verified {
    fn new(verdict: &'static str, sentence: String, examined: Option<Examined>, again: Redrawn) -> Self {
        let differences = examined.as_ref().map(|examined| examined.differences.as_slice()).unwrap_or_default();
        let mut altered: Vec<String> = differences.iter().map(Difference::place).collect();
        altered.dedup();
        altered.truncate(NAMED_MAX);
        let changes = differences.iter().take(NAMED_MAX).map(Difference::sentence).collect();
        let redrawn = match again.is_same {
            Some(true) => "same",
            Some(false) => "different",
            None => "not_done",
        };
        let code = examined.as_ref().map(|examined| examined.code.clone()).filter(|code| !code.is_empty());
        let drawn = examined.map(|examined| examined.drawn);
        Self { verdict, sentence, code, drawn, altered, changes, is_stale: again.is_stale, redrawn }
    }
}

/// Draws a return again, as of then and as of now, where something has moved since.
async fn redrawn(server: &Server, examined: &Examined, waits: Option<Who>) -> Result<Redrawn, StoreError> {
    let Some(seal) = Seal::parse(&examined.statement, &server.keyring.seal_keys(), &ReadLimits::default()) else {
        return Ok(Redrawn::NOT_DONE);
    };
    let key = (seal.code.clone(), server.store.newest().await?);
    if let Some(known) = server.verified.get(&key) {
        return Ok(known);
    }
    let Ok(unit) = seal.drawn.unit.parse::<UnitId>() else { return Ok(Redrawn::NOT_DONE) };
    let redrawn = match waits {
        Some(who) => {
            let drawer = server.clone();
            let drawn = server.heavy.run(who, async move { compared(&drawer, &seal, unit).await }).await;
            drawn.unwrap_or(Ok(Redrawn::NOT_DONE))?
        }
        None => Box::pin(compared(server, &seal, unit)).await?,
    };
    if redrawn != Redrawn::NOT_DONE {
        server.verified.put(key, redrawn);
    }
    Ok(redrawn)
}

/// Draws what a seal says was drawn, and compares.
async fn compared(server: &Server, seal: &Seal, unit: UnitId) -> Result<Redrawn, StoreError> {
    // What is hidden of one unit's figures depends on those of the others.
    let of = if class(&seal.drawn.class) < Sensitivity::S2 { server.county } else { unit };
    let has_moved = has_moved(server, of, seal.drawn.seq).await?;
    let (sealed, now) = (seal.figures(), figures(server, &seal.drawn, None).await);
    Ok(match now {
        // A return that is not drawn any more, a unit that is not there any more.
        Err(error) => {
            tracing::info!(%error, code = seal.code, "a return cannot be drawn again");
            Redrawn::NOT_DONE
        }
        Ok(now) if now == sealed => Redrawn { is_stale: false, is_same: Some(true) },
        // Copies that were approved since are other facts than those that were merged.
        Ok(_) if seal.drawn.copies.is_some() => Redrawn { is_stale: true, is_same: None },
        Ok(_) if !has_moved => Redrawn { is_stale: false, is_same: Some(false) },
        Ok(now) => match figures(server, &seal.drawn, Some(AsOf::Seq(seal.drawn.seq))).await {
            Ok(then) => Redrawn { is_stale: then != now, is_same: Some(then == sealed) },
            Err(error) => {
                tracing::info!(%error, code = seal.code, "a return cannot be drawn as of then");
                Redrawn { is_stale: true, is_same: None }
            }
        },
    })
}

/// By sheet, row and column from 0.
type Figures = BTreeMap<(String, u32, u16), String>;

/// The figures that a return has if it is drawn again.
async fn figures(server: &Server, drawn: &Drawn, as_of: Option<AsOf>) -> Result<Figures, ReturnError> {
    let bytes = again(server, drawn, as_of).await?;
    let figures = aside(move || seal::figures(&bytes, &ReadLimits::default())).await?;
    figures.map_err(|error| std::io::Error::other(error.to_string()).into())
}

/// A return drawn again of what it was drawn of, at another moment; where none is given, at the same one of what has come in
/// until now.
pub(super) async fn again(server: &Server, drawn: &Drawn, as_of: Option<AsOf>) -> Result<Vec<u8>, ReturnError> {
    let year = drawn.period.as_ref().and_then(|period| period.parse().ok());
    let server = &server.at(year.unwrap_or(server.campaign_year));
    let gone = || ReturnError::Unknown(drawn.number.clone(), String::new());
    let unit: UnitId = drawn.unit.parse().map_err(|_| gone())?;
    let top = server.store.unit(unit).await?.ok_or_else(gone)?;
    let folder = tempfile::tempdir()?;
    let date = drawn.date.parse().map_err(|_| gone())?;
    let request = ReturnRequest {
        variables: drawn.choices.clone(),
        clearance: class(&drawn.class),
        as_of: as_of.or_else(|| drawn.copies.clone().map(AsOf::Copies)),
        reader: drawn.reader.clone(),
        ..ReturnRequest::new(&*drawn.number, top, date, folder.path())
    };
    let drawn = Box::pin(draw_again(server, &request)).await?;
    Ok(tokio::fs::read(&drawn.path).await?)
}

/// The class that a seal names; what it does not name is nothing that is shown.
pub(super) fn class(name: &str) -> Sensitivity {
    [Sensitivity::S1, Sensitivity::S2, Sensitivity::S3]
        .into_iter()
        .find(|class| format!("{class:?}") == name)
        .unwrap_or(Sensitivity::S0)
}

/// Whether a document at or below this unit has changed since.
pub(crate) async fn has_moved(server: &Server, top: UnitId, seq: i64) -> Result<bool, StoreError> {
    let units: BTreeSet<UnitId> = at_and_below(server.store.units().await?, top).into_iter().map(|u| u.id).collect();
    let moved = server.store.moved(seq).await?;
    Ok(moved.documents.iter().any(|document| document.units.last().is_some_and(|unit| units.contains(unit))))
}
