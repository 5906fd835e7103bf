//! Values as they are printed in returns, and so as they come back in them.

use sync_protocol::{
    Row, Value,
    catalogue::{Catalogue, Column, ColumnType, Sensitivity},
};

use crate::{mask::shown, number::Decimal};

/// What a column of a row says, to somebody who sees this class in clear.
pub fn text(catalogue: &Catalogue, column: &Column, row: &Row, clearance: Sensitivity) -> String {
    let text = if let ColumnType::Multi(list) = &column.column_type {
        let list = catalogue.list(list);
        let labels = row.members(&column.key).map(|code| list.map_or(code, |list| list.label(code)));
        labels.collect::<Vec<_>>().join("、")
    } else {
        row.get(&column.key).map(|value| printed(catalogue, column, value)).unwrap_or_default()
    };
    shown(&text, &column.column_type, column.sensitivity, clearance)
}

/// One value in its printed form: labels for codes, `2012.3.1` for dates, 万元 for large amounts.
pub fn printed(catalogue: &Catalogue, column: &Column, value: &Value) -> String {
    let text = value.to_string();
    match &column.column_type {
        ColumnType::Enum(list) => catalogue.list(list).map_or(text.clone(), |list| list.label(&text).to_owned()),
        ColumnType::Date | ColumnType::PDate => date(&text),
        ColumnType::MoneyWan => Decimal::parse(&text).and_then(|yuan| yuan.divided(4)).map_or(text, Decimal::plain),
        _ => text,
    }
}

/// `yyyy.m.d` with day precision, `yyyy.mm` with month precision, `yyyy` with year precision.
pub fn date(text: &str) -> String {
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [year, month, day] => format!("{year}.{}.{}", month.trim_start_matches('0'), day.trim_start_matches('0')),
        [year, month] => format!("{year}.{month}"),
        _ => text.to_owned(),
    }
}
