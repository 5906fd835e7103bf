//! Ledger files into the store: read, plan unit by unit on all cores, commit in groups.
//!
//! Killed at any moment it has written some documents whole and others not at all; importing the same file
//! again writes the rest, since what a document already says is not written again.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use importer::{
    CellChange, Finding, Importer, ReadError, ReadLimits, Register, Table, UnitDocuments, Workbook,
    findings_book::FindingsError, plan::Counts, rows::RowRef,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sync_protocol::{
    Book, ChangeHash, Document, Identity, UnitId,
    conflict::{Means, Provenance},
    document::{Author, DocumentError, Edit, RowKey},
};

use crate::{
    Server, clock, projection,
    store::{Batch, Committed, DocumentWrite, NewChange, ProjectedRow, StoreError, actor_bytes, wants_snapshot},
};

/// Documents in one commit.
const COMMIT_DOCUMENTS_MAX: usize = 64;
/// Bytes in one commit.
const COMMIT_BYTES_MAX: usize = 4 << 20;
/// Rounds in which units are planned again because a device wrote to them meanwhile.
const ROUNDS_MAX: usize = 16;

/// Why a file was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be opened.
    #[error("无法打开文件 cannot open: {0}")]
    Io(#[from] std::io::Error),
    /// It is no workbook that can be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its findings cannot be drawn.
    #[error(transparent)]
    Findings(#[from] FindingsError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The work was interrupted.
    #[error("导入中断 interrupted: {0}")]
    Interrupted(String),
}

/// What an import did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ImportReport {
    /// The file's name.
    pub file: String,
    /// Whether this very file had been imported before: then nothing was done.
    pub already_imported: bool,
    /// Ledgers found: title and rows.
    pub tables: Vec<(String, usize)>,
    /// Units that were new or changed.
    pub units: usize,
    /// Documents written.
    pub documents: usize,
    /// Rows.
    pub counts: Counts,
    /// What was noticed.
    pub findings: Vec<Finding>,
}

/// Told how many of how many units are done.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Send + Sync);

/// What an import would do, with nothing written.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Preview {
    /// The file's name.
    pub file: String,
    /// Ledgers found: title and rows.
    pub tables: Vec<(String, usize)>,
    /// Rows.
    pub counts: Counts,
    /// Cells of existing rows that would change.
    pub changes: Vec<CellChange>,
    /// What was noticed.
    pub findings: Vec<Finding>,
}

/// Reads and plans a file as an import would, and writes nothing.
pub async fn preview_file(server: &Server, path: &Path) -> Result<Preview, ImportError> {
    let (file, bytes) = load(path).await?;
    let job = Job::prepare(server, bytes).await?;
    let units: Vec<UnitId> = job.rows.keys().copied().collect();
    let known = known_documents(server, &units).await?;
    let runtime = tokio::runtime::Handle::current();
    let plan = move || {
        let importer = importer_of(&job.server);
        let (tables, counts, findings) = (job.titles(), job.left_out(), job.findings.clone());
        let mut preview = Preview { file, tables, counts, changes: Vec::new(), findings };
        for unit in units {
            let (documents, _) = unit_documents(&job.server, known.get(&unit), &runtime)?;
            let plan = importer.plan(&job.workbook, &job.tables, &job.rows[&unit], &documents);
            preview.counts += plan.counts;
            preview.changes.extend(plan.changes);
            preview.findings.extend(plan.findings);
        }
        Ok(preview)
    };
    tokio::task::spawn_blocking(plan).await.map_err(|e| ImportError::Interrupted(e.to_string()))?
}

/// The file with its bad cells coloured and a note on each.
pub async fn findings_workbook(server: &Server, path: &Path, findings: Vec<Finding>) -> Result<Vec<u8>, ImportError> {
    let (_, bytes) = load(path).await?;
    let isolation = server.isolation.clone();
    let draw = move || {
        let workbook = isolation.read(&bytes, &ReadLimits::default())?;
        importer::findings_book::findings_workbook(&workbook, &findings).map_err(ImportError::from)
    };
    tokio::task::spawn_blocking(draw).await.map_err(|e| ImportError::Interrupted(e.to_string()))?
}

/// The name and the bytes of a file that is not too large.
async fn load(path: &Path) -> Result<(String, Vec<u8>), ImportError> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let limit = ReadLimits::default().file_bytes_max as u64;
    if tokio::fs::metadata(path).await?.len() > limit {
        return Err(ReadError::TooLarge { what: "字节 bytes", limit }.into());
    }
    Ok((name, tokio::fs::read(path).await?))
}

