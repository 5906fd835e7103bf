//! Whether two records with one key are of the same person: a number that was mistyped may be somebody else's.

use sync_protocol::{
    Value,
    catalogue::{Column, ColumnType, Ledger},
    checks::{Holder, holder},
    shape,
};

use crate::{names, text::compact};

/// The code list of the sexes.
const SEX: &str = "sex";
/// The column of the birth date, in every ledger of persons.
const BIRTH_DATE: &str = "birth_date";
/// Digits from which a wrong number was meant to be one.
const NUMBER_MIN: usize = 15;

/// The columns that tell the records of a ledger apart beside their keys.
pub(crate) struct Telling<'l> {
    name: Option<&'l Column>,
    sex: Option<&'l Column>,
    birth_date: Option<&'l Column>,
    /// Columns of keys that have a check.
    numbers: Vec<&'l Column>,
}

/// What a record says in a column.
pub(crate) type Says<'a, 'v> = &'a dyn Fn(&str) -> Option<&'v Value>;

impl<'l> Telling<'l> {
    pub(crate) fn of(ledger: &'l Ledger) -> Self {
        let mut in_keys = ledger.keys.iter().flatten().filter_map(|key| ledger.column(key));
        let numbers: Vec<&Column> = in_keys
            .clone()
            .filter(|column| matches!(column.column_type, ColumnType::IdCard | ColumnType::Uscc))
            .collect();
        let person = in_keys.clone().find(|column| column.column_type == ColumnType::Person);
        let Some(person) = person else {
            // A unit under somebody else's credit code.
            let is_named = |key: &[String]| {
                let [only] = key else { return None };
                ledger.column(only).filter(|column| column.column_type == ColumnType::Text)
            };
            let by_code = in_keys.any(|column| column.column_type == ColumnType::Uscc);
            let name = ledger.keys.iter().find_map(|key| is_named(key)).filter(|_| by_code);
            return Self { name, sex: None, birth_date: None, numbers };
        };
        let sex = ledger.columns.iter().find(|column| column.column_type.list() == Some(SEX));
        Self { name: Some(person), sex, birth_date: ledger.column(BIRTH_DATE), numbers }
    }

    /// The columns that are looked at.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &'l Column> {
        [self.name, self.sex, self.birth_date].into_iter().flatten().chain(self.numbers.iter().copied())
    }

    /// The name of a record, if it is one.
    pub(crate) fn name_of<'v>(&self, says: impl Fn(&str) -> Option<&'v Value>) -> Option<&'v str> {
        let column = self.name?;
        says(&column.key)?.as_text().filter(|text| shape::identifies(&column.column_type, text))
    }

    /// Whether it says the very same as one that is stored, name, sex and birth date.
    pub(crate) fn is_equal(&self, record: Says<'_, '_>, stored: Says<'_, '_>) -> bool {
        let is_same = |column: &&Column| record(&column.key) == stored(&column.key);
        [self.name, self.sex, self.birth_date].iter().flatten().all(is_same)
    }

    /// The titles of the columns in which a record differs from one that is stored under the same key, so that it may be
    /// somebody else's. What a valid identity number says itself decides who is right about sex and birth date.
    pub(crate) fn differing(&self, record: Says<'_, '_>, stored: Says<'_, '_>) -> Vec<String> {
        let text = |says: Says<'_, '_>, column: &Column| {
            let text = says(&column.key)?.as_text()?.to_owned();
            shape::identifies(&column.column_type, &text).then_some(text)
        };
        let both = |column: &Column| Some((text(record, column)?, text(stored, column)?));
        let id_card = self.numbers.iter().find(|column| column.column_type == ColumnType::IdCard);
        let number = id_card.and_then(|column| both(column)).filter(|(a, b)| a == b).map(|(number, _)| number);
        let holder = number.as_deref().and_then(holder);
        let by_number = |of: fn(&Holder) -> &str| holder.as_ref().map(of);
        let mut differing = Vec::new();
        let mut note = |column: &Column| differing.push(column.title.clone());
        if let Some(column) = self.name
            && let Some((own, known)) = both(column)
        {
            let is_same = match column.column_type {
                ColumnType::Person => names::same(&own, &known),
                _ => is_same_unit(&own, &known),
            };
            if !is_same {
                note(column);
            }
        }
        if let Some(column) = self.sex
            && let Some((own, known)) = both(column)
            && own != known
            && by_number(|holder| holder.sex).is_none_or(|sex| sex != own)
            && [&own, &known].iter().all(|code| ["1", "2"].contains(&code.as_str()))
        {
            note(column);
        }
        if let Some(column) = self.birth_date
            && let Some((own, known)) = both(column)
            && !is_same_date(&own, &known)
            && by_number(|holder| &holder.birth_date).is_none_or(|date| !is_same_date(date, &own))
        {
            note(column);
        }
        for column in &self.numbers {
            let meant = |says: Says<'_, '_>| says(&column.key).and_then(Value::as_text).and_then(meant_number);
            if let (Some(own), Some(known)) = (meant(record), meant(stored))
                && own != known
                && !shape::is_rounded(&own, &known)
                && !shape::is_rounded(&known, &own)
            {
                note(column);
            }
        }
        differing
    }
}

