//! What must not come back with a backup: devices that were revoked, people who were disabled or may do less, records that were
//! erased. Each stands in a file beside the database, on the disk before it is done. When a database that is older than what was
//! acknowledged is gone on with, what of that it does not know is done again.
//!
//! The file is only appended to: one JSON object a line, each with a hash over the one of the line before it and itself.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use sync_protocol::{DeviceId, UnitId, document::RowKey};

use crate::{
    Server,
    audit::{By, Event},
    auth::{Books, Role},
    erasure::{self, ErasureError, Extent},
    store::{Act, AuditEntry, Deed, DeviceRecord, Performed, Person, PersonId, StoreError},
    whole::sync_folder,
};

/// The file, beside the database.
pub const FILE: &str = "lasting.jsonl";

/// Something that lasts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// A device was revoked.
    DeviceRevoked {
        /// It.
        device: DeviceId,
    },
    /// A person was disabled.
    PersonDisabled {
        /// They.
        person: PersonId,
    },
    /// What a person may do was changed.
    PersonChanged {
        /// They.
        person: PersonId,
        /// What they are since.
        role: Role,
        /// Where.
        unit: UnitId,
        /// Whether they are a named handler of restricted data.
        is_handler: bool,
        /// Whether they are disabled.
        is_disabled: bool,
    },
    /// Restricted data of a record was erased, or the whole record.
    Erased {
        /// Whose record.
        unit: UnitId,
        /// Its ledger and row.
        record: String,
        /// Whether its open columns were, too.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_whole: bool,
    },
}

/// What of a use case lasts.
pub(crate) fn facts_of(act: &Act) -> Vec<Fact> {
    match act {
        Act::RevokeDevice(device) => vec![Fact::DeviceRevoked { device: *device }],
        Act::DisablePerson(person) => vec![Fact::PersonDisabled { person: *person }],
        Act::ChangePerson { after, .. } => vec![Fact::PersonChanged {
            person: after.id,
            role: after.role,
            unit: after.unit,
            is_handler: after.is_handler,
            is_disabled: after.is_disabled,
        }],
        Act::Erase { unit, replacements, .. } => {
            let mut records: BTreeMap<&RowKey, bool> = BTreeMap::new();
            for replacement in replacements {
                for record in &replacement.erased {
                    *records.entry(record).or_default() |= !replacement.write.identity.book.is_restricted();
                }
            }
            let fact = |(record, is_whole): (&RowKey, bool)| Fact::Erased {
                unit: *unit,
                record: record.to_string(),
                is_whole,
            };
            records.into_iter().map(fact).collect()
        }
        _ => Vec::new(),
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    fact: Fact,
    check: String,
}

fn check(before: &str, fact: &Fact) -> String {
    let fact = serde_json::to_string(fact).unwrap_or_default();
    let hash = Sha256::new_with_prefix("taizhang lasting\0").chain_update(before).chain_update(fact).finalize();
    HEXLOWER.encode(&hash[..8])
}

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// What lasts, the oldest first: all that can be read.
    pub facts: Vec<Fact>,
    /// What is wrong with the file: then something may be missing.
    pub fault: Option<Fault>,
}

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not there, and has been.
    #[error("数据库旁的 lasting.jsonl 不见了 | lasting.jsonl beside the database is gone")]
    Gone,
    /// It is shorter than it was.
    #[error(
        "数据库旁的 lasting.jsonl 被截短（应有 {expected} 字节，只有 {found} 字节）| lasting.jsonl beside the database is cut off: {found} of {expected} bytes are there"
    )]
    Cut {
        /// Bytes that it had.
        expected: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// A line is not what was written, or one before it is missing.
    #[error(
        "数据库旁的 lasting.jsonl 第 {0} 行已损坏 | line {0} of lasting.jsonl beside the database is damaged, or one before it is missing"
    )]
    Damaged(usize),
    /// It cannot be read.
    #[error("数据库旁的 lasting.jsonl 无法读取（{0}）| lasting.jsonl beside the database cannot be read ({0})")]
    Unreadable(String),
}

