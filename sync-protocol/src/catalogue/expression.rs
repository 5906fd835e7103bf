//! The closed expression language of measures and conditions.
//!
//! ```text
//! org_status == 'active' and established_on <= $grading_cutoff
//! previous_grade in ('average', 'backward') and final_grade is filled
//! ```
//!
//! Names are columns, `$names` are variables; both are checked when the catalogue is loaded.
//! Dates compare as text, which is right for `YYYY-MM-DD` and its prefixes. An empty cell compares
//! unequal to everything and is neither less nor greater.

use std::{cmp::Ordering, collections::BTreeMap};

use crate::{row::Row, value::Value};

/// The values of `$names`.
pub type Variables = BTreeMap<String, Value>;

/// Nesting beyond which an expression is a mistake (and a danger to the stack).
const DEPTH_MAX: usize = 32;

/// A checked expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    root: Node,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Column(String),
    Variable(String),
    Literal(Value),
    Not(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Compare(Comparison, Box<Node>, Box<Node>),
    In(Box<Node>, Vec<Node>),
    Filled(Box<Node>, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Expression {
    /// Reads an expression; the error says what is wrong and where in the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, at: 0 };
        let root = parser.or(0)?;
        match parser.peek() {
            None => Ok(Self { root }),
            Some(token) => Err(format!("unexpected `{token}`")),
        }
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
            Node::Compare(how, a, b) => {
                let (Some(a), Some(b)) = (a.value(row, variables), b.value(row, variables)) else {
                    return *how == Comparison::Unequal;
                };
                let order = order(a, b);
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
            Node::Filled(inner, filled) => inner.value(row, variables).is_some() == *filled,
            Node::Column(_) | Node::Variable(_) | Node::Literal(_) => {
                self.value(row, variables) == Some(&Value::Bool(true))
            }
        }
    }

    fn value<'a>(&'a self, row: &'a Row, variables: &'a Variables) -> Option<&'a Value> {
        match self {
            Node::Column(name) => row.get(name),
            Node::Variable(name) => variables.get(name).filter(|value| !value.is_null()),
            Node::Literal(value) => Some(value),
            _ => None,
        }
    }

    fn names(&self, column: &mut impl FnMut(&str), variable: &mut impl FnMut(&str)) {
        match self {
            Node::Column(name) => column(name),
            Node::Variable(name) => variable(name),
            Node::Literal(_) => {}
            Node::Not(a) | Node::Filled(a, _) => a.names(column, variable),
            Node::And(a, b) | Node::Or(a, b) | Node::Compare(_, a, b) => {
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

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Splits a text into words, literals and signs.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => match rest[1..].find('\'') {
                Some(end) => end + 2,
                None => return Err(format!("the text `{rest}` is not closed by '")),
            },
            '=' | '!' | '<' | '>' => {
                if rest[1..].starts_with('=') {
                    2
                } else {
                    1
                }
            }
            '(' | ')' | ',' => 1,
            '$' | '-' | '_' | 'a'..='z' | 'A'..='Z' | '0'..='9' => {
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                1 + rest[1..].find(|c| !word(c)).unwrap_or(rest.len() - 1)
            }
            other => return Err(format!("unexpected character `{other}`")),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [String],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Result<Node, String> {
        if depth > DEPTH_MAX {
            return Err("nested too deeply".into());
        }
        let mut node = self.and(depth)?;
        while self.take("or") {
            node = Node::Or(Box::new(node), Box::new(self.and(depth)?));
        }
        Ok(node)
    }

    fn and(&mut self, depth: usize) -> Result<Node, String> {
        let mut node = self.not(depth)?;
        while self.take("and") {
            node = Node::And(Box::new(node), Box::new(self.not(depth)?));
        }
        Ok(node)
    }

    fn not(&mut self, depth: usize) -> Result<Node, String> {
        if self.take("not") {
            if depth > DEPTH_MAX {
                return Err("nested too deeply".into());
            }
            return Ok(Node::Not(Box::new(self.not(depth + 1)?)));
        }
        self.comparison(depth)
    }

    fn comparison(&mut self, depth: usize) -> Result<Node, String> {
        if self.take("(") {
            let node = self.or(depth + 1)?;
            return if self.take(")") { Ok(node) } else { Err("`)` is missing".into()) };
        }
        let left = Box::new(self.term()?);
        if self.take("in") {
            return self.choices().map(|choices| Node::In(left, choices));
        }
        if self.take("is") {
            return match self.peek() {
                Some("filled") => {
                    self.at += 1;
                    Ok(Node::Filled(left, true))
                }
                Some("empty") => {
                    self.at += 1;
                    Ok(Node::Filled(left, false))
                }
                _ => Err("after `is` only `filled` or `empty` can follow".into()),
            };
        }
        let how = match self.peek() {
            Some("==") => Comparison::Equal,
            Some("!=") => Comparison::Unequal,
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::AtMost,
            Some(">") => Comparison::Greater,
            Some(">=") => Comparison::AtLeast,
            _ => return Ok(*left),
        };
        self.at += 1;
        Ok(Node::Compare(how, left, Box::new(self.term()?)))
    }

    fn choices(&mut self) -> Result<Vec<Node>, String> {
        if !self.take("(") {
            return Err("after `in` a list in brackets must follow".into());
        }
        let mut choices = vec![self.term()?];
        while self.take(",") {
            choices.push(self.term()?);
        }
        if self.take(")") { Ok(choices) } else { Err("`)` is missing after the list".into()) }
    }

    fn term(&mut self) -> Result<Node, String> {
        let token = self.peek().ok_or("the expression ends too early")?.to_owned();
        self.at += 1;
        let first = token.chars().next().unwrap_or_default();
        match token.as_str() {
            "true" => Ok(Node::Literal(Value::Bool(true))),
            "false" => Ok(Node::Literal(Value::Bool(false))),
            "and" | "or" | "not" | "in" | "is" => Err(format!("unexpected `{token}`")),
            _ if first == '\'' => Ok(Node::Literal(Value::text(token.trim_matches('\'')))),
            _ if first == '$' => Ok(Node::Variable(token[1..].to_owned())),
            _ if first == '-' || first.is_ascii_digit() => token
                .parse()
                .map(|number| Node::Literal(Value::Int(number)))
                .map_err(|_| format!("`{token}` is not a whole number")),
            _ if first.is_ascii_alphabetic() || first == '_' => Ok(Node::Column(token)),
            _ => Err(format!("unexpected `{token}`")),
        }
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
        row.cells.insert("on".into(), "2012-03".into());
        row.cells.insert("cleared".into(), Value::Null);
        let variables = Variables::from([("cutoff".to_owned(), Value::from("2012-03-31"))]);
        for (text, expected) in [
            ("grade == 'average'", true),
            ("grade != 'average'", false),
            ("grade in ('advanced', 'average') and ok", true),
            ("not ok or n > 3", false),
            ("n >= 3 and n <= 3", true),
            ("on <= $cutoff", true),
            ("cleared is empty and absent is empty", true),
            ("absent < 3 or absent >= 3", false),
            ("absent != 'x'", true),
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
            ("n + 1", "unexpected character"),
            ("9999999999999999999 == n", "not a whole number"),
            (deep.as_str(), "nested too deeply"),
        ] {
            let error = Expression::parse(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
