//! Checking a return that somebody holds: is it as it was drawn here, and is what it was drawn of still so.

use std::collections::BTreeSet;

use importer::{
    ReadError, ReadLimits,
    seal::{Altered, Drawn, Seal},
};
use serde::Serialize;
use sync_protocol::{UnitId, bundle::is_signed_by};

use super::at_and_below;
use crate::{Server, aside::aside, store::StoreError};

/// Cells that are named; of more it is only said how many.
const NAMED_MAX: usize = 200;

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
    /// `valid`: as it was drawn here. `altered`: cells were changed. `unsigned`: it bears no seal of this server.
    pub verdict: &'static str,
    /// The same in words.
    pub sentence: String,
    /// The code that is printed on it.
    pub code: Option<String>,
    /// Of what it was drawn.
    #[schema(value_type = Option<Object>)]
    pub drawn: Option<Drawn>,
    /// Cells that are not as they were drawn, as `sheet!cell`.
    pub altered: Vec<String>,
    /// Whether something that it was drawn of has changed since.
    pub is_stale: bool,
}

/// Checks a workbook.
pub async fn verify(server: &Server, bytes: Vec<u8>) -> Result<Verified, VerifyError> {
    let reader = server.clone();
    let read = move || {
        let workbook = reader.isolation.read(&bytes, &ReadLimits::default())?;
        let Some((seal, signature)) = Seal::read(&workbook) else { return Ok(None) };
        let key = reader.keys.public().signing;
        if !seal.is_signed(&signature, |statement, signature| is_signed_by(&key, statement, signature)) {
            return Ok(None);
        }
        let altered = seal.altered(&workbook);
        Ok::<_, ReadError>(Some((seal, altered)))
    };
    let read = aside(read).await?;
    let Some((seal, altered)) = read? else {
        return Ok(Verified {
            verdict: "unsigned",
            sentence: "没有本服务器的签章，不能确认其真伪 | it bears no seal of this server".into(),
            code: None,
            drawn: None,
            altered: Vec::new(),
            is_stale: false,
        });
    };
    let is_stale = match seal.drawn.unit.parse() {
        Ok(unit) => has_moved(server, unit, seal.drawn.seq).await?,
        Err(_) => false,
    };
    let count = altered.len();
    let (verdict, sentence) = if count == 0 {
        ("valid", "与生成时一致 | as it was drawn".to_owned())
    } else {
        ("altered", format!("有 {count} 格与生成时不一致 | {count} cell(s) are not as they were drawn"))
    };
    let place = |altered: Altered| format!("{}!{}", altered.sheet, altered.cell);
    let altered = altered.into_iter().take(NAMED_MAX).map(place).collect();
    Ok(Verified { verdict, sentence, code: Some(seal.code()), drawn: Some(seal.drawn), altered, is_stale })
}

/// Whether a document at or below this unit has changed since.
pub(crate) async fn has_moved(server: &Server, top: UnitId, seq: i64) -> Result<bool, StoreError> {
    let units: BTreeSet<UnitId> = at_and_below(server.store.units().await?, top).into_iter().map(|u| u.id).collect();
    let moved = server.store.moved(seq).await?;
    Ok(moved.documents.iter().any(|document| document.units.last().is_some_and(|unit| units.contains(unit))))
}
