//! The keys that what is stored of restricted documents is sealed with, in a file beside the database: what was sealed with a key
//! that is destroyed can be read in no copy of the database any more, wherever that is.
//!
//! The file has records of one size. One is only ever appended, or overwritten with zeros where it stands; each has a check, so
//! that one that was not written to its end is none.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use data_encoding::{BASE64_NOPAD, HEXLOWER};
use sync_protocol::Identity;

use super::document_key::{
    CHECK_AT, DocumentKey, ID_BYTES, KeyId, Place, RECORD_BYTES, SEALED_TEXT, SECRET_AT, Slot, check, slot,
};
use crate::{
    clock,
    store::{Refused, StoreError, blob},
    whole::sync_folder,
};

/// The file, beside the database.
pub const FILE: &str = "document-keys.bin";
/// The folder of what is kept of documents that were erased from, beside it.
pub const SUCCESSORS: &str = "successors";

/// How the file begins: with a record that says which of all such files it is.
const MAGIC: &[u8; ID_BYTES] = b"taizhang dockeys";

fn header(of: &KeyId) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[..ID_BYTES].copy_from_slice(MAGIC);
    record[ID_BYTES..32].copy_from_slice(of);
    let check = check(&record);
    record[CHECK_AT..].copy_from_slice(&check);
    record
}

/// What the file says.
#[derive(Debug, Default)]
struct Known {
    /// Which of all such files it is.
    file: KeyId,
    /// Bytes of it that were read.
    bytes: u64,
    keys: BTreeMap<KeyId, Arc<DocumentKey>>,
    /// The keys of each document, the oldest first.
    own: BTreeMap<Slot, Vec<KeyId>>,
    places: BTreeMap<KeyId, u64>,
    destroyed: BTreeSet<KeyId>,
}

impl Known {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (records, _) = bytes.as_chunks::<RECORD_BYTES>();
        let (first, records) = records.split_first()?;
        let file = first[ID_BYTES..32].try_into().ok()?;
        if *first != header(&file) {
            return None;
        }
        let mut known = Self { file, bytes: bytes.len() as u64, ..Self::default() };
        for (number, record) in (1_u64..).zip(records) {
            match DocumentKey::read(record) {
                Some(key) => known.add(Arc::new(key), number * RECORD_BYTES as u64),
                None => known.destroyed.extend(<KeyId>::try_from(&record[..ID_BYTES])),
            }
        }
        Some(known)
    }

    fn add(&mut self, key: Arc<DocumentKey>, place: u64) {
        self.places.insert(key.id, place);
        let own = self.own.entry(key.slot).or_default();
        if !own.contains(&key.id) {
            own.push(key.id);
        }
        self.keys.insert(key.id, key);
    }

    fn is_there(&self, id: &KeyId) -> bool {
        self.keys.contains_key(id) && !self.destroyed.contains(id)
    }

    /// The keys of a document that are there, the newest first.
    fn own(&self, slot: &Slot) -> impl Iterator<Item = &Arc<DocumentKey>> {
        let own = self.own.get(slot).into_iter().flatten().rev();
        own.filter(|id| self.is_there(id)).filter_map(|id| self.keys.get(id))
    }
}

/// The keys of a database.
#[derive(Debug)]
pub(super) struct DocumentKeys {
    path: PathBuf,
    known: RwLock<Known>,
    /// Why they are not those of the database.
    fault: Option<Refused>,
}

impl DocumentKeys {
    /// The keys of a database that names their file by this id; one that names none yet takes the file that is there, or a new
    /// one.
    pub(super) fn open(path: PathBuf, expected: Option<KeyId>) -> Result<Self, StoreError> {
        if expected.is_none() {
            make(&path).map_err(|error| failed(&path, &error))?;
        }
        let known = match read(&path) {
            Ok(Some(known)) => known,
            Ok(None) => return Err(Refused::DocumentKeysUnreadable.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Refused::NoDocumentKeys.into()),
            Err(error) => return Err(failed(&path, &error)),
        };
        if expected.is_some_and(|expected| expected != known.file) {
            return Err(Refused::OtherDocumentKeys.into());
        }
        Ok(Self { path, known: RwLock::new(known), fault: None })
    }

    /// No keys, to look over a database whose own are not there.
    pub(super) fn lost(path: PathBuf, fault: Refused) -> Self {
        Self { path, known: RwLock::default(), fault: Some(fault) }
    }

    /// Why they are not those of the database, if they are not.
    pub(super) fn fault(&self) -> Option<&Refused> {
        self.fault.as_ref()
    }

    /// Which of all such files it is.
    pub(super) fn file(&self) -> KeyId {
        self.known().file
    }

