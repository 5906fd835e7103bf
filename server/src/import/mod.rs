//! Ledger files into the store: read, plan unit by unit on all cores, commit in groups.
//!
//! Killed at any moment it has written some documents whole and others not at all; importing the same file
//! again writes the rest, since what a document already says is not written again.

mod held;
mod registers;
mod returned;
mod rights;
mod units;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use importer::{
    CellChange, Finding, FindingKind, Importer, Memory, ReadError, ReadLimits, Register, Table, Target, Workbook,
    findings_book::FindingsError,
    left_out::{self, LeftOut},
    memory::{Decision, Doubt},
    plan::Counts,
    review::{self, Decided},
    rows::RowRef,
    stamp::Stamp,
    unread,
    workbook::grid::address,
};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use sync_protocol::{
    RowId, UnitId,
    catalogue::{Actor, Variables},
    conflict::{Means, Provenance},
    document::{Author, DocumentError},
    session::Scope,
    unit::Unit,
};

pub use registers::units_of;
use returned::{Plans, Returned};
pub(crate) use units::document_write;
use units::{known_documents, round, unit_documents};

use crate::{
    Server,
    audit::By,
    auth::UnitRights,
    clock, periods,
    store::{Batch, StoreError},
    units::{self as register, Right},
};

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
    /// Rows that wait for a person.
    pub doubts: Vec<Doubt>,
    /// What was noticed.
    pub findings: Vec<Finding>,
    /// Conflicts that were settled.
    pub settled: usize,
    /// What was not taken, by reason.
    pub left_out: Vec<LeftOut>,
    /// Heads that no column claims: what stands below is kept beside each row.
    pub beside: Vec<String>,
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
    /// Rows that would wait for a person.
    pub doubts: Vec<Doubt>,
    /// What was noticed.
    pub findings: Vec<Finding>,
    /// Conflicts that would be settled.
    pub settled: usize,
    /// What would not be taken, by reason.
    pub left_out: Vec<LeftOut>,
    /// Heads that no column claims: what stands below would be kept beside each row.
    pub beside: Vec<String>,
}

/// A file, and how far its sender's rights go.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file's name.
    pub name: String,
    /// The file.
    pub bytes: Arc<[u8]>,
    /// What the sender may write to; everything if absent.
    pub scope: Option<Scope>,
}

impl Source {
    /// A file of this machine, unless it is too large: its reader is the administrator.
    pub async fn open(path: &Path) -> Result<Self, ImportError> {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let limit = ReadLimits::default().file_bytes_max as u64;
        if tokio::fs::metadata(path).await?.len() > limit {
            return Err(ReadError::TooLarge { what: "字节 bytes", limit }.into());
        }
        Ok(Self { name, bytes: tokio::fs::read(path).await?.into(), scope: None })
    }
}

/// Reads and plans a file of this machine as an import would, and writes nothing.
pub async fn preview_file(server: &Server, path: &Path) -> Result<Preview, ImportError> {
    preview_beside(server, Source::open(path).await?, &[]).await
}

/// The same for one of several files, which define these units together.
pub async fn preview_beside(server: &Server, source: Source, units: &[Unit]) -> Result<Preview, ImportError> {
    let (file, job) = (source.name.clone(), Job::prepare(server, source, units).await?);
    plan_only(server, (file, job), Arc::new(|_, _| {})).await
}

/// Reads and plans a file as an import would, and writes nothing.
pub async fn preview(
    server: &Server,
    source: Source,
    progress: Arc<dyn Fn(usize, usize) + Send + Sync>,
) -> Result<Preview, ImportError> {
    let (file, job) = (source.name.clone(), Job::prepare(server, source, &[]).await?);
    plan_only(server, (file, job), progress).await
}

