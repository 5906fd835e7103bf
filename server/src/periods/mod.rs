//! Years: opened from the year before with what stands and what is still open, and sealed when nothing changes any more.

mod carry;
mod open;

use serde::Serialize;
use serde_json::json;

pub use carry::Rows;
pub use open::{Opened, open};

use crate::{
    Server,
    audit::{By, Event},
    clock,
    store::{Act, Deed, Opening, Performed, Period, Seal, StoreError},
};

/// Why something was not done with a year.
#[derive(Debug, thiserror::Error)]
pub enum PeriodError {
    /// It is not written as a year.
    #[error("年度应为 2013 的形式 a year is written as 2013: {0}")]
    NotAYear(String),
    /// Nothing was ever written in it.
    #[error(
        "尚未开启{0}年度：请由系统管理员运行 taizhang period open {0} --from 上一年度 | the year {0} is not open: an administrator opens it with `taizhang period open {0} --from` and the year before"
    )]
    Unknown(String),
    /// Nothing stands in the year that another is to be opened from.
    #[error("{0}年度没有数据，不能从它开启新年度 | there is nothing in {0}: no year can be opened from it")]
    Empty(String),
    /// A year is opened from one before it.
    #[error("新年度{to}应晚于{from} | the new year {to} has to come after {from}")]
    Backward {
        /// The year it would be opened from.
        from: String,
        /// The year.
        to: String,
    },
    /// It was opened from another year.
    #[error("{period}年度已从{from}年度开启，不能再从别的年度结转 | {period} was opened from {from} already")]
    OfAnother {
        /// The year.
        period: String,
        /// The year that it was opened from.
        from: String,
    },
    /// Its returns look back on a year that is not sealed.
    #[error("请先封存{0}年度：本年度的报表要与它比较 | seal {0} first: returns of this year compare with it")]
    SealFirst(String),
    /// Returns of a later year look back on it.
    #[error(
        "请先启封{0}年度：它的报表要与本年度比较 | take the seal off {0} first: its returns compare with this year"
    )]
    UnsealFirst(String),
    /// It is not sealed.
    #[error("{0}年度没有封存 | the year {0} is not sealed")]
    NotSealed(String),
    /// Why a seal is taken off has to be said.
    #[error("启封必须写明原因 | a reason is needed to take a seal off")]
    NoReason,
    /// Others keep writing.
    #[error("数据正被频繁修改，请稍后再试 | others keep writing: try again")]
    Busy,
    /// A document.
    #[error(transparent)]
    Document(#[from] sync_protocol::document::DocumentError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A year that there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PeriodLine {
    /// The year.
    pub period: String,
    /// Whether it is the one that is meant where none is named.
    pub is_default: bool,
    /// The year that it was opened from.
    pub from: Option<String>,
    /// Who opened it.
    pub opened_by: Option<String>,
    /// When it was opened, in milliseconds since 1970.
    pub opened_at_ms: Option<i64>,
    /// Whether everything was carried over; not, while that is under way or was interrupted.
    pub is_carried: bool,
    /// Who sealed it.
    pub sealed_by: Option<String>,
    /// When it was sealed, in milliseconds since 1970.
    pub sealed_at_ms: Option<i64>,
    /// The number of the feed that its returns are drawn at since.
    pub sealed_seq: Option<i64>,
}

/// Reads a year.
pub fn year(text: &str) -> Result<i16, PeriodError> {
    let is_year = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_year).ok_or_else(|| PeriodError::NotAYear(text.to_owned()))
}

/// All years, the earliest first.
pub async fn list(server: &Server) -> Result<Vec<PeriodLine>, StoreError> {
    let known = server.store.periods().list().await?;
    let mut names = server.store.periods().written().await?;
    names.extend(known.iter().map(|period| period.period.clone()));
    names.push(server.period());
    names.sort();
    names.dedup();
    let line = |name: String| {
        let period = known.iter().find(|period| period.period == name);
        let opened: Option<&Opening> = period.and_then(|period| period.opened.as_ref());
        let seal: Option<&Seal> = period.and_then(|period| period.seal.as_ref());
        PeriodLine {
            is_default: name == server.period(),
            from: opened.map(|opened| opened.from.clone()),
            opened_by: opened.map(|opened| opened.by.clone()),
            opened_at_ms: opened.map(|opened| opened.at_ms),
            is_carried: opened.is_none_or(|opened| opened.carried_at_ms.is_some()),
            sealed_by: seal.map(|seal| seal.by.clone()),
            sealed_at_ms: seal.map(|seal| seal.at_ms),
            sealed_seq: seal.map(|seal| seal.seq),
            period: name,
        }
    };
    Ok(names.into_iter().map(line).collect())
}

