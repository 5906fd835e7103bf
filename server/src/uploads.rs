//! Workbooks that offices send in: planned at once, written when the office says so, watched meanwhile.
//!
//! They live as long as the server runs: a file that was planned and not applied is still on the desk it came from.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde::Serialize;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::{
    Server,
    audit::{self, Event},
    auth::Caller,
    clock,
    import::{self, ImportError, ImportReport, Preview, Source, findings_workbook},
    store::Batch,
};

/// Uploads of one sender that are remembered; the oldest gives way.
const UPLOADS_MAX: usize = 8;
/// Uploads of everybody that are remembered.
const UPLOADS_OF_ALL_MAX: usize = 64;
/// Files that are read or written at once: each may need the memory that reading is allowed.
const JOBS_AT_ONCE: usize = 1;

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ImportState)]
pub enum State {
    /// Being read and compared.
    Planning,
    /// Compared: the plan can be looked at, and applied.
    Planned,
    /// Being written.
    Applying,
    /// Written: the report can be looked at.
    Done,
    /// Refused or interrupted.
    Failed,
}

/// What an office sees of its upload.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = ImportStatus)]
pub struct Status {
    /// Its id.
    pub id: String,
    /// The file's name.
    pub file: String,
    /// Where it stands.
    pub state: State,
    /// Units that are done in this state.
    pub units_done: usize,
    /// Units in the file.
    pub units: usize,
    /// Why it failed.
    pub problem: Option<String>,
}

#[derive(Debug)]
struct Upload {
    file: String,
    sender: Caller,
    path: PathBuf,
    received: u64,
    units_done: AtomicUsize,
    units: AtomicUsize,
    outcome: Mutex<Outcome>,
}

#[derive(Debug)]
struct Outcome {
    state: State,
    plan: Option<Arc<Preview>>,
    report: Option<Arc<ImportReport>>,
    problem: Option<String>,
}

/// All uploads.
#[derive(Debug)]
pub struct Uploads {
    folder: PathBuf,
    known: Mutex<BTreeMap<String, Arc<Upload>>>,
    turns: Semaphore,
}

