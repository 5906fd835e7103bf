//! Unit by unit: plans on all cores, commits in groups.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use importer::{Finding, FindingKind, Importer, UnitDocuments, memory::Doubt, plan::Counts};
use sync_protocol::{
    Address, Book, ChangeHash, Document, Identity, Row, UnitId,
    catalogue::Sensitivity,
    conflict::{Means, Provenance},
    document::{Author, Edit, RowKey},
};

use super::{
    ImportError, ImportReport, Job,
    held::Held,
    importer_of,
    returned::{self, Plans, Returned},
};
use crate::{
    Server, clock, projection,
    returns::record_name,
    store::{
        Committed, DocumentWrite, NewChange, NewProposal, ProjectedRow, ProposalWrites, StoreError, actor_bytes,
        wants_snapshot,
    },
    sync::steps::wrong_steps,
};

/// Cells in dispute that are named; there may be more.
const DISPUTED_MAX: usize = 10;

/// What became of one unit.
struct Planned {
    unit: UnitId,
    writes: Vec<DocumentWrite>,
    /// Proposals of documents that nothing is written to.
    unwritten: Vec<(Identity, Vec<NewProposal>)>,
    counts: Counts,
    doubts: Vec<Doubt>,
    findings: Vec<Finding>,
    /// Rows of a merged ledger that came back.
    seen: usize,
    /// Conflicts that a merged ledger settles.
    settled: usize,
    /// Cells that say already what the file says.
    same: Vec<(Identity, Vec<Address>)>,
}

/// Plans and commits these units; returns those that somebody else wrote to meanwhile, and how many rows of a merged ledger
/// came back.
pub(super) async fn round(
    server: &Server,
    job: &Arc<Job>,
    units: Vec<UnitId>,
    author: &Author,
    report: &mut ImportReport,
    progress: &(dyn Fn(usize) + Send + Sync),
) -> Result<(Vec<UnitId>, usize), ImportError> {
    let known = known_documents(server, &units).await?;
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Result<Planned, ImportError>>(16);
    let queue = Arc::new(Mutex::new(units.into_iter()));
    let known = Arc::new(known);
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(1, 8);
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..threads {
        let (job, queue, known, sender, author) =
            (job.clone(), queue.clone(), known.clone(), sender.clone(), author.clone());
        let runtime = tokio::runtime::Handle::current();
        workers.spawn_blocking(move || {
            let importer = importer_of(&job.server, &job.memory);
            loop {
                let unit = queue.lock().ok().and_then(|mut units| units.next());
                let Some(unit) = unit else { break };
                let planned = plan_unit(&job, &importer, unit, known.get(&unit), &author, &runtime);
                // Nobody listens any more: the import has failed elsewhere.
                if sender.blocking_send(planned).is_err() {
                    break;
                }
            }
        });
    }
    drop(sender);
    let mut stale = Vec::new();
    let mut group: Vec<Planned> = Vec::new();
    let (mut done, mut seen) = (0, 0);
    loop {
        let next = receiver.recv().await.transpose()?;
        let last = next.is_none();
        group.extend(next);
        if last || DocumentWrite::are_enough(group.iter().flat_map(|p| &p.writes)) {
            done += group.len();
            affirm(server, &group, author).await?;
            seen += commit(server, std::mem::take(&mut group), report, &mut stale).await?;
            progress(done);
        }
        if last {
            break;
        }
    }
    // A worker that panicked has left its unit out: that is no success.
    while let Some(ended) = workers.join_next().await {
        ended.map_err(|e| ImportError::Interrupted(e.to_string()))?;
    }
    Ok((stale, seen))
}

/// Notes what these units say already: whoever takes back the import that wrote it is told that this file says so, too.
async fn affirm(server: &Server, group: &[Planned], author: &Author) -> Result<(), StoreError> {
    let Some(batch) = &author.provenance.source else { return Ok(()) };
    let cells = group.iter().flat_map(|planned| &planned.same);
    let cells: Vec<_> = cells.map(|(identity, cells)| (identity.document(&server.tenant), cells.as_slice())).collect();
    if cells.is_empty() { Ok(()) } else { server.store.affirm(batch, &cells).await }
}

