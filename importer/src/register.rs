//! The register of units, as the importer needs it: names and codes to units.

use std::collections::HashMap;

use sync_protocol::{
    UnitId,
    unit::{Unit, UnitLevel},
};

use crate::text::{compact, organisation, stem};

/// Why a row's unit was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    /// The row names none.
    Unnamed,
    /// The register has no such unit; names that come close.
    Unknown(Vec<String>),
}

/// Units by code and by name.
#[derive(Debug, Default, Clone)]
pub struct Register {
    units: HashMap<UnitId, Unit>,
    by_code: HashMap<String, UnitId>,
    by_name: HashMap<(Option<UnitId>, String), UnitId>,
    /// Organisations by name alone: `None` when two townships have one of that name.
    by_bare_name: HashMap<String, Option<UnitId>>,
    /// Reporting units by the stem of their name (青山镇), longest first.
    stems: Vec<(String, UnitId)>,
}

impl Register {
    /// A register of known units.
    pub fn new(units: impl IntoIterator<Item = Unit>) -> Self {
        let mut register = Self::default();
        let mut units: Vec<Unit> = units.into_iter().collect();
        // Parents first: names are compared without the parent's own name.
        units.sort_by_key(|unit| unit.level as u8);
        for unit in units {
            register.insert(unit);
        }
        register
    }

    /// Adds a unit or brings a known one up to date.
    pub fn insert(&mut self, unit: Unit) {
        if let Some(code) = &unit.code {
            self.by_code.insert(code.clone(), unit.id);
        }
        let parent = unit.parent.and_then(|p| self.units.get(&p)).map(|p| p.name.clone());
        for name in std::iter::once(&unit.name).chain(&unit.short_name) {
            let name = match unit.level {
                UnitLevel::Organisation => organisation(name, parent.as_deref()),
                UnitLevel::County | UnitLevel::ReportingUnit => stem(name),
            };
            if unit.level == UnitLevel::ReportingUnit && !self.stems.iter().any(|(stem, _)| *stem == name) {
                self.stems.push((name.clone(), unit.id));
                self.stems.sort_by_key(|(stem, _)| std::cmp::Reverse(stem.len()));
            }
            let scope = if unit.level == UnitLevel::Organisation { unit.parent } else { None };
            self.by_name.insert((scope, name.clone()), unit.id);
            if unit.level == UnitLevel::Organisation {
                let known = self.by_bare_name.entry(name).or_insert(Some(unit.id));
                if *known != Some(unit.id) {
                    *known = None;
                }
            }
        }
        self.units.insert(unit.id, unit);
    }

    /// The unit with this id.
    pub fn unit(&self, id: UnitId) -> Option<&Unit> {
        self.units.get(&id)
    }

    /// Whether `unit` is `top` or stands below it.
    pub fn is_below(&self, unit: UnitId, top: UnitId) -> bool {
        let mut at = Some(unit);
        // A tree of three levels: more steps than that would be a circle.
        for _ in 0..8 {
            match at {
                Some(unit) if unit == top => return true,
                Some(unit) => at = self.units.get(&unit).and_then(|unit| unit.parent),
                None => return false,
            }
        }
        false
    }

    /// All units.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.units.values()
    }

    /// The reporting unit with this code or name.
    pub fn reporting_unit(&self, text: &str) -> Option<UnitId> {
        let by_code = self.by_code.get(text).filter(|id| self.units[id].level == UnitLevel::ReportingUnit);
        by_code.or_else(|| self.by_name.get(&(None, stem(text)))).copied()
    }

    /// The organisation that a row names: by code, else by name inside the reporting unit, else by a name that is
    /// unique in the county.
    pub fn organisation(
        &self,
        reporting_unit: Option<UnitId>,
        code: Option<&str>,
        name: Option<&str>,
    ) -> Result<UnitId, Unresolved> {
        if let Some(id) = code.and_then(|code| self.by_code.get(code)) {
            return Ok(*id);
        }
        let Some(name) = name else {
            return Err(code.map_or(Unresolved::Unnamed, |_| Unresolved::Unknown(Vec::new())));
        };
        // “中共青山镇青石村支部委员会” says itself which reporting unit it belongs to.
        let reporting_unit = reporting_unit.or_else(|| self.named_in(name));
        let parent = reporting_unit.and_then(|id| self.units.get(&id));
        let short = organisation(name, parent.map(|unit| unit.name.as_str()));
        let found = match reporting_unit {
            Some(_) => self.by_name.get(&(reporting_unit, short.clone())).copied(),
            None => self.by_bare_name.get(&short).copied().flatten(),
        };
        found.ok_or_else(|| Unresolved::Unknown(self.suggest(reporting_unit, &short)))
    }

    /// The reporting unit whose name stands in front of an organisation's.
    fn named_in(&self, organisation: &str) -> Option<UnitId> {
        let name = compact(organisation);
        let name = ["中国共产党", "中共"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name);
        let in_front = |(stem, _): &&(String, UnitId)| name.len() > stem.len() && name.starts_with(stem.as_str());
        self.stems.iter().find(in_front).map(|(_, id)| *id)
    }

    /// Up to three names that contain the text, or that it contains.
    fn suggest(&self, parent: Option<UnitId>, short: &str) -> Vec<String> {
        let mut near: Vec<&str> = self
            .by_name
            .iter()
            .filter(|((scope, name), _)| {
                scope.is_some()
                    && (parent.is_none() || *scope == parent)
                    && (name.contains(short) || short.contains(name.as_str()))
            })
            .map(|(_, id)| self.units[id].name.as_str())
            .collect();
        near.sort_unstable();
        near.dedup();
        near.into_iter().take(3).map(str::to_owned).collect()
    }
}
