//! What is true of a made-up county: units and ledger rows, before any product has seen them.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sync_protocol::{
    RowId, Tenant, UnitId,
    unit::{Unit, UnitLevel},
};

use super::kept::{ALWAYS, OF_FIELDS};
use crate::roster;

/// The campaign year.
pub const YEAR: i16 = 2012;
/// Reporting units of a county.
const TOWNS: usize = 6;
/// Organisations of a reporting unit.
const ORGANISATIONS: usize = 7;

/// A row of a ledger.
#[derive(Debug, Clone)]
pub struct Fact {
    /// The unit that keeps it, by its place in [`Truth::units`].
    pub unit: usize,
    /// The ledger.
    pub ledger: &'static str,
    /// Its id.
    pub row: RowId,
    /// Column → canonical text; the members of a set stand between blanks.
    pub cells: BTreeMap<&'static str, String>,
    /// Where the record stands; empty if nothing is said.
    pub state: &'static str,
    /// Whether it was removed.
    pub removed: bool,
}

/// A county.
#[derive(Debug, Clone)]
pub struct Truth {
    /// The county, its reporting units, their organisations: parents first.
    pub units: Vec<Unit>,
    /// All rows.
    pub facts: Vec<Fact>,
}

/// An organisation while it is being made up.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) unit: usize,
    pub(super) town: usize,
    pub(super) name: String,
    pub(super) field: &'static str,
    pub(super) people: Vec<Person>,
}

/// A person of an organisation.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) card: String,
}

/// What makes things up.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) rng: StdRng,
    pub(super) truth: Truth,
    pub(super) people: usize,
}

/// Makes up a county; the same seed gives the same one.
pub fn county(seed: u64, tenant: &Tenant, top: &Unit) -> Truth {
    let rng = StdRng::seed_from_u64(seed);
    let mut maker = Maker { rng, truth: Truth { units: vec![top.clone()], facts: Vec::new() }, people: 0 };
    let mut made = Vec::new();
    for town in 0..TOWNS {
        let code = format!("3400991{town:02}");
        let name = format!("第{town}镇");
        let id = UnitId::derive(tenant, None, &code);
        let place = maker.truth.units.len();
        maker.truth.units.push(Unit {
            id,
            parent: Some(top.id),
            level: UnitLevel::ReportingUnit,
            code: Some(code),
            name: format!("中共{name}委员会"),
            short_name: Some(name),
            sort_order: i64::try_from(town).unwrap_or_default() + 1,
        });
        for index in 0..ORGANISATIONS {
            made.push(maker.organisation(tenant, (id, place), town * ORGANISATIONS + index));
        }
    }
    for own in &made {
        maker.own_ledgers(own);
    }
    let towns: Vec<usize> = made.iter().step_by(ORGANISATIONS).map(|own| own.town).collect();
    for town in towns {
        let here: Vec<Made> = made.iter().filter(|own| own.town == town).cloned().collect();
        maker.town_ledgers(town, &here, &made);
        maker.neglect(town);
    }
    if maker.chance(50) {
        let nobody = maker.pick(&OF_EVENTS);
        maker.truth.facts.retain(|fact| fact.ledger != nobody);
    }
    maker.truth
}

/// Ledgers that have a row for each thing that happens; in some counties nobody has kept one of them.
const OF_EVENTS: [&str; 8] = [
    "affiliation-issues",
    "election-terms",
    "outcomes",
    "citizen-requests",
    "hardship-members",
    "four-deliberations",
    "unqualified-members",
    "floating-members",
];

