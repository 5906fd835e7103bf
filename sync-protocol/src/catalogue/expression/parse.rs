//! Reading expressions.

use super::{Comparison, DEPTH_MAX, Node, Operator, Part};
use crate::value::Value;

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
            '(' | ')' | '[' | ']' | ',' | '+' | '*' | '-' => 1,
            '$' | '@' | '_' | 'a'..='z' | 'A'..='Z' | '0'..='9' => {
                let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
                1 + rest[1..].find(|c| !word(c)).unwrap_or(rest.len() - 1)
            }
            other => return Err(format!("unexpected character `{other}`")),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// Reads tokens, left to right.
pub(super) struct Parser<'a> {
    tokens: &'a [String],
    at: usize,
}

impl Parser<'_> {
    /// Reads a whole expression.
    pub(super) fn whole(text: &str) -> Result<Node, String> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, at: 0 };
        let root = parser.or(0)?;
        match parser.peek() {
            None => Ok(root),
            Some(token) => Err(format!("unexpected `{token}`")),
        }
    }

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
        let left = Box::new(self.sum()?);
        if self.take("in") {
            if let Some(list) = self.peek().and_then(|token| token.strip_prefix('$')) {
                let list = list.to_owned();
                self.at += 1;
                return Ok(Node::InList(left, list));
            }
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
        Ok(Node::Compare(how, left, Box::new(self.sum()?)))
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

    fn sum(&mut self) -> Result<Node, String> {
        let mut node = self.product()?;
        loop {
            let operator = match self.peek() {
                Some("+") => Operator::Plus,
                Some("-") => Operator::Minus,
                _ => return Ok(node),
            };
            self.at += 1;
            node = Node::Arithmetic(operator, Box::new(node), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Node, String> {
        let mut node = self.term()?;
        while self.take("*") {
            node = Node::Arithmetic(Operator::Times, Box::new(node), Box::new(self.term()?));
        }
        Ok(node)
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
            _ if first == '$' => {
                let name = token[1..].to_owned();
                if !self.take("[") {
                    return Ok(Node::Variable(name));
                }
                let code = Box::new(self.term()?);
                if self.take("]") { Ok(Node::Entry(name, code)) } else { Err("`]` is missing".into()) }
            }
            _ if first.is_ascii_digit() => token
                .parse()
                .map(|number| Node::Literal(Value::Int(number)))
                .map_err(|_| format!("`{token}` is not a whole number")),
            "days" | "months" if self.take("(") => {
                let date = Box::new(self.sum()?);
                let count = if self.take(",") { Some(Box::new(self.sum()?)) } else { None };
                let count = count.ok_or("days(date, 3) and months(date, 12) take a date and a whole number")?;
                let closed = self.take(")");
                closed.then_some(Node::Later(date, count, token == "months")).ok_or_else(|| "`)` is missing".to_owned())
            }
            "pro_rata" if self.take("(") => {
                let count = self.sum()?;
                let mut date = || -> Result<Node, String> {
                    let found = self.take(",");
                    if found { self.sum() } else { Err("pro_rata(4, founded, since, until) takes four values".into()) }
                };
                let parts = Box::new([count, date()?, date()?, date()?]);
                let closed = self.take(")");
                closed.then_some(Node::ProRata(parts)).ok_or_else(|| "`)` is missing".to_owned())
            }
            _ if first.is_ascii_alphabetic() || matches!(first, '_' | '@') => match token.split_once('.') {
                None => Ok(Node::Column(token)),
                Some((column, part)) => match Part::parse(part) {
                    Some(part) => Ok(Node::Part(column.to_owned(), part)),
                    None => Err(format!("`.{part}` is no part of a value; there are {}", Part::NAMES.join(", "))),
                },
            },
            _ => Err(format!("unexpected `{token}`")),
        }
    }
}
