//! Measures: numbers that are counted from the rows of one unit, kept as tallies, and only ever summed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Catalogue,
    expression::{Expression, Variables},
};
use crate::{row::Row, value::Value};

/// The rows of a unit in one period by ledger; removed rows are left out, restricted cells joined.
pub type UnitRows = HashMap<String, Vec<Row>>;

/// How rows become a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aggregate {
    /// Number of rows.
    Rows,
    /// One if there is such a row: summed, the number of different units.
    Units,
    /// Sum of a column of whole numbers.
    Sum(String),
    /// Sum of a column of money or decimals, in hundredths: money in fen.
    SumHundredths(String),
    /// Number of different values of a column.
    Distinct(String),
}

/// A condition on the unit: that it has, or has not, a row.
#[derive(Debug, Clone)]
pub struct Having {
    /// The ledger.
    pub ledger: String,
    /// Which row.
    pub condition: Expression,
}

impl Having {
    /// Whether the unit has such a row.
    pub fn holds(&self, rows: &UnitRows, variables: &Variables) -> bool {
        rows.get(&self.ledger).is_some_and(|rows| rows.iter().any(|row| self.condition.holds(row, variables)))
    }
}

/// A limit that a column sets: twelve meetings for each of its Party groups.
#[derive(Debug, Clone)]
pub struct CapBy {
    /// The ledger with the unit's own row.
    pub ledger: String,
    /// An integer column of it.
    pub column: String,
    /// Times this.
    pub times: i64,
}

/// A measure.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Its id.
    pub id: String,
    /// Title in Chinese.
    pub title: String,
    /// The ledger it counts.
    pub ledger: String,
    /// Which rows count; all, if absent.
    pub condition: Option<Expression>,
    /// Rows that the unit must have.
    pub with: Vec<Having>,
    /// Rows that the unit must not have.
    pub without: Vec<Having>,
    /// How they count.
    pub aggregate: Aggregate,
    /// The result counts as one if it is at least this, else as nothing.
    pub at_least: Option<i64>,
    /// The result counts as one if it is at most this, else as nothing.
    pub at_most: Option<i64>,
    /// More than this does not count.
    pub cap: Option<i64>,
    /// More than a column of the unit's own row says does not count.
    pub cap_by: Option<CapBy>,
    /// Counted once for every code of this list, which is also the name of a variable.
    pub each: Option<String>,
    /// Kept apart by the values of this column, so that dates or codes can be chosen when it is summed.
    pub by: Option<String>,
}

/// A measure with its variables bound: what is stored under one key.
#[derive(Debug, Clone)]
pub struct Instance {
    /// `id`, or `id:code`.
    pub key: String,
    /// The values of its variables.
    pub variables: Variables,
}

impl Measure {
    /// The key for a choice of variables.
    pub fn key(&self, variables: &Variables) -> String {
        match self.each.as_ref().and_then(|each| variables.get(each)) {
            Some(code) => format!("{}:{code}", self.id),
            None => self.id.clone(),
        }
    }

    /// Every binding of its variables.
    pub fn instances(&self, catalogue: &Catalogue, campaign_year: i16) -> Vec<Instance> {
        let codes = self.each.as_ref().and_then(|list| catalogue.list(list));
        let bind = |code: Option<&str>| {
            let mut variables = catalogue.variables(campaign_year, code);
            if let (Some(each), Some(code)) = (&self.each, code) {
                variables.insert(each.clone(), Value::text(code));
            }
            Instance { key: self.key(&variables), variables }
        };
        codes.map_or_else(|| vec![bind(None)], |list| list.codes.iter().map(|code| bind(Some(&code.code))).collect())
    }

