//! The register of units, as the importer needs it: names and codes to units.

use std::collections::{BTreeSet, HashMap};

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
    /// The reporting unit of whoever sends the file: of several organisations of one name theirs is meant.
    home: Option<UnitId>,
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

    /// This register as somebody uses it whose own unit this is.
    #[must_use]
    pub fn used_by(mut self, unit: UnitId) -> Self {
        let found = self.units.get(&unit);
        self.home = match found.map(|unit| unit.level) {
            Some(UnitLevel::ReportingUnit) => Some(unit),
            Some(UnitLevel::Organisation) => found.and_then(|unit| unit.parent),
            Some(UnitLevel::County) | None => None,
        };
        self
    }

    /// An organisation's name; where nobody said in which reporting unit, with its name in front, since many branches
    /// share theirs.
    fn label(&self, id: UnitId, scope: Option<UnitId>) -> String {
        let unit = &self.units[&id];
        let parent = unit.parent.filter(|_| scope.is_none());
        let parent = parent.and_then(|parent| self.units.get(&parent)).map(|parent| stem(&parent.name));
        match parent.filter(|parent| !unit.name.contains(parent.as_str())) {
            Some(parent) => format!("{parent}{}", unit.name),
            None => unit.name.clone(),
        }
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

    /// The unit with this code.
    pub fn coded(&self, code: &str) -> Option<&Unit> {
        self.by_code.get(code).and_then(|id| self.units.get(id))
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
        let found = if reporting_unit.is_some() {
            self.by_name.get(&(reporting_unit, short.clone())).copied()
        } else {
            let own = self.home.and_then(|home| self.by_name.get(&(Some(home), short.clone())).copied());
            own.or_else(|| self.by_bare_name.get(&short).copied().flatten())
        };
        found.ok_or_else(|| Unresolved::Unknown(self.suggest(reporting_unit, &short)))
    }

    /// The organisation that a row nearly names: 青石支部 or 青石村 for 青石村党支部, where only one can be meant. A name of
    /// another kind of organisation (党总支 for 党支部) is never taken for it, only suggested. Says, too, whether it is the
    /// same name in other words (青石村支部).
    pub fn organisation_nearly(
        &self,
        reporting_unit: Option<UnitId>,
        name: &str,
    ) -> Result<(UnitId, bool), Vec<String>> {
        let reporting_unit = reporting_unit.or_else(|| self.named_in(name)).or(self.home);
        let parent = reporting_unit.and_then(|id| self.units.get(&id));
        let short = organisation(name, parent.map(|unit| unit.name.as_str()));
        let (core, kind) = parts(&short);
        let in_scope =
            |scope: &Option<UnitId>| scope.is_some() && (reporting_unit.is_none() || *scope == reporting_unit);
        let names = || self.by_name.iter().filter(|((scope, _), _)| in_scope(scope));
        let with = |fits: &dyn Fn(&str, &str) -> bool| -> BTreeSet<UnitId> {
            let fits = |((_, name), _): &(&(Option<UnitId>, String), &UnitId)| {
                let (known, known_kind) = parts(name);
                fits(known, known_kind)
            };
            names().filter(fits).map(|(_, id)| *id).collect()
        };
        let may_be = |known: &str| kind.is_empty() || kind == known;
        let found = [
            with(&|known, known_kind| known == core && known_kind == kind),
            with(&|known, known_kind| known == core && may_be(known_kind)),
            with(&|known, known_kind| {
                // A 社区 is no 村: one of the two does not say what it is.
                let (here, there) = (place(core), place(known));
                here == there && (here == core || there == known) && may_be(known_kind)
            }),
        ];
        let (found, is_same) = (0..)
            .zip(found)
            .find(|(_, found)| !found.is_empty())
            .map_or_else(Default::default, |(at, found)| (found, at == 0));
        if let (Some(only), 1) = (found.first(), found.len()) {
            return Ok((*only, is_same));
        }
        let mut near = found;
        if near.is_empty() {
            near = with(&|known, _| place(known) == place(core));
        }
        if near.is_empty() {
            near = with(&|known, _| one_apart(known, core));
        }
        let mut titles: Vec<String> = near.iter().map(|id| self.label(*id, reporting_unit)).collect();
        titles.extend(self.suggest(reporting_unit, &short));
        let mut seen = BTreeSet::new();
        titles.retain(|title| seen.insert(title.clone()));
        titles.truncate(3);
        Err(titles)
    }

    /// The reporting unit whose name stands in front of a text, and the rest: 中共青山镇委员会青石村党支部.
    pub fn in_front(&self, text: &str) -> Option<(UnitId, String)> {
        let unit = self.named_in(text)?;
        let text = compact(text);
        let name = ["中国共产党", "中共"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(&text);
        let (stem, _) = self.stems.iter().find(|(stem, id)| *id == unit && name.starts_with(stem.as_str()))?;
        let rest = &name[stem.len()..];
        let bodies = ["委员会", "党工委", "党委", "工委"];
        let rest = bodies.iter().find_map(|body| rest.strip_prefix(body)).unwrap_or(rest);
        (!rest.is_empty()).then(|| (unit, rest.to_owned()))
    }

    /// Up to three reporting units whose names contain the text, or that it contains.
    pub fn reporting_units_like(&self, text: &str) -> Vec<String> {
        let text = stem(text);
        let near = |(name, _): &&(String, UnitId)| {
            text.chars().count() >= 2
                && (name.contains(text.as_str()) || text.contains(name.as_str()) || one_apart(name, &text))
        };
        let mut names: Vec<String> =
            self.stems.iter().filter(near).map(|(_, id)| self.units[id].name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names.truncate(3);
        names
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
        let mut near: Vec<String> = self
            .by_name
            .iter()
            .filter(|((scope, name), _)| {
                scope.is_some()
                    && (parent.is_none() || *scope == parent)
                    && (name.contains(short) || short.contains(name.as_str()))
            })
            .map(|(_, id)| self.label(*id, parent))
            .collect();
        near.sort_unstable();
        near.dedup();
        near.truncate(3);
        near
    }
}

/// 青石村 and 党支部 out of the short name of an organisation; 支部 and 党支部 are the same kind.
fn parts(short: &str) -> (&str, &'static str) {
    for (words, kind) in [
        ("党支部", "党支部"),
        ("党总支部", "党总支"),
        ("党总支", "党总支"),
        ("总支部", "党总支"),
        ("总支", "党总支"),
        ("支部", "党支部"),
        ("党组", "党组"),
        ("党委", "党委"),
    ] {
        if let Some(core) = short.strip_suffix(words).filter(|core| !core.is_empty()) {
            return (core, kind);
        }
    }
    (short, "")
}

/// 青石 out of 青石村, 青石社区 and 青石村民委员会.
fn place(core: &str) -> &str {
    let words = ["村民委员会", "居民委员会", "社区居委会", "村委会", "居委会", "行政村", "社区", "村"];
    words.iter().find_map(|word| core.strip_suffix(word).filter(|rest| !rest.is_empty())).unwrap_or(core)
}

/// Whether one character differs.
fn one_apart(one: &str, other: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let differ = one.iter().zip(&other).filter(|(a, b)| a != b).count();
    one.len() >= 2 && one.len() == other.len() && differ <= 1
}

#[cfg(test)]
mod tests {
    use sync_protocol::Tenant;

    use super::*;

    fn register() -> Register {
        let tenant = Tenant::new("340099");
        let unit = |name: &str, parent: Option<UnitId>, level| Unit {
            id: UnitId::derive(&tenant, parent, name),
            parent,
            level,
            code: None,
            name: name.into(),
            short_name: None,
            sort_order: 0,
        };
        let county = UnitId::derive(&tenant, None, "county");
        let towns = ["青山镇", "白水镇"].map(|name| unit(name, Some(county), UnitLevel::ReportingUnit));
        let branch = |town: usize, name: &str| unit(name, Some(towns[town].id), UnitLevel::Organisation);
        let branches = [
            branch(0, "青石村党支部"),
            branch(0, "石塘村党支部"),
            branch(0, "石塘社区党支部"),
            branch(0, "李湾村党总支"),
            branch(0, "李湾村党支部"),
            branch(1, "大塘村党支部"),
            branch(1, "河口村党支部"),
        ];
        Register::new(towns.into_iter().chain(branches))
    }

    #[test]
    fn a_name_is_taken_only_if_one_organisation_can_be_meant() {
        let register = register();
        let town = register.reporting_unit("青山镇");
        for (given, expected) in [
            ("青石村支部", Ok("青石村党支部")),
            ("青石支部", Ok("青石村党支部")),
            ("青石村", Ok("青石村党支部")),
            ("青石社区支部", Err(vec!["青石村党支部"])),
            ("中共青山镇青石支部委员会", Ok("青石村党支部")),
            ("石塘村支部", Ok("石塘村党支部")),
            ("石塘支部", Err(vec!["石塘村党支部", "石塘社区党支部"])),
            ("李湾支部", Ok("李湾村党支部")),
            ("李湾村", Err(vec!["李湾村党总支", "李湾村党支部"])),
            ("青石村党总支", Err(vec!["青石村党支部"])),
            ("清石村党支部", Err(vec!["青石村党支部"])),
            ("大塘村支部", Err(vec![])),
            ("村", Err(vec![])),
        ] {
            let found = register.organisation_nearly(town, given);
            let named = found.as_ref().map(|(id, _)| register.unit(*id).expect("known").name.as_str());
            match (named, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{given}"),
                (Err(near), Err(expected)) => {
                    let missing: Vec<_> = expected.iter().filter(|e| !near.iter().any(|n| n == *e)).collect();
                    assert!(missing.is_empty(), "{given}: {near:?}");
                }
                (found, expected) => panic!("{given}: {found:?} instead of {expected:?}"),
            }
        }
        let bare = register.organisation_nearly(None, "河口支部").expect("one in the county");
        assert_eq!(register.unit(bare.0).expect("known").name, "河口村党支部");
    }

    #[test]
    fn of_several_of_one_name_that_of_the_sender_is_meant() {
        let mut register = register();
        let towns = ["青山镇", "白水镇"].map(|town| register.reporting_unit(town).expect("known"));
        let twin = Unit {
            parent: Some(towns[1]),
            id: UnitId::derive(&Tenant::new("340099"), None, "twin"),
            ..register
                .unit(register.organisation(Some(towns[0]), None, Some("青石村党支部")).expect("known"))
                .expect("known")
                .clone()
        };
        register.insert(twin.clone());
        let near = register.organisation_nearly(None, "青石村党支部").expect_err("two of that name");
        assert_eq!(near.len(), 2, "{near:?}");
        assert!(
            near.contains(&"青山镇青石村党支部".to_owned()) && near.contains(&"白水镇青石村党支部".to_owned()),
            "{near:?}"
        );
        assert!(register.organisation(None, None, Some("青石村党支部")).is_err());
        let own = register.used_by(towns[1]);
        assert_eq!(own.organisation(None, None, Some("青石村党支部")), Ok(twin.id));
        assert_eq!(own.organisation_nearly(None, "青石支部"), Ok((twin.id, false)));
        let own = own.used_by(twin.id);
        assert_eq!(own.organisation(None, None, Some("青石村党支部")), Ok(twin.id));
    }
}
