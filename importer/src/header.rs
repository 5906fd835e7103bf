//! Which column a header text means.

use std::collections::HashMap;

use sync_protocol::catalogue::Catalogue;

use crate::text::compact;

/// A column that claims a header text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Index of the ledger in the catalogue.
    pub ledger: usize,
    /// Index of the column in the ledger.
    pub column: usize,
    /// How well the text names it.
    pub rank: Rank,
}

/// How well a text names a column, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// It is the printed header.
    Title,
    /// It is another word for it.
    Alias,
    /// It is too general a word to decide alone.
    Weak,
}

impl Rank {
    /// All of them, best first.
    pub const ALL: [Rank; 3] = [Rank::Title, Rank::Alias, Rank::Weak];
}

/// All header texts of the catalogue.
#[derive(Debug)]
pub struct HeaderIndex {
    claims: HashMap<String, Vec<Claim>>,
    derived: Vec<String>,
    titles: Vec<Vec<String>>,
}

impl HeaderIndex {
    /// Builds the index.
    pub fn new(catalogue: &Catalogue) -> Self {
        let weak: Vec<String> = catalogue.words().weak.iter().map(|word| normalise(word)).collect();
        let mut claims: HashMap<String, Vec<Claim>> = HashMap::new();
        for (ledger_index, ledger) in catalogue.ledgers().iter().enumerate() {
            for (column_index, column) in ledger.columns.iter().enumerate() {
                let aliases = column.aliases.iter().map(|alias| (alias, Rank::Alias));
                for (text, rank) in std::iter::once((&column.title, Rank::Title)).chain(aliases) {
                    let text = normalise(text);
                    let rank = if weak.contains(&text) { Rank::Weak } else { rank };
                    // A title with a unit in brackets is also met without it.
                    let short = without_bracket(&text).map(str::to_owned);
                    for text in std::iter::once(text).chain(short) {
                        let entry = claims.entry(text).or_default();
                        let claim = Claim { ledger: ledger_index, column: column_index, rank };
                        if !entry.iter().any(|c| (c.ledger, c.column) == (claim.ledger, claim.column)) {
                            entry.push(claim);
                        }
                    }
                }
            }
        }
        let titles = catalogue
            .ledgers()
            .iter()
            .map(|l| std::iter::once(&l.title).chain(&l.title_aliases).map(|t| normalise(t)).collect())
            .collect();
        let derived = catalogue.words().derived.iter().map(|word| normalise(word)).collect();
        Self { claims, derived, titles }
    }

    /// The columns that claim a normalised header text.
    pub fn claims(&self, header: &str) -> &[Claim] {
        let found = self.claims.get(header).or_else(|| self.claims.get(without_bracket(header)?));
        found.map_or(&[], Vec::as_slice)
    }

    /// The columns that claim a header once what people put around names is left out.
    pub fn claims_nearly(&self, header: &str) -> &[Claim] {
        let found = nearly(header).into_iter().find_map(|form| self.claims.get(&form));
        found.map_or(&[], Vec::as_slice)
    }

    /// The columns that claim a header, exactly or else nearly.
    pub fn any_claims(&self, header: &str) -> &[Claim] {
        let exact = self.claims(header);
        if exact.is_empty() { self.claims_nearly(header) } else { exact }
    }

    /// Whether the column is recomputed and never imported.
    pub fn is_derived(&self, header: &str) -> bool {
        let is_word = |header: &str| self.derived.iter().any(|word| word == header);
        is_word(header) || nearly(header).iter().any(|form| is_word(form))
    }

    /// The words of a text without the ledger's own name.
    pub fn without_title<'t>(&self, ledger: usize, text: &'t str) -> std::borrow::Cow<'t, str> {
        let longest = self.titles[ledger].iter().filter(|title| text.contains(title.as_str())).max_by_key(|t| t.len());
        longest.map_or(text.into(), |title| text.replacen(title.as_str(), "", 1).into())
    }

    /// Whether a title line or sheet name names this ledger.
    pub fn is_title(&self, ledger: usize, text: &str) -> bool {
        let text = normalise(text);
        self.titles[ledger].iter().any(|title| text.contains(title.as_str()))
    }
}

/// Words in a trailing bracket that make it a note, not a part of the name.
const NOTES: [&str; 9] = ["必填", "选填", "如", "例", "格式", "下拉", "留空", "重复", "只填"];

/// A header as it is compared: NFKC, no white space, no marks, no filling notes.
pub fn normalise(text: &str) -> String {
    let compacted = compact(text);
    let mut text = compacted.trim_start_matches(['*', '※']).trim_end_matches(':').to_owned();
    if text.contains(['臺', '帐', '賬']) {
        text = text.replace('臺', "台").replace(['帐', '賬'], "账");
    }
    if let Some(open) = text.rfind('(')
        && text.ends_with(')')
        && NOTES.iter().any(|note| text[open..].contains(note))
    {
        text.truncate(open);
    }
    text
}

