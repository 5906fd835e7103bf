//! The county as it was: a replica of the past in a store of its own, from which everything can be drawn that can be drawn
//! from the present.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sync_protocol::{
    ChangeHash, Document, Identity, UnitId,
    document::change_dependencies,
    unit::{Unit, UnitLevel},
};
use tempfile::TempDir;

use super::{ReturnError, ReturnRequest, at_and_below, choices};
use crate::{
    Server, projection,
    store::{Store, StoreError, Submission, sqlite::SqliteStore},
    submissions,
    tallies::Tallies,
};

/// Documents in one commit.
const DOCUMENTS_PER_COMMIT: usize = 64;

/// A state of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AsOf {
    /// Everything that had come in by then, in milliseconds since 1970.
    Time(i64),
    /// Everything up to this number of the feed, which a sealed return names.
    Seq(i64),
    /// What each reporting unit knew when it submitted its copy of the return for this period; only copies that were approved.
    Copies(String),
}

/// How far into the feed each document is read.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The number of the feed.
    pub seq: i64,
    /// Another one for the documents of a unit.
    of: BTreeMap<UnitId, i64>,
    /// Reporting units of which there is nothing.
    pub(super) unreported: BTreeSet<UnitId>,
}

impl Moment {
    /// The same for every document.
    pub fn at(seq: i64) -> Self {
        Self { seq, of: BTreeMap::new(), unreported: BTreeSet::new() }
    }
}

/// Finds out when it was, and what has to be said of it below each table.
async fn moment(server: &Server, request: &ReturnRequest, as_of: &AsOf) -> Result<(Moment, Vec<String>), ReturnError> {
    let period = match as_of {
        AsOf::Seq(seq) => return Ok((Moment::at(*seq), Vec::new())),
        AsOf::Time(time_ms) => return Ok((Moment::at(server.store.seq_at(*time_ms).await?), Vec::new())),
        AsOf::Copies(period) => period,
    };
    let form = server.catalogue.return_form(&request.name);
    let form = form.ok_or_else(|| ReturnError::Unknown(request.name.clone(), "R01–R25".into()))?;
    let choices = choices(server, form, &request.variables)?;
    let units = at_and_below(server.store.units().await?, request.top.id);
    let stored = server.store.submissions().await?;
    let (mut moment, mut copies, mut missing) = (Moment::at(server.store.newest().await?), Vec::new(), Vec::new());
    for unit in units.iter().filter(|unit| unit.level == UnitLevel::ReportingUnit) {
        let is_own = |copy: &&Submission| {
            copy.unit == unit.id
                && copy.return_no == form.number
                && copy.period == *period
                && copy.choices == choices
                && submissions::is_approved(&copy.state)
        };
        let copy = stored.iter().rev().find(is_own);
        if let Some(copy) = copy {
            copies.push(format!("{}（第{}号 {}）", unit.label(), copy.number, copy.code));
        } else {
            missing.push(unit.label().to_owned());
            moment.unreported.insert(unit.id);
        }
        let seq = copy.map_or(0, |copy| copy.seq);
        let own = units.iter().filter(|below| below.id == unit.id || below.parent == Some(unit.id));
        moment.of.extend(own.map(|below| (below.id, seq)));
    }
    let list = |names: &[String]| if names.is_empty() { "无".to_owned() } else { names.join("、") };
    let (copies, missing) = (list(&copies), list(&missing));
    let note = format!("本表按各单位{period}已审核的报送件汇总：{copies}。未报或未审核、合计未含：{missing}。");
    Ok((moment, vec![note]))
}

/// Makes the replica that a request asks for, and the request that is drawn from it.
pub(super) async fn opened(
    server: &Server,
    request: &ReturnRequest,
    as_of: &AsOf,
) -> Result<(Past, ReturnRequest), ReturnError> {
    let (moment, notes) = moment(server, request, as_of).await?;
    let past = Past::open(server, &moment).await?;
    let mut request = ReturnRequest { as_of: Some(AsOf::Seq(moment.seq)), ..request.clone() };
    request.notes.extend(notes);
    request.unreported = moment.unreported;
    if let AsOf::Copies(period) = as_of {
        request.copies = Some(period.clone());
    }
    Ok((past, request))
}

/// A server on a store of the past.
#[derive(Debug)]
pub struct Past {
    /// It knows what was known then, in the units of today.
    pub server: Server,
    folder: TempDir,
}

impl Past {
    /// Makes the replica.
    pub async fn open(present: &Server, moment: &Moment) -> Result<Self, ReturnError> {
        let units = present.store.units().await?;
        Self::make(present, &units, Some(moment)).await
    }

    /// The documents of one year as they are, in the units of then.
    pub(super) async fn of_year(present: &Server, units: &[Unit]) -> Result<Self, ReturnError> {
        Self::make(present, units, None).await
    }

    /// With the documents of the year that is asked about, and of the one before it, with which returns compare.
    async fn make(present: &Server, units: &[Unit], moment: Option<&Moment>) -> Result<Self, ReturnError> {
        let years = [present.period(), present.at(present.campaign_year - 1).period()];
        let is_wanted = |identity: &Identity| years.contains(&identity.period);
        let folder = tempfile::tempdir()?;
        let tally = Tallies::new(&present.catalogue);
        let store: Arc<dyn Store> = Arc::new(SqliteStore::create(&folder.path().join("past.sqlite"), tally).await?);
        store.put_units(units).await?;
        let mut writes = Vec::new();
        for (identity, _) in present.store.all_identities().await?.into_iter().filter(|(of, _)| is_wanted(of)) {
            let id = identity.document(&present.tenant);
            let seq = moment.map(|moment| moment.of.get(&identity.unit).copied().unwrap_or(moment.seq));
            let seq = seq.unwrap_or(i64::MAX);
            let known: BTreeSet<ChangeHash> = present.store.changes_until(id, seq).await?.into_iter().collect();
            let Some(stored) = present.store.document(id).await?.filter(|_| !known.is_empty()) else { continue };
            let then = tokio::task::spawn_blocking(move || {
                let document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
                then(&document, &known)
            });
            let document = then.await.map_err(|e| StoreError::Database(e.to_string()))?;
            let Some(document) = document.map_err(|e| StoreError::Damaged(e.to_string()))? else { continue };
            let write = projection::whole(&identity, id, &document);
            writes.push(write.map_err(|e| StoreError::Damaged(e.to_string()))?);
            if writes.len() == DOCUMENTS_PER_COMMIT {
                store.commit(std::mem::take(&mut writes)).await?;
            }
        }
        store.commit(writes).await?;
        Ok(Self { server: Server { store, ..present.clone() }, folder })
    }

    /// Closes the store and removes it.
    pub async fn close(self) {
        self.server.store.close().await;
        // The system removes what cannot be removed now.
        drop(self.folder.close());
    }
}

/// The document with these changes alone; none, if it had none of them. What was erased since is not there any more.
fn then(
    document: &Document,
    known: &BTreeSet<ChangeHash>,
) -> Result<Option<Document>, sync_protocol::document::DocumentError> {
    let (mut heads, mut inner) = (BTreeSet::new(), BTreeSet::new());
    for (hash, bytes) in document.changes_since(&[]) {
        if known.contains(&hash) {
            heads.insert(hash);
            inner.extend(change_dependencies(&bytes)?);
        }
    }
    let heads: Vec<ChangeHash> = heads.difference(&inner).copied().collect();
    if heads.is_empty() { Ok(None) } else { document.fork_at(&heads) }
}