impl Maker {
    /// Takes away ledgers that a township has not kept, as many a township has not.
    fn neglect(&mut self, town: usize) {
        if !self.chance(50) {
            return;
        }
        let id = self.truth.units[town].id;
        let below: Vec<usize> = self
            .truth
            .units
            .iter()
            .enumerate()
            .filter(|(_, unit)| unit.parent == Some(id) || unit.id == id)
            .map(|(place, _)| place)
            .collect();
        let all: Vec<&str> =
            ALWAYS.iter().copied().skip(1).chain(OF_FIELDS.iter().map(|(ledger, _)| *ledger)).collect();
        for _ in 0..self.rng.random_range(1..=3) {
            let ledger = self.pick(&all);
            self.truth.facts.retain(|fact| fact.ledger != ledger || !below.contains(&fact.unit));
        }
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    pub(super) fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.rng.random_range(0..words.len())]
    }

    /// The word, or nothing so often.
    pub(super) fn maybe(&mut self, percent: u32, word: impl Into<String>) -> String {
        if self.chance(percent) { word.into() } else { String::new() }
    }

    pub(super) fn yes_no(&mut self) -> &'static str {
        self.pick(&["yes", "yes", "no", ""])
    }

    pub(super) fn number(&mut self, from: i64, to: i64) -> String {
        self.rng.random_range(from..=to).to_string()
    }

    /// A day of the campaign year, in these months.
    pub(super) fn day(&mut self, from: i64, to: i64) -> String {
        let (month, day) = (self.rng.random_range(from..=to), self.rng.random_range(1..=28));
        format!("{YEAR}-{month:02}-{day:02}")
    }

    /// A day between these years, sometimes only its month.
    pub(super) fn long_ago(&mut self, from: i64, to: i64) -> String {
        let (year, month, day) =
            (self.rng.random_range(from..=to), self.rng.random_range(1..=12), self.rng.random_range(1..=28));
        if self.chance(25) { format!("{year}-{month:02}") } else { format!("{year}-{month:02}-{day:02}") }
    }

    /// Days after a day of the year; the last day of the year at most.
    pub(super) fn after(&mut self, day: &str, from: i64, to: i64) -> String {
        let days = self.rng.random_range(from..=to);
        let date: jiff::civil::Date = day.parse().expect("a whole day");
        let later = date.checked_add(jiff::Span::new().days(days)).expect("a day");
        later.min(jiff::civil::date(YEAR, 12, 31)).to_string()
    }

    /// A row in the ordinary states: most say nothing of it, some are drafts, returned, void or removed.
    pub(super) fn row(&mut self, unit: usize, ledger: &'static str, cells: &[(&'static str, String)]) {
        let chance = self.rng.random_range(0..100);
        let (state, removed) = match chance {
            0..=2 => ("draft", false),
            3..=4 => ("returned", false),
            5 => ("void", false),
            6 => ("", true),
            7..=12 => ("confirmed", false),
            13..=16 => ("submitted", false),
            _ => ("", false),
        };
        self.row_in(unit, ledger, cells, state, removed);
    }

    pub(super) fn row_in(
        &mut self,
        unit: usize,
        ledger: &'static str,
        cells: &[(&'static str, String)],
        state: &'static str,
        removed: bool,
    ) {
        let cells = cells.iter().filter(|(_, text)| !text.is_empty()).cloned();
        let row = RowId::random(self.rng.random());
        self.truth.facts.push(Fact { unit, ledger, row, cells: cells.collect(), state, removed });
    }

    pub(super) fn person(&mut self) -> Person {
        self.people += 1;
        let seed = self.people;
        // Some have the same name as others in other places.
        let name = if self.chance(4) { "张伟".to_owned() } else { format!("人员{seed:04}") };
        Person { name, card: roster::id_card(seed) }
    }

    fn organisation(&mut self, tenant: &Tenant, (town, town_place): (UnitId, usize), number: usize) -> Made {
        let code = format!("Z{number:03}");
        let name = format!("第{number}号党组织");
        let unit = self.truth.units.len();
        self.truth.units.push(Unit {
            id: UnitId::derive(tenant, None, &code),
            parent: Some(town),
            level: UnitLevel::Organisation,
            code: Some(code.clone()),
            name: name.clone(),
            short_name: None,
            sort_order: i64::try_from(number).unwrap_or_default(),
        });
        let field = match number % 7 {
            0 | 1 => "rural",
            2 => "community",
            3 => "two_new",
            4 => "agency",
            5 => self.pick(&["floating", "agency", "community"]),
            _ => self.pick(&["other", "rural", "two_new"]),
        };
        let kind = self.pick(&[
            "branch",
            "branch",
            "branch",
            "joint_branch",
            "temporary_branch",
            "general_branch",
            "party_committee",
            "working_committee",
        ]);
        let established = match self.rng.random_range(0..10) {
            0 => self.day(2, 8),
            1 => format!("{YEAR}-{:02}", self.rng.random_range(1..=9)),
            _ => self.long_ago(1985, 2010),
        };
        let status = match self.rng.random_range(0..20) {
            0 => "dissolved",
            1 => "merged",
            2 => "preparing",
            _ => "active",
        };
        let status_on = if matches!(status, "dissolved" | "merged") { self.day(4, 11) } else { String::new() };
        let last = self.long_ago(2007, 2010);
        let next = match self.rng.random_range(0..3) {
            0 => self.long_ago(2010, 2011),
            1 => self.day(2, 11),
            _ => self.long_ago(2013, 2015),
        };
        let next = self.maybe(90, next);
        // Several organisations in one village.
        let village = format!("34009910{}{:03}", town_place % 10, number / 9 + if field == "rural" { 200 } else { 0 });
        let seats = self.pick(&["0", "3", "5", ""]);
        let groups = self.pick(&["0", "2", "3", ""]);
        let (two_new, venue) = (self.pick(&["nonpublic", "social"]), self.yes_no());
        let two_new = if field == "two_new" { two_new } else { "" };
        let cells = cells![
            ("org_code", code.as_str()),
            ("org_name", &name),
            ("field", field),
            ("two_new_kind", two_new),
            ("org_type", kind),
            ("division_code", if matches!(field, "rural" | "community") { &village } else { "" }),
            ("established_on", &established),
            ("last_election_on", &last),
            ("next_election_on", &next),
            ("party_groups", groups),
            ("committee_seats", seats),
            ("has_venue", venue),
            ("org_status", status),
            ("status_on", &status_on),
        ];
        let state = if self.chance(3) { "draft" } else { "" };
        self.row_in(unit, "organisations", &cells, state, false);
        let count = self.rng.random_range(5..=9);
        let people = (0..count).map(|_| self.person()).collect();
        Made { unit, town: town_place, name, field, people }
    }
}
