//! Documents that deliveries have just written to, so that the next one need not load them: bounded by bytes, the longest
//! unused give way. A document is taken out while somebody writes to it; whether it is still the stored one, its heads say.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sync_protocol::{ChangeHash, Document, DocumentId};

/// Bytes in memory of a document for each byte of its saved form.
const BYTES_PER_SAVED_BYTE: usize = 10;

/// A document and what it is as large as.
#[derive(Debug)]
pub(super) struct Cached {
    pub(super) document: Document,
    /// Bytes of what it was loaded from and of what was written since.
    pub(super) saved_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    heads: Vec<ChangeHash>,
    cached: Cached,
    used: u64,
}

#[derive(Debug, Default)]
struct Room {
    entries: HashMap<DocumentId, Entry>,
    bytes: usize,
    tick: u64,
}

/// The cache.
#[derive(Debug)]
pub(super) struct Cache {
    room: Mutex<Room>,
    bytes_max: usize,
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { room: Mutex::default(), bytes_max }
    }

    fn open(&self) -> MutexGuard<'_, Room> {
        // Nothing in here panics half-way.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a document out, if it is there as of these heads.
    pub(super) fn take(&self, id: DocumentId, heads: &[ChangeHash]) -> Option<Cached> {
        let mut room = self.open();
        let entry = room.entries.remove(&id)?;
        room.bytes -= entry.cached.saved_bytes * BYTES_PER_SAVED_BYTE;
        (entry.heads == heads).then_some(entry.cached)
    }

    /// Puts a document in, as it is stored.
    pub(super) fn put(&self, id: DocumentId, cached: Cached) {
        let bytes = cached.saved_bytes * BYTES_PER_SAVED_BYTE;
        if bytes > self.bytes_max {
            return;
        }
        let heads = cached.document.heads();
        let mut room = self.open();
        room.tick += 1;
        let used = room.tick;
        room.bytes += bytes;
        if let Some(before) = room.entries.insert(id, Entry { heads, cached, used }) {
            room.bytes -= before.cached.saved_bytes * BYTES_PER_SAVED_BYTE;
        }
        while room.bytes > self.bytes_max {
            let Some(oldest) = room.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(id, _)| *id) else {
                break;
            };
            if let Some(entry) = room.entries.remove(&oldest) {
                room.bytes -= entry.cached.saved_bytes * BYTES_PER_SAVED_BYTE;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> DocumentId {
        DocumentId::from_bytes([number; 16])
    }

    #[test]
    fn the_longest_unused_give_way_and_old_states_are_not_given_out() {
        let cache = Cache::new(100 * BYTES_PER_SAVED_BYTE);
        let put = |number: u8, saved_bytes| cache.put(id(number), Cached { document: Document::new(), saved_bytes });
        put(1, 40);
        put(2, 40);
        // Taken and put back, the first is the younger one.
        let first = cache.take(id(1), &[]).expect("there");
        cache.put(id(1), first);
        put(3, 40);
        assert!(cache.take(id(2), &[]).is_none(), "it had to go");
        assert!(cache.take(id(1), &[ChangeHash([1; 32])]).is_none(), "somebody else has written since");
        assert!(cache.take(id(1), &[]).is_none(), "and then it is of no use");
        put(4, 101);
        assert!(cache.take(id(4), &[]).is_none(), "too large for all of it");
        assert!(cache.take(id(3), &[]).is_some());
        assert_eq!(cache.open().bytes, 0);
    }
}