/// What stands around a name.
const MARKS: [char; 20] =
    ['*', '#', ':', '、', ',', '.', '。', '/', '\\', '|', '-', '_', '~', '·', '"', '“', '”', '※', '★', '▲'];
/// Brackets, after NFKC.
const BRACKETS: [(char, char); 7] =
    [('(', ')'), ('[', ']'), ('【', '】'), ('〔', '〕'), ('{', '}'), ('<', '>'), ('《', '》')];

/// The names that a normalised header may hold: `3.姓名`, `(2)性别`, `身份证号码(18位)`, `姓名Name`, `【必填】姓名`.
fn nearly(header: &str) -> Vec<String> {
    let is_plain = |c: char| !c.is_ascii() && !MARKS.contains(&c) && !BRACKETS.iter().any(|(o, e)| c == *o || c == *e);
    // Most texts are nothing but Chinese characters: there is nothing to leave out.
    if header.len() > 120 || header.chars().all(is_plain) && !header.contains(numeral) {
        return Vec::new();
    }
    let mut forms: Vec<String> = Vec::new();
    let mut push = |form: &str| {
        let form = form.trim_matches(MARKS);
        if !form.is_empty() && form != header && !forms.iter().any(|known| known == form) {
            forms.push(form.to_owned());
        }
    };
    let whole = header.trim_matches(MARKS);
    let open = outside_brackets(whole);
    for text in [whole, &open] {
        let name = unnumbered(text);
        push(text);
        push(name);
        let chinese = chinese_part(name);
        push(&chinese);
        // 身份证号码18位
        if let Some(rest) = chinese.strip_suffix('位') {
            push(rest.trim_end_matches(|c: char| c.is_ascii_digit()));
        }
    }
    forms
}

/// A numeral that numbers headers: 一、姓名.
fn numeral(c: char) -> bool {
    "一二三四五六七八九十".contains(c)
}

/// A text without its number in front.
fn unnumbered(text: &str) -> &str {
    let inside = text.trim_start_matches(['(', '[', '第']);
    let number = inside.trim_start_matches(|c: char| c.is_ascii_digit() || numeral(c));
    let length = inside.len() - number.len();
    let rest = number.trim_start_matches([')', ']', '.', '、', ':', ',', '-', '_', '项', '栏', '列']);
    // 2012年收入 and 第一书记 hold numbers that belong to the name.
    let is_number =
        (1..=6).contains(&length) && (rest.len() < number.len() || inside.starts_with(|c: char| c.is_ascii_digit()));
    if is_number && !rest.is_empty() { rest } else { text }
}

/// A text without what stands in brackets.
fn outside_brackets(text: &str) -> String {
    let mut outside = String::new();
    let mut waits = Vec::new();
    for c in text.chars() {
        if let Some((_, end)) = BRACKETS.iter().find(|(open, _)| *open == c) {
            waits.push(*end);
        } else if waits.last() == Some(&c) {
            waits.pop();
        } else if waits.is_empty() {
            outside.push(c);
        }
    }
    outside
}

/// A text without its foreign words, if it has Chinese ones.
fn chinese_part(text: &str) -> String {
    let is_foreign = |c: char| c.is_ascii_alphabetic();
    let chinese: String = text.chars().filter(|c| !is_foreign(*c)).collect();
    let chinese = chinese.trim_matches(MARKS);
    if chinese.chars().filter(|c| !c.is_ascii()).count() >= 2 { chinese.to_owned() } else { text.to_owned() }
}

/// 金额 out of 金额(万元).
fn without_bracket(text: &str) -> Option<&str> {
    let open = text.rfind('(').filter(|open| *open > 0 && text.ends_with(')'))?;
    Some(&text[..open])
}

/// What amounts are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// 元.
    Yuan,
    /// 万元.
    Wan,
}

impl Scale {
    /// What a header says that amounts under it are in.
    pub fn of_header(header: &str) -> Option<Self> {
        if header.contains("万元") || header.ends_with("(万)") {
            return Some(Self::Wan);
        }
        header.ends_with("(元)").then_some(Self::Yuan)
    }