async fn plan_only(
    server: &Server,
    (file, job): (String, Job),
    progress: Arc<dyn Fn(usize, usize) + Send + Sync>,
) -> Result<Preview, ImportError> {
    periods::writable(&job.server).await?;
    let units = job.units_concerned();
    let known = known_documents(server, &units).await?;
    let runtime = tokio::runtime::Handle::current();
    let plan = move || {
        let importer = importer_of(&job.server, &job.memory);
        let (tables, counts, findings) = (job.titles(), job.left_out(), job.findings.clone());
        let beside = job.beside();
        let mut preview = Preview { file, tables, counts, findings, beside, ..Preview::default() };
        let (total, mut seen) = (units.len(), 0);
        for (done, unit) in units.into_iter().enumerate() {
            progress(done, total);
            let (documents, _) = unit_documents(&job.server, unit, known.get(&unit), &runtime)?;
            let Plans { ordinary, returned, seen: own, .. } = returned::plan(&job, &importer, unit, &documents)?;
            seen += own;
            let (settled, findings) = returned::would_settle(&job, unit, &documents);
            preview.settled += settled.len();
            preview.counts.changed += settled.len();
            preview.changes.extend(settled);
            preview.findings.extend(findings);
            for plan in [ordinary, returned] {
                preview.counts += plan.counts;
                preview.changes.extend(plan.changes);
                preview.doubts.extend(plan.doubts);
                preview.findings.extend(plan.findings);
            }
        }
        preview.findings.extend(job.absent(seen));
        preview.left_out = left_out::summary(&preview.findings);
        Ok(preview)
    };
    tokio::task::spawn_blocking(plan).await.map_err(|e| ImportError::Interrupted(e.to_string()))?
}

/// The file with its bad cells coloured and a note on each, and sheets to decide on what is doubtful.
pub async fn findings_workbook(
    server: &Server,
    source: Source,
    findings: Vec<Finding>,
    doubts: Vec<Doubt>,
) -> Result<Vec<u8>, ImportError> {
    let job = Job::prepare(server, source, &[]).await?;
    let draw = move || {
        let Job { workbook, tables, server, .. } = &job;
        let book = importer::findings_book::findings_workbook(workbook, tables, &server.catalogue, &findings, &doubts);
        book.map_err(ImportError::from)
    };
    tokio::task::spawn_blocking(draw).await.map_err(|e| ImportError::Interrupted(e.to_string()))?
}

/// Imports a file. `who` is the office or person that changes will name.
pub async fn import_file(
    server: &Server,
    path: &Path,
    who: &str,
    progress: Progress<'_>,
) -> Result<ImportReport, ImportError> {
    import(server, Source::open(path).await?, who, progress).await
}

/// Imports a file. Changes will name whoever sends it.
pub async fn import(
    server: &Server,
    source: Source,
    by: impl Into<By>,
    progress: Progress<'_>,
) -> Result<ImportReport, ImportError> {
    let by = by.into();
    let Source { name, bytes, scope } = source.clone();
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    if server.store.is_imported(&digest, &server.period()).await? {
        return Ok(ImportReport { file: name, already_imported: true, ..ImportReport::default() });
    }
    let job = Job::prepare(server, source, &[]).await?;
    periods::writable(&job.server).await?;
    let actor = job.actor;
    let Decided { mappings, decisions, .. } = &job.decided;
    let office = scope.map_or(server.county, |scope| scope.unit);
    server.store.learn(office, mappings, decisions, &by.name, clock::now_ms()).await?;
    let (id, report) = carry_out(job, (name, digest), &by, progress).await?;
    if !report.doubts.is_empty() {
        server.store.proposals().note_sender(&digest, actor).await?;
        server.store.put_doubts(&id, &digest, &bytes, &report.doubts).await?;
    }
    Ok(report)
}

/// Imports of a file that waits only the rows that these decisions are about.
pub(crate) async fn import_decided(
    server: &Server,
    (source, digest): (Source, [u8; 32]),
    decisions: BTreeMap<RowId, Decision>,
    who: &str,
) -> Result<ImportReport, ImportError> {
    // It is not the whole file that is imported: the file itself stays unknown.
    let part =
        decisions.keys().fold(Sha256::new_with_prefix(digest), |hash, doubt| hash.chain_update(doubt.as_bytes()));
    let name = source.name.clone();
    let mut job = Job::prepare(server, source, &[]).await?;
    job.memory = job.memory.only(decisions);
    // Whoever decides that it is a record or another does not decide what the sender could not: an old file's sender is not known.
    job.actor = server.store.proposals().sender(&digest).await?.unwrap_or(Actor::Branch);
    carry_out(job, (name, part.finalize().into()), &By::from(who), &|_, _| {}).await.map(|(_, report)| report)
}

