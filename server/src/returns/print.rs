//! Values as they are printed, and masked where the receiver does not need them.

use importer::{
    mask::shown,
    workbook::write::{Out, Style},
};
use sync_protocol::{
    Row, Value,
    catalogue::{Catalogue, Column, ColumnType, Sensitivity},
};

/// What a column of a row prints.
pub(super) fn cell(catalogue: &Catalogue, column: &Column, row: &Row, clearance: Sensitivity) -> (Out, Style) {
    let text = if let ColumnType::Multi(list) = &column.column_type {
        let list = catalogue.list(list);
        let labels = row.members(&column.key).map(|code| list.map_or(code, |list| list.label(code)));
        labels.collect::<Vec<_>>().join("、")
    } else {
        row.get(&column.key).map(|value| printed(catalogue, column, value)).unwrap_or_default()
    };
    if column.sensitivity > clearance {
        return (Out::Text(shown(&text, &column.column_type, column.sensitivity, clearance)), Style::Text);
    }
    if column.column_type.prints_as_text() {
        return (Out::Text(text), Style::Text);
    }
    match text.parse::<f64>() {
        Ok(number) => (Out::Number(number), Style::Decimal),
        Err(_) => (Out::Text(text), Style::Decimal),
    }
}

/// One value in its printed form: labels for codes, `2012.3.1` for dates, 万元 for large amounts.
pub(super) fn printed(catalogue: &Catalogue, column: &Column, value: &Value) -> String {
    let text = value.to_string();
    match &column.column_type {
        ColumnType::Enum(list) => catalogue.list(list).map_or(text.clone(), |list| list.label(&text).to_owned()),
        ColumnType::Date | ColumnType::PDate => date(&text),
        ColumnType::MoneyWan => importer::number::Decimal::parse(&text)
            .and_then(|yuan| yuan.divided(4))
            .map_or(text, importer::number::Decimal::plain),
        _ => text,
    }
}

/// `yyyy.m.d` with day precision, `yyyy.mm` with month precision, `yyyy` with year precision.
pub(super) fn date(text: &str) -> String {
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [year, month, day] => format!("{year}.{}.{}", month.trim_start_matches('0'), day.trim_start_matches('0')),
        [year, month] => format!("{year}.{month}"),
        _ => text.to_owned(),
    }
}