/// A number as somebody meant it, even if it fails its check; nothing for what stands in for one.
fn meant_number(text: &str) -> Option<String> {
    let number = compact(text).to_ascii_uppercase();
    let is_code = number.len() >= NUMBER_MIN && number.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_code && !shape::is_run(&number)).then_some(number)
}

/// Dates agree as far as both go.
fn is_same_date(a: &str, b: &str) -> bool {
    let known = a.len().min(b.len());
    known > 0 && a.as_bytes()[..known] == b.as_bytes()[..known]
}

/// A unit's name may be written shorter, or with the county before it.
fn is_same_unit(a: &str, b: &str) -> bool {
    let name = |text: &str| -> String { compact(text).chars().filter(|c| c.is_alphanumeric()).collect() };
    let (a, b) = (name(a), name(b));
    a.contains(&b) || b.contains(&a)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sync_protocol::catalogue::Catalogue;

    use super::*;

    #[test]
    fn a_key_that_meets_somebody_else() {
        let catalogue = Catalogue::builtin();
        let (card, other) = ("340099198001010013", "340099198001010099");
        for (ledger, own, stored, expected) in [
            ("members", &[("name", "张三"), ("id_card", card)][..], &[("name", "张　三"), ("id_card", card)][..], ""),
            ("members", &[("name", "李四"), ("id_card", card)], &[("name", "张三"), ("id_card", card)], "姓名"),
            ("members", &[("id_card", card)], &[("name", "张三"), ("id_card", card)], ""),
            // The number itself says male: the file sets it right, or is wrong.
            ("members", &[("sex", "1"), ("id_card", card)], &[("sex", "2"), ("id_card", card)], ""),
            ("members", &[("sex", "2"), ("id_card", card)], &[("sex", "1"), ("id_card", card)], "性别"),
            ("members", &[("sex", "2"), ("name", "张三")], &[("sex", "1"), ("name", "张三")], "性别"),
            (
                "members",
                &[("birth_date", "1980-01"), ("id_card", card)],
                &[("birth_date", "1981-02"), ("id_card", card)],
                "",
            ),
            (
                "members",
                &[("birth_date", "1981-02"), ("id_card", card)],
                &[("birth_date", "1980-01"), ("id_card", card)],
                "出生日期",
            ),
            ("members", &[("birth_date", "1980-01-01")], &[("birth_date", "1980")], ""),
            (
                "members",
                &[("name", "张三"), ("id_card", other)],
                &[("name", "张三"), ("id_card", card)],
                "公民身份号码",
            ),
            ("members", &[("name", "张三"), ("id_card", "待补")], &[("name", "张三"), ("id_card", card)], ""),
            (
                "members",
                &[("name", "张三"), ("id_card", "340099198001010000")],
                &[("name", "张三"), ("id_card", card)],
                "",
            ),
            ("units", &[("unit_name", "青山茶叶有限公司")], &[("unit_name", "青山县青山茶叶有限公司")], ""),
            ("units", &[("unit_name", "白水粮油有限公司")], &[("unit_name", "青山茶叶有限公司")], "单位名称"),
        ] {
            let ledger = catalogue.ledger(ledger).expect("a ledger");
            let cells = |cells: &[(&'static str, &str)]| -> BTreeMap<&'static str, Value> {
                cells.iter().map(|(key, text)| (*key, Value::text(*text))).collect()
            };
            let (own, stored) = (cells(own), cells(stored));
            let found = Telling::of(ledger).differing(&|key| own.get(key), &|key| stored.get(key));
            assert_eq!(found.join("、"), expected, "{own:?} {stored:?}");
        }
    }
}
