//! Pictures and other things over the cells of an .xls: where they begin, and what they show.

use std::collections::BTreeSet;

use crate::workbook::{
    grid::address,
    read::{ReadError, damaged},
};

/// Records in records.
const DEPTH_MAX: usize = 16;
const STORE_ENTRY: u16 = 0xf007;
const ANCHOR: u16 = 0xf010;
const OPTIONS: u16 = 0xf00b;
/// Of the options: the number of the picture, and the turn of it.
const PICTURE: u16 = 0x0104;
const ROTATION: u16 = 0x0004;
/// Kinds of objects.
const IS_PICTURE: u16 = 8;
const IS_CHART: u16 = 5;
const IS_LIST: u16 = 20;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const PNG_END: &[u8] = b"IEND";

/// One record of a drawing after the other: whether others are in it, kind, contents.
fn records(mut data: &[u8], depth: usize, look: &mut impl FnMut(u16, u16, &[u8])) {
    while let [v0, v1, k0, k1, l0, l1, l2, l3, rest @ ..] = data {
        let version = u16::from_le_bytes([*v0, *v1]);
        let kind = u16::from_le_bytes([*k0, *k1]);
        let length = usize::try_from(u32::from_le_bytes([*l0, *l1, *l2, *l3])).unwrap_or(usize::MAX);
        // The last one of a piece may go on in the next.
        let (content, next) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        data = next;
        look(version, kind, content);
        if version & 0xf == 0xf && depth < DEPTH_MAX {
            records(content, depth + 1, look);
        }
    }
}

/// Digests of the pictures of a workbook, in the order of their numbers.
pub(super) fn pictures(group: &[u8], digest: impl Fn(&[u8]) -> String) -> Vec<String> {
    let mut found = Vec::new();
    records(group, 0, &mut |_, kind, content| {
        if kind == STORE_ENTRY {
            let start = content.windows(PNG.len()).position(|window| window == PNG);
            let end = content.windows(PNG_END.len()).rposition(|window| window == PNG_END);
            // Four bytes of a check follow the end.
            let png = start.zip(end).and_then(|(start, end)| content.get(start..end + PNG_END.len() + 4));
            found.push(png.map_or_else(|| "?".to_owned(), &digest));
        }
    });
    found
}

/// What lies over the cells of a sheet.
#[derive(Default)]
pub(super) struct Drawings {
    anchors: Vec<String>,
    pictures: Vec<(usize, bool)>,
    objects: Vec<u16>,
}

impl Drawings {
    /// Takes a piece of the drawing.
    pub(super) fn shapes(&mut self, data: &[u8]) {
        records(data, 0, &mut |version, kind, content| {
            let word = |at: usize| Some(u16::from_le_bytes([*content.get(at)?, *content.get(at + 1)?]));
            match kind {
                ANCHOR => {
                    let place = word(2).zip(word(6)).map(|(column, row)| address(u32::from(row), column));
                    self.anchors.push(place.unwrap_or_else(|| "?".to_owned()));
                }
                OPTIONS => {
                    let (mut picture, mut is_turned) = (None, false);
                    for at in (0..usize::from(version >> 4)).map(|number| 6 * number) {
                        let Some(id) = word(at) else { break };
                        let value = word(at + 2).unwrap_or(0);
                        match id & 0x3fff {
                            PICTURE => picture = Some(usize::from(value)),
                            ROTATION => is_turned |= value != 0 || word(at + 4).unwrap_or(0) != 0,
                            _ => {}
                        }
                    }
                    self.pictures.extend(picture.map(|picture| (picture, is_turned)));
                }
                _ => {}
            }
        });
    }

    /// Takes an object.
    pub(super) fn object(&mut self, data: &[u8]) {
        // Behind the head of its first part stands what kind it is.
        let kind = data.get(4..6).map_or(u16::MAX, |kind| u16::from_le_bytes([kind[0], kind[1]]));
        self.objects.push(kind);
    }

    pub(super) fn tell(&self, pictures: &[String], facts: &mut BTreeSet<String>) -> Result<(), ReadError> {
        if self.objects.contains(&IS_CHART) {
            let sentence = "报表中有图表，只有 .xlsx 文件中的图表可以核对。请交另存为 .xlsx 的文件。 | it holds charts, which can be checked in .xlsx files only: save it as .xlsx";
            return Err(ReadError::Refused(sentence.to_owned()));
        }
        for kind in self.objects.iter().filter(|kind| **kind != IS_PICTURE && **kind != IS_LIST) {
            facts.insert(format!("图形 shape {kind}"));
        }
        let count = self.objects.iter().filter(|kind| **kind == IS_PICTURE).count();
        if count != self.anchors.len() || count != self.pictures.len() {
            if self.anchors.is_empty() && self.pictures.is_empty() && count == 0 {
                return Ok(());
            }
            facts.insert(format!("图形 shapes {} {count} {}", self.anchors.len(), self.pictures.len()));
            return Ok(());
        }
        for (place, (number, is_turned)) in self.anchors.iter().zip(&self.pictures) {
            let picture = number.checked_sub(1).and_then(|at| pictures.get(at));
            let picture = picture.ok_or_else(|| damaged("a picture that is not there"))?;
            facts.insert(format!("图片 picture {place} {picture}{}", if *is_turned { " turned" } else { "" }));
        }
        Ok(())
    }
}