/// Imports a file. `who` is the office or person that changes will name.
pub async fn import_file(
    server: &Server,
    path: &Path,
    who: &str,
    progress: Progress<'_>,
) -> Result<ImportReport, ImportError> {
    let (name, bytes) = load(path).await?;
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    if server.store.is_imported(&digest).await? {
        return Ok(ImportReport { file: name, already_imported: true, ..ImportReport::default() });
    }
    let job = Job::prepare(server, bytes).await?;
    let batch =
        Batch { id: Batch::new_id(clock::random()), file: name.clone(), digest, started_at_ms: clock::now_ms() };
    server.store.put_units(&job.units).await?;
    server.store.begin_batch(&batch).await?;
    let mut report = ImportReport {
        file: name,
        tables: job.titles(),
        counts: job.left_out(),
        units: job.units.len(),
        findings: job.findings.clone(),
        ..ImportReport::default()
    };
    let author = Author {
        actor: batch.actor().unwrap_or_else(|| unreachable!("a new batch has an actor")),
        provenance: Provenance { who: who.to_owned(), how: Means::Import, source: Some(batch.id.clone()) },
        time_s: batch.started_at_ms / 1000,
    };
    let job = Arc::new(job);
    let mut pending: Vec<UnitId> = job.rows.keys().copied().collect();
    let total = pending.len();
    for _ in 0..ROUNDS_MAX {
        if pending.is_empty() {
            break;
        }
        pending = round(server, &job, pending, &author, &mut report, &|done| progress(done, total)).await?;
    }
    if !pending.is_empty() {
        let message =
            format!("{} 个单位正被频繁修改，请稍后重新导入 units are being written to: import again", pending.len());
        return Err(ImportError::Interrupted(message));
    }
    let counts = serde_json::to_string(&report.counts).unwrap_or_default();
    server.store.finish_batch(&batch.id, clock::now_ms(), &counts).await?;
    Ok(report)
}

/// A file that was read and sorted by units.
struct Job {
    workbook: Workbook,
    tables: Vec<Table>,
    rows: BTreeMap<UnitId, Vec<RowRef>>,
    units: Vec<sync_protocol::unit::Unit>,
    findings: Vec<Finding>,
    server: Server,
}

impl Job {
    async fn prepare(server: &Server, bytes: Vec<u8>) -> Result<Self, ImportError> {
        let mut register = Register::new(server.store.units().await?);
        let server = server.clone();
        let prepare = move || {
            let workbook = server.isolation.read(&bytes, &ReadLimits::default())?;
            drop(bytes);
            let importer = importer_of(&server);
            let (tables, mut findings) = importer.detect(&workbook);
            let units = importer.define_units(&workbook, &tables, &mut register);
            let grouped = importer.group(&workbook, &tables, &register);
            findings.extend(grouped.findings);
            Ok(Self { workbook, tables, rows: grouped.units, units, findings, server })
        };
        tokio::task::spawn_blocking(prepare).await.map_err(|e| ImportError::Interrupted(e.to_string()))?
    }

    /// What is left out before any unit is planned.
    fn left_out(&self) -> Counts {
        let is_left_out = |finding: &&Finding| matches!(finding.code, "no-unit" | "unknown-unit" | "no-ledger");
        Counts { refused: self.findings.iter().filter(is_left_out).count(), ..Counts::default() }
    }

    /// Ledgers found: title and rows.
    fn titles(&self) -> Vec<(String, usize)> {
        let title = |table: &Table| self.server.catalogue.ledgers()[table.ledger].title.clone();
        self.tables.iter().map(|table| (title(table), table.body.len())).collect()
    }
}

fn importer_of(server: &Server) -> Importer<'_> {
    let key = Some(server.county_key.clone());
    Importer::new(&server.catalogue, server.tenant.clone(), server.county, server.campaign_year, key)
}

/// What became of one unit.
struct Planned {
    unit: UnitId,
    writes: Vec<DocumentWrite>,
    counts: Counts,
    findings: Vec<Finding>,
}

