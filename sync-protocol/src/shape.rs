//! What the shape of a text tells, whatever its column: that it was masked, that its last digits are gone, or that it stands
//! in for a value that nobody knows yet. None of them is a value that says who or what something is.

use unicode_normalization::UnicodeNormalization;

use crate::{catalogue::ColumnType, checks};

/// Characters that hide others; the full width star is a star in NFKC.
const HIDING: [char; 9] = ['*', '∗', '✱', '⁎', '●', '×', '█', '■', '▇'];

/// Digits beside a star beyond which it hides one: `1200*800` are measures.
const DIGITS_MAX: usize = 5;

/// Exponents from which a number in scientific notation stands for more digits than it shows.
const EXPONENT_MIN: u32 = 7;

/// Words that stand where a value is still to come.
const PLACEHOLDERS: [&str; 38] = [
    "无",
    "空",
    "缺",
    "略",
    "暂无",
    "暂缺",
    "暂定",
    "暂未",
    "没有",
    "不详",
    "不明",
    "不清",
    "不清楚",
    "不知道",
    "未知",
    "未填",
    "未办",
    "未定",
    "未提供",
    "未登记",
    "未采集",
    "未录入",
    "补办中",
    "办理中",
    "遗失",
    "丢失",
    "同上",
    "保密",
    "n/a",
    "na",
    "null",
    "none",
    "nil",
    "tbd",
    "#n/a",
    "/",
    "-",
    "?",
];

/// Whether a text has been masked: `***`, `138****5678`, `340099********0013`, `1980-01*`, `0551-*****67`, `张*三`, `●●●`,
/// `xxxx`. A star that multiplies, or that points to a note, hides nothing: `2*3米`, `5*8 楼`, `*注`.
pub fn is_masked(text: &str) -> bool {
    if !text.chars().any(may_hide) {
        return false;
    }
    let is_signs = |line: &str| line.chars().all(|c| is_hiding(folded(c)));
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // A line of stars between paragraphs sets them apart.
    let ends = [lines.first(), lines.last()];
    ends.into_iter().flatten().any(|line| is_signs(line) && hides(&compact(line)))
        || lines.iter().any(|line| !is_signs(line) && hides(&compact(line)))
}

/// The same of a person's name, in which one sign is enough: `张*`, `李×明`, `王X`, `赵○○`. Before or behind a whole name it
/// points to a note: `*王某某`.
pub fn is_masked_name(text: &str) -> bool {
    let name = compact(text);
    let is_sign = |c: &char| is_hiding(*c) || matches!(c, '○' | '□') || c.eq_ignore_ascii_case(&'x');
    if !name.chars().any(|c| is_sign(&c)) {
        return false;
    }
    let plain = unmarked(&name);
    if plain.chars().any(|c| c.is_ascii_alphabetic() && !c.eq_ignore_ascii_case(&'x')) {
        // A name in Latin letters has its own x.
        return plain.chars().any(is_hiding);
    }
    plain.chars().any(|c| is_sign(&c))
}

/// A name without the star that points to a note; a name that is masked stays as it is.
pub fn unmarked(name: &str) -> &str {
    let is_star = |c: char| matches!(c, '*' | '＊' | '∗' | '﹡' | '※' | '★' | '☆' | '△' | '▲' | '#');
    let plain = name.strip_prefix(is_star).or_else(|| name.strip_suffix(is_star)).map_or(name, str::trim);
    // `*小明` hides a surname, `*王小明` does not.
    if plain.chars().filter(|c| is_han(*c)).count() >= 3 { plain } else { name }
}

/// The same of a number or code, of which a sign is no part wherever it stands.
pub fn is_masked_code(text: &str) -> bool {
    let code = compact(text);
    let bytes: Vec<char> = code.chars().collect();
    let is_x = |c: &char| c.eq_ignore_ascii_case(&'x');
    code.chars().any(is_hiding) || bytes.windows(2).any(|pair| pair.iter().all(is_x))
}

