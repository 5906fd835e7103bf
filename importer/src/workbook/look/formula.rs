//! Formulas as every program writes them alike.

use crate::workbook::grid::{address, position};

/// A formula without what programs write differently: blanks, dollar signs, small letters, the marks of OpenDocument.
pub(super) fn normalised(formula: &str) -> String {
    let formula = formula.trim();
    let formula = formula.strip_prefix("of:").or_else(|| formula.strip_prefix("oooc:")).map_or_else(
        || formula.strip_prefix('=').unwrap_or(formula).to_owned(),
        |rest| of_spreadsheets(rest.strip_prefix('=').unwrap_or(rest)),
    );
    let mut out = String::new();
    let mut quote = None;
    for c in formula.chars() {
        match quote {
            Some(mark) => {
                out.push(c);
                if c == mark {
                    quote = None;
                }
            }
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                out.push(c);
            }
            None if c.is_whitespace() || c == '$' => {}
            None => out.extend(c.to_uppercase()),
        }
    }
    unquoted(&out)
}

/// `[.A1:.B2]` as `A1:B2`, `['S'.A1]` as `'S'!A1`, `;` as `,`.
fn of_spreadsheets(formula: &str) -> String {
    let mut out = String::new();
    let (mut quote, mut in_reference) = (None, false);
    let mut before = ' ';
    for c in formula.chars() {
        match (quote, c) {
            (Some(mark), _) => {
                out.push(c);
                if c == mark {
                    quote = None;
                }
            }
            (None, '"' | '\'') => {
                quote = Some(c);
                out.push(c);
            }
            (None, '[') => in_reference = true,
            (None, ']') => in_reference = false,
            (None, '.') if in_reference && matches!(before, '[' | ':') => {}
            (None, '.') if in_reference => out.push('!'),
            (None, ';') => out.push(','),
            _ => out.push(c),
        }
        before = c;
    }
    out
}

/// Names of sheets without the quotes that they do not need everywhere.
fn unquoted(formula: &str) -> String {
    let mut out = String::new();
    let mut rest = formula;
    while let Some(at) = rest.find(['\'', '"']) {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        let mark = if tail.starts_with('"') { '"' } else { '\'' };
        let Some(end) = tail.get(1..).and_then(|inside| inside.find(mark)) else {
            out.push_str(tail);
            return out;
        };
        let (quoted, next) = tail.split_at(end + 2);
        let name = quoted.trim_matches('\'');
        if mark == '\'' && next.starts_with('!') && name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            out.push_str(name);
        } else {
            out.push_str(quoted);
        }
        rest = next;
    }
    out + rest
}

/// A formula that is written once for several cells, as it is in a cell so many rows and columns further.
pub(super) fn shifted(formula: &str, rows: i64, columns: i64) -> String {
    let mut out = String::new();
    let mut word = String::new();
    let mut quote = None;
    for c in formula.chars() {
        if let Some(mark) = quote {
            out.push(c);
            if c == mark {
                quote = None;
            }
        } else if c.is_ascii_alphanumeric() || matches!(c, '$' | '_' | '.') || !c.is_ascii() {
            word.push(c);
        } else {
            // A word before a bracket is a function, before `!` a sheet.
            let is_cell = !matches!(c, '(' | '!');
            out.push_str(&if is_cell { moved(&word, rows, columns) } else { word.clone() });
            word.clear();
            if matches!(c, '"' | '\'') {
                quote = Some(c);
            }
            out.push(c);
        }
    }
    out + &moved(&word, rows, columns)
}

/// `A1` moved, and `$A1` and the like as far as they move.
fn moved(word: &str, rows: i64, columns: i64) -> String {
    let bare = word.replace('$', "").to_uppercase();
    let Some((row, column)) = position(&bare) else { return word.to_owned() };
    let is_row_fixed = word.get(1..).is_some_and(|rest| rest.contains('$'));
    let is_column_fixed = word.starts_with('$');
    let row = i64::from(row) + if is_row_fixed { 0 } else { rows };
    let column = i64::from(column) + if is_column_fixed { 0 } else { columns };
    match (u32::try_from(row), u16::try_from(column)) {
        (Ok(row), Ok(column)) => address(row, column),
        _ => "#REF!".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_write_the_same_formula_differently() {
        for (written, expected) in [
            ("=SUM(C8:C10, C12)", "SUM(C8:C10,C12)"),
            ("of:=SUM([.C8:.C10];[.C12])", "SUM(C8:C10,C12)"),
            ("of:=IF([.C8]=0;\"— a\";[$'R24 全县'.C9])", "IF(C8=0,\"— a\",'R24 全县'!C9)"),
            ("'全县'!C9-全县!$C$8", "全县!C9-全县!C8"),
            ("of:=[.C8]/0.5", "C8/0.5"),
        ] {
            assert_eq!(normalised(written), expected);
        }
        assert_eq!(shifted("IF(G8=0,\"A1\",$H8/G$8)", 2, 1), "IF(H10=0,\"A1\",H10/H8)");
        assert_eq!(shifted("LOG10(A1)+A1", 1, 0), "LOG10(A2)+A2");
    }
}