/// The server, asked about a year that there is.
pub async fn at(server: &Server, period: &str) -> Result<Server, PeriodError> {
    let year = year(period)?;
    if year != server.campaign_year && list(server).await?.iter().all(|known| known.period != period) {
        return Err(PeriodError::Unknown(period.to_owned()));
    }
    Ok(server.at(year))
}

/// The server, asked about the year before, if there is anything of that.
pub(crate) async fn before(server: &Server) -> Result<Option<Server>, StoreError> {
    let before = server.at(server.campaign_year - 1);
    let is_there = server.store.periods().written().await?.contains(&before.period());
    Ok(is_there.then_some(before))
}

/// What is known of the year that the server is asked about.
async fn own(server: &Server) -> Result<Option<Period>, StoreError> {
    let name = server.period();
    Ok(server.store.periods().list().await?.into_iter().find(|period| period.period == name))
}

/// The seal of the year that the server is asked about, if it bears one.
pub async fn seal_of(server: &Server) -> Result<Option<Seal>, StoreError> {
    Ok(own(server).await?.and_then(|period| period.seal))
}

/// Refuses what would write to a year that is sealed, before any work is done for it.
pub async fn writable(server: &Server) -> Result<(), StoreError> {
    match seal_of(server).await? {
        Some(_) => Err(StoreError::Sealed(server.period())),
        None => Ok(()),
    }
}

/// Seals a year: nobody writes to it any more, and its returns stay as they are. Years that were opened from it get what has come
/// in since, first.
pub async fn seal(server: &Server, period: &str, by: &By) -> Result<PeriodLine, PeriodError> {
    let server = at(server, period).await?;
    writable(&server).await?;
    let known = server.store.periods().list().await?;
    let from = own(&server).await?.and_then(|period| period.opened).map(|opened| opened.from);
    // Its returns look back: what they compare with has to stay as it is, too.
    if let Some(from) = from.filter(|from| known.iter().all(|k| k.period != *from || k.seal.is_none())) {
        return Err(PeriodError::SealFirst(from));
    }
    for later in known {
        let is_from = later.opened.as_ref().is_some_and(|opened| opened.from == period);
        if is_from && later.seal.is_none() {
            open(&server, &later.period, period, by, &|_, _| {}).await?;
        }
    }
    let register = server.store.units().await?;
    let checkpoint = server.checkpoints.latest().await;
    let note = by.notes(Event::PeriodSealed, None, &json!({ "period": period }));
    let act = Act::SealPeriod {
        period: period.to_owned(),
        by: by.name.clone(),
        at_ms: clock::now_ms(),
        register,
        checkpoint,
    };
    match server.store.perform(&Deed::new(act, note)).await? {
        Performed::Done(_) => line(&server, period).await,
        Performed::NotNow | Performed::Stale => Err(StoreError::Sealed(period.to_owned()).into()),
    }
}

/// Takes the seal off a year, so that what has come late can be decided on; why, stands in the audit log.
pub async fn unseal(server: &Server, period: &str, reason: &str, by: &By) -> Result<PeriodLine, PeriodError> {
    let server = at(server, period).await?;
    if reason.trim().is_empty() {
        return Err(PeriodError::NoReason);
    }
    let known = server.store.periods().list().await?;
    let is_later = |later: &&Period| later.opened.as_ref().is_some_and(|opened| opened.from == period);
    if let Some(later) = known.iter().find(|later| is_later(later) && later.seal.is_some()) {
        return Err(PeriodError::UnsealFirst(later.period.clone()));
    }
    let note = by.notes(Event::PeriodUnsealed, None, &json!({ "period": period, "reason": reason.trim() }));
    match server.store.perform(&Deed::new(Act::UnsealPeriod(period.to_owned()), note)).await? {
        Performed::Done(_) => line(&server, period).await,
        Performed::NotNow | Performed::Stale => Err(PeriodError::NotSealed(period.to_owned())),
    }
}

async fn line(server: &Server, period: &str) -> Result<PeriodLine, PeriodError> {
    let found = list(server).await?.into_iter().find(|line| line.period == period);
    found.ok_or_else(|| PeriodError::Unknown(period.to_owned()))
}
