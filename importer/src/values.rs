//! One cell into one canonical value.

use std::collections::HashMap;

use sync_protocol::{
    Value,
    catalogue::{Catalogue, Column, ColumnType, Sensitivity},
    checks,
};

use crate::{
    date::{self, Date},
    finding::FindingKind,
    number::{self, Decimal},
    text::{clean, compact, person},
    workbook::grid::{Cell, Texts},
};

/// Between several values in one cell, half and full width.
const SEPARATORS: [char; 7] = ['、', ',', '\u{ff0c}', ';', '\u{ff1b}', '/', '\n'];

/// What a cell became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Normalised {
    /// Nothing: an import never clears a cell.
    Empty,
    /// A value.
    One(Value),
    /// The codes of a set.
    Set(Vec<String>),
    /// A value that a person should look at.
    Doubtful(Value, FindingKind),
    /// The first of several values; the rest is kept beside the row.
    First(Value, String, FindingKind),
    /// Not taken.
    Bad(FindingKind),
}

/// Normalises cells for one campaign year.
#[derive(Debug)]
pub struct Normaliser {
    codes: HashMap<String, HashMap<String, String>>,
    allowed: HashMap<String, String>,
    empty: Vec<String>,
    unknown: Vec<String>,
    year: i16,
}

impl Normaliser {
    /// Builds the word lists.
    pub fn new(catalogue: &Catalogue, year: i16) -> Self {
        let mut codes = HashMap::new();
        let mut allowed = HashMap::new();
        let lists = catalogue.ledgers().iter().flat_map(|l| &l.columns).filter_map(|c| c.column_type.list());
        for list in lists.filter_map(|id| catalogue.list(id)) {
            let words: &mut HashMap<String, String> = codes.entry(list.id.clone()).or_default();
            for code in &list.codes {
                for word in [&code.label, &code.code].into_iter().chain(&code.aliases) {
                    words.entry(compact(word).into_owned()).or_insert_with(|| code.code.clone());
                }
            }
            let labels: Vec<&str> = list.codes.iter().take(8).map(|code| code.label.as_str()).collect();
            allowed.insert(list.id.clone(), labels.join("、"));
        }
        let words = catalogue.words();
        Self { codes, allowed, empty: words.empty.clone(), unknown: words.unknown.clone(), year }
    }

    /// The canonical value of a cell in this column. `wan`: amounts under the header are in 万元.
    pub fn normalise(&self, cell: Cell, texts: &Texts, column: &Column, wan: bool) -> Normalised {
        use ColumnType as T;
        let Some(cell) = self.filled(cell, texts, &column.column_type) else { return Normalised::Empty };
        if let Filled::Bad(kind) = cell {
            return Normalised::Bad(kind);
        }
        match &column.column_type {
            T::Text | T::LongText | T::Ref(_) | T::Period | T::DateTime => {
                one(cell.to_text(), |t| clean(&t).into_owned())
            }
            T::Person => one(cell.to_text(), |t| person(&t)),
            T::Int => number(&cell, |decimal| decimal.integer().map(Value::Int)),
            T::Decimal => number(&cell, |decimal| Some(Value::Text(decimal.plain()))),
            T::Score => number(&cell, |decimal| decimal.fixed(1).map(Value::Text)),
            T::MoneyYuan | T::MoneyWan => {
                let wan = wan || matches!(column.column_type, T::MoneyWan);
                let explicit = matches!(&cell, Filled::Text(text) if text.contains('万'));
                number(&cell, |decimal| {
                    let yuan = if wan && !explicit { decimal.shifted(4)? } else { decimal };
                    yuan.fixed(2).map(Value::Text)
                })
            }
            T::Percent => percent(&cell),
            T::Date | T::PDate | T::Year => self.date(&cell),
            T::Bool => boolean(&cell),
            T::Enum(list) => self.code(&cell, list),
            T::Multi(list) => self.set(&cell, list),
            T::IdCard => id_card(&cell),
            T::Uscc => checked(code_text(&cell), checks::uscc, |reason| FindingKind::BadUscc { reason }),
            T::Division => checked(code_text(&cell), checks::division, |reason| FindingKind::BadDivision { reason }),
            T::Phone => phone(&cell),
        }
    }