/// Whether a long number has lost its last digits in a spreadsheet: `3.40099E+17`, `1.39e+10`, `１．３９Ｅ＋１０`.
pub fn is_damaged(text: &str) -> bool {
    let text = compact(text).to_ascii_lowercase();
    let Some((digits, exponent)) = text.trim_start_matches('\'').split_once('e') else { return false };
    let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole)
        && all_digits(fraction)
        && all_digits(exponent)
        && whole.len() == 1
        && exponent.parse::<u32>().is_ok_and(|exponent| (EXPONENT_MIN..100).contains(&exponent))
}

/// Whether a number of 16 and more digits ends as a spreadsheet leaves it, which keeps 15: `340099198001010000`.
pub fn has_lost_tail(text: &str) -> bool {
    text.len() >= 16
        && text.bytes().all(|b| b.is_ascii_digit())
        && text.as_bytes()[15..].iter().all(|digit| *digit == b'0')
}

/// Whether a number is another one whose last digits have become zeros.
pub fn is_rounded(text: &str, good: &str) -> bool {
    let zeros = text.bytes().rev().take_while(|digit| *digit == b'0').count();
    let kept = text.len() - zeros;
    text != good
        && text.len() == good.len()
        && zeros >= 3
        && kept >= 3
        && text.as_bytes()[..kept] == good.as_bytes()[..kept]
}

/// Whether a text only says that there is no value yet: 待补, 不详, 无, `???`.
pub fn is_placeholder(text: &str) -> bool {
    let text = compact(text).to_lowercase();
    let text = text.trim_matches(|c| matches!(c, '(' | ')' | '[' | ']' | '【' | '】' | '。' | '.'));
    let awaits = ["待", "尚未", "还未", "正在"].iter().any(|word| text.starts_with(word)) && text.chars().count() <= 5;
    text.is_empty()
        || awaits
        || PLACEHOLDERS.contains(&text)
        || text.chars().all(|c| c.is_ascii_punctuation() || c == '—')
}

/// Whether a number is one key pressed again and again: `111111111111111111`, `000000`.
pub fn is_run(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| text.len() >= 6 && chars.all(|c| c == first))
}

/// Whether a text of this type passes the check of its type; `None` for types without one.
pub fn passes(column_type: &ColumnType, text: &str) -> Option<bool> {
    let fits = match column_type {
        ColumnType::IdCard => checks::id_card(text).is_ok(),
        ColumnType::Uscc => checks::uscc(text).is_ok(),
        ColumnType::Division => checks::division(text).is_ok(),
        ColumnType::Phone => checks::phone(text).is_some(),
        _ => return None,
    };
    Some(fits && !is_run(text))
}

/// Whether a text can say who or what something is. A bad value is never an identity: neither a number that fails its check,
/// nor what is masked, damaged or still to come.
pub fn identifies(column_type: &ColumnType, text: &str) -> bool {
    match column_type {
        ColumnType::Person => !is_masked_name(text) && !is_placeholder(text) && !is_damaged(text),
        ColumnType::Text | ColumnType::LongText | ColumnType::Ref(_) => {
            !is_masked(text) && !is_placeholder(text) && !is_damaged(text)
        }
        other => passes(other, text).unwrap_or_else(|| !is_masked(text)),
    }
}

fn may_hide(c: char) -> bool {
    is_hiding(folded(c)) || matches!(c, 'x' | 'X' | 'ｘ' | 'Ｘ' | '○' | '□' | '#' | '＃')
}

fn is_hiding(c: char) -> bool {
    HIDING.contains(&c)
}

/// The star of other widths.
fn folded(c: char) -> char {
    if matches!(c, '＊' | '﹡') { '*' } else { c }
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}' | '〇')
}

fn compact(text: &str) -> String {
    text.nfkc().filter(|c| !c.is_whitespace() && !matches!(c, '\u{200b}'..='\u{200d}' | '\u{feff}')).collect()
}

