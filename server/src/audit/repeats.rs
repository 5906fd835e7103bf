//! What happens again and again: an attacker who guesses or asks for what is not theirs fills no disk with lines of the log.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

use super::{By, Event};
use crate::{origin, store::AuditEntry};

/// For so long what is the same is counted in one line.
const WINDOW_MS: i64 = 15 * 60 * 1000;
/// Lines at once about those who have not signed in; what is more than that is counted together.
const STRANGERS_MAX: usize = 100;
/// Lines at once about everybody else.
const KNOWN_MAX: usize = 10_000;

/// What is the same about two lines.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Same {
    event: String,
    who: String,
    unit: Option<sync_protocol::UnitId>,
    network: Option<String>,
    /// Whom it is about, if the detail names somebody.
    name: Option<String>,
}

impl Same {
    fn of(entry: &AuditEntry) -> Self {
        let detail: Value = serde_json::from_str(&entry.detail).unwrap_or_default();
        let address = entry.address.as_deref().and_then(|address| address.parse().ok());
        Self {
            event: entry.event.clone(),
            who: entry.who.clone(),
            unit: entry.unit,
            network: address.map(|address| origin::network(address).to_string()),
            name: detail["name"].as_str().map(str::to_owned),
        }
    }
}

/// What has happened since its line was written.
#[derive(Debug)]
struct Run {
    since_ms: i64,
    /// The last time, as a line would tell it.
    last: AuditEntry,
    times: u64,
}

#[derive(Debug, Default)]
struct Counted {
    runs: HashMap<Same, Run>,
    strangers: usize,
    /// What there was no room for, and since when.
    others: Option<(i64, u64)>,
}

/// What was noted lately, and how often it has happened since.
#[derive(Debug, Default)]
pub struct Repeats(Mutex<Counted>);

impl Repeats {
    /// Whether this happens for the first time, so that its line is to be written; else it is counted.
    pub fn is_first(&self, entry: &AuditEntry) -> bool {
        let (mut counted, same) = (self.counted(), Same::of(entry));
        if let Some(run) = counted.runs.get_mut(&same) {
            run.last = entry.clone();
            run.times += 1;
            return false;
        }
        let is_stranger = is_stranger(entry);
        let known = counted.runs.len() - counted.strangers;
        let has_room = if is_stranger { counted.strangers < STRANGERS_MAX } else { known < KNOWN_MAX };
        if has_room {
            counted.strangers += usize::from(is_stranger);
            counted.runs.insert(same, Run { since_ms: entry.at_ms, last: entry.clone(), times: 0 });
        } else {
            counted.others.get_or_insert((entry.at_ms, 0)).1 += 1;
        }
        has_room
    }

    /// Its line was not written.
    pub fn forget(&self, entry: &AuditEntry) {
        let mut counted = self.counted();
        if counted.runs.remove(&Same::of(entry)).is_some() {
            counted.strangers -= usize::from(is_stranger(entry));
        }
    }

    /// The lines about what was counted for long enough, or about everything; it is counted anew from now on.
    pub fn take(&self, now_ms: i64, everything: bool) -> Vec<AuditEntry> {
        // What a clock that was wrong has begun is over, too.
        let is_over = |since_ms: i64| everything || !(0..WINDOW_MS).contains(&(now_ms - since_ms));
        let mut counted = self.counted();
        let over: Vec<Same> =
            counted.runs.iter().filter(|(_, run)| is_over(run.since_ms)).map(|(same, _)| same.clone()).collect();
        let mut lines = Vec::new();
        for same in over {
            let Some(run) = counted.runs.remove(&same) else { continue };
            counted.strangers -= usize::from(is_stranger(&run.last));
            if run.times > 0 {
                lines.push(told(run.last, run.times));
            }
        }
        if let Some((_, times)) = counted.others.take_if(|(since_ms, _)| is_over(*since_ms)) {
            let other = By::stranger().notes(Event::Denied, None, &json!({ "kind": "others" }));
            lines.push(told(AuditEntry { at_ms: now_ms, ..other }, times));
        }
        lines
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_stranger(entry: &AuditEntry) -> bool {
    entry.person.is_none() && entry.device.is_none()
}

fn told(entry: AuditEntry, times: u64) -> AuditEntry {
    let mut detail: Value = serde_json::from_str(&entry.detail).unwrap_or_default();
    detail["times"] = times.into();
    AuditEntry { detail: detail.to_string(), ..entry }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(address: &str, at_ms: i64) -> AuditEntry {
        let entry = By::stranger().notes(Event::SignInFailed, None, &json!({}));
        AuditEntry { at_ms, address: Some(address.to_owned()), ..entry }
    }

    #[test]
    fn what_happens_again_is_one_line_and_whoever_has_many_addresses_fills_no_disk() {
        let repeats = Repeats::default();
        assert!(repeats.is_first(&entry("203.0.113.9", 0)));
        for at_ms in 1..1000 {
            assert!(!repeats.is_first(&entry("203.0.113.9", at_ms)));
        }
        assert!(repeats.take(WINDOW_MS - 1, false).is_empty());
        let lines = repeats.take(WINDOW_MS, false);
        assert_eq!((lines.len(), lines[0].detail.as_str(), lines[0].at_ms), (1, r#"{"times":999}"#, 999));
        assert!(repeats.is_first(&entry("203.0.113.9", WINDOW_MS)), "counted anew");

        let firsts = (0..10_000u32).filter(|n| {
            let address = std::net::Ipv4Addr::from_bits(*n).to_string();
            repeats.is_first(&entry(&address, WINDOW_MS))
        });
        assert_eq!(firsts.count(), STRANGERS_MAX - 1);
        assert_eq!(repeats.take(WINDOW_MS, true).len(), 1, "the others are counted together");
        // Addresses of one network are one.
        assert!(repeats.is_first(&entry("2001:db8::1", WINDOW_MS)));
        assert!(!repeats.is_first(&entry("2001:db8::2", WINDOW_MS)));
        repeats.forget(&entry("2001:db8::3", WINDOW_MS));
        assert!(repeats.is_first(&entry("2001:db8::2", WINDOW_MS)), "its line was not written");
    }
}