async fn commit(
    server: &Server,
    mut group: Vec<Planned>,
    report: &mut ImportReport,
    stale: &mut Vec<UnitId>,
) -> Result<usize, ImportError> {
    let counts: Vec<usize> = group.iter().map(|planned| planned.writes.len()).collect();
    let writes = group.iter_mut().flat_map(|planned| std::mem::take(&mut planned.writes)).collect();
    let outcomes = server.store.commit(writes).await?;
    let mut rest = outcomes.as_slice();
    let mut seen = 0;
    for (planned, count) in group.into_iter().zip(counts) {
        let (of_unit, others) = rest.split_at(count.min(rest.len()));
        rest = others;
        report.documents += of_unit.iter().filter(|outcome| **outcome == Committed::Durable).count();
        if of_unit.contains(&Committed::Stale) {
            // Its counts and findings will be those of the round that succeeds.
            stale.push(planned.unit);
        } else {
            for (identity, new) in &planned.unwritten {
                server.store.proposals().propose(identity, new, clock::now_ms()).await?;
            }
            report.counts += planned.counts;
            report.settled += planned.settled;
            seen += planned.seen;
            report.doubts.extend(planned.doubts);
            report.findings.extend(planned.findings);
        }
    }
    Ok(seen)
}

/// The documents of these units that exist.
pub(super) async fn known_documents(
    server: &Server,
    units: &[UnitId],
) -> Result<BTreeMap<UnitId, Vec<Identity>>, StoreError> {
    let mut known: BTreeMap<UnitId, Vec<Identity>> = BTreeMap::new();
    for (identity, _) in server.store.identities(units).await? {
        known.entry(identity.unit).or_default().push(identity);
    }
    Ok(known)
}

/// The documents of a unit in this period, and how many changes of each stand behind its snapshot.
pub(super) fn unit_documents(
    server: &Server,
    unit: UnitId,
    known: Option<&Vec<Identity>>,
    runtime: &tokio::runtime::Handle,
) -> Result<(UnitDocuments, BTreeMap<Book, usize>), ImportError> {
    let mut documents = UnitDocuments::none(unit);
    let mut loose = BTreeMap::new();
    for identity in known.into_iter().flatten().filter(|identity| identity.period == server.period()) {
        let id = identity.document(&server.tenant);
        let Some(stored) = runtime.block_on(server.store.document(id))? else { continue };
        loose.insert(identity.book, stored.changes.len());
        documents.books.insert(identity.book, Document::load(stored.snapshot.as_deref(), &stored.changes)?);
    }
    Ok((documents, loose))
}