    /// The folder of what is kept of documents that were erased from.
    pub(super) fn successors(&self) -> PathBuf {
        self.path.with_file_name(SUCCESSORS)
    }

    fn known(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what another program has appended since.
    fn look_again(&self) {
        let length = std::fs::metadata(&self.path).map_or(0, |file| file.len());
        if self.fault.is_some() || length == self.known().bytes {
            return;
        }
        if let Ok(Some(mut found)) = read(&self.path) {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            if found.file == known.file {
                // Somebody may still read what another program has just destroyed the key of.
                for (id, key) in std::mem::take(&mut known.keys) {
                    found.keys.entry(id).or_insert(key);
                }
                *known = found;
            }
        }
    }

    /// A key that is there.
    pub(super) fn get(&self, id: &KeyId) -> Option<Arc<DocumentKey>> {
        if let Some(key) = self.known().keys.get(id) {
            return Some(key.clone());
        }
        if self.known().destroyed.contains(id) {
            return None;
        }
        self.look_again();
        self.known().keys.get(id).cloned()
    }

    /// Whether a key is in the file, destroyed, or was never seen here (none).
    pub(super) fn state(&self, id: &KeyId) -> Option<bool> {
        let known = self.known();
        if known.destroyed.contains(id) { Some(false) } else { known.keys.contains_key(id).then_some(true) }
    }

    /// The newest key of a document that is there: one that was made and never used, or that a later state of the database used.
    pub(super) fn newest(&self, of: &Identity) -> Option<Arc<DocumentKey>> {
        self.look_again();
        let known = self.known();
        known.own(&slot(of)).find(|key| key.replaces.is_none_or(|before| !known.is_there(&before))).cloned()
    }

    /// Every key of a document that is there and not only made in the place of another, the newest first.
    pub(super) fn all_of(&self, of: &Identity) -> Vec<KeyId> {
        let (known, slot) = (self.known(), slot(of));
        let own = known.own(&slot).filter(|key| key.replaces.is_none_or(|before| !known.is_there(&before)));
        own.map(|key| key.id).collect()
    }

    /// Keys that are there though another was made in their place, with that one.
    pub(super) fn replaced(&self) -> Vec<(KeyId, KeyId)> {
        let known = self.known();
        let pairs = known.keys.values().filter_map(|key| Some((key.replaces?, key.id)));
        pairs.filter(|(old, new)| known.is_there(old) && known.is_there(new)).collect()
    }

    /// A key in the place of another: the one that was made for an attempt before and never used, or a new one.
    pub(super) fn in_place_of(&self, of: &Identity, replaced: KeyId) -> Result<Arc<DocumentKey>, StoreError> {
        self.look_again();
        let unused = self.known().own(&slot(of)).find(|key| key.replaces == Some(replaced)).cloned();
        match unused {
            Some(key) => self.settle().map(|()| key),
            None => self.make_keys(vec![DocumentKey::new(slot(of), Some(replaced))])?.pop().ok_or(StoreError::Closed),
        }
    }

    /// Makes sure that keys which were found unused are on the disk: whoever made them may have been told that they are not.
    pub(super) fn settle(&self) -> Result<(), StoreError> {
        self.change(|_| Ok(()))
    }

    /// A key for each of these documents; on the disk when this returns.
    pub(super) fn create(&self, of: &[Identity]) -> Result<Vec<Arc<DocumentKey>>, StoreError> {
        self.make_keys(of.iter().map(|of| DocumentKey::new(slot(of), None)).collect())
    }

    fn make_keys(&self, keys: Vec<DocumentKey>) -> Result<Vec<Arc<DocumentKey>>, StoreError> {
        let at = self.change(|file| {
            let whole = file.metadata()?.len() / RECORD_BYTES as u64 * RECORD_BYTES as u64;
            file.set_len(whole)?;
            file.seek(SeekFrom::Start(whole))?;
            file.write_all(&keys.iter().flat_map(DocumentKey::record).collect::<Vec<u8>>())?;
            Ok(whole)
        })?;
        // What another program has appended before them is not known yet.
        self.look_again();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<_> = keys.into_iter().map(Arc::new).collect();
        for (number, key) in (0_u64..).zip(&keys) {
            known.add(key.clone(), at + number * RECORD_BYTES as u64);
        }
        Ok(keys)
    }

    /// Destroys keys: they are in the file no more when this returns. Whoever reads an earlier state of the database may go on for
    /// a moment, until [`Self::forget`].
    pub(super) fn destroy(&self, ids: &[KeyId]) -> Result<(), StoreError> {
        let places: Vec<u64> = {
            let known = self.known();
            ids.iter().filter_map(|id| known.places.get(id).copied()).collect()
        };
        self.change(|file| {
            for place in &places {
                file.seek(SeekFrom::Start(place + SECRET_AT as u64))?;
                file.write_all(&[0; RECORD_BYTES - SECRET_AT])?;
            }
            Ok(())
        })?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).destroyed.extend(ids);
        for id in ids {
            // A successor that the destroyed key has sealed can be read by nobody any more.
            drop(std::fs::remove_file(self.successors().join(HEXLOWER.encode(id))));
        }
        Ok(())
    }

