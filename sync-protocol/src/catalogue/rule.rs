//! Rules: what must hold of a row, by itself and beside other rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    expression::{Expression, Variables, greater, sum},
    measure::UnitRows,
};
use crate::{ids::UnitId, row::Row, value::Value};

/// How much a broken rule weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum Weight {
    /// Information.
    I,
    /// Warning: accepted, listed.
    W,
    /// Error: the row cannot be submitted; it is kept as a draft.
    E,
}

impl Weight {
    /// The name for people.
    pub const fn chinese(self) -> &'static str {
        match self {
            Weight::E => "错误",
            Weight::W => "警告",
            Weight::I => "提示",
        }
    }
}

/// Whose rows a rule looks at beside its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Within {
    /// Those of the same unit.
    #[default]
    Unit,
    /// Those of the same reporting unit and of everything below it.
    ReportingUnit,
    /// Those of the whole county.
    County,
}

/// What the rows that are found give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fold {
    /// Their number.
    Count,
    /// The sum of a column.
    Sum(String),
    /// The greatest or latest value of a column; nothing without rows.
    Greatest(String),
    /// The least or earliest value of a column; nothing without rows.
    Least(String),
}

/// A value from other rows that a rule names as `$name`.
#[derive(Debug, Clone)]
pub struct Beside {
    /// The name.
    pub name: String,
    /// The ledger of the rows.
    pub ledger: String,
    /// Which rows; all, if absent.
    pub condition: Option<Expression>,
    /// Columns of those rows, and what the rule's own row must say of each for them to belong together.
    pub same: Vec<(String, Expression)>,
    /// Where they are looked for.
    pub within: Within,
    /// What they give.
    pub fold: Fold,
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// `members.v3`.
    pub id: String,
    /// The ledger.
    pub ledger: String,
    /// How much it weighs.
    pub weight: Weight,
    /// Values from other rows.
    pub beside: Vec<Beside>,
    /// Which rows it is about; all, if absent.
    pub when: Option<Expression>,
    /// What must hold of them.
    pub check: Expression,
    /// Whether one line says it for all rows of the unit.
    pub once: bool,
    /// What is wrong and what to do, in Chinese.
    pub text: String,
    /// The same in English.
    pub text_en: String,
}

impl Rule {
    /// Whether it looks beyond the unit of its row.
    pub fn is_wide(&self) -> bool {
        self.beside.iter().any(|beside| beside.within != Within::Unit)
    }

    /// The rows of one unit that break a rule which looks at nothing else.
    pub fn broken<'r>(&self, place: Place, rows: &'r UnitRows, variables: &Variables) -> Vec<&'r Row> {
        let mut peers = Peers::of(self);
        peers.add(place, rows, variables);
        peers.broken(place, rows, variables)
    }
}

/// Where a unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The unit.
    pub unit: UnitId,
    /// The reporting unit that it is, or is below.
    pub reporting_unit: UnitId,
}

impl Place {
    fn within(self, within: Within) -> Option<UnitId> {
        match within {
            Within::Unit => Some(self.unit),
            Within::ReportingUnit => Some(self.reporting_unit),
            Within::County => None,
        }
    }
}

/// Which rows belong together: index of what is looked for, where, and the values that are the same.
type Key = (usize, Option<UnitId>, Vec<Option<Value>>);

/// What a rule finds beside its rows: filled unit by unit, then asked.
#[derive(Debug)]
pub struct Peers<'a> {
    /// The rule.
    pub rule: &'a Rule,
    found: BTreeMap<Key, Value>,
}

impl<'a> Peers<'a> {
    /// Nothing found yet.
    pub fn of(rule: &'a Rule) -> Self {
        Self { rule, found: BTreeMap::new() }
    }

    /// The ledgers that it looks at.
    pub fn ledgers(&self) -> impl Iterator<Item = &'a str> {
        self.rule.beside.iter().map(|beside| beside.ledger.as_str())
    }

    /// Notes what the rows of a unit give.
    pub fn add(&mut self, place: Place, rows: &UnitRows, variables: &Variables) {
        for (index, beside) in self.rule.beside.iter().enumerate() {
            for row in rows.get(&beside.ledger).into_iter().flatten() {
                if beside.condition.as_ref().is_some_and(|condition| !condition.holds(row, variables)) {
                    continue;
                }
                let given = match &beside.fold {
                    Fold::Count => Some(Value::Int(1)),
                    Fold::Sum(column) | Fold::Greatest(column) | Fold::Least(column) => row.get(column).cloned(),
                };
                let Some(given) = given else { continue };
                let same = beside.same.iter().map(|(column, _)| row.get(column).cloned()).collect();
                let key = (index, place.within(beside.within), same);
                let folded = match (self.found.get(&key), &beside.fold) {
                    (Some(found), Fold::Count | Fold::Sum(_)) => sum(found, &given).unwrap_or_else(|| found.clone()),
                    (Some(found), Fold::Greatest(_)) if greater(found, &given) => continue,
                    (Some(found), Fold::Least(_)) if greater(&given, found) => continue,
                    _ => given,
                };
                self.found.insert(key, folded);
            }
        }
    }

    /// The rows of a unit that break the rule.
    pub fn broken<'r>(&self, place: Place, rows: &'r UnitRows, variables: &Variables) -> Vec<&'r Row> {
        let Rule { ledger, beside, when, check, once, .. } = self.rule;
        let Some(own) = rows.get(ledger) else { return Vec::new() };
        let mut variables = std::borrow::Cow::Borrowed(variables);
        let mut broken = Vec::new();
        for row in own {
            for (index, beside) in beside.iter().enumerate() {
                let value = self.value(index, beside, place, row, &variables);
                variables.to_mut().insert(beside.name.clone(), value);
            }
            if when.as_ref().is_none_or(|when| when.holds(row, &variables)) && !check.holds(row, &variables) {
                broken.push(row);
                if *once {
                    break;
                }
            }
        }
        broken
    }

    fn value(&self, index: usize, beside: &Beside, place: Place, row: &Row, variables: &Variables) -> Value {
        let same = beside.same.iter().map(|(_, own)| own.value(row, variables)).collect();
        let found = self.found.get(&(index, place.within(beside.within), same)).cloned();
        found.unwrap_or(match beside.fold {
            Fold::Count | Fold::Sum(_) => Value::Int(0),
            Fold::Greatest(_) | Fold::Least(_) => Value::Null,
        })
    }
}