    /// Counts the rows of one unit: value of the `by` column (empty without one) → number.
    pub fn count(&self, rows: &UnitRows, variables: &Variables) -> BTreeMap<String, i64> {
        let has = |having: &Having| having.holds(rows, variables);
        if !self.with.iter().all(has) || self.without.iter().any(has) {
            return BTreeMap::new();
        }
        let mut groups: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for row in rows.get(&self.ledger).into_iter().flatten() {
            if self.condition.as_ref().is_none_or(|condition| condition.holds(row, variables)) {
                for by in self.parts(row) {
                    groups.entry(by).or_default().push(row);
                }
            }
        }
        // 0 may be what is asked for.
        if groups.is_empty() && self.by.is_none() {
            groups.insert(String::new(), Vec::new());
        }
        groups
            .into_iter()
            .map(|(by, own)| (by, self.finish(&own, self.limit(rows))))
            .filter(|(_, number)| *number != 0)
            .collect()
    }

    /// What a row is kept apart by: each member of a set, where the column is one.
    fn parts(&self, row: &Row) -> Vec<String> {
        let Some(column) = &self.by else { return vec![String::new()] };
        let members: Vec<String> = row.members(column).map(str::to_owned).collect();
        if members.is_empty() { vec![row.text(column).to_owned()] } else { members }
    }

    /// The most that counts in this unit.
    fn limit(&self, rows: &UnitRows) -> Option<i64> {
        let Some(CapBy { ledger, column, times }) = &self.cap_by else { return self.cap };
        let own = rows.get(ledger).into_iter().flatten().filter_map(|row| row.get(column)).find_map(number);
        Some(own.unwrap_or(0).saturating_mul(*times))
    }

    fn finish(&self, rows: &[&Row], limit: Option<i64>) -> i64 {
        let number = match &self.aggregate {
            Aggregate::Rows => i64::try_from(rows.len()).unwrap_or(i64::MAX),
            Aggregate::Units => i64::from(!rows.is_empty()),
            Aggregate::Sum(column) => {
                rows.iter().filter_map(|row| row.get(column)).filter_map(number).fold(0, i64::saturating_add)
            }
            Aggregate::SumHundredths(column) => {
                rows.iter().filter_map(|row| row.get(column)).filter_map(hundredths).fold(0, i64::saturating_add)
            }
            Aggregate::Distinct(column) => {
                let different: BTreeSet<&Value> = rows.iter().filter_map(|row| row.get(column)).collect();
                i64::try_from(different.len()).unwrap_or(i64::MAX)
            }
        };
        let number = limit.map_or(number, |limit| number.min(limit));
        if self.at_least.is_none() && self.at_most.is_none() {
            return number;
        }
        let inside =
            self.at_least.is_none_or(|least| number >= least) && self.at_most.is_none_or(|most| number <= most);
        i64::from(inside)
    }

    /// Every ledger and column that it reads.
    pub fn reads(&self, visit: &mut impl FnMut(&str, &str)) {
        let ledger = self.ledger.as_str();
        let mut condition = |ledger: &str, expression: &Expression| {
            // An expression without columns still needs the rows.
            visit(ledger, "");
            expression.names(&mut |column| visit(ledger, column), &mut |_| {});
        };
        if let Some(expression) = &self.condition {
            condition(ledger, expression);
        }
        for having in self.with.iter().chain(&self.without) {
            condition(&having.ledger, &having.condition);
        }
        visit(ledger, "");
        if let Aggregate::Sum(column) | Aggregate::SumHundredths(column) | Aggregate::Distinct(column) = &self.aggregate
        {
            visit(ledger, column);
        }
        if let Some(by) = &self.by {
            visit(ledger, by);
        }
        if let Some(cap) = &self.cap_by {
            visit(&cap.ledger, &cap.column);
        }
    }
}

/// A whole number.
fn number(value: &Value) -> Option<i64> {
    if let Value::Int(number) = value { Some(*number) } else { None }
}

/// A decimal in hundredths, rounded half up: 12.345 is 1235.
fn hundredths(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Int(number) => return number.checked_mul(100),
        Value::Text(text) => text,
        _ => return None,
    };
    let (sign, text) = text.strip_prefix('-').map_or((1, text.as_str()), |text| (-1, text));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let up = i64::from(fraction.as_bytes().get(2).is_some_and(|digit| *digit >= b'5'));
    let two = format!("{whole}{:0<2}", fraction.get(..2).unwrap_or(fraction));
    Some(sign * (two.parse::<i64>().ok()? + up))
}