/// Writes what a job plans; returns the batch and what it did.
async fn carry_out(
    job: Job,
    (name, digest): (String, [u8; 32]),
    by: &By,
    progress: Progress<'_>,
) -> Result<(String, ImportReport), ImportError> {
    let server = &job.server.clone();
    periods::writable(server).await?;
    let batch = Batch::new((&name, digest), server.period(), clock::random(), clock::now_ms());
    let right = job.rights.as_ref().map_or(Right::All, Right::Some);
    let kept = register::keep(server, &job.units, right, by, &json!({ "file": name })).await?;
    if let Some(refused) = kept.refused.first() {
        // It was looked at before: somebody has changed the register since.
        let message =
            format!("单位名录刚被他人更改，请重新导入 the register has changed, import again: {}", refused.sentence);
        return Err(ImportError::Interrupted(message));
    }
    server.store.begin_batch(&batch).await?;
    let mut report = ImportReport {
        file: name,
        tables: job.titles(),
        counts: job.left_out(),
        units: job.units.len(),
        findings: job.findings.clone(),
        beside: job.beside(),
        ..ImportReport::default()
    };
    let author = Author {
        actor: batch.actor().unwrap_or_else(|| unreachable!("a new batch has an actor")),
        provenance: Provenance { who: by.name.clone(), how: Means::Import, source: Some(batch.id.clone()) },
        time_s: batch.started_at_ms / 1000,
    };
    let settled: Vec<RowId> = job.decided.decisions.iter().map(|(doubt, _)| *doubt).collect();
    let job = Arc::new(job);
    let mut pending = job.units_concerned();
    let (total, mut seen) = (pending.len(), 0);
    for _ in 0..ROUNDS_MAX {
        if pending.is_empty() {
            break;
        }
        let (stale, came) = round(server, &job, pending, &author, &mut report, &|done| progress(done, total)).await?;
        pending = stale;
        seen += came;
    }
    if !pending.is_empty() {
        let message =
            format!("{} 个单位正被频繁修改，请稍后重新导入 units are being written to: import again", pending.len());
        return Err(ImportError::Interrupted(message));
    }
    report.findings.extend(job.absent(seen));
    report.left_out = left_out::summary(&report.findings);
    let counts = serde_json::to_string(&report.counts).unwrap_or_default();
    server.store.finish_batch(&batch.id, clock::now_ms(), &counts).await?;
    server.store.settle_doubts(&settled).await?;
    Ok((batch.id, report))
}

/// A file that was read and sorted by units.
struct Job {
    workbook: Workbook,
    tables: Vec<Table>,
    rows: BTreeMap<UnitId, Vec<RowRef>>,
    /// What it brings back, where it is a merged ledger of this very server.
    returned: Option<Returned>,
    units: Vec<Unit>,
    findings: Vec<Finding>,
    /// What the file itself says to do.
    decided: Decided,
    /// What people have decided, this file included.
    memory: Memory,
    server: Server,
    /// Which units its sender may change; all, where there are none.
    rights: Option<UnitRights>,
    /// For whom it was sent in.
    actor: Actor,
    /// Values of county parameters, for what steps of workflows need.
    variables: Variables,
}

