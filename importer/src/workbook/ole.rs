//! The container of an .xls, checked for chains of sectors that run in circles: readers follow them for ever.

use super::read::{ReadError, damaged};

/// Sector numbers from here on end a chain or say that there is none.
const SPECIAL_MIN: u32 = 0xffff_fffa;
/// Entries of the table of tables that stand in the header.
const HEADER_TABLES: usize = 109;

/// Refuses a container with a circle in one of its tables.
pub fn check(bytes: &[u8]) -> Result<(), ReadError> {
    let Some(container) = Container::of(bytes) else { return Err(damaged("no sector size")) };
    let mut tables: Vec<u32> = (0..HEADER_TABLES).filter_map(|index| container.number(76 + 4 * index)).collect();
    let (mut next, mut left) = (container.number(68), bytes.len() / container.size + 1);
    while let Some(sector) = next.filter(|sector| *sector < SPECIAL_MIN) {
        left = left.checked_sub(1).ok_or_else(|| damaged("circular table of tables"))?;
        let mut entries = container.entries(sector);
        next = entries.pop();
        tables.extend(entries);
    }
    let used = tables.into_iter().filter(|sector| *sector < SPECIAL_MIN);
    let fat: Vec<u32> = used.flat_map(|sector| container.entries(sector)).collect();
    straight(&fat)?;
    // The table is straight, so this chain ends.
    let mut small = Vec::new();
    let mut next = container.number(60);
    while let Some(sector) = next.filter(|sector| *sector < SPECIAL_MIN) {
        small.extend(container.entries(sector));
        next = fat.get(sector as usize).copied();
    }
    straight(&small)
}

struct Container<'a> {
    bytes: &'a [u8],
    size: usize,
}

impl<'a> Container<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let shift = u16::from_le_bytes(bytes.get(30..32)?.try_into().ok()?);
        [9, 12].contains(&shift).then(|| Self { bytes, size: 1 << shift })
    }

    fn number(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?))
    }

    /// The numbers in a sector; the header takes the place of one.
    fn entries(&self, sector: u32) -> Vec<u32> {
        let start = (sector as usize).saturating_add(1).saturating_mul(self.size);
        (0..self.size / 4).filter_map(|index| self.number(start.checked_add(4 * index)?)).collect()
    }
}

/// Whether every chain of a table comes to an end.
fn straight(table: &[u32]) -> Result<(), ReadError> {
    // 0 not seen, else the chain in which it was seen first.
    let mut seen = vec![0u32; table.len()];
    for (mark, start) in (1u32..).zip(0..table.len()) {
        let mut at = start;
        while seen.get(at) == Some(&0) {
            seen[at] = mark;
            at = table[at] as usize;
        }
        if seen.get(at) == Some(&mark) {
            return Err(damaged("circular chain of sectors"));
        }
    }
    Ok(())
}
