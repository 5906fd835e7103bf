//! Records that are stored twice, however they came in: by hand on a phone, from two files, by two offices at once.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use sync_protocol::{
    Row, RowId, UnitId,
    catalogue::{ColumnType, Ledger},
};

use crate::{
    matching::{key_text, keys},
    memory::{Candidate, Doubt},
    same::Telling,
};

/// Two records that may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    /// The question; its only candidate is the record that says more.
    pub doubt: Doubt,
    /// The record that says less.
    pub row: RowId,
}

/// The rows of one unit that share a natural key with a person's name or a checked number in it, and differ in nothing that
/// tells people apart: neither in a stronger key nor in name, sex, birth date or identity number. Each row is named once,
/// beside the first that it may be; `is_apart` knows the questions that somebody has answered with no.
pub fn probable_duplicates(
    ledger: &Ledger,
    unit: UnitId,
    secret: &[u8],
    rows: &[Row],
    is_apart: &dyn Fn(RowId) -> bool,
) -> Vec<Twin> {
    let telling = Telling::of(ledger);
    let mut standing: Vec<(&Row, Vec<Option<Vec<String>>>)> =
        rows.iter().filter(|row| row.stands()).map(|row| (row, keys(ledger, |column| row.get(column)))).collect();
    // Who says more stays: by the strongest key, then by how much is filled in.
    standing.sort_by_key(|(row, keys)| {
        let strongest = keys.iter().position(Option::is_some).unwrap_or(keys.len());
        let filled = row.cells.values().filter(|value| !value.is_null()).count();
        (strongest, Reverse(filled), row.id)
    });
    let mut twins = Vec::new();
    let mut named = BTreeSet::new();
    for number in (0..ledger.keys.len()).filter(|number| tells(ledger, &ledger.keys[*number])) {
        let mut alike: BTreeMap<&Vec<String>, Vec<usize>> = BTreeMap::new();
        for (at, (_, keys)) in standing.iter().enumerate() {
            if let Some(parts) = &keys[number] {
                alike.entry(parts).or_default().push(at);
            }
        }
        for group in alike.into_values().filter(|group| group.len() > 1) {
            for (position, at) in group.iter().enumerate() {
                let (row, keys) = &standing[*at];
                let may_be = |other: &&usize| {
                    let (other, others) = &standing[**other];
                    let agrees = keys[..number].iter().zip(others).all(|(a, b)| a.is_none() || b.is_none() || a == b);
                    agrees
                        && telling.differing(&|column| row.get(column), &|column| other.get(column)).is_empty()
                        && !is_apart(question(secret, ledger, unit, row.id, other.id))
                };
                let Some(other) = group[..position].iter().find(may_be) else { continue };
                if named.insert(row.id) {
                    twins.push(twin(ledger, unit, secret, row, standing[*other].0));
                }
            }
        }
    }
    twins
}

/// Whether a key names one person or one unit.
fn tells(ledger: &Ledger, key: &[String]) -> bool {
    let is_telling = |column: &String| {
        let column = ledger.column(column);
        column.is_some_and(|c| matches!(c.column_type, ColumnType::Person | ColumnType::IdCard | ColumnType::Uscc))
    };
    key.iter().any(is_telling)
}

/// The same question whichever of the two says more today.
fn question(secret: &[u8], ledger: &Ledger, unit: UnitId, a: RowId, b: RowId) -> RowId {
    let [first, second] = if a < b { [a, b] } else { [b, a] }.map(|row| row.to_string());
    RowId::derive(secret, &ledger.id, &["twins", &unit.to_string(), &first, &second])
}

fn twin(ledger: &Ledger, unit: UnitId, secret: &[u8], row: &Row, other: &Row) -> Twin {
    let candidate = Candidate { row: other.id, record: key_text(ledger, |column| other.get(column)) };
    let doubt = Doubt {
        id: question(secret, ledger, unit, row.id, other.id),
        unit,
        sheet: String::new(),
        cell: String::new(),
        ledger: ledger.title.clone(),
        record: key_text(ledger, |column| row.get(column)),
        candidates: vec![candidate],
    };
    Twin { doubt, row: row.id }
}

#[cfg(test)]
mod tests {
    use sync_protocol::{Value, catalogue::Catalogue};

    use super::*;

    fn row(number: u8, cells: &[(&str, &str)]) -> Row {
        let mut row = Row::new(RowId::random([number; 10]));
        row.cells.extend(cells.iter().map(|(key, text)| ((*key).to_owned(), Value::text(*text))));
        row
    }

    /// Pairs by the numbers of their rows: who says less, and who says more.
    fn found(ledger: &str, rows: &[Row], is_apart: &dyn Fn(RowId) -> bool) -> Vec<(usize, usize)> {
        let catalogue = Catalogue::builtin();
        let ledger = catalogue.ledger(ledger).expect("a ledger");
        let number = |id: RowId| rows.iter().position(|row| row.id == id).expect("a row");
        let twins = probable_duplicates(ledger, UnitId::from_bytes([1; 16]), b"k", rows, is_apart);
        twins.iter().map(|twin| (number(twin.row), number(twin.doubt.candidates[0].row))).collect()
    }

    #[test]
    fn two_records_of_one_person_are_found_and_two_persons_are_not() {
        let born = ("birth_date", "1980-01-01");
        let (card, other) = (("id_card", "340099198001010013"), ("id_card", "34009919800101003X"));
        let never = |_: RowId| false;
        for (a, b, expected) in [
            (vec![("name", "张三"), born, card], vec![("name", "张　三"), born], true),
            (vec![("name", "张三"), born], vec![("name", "张三（已故）"), born], true),
            (vec![("name", "张三"), born, card], vec![("name", "张三"), born, ("id_card", "待补")], true),
            (vec![("name", "张三"), born, card], vec![("name", "张三"), born, other], false),
            (vec![("name", "张三"), born, ("sex", "1")], vec![("name", "张三"), born, ("sex", "2")], false),
            (vec![("name", "张三"), born], vec![("name", "张三"), ("birth_date", "1981-01-01")], false),
            (vec![("name", "张三"), born], vec![("name", "李四"), born], false),
            (vec![("name", "张三"), born], vec![("name", "张三"), born, ("@state", "void")], false),
            (vec![("name", "待补"), born], vec![("name", "待补"), born], false),
        ] {
            let rows = [row(1, &a), row(2, &b)];
            assert_eq!(found("members", &rows, &never).len(), usize::from(expected), "{a:?} {b:?}");
        }
        let rows = [
            row(1, &[("name", "张三"), born]),
            row(2, &[("name", "张三"), born, card]),
            row(3, &[("name", "张三"), born]),
        ];
        assert_eq!(found("members", &rows, &never), [(0, 1), (2, 1)], "beside the one that says more");
        let always = |_: RowId| true;
        assert_eq!(found("members", &rows, &always), [], "they were said to be others");
        assert_eq!(found("grading", &[row(1, &[("round", "initial")]), row(2, &[("round", "initial")])], &never), []);
    }
}
