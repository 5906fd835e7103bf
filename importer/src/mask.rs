//! What somebody sees of a value whose class is above theirs. A masked value is never taken back: its `*` tells.

use sync_protocol::catalogue::{ColumnType, Sensitivity};

use crate::values::masked;

/// A value as it is shown to somebody who sees this class in clear, and nothing above it.
pub fn shown(text: &str, kind: &ColumnType, class: Sensitivity, clearance: Sensitivity) -> String {
    if class <= clearance || text.is_empty() {
        return text.to_owned();
    }
    match kind {
        ColumnType::Phone => phone(text),
        // A restricted date says too much even so.
        ColumnType::Date | ColumnType::PDate if class < Sensitivity::S3 => month(text),
        _ => masked(text, Sensitivity::S3),
    }
}

/// `138****5678`; of a landline the area code and the last two digits, `0551-*****67`.
fn phone(text: &str) -> String {
    let digits: Vec<char> = text.chars().collect();
    if digits.len() == 11 && digits.iter().all(char::is_ascii_digit) && digits[0] == '1' {
        let (head, tail): (String, String) = (digits[..3].iter().collect(), digits[7..].iter().collect());
        return format!("{head}****{tail}");
    }
    match text.split_once('-') {
        Some((area, number)) if number.len() > 4 && number.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{area}-{}{}", "*".repeat(number.len() - 2), &number[number.len() - 2..])
        }
        _ => "***".to_owned(),
    }
}

/// Year and month, however the parts of the date are set apart; a star says that there is more.
fn month(text: &str) -> String {
    let mut ends = text.match_indices(['-', '.']).map(|(at, _)| at);
    match (ends.next(), ends.next()) {
        (Some(_), Some(end)) => format!("{}*", &text[..end]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use sync_protocol::catalogue::Sensitivity::{S1, S2, S3};

    use super::*;

    #[test]
    fn values_are_masked_by_class_and_kind() {
        let text = ColumnType::Text;
        for (value, kind, class, clearance, expected) in [
            ("13812345678", &ColumnType::Phone, S2, S1, "138****5678"),
            ("0551-6534567", &ColumnType::Phone, S2, S1, "0551-*****67"),
            ("6534567", &ColumnType::Phone, S2, S1, "***"),
            ("138123", &ColumnType::Phone, S2, S1, "***"),
            ("1980-01-05", &ColumnType::PDate, S2, S1, "1980-01*"),
            ("1980.1.5", &ColumnType::Date, S2, S1, "1980.1*"),
            ("1980", &ColumnType::PDate, S2, S1, "1980"),
            ("1980-01-05", &ColumnType::Date, S3, S2, "***"),
            ("340099198001010013", &ColumnType::IdCard, S3, S2, "3400**************"),
            ("340099198001010013", &ColumnType::IdCard, S3, S3, "340099198001010013"),
            ("汉族", &text, S2, S1, "***"),
            ("汉族", &text, S2, S2, "汉族"),
            ("张三", &text, S1, S1, "张三"),
            ("", &text, S3, S1, ""),
        ] {
            assert_eq!(shown(value, kind, class, clearance), expected, "{value} {kind:?} {class:?} {clearance:?}");
        }
    }
}