fn plan_unit(
    job: &Job,
    importer: &Importer<'_>,
    unit: UnitId,
    known: Option<&Vec<Identity>>,
    author: &Author,
    runtime: &tokio::runtime::Handle,
) -> Result<Planned, ImportError> {
    let server = &job.server;
    let (mut documents, loose) = unit_documents(server, unit, known, runtime)?;
    let Plans { mut ordinary, mut returned, seen, held } = returned::plan(job, importer, unit, &documents)?;
    let Held { mut proposals, unsettled } = held;
    for proposed in proposals.values_mut().flatten() {
        proposed.who.clone_from(&author.provenance.who);
        proposed.import.clone_from(&author.provenance.source);
    }
    let mut books: BTreeSet<Book> = ordinary.edits.keys().chain(returned.edits.keys()).copied().collect();
    books.extend(job.returned.iter().flat_map(|back| back.settled_books(unit)));
    let mut same: BTreeMap<Book, Vec<Address>> = std::mem::take(&mut ordinary.same);
    returned.same.iter_mut().for_each(|(book, cells)| same.entry(*book).or_default().append(cells));
    let identity = |book: Book| Identity { unit, book, period: server.period() };
    let same = same.into_iter().map(|(book, cells)| (identity(book), cells)).collect();
    let (mut writes, mut settled) = (Vec::new(), 0);
    for book in books {
        let identity = Identity { unit, book, period: server.period() };
        let document = documents.books.remove(&book);
        let loose = loose.get(&book).copied().unwrap_or(0);
        let edits = ordinary.edits.remove(&book).unwrap_or_default();
        let back = returned.edits.remove(&book).unwrap_or_default();
        let before = stepped(server, document.as_ref(), edits.iter().chain(&back));
        let (written, after) = match (&job.returned, document) {
            // A document that nobody had written to yet may be what a person has filled in.
            (Some(from), document) if document.is_some() || !back.is_empty() => {
                let mut document = document.unwrap_or_default();
                let from = (from, back.as_slice(), &unsettled);
                let (write, count, findings) = merge(server, &identity, &mut document, from, &edits, author, loose)?;
                returned.findings.extend(findings);
                settled += count;
                (write, document)
            }
            (_, document) => {
                let fresh = document.is_none();
                let mut document = document.unwrap_or_default();
                (write(server, &identity, (&mut document, fresh), &edits, author, loose)?, document)
            }
        };
        let Some(mut written) = written else { continue };
        written.proposals.new = proposals.remove(&book).unwrap_or_default();
        let rows = before.into_iter().map(|(key, row)| {
            let after = document_row(&after, &key);
            (key, row, after)
        });
        written.wrong_steps = wrong_steps(&mut { rows }, job.actor, &server.catalogue, &job.variables);
        for step in &mut written.wrong_steps {
            step.who = Some(author.provenance.who.clone());
        }
        writes.push(written);
    }
    // Of books that nothing is written to.
    let unwritten =
        proposals.into_iter().map(|(book, new)| (Identity { unit, book, period: server.period() }, new)).collect();
    let mut counts = ordinary.counts;
    counts += returned.counts;
    counts.changed += settled;
    ordinary.findings.extend(returned.findings);
    Ok(Planned {
        unit,
        writes,
        unwritten,
        counts,
        doubts: ordinary.doubts,
        findings: ordinary.findings,
        seen,
        settled,
        same,
    })
}

/// Rows that exist, and whose states these edits are about. Where a row begins in a ledger that is taken over is nobody's
/// step.
fn stepped<'a>(
    server: &Server,
    document: Option<&Document>,
    edits: impl Iterator<Item = &'a Edit>,
) -> BTreeMap<RowKey, Row> {
    let Some(document) = document else { return BTreeMap::new() };
    let is_state = |edit: &&Edit| {
        server.catalogue.workflows(&edit.address.ledger).any(|workflow| workflow.column == edit.address.column)
    };
    let keys: BTreeSet<RowKey> = edits.filter(is_state).map(|edit| RowKey::from(&edit.address)).collect();
    let rows = keys.into_iter().map(|key| (document_row(document, &key), key));
    rows.filter(|(row, _)| !row.cells.is_empty()).map(|(row, key)| (key, row)).collect()
}

fn document_row(document: &Document, key: &RowKey) -> Row {
    document.row_state(key).row
}

