//! Opening a year: each unit's documents are carried over on all cores and committed in groups. What is interrupted is taken up by
//! opening it once more.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde_json::json;
use sync_protocol::{
    ActorId, Document, Identity, UnitId,
    conflict::Provenance,
    document::{Author, DocumentError, Edit, RowKey},
    unit::UnitLevel,
};

use super::{
    PeriodError,
    carry::{Books, Carrying, Planned, Rows},
    year,
};
use crate::{
    Server,
    aside::aside,
    audit::{By, Event},
    clock, projection,
    store::{
        Act, Committed, Deed, DocumentWrite, NewChange, Performed, ProposalWrites, StoreError, actor_bytes,
        wants_snapshot,
    },
};

/// How often units are tried that somebody else is writing to.
const ROUNDS_MAX: usize = 16;

/// What opening a year did.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub struct Opened {
    /// The year.
    pub period: String,
    /// The one that it was opened from.
    pub from: String,
    /// Units that something was written for.
    pub units: usize,
    /// Documents that were written; none, where the year had everything already.
    pub documents: usize,
    /// What became of the rows of each ledger, by its id.
    pub ledgers: BTreeMap<String, Rows>,
}

/// A unit with what its documents in the later year lack.
struct Unit {
    id: UnitId,
    writes: Vec<DocumentWrite>,
    rows: BTreeMap<String, Rows>,
}

/// Opens a year from another one, or brings it up to date with that: what somebody has written in it already stays.
pub async fn open(
    server: &Server,
    period: &str,
    from: &str,
    by: &By,
    progress: &(dyn Fn(usize, usize) + Send + Sync),
) -> Result<Opened, PeriodError> {
    if year(period)? <= year(from)? {
        return Err(PeriodError::Backward { from: from.to_owned(), to: period.to_owned() });
    }
    let mut documents: BTreeMap<UnitId, Vec<Identity>> = BTreeMap::new();
    for (identity, _) in server.store.all_identities().await? {
        if identity.period == from || identity.period == period {
            documents.entry(identity.unit).or_default().push(identity);
        }
    }
    documents.retain(|_, of_unit| of_unit.iter().any(|identity| identity.period == from));
    if documents.is_empty() {
        return Err(PeriodError::Empty(from.to_owned()));
    }
    begin(server, period, from, by).await?;
    let author = Author {
        actor: ActorId(clock::random()),
        provenance: Provenance::carrying(&by.name, false, from),
        time_s: clock::now_ms() / 1000,
    };
    let levels: BTreeMap<UnitId, UnitLevel> =
        server.store.units().await?.into_iter().map(|unit| (unit.id, unit.level)).collect();
    let mut opened = Opened { period: period.to_owned(), from: from.to_owned(), ..Opened::default() };
    let (total, mut pending) = (documents.len(), documents);
    for _ in 0..ROUNDS_MAX {
        if pending.is_empty() {
            break;
        }
        let work: Vec<_> = pending.iter().map(|(unit, of_unit)| (*unit, of_unit.clone())).collect();
        let years = (period, from);
        let planned = work.into_iter().map(|(unit, of_unit)| {
            let level = levels.get(&unit).copied().unwrap_or(UnitLevel::Organisation);
            plan(server, years, (unit, level, of_unit), author.clone())
        });
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(1, 8);
        let mut planned = stream::iter(planned).buffered(threads);
        let mut group: Vec<Unit> = Vec::new();
        loop {
            let next = planned.next().await.transpose()?;
            let is_last = next.is_none();
            group.extend(next);
            if is_last || DocumentWrite::are_enough(group.iter().flat_map(|unit| &unit.writes)) {
                for unit in commit(server, std::mem::take(&mut group), &mut opened).await? {
                    pending.remove(&unit);
                }
                progress(total - pending.len(), total);
            }
            if is_last {
                break;
            }
        }
    }
    if !pending.is_empty() {
        return Err(PeriodError::Busy);
    }
    let (units, written) = (opened.units, opened.documents);
    let detail = json!({ "period": period, "from": from, "units": units, "documents": written });
    let act = Act::CarriedPeriod { period: period.to_owned(), at_ms: clock::now_ms() };
    match server.store.perform(&Deed::new(act, by.notes(Event::PeriodCarried, None, &detail))).await? {
        Performed::Done(_) => Ok(opened),
        Performed::NotNow | Performed::Stale => Err(StoreError::Sealed(period.to_owned()).into()),
    }
}

/// Notes that the year is being opened: until everything is carried over it is known as unfinished.
async fn begin(server: &Server, period: &str, from: &str, by: &By) -> Result<(), PeriodError> {
    let note = by.notes(Event::PeriodOpened, None, &json!({ "period": period, "from": from }));
    let act = Act::OpenPeriod {
        period: period.to_owned(),
        from: from.to_owned(),
        by: by.name.clone(),
        at_ms: clock::now_ms(),
    };
    if let Performed::Done(_) = server.store.perform(&Deed::new(act, note)).await? {
        return Ok(());
    }
    let known = server.store.periods().list().await?.into_iter().find(|known| known.period == period);
    match known.and_then(|known| known.opened).filter(|opened| opened.from != from) {
        Some(opened) => Err(PeriodError::OfAnother { period: period.to_owned(), from: opened.from }),
        None => Err(StoreError::Sealed(period.to_owned()).into()),
    }
}