/// Whether one line without blanks hides something.
fn hides(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let count = chars.len();
    let whole = |is: &dyn Fn(char) -> bool| count >= 2 && chars.iter().all(|c| is(*c));
    if text == "*"
        || whole(&is_hiding)
        || whole(&|c| c.eq_ignore_ascii_case(&'x'))
        || whole(&|c| matches!(c, '○' | '□')) && count >= 3
        || whole(&|c| c == '#') && count >= 3
    {
        return true;
    }
    let mut at = 0;
    while at < count {
        let end = (at..count).find(|next| !is_hiding(chars[*next])).unwrap_or(count);
        if end > at && run_hides(&chars, at, end) {
            return true;
        }
        at = end.max(at + 1);
    }
    crosses_hide(&chars)
}

/// Whether the signs in `from..to` hide what stood there.
fn run_hides(chars: &[char], from: usize, to: usize) -> bool {
    let (before, after) = (&chars[..from], &chars[to..]);
    let digits_before = before.iter().rev().take_while(|c| c.is_ascii_digit()).count();
    let digits_after = after.iter().take_while(|c| c.is_ascii_digit()).count();
    match to - from {
        // A power, 2**10, is shorter than any number that is worth masking.
        2 => !(digits_before > 0 && digits_after > 0 && chars.len() <= DIGITS_MAX + 1),
        1 if chars[from] == '*' => {
            // 张*三 and 张*, but 党员* points to a note.
            let is_inside = !before.is_empty() && !after.is_empty();
            let is_name =
                (chars.len() == 2 || is_inside && chars.len() <= 4) && before.iter().chain(after).all(|c| is_han(*c));
            let is_end = after.is_empty() && (digits_before > DIGITS_MAX || is_month(before))
                || before.is_empty() && digits_after > DIGITS_MAX;
            is_name || is_end
        }
        1 => false,
        _ => true,
    }
}