/// Bytes that the file has.
pub(crate) fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default()
}

/// Reads the file, which is known to have had so many bytes once.
pub fn read(path: &Path, expected: u64) -> Known {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Known { facts: Vec::new(), fault: (expected > 0).then_some(Fault::Gone) };
        }
        Err(error) => return Known { facts: Vec::new(), fault: Some(Fault::Unreadable(error.to_string())) },
    };
    let mut known = parse(&text);
    let found = text.len() as u64;
    if known.fault.is_none() && found < expected {
        known.fault = Some(Fault::Cut { expected, found });
    }
    known
}

fn parse(text: &str) -> Known {
    let (mut known, mut before) = (Known::default(), String::new());
    // What was not written to its end belongs to nothing that was done.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (number, line) in (1..).zip(whole.lines()) {
        let read = serde_json::from_str::<Line>(line).ok();
        let is_right = read.as_ref().is_some_and(|line| line.check == check(&before, &line.fact));
        if !is_right && known.fault.is_none() {
            known.fault = Some(Fault::Damaged(number));
        }
        if let Some(line) = read {
            before = line.check;
            // What a damaged line still says is better done once too often.
            known.facts.push(line.fact);
        }
    }
    known
}

/// Appends to the file: on the disk when this returns.
pub(crate) fn append(path: &Path, facts: &[Fact]) -> std::io::Result<()> {
    if facts.is_empty() {
        return Ok(());
    }
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        text => Some(text?),
    };
    let (is_new, text) = (text.is_none(), text.unwrap_or_default());
    let end = text.rfind('\n').map_or(0, |end| end + 1);
    let last = text[..end].lines().next_back().and_then(|line| serde_json::from_str::<Line>(line).ok());
    let mut before = last.map(|line| line.check).unwrap_or_default();
    let mut lines = String::new();
    for fact in facts {
        let line = Line { check: check(&before, fact), fact: fact.clone() };
        lines += &serde_json::to_string(&line).map_err(std::io::Error::other)?;
        lines.push('\n');
        before = line.check;
    }
    let mut file = private(path)?;
    if end < text.len() {
        file.set_len(end as u64)?;
    }
    file.write_all(lines.as_bytes())?;
    file.sync_all()?;
    if is_new { sync_folder(path) } else { Ok(()) }
}

/// Opened to append to, and nobody else's.
fn private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// What somebody may: as what, where, and whether they are a named handler.
type May = (Role, UnitId, bool);

/// What lasts and a database does not know.
#[derive(Debug, Default)]
pub struct Lost {
    devices: Vec<DeviceRecord>,
    people: Vec<(Person, Person, Books)>,
    erasures: Vec<(UnitId, RowKey, Extent)>,
}

