//! Workbooks that offices send in: planned at once, written when the office says so, watched meanwhile.
//!
//! Beside each file stands what became of it: an upload outlives the server, and is planned again when that starts again.

mod kept;
mod turns;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use self::turns::Turns;
use crate::{
    Server,
    audit::{self, Event},
    auth::Caller,
    clock,
    import::{self, ImportError, ImportReport, Preview, Source, findings_workbook},
    origin::Carried,
    store::{Batch, StoreError},
    whole,
};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

/// Uploads of one sender that are remembered; the oldest gives way.
const UPLOADS_MAX: usize = 8;
/// Uploads of everybody that are remembered.
const UPLOADS_OF_ALL_MAX: usize = 64;
/// Files that are read at once, of different senders: each may need the memory that reading is allowed. Whoever sends a file
/// that takes all the time it may keeps nobody waiting but themselves.
const JOBS_AT_ONCE: usize = 2;
/// How long an upload is remembered.
const KEPT_MS: u64 = 7 * 24 * 3600 * 1000;
/// How often those that are older are swept out.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
    /// The year that it is for.
    year: i16,
    received: u64,
    units_done: AtomicUsize,
    units: AtomicUsize,
    outcome: Mutex<Outcome>,
    /// Whoever keeps what became of it: the last to do so says how it is.
    keeping: Mutex<()>,
}

#[derive(Debug)]
struct Outcome {
    state: State,
    plan: Option<Arc<Preview>>,
    /// What was written, as it is told.
    report: Option<Arc<RawValue>>,
    /// The same, of this run of the server.
    done: Option<Arc<ImportReport>>,
    problem: Option<String>,
    /// It was planned well, and then not written: it may be written again.
    may_retry: bool,
}

impl Outcome {
    fn new(state: State) -> Self {
        Self { state, plan: None, report: None, done: None, problem: None, may_retry: false }
    }

    fn may_apply(&self) -> bool {
        self.state == State::Planned || self.state == State::Failed && self.may_retry
    }
}

/// All uploads.
#[derive(Debug)]
pub struct Uploads {
    folder: PathBuf,
    known: Mutex<BTreeMap<String, Arc<Upload>>>,
    turns: Turns,
    /// Whether this process serves them: until then it neither knows nor touches them.
    is_serving: AtomicBool,
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

    /// Notes what became of it, here and beside its file.
    fn becomes(&self, change: impl FnOnce(&mut Outcome)) {
        change(&mut lock(&self.outcome));
        if let Err(error) = self.keep() {
            tracing::warn!(path = %self.path.display(), %error, "what became of an upload is not kept");
        }
    }

    fn fail(&self, error: &ImportError, may_retry: bool) {
        self.becomes(|outcome| {
            (outcome.state, outcome.problem, outcome.may_retry) = (State::Failed, Some(error.to_string()), may_retry);
        });
    }

    /// Whether nothing is being done with it.
    fn is_idle(&self) -> bool {
        !matches!(self.state(), State::Planning | State::Applying)
    }
}

impl Uploads {
    /// Uploads in this folder; nothing is looked at or changed before they are served.
    pub fn new(folder: PathBuf) -> Self {
        let (known, turns, is_serving) = (Mutex::default(), Turns::new(JOBS_AT_ONCE), AtomicBool::new(false));
        Self { folder, known, turns, is_serving }
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

    /// What an upload has changed, as `taizhang import --json` prints it.
    pub fn report(&self, id: &str, caller: &Caller) -> Result<Arc<RawValue>, UploadError> {
        let upload = self.of(id, caller)?;
        let outcome = lock(&upload.outcome);
        outcome.report.clone().ok_or(UploadError::NotNow(outcome.state))
    }

    /// The file with its bad cells marked, and sheets to decide on.
    pub async fn findings(&self, server: &Server, id: &str, caller: &Caller) -> Result<Vec<u8>, UploadError> {
        let upload = self.of(id, caller)?;
        let (state, done, plan) = {
            let outcome = lock(&upload.outcome);
            (outcome.state, outcome.done.clone(), outcome.plan.clone())
        };
        let server = &server.at(upload.year);
        let _turn = self.turns.of(caller).await;
        let source = upload.source(caller).await?;
        let (findings, doubts) = match (done, plan) {
            (Some(done), _) => (done.findings.clone(), done.doubts.clone()),
            (None, Some(plan)) => (plan.findings.clone(), plan.doubts.clone()),
            // Written before the server was started again: what there was to notice is still in the file.
            (None, None) if state == State::Done => {
                let plan = import::preview(server, source.clone(), Arc::new(|_, _| {})).await?;
                (plan.findings, plan.doubts)
            }
            (None, None) => return Err(UploadError::NotNow(state)),
        };
        Ok(findings_workbook(server, source, findings, doubts).await?)
    }

    /// Forgets all uploads and their files; `false`, and none is forgotten, while one is being worked on, be it by a server beside
    /// this process.
    pub fn forget_all(&self) -> bool {
        let mut known = lock(&self.known);
        let is_idle = known.values().all(|upload| upload.is_idle())
            && (self.is_serving.load(Ordering::Relaxed) || kept::are_idle(&self.folder));
        if is_idle {
            known.clear();
            drop(std::fs::remove_dir_all(&self.folder));
        }
        is_idle
    }

    fn of(&self, id: &str, caller: &Caller) -> Result<Arc<Upload>, UploadError> {
        let mut known = lock(&self.known);
        let upload = known.get(id).cloned();
        if upload.as_ref().is_some_and(|upload| upload.is_idle() && !upload.path.is_file()) {
            // An erasure has ordered that no file stay.
            known.remove(id);
            return Err(UploadError::Unknown);
        }
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
                kept::remove(&upload.path);
            }
        }
    }
}

