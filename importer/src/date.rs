//! Dates in the notations of real ledgers, with the precision they were written in.

use crate::{
    number::{chinese, chinese_digit},
    text::compact,
    workbook::grid::Timestamp,
};

/// What a cell in a date column says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Date {
    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    Known(String),
    /// The same, but completed or ambiguous: a person should look.
    Doubtful(String),
    /// 至今, 长期: no end date.
    Open,
}

/// What people type for the stop between year and month.
const STOPS: [char; 6] = ['。', '·', '•', '・', ',', '．'];

/// Reads a text. `year` completes dates of current events that lack one.
pub fn parse(text: &str, year: i16) -> Option<Date> {
    // A time of day behind the date does not matter.
    let first = text.trim().split_once([' ', '\u{3000}', 'T']).map_or(text.trim(), |(date, rest)| {
        if rest.trim_start().starts_with(|c: char| c.is_ascii_digit()) && rest.contains(':') {
            date
        } else {
            text.trim()
        }
    });
    let text = compact(first);
    let text = text.as_ref();
    let text = text.strip_prefix("公元").unwrap_or(text).trim_start_matches(':');
    let text = ["出生", "生"].iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    let stops = text.contains(STOPS).then(|| text.replace(STOPS, "."));
    let text = stops.as_deref().unwrap_or(text);
    if matches!(text, "至今" | "现任" | "长期") {
        return Some(Date::Open);
    }
    if let Some(date) = relative(text, year) {
        return Some(date);
    }
    if text.len() >= 4 && text.bytes().all(|b| b.is_ascii_digit()) {
        // Five digits are a serial number, as text as well as in numbers.
        return if text.len() == 5 { serial(text.parse().ok()?).map(Date::Doubtful) } else { digits(text) };
    }
    let parts: Vec<&str> = text
        .split(['-', '/', '.', '年', '月', '日', '号', '、'])
        .enumerate()
        .filter(|(index, part)| *index == 0 || !part.is_empty())
        .map(|(_, part)| part)
        .collect();
    let separators = text.chars().filter(|c| matches!(c, '-' | '/' | '.' | '年' | '月' | '日' | '号' | '、')).count();
    if separators == 0 || parts.len() > 3 || separators > 3 {
        return None;
    }
    let starts_with_month = !text.contains('年') && text.contains('月') && parts.len() <= 2;
    let numbers: Vec<i64> = parts
        .iter()
        .enumerate()
        .map(|(index, part)| number(part, index == 0 && !starts_with_month))
        .collect::<Option<_>>()?;
    match (numbers.as_slice(), starts_with_month) {
        ([month, day], true) => complete(year.into(), *month, Some(*day)).map(Date::Doubtful),
        ([month], true) => complete(year.into(), *month, None).map(Date::Doubtful),
        ([y], false) if text.contains('年') => written_year(*y).map(|(y, sure)| wrap(format!("{y:04}"), sure)),
        // 3.15: month and day of the current year, since no year is that small.
        ([month, day], false) if parts[0].len() <= 2 && *month <= 12 && *day > 12 => {
            complete(year.into(), *month, Some(*day)).map(Date::Doubtful)
        }
        ([y, month], false) => {
            let (y, sure) = written_year(*y)?;
            complete(y, *month, None).map(|date| wrap(date, sure))
        }
        ([y, month, day], false) => {
            let (y, sure) = written_year(*y)?;
            complete(y, *month, Some(*day)).map(|date| wrap(date, sure))
        }
        _ => None,
    }
}

/// Reads a number that is not formatted as a date.
pub fn from_number(value: f64) -> Option<Date> {
    let text = value.to_string();
    if value.fract() == 0.0 && value > 0.0 {
        return match text.len() {
            4 | 6 | 8 => digits(&text),
            // A serial number whose date format was lost.
            5 => serial(text.parse().ok()?).map(Date::Doubtful),
            _ => None,
        };
    }
    let (year, month) = text.split_once('.')?;
    let year: i64 = year.parse().ok().filter(|y| (1900..2100).contains(y))?;
    // 1969.1 may be January, or October whose zero the spreadsheet dropped; there is no month 50 that 1969.5 could be.
    let sure = month != "1";
    complete(year, month.parse().ok()?, None).map(|date| wrap(date, sure))
}