impl Lost {
    /// What of these facts is not so any more.
    pub async fn of(server: &Server, facts: &[Fact]) -> Result<Self, StoreError> {
        let mut lost = Self::default();
        // Of people the last word counts; nobody who is disabled is enabled by this.
        let mut people: BTreeMap<PersonId, (Option<May>, bool)> = BTreeMap::new();
        for fact in facts {
            match fact {
                Fact::DeviceRevoked { device } => {
                    let known = server.store.device(*device).await?.filter(|device| !device.is_revoked);
                    if let Some(device) = known.filter(|known| lost.devices.iter().all(|other| other.id != known.id)) {
                        lost.devices.push(device);
                    }
                }
                Fact::PersonDisabled { person } => people.entry(*person).or_default().1 = true,
                Fact::PersonChanged { person, role, unit, is_handler, is_disabled } => {
                    people.insert(*person, (Some((*role, *unit, *is_handler)), *is_disabled));
                }
                Fact::Erased { unit, record, is_whole } => {
                    let Ok(record) = record.parse::<RowKey>() else { continue };
                    let from = server.store.erased_from(*unit, &record).await?;
                    let is_so = from.iter().any(|book| book.is_restricted() != *is_whole);
                    let erasure = (*unit, record, Extent::of(*is_whole));
                    if !is_so && !lost.erasures.contains(&erasure) {
                        lost.erasures.push(erasure);
                    }
                }
            }
        }
        for (person, (may, is_disabled)) in people {
            let Some(before) = server.store.people().person(person).await? else { continue };
            let mut after = Person { is_disabled: before.is_disabled || is_disabled, ..before.clone() };
            if let Some((role, unit, is_handler)) = may {
                // In a unit that is lost, too, they can do nothing until somebody has looked at it.
                let is_there = server.store.unit(unit).await?.is_some();
                after = Person { role, is_handler, is_disabled: after.is_disabled || !is_there, ..after };
                after.unit = if is_there { unit } else { after.unit };
            }
            let level = server.store.unit(after.unit).await?.map(|unit| unit.level);
            if let Some(level) = level.filter(|_| after != before) {
                let books = Books::on_a_phone(after.role, level);
                lost.people.push((before, after, books));
            }
        }
        Ok(lost)
    }

    /// What is done with an older database that is gone on with, whatever is lost: `note` says that it is, and why.
    pub async fn do_again(&self, server: &Server, note: AuditEntry, by: &By) -> Result<(), StoreError> {
        let devices = self.devices.iter().map(|device| device.id).collect();
        let people = self.people.iter().map(|(_, after, books)| (after.clone(), books.clone())).collect();
        let mut notes = vec![note];
        for device in &self.devices {
            let detail = json!({ "device": device.name, "owner": device.owner, "again": true });
            notes.push(by.notes(Event::DeviceRevoked, Some(device.unit), &detail));
        }
        for (_, after, _) in &self.people {
            let Person { name, role, is_handler, is_disabled, .. } = after;
            let detail =
                json!({ "name": name, "role": role, "handler": is_handler, "disabled": is_disabled, "again": true });
            notes.push(by.notes(Event::PersonChanged, Some(after.unit), &detail));
        }
        for (unit, record, extent) in &self.erasures {
            let reason = "备份恢复后重新清除 a backup has brought it back";
            let detail = json!({ "ledger": record.ledger, "row": record.row.to_string(), "reason": reason, "whole": *extent == Extent::Whole, "again": true });
            notes.push(by.notes(Event::ErasureOrdered, Some(*unit), &detail));
        }
        let act = Act::DoAgain { devices, people };
        match server.store.perform(&Deed { act, documents: Vec::new(), notes }).await? {
            Performed::Done(_) => Ok(()),
            Performed::Stale | Performed::NotNow => Err(StoreError::Database("it was not done again".into())),
        }
    }

    /// Erases what was erased and is there again; whether it is done, and a sentence, each.
    pub async fn erase_again(&self, server: &Server, by: &By) -> Vec<(bool, String)> {
        let mut told = Vec::new();
        for (unit, record, extent) in &self.erasures {
            let mut is_done = true;
            let what = match Box::pin(erasure::carry_out(server, *unit, record, (by, *extent))).await {
                Ok(_) if *extent == Extent::Whole => "✓ 已重新清除整条记录 the whole record erased again".to_owned(),
                Ok(_) => "✓ 已重新清除敏感信息 restricted data erased again".to_owned(),
                // It came after the backup, and with it it is gone.
                Err(ErasureError::Unknown | ErasureError::Before) => continue,
                Err(error) => {
                    is_done = false;
                    format!("✗ 尚未清除，启动服务时再试 not erased again yet, `serve` tries once more: {error}")
                }
            };
            told.push((is_done, format!("{what}（{}/{}）", record.ledger, record.row)));
        }
        told
    }