/// `1980-01`, `1980.1`, `1980-`, `1980年1月`: what is left of a date.
fn is_month(chars: &[char]) -> bool {
    let text: String = chars.iter().collect();
    let mut parts = text.split(['-', '.', '/', '年']);
    let is_year = |part: &str| part.len() == 4 && (part.starts_with("19") || part.starts_with("20")) && is_number(part);
    let is_rest = |part: &str| part.is_empty() || part.trim_end_matches('月').len() <= 2;
    parts.next().is_some_and(is_year) && text.chars().count() > 4 && parts.all(is_rest)
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// `340099XXXXXXXX0013`, `138xxxx5678`, `王XX`, `XXX路`: three crosses and more that are no word, or two in a short text.
fn crosses_hide(chars: &[char]) -> bool {
    let is_x = |c: &char| c.eq_ignore_ascii_case(&'x');
    let mut at = 0;
    while at < chars.len() {
        let length = chars[at..].iter().take_while(|c| is_x(c)).count();
        let is_word =
            |c: Option<&char>| c.is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '.' | '@' | '/' | ':'));
        let neighbours = [at.checked_sub(1).and_then(|before| chars.get(before)), chars.get(at + length)];
        let beside_han = neighbours.iter().flatten().any(|c| is_han(**c));
        let enough = length >= 3 || length == 2 && chars.len() <= 4 && beside_han;
        if enough && !neighbours.into_iter().any(is_word) {
            return true;
        }
        at += length.max(1);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_masked_is_known_by_its_shape_and_honest_stars_are_left_alone() {
        for masked in [
            "*",
            "**",
            "***",
            "******",
            "＊＊＊",
            "* * *",
            "●●●",
            "××××",
            "xxxx",
            "XXX",
            "####",
            "340099********0013",
            "3400**************",
            "3400***********",
            "6222***************",
            "340099XXXXXXXX0013",
            "340099●●●●●●●●0013",
            "138****5678",
            "138xxxx5678",
            "138××××5678",
            "0551-*****67",
            "13*********",
            "1980-01*",
            "1980.1*",
            "1980年1月*",
            "张*三",
            "张**",
            "张*",
            "*三",
            "欧阳*娜",
            "王XX",
            "青山镇***村",
            "幸福路**号",
            "安徽省合肥市****",
            "青石村\n***",
            "622202**0001",
            "340099198001*",
            "XXX路5号",
        ] {
            assert!(is_masked(masked), "{masked}");
        }
        for honest in [
            "",
            "2*3米",
            "5*8 楼",
            "5×8楼",
            "100*60cm",
            "1200*800",
            "2**10",
            "3*4*5",
            "长*宽*高",
            "*注：以上为合计",
            "党员*",
            "A*",
            "5*",
            "×",
            "●",
            "X",
            "34009919801231002X",
            "二○一二年",
            "二○○八年",
            "XXL",
            "www.xxx.com",
            "Max",
            "第X组",
            "一、学习\n***\n二、讨论",
            "●学习●讨论",
            "C#",
            "1#楼",
            "青石村3组",
        ] {
            assert!(!is_masked(honest), "{honest}");
        }
        for (name, expected) in [
            ("张*三", true),
            ("张**", true),
            ("李×明", true),
            ("王X", true),
            ("赵○○", true),
            ("＊三", true),
            ("xxx", true),
            ("*王某某", false),
            ("王小明*", false),
            ("Max Li", false),
            ("张三", false),
            ("阿依古丽·买买提", false),
        ] {
            assert_eq!(is_masked_name(name), expected, "{name}");
        }
        assert_eq!((unmarked("*王小明"), unmarked("王小明＊"), unmarked("*小明")), ("王小明", "王小明", "*小明"));
    }

    #[test]
    fn damaged_numbers() {
        for damaged in ["3.40099E+17", "1.39E+10", "1.39e10", "1.39e+10", "１．３９Ｅ＋１０", "'6.2222E+18", "3E+17"]
        {
            assert!(is_damaged(damaged), "{damaged}");
        }
        for sound in ["E+10", "1E+2", "3.4", "340099", "12.3E+10", "1.39E-10", "1.5E栋", ""] {
            assert!(!is_damaged(sound), "{sound}");
        }
        assert!(
            has_lost_tail("340099199001010000")
                && !has_lost_tail("340099199001010010")
                && !has_lost_tail("340099000000")
        );
        for (text, good, expected) in [
            ("340099197001010000", "340099197001010115", true),
            ("13900000000", "13900090001", true),
            ("13900090001", "13900090001", false),
            ("13800000000", "13900090001", false),
            ("13900090000", "13900090001", true),
            ("13900090010", "13900090001", false),
        ] {
            assert_eq!(is_rounded(text, good), expected, "{text} {good}");
        }
    }

    #[test]
    fn a_bad_value_is_no_identity() {
        for (column_type, text, expected) in [
            (ColumnType::IdCard, "340099198001010013", true),
            (ColumnType::IdCard, "340099198001010014", false),
            (ColumnType::IdCard, "待补", false),
            (ColumnType::IdCard, "111111111111111111", false),
            (ColumnType::IdCard, "000000000000000000", false),
            (ColumnType::IdCard, "3.40099E+17", false),
            (ColumnType::Uscc, "91340099MA00000A9Y", true),
            (ColumnType::Uscc, "办理中", false),
            (ColumnType::Uscc, "000000000000000000", false),
            (ColumnType::Phone, "13900090001", true),
            (ColumnType::Phone, "88888888", false),
            (ColumnType::Division, "340099100200", true),
            (ColumnType::Division, "000000", false),
            (ColumnType::Text, "待补", false),
            (ColumnType::Text, "（待补充）", false),
            (ColumnType::Text, "？？？", false),
            (ColumnType::Text, "待岗职工党支部", true),
            (ColumnType::Text, "001", true),
            (ColumnType::Person, "张*", false),
            (ColumnType::Person, "张三", true),
            (ColumnType::Enum("stage".into()), "none", true),
        ] {
            assert_eq!(identifies(&column_type, text), expected, "{column_type:?} {text}");
        }
    }
}
