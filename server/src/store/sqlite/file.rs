//! The database file as bytes, looked at before SQLite opens it: SQLite makes a new database of a missing or empty file, and of
//! one without its log an older one, and says nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::store::Refused;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where the header keeps the user version, which says whether the file is whole without its log.
const USER_VERSION: usize = 60;
const WAL_HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;

/// The log beside a database.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Which file it is, whatever its name.
pub(super) type FileId = (u64, u64);

#[cfg(unix)]
pub(super) fn id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Elsewhere a file that is open cannot be replaced.
#[cfg(not(unix))]
pub(super) fn id(path: &Path) -> Option<FileId> {
    path.exists().then_some((0, 0))
}

/// The files that stores of this process have open, how many each, and what their headers are read through.
///
/// A lock of POSIX is the process's: it ends when the process closes the file, through whatever handle. Were a header read through
/// a handle that is closed again, SQLite's own locks would be gone, and the next program that opens the database beside this one
/// would think itself alone and delete the log.
static HELD: Mutex<BTreeMap<FileId, (usize, Option<File>)>> = Mutex::new(BTreeMap::new());

/// A store has the file open for as long as this lives.
#[derive(Debug)]
pub(super) struct Held(Option<FileId>);

/// From now on nobody closes a handle of this file.
pub(super) fn hold(path: &Path) -> Held {
    let id = id(path);
    if let Some(id) = id {
        HELD.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().0 += 1;
    }
    Held(id)
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((id, (stores, _))) = self.0.and_then(|id| Some((id, held.get_mut(&id)?))) else { return };
        *stores -= 1;
        if *stores == 0 {
            held.remove(&id);
        }
    }
}

/// The header of a database; none, where it is none.
fn header(path: &Path) -> io::Result<Option<Header>> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((_, handle)) = id(path).and_then(|id| held.get_mut(&id)) else {
        return Header::read(&mut File::open(path)?);
    };
    let file = match handle {
        Some(file) => file,
        None => handle.insert(File::open(path)?),
    };
    file.seek(SeekFrom::Start(0))?;
    Header::read(file)
}

/// How many bytes a file has; none, if it is not there.
pub(super) fn length(path: &Path) -> io::Result<Option<u64>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The fields of a header that matter here.
struct Header {
    page_bytes: u64,
    /// None, where a program too old to keep it has written last.
    pages: Option<u64>,
    user_version: u32,
}

impl Header {
    fn read(file: &mut File) -> io::Result<Option<Self>> {
        let mut bytes = [0; 100];
        match file.read_exact(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            result => result?,
        }
        let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let page_bytes = match u64::from(u16::from_be_bytes([bytes[16], bytes[17]])) {
            1 => 65_536,
            bytes => bytes,
        };
        if &bytes[..16] != MAGIC || !page_bytes.is_power_of_two() || page_bytes < 512 {
            return Ok(None);
        }
        let pages = (number(24) == number(92)).then(|| number(28).into());
        Ok(Some(Self { page_bytes, pages, user_version: number(USER_VERSION) }))
    }
}

/// Whether the file alone, without its log, lacks something: what [`super::keeper`] has written into it.
pub(super) fn needs_its_log(path: &Path) -> io::Result<bool> {
    Ok(header(path)?.is_some_and(|header| header.user_version == 1))
}

/// Whether the file can be the whole database, as far as its bytes tell; `without_log` takes one that lacks its log.
pub(super) fn look(path: &Path, without_log: bool) -> io::Result<Result<(), Refused>> {
    match look_once(path, without_log)? {
        // A server may have emptied its log between two looks at two files.
        Err(Refused::WithoutLog) => look_once(path, without_log),
        looked => Ok(looked),
    }
}

fn look_once(path: &Path, without_log: bool) -> io::Result<Result<(), Refused>> {
    let found = match length(path)? {
        None => return Ok(Err(Refused::Missing)),
        Some(0) => return Ok(Err(Refused::Empty)),
        Some(found) => found,
    };
    let Some(header) = header(path)? else { return Ok(Err(Refused::NotADatabase)) };
    let log = log_of(path);
    let has_log = length(&log)?.is_some_and(|bytes| bytes > 0);
    if header.user_version == 1 && !has_log && !without_log {
        return Ok(Err(Refused::WithoutLog));
    }
    let expected = header.pages.unwrap_or(0) * header.page_bytes;
    if found < expected {
        // Killed while it moved pages out of the log: then those that are missing here are still there.
        let logged = if has_log { logged_pages(&log)? } else { BTreeSet::new() };
        let is_whole =
            (found / header.page_bytes + 1..=expected / header.page_bytes).all(|page| logged.contains(&page));
        if !is_whole {
            return Ok(Err(Refused::Truncated { expected, found }));
        }
    }
    Ok(Ok(()))
}

/// The numbers of the pages in a log.
fn logged_pages(log: &Path) -> io::Result<BTreeSet<u64>> {
    let mut file = File::open(log)?;
    let mut header = [0; 12];
    let mut pages = BTreeSet::new();
    if length(log)?.unwrap_or(0) < WAL_HEADER_BYTES {
        return Ok(pages);
    }
    file.read_exact(&mut header)?;
    let page_bytes = u64::from(u32::from_be_bytes([header[8], header[9], header[10], header[11]]));
    let (bytes, mut at) = (length(log)?.unwrap_or(0), WAL_HEADER_BYTES);
    while at + FRAME_HEADER_BYTES + page_bytes <= bytes {
        file.seek(SeekFrom::Start(at))?;
        let mut page = [0; 4];
        file.read_exact(&mut page)?;
        pages.insert(u32::from_be_bytes(page).into());
        at += FRAME_HEADER_BYTES + page_bytes;
    }
    Ok(pages)
}