/// Reads the documents of a unit in both years, and writes into copies of the later ones what they lack.
async fn plan(
    server: &Server,
    (period, from): (&str, &str),
    (unit, level, identities): (UnitId, UnitLevel, Vec<Identity>),
    author: Author,
) -> Result<Unit, PeriodError> {
    let mut stored = Vec::with_capacity(identities.len());
    for identity in identities {
        stored.extend(server.store.document(identity.document(&server.tenant)).await?);
    }
    let (server, period, from) = (server.clone(), period.to_owned(), from.to_owned());
    let work = move || {
        let (mut before, mut after, mut loose) = (Books::new(), Books::new(), BTreeMap::new());
        for document in stored {
            let book = document.identity.book;
            let is_before = document.identity.period == from;
            if !is_before {
                loose.insert(book, document.changes.len());
            }
            let loaded = Document::load(document.snapshot.as_deref(), &document.changes)?;
            if is_before { &mut before } else { &mut after }.insert(book, loaded);
        }
        let variables = server.catalogue.variables(year(&from)?, None);
        let carrying = Carrying {
            catalogue: &server.catalogue,
            county_key: server.keyring.county(),
            from: &from,
            variables: &variables,
            to: &period,
        };
        let Planned { edits, rows } = carrying.plan(level, &before, &after);
        let mut writes = Vec::new();
        for (book, edits) in edits {
            let identity = Identity { unit, book, period: period.clone() };
            let document = after.remove(&book).unwrap_or_default();
            let loose = loose.get(&book).copied().unwrap_or(0);
            writes.extend(write(&server, &identity, document, &edits, &author, loose)?);
        }
        Ok::<_, PeriodError>(Unit { id: unit, writes, rows })
    };
    aside(work).await?
}

/// What was imported and what was typed are two changes: which of the two a cell is stays known in the later year.
fn write(
    server: &Server,
    identity: &Identity,
    mut document: Document,
    edits: &[Vec<Edit>; 2],
    author: &Author,
    loose: usize,
) -> Result<Option<DocumentWrite>, DocumentError> {
    let expected_heads = document.heads();
    let is_fresh = document.is_empty();
    let mut changes = Vec::new();
    for (is_by_hand, edits) in [false, true].into_iter().zip(edits) {
        let from = author.provenance.carried_from().unwrap_or_default();
        let provenance = Provenance::carrying(&author.provenance.who, is_by_hand, from);
        let author = Author { provenance, ..author.clone() };
        changes.extend(document.write(identity, edits, &author)?);
    }
    if changes.is_empty() {
        return Ok(None);
    }
    let rows = if is_fresh {
        projection::project_all(&document)
    } else {
        let touched: std::collections::BTreeSet<RowKey> =
            edits.iter().flatten().map(|edit| RowKey::from(&edit.address)).collect();
        projection::project(&document, &touched)
    };
    let snapshot = (is_fresh || wants_snapshot(loose, changes.len())).then(|| document.save());
    let change = |change: sync_protocol::document::LocalChange| NewChange {
        hash: change.hash,
        actor: actor_bytes(author.actor),
        // What begins a document is kept inside of its first snapshot only.
        bytes: (!is_fresh).then_some(change.bytes),
    };
    Ok(Some(DocumentWrite {
        document: identity.document(&server.tenant),
        identity: identity.clone(),
        expected_heads,
        heads: document.heads(),
        changes: changes.into_iter().map(change).collect(),
        snapshot,
        rows,
        wrong_steps: Vec::new(),
        device: None,
        received_at_ms: author.time_s * 1000,
        binds: true,
        proposals: ProposalWrites::default(),
    }))
}

/// Writes these units; returns those that are done.
async fn commit(server: &Server, mut group: Vec<Unit>, opened: &mut Opened) -> Result<Vec<UnitId>, StoreError> {
    let counts: Vec<usize> = group.iter().map(|unit| unit.writes.len()).collect();
    let writes = group.iter_mut().flat_map(|unit| std::mem::take(&mut unit.writes)).collect();
    let outcomes = server.store.commit(writes).await?;
    let (mut rest, mut done) = (outcomes.as_slice(), Vec::new());
    for (unit, count) in group.into_iter().zip(counts) {
        let (of_unit, others) = rest.split_at(count.min(rest.len()));
        rest = others;
        opened.documents += of_unit.iter().filter(|outcome| **outcome == Committed::Durable).count();
        if of_unit.contains(&Committed::Stale) {
            continue;
        }
        opened.units += usize::from(count > 0);
        for (ledger, rows) in unit.rows {
            *opened.ledgers.entry(ledger).or_default() += rows;
        }
        done.push(unit.id);
    }
    Ok(done)
}
