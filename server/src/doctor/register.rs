//! The register: the tree of units, what belongs to them, and the records that made them.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::{
    UnitId,
    catalogue::UnitKind,
    unit::{Unit, UnitLevel},
};

use super::{Finding, Mend, Round, documents::Record, id};
use crate::store::{examine::RawUnit, units::STEPS_MAX};

const REGISTER: &str = "重新导入单位名录或党组织台账即可恢复 | importing the register of units again restores it";

pub(super) async fn look(round: &mut Round<'_>, records: &[Record]) {
    let server = round.server;
    let units = server.store.examine().raw_units().await;
    let Some(units) = round.read("unit", "单位 units", units) else { return };
    let by_id: BTreeMap<&[u8], &RawUnit> = units.iter().map(|unit| (unit.id.as_slice(), unit)).collect();
    county(round, &units, &by_id).await;
    let mut paths = Vec::new();
    let mut findings = Vec::new();
    for unit in &units {
        let place = place(unit);
        if level(&unit.level).is_none() {
            findings.push(register("unit", &place, format!("级别不明 unknown level `{}`", unit.level)));
        }
        match path(unit, &by_id) {
            Some(path) if path != unit.path => {
                let what = "上下级路径不符：其下级的数据不会汇总 | its path is not the one of its parents: what is below it is left out of sums";
                findings.push(Finding::possible("unit-path", place.clone(), what));
                paths.push((unit.id.clone(), path));
            }
            Some(_) => {}
            None => findings.push(register("unit", &place, "找不到通往县的上级：上级不存在或成环 | no way up to the county: a unit above is missing, or it is its own")),
        }
        let above = unit.parent.as_deref().and_then(|parent| by_id.get(parent)).and_then(|parent| level(&parent.level));
        if let (Some(above), Some(own)) = (above, level(&unit.level))
            && above as u8 >= own as u8
        {
            findings.push(register("unit", &place, "上级的级别不比它高 the unit above is of no higher level"));
        }
    }
    round.mend(findings, server.store.examine().repair_paths(&paths)).await;
    orphans(round, records).await;
    names(round, &by_id, records).await;
}

fn place(unit: &RawUnit) -> String {
    format!("单位 unit {} ({})", unit.name, id(&unit.id))
}

fn register(kind: &'static str, place: &str, what: impl Into<String>) -> Finding {
    Finding::new(kind, place, what, REGISTER, Mend::Impossible)
}

fn level(text: &str) -> Option<UnitLevel> {
    let all = [UnitLevel::County, UnitLevel::ReportingUnit, UnitLevel::Organisation];
    all.into_iter().find(|level| level.as_str() == text)
}

/// The ids from the county down to a unit, as its path should be.
fn path(unit: &RawUnit, by_id: &BTreeMap<&[u8], &RawUnit>) -> Option<String> {
    let mut steps = vec![id(&unit.id)];
    let mut at = unit;
    while let Some(parent) = &at.parent {
        at = by_id.get(parent.as_slice())?;
        steps.push(id(&at.id));
        if steps.len() > STEPS_MAX {
            return None;
        }
    }
    steps.reverse();
    Some(steps.join("/") + "/")
}

/// There is one county, this one, at the top of everything.
async fn county(round: &mut Round<'_>, units: &[RawUnit], by_id: &BTreeMap<&[u8], &RawUnit>) {
    let server = round.server;
    let own = server.county.as_bytes().as_slice();
    match by_id.get(own) {
        Some(unit) if unit.parent.is_none() && level(&unit.level) == Some(UnitLevel::County) => {}
        found => {
            let what = if found.is_some() {
                "不在最上级 it does not stand at the top"
            } else {
                "不见了：其下级都无法汇总 | it is gone: nothing below it is summed"
            };
            let unit = Unit {
                id: server.county,
                parent: None,
                level: UnitLevel::County,
                code: Some(server.tenant.as_str().to_owned()),
                name: server.county_name.clone(),
                short_name: None,
                sort_order: 0,
            };
            let finding = Finding::possible("unit", format!("县 county {}", server.county_name), what);
            round.mend(vec![finding], server.store.put_units(&[unit])).await;
        }
    }
    let others: Vec<&RawUnit> = units.iter().filter(|unit| unit.parent.is_none() && unit.id != own).collect();
    let is_empty = |unit: &RawUnit| !units.iter().any(|below| below.parent.as_ref() == Some(&unit.id));
    for other in others {
        let what = "另一个县：区划代码配错时留下 | another county, left by a server that had another code";
        let mend = if is_empty(other) { Mend::Possible } else { Mend::Impossible };
        let mut finding = Finding::possible("unit", place(other), what);
        if mend == Mend::Impossible {
            finding = Finding::impossible("unit", place(other), what);
            REGISTER.clone_into(&mut finding.advice);
        }
        let ids = [other.id.clone()];
        round.mend(vec![finding], server.store.examine().remove_units(&ids)).await;
    }
}

