//! Number formats: their codes as every program writes them alike.

/// The codes that a number stands for, as far as programs use them without writing them.
pub(super) fn built_in(id: u32) -> Option<&'static str> {
    Some(match id {
        0 => GENERAL,
        1 => "0",
        2 => "0.00",
        3 => "#,##0",
        4 => "#,##0.00",
        9 => "0%",
        10 => "0.00%",
        11 => "0.00E+00",
        49 => "@",
        _ => return None,
    })
}

pub(super) const GENERAL: &str = "General";

/// A code without what is written differently and shows the same.
pub(super) fn normalised(code: &str) -> String {
    let code = code.trim();
    if code.is_empty() || code.eq_ignore_ascii_case("general") || code.eq_ignore_ascii_case("standard") {
        return GENERAL.to_owned();
    }
    code.to_owned()
}

/// The format of a cell: a text is shown alike by both that have nothing for texts.
pub(super) fn of_value<'c>(code: &'c str, says: &str) -> &'c str {
    match code {
        GENERAL | "@" if says.starts_with('t') => "",
        GENERAL => "",
        code => code,
    }
}