    /// Empty words, unknown words and error values, the same in every column.
    fn filled<'a>(&self, cell: Cell, texts: &'a Texts, column_type: &ColumnType) -> Option<Filled<'a>> {
        Some(match cell {
            Cell::Text(id) => {
                let text = texts.get(id);
                let short = text.len() <= 12;
                let trimmed = if short { clean(text) } else { text.into() };
                // 无 may be a code (返乡意向：无) or mean no.
                let words = column_type.list().and_then(|list| self.codes.get(list));
                let means_something = *column_type == ColumnType::Bool && trimmed == "无"
                    || words.is_some_and(|words| words.contains_key(trimmed.as_ref()));
                let is_one_of = |list: &[String]| short && !means_something && list.iter().any(|w| *w == trimmed);
                if trimmed.is_empty() || is_one_of(&self.empty) {
                    return None;
                }
                if is_one_of(&self.unknown) {
                    return Some(Filled::Bad(FindingKind::UnknownValue));
                }
                if text.starts_with('#')
                    && matches!(trimmed.as_ref(), "#REF!" | "#N/A" | "#VALUE!" | "#DIV/0!" | "#NAME?")
                {
                    return Some(Filled::Bad(FindingKind::ErrorValue));
                }
                Filled::Text(text)
            }
            Cell::Number { value, percent } => Filled::Number { value, percent },
            Cell::Date(stamp) => Filled::Date(stamp),
            Cell::Bool(flag) => Filled::Bool(flag),
            Cell::Error => Filled::Bad(FindingKind::ErrorValue),
            Cell::Uncomputed => Filled::Bad(FindingKind::NoResult),
        })
    }

    fn date(&self, cell: &Filled<'_>) -> Normalised {
        let date = match cell {
            Filled::Date(stamp) => date::from_cell(*stamp),
            Filled::Number { value, .. } => date::from_number(*value),
            Filled::Text(text) => date::parse(text, self.year),
            Filled::Bool(_) | Filled::Bad(_) => None,
        };
        match date {
            Some(Date::Known(text)) => Normalised::One(Value::Text(text)),
            Some(Date::Doubtful(text)) => {
                let kind = FindingKind::DoubtfulDate { taken: text.clone() };
                Normalised::Doubtful(Value::Text(text), kind)
            }
            Some(Date::Open) => Normalised::Empty,
            None => Normalised::Bad(FindingKind::BadDate),
        }
    }

    fn lookup(&self, text: &str, list: &str) -> Option<String> {
        let words = self.codes.get(list)?;
        let text = compact(text);
        words.get(text.as_ref()).or_else(|| words.get(unnumbered(&text))).cloned()
    }

    fn code(&self, cell: &Filled<'_>, list: &str) -> Normalised {
        let text = cell.to_text();
        match self.lookup(&text, list) {
            Some(code) => Normalised::One(Value::Text(code)),
            None => Normalised::Doubtful(Value::Text(clean(&text).into_owned()), self.unknown_code(list)),
        }
    }

    fn set(&self, cell: &Filled<'_>, list: &str) -> Normalised {
        let text = cell.to_text();
        // The whole text first: labels such as 班子不健全、书记缺职 hold the separator themselves.
        if let Some(code) = self.lookup(&text, list) {
            return Normalised::Set(vec![code]);
        }
        let mut codes = Vec::new();
        for part in text.split(SEPARATORS).filter(|part| !part.trim().is_empty()) {
            match self.lookup(part, list) {
                Some(code) if !codes.contains(&code) => codes.push(code),
                Some(_) => {}
                None => return Normalised::Bad(self.unknown_code(list)),
            }
        }
        if codes.is_empty() { Normalised::Empty } else { Normalised::Set(codes) }
    }

    fn unknown_code(&self, list: &str) -> FindingKind {
        FindingKind::UnknownCode { allowed: self.allowed.get(list).cloned().unwrap_or_default() }
    }
}

enum Filled<'a> {
    Text(&'a str),
    Number { value: f64, percent: bool },
    Date(crate::workbook::grid::Timestamp),
    Bool(bool),
    Bad(FindingKind),
}

impl Filled<'_> {
    fn to_text(&self) -> String {
        match self {
            Filled::Text(text) => (*text).to_owned(),
            Filled::Number { value, .. } => Decimal::from_f64(*value).map_or_else(|| value.to_string(), Decimal::plain),
            Filled::Date(stamp) => date::from_timestamp(*stamp).unwrap_or_default(),
            Filled::Bool(flag) => if *flag { "是" } else { "否" }.to_owned(),
            Filled::Bad(_) => String::new(),
        }
    }
}

fn one(text: String, make: impl FnOnce(String) -> String) -> Normalised {
    let text = make(text);
    if text.is_empty() { Normalised::Empty } else { Normalised::One(Value::Text(text)) }
}

fn number(cell: &Filled<'_>, make: impl FnOnce(Decimal) -> Option<Value>) -> Normalised {
    let decimal = match cell {
        Filled::Number { value, .. } => Decimal::from_f64(*value),
        Filled::Text(text) => number::parse(text),
        _ => None,
    };
    decimal.and_then(make).map_or(Normalised::Bad(FindingKind::BadNumber), Normalised::One)
}

fn percent(cell: &Filled<'_>) -> Normalised {
    let (decimal, certain) = match cell {
        Filled::Number { value, percent: true } => (Decimal::from_f64(*value).and_then(|d| d.shifted(2)), true),
        Filled::Number { value, percent: false } => (Decimal::from_f64(*value), false),
        Filled::Text(text) => match compact(text).strip_suffix('%') {
            Some(number) => (number::parse(number), true),
            None => (number::parse(text), false),
        },
        _ => (None, true),
    };
    match decimal {
        Some(decimal) if !certain && decimal.is_share() => Normalised::Bad(FindingKind::DoubtfulPercent),
        Some(decimal) => {
            decimal.fixed(2).map_or(Normalised::Bad(FindingKind::BadNumber), |t| Normalised::One(Value::Text(t)))
        }
        None => Normalised::Bad(FindingKind::BadNumber),
    }
}

