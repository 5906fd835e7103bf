//! Cells as they are printed, and masked where the receiver does not need them.

use importer::{
    print,
    workbook::write::{Out, Style},
};
use sync_protocol::{
    Row,
    catalogue::{Catalogue, Column, Sensitivity},
};

/// What a column of a row prints.
pub(super) fn cell(catalogue: &Catalogue, column: &Column, row: &Row, clearance: Sensitivity) -> (Out, Style) {
    let text = print::text(catalogue, column, row, clearance);
    if column.sensitivity > clearance || column.column_type.prints_as_text() {
        return (Out::Text(text), Style::Text);
    }
    match text.parse::<f64>() {
        Ok(number) => (Out::Number(number), Style::Decimal),
        Err(_) => (Out::Text(text), Style::Decimal),
    }
}
