//! Text as it is compared and stored.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

/// NFKC without any white space: how headers, codes and numbers are compared.
pub fn compact(text: &str) -> Cow<'_, str> {
    let plain = !text.chars().any(is_space) && (text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes);
    if plain {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfkc().filter(|c| !is_space(*c)).collect())
}

/// NFC, outer white space gone: how free text is stored.
pub fn clean(text: &str) -> Cow<'_, str> {
    let trimmed = text.trim_matches(is_space);
    if trimmed.is_ascii() || is_nfc_quick(trimmed.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(trimmed);
    }
    Cow::Owned(trimmed.nfc().collect())
}

/// White space, zero-width characters and the `_x000D_` of old exports' carriage returns.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{feff}' | '\u{2060}')
}

/// A person's name: no padding inside two- and three-character names, one kind of middle dot.
pub fn person(text: &str) -> String {
    let name: String =
        clean(text).chars().map(|c| if matches!(c, '•' | '‧' | '・' | '．' | '∙') { '·' } else { c }).collect();
    if name.is_ascii() { name } else { name.chars().filter(|c| !is_space(*c)).collect() }
}

/// An organisation's name as natural keys compare it: the seal's long forms become the short ones, and the
/// reporting unit's own name in front is dropped.
pub fn organisation(name: &str, reporting_unit: Option<&str>) -> String {
    let compacted = compact(name);
    let mut name = compacted.as_ref();
    for prefix in ["中国共产党", "中共"] {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    if let Some(unit) = reporting_unit {
        let unit = stem(unit);
        if let Some(rest) = name.strip_prefix(unit.as_str()).filter(|rest| !rest.is_empty() && !unit.is_empty()) {
            name = rest;
        }
    }
    for (long, short) in [("总支部委员会", "党总支"), ("支部委员会", "党支部"), ("委员会", "党委")]
    {
        if let Some(stem) = name.strip_suffix(long) {
            // “…村党支部委员会” and “…村支部委员会” are the same.
            return format!("{}{short}", stem.strip_suffix('党').unwrap_or(stem));
        }
    }
    name.to_owned()
}

/// 青山镇 out of 中共青山镇委员会.
pub fn stem(unit: &str) -> String {
    let compacted = compact(unit);
    let mut name = compacted.as_ref();
    for prefix in ["中国共产党", "中共"] {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    for suffix in ["工作委员会", "委员会", "党工委", "党委", "工委"] {
        if let Some(stem) = name.strip_suffix(suffix).filter(|stem| !stem.is_empty()) {
            return stem.to_owned();
        }
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_meet_in_their_short_form() {
        for (given, unit, expected) in [
            ("中共青山镇青石村支部委员会", Some("中共青山镇委员会"), "青石村党支部"),
            ("青石村党支部", Some("青山镇"), "青石村党支部"),
            ("青石村 党支部委员会", None, "青石村党支部"),
            ("中国共产党白水镇中心社区总支部委员会", Some("白水镇党委"), "中心社区党总支"),
            ("中共驻沪委员会", None, "驻沪党委"),
        ] {
            assert_eq!(organisation(given, unit), expected, "{given}");
        }
    }

    #[test]
    fn padding_and_dots_in_names() {
        for (given, expected) in [
            ("张　三", "张三"),
            (" 欧阳 娜娜 ", "欧阳娜娜"),
            ("阿依古丽•买买提", "阿依古丽·买买提"),
            ("Li Lei", "Li Lei"),
        ] {
            assert_eq!(person(given), expected);
        }
    }
}
