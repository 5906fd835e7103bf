//! What became of an upload, in a file beside it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicUsize},
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sync_protocol::DeviceId;

use super::{KEPT_MS, Outcome, State, Upload, Uploads, lock, plan};
use crate::{
    Server,
    auth::Caller,
    installation,
    store::{PersonId, StoreError},
    whole::{self, PART},
};

const ENDING: &str = ".json";

/// An upload as it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    file: String,
    person: Option<PersonId>,
    device: Option<DeviceId>,
    received_ms: u64,
    /// The year that it is for; what earlier versions have kept is for the configured one.
    #[serde(default)]
    year: Option<i16>,
    state: State,
    problem: Option<String>,
    may_retry: bool,
    report: Option<Box<RawValue>>,
}

impl Kept {
    fn read(upload: &Path) -> Option<Self> {
        let text = std::fs::read(beside(upload)).ok()?;
        let read = serde_json::from_slice(&text);
        read.inspect_err(|error| tracing::warn!(path = %upload.display(), %error, "an upload cannot be taken up again"))
            .ok()
    }

    fn is_at_work(&self) -> bool {
        matches!(self.state, State::Planning | State::Applying)
    }
}

/// Where it stands what became of an upload.
fn beside(upload: &Path) -> PathBuf {
    let mut path = upload.as_os_str().to_owned();
    path.push(ENDING);
    path.into()
}

/// Removes an upload; what stays behind is swept out at the next start.
pub(super) fn remove(upload: &Path) {
    drop(std::fs::remove_file(upload));
    drop(std::fs::remove_file(beside(upload)));
}

/// Whether no server works on an upload of this folder.
pub(super) fn are_idle(folder: &Path) -> bool {
    let is_served = folder.parent().is_some_and(installation::is_served);
    !is_served || !uploads(folder).iter().filter_map(|path| Kept::read(path)).any(|kept| kept.is_at_work())
}

/// The uploads in a folder.
fn uploads(folder: &Path) -> Vec<PathBuf> {
    // It may not be there yet.
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_upload = |path: &PathBuf| path.extension().is_none();
    entries.flatten().map(|entry| entry.path()).filter(is_upload).collect()
}

impl Upload {
    /// Keeps what became of it.
    pub(super) fn keep(&self) -> std::io::Result<()> {
        let _turn = lock(&self.keeping);
        let kept = {
            let outcome = lock(&self.outcome);
            Kept {
                file: self.file.clone(),
                person: self.sender.person.as_ref().map(|person| person.id),
                device: self.sender.device.as_ref().map(|device| device.id),
                received_ms: self.received,
                year: Some(self.year),
                state: outcome.state,
                problem: outcome.problem.clone(),
                may_retry: outcome.may_retry,
                report: outcome.report.as_deref().map(ToOwned::to_owned),
            }
        };
        whole::write(&beside(&self.path), &serde_json::to_vec(&kept)?, true)
    }
}

impl Uploads {
    /// Removes uploads that are too old, and what belongs to none.
    pub fn sweep(&self, now_ms: i64) {
        let now_ms = u64::try_from(now_ms).unwrap_or_default();
        let mut known = lock(&self.known);
        known.retain(|_, upload| {
            let stays = !upload.is_idle() || upload.received.saturating_add(KEPT_MS) > now_ms;
            if !stays {
                remove(&upload.path);
            }
            stays
        });
        let is_old = |kept: &Kept| kept.received_ms.saturating_add(KEPT_MS) <= now_ms;
        let paths: BTreeSet<PathBuf> = uploads(&self.folder).into_iter().collect();
        let belongs = |path: &Path| known.values().any(|upload| upload.path == path);
        for path in paths.iter().filter(|path| !belongs(path)) {
            if Kept::read(path).is_none_or(|kept| is_old(&kept)) {
                remove(path);
            }
        }
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let of = self.folder.join(name.split('.').next().unwrap_or_default());
            if !belongs(&of) && (!of.is_file() || name.ends_with(PART)) {
                drop(std::fs::remove_file(path));
            }
        }
    }
}

/// Takes up what an earlier run of the server has left.
pub(super) async fn resume(server: &Server) -> Result<(), StoreError> {
    for path in uploads(&server.uploads.folder) {
        let Some(id) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        let Some(kept) = Kept::read(&path) else { continue };
        let Some(sender) = sender(server, &kept).await? else {
            // Nobody can ask for it any more.
            remove(&path);
            continue;
        };
        let mut outcome = Outcome::new(kept.state);
        outcome.problem = kept.problem;
        outcome.may_retry = kept.may_retry;
        outcome.report = kept.report.map(Arc::from);
        match kept.state {
            State::Planned => outcome.state = State::Planning,
            State::Applying => {
                outcome.state = State::Failed;
                outcome.may_retry = true;
                outcome.problem = Some(INTERRUPTED.to_owned());
            }
            State::Planning | State::Done | State::Failed => {}
        }
        let state = outcome.state;
        let upload = Arc::new(Upload {
            file: kept.file,
            sender,
            path,
            year: kept.year.unwrap_or(server.campaign_year),
            received: kept.received_ms,
            units_done: AtomicUsize::new(0),
            units: AtomicUsize::new(0),
            outcome: Mutex::new(outcome),
            keeping: Mutex::default(),
        });
        if state == State::Failed {
            upload.becomes(|_| {});
        }
        lock(&server.uploads.known).insert(id, upload.clone());
        if state == State::Planning {
            tokio::spawn(plan(server.clone(), upload));
        }
    }

    Ok(())
}

/// What an office is told of a file that was being written when the server ended.
const INTERRUPTED: &str = "写入时服务中断，可能只写了一部分；请再次写入，已写的不会重复 | the server ended while it was written, perhaps in the middle: apply it again, nothing is written twice";

/// Whoever has sent it, with the rights of today.
async fn sender(server: &Server, kept: &Kept) -> Result<Option<Caller>, StoreError> {
    let store = server.store.as_ref();
    if let Some(device) = kept.device {
        return Ok(store.device(device).await?.map(Caller::device));
    }
    let Some(person) = kept.person else { return Ok(None) };
    match store.people().person(person).await? {
        Some(person) => Ok(Some(Caller::person(store, person).await?)),
        None => Ok(None),
    }
}
