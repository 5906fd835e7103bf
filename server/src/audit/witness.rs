//! Witnesses of the audit log: whoever owns the machine can write all of the log anew, hash it and sign it, but not what others
//! have kept of it. Here that is read, and held against the log.

use std::path::Path;

use importer::{ReadError, isolate::Task, seal};
use sync_protocol::{
    bundle::{BundleError, HEAD_BYTES_MAX},
    checkpoint::{self, Note},
};

use super::{Verified, verify_against};
use crate::{
    Server, installation,
    store::{StoreError, sqlite},
};

/// Bytes of a file that are read.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Why a file is no witness.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// It cannot be read.
    #[error("无法读取 cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is too large for any of them.
    #[error(
        "文件过大，不是检查点、签章报表、数据包或设备的数据库 | too large for a checkpoint, a sealed return, a bundle or a device's store"
    )]
    TooLarge,
    /// It is a workbook that cannot be read.
    #[error(transparent)]
    Workbook(#[from] ReadError),
    /// It is a bundle that cannot be opened.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// There is none in it.
    #[error(
        "文件中没有检查点：可用 audit checkpoint 存出的文本、签章报表（.xlsx）、手机或办公室写出的数据包（.tzb）、taizhang-import 的数据目录 | there is no checkpoint in it: take a text of `audit checkpoint`, a sealed return, a bundle that a device has written, or the data folder of taizhang-import"
    )]
    Nothing,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a checkpoint says of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The log begins as it was then.
    Consistent,
    /// It has fewer lines than then.
    Cut,
    /// Its first lines are others than then.
    Rewritten,
    /// The checkpoint is of another county or another database.
    Elsewhere,
    /// This server's key has not signed it.
    Unsigned,
}

/// What a file is witness of.
#[derive(Debug)]
pub struct Witness {
    /// Its checkpoints, each with what it says of the log.
    pub checkpoints: Vec<(Note, Standing)>,
}

impl Witness {
    /// Whether all of it speaks for the log.
    pub fn is_consistent(&self) -> bool {
        self.checkpoints.iter().all(|(_, standing)| *standing == Standing::Consistent)
    }
}

/// The checkpoints in a file, whatever of the kinds that hold some it is.
pub async fn read(server: &Server, path: &Path) -> Result<Vec<Note>, WitnessError> {
    let path = if path.is_dir() { path.join(installation::DATABASE) } else { path.to_owned() };
    let texts = if starts_with(&path, b"SQLite format 3\0")? {
        sqlite::kept_checkpoints(&path).await?
    } else {
        if std::fs::metadata(&path)?.len() > FILE_BYTES_MAX {
            return Err(WitnessError::TooLarge);
        }
        texts(server, &std::fs::read(&path)?)?
    };
    let notes: Vec<Note> = texts.iter().flat_map(|text| checkpoint::parse(text)).collect();
    if notes.is_empty() { Err(WitnessError::Nothing) } else { Ok(notes) }
}

fn starts_with(path: &Path, mark: &[u8]) -> std::io::Result<bool> {
    use std::io::Read;

    let mut start = Vec::new();
    std::fs::File::open(path)?.take(mark.len() as u64).read_to_end(&mut start)?;
    Ok(start == mark)
}

fn texts(server: &Server, bytes: &[u8]) -> Result<Vec<String>, WitnessError> {
    if bytes.starts_with(b"PK") {
        let examined = server.isolation.examine(bytes, &server.keyring.seal_keys(), Task::Examine)?;
        // What is signed is that it was in the seal; the checkpoint's own signature is asked for later.
        return Ok(examined.and_then(|examined| seal::checkpoint(&examined.statement)).into_iter().collect());
    }
    if bytes.starts_with(b"age-encryption.org/") {
        let beginning = bytes.get(..HEAD_BYTES_MAX).unwrap_or(bytes);
        return Ok(server.keyring.read_head(beginning)?.0.checkpoints);
    }
    let text = String::from_utf8_lossy(bytes).into_owned();
    // The answer of `GET /api/audit/checkpoint`, as it was saved.
    let answer = serde_json::from_str::<serde_json::Value>(&text).ok();
    let inside = answer.as_ref().and_then(|answer| answer.get("checkpoint")).and_then(|text| text.as_str());
    Ok(vec![inside.map_or(text.clone(), str::to_owned)])
}

/// Computes the log anew, and holds it against what witnesses have kept.
pub async fn hear(
    server: &Server,
    expected: Option<&[u8; 32]>,
    witnesses: Vec<Vec<Note>>,
) -> Result<(Verified, Vec<Witness>), StoreError> {
    let origin = server.checkpoints.origin().await?;
    // Whoever has a key that is known to others could have made the checkpoint up; that the log stands by it is no harm.
    let keys: Vec<[u8; 32]> = server.keyring.signing().iter().map(|signing| signing.keys.public().signing).collect();
    let sizes = witnesses.iter().flatten().map(|note| note.checkpoint.size).collect();
    let (verified, roots) = verify_against(server.store.as_ref(), expected, sizes).await?;
    let stands = |note: &Note| {
        let checkpoint = &note.checkpoint;
        if !keys.iter().any(|key| note.is_signed_by(key)) {
            return Standing::Unsigned;
        }
        if checkpoint.origin != origin {
            return Standing::Elsewhere;
        }
        match roots.get(&checkpoint.size) {
            None => Standing::Cut,
            Some(root) if *root == checkpoint.root => Standing::Consistent,
            Some(_) => Standing::Rewritten,
        }
    };
    let hear = |notes: Vec<Note>| {
        let checkpoints = notes.into_iter().map(|note| {
            let standing = stands(&note);
            (note, standing)
        });
        Witness { checkpoints: checkpoints.collect() }
    };
    Ok((verified, witnesses.into_iter().map(hear).collect()))
}