    /// Devices and people of whom something was done again, one sentence each.
    pub fn in_words(&self) -> Vec<String> {
        let device = |device: &DeviceRecord| {
            format!("✓ 已重新停用设备 device revoked again: {}（{}）", device.name, device.owner)
        };
        let person = |(before, after, _): &(Person, Person, Books)| {
            let who = format!("{}（{}）", after.name, after.full_name);
            if after.is_disabled && !before.is_disabled {
                return format!("✓ 已重新停用人员 person disabled again: {who}");
            }
            format!("✓ 已恢复其最后的权限 given again what they may do since: {who} {} → {}", before.role, after.role)
        };
        self.devices.iter().map(device).chain(self.people.iter().map(person)).collect()
    }
}

/// Puts the successors that are kept outside of the database in the place of restricted documents that cannot be opened any more,
/// because something was erased from them after this backup; one sentence each.
pub async fn take_successors(server: &Server) -> Result<Vec<String>, StoreError> {
    let mut told = Vec::new();
    for of in server.store.examine().take_successors().await? {
        let unit = server.store.unit(of.unit).await?.map_or_else(|| of.unit.to_string(), |unit| unit.name);
        told.push(format!(
            "数据库早于一次清除：{unit}（{} {}）的敏感信息已不能按备份读出，已换上清除时留存的一份，其他人的内容都在其中；清除之后改过的，各设备会自动补回 | the database is older than an erasure: the document that was kept then has taken its place, with everything of everybody else; what was written since comes back from the devices",
            of.book, of.period
        ));
    }
    Ok(told)
}

/// Finishes erasures that were done again and could not be finished, when the server begins.
pub async fn finish(server: &Server, facts: &[Fact]) {
    let lost = match Lost::of(server, facts).await {
        Ok(lost) => lost,
        Err(error) => return tracing::error!(%error, "what was to be erased again is not known"),
    };
    for (is_done, sentence) in lost.erase_again(server, &By::from("taizhang")).await {
        if is_done {
            tracing::info!("{sentence}");
        } else {
            tracing::warn!("{sentence}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revoked(id: u8) -> Fact {
        Fact::DeviceRevoked { device: DeviceId::from_bytes([id; 16]) }
    }

    #[test]
    fn what_was_appended_is_read_and_what_is_wrong_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        assert_eq!(read(&path, 0), Known::default());
        assert_eq!(read(&path, 7).fault, Some(Fault::Gone));
        append(&path, &[revoked(1), revoked(2)]).expect("appended");
        append(&path, &[]).expect("nothing");
        append(&path, &[revoked(3)]).expect("appended");
        let (whole, text) = (bytes(&path), std::fs::read_to_string(&path).expect("text"));
        let all = vec![revoked(1), revoked(2), revoked(3)];
        assert_eq!(read(&path, whole), Known { facts: all.clone(), fault: None });
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        }
        // Interrupted in the middle of a line: that belongs to nothing, and is gone with the next one.
        std::fs::write(&path, &text[..text.len() - 9]).expect("written");
        assert_eq!(read(&path, 0), Known { facts: all[..2].to_vec(), fault: None });
        assert!(matches!(read(&path, whole).fault, Some(Fault::Cut { .. })));
        append(&path, &[revoked(4)]).expect("appended");
        assert_eq!(read(&path, 0), Known { facts: vec![revoked(1), revoked(2), revoked(4)], fault: None });
        // A line that is gone, one that says something else, one that says nothing: the others count all the same.
        let lines: Vec<&str> = text.lines().collect();
        for (damaged, at, facts) in [
            (format!("{}\n{}\n", lines[0], lines[2]), 2, vec![revoked(1), revoked(3)]),
            (text.replacen("01010101", "05050505", 1), 1, Vec::new()),
            (format!("{}\nnonsense\n{}\n", lines[0], lines[2]), 2, vec![revoked(1), revoked(3)]),
        ] {
            std::fs::write(&path, damaged).expect("written");
            let known = read(&path, 0);
            assert_eq!(known.fault, Some(Fault::Damaged(at)));
            assert!(facts.is_empty() || known.facts == facts, "{known:?}");
        }
    }
}
