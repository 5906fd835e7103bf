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

    /// Whether the column is recomputed and never imported.
    pub fn is_derived(&self, header: &str) -> bool {
        self.derived.iter().any(|word| word == header)
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

/// 金额 out of 金额(万元).
fn without_bracket(text: &str) -> Option<&str> {
    let open = text.rfind('(').filter(|open| *open > 0 && text.ends_with(')'))?;
    Some(&text[..open])
}

/// Whether amounts under this header are in 万元.
pub fn is_wan(header: &str) -> bool {
    header.contains("万元") || header.ends_with("(万)")
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
