//! The closed expression language of measures and conditions.
//!
//! ```text
//! org_status == 'active' and established_on <= $grading_cutoff
//! previous_grade in ('average', 'backward') and final_grade is filled
//! 3 * p3_present >= 2 * p3_due and id_card.sex == sex
//! member_total == $roster and unit_kind in $two_new_unit_kinds
//! established_on <= $grading_cutoff[round]
//! ```
//!
//! Names are columns, `$names` are variables; both are checked when the catalogue is loaded. `$table[column]` is the
//! entry of a table for what the column says, `$table.code` a fixed entry. A list is a variable of codes and blanks.
//! Dates of different precision are ordered by what both say; decimals compare with whole numbers by
//! value. `+`, `-` and `*` work on whole numbers and exact decimals; `days(date, 3)` and `months(date, $term)`
//! are later dates; `pro_rata(4, founded_on, $period_start, $statistics_date)` is how many of four a year are expected of the
//! months that have ended. An empty cell compares unequal to everything and is neither less nor greater.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap};

use serde::Serialize;

use crate::{row::Row, value::Value};

mod parse;
mod part;

use parse::Parser;
use part::Part;

/// The values of `$names`.
pub type Variables = BTreeMap<String, Value>;

/// Nesting beyond which an expression is a mistake (and a danger to the stack).
const DEPTH_MAX: usize = 32;

/// A checked expression. As JSON it is its syntax tree, for programs in other languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Expression {
    root: Node,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Node {
    Column(String),
    /// What the cell of a column says about something else: the `birth_date` in an identity number.
    Part(String, Part),
    Variable(String),
    /// The entry of a table of variables for a value.
    Entry(String, Box<Node>),
    Literal(Value),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    Arithmetic(Operator, Box<Node>, Box<Node>),
    /// A date and what is added to it: days or months.
    Later(Box<Node>, Box<Node>, bool),
    /// How much of what is expected in a year is expected by a date: since another, and after the month of a third.
    ProRata(Box<[Node; 4]>),
    In(Box<Node>, Vec<Node>),
    /// One of the codes of a list.
    InList(Box<Node>, String),
    Filled(Box<Node>, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Operator {
    Plus,
    Minus,
    Times,
}

impl Operator {
    fn apply(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Operator::Plus => a.checked_add(b),
            Operator::Minus => a.checked_sub(b),
            Operator::Times => a.checked_mul(b),
        }
    }
}

/// Decimals of sums: four places, more than money and scores have.
const SCALE: i64 = 10_000;

/// A number as a whole multiple of 1/[`SCALE`]; finer ones are not summed.
fn scaled(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Int(number) => return number.checked_mul(SCALE),
        Value::Text(text) => text,
        _ => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    (fraction.len() <= 4).then(|| format!("{whole}{fraction:0<4}").parse().ok())?
}

/// Exactly added numbers.
pub(super) fn sum(a: &Value, b: &Value) -> Option<Value> {
    arithmetic(Operator::Plus, a, b)
}

/// Whether a number, date or text comes after another.
pub(super) fn greater(a: &Value, b: &Value) -> bool {
    decimals(a, b).or_else(|| order(a, b)) == Some(Ordering::Greater)
}

fn arithmetic(operator: Operator, a: &Value, b: &Value) -> Option<Value> {
    if let (Value::Int(a), Value::Int(b)) = (a, b) {
        return operator.apply(*a, *b).map(Value::Int);
    }
    // Exact decimals: hundredths of hundredths, and a product has twice as many decimals.
    let result = operator.apply(scaled(a)?, scaled(b)?)?;
    let result = if operator == Operator::Times { result / SCALE } else { result };
    let sign = if result < 0 { "-" } else { "" };
    Some(Value::Text(format!("{sign}{}.{:04}", (result / SCALE).abs(), (result % SCALE).abs())))
}

impl Expression {
    /// Reads an expression; the error says what is wrong and where in the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        Parser::whole(text).map(|root| Self { root })
    }

    /// This and another, which must hold too.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { root: Node::And(Box::new(self.root), Box::new(other.root)) }
    }

    /// That a column is filled.
    pub fn filled(column: &str) -> Self {
        Self { root: Node::Filled(Box::new(Node::Column(column.to_owned())), true) }
    }

    /// How a variable compares with a number.
    pub fn limit(variable: &str, at_most: bool, number: i64) -> Self {
        let how = if at_most { Comparison::AtMost } else { Comparison::AtLeast };
        let sides = (Node::Variable(variable.to_owned()), Node::Literal(Value::Int(number)));
        Self { root: Node::Compare(how, Box::new(sides.0), Box::new(sides.1)) }
    }

    /// What the cell of a column says.
    pub fn column(name: &str) -> Self {
        Self { root: Node::Column(name.to_owned()) }
    }

    /// What it says of this row; nothing when something that it needs is empty.
    pub fn value(&self, row: &Row, variables: &Variables) -> Option<Value> {
        self.root.value(row, variables).map(Cow::into_owned)
    }

    /// Whether it holds for this row.
    pub fn holds(&self, row: &Row, variables: &Variables) -> bool {
        self.root.holds(row, variables)
    }

    /// Calls back for every name: columns first argument, variables second.
    pub fn names(&self, column: &mut impl FnMut(&str), variable: &mut impl FnMut(&str)) {
        self.root.names(column, variable);
    }
}