    /// Forgets in memory, too, what is destroyed.
    pub(super) fn forget(&self) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let Known { keys, destroyed, .. } = &mut *known;
        keys.retain(|id, _| !destroyed.contains(id));
    }

    /// Changes the file, which has to be the one that was read; on the disk when this returns.
    fn change<T>(&self, change: impl FnOnce(&mut File) -> io::Result<T>) -> Result<T, StoreError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone().into());
        }
        let mut file = match OpenOptions::new().read(true).write(true).open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Refused::NoDocumentKeys.into()),
            file => file.map_err(|error| failed(&self.path, &error))?,
        };
        let changed = (|| {
            lock(&file)?;
            let mut first = [0; RECORD_BYTES];
            file.read_exact(&mut first)?;
            if first != header(&self.file()) {
                return Ok(None);
            }
            let changed = change(&mut file)?;
            file.sync_all()?;
            Ok(Some(changed))
        })();
        changed.map_err(|error| failed(&self.path, &error))?.ok_or_else(|| Refused::OtherDocumentKeys.into())
    }

    /// What was stored, sealed or not.
    pub(super) fn open_blob(&self, of: &Identity, place: Place<'_>, stored: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.open_for(Some(of), place, stored)
    }

    /// The same of whatever document it is, for whoever trusts no line of the database.
    pub(super) fn open_any(&self, place: Place<'_>, stored: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.open_for(None, place, stored)
    }

    /// A text that was stored, sealed or not.
    pub(super) fn open_text(&self, of: &Identity, place: Place<'_>, stored: String) -> Result<String, StoreError> {
        self.open_text_for(Some(of), place, stored)
    }

    /// The same of whatever document it is.
    pub(super) fn open_any_text(&self, place: Place<'_>, stored: String) -> Result<String, StoreError> {
        self.open_text_for(None, place, stored)
    }

    fn open_text_for(&self, of: Option<&Identity>, place: Place<'_>, stored: String) -> Result<String, StoreError> {
        let Some(sealed) = stored.strip_prefix(SEALED_TEXT) else { return Ok(stored) };
        let damaged = |_| StoreError::Damaged("a sealed text".into());
        let bytes = BASE64_NOPAD.decode(sealed.as_bytes()).map_err(damaged)?;
        String::from_utf8(self.open_for(of, place, &bytes)?).map_err(|_| StoreError::Damaged("a sealed text".into()))
    }

    fn open_for(&self, of: Option<&Identity>, place: Place<'_>, stored: &[u8]) -> Result<Vec<u8>, StoreError> {
        let Some((&blob::SEALED, sealed)) = stored.split_first() else { return blob::unpack(stored) };
        let damaged = |what: &str| StoreError::Damaged(what.to_owned());
        let (id, shut) = sealed.split_first_chunk::<ID_BYTES>().ok_or_else(|| damaged("what is sealed is cut off"))?;
        let key = self.get(id).ok_or(StoreError::KeyGone)?;
        if of.is_some_and(|of| slot(of) != key.slot) {
            return Err(damaged("what is sealed is of another document"));
        }
        key.open(place, shut)
    }
}

/// A file system that knows no locks: then one program at a time has to do.
fn lock(file: &File) -> io::Result<()> {
    match file.lock() {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        locked => locked,
    }
}