/// Reads a number that is formatted as a date. One that is the number of a year was typed as a year: formatted, 2005
/// shows as a day of 1905.
pub fn from_cell(stamp: Timestamp) -> Option<Date> {
    let serial = stamp.serial();
    if serial.fract() == 0.0 && (1900.0..2100.0).contains(&serial) {
        return Some(Date::Doubtful(format!("{serial:.0}")));
    }
    from_timestamp(stamp).map(Date::Known)
}

/// The text of a date cell.
pub fn from_timestamp(stamp: Timestamp) -> Option<String> {
    complete(stamp.year.into(), stamp.month.into(), Some(stamp.day.into()))
}

fn wrap(date: String, sure: bool) -> Date {
    if sure { Date::Known(date) } else { Date::Doubtful(date) }
}

/// 20120301, 201203, 2012.
fn digits(text: &str) -> Option<Date> {
    let part = |range: std::ops::Range<usize>| text.get(range).and_then(|t| t.parse::<i64>().ok());
    let year = part(0..4).filter(|y| (1900..2100).contains(y))?;
    match text.len() {
        8 => complete(year, part(4..6)?, Some(part(6..8)?)).map(Date::Known),
        6 => complete(year, part(4..6)?, None).map(Date::Known),
        4 => Some(Date::Known(format!("{year:04}"))),
        _ => None,
    }
}

/// Days since 1899-12-30.
fn serial(days: i64) -> Option<String> {
    let base = jiff::civil::date(1899, 12, 30);
    let date = base.checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
    (1930..2100).contains(&date.year()).then(|| date.to_string())
}

/// A year as written: four digits, or two with the usual century.
fn written_year(year: i64) -> Option<(i64, bool)> {
    match year {
        1000..=9999 => Some((year, true)),
        30..=99 => Some((1900 + year, false)),
        0..=29 => Some((2000 + year, false)),
        _ => None,
    }
}

/// ASCII digits or Chinese numerals; years digit by digit (二〇一二), months and days as numbers (十二).
fn number(text: &str, is_year: bool) -> Option<i64> {
    if !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    if is_year {
        let digits = text.chars().map(chinese_digit).collect::<Option<Vec<_>>>()?;
        return (digits.len() == 4 || digits.len() == 2).then(|| digits.iter().fold(0, |n, d| n * 10 + d));
    }
    chinese(text)
}

fn complete(year: i64, month: i64, day: Option<i64>) -> Option<String> {
    let (year, month) = (i16::try_from(year).ok()?, i8::try_from(month).ok()?);
    let date = jiff::civil::Date::new(year, month, i8::try_from(day.unwrap_or(1)).ok()?).ok()?;
    (1850..2200).contains(&year).then(|| match day {
        Some(_) => date.to_string(),
        None => format!("{year:04}-{month:02}"),
    })
}