/// What an upload cannot do now.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is none of this id and sender.
    #[error("没有这次上传 no such upload")]
    Unknown,
    /// It is in another state.
    #[error("现在不能这样做，当前状态 not in this state: {0:?}")]
    NotNow(State),
    /// Every place is taken by uploads that are being worked on.
    #[error("正在处理的文件过多，请稍后再传 too many files are being worked on: try again later")]
    Busy,
    /// The file cannot be kept or read.
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl From<std::io::Error> for UploadError {
    fn from(error: std::io::Error) -> Self {
        UploadError::Import(error.into())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is inside is replaced whole: a panic elsewhere has left nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upload {
    fn state(&self) -> State {
        lock(&self.outcome).state
    }

    fn status(&self, id: &str) -> Status {
        let outcome = lock(&self.outcome);
        Status {
            id: id.to_owned(),
            file: self.file.clone(),
            state: outcome.state,
            units_done: self.units_done.load(Ordering::Relaxed),
            units: self.units.load(Ordering::Relaxed),
            problem: outcome.problem.clone(),
        }
    }

    fn progress(self: &Arc<Self>) -> impl Fn(usize, usize) + Send + Sync + use<> {
        let upload = self.clone();
        move |done, units| {
            upload.units_done.store(done, Ordering::Relaxed);
            upload.units.store(units, Ordering::Relaxed);
        }
    }

    /// The file, as far as this caller's rights go now.
    async fn source(&self, caller: &Caller) -> Result<Source, ImportError> {
        let bytes = tokio::fs::read(&self.path).await?.into();
        Ok(Source { name: self.file.clone(), bytes, scope: Some(caller.write_scope()) })
    }

    fn fail(&self, error: &ImportError) {
        let mut outcome = lock(&self.outcome);
        (outcome.state, outcome.problem) = (State::Failed, Some(error.to_string()));
    }

    /// Whether nothing is being done with it.
    fn is_idle(&self) -> bool {
        !matches!(self.state(), State::Planning | State::Applying)
    }
}

impl Uploads {
    /// Uploads in this folder; what an earlier run of the server left there is swept out.
    pub fn new(folder: PathBuf) -> Self {
        // It may not exist: then there is nothing to sweep.
        drop(std::fs::remove_dir_all(&folder));
        Self { folder, known: Mutex::default(), turns: Semaphore::new(JOBS_AT_ONCE) }
    }

    /// Where a caller's upload stands.
    pub fn status(&self, id: &str, caller: &Caller) -> Result<Status, UploadError> {
        self.of(id, caller).map(|upload| upload.status(id))
    }

    /// Where all uploads of a caller stand, the newest first.
    pub fn all(&self, caller: &Caller) -> Vec<Status> {
        let known = lock(&self.known);
        let mut own: Vec<_> = known.iter().filter(|(_, upload)| upload.sender.is_same(caller)).collect();
        own.sort_by_key(|(_, upload)| std::cmp::Reverse(upload.received));
        own.into_iter().map(|(id, upload)| upload.status(id)).collect()
    }

    /// What an upload would change.
    pub fn plan(&self, id: &str, caller: &Caller) -> Result<Arc<Preview>, UploadError> {
        let upload = self.of(id, caller)?;
        let outcome = lock(&upload.outcome);
        outcome.plan.clone().ok_or(UploadError::NotNow(outcome.state))
    }

    /// What an upload has changed.
    pub fn report(&self, id: &str, caller: &Caller) -> Result<Arc<ImportReport>, UploadError> {
        let upload = self.of(id, caller)?;
        let outcome = lock(&upload.outcome);
        outcome.report.clone().ok_or(UploadError::NotNow(outcome.state))
    }

    /// The file with its bad cells marked, and sheets to decide on.
    pub async fn findings(&self, server: &Server, id: &str, caller: &Caller) -> Result<Vec<u8>, UploadError> {
        let upload = self.of(id, caller)?;
        let (findings, doubts) = match (self.report(id, caller), self.plan(id, caller)) {
            (Ok(report), _) => (report.findings.clone(), report.doubts.clone()),
            (_, Ok(plan)) => (plan.findings.clone(), plan.doubts.clone()),
            (_, Err(error)) => return Err(error),
        };
        let _turn = self.turns.acquire().await;
        Ok(findings_workbook(server, upload.source(caller).await?, findings, doubts).await?)
    }

    /// Forgets all uploads and their files; `false`, and none is forgotten, while one is being worked on.
    pub fn forget_all(&self) -> bool {
        let mut known = lock(&self.known);
        let is_idle = known.values().all(|upload| upload.is_idle());
        if is_idle {
            known.clear();
            drop(std::fs::remove_dir_all(&self.folder));
        }
        is_idle
    }

    fn of(&self, id: &str, caller: &Caller) -> Result<Arc<Upload>, UploadError> {
        let upload = lock(&self.known).get(id).cloned();
        upload.filter(|upload| upload.sender.is_same(caller)).ok_or(UploadError::Unknown)
    }

    /// Makes room by forgetting the oldest that nothing is done with.
    fn make_room(&self, caller: &Caller) -> Result<(), UploadError> {
        let mut known = lock(&self.known);
        let oldest = |known: &BTreeMap<String, Arc<Upload>>, of: Option<&Caller>| {
            let idle = known.iter().filter(|(_, u)| u.is_idle() && of.is_none_or(|caller| u.sender.is_same(caller)));
            idle.min_by_key(|(_, upload)| upload.received).map(|(id, _)| id.clone())
        };
        loop {
            let own = known.values().filter(|upload| upload.sender.is_same(caller)).count();
            let of = match (own >= UPLOADS_MAX, known.len() >= UPLOADS_OF_ALL_MAX) {
                (true, _) => Some(caller),
                (false, true) => None,
                (false, false) => return Ok(()),
            };
            let id = oldest(&known, of).ok_or(UploadError::Busy)?;
            if let Some(upload) = known.remove(&id) {
                // A file that stays behind is swept out at the next start.
                drop(std::fs::remove_file(&upload.path));
            }
        }
    }
}

/// Takes a file and begins to plan it.
pub async fn receive(server: &Server, sender: Caller, file: String, bytes: &[u8]) -> Result<Status, UploadError> {
    let uploads = &server.uploads;
    uploads.make_room(&sender)?;
    let id = Batch::new_id(clock::random());
    let path = uploads.folder.join(&id);
    tokio::fs::create_dir_all(&uploads.folder).await?;
    tokio::fs::write(&path, bytes).await?;
    let upload = Arc::new(Upload {
        file,
        sender,
        path,
        received: u64::try_from(clock::now_ms()).unwrap_or_default(),
        units_done: AtomicUsize::new(0),
        units: AtomicUsize::new(0),
        outcome: Mutex::new(Outcome { state: State::Planning, plan: None, report: None, problem: None }),
    });
    lock(&uploads.known).insert(id.clone(), upload.clone());
    let status = upload.status(&id);
    let server = server.clone();
    tokio::spawn(async move {
        let _turn = server.uploads.turns.acquire().await;
        let planned =
            async { import::preview(&server, upload.source(&upload.sender).await?, Arc::new(upload.progress())).await };
        match planned.await {
            Ok(plan) => {
                let mut outcome = lock(&upload.outcome);
                (outcome.state, outcome.plan) = (State::Planned, Some(Arc::new(plan)));
            }
            Err(error) => upload.fail(&error),
        }
    });
    Ok(status)
}

/// Begins to write what was planned; what was written meanwhile by others is compared anew.
pub fn apply(server: &Server, id: &str, caller: Caller) -> Result<Status, UploadError> {
    let upload = server.uploads.of(id, &caller)?;
    {
        let mut outcome = lock(&upload.outcome);
        if outcome.state != State::Planned {
            return Err(UploadError::NotNow(outcome.state));
        }
        outcome.state = State::Applying;
    }
    let status = upload.status(id);
    let server = server.clone();
    tokio::spawn(async move {
        let _turn = server.uploads.turns.acquire().await;
        let progress = upload.progress();
        let applied = async {
            let report = import::import(&server, upload.source(&caller).await?, &caller.name, &progress).await?;
            let detail = json!({ "file": report.file, "documents": report.documents, "counts": report.counts });
            audit::note(&server, &caller, Event::Imported, Some(caller.grant.unit), detail).await?;
            Ok(report)
        };
        match applied.await {
            Ok(report) => {
                let mut outcome = lock(&upload.outcome);
                (outcome.state, outcome.report) = (State::Done, Some(Arc::new(report)));
            }
            Err(error) => upload.fail(&error),
        }
    });
    Ok(status)
}
