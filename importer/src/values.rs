//! One cell into one canonical value.

use std::collections::HashMap;

use sync_protocol::{
    Value,
    catalogue::{Catalogue, Column, ColumnType, Sensitivity},
    checks,
    shape::{has_lost_tail, is_damaged, is_masked, is_masked_code, is_masked_name, is_placeholder, is_run},
};

use crate::{
    date::{self, Date},
    finding::FindingKind,
    header::Scale,
    names,
    nearest::Nearest,
    number::{self, Decimal},
    text::{clean, compact, person},
    workbook::grid::{Cell, Texts},
};

/// Between several values in one cell, half and full width.
const SEPARATORS: [char; 7] = ['、', ',', '\u{ff0c}', ';', '\u{ff1b}', '/', '\n'];

/// A number of so many digits is a code, and a spreadsheet has cut it.
const LONG_NUMBER: f64 = 1e15;

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
    hints: HashMap<String, Nearest>,
    empty: Vec<String>,
    unknown: Vec<String>,
    year: i16,
}

impl Normaliser {
    /// Builds the word lists.
    pub fn new(catalogue: &Catalogue, year: i16) -> Self {
        let mut codes = HashMap::new();
        let mut hints = HashMap::new();
        let lists = catalogue.ledgers().iter().flat_map(|l| &l.columns).filter_map(|c| c.column_type.list());
        for list in lists.filter_map(|id| catalogue.list(id)) {
            let words: &mut HashMap<String, String> = codes.entry(list.id.clone()).or_default();
            for code in &list.codes {
                for word in [&code.label, &code.code].into_iter().chain(&code.aliases) {
                    words.entry(compact(word).into_owned()).or_insert_with(|| code.code.clone());
                }
            }
            hints.insert(list.id.clone(), Nearest::of(list));
        }
        let words = catalogue.words();
        Self { codes, hints, empty: words.empty.clone(), unknown: words.unknown.clone(), year }
    }

