//! What somebody may have meant by a word that is in no list: the nearest codes first.

use std::cmp::Reverse;

use sync_protocol::catalogue::CodeList;

use crate::text::compact;

/// Codes that a hint names.
const NAMED_MAX: usize = 8;

/// The words of a code list.
#[derive(Debug)]
pub(crate) struct Nearest {
    /// The label of each code, and every word that means it.
    codes: Vec<(String, Vec<String>)>,
}

impl Nearest {
    pub(crate) fn of(list: &CodeList) -> Self {
        let words = |words: &mut dyn Iterator<Item = &String>| words.map(|word| compact(word).into_owned()).collect();
        let codes = list.codes.iter().map(|code| {
            let all: Vec<String> = words(&mut std::iter::once(&code.label).chain(&code.aliases));
            (code.label.clone(), all)
        });
        Self { codes: codes.collect() }
    }

    /// The labels that come nearest to what was written, the nearest first; the first of the list where nothing comes near.
    pub(crate) fn nearest(&self, written: &str) -> String {
        let written: Vec<char> = compact(written).chars().take(40).collect();
        let mut ranked: Vec<(usize, &str)> = self
            .codes
            .iter()
            .map(|(label, words)| {
                (words.iter().map(|word| likeness(word, &written)).max().unwrap_or(0), label.as_str())
            })
            .collect();
        ranked.sort_by_key(|(likeness, _)| Reverse(*likeness));
        let named: Vec<&str> = ranked.iter().take(NAMED_MAX).map(|(_, label)| *label).collect();
        let named = named.join("、");
        if self.codes.len() > NAMED_MAX { format!("{named} 等 {} 项", self.codes.len()) } else { named }
    }
}

/// How near a word of the list comes: what stands in the other whole, then the longest common part, then common characters.
fn likeness(word: &str, written: &[char]) -> usize {
    let word: Vec<char> = word.chars().collect();
    let common = written.iter().filter(|c| word.contains(c)).count();
    let longest = longest_common(&word, written);
    let whole = longest > 0 && longest == word.len().min(written.len());
    // Of two words that stand in it whole, or in which it does, the one of nearest length.
    let spread = word.len().abs_diff(written.len()).min(20);
    usize::from(whole) * 1000 + longest * 100 + common * 20 + (20 - spread) * usize::from(common > 0)
}

/// The length of the longest run of characters that stands in both.
fn longest_common(a: &[char], b: &[char]) -> usize {
    let mut above = vec![0; b.len() + 1];
    let mut longest = 0;
    for x in a {
        let mut row = vec![0; b.len() + 1];
        for (at, y) in b.iter().enumerate() {
            if x == y {
                row[at + 1] = above[at] + 1;
                longest = longest.max(row[at + 1]);
            }
        }
        above = row;
    }
    longest
}

#[cfg(test)]
mod tests {
    use sync_protocol::catalogue::Catalogue;

    use super::*;

    #[test]
    fn the_nearest_codes_come_first() {
        let catalogue = Catalogue::builtin();
        for (list, written, first) in [
            ("education", "初中以下", "初级中学教育"),
            ("education", "中专（函授）", "中等职业教育"),
            ("education", "在职研究生班", "研究生教育"),
            ("sex", "女（已婚）", "女"),
            ("ethnic", "汉族人", "汉族"),
            ("ethnic", "维吾尔人", "维吾尔族"),
            ("member_category", "预备期", "预备党员"),
        ] {
            let hints = Nearest::of(catalogue.list(list).expect(list));
            let named = hints.nearest(written);
            assert!(named.starts_with(first), "{list} {written}: {named}");
        }
        let hints = Nearest::of(catalogue.list("education").expect("a list"));
        assert!(hints.nearest("???").starts_with("研究生教育"), "nothing comes near: the list from its beginning");
    }
}