/// Makes the file, unless one is there.
fn make(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    lock(&file)?;
    if file.metadata()?.len() < RECORD_BYTES as u64 {
        // One that was interrupted here is nobody's yet.
        file.set_len(0)?;
        file.write_all(&header(&clock::random()))?;
        file.sync_all()?;
        sync_folder(path)?;
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<Option<Known>> {
    Ok(Known::parse(&std::fs::read(path)?))
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull => StoreError::Full,
        _ => StoreError::Disk(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use sync_protocol::{Book, RowId, UnitId};

    use super::*;

    fn of(unit: u8) -> Identity {
        Identity { unit: UnitId::from_bytes([unit; 16]), book: Book::UnitRestricted, period: "2012".into() }
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_alone_and_with_its_key_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let keys = DocumentKeys::open(path.clone(), None).expect("made");
        let (key, other) =
            (keys.create(&[of(1)]).expect("a key").remove(0), keys.create(&[of(2)]).expect("a key").remove(0));
        let row = RowId::random([7; 10]);
        let sealed = key.shut(Place::Change, b"340099198001010014").expect("sealed");
        assert!(!sealed.windows(18).any(|part| part == b"340099198001010014"));
        assert_eq!(keys.open_blob(&of(1), Place::Change, &sealed).expect("opened"), b"340099198001010014");
        assert_eq!(keys.open_any(Place::Change, &sealed).expect("opened"), b"340099198001010014");
        assert!(keys.open_blob(&of(1), Place::Snapshot, &sealed).is_err(), "another place");
        assert!(keys.open_blob(&of(2), Place::Change, &sealed).is_err(), "another document");
        let text = key.shut_text(Place::Cells("members", row), "{\"a\":1}").expect("sealed");
        let open = |place| keys.open_text(&of(1), place, text.clone());
        assert_eq!(open(Place::Cells("members", row)).expect("opened"), "{\"a\":1}");
        assert!(
            open(Place::Conflicts("members", row)).is_err()
                && open(Place::Cells("members", RowId::random([8; 10]))).is_err()
        );
        assert_eq!(keys.open_text(&of(1), Place::Before, "{}".into()).expect("plain"), "{}");
        let same = |key: &DocumentKey, text| key.shut_same(Place::Proposed, text).expect("sealed");
        assert_eq!(same(&key, "1"), same(&key, "1"));
        assert!(same(&key, "1") != same(&key, "2") && same(&key, "1") != same(&other, "1"));

        // Another program sees what this one makes, and reads for a moment what it has destroyed.
        let elsewhere = DocumentKeys::open(path.clone(), Some(keys.file())).expect("opened");
        let new = keys.in_place_of(&of(1), key.id).expect("a key");
        assert_eq!(keys.in_place_of(&of(1), key.id).expect("a key").id, new.id, "an attempt before left it");
        assert_eq!(keys.replaced(), [(key.id, new.id)]);
        assert!(elsewhere.get(&new.id).is_some());
        keys.destroy(&[key.id]).expect("destroyed");
        assert!(keys.open_blob(&of(1), Place::Change, &sealed).is_ok(), "until readers are done");
        keys.forget();
        assert!(matches!(keys.open_blob(&of(1), Place::Change, &sealed), Err(StoreError::KeyGone)));
        assert_eq!((keys.state(&key.id), keys.state(&new.id), keys.state(&[9; 16])), (Some(false), Some(true), None));
        let again = DocumentKeys::open(path.clone(), Some(keys.file())).expect("opened");
        assert!(again.get(&key.id).is_none() && again.get(&other.id).is_some() && again.get(&new.id).is_some());
        let file = std::fs::read(&path).expect("there");
        assert!(!file.windows(32).any(|part| part == key.secret), "it is not in the file");
    }

    #[test]
    fn a_record_that_was_not_written_to_its_end_is_none_and_costs_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let keys = DocumentKeys::open(path.clone(), None).expect("made");
        let first = keys.create(&[of(1), of(2)]).expect("keys").remove(0);
        let whole = std::fs::read(&path).expect("there");
        for cut in [1, RECORD_BYTES / 2, RECORD_BYTES - 1] {
            std::fs::write(&path, &whole[..whole.len() - cut]).expect("cut");
            let keys = DocumentKeys::open(path.clone(), Some(keys.file())).expect("opened");
            assert!(keys.get(&first.id).is_some() && keys.newest(&of(2)).is_none());
            let third = keys.create(&[of(3)]).expect("a key").remove(0);
            let keys = DocumentKeys::open(path.clone(), Some(keys.file())).expect("opened");
            assert!(keys.get(&first.id).is_some() && keys.get(&third.id).is_some());
        }
        let refused = |expected| DocumentKeys::open(path.clone(), expected).expect_err("refused");
        assert!(matches!(refused(Some([1; 16])), StoreError::Refused(Refused::OtherDocumentKeys)));
        std::fs::write(
            &path,
            b"nonsense that is as long as a record would be, and then some more of it, so that it is not \
                                taken for a file that was interrupted",
        )
        .expect("written");
        assert!(matches!(refused(None), StoreError::Refused(Refused::DocumentKeysUnreadable)));
        std::fs::remove_file(&path).expect("there");
        assert!(matches!(refused(Some([1; 16])), StoreError::Refused(Refused::NoDocumentKeys)));
        assert!(matches!(keys.create(&[of(4)]), Err(StoreError::Refused(Refused::NoDocumentKeys))));
    }
}
