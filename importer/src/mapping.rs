//! Which column of the ledger each column of a table is: as a person said, by its header, or by its values.

use std::collections::{BTreeMap, HashMap};

use sync_protocol::catalogue::Catalogue;

use crate::{
    header::{Claim, HeaderIndex, Rank, Scale, normalise},
    memory::{Mapping, Memory, path},
    table::Table,
    text::compact,
    workbook::grid::{Cell, Sheet, Texts},
};

/// What a column of the sheet becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A column of the ledger.
    Column {
        /// Its index in the ledger.
        index: usize,
        /// What the amounts are in, where its header or the table says so.
        scale: Option<Scale>,
    },
    /// Kept beside the row under its header.
    Extra(String),
}

/// A column of the sheet that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedColumn {
    /// Column of the sheet.
    pub column: u16,
    /// Its header as printed.
    pub header: String,
    /// What it becomes.
    pub target: Target,
    /// Set when the values decided instead of the header.
    pub decided_by_values: bool,
}

/// The levels of a header in one text.
pub(crate) fn printed(path: &[String]) -> String {
    path.iter().map(|level| normalise(level)).collect::<Vec<_>>().join("/")
}

/// What headers are compared with.
pub(crate) struct Mapper<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) index: &'a HeaderIndex,
    pub(crate) memory: &'a Memory,
}

impl Mapper<'_> {
    /// The mapping that a person has confirmed for a table with these headers, and its ledger.
    pub(crate) fn remembered(&self, paths: &BTreeMap<u16, Vec<String>>) -> Option<(usize, &Mapping)> {
        let headers: Vec<String> = paths.values().map(|path| path.join("/")).collect();
        let mapping = self.memory.mapping(headers.iter().map(String::as_str))?;
        let ledger = self.catalogue.ledgers().iter().position(|ledger| ledger.id == mapping.ledger)?;
        Some((ledger, mapping))
    }

    /// Whether the column is recomputed and never imported.
    fn is_derived(&self, header: &str) -> bool {
        self.index.is_derived(header.rsplit('/').next().unwrap_or(header))
    }

    /// The columns as confirmed: the n-th column with a header is the n-th that was confirmed under it.
    pub(crate) fn confirmed(
        &self,
        ledger: usize,
        mapping: &Mapping,
        paths: &BTreeMap<u16, Vec<String>>,
    ) -> Vec<MappedColumn> {
        let columns = &self.catalogue.ledgers()[ledger].columns;
        let mut left: Vec<(String, &Option<String>)> =
            mapping.columns.iter().map(|(header, key)| (path(header), key)).collect();
        let mut mapped = Vec::new();
        for (column, levels) in paths {
            let header = printed(levels);
            let Some(at) = left.iter().position(|(known, _)| *known == path(&header)) else { continue };
            let (_, key) = left.remove(at);
            let index = key.as_ref().and_then(|key| columns.iter().position(|column| column.key == *key));
            let target = match index {
                Some(index) => Target::Column { index, scale: Scale::of_header(&header) },
                None if self.is_derived(&header) => continue,
                None => Target::Extra(header.clone()),
            };
            mapped.push(MappedColumn { column: *column, header, target, decided_by_values: false });
        }
        mapped
    }

    /// Assigns columns: printed headers first, then other words for them, then weak words to what is left.
    pub(crate) fn columns(&self, ledger: usize, paths: &BTreeMap<u16, Vec<String>>) -> Vec<MappedColumn> {
        let candidates: Vec<(u16, String, [Vec<Claim>; 2])> = paths
            .iter()
            .map(|(column, path)| {
                let levels: Vec<String> = path.iter().map(|level| normalise(level)).collect();
                let full = levels.join("/");
                let last = levels.last().cloned().unwrap_or_default();
                let of_ledger = |text: &str| -> Vec<Claim> {
                    self.index.claims(text).iter().filter(|c| c.ledger == ledger).copied().collect()
                };
                let mut claims = of_ledger(&full);
                if claims.is_empty() {
                    claims = of_ledger(&last);
                }
                let nearly = self.index.claims_nearly(&last).iter().filter(|c| c.ledger == ledger).copied().collect();
                (*column, full, [claims, nearly])
            })
            .collect();
        let mut taken: HashMap<u16, usize> = HashMap::new();
        // What a header says exactly goes before what it may be meant to say.
        for (nearly, rank) in [0, 1].into_iter().flat_map(|nearly| Rank::ALL.map(|rank| (nearly, rank))) {
            for (column, _, claims) in &candidates {
                if taken.contains_key(column) {
                    continue;
                }
                let free = |claim: &&Claim| claim.rank == rank && !taken.values().any(|used| *used == claim.column);
                if let Some(claim) = claims[nearly].iter().find(free) {
                    taken.insert(*column, claim.column);
                }
            }
        }
        candidates
            .into_iter()
            .filter_map(|(column, header, _)| {
                let target = match taken.get(&column) {
                    Some(index) => Target::Column { index: *index, scale: Scale::of_header(&header) },
                    None if header.is_empty() => return None,
                    None if self.is_derived(&header) => return None,
                    None => Target::Extra(header.clone()),
                };
                Some(MappedColumn { column, header, target, decided_by_values: false })
            })
            .collect()
    }

    /// A code-list column whose values are another column's codes belongs to that column (党籍状态: 正式, 预备); so does
    /// one whose header names a column that another header names better (党组织类别 beside 所属领域).
    pub(crate) fn decide_by_values(&self, table: &mut Table, sheet: &Sheet, texts: &Texts) {
        let ledger = &self.catalogue.ledgers()[table.ledger];
        let words = self.catalogue.words();
        // Words that say nothing by themselves.
        let stand_ins = words.ditto.iter().chain(&words.empty).chain(&words.unknown);
        for at in 0..table.columns.len() {
            let (named, scale) = match &table.columns[at].target {
                Target::Column { index, scale } => (*index, *scale),
                Target::Extra(header) => {
                    let last = header.rsplit('/').next().unwrap_or(header);
                    let claims = self.index.claims(header).iter().chain(self.index.any_claims(last));
                    let Some(claim) = claims.into_iter().find(|claim| claim.ledger == table.ledger) else { continue };
                    (claim.column, Scale::of_header(header))
                }
            };
            let fits = |column: usize| {
                let list = ledger.columns[column].column_type.list().and_then(|id| self.catalogue.list(id))?;
                let (mut seen, mut known) = (0, 0);
                for row in table.body.iter().take(50) {
                    if let Some(Cell::Text(id)) = sheet.cell(*row, table.columns[at].column) {
                        let text = compact(texts.get(id));
                        let same = |word: &String| compact(word) == text;
                        if stand_ins.clone().any(same) {
                            continue;
                        }
                        seen += 1;
                        known += usize::from(
                            list.codes.iter().any(|c| same(&c.label) || same(&c.code) || c.aliases.iter().any(same)),
                        );
                    }
                }
                (seen > 0).then_some((seen, known))
            };
            let Some((seen, known)) = fits(named) else { continue };
            let is_own = matches!(table.columns[at].target, Target::Column { .. });
            if is_own && known * 5 > seen {
                continue;
            }
            let other = (0..ledger.columns.len())
                .filter(|other| table.column_of(*other).is_none())
                .find(|other| fits(*other).is_some_and(|(seen, known)| known * 5 >= seen * 4));
            if let Some(other) = other {
                table.columns[at].target = Target::Column { index: other, scale };
                table.columns[at].decided_by_values = true;
            }
        }
    }
}
