//! Which ledgers a made-up county has kept: nought of one in which a township has nothing is no figure. Read from
//! `docs/figures.md`, not from the catalogue.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::unit::UnitLevel;

use super::{
    figures::{Block, Body, TOTAL, VIEWS},
    truth::Truth,
};

/// What is printed instead.
pub(super) const NOT_KEPT: &str = "未建台账";

/// Ledgers of which every township has rows, whatever happens there.
pub(super) const ALWAYS: [&str; 16] = [
    "organisations",
    "members",
    "leadership-team",
    "secretaries",
    "five-good-assessment",
    "grading",
    "mechanisms",
    "commitments",
    "star-rating",
    "org-life-meetings",
    "work-meetings",
    "democratic-appraisal",
    "inspections",
    "three-level-review",
    "funds",
    "return-submissions",
];
/// Ledgers of which whoever has an organisation in one of these fields has rows.
pub(super) const OF_FIELDS: [(&str, &[&str]); 3] =
    [("venues", &["rural", "community"]), ("village-officials", &["rural", "community"]), ("units", &["two_new"])];

/// Who has kept what.
#[derive(Debug)]
pub(super) struct Kept {
    /// Label of a township → ledgers with a row that is neither removed nor void.
    by_town: BTreeMap<String, BTreeSet<&'static str>>,
    whole: BTreeSet<&'static str>,
    /// Label of a township → fields of its organisations.
    fields: BTreeMap<String, BTreeSet<String>>,
    /// Name of an organisation → label of its township.
    above: BTreeMap<String, String>,
}

impl Kept {
    pub(super) fn of(truth: &Truth) -> Self {
        let mut kept =
            Self { by_town: BTreeMap::new(), whole: BTreeSet::new(), fields: BTreeMap::new(), above: BTreeMap::new() };
        let town = |place: usize| {
            let unit = &truth.units[place];
            let id = if unit.level == UnitLevel::Organisation { unit.parent? } else { unit.id };
            let town = truth.units.iter().find(|unit| unit.id == id && unit.level == UnitLevel::ReportingUnit)?;
            Some(town.label().to_owned())
        };
        for (place, unit) in truth.units.iter().enumerate() {
            if let (UnitLevel::Organisation, Some(town)) = (unit.level, town(place)) {
                kept.above.insert(unit.name.clone(), town);
            }
        }
        for fact in truth.facts.iter().filter(|fact| !fact.removed && fact.state != "void") {
            kept.whole.insert(fact.ledger);
            let Some(town) = town(fact.unit) else { continue };
            if fact.ledger == "organisations" && !matches!(fact.state, "draft" | "returned") {
                kept.fields.entry(town.clone()).or_default().extend(fact.cells.get("field").cloned());
            }
            kept.by_town.entry(town).or_default().insert(fact.ledger);
        }
        kept
    }

    /// The township that a row of a table is of; none for rows of the whole.
    pub(super) fn town(&self, label: &str) -> Option<&str> {
        let first = label.split(' ').next().unwrap_or_default();
        self.above.get(label).or_else(|| self.by_town.get_key_value(first).map(|(town, _)| town)).map(String::as_str)
    }

    fn owes(&self, town: Option<&str>, ledger: &str) -> bool {
        let Some(town) = town else { return !self.whole.contains(ledger) };
        let fields = OF_FIELDS.iter().find(|(of, _)| *of == ledger).map(|(_, fields)| *fields);
        let own = self.fields.get(town);
        let is_expected = ALWAYS.contains(&ledger)
            || fields.is_some_and(|fields| own.is_some_and(|own| fields.iter().any(|field| own.contains(*field))));
        is_expected && self.by_town.get(town).is_none_or(|kept| !kept.contains(ledger))
    }

    /// Whether a row of a table has no figure: what it counts, or what it misses, was not kept.
    pub(super) fn is_missing(&self, sources: &Sources, label: &str, value: f64) -> bool {
        let town = self.town(label).filter(|_| label != TOTAL);
        let lacks = |ledger: &String| self.owes(town, ledger) || !self.whole.contains(ledger.as_str());
        let expected = |ledger: &str| ALWAYS.contains(&ledger) || OF_FIELDS.iter().any(|(of, _)| *of == ledger);
        value == 0.0 && sources.counted.iter().any(lacks)
            || !sources.absent.is_empty()
                && sources.absent.iter().all(|ledger| expected(ledger) && self.owes(town, ledger))
    }
}

/// The ledgers that a query reads.
#[derive(Debug, Default)]
pub(super) struct Sources {
    counted: BTreeSet<String>,
    /// Those in which it counts what has no row.
    absent: BTreeSet<String>,
}

/// The ledgers that a block's query reads, through the views that it names.
pub(super) fn sources(block: &Block, named: &[(String, String)]) -> Sources {
    let Body::Facts(query) = &block.body else { return Sources::default() };
    let views = VIEWS.split(";\n").filter_map(|text| {
        let text = text.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
        let (name, body) = text.trim().strip_prefix("CREATE VIEW ")?.split_once(" AS")?;
        Some((name.to_owned(), body.to_owned()))
    });
    let views: BTreeMap<String, String> = views.chain(named.iter().cloned()).collect();
    let (mut open, mut seen, mut counted) = (vec![query.clone()], BTreeSet::new(), BTreeSet::new());
    while let Some(text) = open.pop() {
        let words: Vec<&str> =
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
        // Columns and codes may have the name of a view.
        for pair in words.windows(2).filter(|pair| matches!(pair[0], "FROM" | "JOIN")) {
            match (pair[1].strip_prefix("l_"), views.get(pair[1])) {
                (Some(ledger), _) => drop(counted.insert(ledger.replace('_', "-"))),
                (None, Some(view)) if seen.insert(pair[1].to_owned()) => open.push(view.clone()),
                _ => {}
            }
        }
    }
    let absent: BTreeSet<String> = block.absent.iter().map(|ledger| ledger.replace('_', "-")).collect();
    counted.retain(|ledger| !absent.contains(ledger));
    Sources { counted, absent }
}
