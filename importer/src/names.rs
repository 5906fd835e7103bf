//! Names of persons: what is the name and what a note beside it, and whether two spellings are one name.

use sync_protocol::shape::unmarked;

use crate::text::{clean, compact, person};

/// What opens and closes a note.
const BRACKETS: [(char, char); 5] = [('(', ')'), ('（', '）'), ('[', ']'), ('【', '】'), ('〔', '〕')];

/// What introduces another name of the same person.
const FORMER: [&str; 7] = ["曾用名", "原名", "又名", "别名", "化名", "小名", "曾名"];

/// The name, and the note that stands behind it or the mark before it: 王某某（已故）, 王某某(女), *王某某.
pub(crate) fn split(text: &str) -> (String, Option<String>) {
    let text = clean(text);
    let (mut name, mut notes) = (String::new(), Vec::new());
    let mut rest = text.as_ref();
    while let Some(at) = rest.find(|c| BRACKETS.iter().any(|(open, _)| *open == c)) {
        name.push_str(&rest[..at]);
        let mut inside = rest[at..].chars();
        let open = inside.next().unwrap_or('(');
        let inside = inside.as_str();
        // Half and full width brackets are mixed in one note.
        let is_close = |c: char| BRACKETS.iter().any(|(_, close)| *close == c) && c != open;
        let (note, after) = match inside.find(is_close) {
            Some(end) => (&inside[..end], inside[end..].chars().as_str()),
            None => (inside, ""),
        };
        let after = after.strip_prefix(is_close).unwrap_or(after);
        if !note.trim().is_empty() {
            notes.push(note.trim().to_owned());
        }
        rest = after;
    }
    name.push_str(rest);
    let whole = name.trim();
    let bare = unmarked(whole);
    if bare.len() < whole.len() {
        notes.push(whole.replacen(bare, "", 1).trim().to_owned());
    }
    let name = person(bare);
    let note = notes.join("；");
    (name, (!note.is_empty()).then_some(note))
}

/// Whether two spellings may be the name of one person: blanks, widths, dots and notes do not count, and a former name that
/// is written beside a name is a name.
pub(crate) fn same(a: &str, b: &str) -> bool {
    let (a, b) = (spellings(a), spellings(b));
    a.is_empty() || b.is_empty() || a.iter().any(|name| b.contains(name))
}

/// The name as it is compared.
pub(crate) fn spelling(name: &str) -> String {
    let (name, _) = split(name);
    compact(&name).to_lowercase().chars().filter(|c| !matches!(c, '·' | '.' | '-' | '\'' | '’' | ' ')).collect()
}

/// Every name that a text gives.
fn spellings(text: &str) -> Vec<String> {
    let (_, note) = split(text);
    let former = note.iter().flat_map(|note| note.split('；')).filter_map(|note| {
        let after = FORMER.iter().find_map(|word| note.find(word).map(|at| &note[at + word.len()..]))?;
        Some(spelling(after.trim_start_matches([':', '：', ' ', '为'])))
    });
    std::iter::once(spelling(text)).chain(former).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_no_part_of_a_name() {
        for (text, name, note) in [
            ("王某某", "王某某", None),
            ("王 某 某", "王某某", None),
            ("王某某（已故）", "王某某", Some("已故")),
            ("王某某(女)", "王某某", Some("女")),
            ("王某某(女）", "王某某", Some("女")),
            ("王某某（曾用名：王小小）", "王某某", Some("曾用名：王小小")),
            ("王某某（已转出", "王某某", Some("已转出")),
            ("王某某【预备】（女）", "王某某", Some("预备；女")),
            ("*王某某", "王某某", Some("*")),
            ("王某某△", "王某某", Some("△")),
            ("阿依古丽•买买提", "阿依古丽·买买提", None),
            ("Li Lei (Leo)", "Li Lei", Some("Leo")),
        ] {
            assert_eq!(split(text), (name.to_owned(), note.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn one_name_has_many_spellings() {
        for (a, b, expected) in [
            ("张三", "张　三", true),
            ("张三", "张三（已故）", true),
            ("阿依古丽·买买提", "阿依古丽买买提", true),
            ("ＬＩ ＬＥＩ", "Li Lei", true),
            ("张三（曾用名：李四）", "李四", true),
            ("张三", "李四（原名张三）", true),
            ("张三", "", true),
            ("张三", "张山", false),
            ("张三", "李四", false),
            ("张三（男）", "李四（男）", false),
        ] {
            assert_eq!(same(a, b), expected, "{a} {b}");
            assert_eq!(same(b, a), expected, "{b} {a}");
        }
    }
}
