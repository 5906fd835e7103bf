//! Changes of the register of units: who brings them may do so, the tree stays one, and the audit log says what has changed, in
//! the same transaction.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use sync_protocol::{Tenant, UnitId, bundle::RefusedUnit, unit::Unit};

use crate::{
    Server,
    audit::{By, Event},
    auth::{UnitDenied, UnitRights},
    store::{
        Act, AuditEntry, Deed, Performed, StoreError, UnitChange, UnitFault,
        units::{STEPS_MAX, ids_up},
    },
};

/// How often it is tried while somebody else changes the same units.
const ROUNDS_MAX: usize = 16;
/// Units that one line of the audit log names.
const NAMED_MAX: usize = 200;

/// Who brings units, as far as it matters what they may.
#[derive(Debug, Clone, Copy)]
pub enum Right<'r> {
    /// Whoever may write everything, on the server's own command line.
    All,
    /// Whoever has these rights.
    Some(&'r UnitRights),
    /// Somebody who may bring none.
    None,
}

/// What became of units that were brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Units that are new, or not what they were.
    pub changed: usize,
    /// Units that were not taken.
    pub refused: Vec<RefusedUnit>,
}

/// Brings the register up to date with these units; `source` says for the audit log where they come from. With all rights a
/// unit that does not fit is an error, and nothing is written; else it is left out, and the others are written.
pub async fn keep(
    server: &Server,
    units: &[Unit],
    right: Right<'_>,
    by: &By,
    source: &Value,
) -> Result<Kept, StoreError> {
    for _ in 0..ROUNDS_MAX {
        let known = server.store.units().await?;
        let (changes, refused) = admit(&server.tenant, &known, units, right);
        if changes.is_empty() {
            return Ok(Kept { changed: 0, refused });
        }
        let names: HashMap<UnitId, &str> =
            known.iter().chain(changes.iter().map(|change| &change.after)).map(|u| (u.id, u.name.as_str())).collect();
        let note = |changes: &[UnitChange]| by.notes(Event::UnitsChanged, None, &detail(changes, &names, source));
        let notes: Vec<AuditEntry> = changes.chunks(NAMED_MAX).map(note).collect();
        let count = changes.len();
        let deed = Deed { act: Act::KeepUnits(changes), documents: Vec::new(), notes };
        if let Performed::Done(_) = server.store.perform(&deed).await? {
            return Ok(Kept { changed: count, refused });
        }
    }
    Err(StoreError::Busy)
}

/// Which of these units change something, and which may not.
pub(crate) fn admit(
    tenant: &Tenant,
    known: &[Unit],
    units: &[Unit],
    right: Right<'_>,
) -> (Vec<UnitChange>, Vec<RefusedUnit>) {
    let stored: HashMap<UnitId, &Unit> = known.iter().map(|unit| (unit.id, unit)).collect();
    // What a later line says of a unit counts.
    let mut last: BTreeMap<UnitId, usize> = BTreeMap::new();
    last.extend(units.iter().enumerate().map(|(at, unit)| (unit.id, at)));
    let mut sent: Vec<&Unit> =
        units.iter().enumerate().filter(|(at, unit)| last.get(&unit.id) == Some(at)).map(|(_, unit)| unit).collect();
    // Parents first.
    sent.sort_by_key(|unit| unit.level as u8);
    let mut register: HashMap<UnitId, Unit> = known.iter().map(|unit| (unit.id, unit.clone())).collect();
    let mut codes: HashMap<String, UnitId> =
        known.iter().filter_map(|unit| Some((unit.code.clone()?, unit.id))).collect();
    let (mut changes, mut refused) = (Vec::new(), Vec::new());
    for unit in sent {
        let before = stored.get(&unit.id).copied();
        if before == Some(unit) {
            continue;
        }
        let may = match right {
            Right::All => Ok(()),
            Right::None => Err(UnitDenied::NotAnOffice.to_string()),
            Right::Some(rights) => rights
                .check(tenant, &register, unit)
                .map_err(|denied| denied.to_string())
                .and_then(|()| fault(&register, &codes, unit).map_or(Ok(()), |fault| Err(fault.to_string()))),
        };
        if let Err(sentence) = may {
            // Whoever sends it in has made the name up: it is told, but not at any length.
            let name = unit.name.chars().filter(|c| !c.is_control()).take(60).collect();
            refused.push(RefusedUnit { unit: unit.id, name, sentence });
            continue;
        }
        if let Some(code) = before.and_then(|before| before.code.as_ref()) {
            codes.remove(code);
        }
        if let Some(code) = &unit.code {
            codes.insert(code.clone(), unit.id);
        }
        register.insert(unit.id, unit.clone());
        changes.push(UnitChange { before: before.cloned(), after: unit.clone() });
    }
    (changes, refused)
}

/// Why a unit would not fit into the tree. The store looks at it once more, in the transaction in which it is written.
fn fault(register: &HashMap<UnitId, Unit>, codes: &HashMap<String, UnitId>, unit: &Unit) -> Option<UnitFault> {
    let no_parent = || Some(UnitFault::NoParent(unit.name.clone()));
    if let Some(fault) = UnitFault::of(unit) {
        return Some(fault);
    }
    let Some(above) = unit.parent.and_then(|parent| register.get(&parent)) else { return no_parent() };
    if let Some(fault) = UnitFault::under(unit, above) {
        return Some(fault);
    }
    let way: Vec<UnitId> = ids_up(register, above.id).collect();
    if way.len() >= STEPS_MAX || way.contains(&unit.id) {
        return Some(UnitFault::Circle(unit.name.clone()));
    }
    let code = unit.code.as_ref()?;
    let other = codes.get(code).filter(|other| **other != unit.id).and_then(|other| register.get(other))?;
    Some(UnitFault::Code { unit: unit.name.clone(), code: code.clone(), other: other.name.clone() })
}

/// What the audit log says: which units are new, which have another name, and which stand elsewhere.
fn detail(changes: &[UnitChange], names: &HashMap<UnitId, &str>, source: &Value) -> Value {
    let (mut added, mut renamed, mut moved, mut altered) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let name = |unit: Option<UnitId>| unit.and_then(|unit| names.get(&unit).copied());
    for UnitChange { before, after } in changes {
        let code = after.code.as_deref();
        let Some(before) = before else {
            added.push(json!({ "code": code, "name": after.name, "under": name(after.parent) }));
            continue;
        };
        let (is_renamed, is_moved) = (before.name != after.name, before.parent != after.parent);
        if is_renamed {
            renamed.push(json!({ "code": code, "from": before.name, "to": after.name }));
        }
        if is_moved {
            let (from, to) = (name(before.parent), name(after.parent));
            moved.push(json!({ "code": code, "name": after.name, "from": from, "to": to }));
        }
        if !is_renamed && !is_moved {
            altered.push(json!({ "code": code, "name": after.name }));
        }
    }
    let mut detail = source.clone();
    for (key, lines) in [("added", added), ("renamed", renamed), ("moved", moved), ("altered", altered)] {
        if !lines.is_empty() {
            detail[key] = lines.into();
        }
    }
    detail
}