    /// The canonical value of a cell in this column. `scale`: what amounts are in, where the table says so.
    pub fn normalise(&self, cell: Cell, texts: &Texts, column: &Column, scale: Option<Scale>) -> Normalised {
        use ColumnType as T;
        let Some(cell) = self.filled(cell, texts, &column.column_type) else { return Normalised::Empty };
        if let Filled::Bad(kind) = cell {
            return Normalised::Bad(kind);
        }
        if let Some(kind) = self.unusable(&cell, &column.column_type) {
            return Normalised::Bad(kind);
        }
        match &column.column_type {
            T::Text | T::LongText | T::Ref(_) | T::Period | T::DateTime => {
                one(cell.to_text(), |t| clean(&t).into_owned())
            }
            T::Person => name(&cell),
            T::Int => number(&cell, |decimal| decimal.integer().map(Value::Int)),
            T::Decimal => number(&cell, |decimal| Some(Value::Text(decimal.plain()))),
            T::Score => number(&cell, |decimal| decimal.fixed(1).map(Value::Text)),
            T::MoneyYuan | T::MoneyWan => {
                let usual = if matches!(column.column_type, T::MoneyWan) { Scale::Wan } else { Scale::Yuan };
                // 1.2万 and 12000元 say it themselves.
                let explicit = matches!(&cell, Filled::Text(text) if text.contains(['万', '元']));
                number(&cell, |decimal| {
                    let is_wan = scale.unwrap_or(usual) == Scale::Wan && !explicit;
                    let yuan = if is_wan { decimal.shifted(4)? } else { decimal };
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

    /// What is a value nowhere, whatever the column: masked text, and numbers that have lost their last digits. A later
    /// import would take either for what somebody has written.
    fn unusable(&self, cell: &Filled<'_>, column_type: &ColumnType) -> Option<FindingKind> {
        use ColumnType as T;
        let is_code = matches!(column_type, T::IdCard | T::Uscc | T::Division | T::Phone);
        let is_text = is_code || matches!(column_type, T::Text | T::LongText | T::Person | T::Ref(_));
        match cell {
            Filled::Text(text) => {
                let is_known = || column_type.list().is_some_and(|list| self.lookup(text, list).is_some());
                let is_masked = match column_type {
                    T::Person => is_masked_name(text) || is_masked(text),
                    _ if is_code => is_masked_code(text),
                    _ => is_masked(text) && !is_known(),
                };
                if is_masked {
                    return Some(FindingKind::Masked);
                }
                (is_text && is_damaged(text)).then_some(FindingKind::PrecisionLost)
            }
            Filled::Number { value, .. } if is_text && *value >= LONG_NUMBER => Some(FindingKind::PrecisionLost),
            _ => None,
        }
    }

    /// What a cell says under a header that no column claims; `None` for nothing.
    pub(crate) fn extra(&self, text: String, cell: Cell) -> Option<Result<String, FindingKind>> {
        let is_lost = matches!(cell, Cell::Number { value, .. } if value >= LONG_NUMBER);
        if self.empty.contains(&text) {
            None
        } else if is_masked(&text) {
            Some(Err(FindingKind::Masked))
        } else if is_lost || is_damaged(&text) {
            Some(Err(FindingKind::PrecisionLost))
        } else {
            Some(Ok(text))
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
            None => Normalised::Doubtful(Value::Text(clean(&text).into_owned()), self.unknown_code(list, &text)),
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
                None => return Normalised::Bad(self.unknown_code(list, part)),
            }
        }
        if codes.is_empty() { Normalised::Empty } else { Normalised::Set(codes) }
    }

    fn unknown_code(&self, list: &str, text: &str) -> FindingKind {
        FindingKind::UnknownCode { allowed: self.hints.get(list).map(|hints| hints.nearest(text)).unwrap_or_default() }
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

/// A person's name without the note that somebody wrote behind it: 王某某（已故）. The note is kept beside the row.
fn name(cell: &Filled<'_>) -> Normalised {
    let text = cell.to_text();
    let (name, note) = names::split(&text);
    if name.is_empty() {
        return one(text, |t| person(&t));
    }
    match note {
        None => Normalised::One(Value::Text(name)),
        Some(note) => {
            let kind = FindingKind::NameNote { name: name.clone(), note: note.clone() };
            Normalised::First(Value::Text(name), note, kind)
        }
    }
}

fn id_card(cell: &Filled<'_>) -> Normalised {
    let text = compact(&cell.to_text()).trim_start_matches('\'').to_ascii_uppercase();
    if text.is_empty() {
        return Normalised::Empty;
    }
    match checks::id_card(&text) {
        // A sequence of 000 is given to nobody: a spreadsheet has made it, and one check in eleven fits by chance.
        Ok(number) if number.ends_with("0000") => Normalised::Bad(FindingKind::PrecisionLost),
        Ok(number) if has_lost_tail(&number) => Normalised::Doubtful(Value::Text(number), FindingKind::RoundNumber),
        Ok(number) if text.len() == 15 => Normalised::Doubtful(Value::Text(number), FindingKind::Upgraded),
        Ok(number) => Normalised::One(Value::Text(number)),
        Err(reason) => unchecked(text, FindingKind::BadIdCard { reason }),
    }
}

/// A number that fails its standard is kept as it is, unless it stands for none or its last digits are gone.
fn unchecked(text: String, kind: FindingKind) -> Normalised {
    if has_lost_tail(&text) && !is_run(&text) {
        return Normalised::Bad(FindingKind::PrecisionLost);
    }
    Normalised::Doubtful(Value::Text(text), kind)
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
        Err(fault) => unchecked(text, kind(fault)),
    }
}

fn code_text(cell: &Filled<'_>) -> Normalised {
    one(cell.to_text(), |t| compact(&t).trim_start_matches('\'').to_ascii_uppercase())
}

fn phone(cell: &Filled<'_>) -> Normalised {
    let text = cell.to_text();
    let text = text.trim().trim_start_matches(['\'', '’']);
    // Blanks inside one number: 138 0000 0000.
    if let Some(number) = checks::phone(&compact(text)) {
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
        None => Normalised::Doubtful(Value::Text(clean(text).into_owned()), FindingKind::BadPhone),
    }
}

/// Two values that look alike as they are shown, told apart: in words where they are restricted, else by where they differ.
pub(crate) fn told_apart(before: &str, after: &str, sensitivity: Sensitivity) -> (String, String) {
    if sensitivity >= Sensitivity::S3 || before == after {
        return ("（已有值）".to_owned(), "（另一值）".to_owned());
    }
    let same = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count().saturating_sub(10);
    let from = |text: &str| format!("…{}", text.chars().skip(same).take(60).collect::<String>());
    match (from(before), from(after)) {
        (before, after) if before == after => ("（已有值）".to_owned(), "（另一值）".to_owned()),
        told => told,
    }
}

/// What a finding shows of a cell: what says nothing of anybody is shown as it stands, however restricted the column.
pub(crate) fn helpful(text: &str, sensitivity: Sensitivity) -> String {
    if is_masked(text) || is_placeholder(text) || is_damaged(text) || is_run(text) {
        return text.chars().take(60).collect();
    }
    masked(text, sensitivity)
}

/// Characters of a restricted number that are shown.
const SHOWN: usize = 4;

/// What is shown of a value: of a restricted number its first digits, which many have in common, and of other restricted texts
/// nothing. What is hidden must not follow from other columns: of an identity number the middle is the date of birth, and the last
/// digit follows from the others.
pub fn masked(text: &str, sensitivity: Sensitivity) -> String {
    let count = text.chars().count();
    if sensitivity < Sensitivity::S3 || count == 0 {
        return text.chars().take(60).collect();
    }
    if count < 12 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return "***".to_owned();
    }
    format!("{}{}", &text[..SHOWN], "*".repeat(count.min(40) - SHOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restricted_values_are_masked_in_findings() {
        assert_eq!(masked("340099198001010013", Sensitivity::S3), "3400**************");
        assert_eq!(masked("安徽省示范县青山镇青石村七组三号", Sensitivity::S3), "***");
        assert_eq!(masked("青山镇青石村", Sensitivity::S3), "***");
        assert_eq!(masked("张三", Sensitivity::S1), "张三");
        assert_eq!(helpful("3.40099E+17", Sensitivity::S3), "3.40099E+17", "it says nothing of anybody");
        assert_eq!(helpful("待补", Sensitivity::S3), "待补");
        assert_eq!(helpful("青石村3组", Sensitivity::S3), "***");
    }

    #[test]
    fn a_change_is_never_shown_as_two_equal_texts() {
        let words = ("（已有值）".to_owned(), "（另一值）".to_owned());
        assert_eq!(told_apart("青石村3组", "青石村4组", Sensitivity::S3), words);
        let long = "一".repeat(80);
        let (before, after) = told_apart(&format!("{long}甲"), &format!("{long}乙"), Sensitivity::S1);
        assert!(before != after && before.ends_with('甲') && after.ends_with('乙'), "{before} {after}");
    }
}
