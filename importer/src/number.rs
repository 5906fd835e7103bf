//! Numbers as offices write them, into exact decimals.

use crate::text::compact;

/// An exact decimal: digits and the number of decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    /// Reads a plain decimal such as `-12.50`.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, body) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() > 30 || whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let scale = u32::try_from(fraction.len()).ok()?;
        Some(Self { digits: if negative { -digits } else { digits }, scale })
    }

    /// From a spreadsheet's binary number, with the 15 digits that it shows.
    pub fn from_f64(value: f64) -> Option<Self> {
        if !value.is_finite() || value.abs() >= 1e15 {
            return None;
        }
        let shortest = value.to_string();
        let text = if shortest.len() > 17 {
            let rounded: f64 = format!("{value:.14e}").parse().ok()?;
            rounded.to_string()
        } else {
            shortest
        };
        Self::parse(&text)
    }

    /// Times 10^`places`.
    #[must_use]
    pub fn shifted(self, places: u32) -> Option<Self> {
        if places <= self.scale {
            return Some(Self { scale: self.scale - places, ..self });
        }
        let digits = self.digits.checked_mul(10i128.checked_pow(places - self.scale)?)?;
        Some(Self { digits, scale: 0 })
    }

    /// Divided by 10^`places`.
    #[must_use]
    pub fn divided(self, places: u32) -> Option<Self> {
        Some(Self { scale: self.scale.checked_add(places)?, ..self })
    }

    /// Rounded half up (四舍五入) to exactly `places` decimals.
    pub fn fixed(self, places: u32) -> Option<String> {
        let digits = if self.scale > places {
            let unit = 10i128.checked_pow(self.scale - places)?;
            let half = unit / 2 * self.digits.signum();
            (self.digits + half) / unit
        } else {
            self.digits.checked_mul(10i128.checked_pow(places - self.scale)?)?
        };
        let sign = if digits < 0 { "-" } else { "" };
        let text = format!("{:0>width$}", digits.abs(), width = places as usize + 1);
        let (whole, fraction) = text.split_at(text.len() - places as usize);
        Some(if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
    }

    /// Without needless zeros.
    pub fn plain(self) -> String {
        let mut scale = self.scale;
        let mut digits = self.digits;
        while scale > 0 && digits % 10 == 0 {
            digits /= 10;
            scale -= 1;
        }
        Self { digits, scale }.fixed(scale).unwrap_or_default()
    }

    /// The whole number, if it is one.
    pub fn integer(self) -> Option<i64> {
        let unit = 10i128.checked_pow(self.scale)?;
        (self.digits % unit == 0).then_some(self.digits / unit)?.try_into().ok()
    }

    /// Whether it lies in 0…1 without being 0.
    pub fn is_share(self) -> bool {
        self.digits > 0 && 10i128.checked_pow(self.scale).is_some_and(|unit| self.digits <= unit)
    }
}

const UNITS: [&str; 14] = ["人", "个", "名", "户", "次", "件", "家", "元", "分", "年", "票", "份", "㎡", "平方米"];

/// Reads a number as it stands in a cell: separators, units, 万, Chinese numerals.
pub fn parse(text: &str) -> Option<Decimal> {
    let compacted = compact(text).replace([','], "");
    let mut body = compacted.as_str();
    let mut shift = 0;
    if let Some(rest) = body.strip_suffix("万元").or_else(|| body.strip_suffix('万')) {
        (body, shift) = (rest, 4);
    } else {
        for unit in UNITS {
            body = body.strip_suffix(unit).unwrap_or(body);
        }
    }
    let number = Decimal::parse(body).or_else(|| chinese(body).map(|n| Decimal { digits: n.into(), scale: 0 }))?;
    number.shifted(shift)
}

/// 三十一, 二百零五, 两千: up to 9999.
pub fn chinese(text: &str) -> Option<i64> {
    let (mut total, mut digit, mut last_unit) = (0i64, None, 10_000i64);
    if text.is_empty() || text.chars().count() > 8 {
        return None;
    }
    for c in text.chars() {
        if let Some(value) = chinese_digit(c) {
            if digit.is_some_and(|d| d != 0) {
                return None;
            }
            digit = Some(value);
            continue;
        }
        let unit = match c {
            '十' => 10,
            '廿' => 20,
            '卅' => 30,
            '百' => 100,
            '千' => 1000,
            _ => return None,
        };
        let place = match unit {
            20 | 30 => 10,
            unit => unit,
        };
        if place >= last_unit || (unit > place && digit.is_some()) {
            return None;
        }
        total += unit * digit.take().filter(|d| *d != 0).unwrap_or(1);
        last_unit = place;
    }
    Some(total + digit.unwrap_or(0))
}

/// The value of one Chinese digit.
pub fn chinese_digit(c: char) -> Option<i64> {
    Some(match c {
        '〇' | '○' | '零' | 'Ｏ' | 'O' => 0,
        '一' => 1,
        '二' | '两' => 2,
        '三' => 3,
        '四' => 4,
        '五' => 5,
        '六' => 6,
        '七' => 7,
        '八' => 8,
        '九' => 9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_offices_write_them() {
        for (text, expected) in [
            ("31人", Some("31")),
            ("三十一", Some("31")),
            ("二百零五", Some("205")),
            ("十二", Some("12")),
            ("1,234.50", Some("1234.5")),
            ("１２．５", Some("12.5")),
            ("3.5万", Some("35000")),
            ("0.05万元", Some("500")),
            ("-3", Some("-3")),
            ("三三", None),
            ("约30", None),
            ("", None),
        ] {
            assert_eq!(parse(text).map(Decimal::plain).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn rounding_is_half_up_and_exact() {
        for (value, places, expected) in [
            ("93.75", 1, "93.8"),
            ("12.25", 1, "12.3"),
            ("-0.05", 1, "-0.1"),
            ("35000", 2, "35000.00"),
            ("0.004", 2, "0.00"),
        ] {
            assert_eq!(Decimal::parse(value).and_then(|d| d.fixed(places)).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(Decimal::from_f64(0.1 + 0.2).map(Decimal::plain).as_deref(), Some("0.3"));
        assert_eq!(Decimal::from_f64(1e300), None);
    }
}