/// What a merged ledger brings back into a document, and what stands beside it in the same file.
fn merge(
    server: &Server,
    identity: &Identity,
    document: &mut Document,
    (from, back, unsettled): (&Returned, &[Edit], &BTreeSet<(Book, Address)>),
    edits: &[Edit],
    author: &Author,
    loose: usize,
) -> Result<(Option<DocumentWrite>, usize, Vec<Finding>), ImportError> {
    let expected_heads = document.heads();
    let provenance = Provenance { how: Means::Return, ..author.provenance.clone() };
    let returning = Author { provenance, ..author.clone() };
    let disputed: BTreeSet<Address> = document.conflicts().into_iter().map(|conflict| conflict.address).collect();
    let (settled, mut findings) = from.write(document, identity, back, (&returning, unsettled))?;
    document.write(identity, edits, author)?;
    findings.extend(newly_disputed(server, document, &disputed));
    let new = document.changes_since(&expected_heads);
    let Some((hash, bytes)) = new.last().cloned() else { return Ok((None, settled, findings)) };
    let rows = projection::project(document, &document.rows_since(&expected_heads));
    let own = (hash, Some(bytes));
    let loose = loose + new.len();
    let mut write = document_write(server, identity, document, expected_heads, own, rows, author, loose);
    let change = |(hash, bytes)| NewChange { hash, actor: actor_bytes(author.actor), bytes: Some(bytes) };
    write.changes = new.into_iter().map(change).collect();
    Ok((Some(write), settled, findings))
}

/// What the file and somebody else have changed at once: whoever sends it hears of it now, and not from the list of conflicts.
fn newly_disputed(server: &Server, document: &Document, before: &BTreeSet<Address>) -> Option<Finding> {
    let new: Vec<Address> =
        document.conflicts().into_iter().map(|c| c.address).filter(|address| !before.contains(address)).collect();
    let in_words = |address: &Address| {
        let row = document_row(document, &RowKey::from(address));
        let name = record_name(&server.catalogue, &address.ledger, &row, Sensitivity::S3);
        let column = server.catalogue.ledger(&address.ledger).and_then(|ledger| ledger.column(&address.column));
        let title = column.map_or(address.column.as_str(), |column| column.title.as_str());
        if name == row.id.to_string() { title.to_owned() } else { format!("{name} {title}") }
    };
    let kind = FindingKind::Disputed { count: new.len(), cells: new.iter().take(DISPUTED_MAX).map(in_words).collect() };
    (!new.is_empty()).then(|| Finding::new(&kind, "", String::new(), "", String::new()))
}

/// One change for one document.
fn write(
    server: &Server,
    identity: &Identity,
    (document, fresh): (&mut Document, bool),
    edits: &[Edit],
    author: &Author,
    loose: usize,
) -> Result<Option<DocumentWrite>, ImportError> {
    let expected_heads = document.heads();
    let (hash, bytes, rows) = if fresh {
        let Some(hash) = document.write_hash(identity, edits, author)? else { return Ok(None) };
        (hash, None, projection::from_edits(edits))
    } else {
        let Some(change) = document.write(identity, edits, author)? else { return Ok(None) };
        let touched: BTreeSet<RowKey> = edits.iter().map(|edit| RowKey::from(&edit.address)).collect();
        (change.hash, Some(change.bytes), projection::project(document, &touched))
    };
    let own = (hash, bytes);
    Ok(Some(document_write(server, identity, document, expected_heads, own, rows, author, loose)))
}

/// One change of this server for one document, whose `loose` changes stand behind its snapshot.
#[expect(clippy::too_many_arguments, reason = "what a write is made of, once")]
pub(crate) fn document_write(
    server: &Server,
    identity: &Identity,
    document: &Document,
    expected_heads: Vec<ChangeHash>,
    (hash, bytes): (ChangeHash, Option<Vec<u8>>),
    rows: Vec<ProjectedRow>,
    author: &Author,
    loose: usize,
) -> DocumentWrite {
    // A change without bytes of its own is only kept inside a snapshot.
    let snapshot = (bytes.is_none() || wants_snapshot(loose, 1)).then(|| document.save());
    DocumentWrite {
        document: identity.document(&server.tenant),
        identity: identity.clone(),
        expected_heads,
        heads: document.heads(),
        changes: vec![NewChange { hash, actor: actor_bytes(author.actor), bytes }],
        snapshot,
        rows,
        wrong_steps: Vec::new(),
        device: None,
        received_at_ms: author.time_s * 1000,
        binds: true,
        proposals: ProposalWrites::default(),
    }
}