/// Takes a file for the year that the server is asked about, and begins to plan it.
pub async fn receive(server: &Server, sender: Caller, file: String, bytes: &[u8]) -> Result<Status, UploadError> {
    let uploads = &server.uploads;
    uploads.make_room(&sender)?;
    let id = Batch::new_id(clock::random());
    let path = uploads.folder.join(&id);
    tokio::fs::create_dir_all(&uploads.folder).await?;
    let upload = Arc::new(Upload {
        file,
        sender,
        path,
        year: server.campaign_year,
        received: u64::try_from(clock::now_ms()).unwrap_or_default(),
        units_done: AtomicUsize::new(0),
        units: AtomicUsize::new(0),
        outcome: Mutex::new(Outcome::new(State::Planning)),
        keeping: Mutex::default(),
    });
    // Known before it is there: else it would be swept out.
    lock(&uploads.known).insert(id.clone(), upload.clone());
    let (of, bytes) = (upload.clone(), bytes.to_vec());
    let kept = tokio::task::spawn_blocking(move || whole::write(&of.path, &bytes, true).and_then(|()| of.keep()));
    let kept = kept.await.map_err(|error| ImportError::Interrupted(error.to_string()))?;
    if let Err(error) = kept {
        lock(&uploads.known).remove(&id);
        kept::remove(&upload.path);
        return Err(error.into());
    }
    let status = upload.status(&id);
    tokio::spawn(plan(server.clone(), upload));
    Ok(status)
}

/// Reads and compares a file.
async fn plan(server: Server, upload: Arc<Upload>) {
    let server = server.at(upload.year);
    let _turn = server.uploads.turns.of(&upload.sender).await;
    let planned =
        async { import::preview(&server, upload.source(&upload.sender).await?, Arc::new(upload.progress())).await };
    match planned.await {
        Ok(plan) => upload.becomes(|outcome| (outcome.state, outcome.plan) = (State::Planned, Some(Arc::new(plan)))),
        Err(error) => upload.fail(&error, false),
    }
}

/// Begins to write what was planned; what was written meanwhile by others is compared anew.
pub fn apply(server: &Server, id: &str, caller: Caller) -> Result<Status, UploadError> {
    let upload = server.uploads.of(id, &caller)?;
    {
        let mut outcome = lock(&upload.outcome);
        if !outcome.may_apply() {
            return Err(UploadError::NotNow(outcome.state));
        }
        (outcome.state, outcome.problem) = (State::Applying, None);
    }
    if let Err(error) = upload.keep() {
        lock(&upload.outcome).state = State::Planned;
        return Err(error.into());
    }
    let status = upload.status(id);
    let server = server.at(upload.year);
    tokio::spawn(Carried::here().on(async move {
        let _turn = server.uploads.turns.to_write(&upload.sender).await;
        let progress = upload.progress();
        let applied = async {
            let report = import::import(&server, upload.source(&caller).await?, &caller, &progress).await?;
            let detail = json!({ "file": report.file, "documents": report.documents, "counts": report.counts });
            audit::note(&server, &caller, Event::Imported, Some(caller.grant.unit), detail).await?;
            let told = serde_json::value::to_raw_value(&report);
            Ok((told.map_err(|error| ImportError::Interrupted(error.to_string()))?, report))
        };
        match applied.await {
            Ok((told, report)) => upload.becomes(|outcome| {
                (outcome.report, outcome.done) = (Some(told.into()), Some(Arc::new(report)));
                (outcome.state, outcome.may_retry) = (State::Done, false);
            }),
            Err(error) => upload.fail(&error, true),
        }
    }));
    Ok(status)
}

/// Begins to serve uploads: those of an earlier run of the server go on from where they were, those that are too old are swept
/// out, now and every hour. Nobody else serves them.
pub async fn serve(server: &Server) -> Result<(), StoreError> {
    if server.uploads.is_serving.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    server.uploads.sweep(clock::now_ms());
    kept::resume(server).await?;
    let uploads = Arc::downgrade(&server.uploads);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(SWEEP_INTERVAL).await;
            let Some(uploads) = uploads.upgrade() else { return };
            uploads.sweep(clock::now_ms());
        }
    });
    Ok(())
}