/// What belongs to units that are not there. A reporting unit's own record says what it was; an organisation's does not say what
/// it stood under.
async fn orphans(round: &mut Round<'_>, records: &[Record]) {
    let server = round.server;
    let orphans = server.store.examine().orphans().await;
    let orphans = round.read("unit", "单位 units", orphans).unwrap_or_default();
    let mut missing: BTreeMap<Vec<u8>, Vec<String>> = BTreeMap::new();
    for orphan in orphans {
        missing.entry(orphan.unit).or_default().push(format!("{} {}", orphan.table, orphan.count));
    }
    for (unit, belongs) in missing {
        let own = records.iter().find(|record| record.unit.as_bytes()[..] == unit);
        let named = own.map(|record| made(round, record)).unwrap_or_default();
        let place = format!("单位 unit {} ({})", named.name, id(&unit));
        let what = format!("不见了，但还有内容属于它 it is gone, and there is something of it: {}", belongs.join(", "));
        match named.unit {
            Some(unit) => {
                let finding = Finding::possible("unit", place, what);
                round.mend(vec![finding], server.store.put_units(&[unit])).await;
            }
            None => round.findings.push(register("unit", &place, what)),
        }
    }
}

/// What a record makes.
#[derive(Default)]
struct Made {
    name: String,
    /// The whole unit, where it follows.
    unit: Option<Unit>,
}

fn made(round: &Round<'_>, Record { unit, ledger, row }: &Record) -> Made {
    let server = round.server;
    let source = &server.catalogue.ledgers()[*ledger].unit;
    let text = |column: &Option<String>| column.as_deref().map_or("", |column| row.text(column)).to_owned();
    let (name, code, short) = (text(&source.name), text(&source.code), text(&source.short_name));
    let is_its_own = UnitId::derive(&server.tenant, None, &code) == *unit;
    let follows = source.of == UnitKind::ReportingUnit && is_its_own && !name.is_empty();
    let whole = follows.then(|| Unit {
        id: *unit,
        parent: Some(server.county),
        level: UnitLevel::ReportingUnit,
        code: Some(code),
        name: name.clone(),
        short_name: Some(short).filter(|short| !short.is_empty()),
        sort_order: text(&source.sort_order).parse().unwrap_or_default(),
    });
    Made { name, unit: whole }
}

/// A unit is called what the record that made it says. Somebody may have written into the record since.
async fn names(round: &mut Round<'_>, by_id: &BTreeMap<&[u8], &RawUnit>, records: &[Record]) {
    let server = round.server;
    let mut seen = BTreeSet::new();
    let several: BTreeSet<UnitId> =
        records.iter().map(|record| record.unit).filter(|unit| !seen.insert(*unit)).collect();
    for record in records.iter().filter(|record| !several.contains(&record.unit)) {
        let Some(unit) = by_id.get(record.unit.as_bytes().as_slice()) else { continue };
        let name = made(round, record).name;
        let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        if name.is_empty() || plain(&name) == plain(&unit.name) {
            continue;
        }
        let what = format!("名称与其名录记录「{name}」不同 it is not called what its record in the register says");
        let finding = Finding::possible("unit-name", place(unit), what);
        let stored = server.store.unit(record.unit).await;
        let Some(Some(stored)) = round.read("unit", &place(unit), stored) else { continue };
        round.mend(vec![finding], server.store.put_units(&[Unit { name, ..stored }])).await;
    }
}
