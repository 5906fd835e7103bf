//! Numbers with check characters, by their standards. Every example number belongs to nobody: area 340099 is not allocated.

/// What is wrong with a number: a short phrase for people.
pub type Fault = &'static str;

/// Citizen identification number, GB 11643-1999: length, province, date, MOD 11-2 check character, in this order.
/// Upper-cases x and upgrades the 15-digit form; the result is what is stored.
pub fn id_card(text: &str) -> Result<String, Fault> {
    const STRUCTURE: Fault = "号码结构不符";
    let text = text.to_ascii_uppercase();
    let number = if text.len() == 15 && text.bytes().all(|b| b.is_ascii_digit()) {
        let body = format!("{}19{}", &text[..6], &text[6..]);
        let check = id_card_check(&body).ok_or(STRUCTURE)?;
        format!("{body}{check}")
    } else {
        text
    };
    if number.len() != 18 || !number.is_ascii() {
        return Err("应为18位");
    }
    let (body, check) = number.split_at(17);
    let expected = id_card_check(body).ok_or(STRUCTURE)?;
    let digits = |range: std::ops::Range<usize>| body[range].parse::<i16>().map_err(|_| STRUCTURE);
    if !matches!(digits(0..2)?, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83) {
        return Err("地区代码不存在");
    }
    let (month, day) = (digits(10..12)?, digits(12..14)?);
    let small = |number: i16| i8::try_from(number).unwrap_or_default();
    if jiff::civil::Date::new(digits(6..10)?, small(month), small(day)).is_err() {
        return Err("出生日期不存在");
    }
    if check.chars().eq([expected]) { Ok(number) } else { Err("校验码不符") }
}

/// The check character of a 17-digit body.
pub fn id_card_check(body: &str) -> Option<char> {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    const CHECKS: [char; 11] = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'];
    if body.len() != 17 {
        return None;
    }
    let sum: u32 = body.chars().zip(WEIGHTS).map(|(c, w)| c.to_digit(10).map(|d| d * w)).sum::<Option<u32>>()?;
    Some(CHECKS[(sum % 11) as usize])
}

/// What an identity number says of its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// `YYYY-MM-DD`.
    pub birth_date: String,
    /// GB/T 2261.1: `1` male, `2` female.
    pub sex: &'static str,
}

/// Birth date and sex inside a valid 18-character number.
pub fn holder(id_card: &str) -> Option<Holder> {
    let sequence: u32 = id_card.get(14..17)?.parse().ok()?;
    Some(Holder {
        birth_date: format!("{}-{}-{}", id_card.get(6..10)?, id_card.get(10..12)?, id_card.get(12..14)?),
        sex: if sequence % 2 == 1 { "1" } else { "2" },
    })
}

/// Unified social credit code, GB 32100-2015: alphabet, length, check character of position 18.
/// A wrong check character of the organisation code inside (GB 11714) is only doubtful: see [`organisation_code_fits`].
pub fn uscc(text: &str) -> Result<String, Fault> {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let code = text.to_ascii_uppercase();
    if code.chars().count() != 18 {
        return Err("应为18位");
    }
    let values: Option<Vec<usize>> = code.chars().map(|c| ALPHABET.find(c)).collect();
    let values = values.ok_or("含有不允许的字符（不用 I、O、S、V、Z）")?;
    let mut weight = 1;
    let mut sum = 0;
    for value in &values[..17] {
        sum += value * weight;
        weight = weight * 3 % 31;
    }
    let expected = (31 - sum % 31) % 31;
    if values[17] == expected { Ok(code) } else { Err("校验码不符") }
}

/// Whether positions 9–17 of a unified social credit code carry their own check character. Old codes may not.
pub fn organisation_code_fits(uscc: &str) -> bool {
    const WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
    let Some((body, check)) = uscc.get(8..17).map(|code| code.split_at(8)) else { return false };
    let sum: Option<u32> = body.chars().zip(WEIGHTS).map(|(c, w)| c.to_digit(36).map(|v| v * w)).sum();
    let expected = match sum.map(|sum| 11 - sum % 11) {
        Some(10) => 'X',
        Some(11) => '0',
        Some(digit) => char::from_digit(digit, 10).unwrap_or('?'),
        None => return false,
    };
    check.chars().eq([expected])
}

/// Division code: 6 (county), 9 (township) or 12 digits with their ranges; the result has 12.
pub fn division(text: &str) -> Result<String, Fault> {
    if !matches!(text.len(), 6 | 9 | 12) || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err("应为6、9或12位数字");
    }
    let code = format!("{text:0<12}");
    let part = |range: std::ops::Range<usize>| code[range].parse::<u16>().unwrap_or(u16::MAX);
    match (part(6..9), part(9..12)) {
        (600.., _) => Err("乡镇段（第7至9位）超出范围"),
        (0, 1..) => Err("有村（社区）段而没有乡镇段"),
        (_, 600..) => Err("村（社区）段（第10至12位）超出范围"),
        _ => Ok(code),
    }
}