/// Plans and commits these units; returns those that somebody else wrote to meanwhile.
async fn round(
    server: &Server,
    job: &Arc<Job>,
    units: Vec<UnitId>,
    author: &Author,
    report: &mut ImportReport,
    progress: &(dyn Fn(usize) + Send + Sync),
) -> Result<Vec<UnitId>, ImportError> {
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
            let importer = importer_of(&job.server);
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
    let mut done = 0;
    loop {
        let next = receiver.recv().await.transpose()?;
        let last = next.is_none();
        group.extend(next);
        let documents: usize = group.iter().map(|p| p.writes.len()).sum();
        let bytes: usize = group.iter().flat_map(|p| &p.writes).map(DocumentWrite::bytes).sum();
        if last || documents >= COMMIT_DOCUMENTS_MAX || bytes >= COMMIT_BYTES_MAX {
            done += group.len();
            commit(server, std::mem::take(&mut group), report, &mut stale).await?;
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
    Ok(stale)
}

async fn commit(
    server: &Server,
    mut group: Vec<Planned>,
    report: &mut ImportReport,
    stale: &mut Vec<UnitId>,
) -> Result<(), ImportError> {
    let counts: Vec<usize> = group.iter().map(|planned| planned.writes.len()).collect();
    let writes = group.iter_mut().flat_map(|planned| std::mem::take(&mut planned.writes)).collect();
    let outcomes = server.store.commit(writes).await?;
    let mut rest = outcomes.as_slice();
    for (planned, count) in group.into_iter().zip(counts) {
        let (of_unit, others) = rest.split_at(count.min(rest.len()));
        rest = others;
        report.documents += of_unit.iter().filter(|outcome| **outcome == Committed::Durable).count();
        if of_unit.contains(&Committed::Stale) {
            // Its counts and findings will be those of the round that succeeds.
            stale.push(planned.unit);
        } else {
            report.counts += planned.counts;
            report.findings.extend(planned.findings);
        }
    }
    Ok(())
}

/// The documents of these units that exist.
async fn known_documents(server: &Server, units: &[UnitId]) -> Result<BTreeMap<UnitId, Vec<Identity>>, StoreError> {
    let mut known: BTreeMap<UnitId, Vec<Identity>> = BTreeMap::new();
    for (identity, _) in server.store.identities(units).await? {
        known.entry(identity.unit).or_default().push(identity);
    }
    Ok(known)
}

/// The documents of a unit in this period, and how many changes of each stand behind its snapshot.
fn unit_documents(
    server: &Server,
    known: Option<&Vec<Identity>>,
    runtime: &tokio::runtime::Handle,
) -> Result<(UnitDocuments, BTreeMap<Book, usize>), ImportError> {
    let mut documents = UnitDocuments::default();
    let mut loose = BTreeMap::new();
    for identity in known.into_iter().flatten().filter(|identity| identity.period == server.period()) {
        let id = identity.document(&server.tenant);
        let Some(stored) = runtime.block_on(server.store.document(id))? else { continue };
        loose.insert(identity.book, stored.changes.len());
        documents.0.insert(identity.book, Document::load(stored.snapshot.as_deref(), &stored.changes)?);
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
    let (mut documents, loose) = unit_documents(server, known, runtime)?;
    let plan = importer.plan(&job.workbook, &job.tables, &job.rows[&unit], &documents);
    let mut writes = Vec::new();
    for (book, edits) in plan.edits {
        let identity = Identity { unit, book, period: server.period() };
        let document = documents.0.remove(&book);
        let loose = loose.get(&book).copied().unwrap_or(0);
        writes.extend(write(server, &identity, document, &edits, author, loose)?);
    }
    Ok(Planned { unit, writes, counts: plan.counts, findings: plan.findings })
}

/// One change for one document.
fn write(
    server: &Server,
    identity: &Identity,
    document: Option<Document>,
    edits: &[Edit],
    author: &Author,
    loose: usize,
) -> Result<Option<DocumentWrite>, ImportError> {
    let fresh = document.is_none();
    let mut document = document.unwrap_or_default();
    let expected_heads = document.heads();
    let (hash, bytes, rows) = if fresh {
        let Some(hash) = document.write_hash(identity, edits, author)? else { return Ok(None) };
        (hash, None, projection::from_edits(edits))
    } else {
        let Some(change) = document.write(identity, edits, author)? else { return Ok(None) };
        let touched: std::collections::BTreeSet<RowKey> =
            edits.iter().map(|edit| RowKey::from(&edit.address)).collect();
        (change.hash, Some(change.bytes), projection::project(&document, &touched))
    };
    let own = (hash, bytes);
    Ok(Some(document_write(server, identity, &document, expected_heads, own, rows, author, loose)))
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
    }
}
