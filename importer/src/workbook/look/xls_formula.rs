//! Formulas of an .xls: the tokens that returns are made of. What else there is is named by its number, and so is told.

use std::collections::BTreeMap;

use super::xls::word;
use crate::workbook::grid::address;

/// Formulas that are written once for several cells, by the first of these.
pub(super) type Shared = BTreeMap<(u16, u16), Vec<u8>>;

/// Operators of two operands, from 0x03 on.
const OPERATORS: [&str; 12] = ["+", "-", "*", "/", "^", "&", "<", "<=", "=", ">=", ">", "<>"];

fn function(number: u16) -> String {
    match number {
        0 => "COUNT".to_owned(),
        1 => "IF".to_owned(),
        4 => "SUM".to_owned(),
        5 => "AVERAGE".to_owned(),
        6 => "MIN".to_owned(),
        7 => "MAX".to_owned(),
        27 => "ROUND".to_owned(),
        other => format!("F{other}"),
    }
}

/// The cell that two words mean, seen from a cell: their upper bits say which of them is counted from it.
fn reference(row: u16, column: u16, from: Option<(u16, u16)>) -> String {
    let (row, column) = match from {
        None => (row, column & 0x3fff),
        Some((own_row, own_column)) => {
            let is_row_moved = column & 0x8000 != 0;
            let is_column_moved = column & 0x4000 != 0;
            let low = column & 0xff;
            // Sheets of this format have 256 columns, and what goes beyond an end begins at the other.
            let column = if is_column_moved { (own_column + low) & 0xff } else { low };
            (if is_row_moved { own_row.wrapping_add(row) } else { row }, column)
        }
    };
    address(u32::from(row), column)
}

/// A formula in the words of the other formats.
pub(super) fn said(tokens: &[u8], cell: (u16, u16), shared: &Shared) -> String {
    if let [0x01, place @ ..] = tokens {
        let first = word(place, 0).zip(word(place, 2));
        return match first.and_then(|first| shared.get(&first)) {
            Some(tokens) => parsed(tokens, Some(cell)).unwrap_or_else(|token| format!("?{token}")),
            None => "?shared".to_owned(),
        };
    }
    parsed(tokens, None).unwrap_or_else(|token| format!("?{token}"))
}

/// The formula, or the token that is not known.
fn parsed(tokens: &[u8], cell: Option<(u16, u16)>) -> Result<String, u8> {
    let mut stack: Vec<String> = Vec::new();
    let mut rest = tokens;
    while let Some((token, data)) = rest.split_first() {
        let token = *token;
        let unknown = || token;
        let number = |at: usize| word(data, at).ok_or(token);
        // What stands behind the token and its contents.
        let length = match token {
            0x03..=0x0e => {
                let right = stack.pop().ok_or_else(unknown)?;
                let left = stack.pop().ok_or_else(unknown)?;
                let operator = OPERATORS.get(usize::from(token - 3)).ok_or_else(unknown)?;
                stack.push(format!("{left}{operator}{right}"));
                0
            }
            0x13 => {
                let operand = stack.pop().ok_or_else(unknown)?;
                stack.push(format!("-{operand}"));
                0
            }
            0x15 => {
                let operand = stack.pop().ok_or_else(unknown)?;
                stack.push(format!("({operand})"));
                0
            }
            0x17 => {
                let text = super::xls::string(data, false).ok_or(token)?;
                let wide = data.get(1).is_some_and(|flags| flags & 1 != 0);
                let length = usize::from(*data.first().ok_or(token)?);
                stack.push(format!("\"{}\"", text.replace('"', "\"\"")));
                2 + if wide { 2 * length } else { length }
            }
            0x19 => match data.first().copied().ok_or(token)? {
                0x10 => {
                    let operand = stack.pop().ok_or_else(unknown)?;
                    stack.push(format!("SUM({operand})"));
                    3
                }
                0x04 => 3 + 2 * (usize::from(number(1)?) + 1),
                _ => 3,
            },
            0x1e => {
                stack.push(number(0)?.to_string());
                2
            }
            0x1f => {
                let bytes: [u8; 8] = data.get(..8).and_then(|bytes| bytes.try_into().ok()).ok_or(token)?;
                stack.push(f64::from_le_bytes(bytes).to_string());
                8
            }
            0x24 | 0x44 | 0x64 => {
                stack.push(reference(number(0)?, number(2)?, None));
                4
            }
            0x2c | 0x4c | 0x6c => {
                stack.push(reference(number(0)?, number(2)?, cell));
                4
            }
            0x25 | 0x45 | 0x65 | 0x2d | 0x4d | 0x6d => {
                let from = cell.filter(|_| token & 0x0f == 0x0d);
                let corner = |row, column| Ok::<_, u8>(reference(number(row)?, number(column)?, from));
                stack.push(format!("{}:{}", corner(0, 4)?, corner(2, 6)?));
                8
            }
            0x22 | 0x42 | 0x62 => {
                let count = usize::from(*data.first().ok_or(token)?);
                let at = stack.len().checked_sub(count).ok_or(token)?;
                let operands = stack.split_off(at).join(",");
                stack.push(format!("{}({operands})", function(number(1)?)));
                3
            }
            _ => return Err(token),
        };
        rest = data.get(length..).ok_or(token)?;
    }
    match stack.len() {
        1 => stack.pop().ok_or(0),
        _ => Err(0),
    }
}
