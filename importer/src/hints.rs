//! The unit that a whole table belongs to, where no column names it: by the line above the table, its title, or the
//! name of the sheet.

use std::collections::BTreeSet;

use sync_protocol::{UnitId, catalogue::Ledger};

use crate::{header::normalise, register::Register, table::Table};

/// How the names of organisations end.
const KINDS: [&str; 8] = ["支部委员会", "党支部", "支部", "党总支", "总支", "党委", "党组", "委员会"];

/// The texts that may name the unit of a table, the surest first.
fn texts<'t>(table: &'t Table, sheet: &'t str) -> impl Iterator<Item = &'t str> {
    // 审核人：… and notes are no titles; 党支部：… is a label of just this.
    let is_title = |line: &&str| {
        let label = line.split([':', '\u{ff1a}']).next().unwrap_or(line);
        label.len() == line.len() || ["单位", "党组织", "支部"].iter().any(|word| label.contains(word))
    };
    let titles = table.titles.iter().map(String::as_str).filter(is_title);
    table.unit_hint.as_deref().into_iter().chain(titles).chain([sheet])
}

/// The organisation; or, if the texts do not agree or fit several, the names of some. `banners`: lines of their own between
/// the rows, which may begin another organisation's.
pub(crate) fn organisation(
    table: &Table,
    (ledger, sheet, banners): (&Ledger, &str, &[&str]),
    parent: Option<UnitId>,
    register: &Register,
) -> Option<Result<UnitId, Vec<String>>> {
    // What the line above the table says is meant to say it; a title and a tab only may.
    let found = |text: &str| named(text, ledger, parent, register);
    let stated = table.unit_hint.as_deref().and_then(found);
    if let Some(hint) = table.unit_hint.as_deref().filter(|_| stated.is_none()) {
        // It names one that the register does not have: whatever the tab says, it is not that.
        let is_organisation = KINDS.iter().any(|kind| hint.ends_with(kind)) && register.reporting_unit(hint).is_none();
        if is_organisation && register.in_front(hint).is_none_or(|(_, rest)| !rest.is_empty()) {
            return Some(Err(register.reporting_units_like(hint)));
        }
    }
    let found: Vec<_> = match stated {
        Some(Ok(unit)) => vec![Ok(unit)],
        _ => texts(table, sheet).filter_map(found).collect(),
    };
    let mut units: BTreeSet<UnitId> = found.iter().filter_map(|found| found.as_ref().ok()).copied().collect();
    if !units.is_empty() {
        units.extend(banners.iter().filter_map(|text| register.organisation(parent, None, Some(text)).ok()));
    }
    match (units.first(), units.len()) {
        (Some(unit), 1) => Some(Ok(*unit)),
        (None, _) => found.into_iter().next(),
        _ => {
            let names = units.iter().filter_map(|id| register.unit(*id)).map(|unit| unit.name.clone());
            Some(Err(names.take(3).collect()))
        }
    }
}

fn named(
    text: &str,
    ledger: &Ledger,
    parent: Option<UnitId>,
    register: &Register,
) -> Option<Result<UnitId, Vec<String>>> {
    let mut near = None;
    let found = candidates(text, ledger).into_iter().find_map(|name| {
        let (own, rest) = match register.in_front(&name) {
            Some((unit, rest)) => (Some(unit), rest),
            None => (None, name),
        };
        // 青山镇 alone is no organisation of 青山镇.
        let parent = own.or(parent);
        let exact = register.organisation(parent, None, Some(&rest)).ok();
        exact.or_else(|| match register.organisation_nearly(parent, &rest) {
            Ok((unit, _)) => Some(unit),
            // Only a name that ends as organisations' do was meant to be one.
            Err(names) => {
                if KINDS.iter().any(|kind| rest.ends_with(kind)) && !names.is_empty() {
                    near.get_or_insert(names);
                }
                None
            }
        })
    });
    found.map(Ok).or(near.map(Err))
}

/// The reporting unit.
pub(crate) fn reporting_unit(table: &Table, (ledger, sheet): (&Ledger, &str), register: &Register) -> Option<UnitId> {
    let mut hint = table.unit_hint.as_deref().into_iter().chain([sheet]);
    let plain = hint.find_map(|text| register.reporting_unit(text));
    plain.or_else(|| {
        texts(table, sheet).find_map(|text| {
            let candidates = candidates(text, ledger);
            let named = candidates.iter().find_map(|name| register.reporting_unit(name));
            named.or_else(|| candidates.iter().find_map(|name| register.in_front(name).map(|(unit, _)| unit)))
        })
    })
}

/// The names that a line may begin with: 2012年中共青山镇青石村支部委员会党员花名册 holds one that ends in 支部委员会.
fn candidates(text: &str, ledger: &Ledger) -> Vec<String> {
    let text = normalise(text);
    if text.chars().count() > 60 {
        return Vec::new();
    }
    let text = without_front(&text);
    let mut names: Vec<String> = Vec::new();
    let mut ends: Vec<usize> =
        KINDS.iter().flat_map(|kind| text.match_indices(kind).map(move |(at, _)| at + kind.len())).collect();
    ends.sort_unstable_by(|a, b| b.cmp(a));
    ends.dedup();
    names.extend(ends.into_iter().map(|end| text[..end].to_owned()));
    let titles = std::iter::once(&ledger.title).chain(&ledger.title_aliases).map(|title| normalise(title));
    if let Some(at) = titles.filter_map(|title| text.find(&title)).min() {
        names.push(text[..at].to_owned());
    } else if names.is_empty() {
        names.push(text.to_owned());
    }
    names.retain(|name| name.chars().count() >= 2);
    names
}

/// A line without the number of the annex and the year.
fn without_front(line: &str) -> &str {
    let mut text = line;
    for _ in 0..4 {
        let before = text;
        for word in ["附件", "附表", "表", "填报单位", "填表单位", "单位", "(盖章)", "党组织", "党支部:", "支部:"]
        {
            // The words are labels only where something else follows.
            let rest = text.strip_prefix(word).map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
            if let Some(rest) =
                rest.filter(|rest| word.ends_with([':', ')']) || rest.starts_with([':', '(']) || word.starts_with('附'))
            {
                text = rest.trim_start_matches([':', '.', '、', '-']);
            }
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if (1..=4).contains(&digits) {
            let rest = &text[digits..];
            for unit in ["年度", "年上半年", "年下半年", "年底", "年", "月份", "月", ".", "、", "-"] {
                if let Some(rest) = rest.strip_prefix(unit) {
                    text = rest;
                    break;
                }
            }
        }
        if text == before {
            break;
        }
    }
    text
}