fn boolean(cell: &Filled<'_>) -> Normalised {
    let flag = match cell {
        Filled::Bool(flag) => Some(*flag),
        Filled::Number { value, .. } => match Decimal::from_f64(*value).and_then(Decimal::integer) {
            Some(1) => Some(true),
            Some(0) => Some(false),
            _ => None,
        },
        Filled::Text(text) => match compact(text).as_ref() {
            "√" | "✓" | "✔" | "是" | "有" | "Y" | "y" | "1" | "●" | "启用" => Some(true),
            "×" | "✗" | "否" | "无" | "没有" | "N" | "n" | "0" | "○" | "停用" => Some(false),
            _ => None,
        },
        _ => None,
    };
    flag.map_or(Normalised::Bad(FindingKind::BadBool), |flag| Normalised::One(Value::Bool(flag)))
}

/// ①因病, 1.因病, (1)因病 → 因病.
fn unnumbered(text: &str) -> &str {
    let rest = text.trim_start_matches(|c: char| matches!(c, '①'..='⑳' | '(' | ')' | '.' | '、') || c.is_ascii_digit());
    if rest.is_empty() { text } else { rest }
}

fn id_card(cell: &Filled<'_>) -> Normalised {
    let text = match cell {
        Filled::Number { value, .. } if *value >= 1e15 => return Normalised::Bad(FindingKind::PrecisionLost),
        other => compact(&other.to_text()).trim_start_matches('\'').to_ascii_uppercase(),
    };
    if text.contains('*') {
        return Normalised::Bad(FindingKind::Masked);
    }
    if text.is_empty() {
        return Normalised::Empty;
    }
    match checks::id_card(&text) {
        Ok(number) => Normalised::One(Value::Text(number)),
        Err(reason) => Normalised::Doubtful(Value::Text(text), FindingKind::BadIdCard { reason }),
    }
}

/// A code that fails its standard is kept as it is, with a finding.
fn checked(
    code: Normalised,
    check: impl FnOnce(&str) -> Result<String, checks::Fault>,
    kind: impl FnOnce(checks::Fault) -> FindingKind,
) -> Normalised {
    let Normalised::One(Value::Text(text)) = code else { return code };
    match check(&text) {
        Ok(code) => Normalised::One(Value::Text(code)),
        Err(fault) => Normalised::Doubtful(Value::Text(text), kind(fault)),
    }
}

fn code_text(cell: &Filled<'_>) -> Normalised {
    match cell {
        Filled::Number { value, .. } if *value >= 1e15 => Normalised::Bad(FindingKind::PrecisionLost),
        other => one(other.to_text(), |t| compact(&t).trim_start_matches('\'').to_ascii_uppercase()),
    }
}

fn phone(cell: &Filled<'_>) -> Normalised {
    let text = cell.to_text();
    if text.contains('*') {
        return Normalised::Bad(FindingKind::Masked);
    }
    // Blanks inside one number: 138 0000 0000.
    if let Some(number) = checks::phone(&compact(&text)) {
        return Normalised::One(Value::Text(number));
    }
    let parts: Vec<String> =
        text.split(SEPARATORS).map(|part| compact(part).into_owned()).filter(|part| !part.is_empty()).collect();
    let numbers: Vec<Option<String>> = parts.iter().map(|part| checks::phone(part)).collect();
    let is_mobile = |number: &Option<String>| number.as_deref().is_some_and(|n| n.starts_with('1') && n.len() == 11);
    let first = numbers.iter().position(is_mobile).or_else(|| numbers.iter().position(Option::is_some));
    match first.and_then(|at| Some((at, numbers[at].clone()?))) {
        Some((at, number)) => {
            let rest: Vec<&str> =
                (0..parts.len()).filter(|i| *i != at).map(|i| numbers[i].as_deref().unwrap_or(&parts[i])).collect();
            Normalised::First(Value::Text(number), rest.join("、"), FindingKind::SeveralPhones)
        }
        None => Normalised::Doubtful(Value::Text(clean(&text).into_owned()), FindingKind::BadPhone),
    }
}

/// What a finding may show of a value: restricted columns only their ends.
pub fn masked(text: &str, sensitivity: Sensitivity) -> String {
    let count = text.chars().count();
    if sensitivity < Sensitivity::S3 || count == 0 {
        return text.chars().take(60).collect();
    }
    if count < 12 {
        return "***".to_owned();
    }
    let chars: Vec<char> = text.chars().take(40).collect();
    let head: String = chars[..6].iter().collect();
    let tail: String = chars[chars.len() - 4..].iter().collect();
    format!("{head}{}{tail}", "*".repeat(chars.len() - 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restricted_values_are_masked_in_findings() {
        assert_eq!(masked("340099198001010013", Sensitivity::S3), "340099********0013");
        assert_eq!(masked("青山镇青石村", Sensitivity::S3), "***");
        assert_eq!(masked("张三", Sensitivity::S1), "张三");
    }
}