    /// What a line above a table says that all of its amounts are in: 单位：万元, 金额单位：元, …情况表（万元）.
    pub fn of_line(line: &str) -> Option<Self> {
        let line: String = line.chars().map(|c| if c == '：' { ':' } else { c }).collect();
        let stated = line.split("单位").skip(1).find_map(|rest| {
            let amount = rest.trim_start().strip_prefix(':')?.trim_start();
            let end = |c: char| c.is_whitespace() || matches!(c, ')' | '）' | ']' | '】' | ';' | '；' | '。');
            let amount = amount.split(end).next()?;
            // 人、万元 says it of what is no number of people; 元山镇 is no amount.
            let mut said = amount.split(['、', ',', '，', '/']).map(|part| part.strip_prefix("人民币").unwrap_or(part));
            said.find_map(|part| match part {
                "万元" => Some(Self::Wan),
                "元" => Some(Self::Yuan),
                _ => None,
            })
        });
        let in_brackets = |word: &str| line.contains(&format!("({word})")) || line.contains(&format!("（{word}）"));
        let bracketed = || match (in_brackets("万元"), in_brackets("元")) {
            (true, false) => Some(Self::Wan),
            (false, true) => Some(Self::Yuan),
            _ => None,
        };
        stated.or_else(bracketed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_amounts_are_in_is_said_by_the_header_or_above_the_table() {
        for (header, scale) in [
            ("金额(万元)", Some(Scale::Wan)),
            ("金额(万)", Some(Scale::Wan)),
            ("金额(元)", Some(Scale::Yuan)),
            ("金额", None),
        ] {
            assert_eq!(Scale::of_header(header), scale, "{header}");
        }
        for (line, scale) in [
            ("单位：万元", Some(Scale::Wan)),
            ("2012年白水镇党建经费台账（单位：万元）", Some(Scale::Wan)),
            ("填报单位：中共白水镇委员会      金额单位：万元", Some(Scale::Wan)),
            ("金额单位: 人民币万元  2012年4月30日", Some(Scale::Wan)),
            ("经费情况表（万元）", Some(Scale::Wan)),
            ("填报单位：元山镇", None),
            ("填报单位：元山镇    单位：元", Some(Scale::Yuan)),
            ("单位：人、万元", Some(Scale::Wan)),
            ("填报单位：万元村党支部", None),
            ("党员花名册", None),
        ] {
            assert_eq!(Scale::of_line(line), scale, "{line}");
        }
    }

    #[test]
    fn headers_as_found_in_real_sheets() {
        for (found, expected) in [
            ("姓  名", "姓名"),
            ("*身份证号码（必填）", "身份证号码"),
            ("出生\n年月", "出生年月"),
            ("职务（留空默认为委员）", "职务"),
            ("金额（万元）：", "金额(万元)"),
            ("党籍状态（正式党员或预备党员）", "党籍状态(正式党员或预备党员)"),
            ("整改臺帐", "整改台账"),
        ] {
            assert_eq!(normalise(found), expected, "{found}");
        }
    }

    #[test]
    fn headers_with_numbers_hints_and_foreign_words_name_their_columns() {
        let catalogue = Catalogue::builtin();
        let index = HeaderIndex::new(&catalogue);
        let ledger = catalogue.ledgers().iter().position(|ledger| ledger.id == "members").expect("the roster");
        for (found, expected) in [
            ("1.姓名", "name"),
            ("15、姓  名", "name"),
            ("（2）性别", "sex"),
            ("(十一)性别", "sex"),
            ("③ 民族", "ethnic"),
            ("三、民族", "ethnic"),
            ("姓名 Name", "name"),
            ("Name姓名", "name"),
            ("姓名/Name", "name"),
            ("姓名（Name）", "name"),
            ("【必填】姓名", "name"),
            ("姓名【必填】", "name"),
            ("姓 名*", "name"),
            ("＊姓名：", "name"),
            ("公民身份号码（18位）", "id_card"),
            ("6.身份证号码 ID No.", "id_card"),
            ("身份证号码18位", "id_card"),
            ("身份证号码[必填项]", "id_card"),
            ("出生年月（如：1980.05）", "birth_date"),
            ("姓\u{a0}\u{200b}名", "name"),
            ("ｎａｍｅ　姓名", "name"),
            ("4.身份证上的家庭住址", "address"),
        ] {
            let claims = index.any_claims(&normalise(found));
            let claim = claims.iter().find(|claim| claim.ledger == ledger).unwrap_or_else(|| panic!("{found}"));
            assert_eq!(catalogue.ledgers()[ledger].columns[claim.column].key, expected, "{found}");
        }
        assert!(index.is_derived(&normalise("1.序号")) && index.is_derived(&normalise("序号 No.")));
        for other in ["第一书记", "2012年收入", "银行卡号", "35岁以下", "甲", "1", "(", "()", "一二三"]
        {
            assert!(index.claims_nearly(&normalise(other)).iter().all(|claim| claim.ledger != ledger), "{other}");
        }
    }
}