impl Node {
    fn holds(&self, row: &Row, variables: &Variables) -> bool {
        match self {
            Node::Not(inner) => !inner.holds(row, variables),
            Node::And(a, b) => a.holds(row, variables) && b.holds(row, variables),
            Node::Or(a, b) => a.holds(row, variables) || b.holds(row, variables),
            Node::Compare(how, left, right) => {
                let (Some(a), Some(b)) = (left.value(row, variables), right.value(row, variables)) else {
                    return *how == Comparison::Unequal;
                };
                let is_sum = |node: &Node| matches!(node, Node::Arithmetic(..));
                let order = match how {
                    Comparison::Equal | Comparison::Unequal if is_sum(left) || is_sum(right) => {
                        decimals(&a, &b).or_else(|| order(&a, &b))
                    }
                    Comparison::Equal | Comparison::Unequal => order(&a, &b),
                    _ => same_precision(&a, &b).or_else(|| decimals(&a, &b)).or_else(|| order(&a, &b)),
                };
                match how {
                    Comparison::Equal => order == Some(Ordering::Equal),
                    Comparison::Unequal => order != Some(Ordering::Equal),
                    Comparison::Less => order == Some(Ordering::Less),
                    Comparison::AtMost => order.is_some_and(Ordering::is_le),
                    Comparison::Greater => order == Some(Ordering::Greater),
                    Comparison::AtLeast => order.is_some_and(Ordering::is_ge),
                }
            }
            Node::In(needle, choices) => needle
                .value(row, variables)
                .is_some_and(|needle| choices.iter().filter_map(|c| c.value(row, variables)).any(|c| c == needle)),
            Node::InList(needle, list) => {
                let codes = variables.get(list).and_then(Value::as_text).unwrap_or_default();
                let needle = needle.value(row, variables);
                needle.as_deref().and_then(Value::as_text).is_some_and(|n| codes.split(' ').any(|code| code == n))
            }
            Node::Filled(inner, filled) => {
                // A set is one cell for each of its members.
                let has_members = matches!(inner.as_ref(), Node::Column(key) if row.members(key).next().is_some());
                (has_members || inner.value(row, variables).is_some()) == *filled
            }
            Node::Column(_)
            | Node::Part(..)
            | Node::Variable(_)
            | Node::Entry(..)
            | Node::Literal(_)
            | Node::Arithmetic(..)
            | Node::Later(..)
            | Node::ProRata(..) => self.value(row, variables).as_deref() == Some(&Value::Bool(true)),
        }
    }

    fn value<'a>(&'a self, row: &'a Row, variables: &'a Variables) -> Option<Cow<'a, Value>> {
        match self {
            Node::Column(name) => row.get(name).map(Cow::Borrowed),
            Node::Part(name, part) => part.of(row.text(name)).map(Cow::Owned),
            Node::Entry(table, code) => {
                let code = code.value(row, variables)?;
                variables.get(&format!("{table}.{}", code.as_text()?)).map(Cow::Borrowed)
            }
            Node::Variable(name) => variables.get(name).filter(|value| !value.is_null()).map(Cow::Borrowed),
            Node::Literal(value) => Some(Cow::Borrowed(value)),
            Node::Arithmetic(operator, a, b) => {
                arithmetic(*operator, a.value(row, variables)?.as_ref(), b.value(row, variables)?.as_ref())
                    .map(Cow::Owned)
            }
            Node::Later(date, count, months) => {
                let Value::Int(count) = *count.value(row, variables)? else { return None };
                later(date.value(row, variables)?.as_text()?, count, *months).map(|date| Cow::Owned(Value::Text(date)))
            }
            Node::ProRata(parts) => {
                let [count, founded, since, until] = parts.as_ref();
                let Value::Int(count) = *count.value(row, variables)? else { return None };
                let founded = founded.value(row, variables);
                let (since, until) = (since.value(row, variables)?, until.value(row, variables)?);
                let founded = founded.as_deref().and_then(Value::as_text);
                let months = ended_months(founded, since.as_text()?, until.as_text()?)?;
                Some(Cow::Owned(Value::Int(count.checked_mul(months)? / 12)))
            }
            _ => None,
        }
    }

    fn names(&self, column: &mut impl FnMut(&str), variable: &mut impl FnMut(&str)) {
        match self {
            Node::Column(name) | Node::Part(name, _) => column(name),
            Node::Variable(name) => variable(name),
            Node::Entry(table, code) => {
                variable(&format!("{table}[]"));
                code.names(column, variable);
            }
            Node::InList(needle, list) => {
                needle.names(column, variable);
                variable(list);
            }
            Node::Literal(_) => {}
            Node::ProRata(parts) => parts.iter().for_each(|part| part.names(column, variable)),
            Node::Not(a) | Node::Filled(a, _) => a.names(column, variable),
            Node::And(a, b)
            | Node::Or(a, b)
            | Node::Compare(_, a, b)
            | Node::Arithmetic(_, a, b)
            | Node::Later(a, b, _) => {
                a.names(column, variable);
                b.names(column, variable);
            }
            Node::In(a, choices) => {
                a.names(column, variable);
                for choice in choices {
                    choice.names(column, variable);
                }
            }
        }
    }
}