/// 年底, 3月底前, 3月上旬 / 中旬 / 下旬: the last day they include.
fn relative(text: &str, year: i16) -> Option<Date> {
    let text = text.strip_suffix('前').unwrap_or(text);
    if matches!(text, "年底" | "年末") {
        return complete(year.into(), 12, Some(31)).map(Date::Doubtful);
    }
    let (month, rest) = text.split_once('月')?;
    let (year, month) = match month.split_once('年') {
        Some((year, month)) => (i16::try_from(number(year, true)?).ok()?, month),
        None => (year, month),
    };
    let month = number(month, false)?;
    let last = jiff::civil::Date::new(year, i8::try_from(month).ok()?, 1).ok()?.days_in_month();
    let day = match rest {
        "底" | "末" | "下旬" => i64::from(last),
        "上旬" => 10,
        "中旬" => 20,
        _ => return None,
    };
    complete(year.into(), month, Some(day)).map(Date::Doubtful)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_keeps_its_precision() {
        let known = |text: &str| Some(Date::Known(text.into()));
        let doubtful = |text: &str| Some(Date::Doubtful(text.into()));
        for (text, expected) in [
            ("2012-03-01", known("2012-03-01")),
            ("2012/3/1", known("2012-03-01")),
            ("2012.3.1", known("2012-03-01")),
            ("2012．3．1", known("2012-03-01")),
            ("20120301", known("2012-03-01")),
            ("2012-03-01 00:00:00", known("2012-03-01")),
            ("2012/3/1  14:30", known("2012-03-01")),
            ("2012年3月1日", known("2012-03-01")),
            ("二〇一二年三月一日", known("2012-03-01")),
            ("二○一二年十二月廿一日", known("2012-12-21")),
            ("2012.03", known("2012-03")),
            ("2012年3月", known("2012-03")),
            ("201203", known("2012-03")),
            ("2012-3", known("2012-03")),
            ("1969.10", known("1969-10")),
            ("2012", known("2012")),
            ("2012年", known("2012")),
            ("85.6", doubtful("1985-06")),
            ("85年6月", doubtful("1985-06")),
            ("3月15日", doubtful("2012-03-15")),
            ("3.15", doubtful("2012-03-15")),
            ("3月底前", doubtful("2012-03-31")),
            ("2月下旬", doubtful("2012-02-29")),
            ("年底", doubtful("2012-12-31")),
            ("1990。5", known("1990-05")),
            ("1990，5，1", known("1990-05-01")),
            ("1990·05", known("1990-05")),
            ("公元1990年5月", known("1990-05")),
            ("1990年05月01日出生", known("1990-05-01")),
            ("32994", doubtful("1990-05-01")),
            ("12345", doubtful("1933-10-18")),
            ("99999", None),
            ("至今", Some(Date::Open)),
            ("2012.2.30", None),
            ("2012-13-01", None),
            ("明年", None),
            ("1.2.3.4", None),
        ] {
            assert_eq!(parse(text, 2012), expected, "{text}");
        }
    }

    #[test]
    fn numbers_that_were_dates() {
        for (value, expected) in [
            (1969.1, Some(Date::Doubtful("1969-01".into()))),
            (1969.12, Some(Date::Known("1969-12".into()))),
            (1990.5, Some(Date::Known("1990-05".into()))),
            (1990.05, Some(Date::Known("1990-05".into()))),
            (1990.13, None),
            (32_994.0, Some(Date::Doubtful("1990-05-01".into()))),
            (20_120_301.0, Some(Date::Known("2012-03-01".into()))),
            (201_203.0, Some(Date::Known("2012-03".into()))),
            (40_969.0, Some(Date::Doubtful("2012-03-01".into()))),
            (3.0, None),
            (-1.0, None),
        ] {
            assert_eq!(from_number(value), expected, "{value}");
        }
    }

    #[test]
    fn a_year_that_was_formatted_as_a_date_is_told() {
        let stamp = |year, month, day, minutes| Timestamp { year, month, day, minutes };
        for (cell, expected) in [
            // 2005, 1998 and 2012 as days since 1899-12-30.
            (stamp(1905, 6, 27, 0), Date::Doubtful("2005".into())),
            (stamp(1905, 6, 20, 0), Date::Doubtful("1998".into())),
            (stamp(1905, 7, 4, 0), Date::Doubtful("2012".into())),
            (stamp(1990, 5, 1, 0), Date::Known("1990-05-01".into())),
            (stamp(1905, 6, 27, 30), Date::Known("1905-06-27".into())),
            (stamp(1921, 7, 1, 0), Date::Known("1921-07-01".into())),
        ] {
            assert_eq!(from_cell(cell), Some(expected));
        }
    }
}