impl Job {
    /// Reads a file; `also` are units that other files of the same run define.
    async fn prepare(server: &Server, source: Source, also: &[Unit]) -> Result<Self, ImportError> {
        let mut known = server.store.units().await?;
        known.retain(|unit| !also.iter().any(|other| other.id == unit.id));
        known.extend_from_slice(also);
        let mut register = Register::new(known.clone());
        if let Some(scope) = &source.scope {
            register = register.used_by(scope.unit);
        }
        let offices: Vec<UnitId> = std::iter::once(server.county).chain(source.scope.iter().map(|s| s.unit)).collect();
        let mut memory = server.store.memory(&offices).await?;
        // Who may write to everything is the county's own administrator.
        let actor = match &source.scope {
            Some(scope) => known.iter().find(|unit| unit.id == scope.unit).map_or(Actor::Branch, |u| u.level.into()),
            None => Actor::County,
        };
        let server = server.clone();
        let prepare = move || {
            let Source { bytes, scope, .. } = source;
            let workbook = server.isolation.read(&bytes, &ReadLimits::default())?;
            drop(bytes);
            let server = returned::in_its_year(server, &workbook);
            let decided = review::read(&workbook, &server.catalogue);
            decided.teach(&mut memory);
            let importer = importer_of(&server, &memory);
            let (mut tables, mut findings) = importer.detect(&workbook);
            unread::look(&workbook, &server.catalogue, &mut tables, &mut findings);
            findings.extend(decided.findings.iter().cloned());
            let mut units = importer.define_units(&workbook, &tables, &mut register);
            let rights = scope.as_ref().map(|scope| UnitRights::of(scope, &server.catalogue));
            // What the register says once the file has changed what its sender may change: whose a row is follows from that.
            let (own, unchanged) = match &rights {
                Some(rights) => rights::apply(&server, (&known, &mut units), rights),
                None => (register.clone(), Vec::new()),
            };
            // What is a merged ledger's own is no row to be matched.
            let mut others = tables.clone();
            let mut returned = Returned::of(&server, &workbook, &mut others, known);
            if returned.is_none()
                && let Some(sheet) = Stamp::sheet(&workbook)
            {
                findings.push(Finding::new(&FindingKind::StampUnknown, &sheet.name, String::new(), "", String::new()));
            }
            let mut grouped = importer.group(&workbook, &others, &register);
            findings.extend(grouped.findings);
            if let Some(returned) = &mut returned {
                let job = (&server, &workbook, tables.as_slice());
                returned.complete(job, &mut grouped.units, (scope.as_ref(), &own), &mut findings);
            }
            if let Some(scope) = scope {
                let of = (&workbook, tables.as_slice());
                findings.extend(rights::findings(&server, of, &grouped.units, &own, &unchanged));
                let may = |unit: UnitId, row: &RowRef| {
                    let book = server.catalogue.ledgers()[tables[row.table].ledger].book;
                    own.is_below(unit, scope.unit)
                        && [book, book.restricted()].iter().all(|book| scope.books.contains(book))
                };
                for (unit, rows) in &mut grouped.units {
                    for row in rows.extract_if(.., |row| !may(*unit, row)) {
                        let sheet = &workbook.sheets[tables[row.table].sheet];
                        let place = address(sheet.row_number(row.row), 0);
                        findings.push(Finding::new(&FindingKind::OutOfScope, &sheet.name, place, "", String::new()));
                    }
                }
                grouped.units.retain(|_, rows| !rows.is_empty());
            }
            drop(importer);
            let variables = server.catalogue.variables(server.campaign_year, None);
            let rows = grouped.units;
            Ok(Self {
                workbook,
                tables,
                rows,
                returned,
                units,
                findings,
                decided,
                memory,
                server,
                rights,
                actor,
                variables,
            })
        };
        tokio::task::spawn_blocking(prepare).await.map_err(|e| ImportError::Interrupted(e.to_string()))?
    }

    /// Every unit that the file has something for.
    fn units_concerned(&self) -> Vec<UnitId> {
        let mut units: BTreeSet<UnitId> = self.rows.keys().copied().collect();
        units.extend(self.returned.iter().flat_map(Returned::units));
        units.into_iter().collect()
    }

    /// Rows of a merged ledger that did not come back: nothing is removed for that.
    fn absent(&self, seen: usize) -> Option<Finding> {
        let returned = self.returned.as_ref()?;
        let count = returned.rows_drawn().checked_sub(seen + returned.out_of_scope).filter(|count| *count > 0)?;
        Some(Finding::new(&FindingKind::RowsAbsent { count }, "", String::new(), "", String::new()))
    }

    /// Heads that no column claims.
    fn beside(&self) -> Vec<String> {
        let columns = self.tables.iter().flat_map(|table| &table.columns);
        let heads = columns.filter_map(|mapped| match &mapped.target {
            Target::Extra(header) => Some(header.clone()),
            Target::Column { .. } => None,
        });
        heads.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What is left out before any unit is planned.
    fn left_out(&self) -> Counts {
        let is_left_out =
            |finding: &&Finding| matches!(finding.code, "no-unit" | "unknown-unit" | "no-ledger" | "out-of-scope");
        Counts { refused: self.findings.iter().filter(is_left_out).count(), ..Counts::default() }
    }

    /// Ledgers found: title and rows.
    fn titles(&self) -> Vec<(String, usize)> {
        let title = |table: &Table| self.server.catalogue.ledgers()[table.ledger].title.clone();
        self.tables.iter().map(|table| (title(table), table.body.len())).collect()
    }
}

fn importer_of<'a>(server: &'a Server, memory: &'a Memory) -> Importer<'a> {
    let key = Some(server.keyring.county().to_vec());
    Importer::new(&server.catalogue, server.tenant.clone(), server.county, server.campaign_year, key)
        .with_memory(memory)
}