/// A date that many days or months later, in its own precision; days need a whole date.
fn later(date: &str, count: i64, months: bool) -> Option<String> {
    let mut parts = date.split('-').map(|part| part.parse::<i16>().ok());
    let (year, month, day) = (parts.next()??, parts.next().flatten(), parts.next().flatten());
    let small = |number: Option<i16>| i8::try_from(number.unwrap_or(1)).ok();
    let whole = jiff::civil::Date::new(year, small(month)?, small(day)?).ok()?;
    let span = if months { jiff::Span::new().try_months(count) } else { jiff::Span::new().try_days(count) };
    if !months && day.is_none() {
        return None;
    }
    let later = whole.checked_add(span.ok()?).ok()?.to_string();
    later.get(..date.len()).map(str::to_owned)
}

/// Whole months from that of `since` to the end of `until`, and after the month in which something was founded: of a branch
/// founded in May, June is the first that anything is expected of.
fn ended_months(founded: Option<&str>, since: &str, until: &str) -> Option<i64> {
    let month_of = |text: &str, without: i64| -> Option<i64> {
        let year: i64 = text.get(..4)?.parse().ok()?;
        let month = text.get(5..7).map_or(Some(without), |month| month.parse().ok())?;
        Some(year * 12 + month)
    };
    let day: jiff::civil::Date = until.parse().ok()?;
    let end = month_of(until, 12)? + i64::from(day == day.last_of_month());
    let first = founded.and_then(|text| month_of(text, 12)).map_or(0, |month| month + 1).max(month_of(since, 1)?);
    Some((end - first).max(0))
}

/// The last month of a quarter or half of a year: `2012-Q3` ends with `2012-09`.
fn last_month(period: &str) -> Option<String> {
    let (year, part) = period.split_once('-').filter(|(year, _)| year.len() == 4)?;
    let months = match part.split_at_checked(1)? {
        ("Q", number) => number.parse::<u8>().ok().filter(|number| (1..=4).contains(number))? * 3,
        ("H", number) => number.parse::<u8>().ok().filter(|number| (1..=2).contains(number))? * 6,
        _ => return None,
    };
    Some(format!("{year}-{months:02}"))
}

/// Dates of different precision compare by what both say: all of 2012-03 is up to 2012-03-31, and to 2012-03-15.
fn same_precision(a: &Value, b: &Value) -> Option<Ordering> {
    let (a, b) = (a.as_text()?, b.as_text()?);
    // A quarter against something else: by when they end. A year ends with its December.
    let ends = [last_month(a), last_month(b)];
    if ends.iter().any(Option::is_some) {
        let end = |end: &Option<String>, text: &str| match end {
            Some(month) => month.clone(),
            None if text.len() == 4 => format!("{text}-12"),
            None => text.get(..7).unwrap_or(text).to_owned(),
        };
        return Some(end(&ends[0], a).cmp(&end(&ends[1], b)));
    }
    let is_date = |text: &str| {
        matches!(text.len(), 4 | 7 | 10 | 16)
            && text.as_bytes()[..4].iter().all(u8::is_ascii_digit)
            && text.as_bytes().get(4).is_none_or(|b| *b == b'-')
    };
    let length = a.len().min(b.len());
    (is_date(a) && is_date(b)).then(|| a.as_bytes()[..length].cmp(&b.as_bytes()[..length]))
}