/// Telephone number without blanks, hyphens and country code, if it is one: mobile, or landline with or without area code.
pub fn phone(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
    let plain = ["+86", "0086", "86"].iter().find_map(|p| digits.strip_prefix(p).filter(|rest| rest.len() == 11));
    let plain = plain.unwrap_or(&digits);
    let fits = plain.bytes().all(|b| b.is_ascii_digit())
        && match plain.len() {
            11 if plain.starts_with('1') => matches!(plain.as_bytes()[1], b'3'..=b'9'),
            7 | 8 => true,
            10..=12 => plain.starts_with('0'),
            _ => false,
        };
    fits.then(|| plain.to_owned())
}

/// Whether a text that is shown to everyone tells an identity number, a mobile number or a home address.
pub fn tells_private(text: &str) -> bool {
    let numbers = text.split(|c: char| !c.is_ascii_digit() && !matches!(c, 'x' | 'X' | '-'));
    let is_private = |number: &str| {
        let digits = number.replace('-', "");
        id_card(&digits).is_ok() || digits.len() == 11 && phone(&digits).is_some()
    };
    let is_door = |sign: &str| {
        let mut before = text.match_indices(sign).map(|(at, _)| text[..at].chars().next_back());
        before.any(|c| c.is_some_and(char::is_numeric))
    };
    numbers.into_iter().any(is_private) || ["室", "单元", "栋", "幢"].into_iter().any(is_door)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_numbers_of_the_standard() {
        for (number, expected) in [
            ("340099198001010013", Ok("340099198001010013")),
            ("34009919801231002X", Ok("34009919801231002X")),
            ("34009919801231002x", Ok("34009919801231002X")),
            ("340099197911152446", Ok("340099197911152446")),
            ("340099196603071180", Ok("340099196603071180")),
            ("34052419800101001X", Ok("34052419800101001X")),
            ("11010519491231002X", Ok("11010519491231002X")),
            ("340099800101001", Ok("340099198001010013")),
            ("340099198001010014", Err("校验码不符")),
            ("340099197902290011", Err("出生日期不存在")),
            ("34009919850615002", Err("应为18位")),
            ("990099198001010013", Err("地区代码不存在")),
            ("34009919800101００", Err("应为18位")),
            ("3400991980010100A3", Err("号码结构不符")),
        ] {
            assert_eq!(id_card(number), expected.map(str::to_owned), "{number}");
        }
        let born = |number: &str| holder(number).map(|h| (h.birth_date, h.sex));
        assert_eq!(born("340099198001010013"), Some(("1980-01-01".into(), "1")));
        assert_eq!(born("34009919801231002X"), Some(("1980-12-31".into(), "2")));
    }

    #[test]
    fn social_credit_codes_of_the_standard() {
        for (code, expected, inner) in [
            ("91340099MA00000A9Y", Ok("91340099MA00000A9Y"), true),
            ("91340099ma00000a9y", Ok("91340099MA00000A9Y"), true),
            ("91340099MA00001540", Ok("91340099MA00001540"), true),
            ("52340099123456788X", Ok("52340099123456788X"), true),
            ("91350100M000100Y43", Ok("91350100M000100Y43"), true),
            ("91340099MA00000A9Z", Err("含有不允许的字符（不用 I、O、S、V、Z）"), true),
            ("91340099MA00000A90", Err("校验码不符"), true),
            ("91340099MA00000A9", Err("应为18位"), true),
        ] {
            assert_eq!(uscc(code), expected.map(str::to_owned), "{code}");
            if let Ok(code) = uscc(code) {
                assert_eq!(organisation_code_fits(&code), inner, "{code}");
            }
        }
    }

    #[test]
    fn private_things_in_public_texts() {
        for (text, expected) in [
            ("关于张三（340099198001010013）的公示", true),
            ("联系电话：138-0000-0000", true),
            ("地址：幸福路3号2单元501室", true),
            ("2012年第3次党员大会决议，经费12345678元", false),
            ("办事服务室在2楼", false),
            ("340099198001010014", false),
        ] {
            assert_eq!(tells_private(text), expected, "{text}");
        }
    }

    #[test]
    fn division_codes_and_telephones() {
        for (code, expected) in [
            ("340099", Ok("340099000000")),
            ("340099100", Ok("340099100000")),
            ("340099100200", Ok("340099100200")),
            ("340099100001", Ok("340099100001")),
            ("340099000200", Err("有村（社区）段而没有乡镇段")),
            ("340099700200", Err("乡镇段（第7至9位）超出范围")),
            ("340099100700", Err("村（社区）段（第10至12位）超出范围")),
            ("34009910", Err("应为6、9或12位数字")),
        ] {
            assert_eq!(division(code), expected.map(str::to_owned), "{code}");
        }
        for (number, expected) in [
            ("138 0000 0000", Some("13800000000")),
            ("+86 138-0000-0000", Some("13800000000")),
            ("0551-1234567", Some("05511234567")),
            ("1234567", Some("1234567")),
            ("12800000000", None),
            ("12345", None),
            ("无", None),
        ] {
            assert_eq!(phone(number).as_deref(), expected, "{number}");
        }
    }
}