/// Two decimals, which are stored as text.
fn decimals(a: &Value, b: &Value) -> Option<Ordering> {
    let number = |value: &Value| value.as_text()?.parse::<f64>().ok();
    number(a)?.partial_cmp(&number(b)?)
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        // Decimals are stored as text: 93.3 against 90.
        (Value::Text(a), Value::Int(b)) => a.parse::<f64>().ok()?.partial_cmp(&(*b as f64)),
        (Value::Int(a), Value::Text(b)) => (*a as f64).partial_cmp(&b.parse::<f64>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RowId;

    #[test]
    fn conditions_hold_as_a_reader_expects() {
        let mut row = Row::new(RowId::random([0; 10]));
        for (key, value) in [("grade", Value::from("average")), ("n", 3.into()), ("ok", true.into())] {
            row.cells.insert(key.into(), value);
        }
        row.cells.insert("score".into(), "93.3".into());
        row.cells.insert("most".into(), "100".into());
        row.cells.insert("id".into(), "34009919801231002X".into());
        row.cells.insert("on".into(), "2012-03".into());
        row.cells.insert("cleared".into(), Value::Null);
        row.cells.insert("division".into(), "340099100200".into());
        let variables = [
            ("cutoff", Value::from("2012-03-31")),
            ("limit", Value::Int(5)),
            ("least.average", Value::Int(60)),
            ("good", Value::from("advanced average")),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
        for (text, expected) in [
            ("grade == 'average'", true),
            ("grade != 'average'", false),
            ("grade in ('advanced', 'average') and ok", true),
            ("not ok or n > 3", false),
            ("n >= 3 and n <= 3", true),
            ("on <= $cutoff and on >= $cutoff", true),
            ("on < '2012-04-01' and on > '2012-02' and not on < '2012-03-02'", true),
            ("on == '2012-03-31'", false),
            ("'2012' > '2012-Q3' and '2012-Q3' > '2012-Q1' and not '2012-Q4' < '2012' and '2012-H1' < '2012-Q3'", true),
            ("'2012-06-28' <= '2012-06' and days('2012-02-28', 0) <= on.month and not '2012-04-01' <= on.month", true),
            ("cleared is empty and absent is empty", true),
            ("absent < 3 or absent >= 3", false),
            ("absent != 'x'", true),
            ("n + 1 == 4 and 2 * n > 5 and n - 1 <= 2", true),
            ("3 * n >= 2 * n + 4", false),
            ("n + absent == 3 or n + grade == 3", false),
            ("score >= 90 and score < 94", true),
            (
                "pro_rata(12, absent, '2012-01-01', '2012-11-25') == 10 and pro_rata(4, on, '2012-01-01', '2012-12-31') == 3",
                true,
            ),
            (
                "pro_rata(12, on, '2012-04-01', '2012-06-30') == 3 and pro_rata(4, '2012-05', '2012-01-01', '2012-06-30') == 0",
                true,
            ),
            ("months(on, 12) == '2013-03' and months('2012-01-31', 1) == '2012-02-29'", true),
            ("days('2012-02-28', 2) == '2012-03-01' and days(on, 1) is empty", true),
            ("days('2012-02-28', n - 1) == '2012-03-01' and days('2012-02-28', $limit) == '2012-03-04'", true),
            ("days('2012-02-28', grade) is filled", false),
            ("score < most and not score > most", true),
            ("most == score + score - 86 or score + 6 == '99.3'", true),
            ("score + 6 == score + 2 + 4 and score - score == 0", true),
            ("id.birth_date == '1980-12-31' and id.sex == '2'", true),
            ("grade.birth_date is filled", false),
            ("division.village == '200' and division.township == '340099100000' and grade.village is empty", true),
            ("score >= $least[grade] and score >= $least.average and $least[id] is empty", true),
            ("grade in $good and not absent in $good and not id in $good", true),
            ("n - 5 == 0 - 2 and score - 94 < 0", true),
            ("(n == 1 or n == 3) and not (grade == 'backward')", true),
        ] {
            let expression = Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(expression.holds(&row, &variables), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let deep = "(".repeat(100_000);
        for (text, expected) in [
            ("grade ==", "ends too early"),
            ("grade == 'open", "not closed"),
            ("(n == 1", "`)` is missing"),
            ("n in 3", "a list in brackets"),
            ("n is", "`filled` or `empty`"),
            ("n == 1 n", "unexpected `n`"),
            ("n / 1", "unexpected character"),
            ("n + ", "ends too early"),
            ("days(on)", "take a date and a whole number"),
            ("id.age == 3", "there are birth_date, sex"),
            ("$cutoffs[grade == 3", "`]` is missing"),
            ("9999999999999999999 == n", "not a whole number"),
            (deep.as_str(), "nested too deeply"),
        ] {
            let error = Expression::parse(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
