//! The rows of other units that a measure looks at.

use std::collections::{BTreeSet, HashMap};

use super::{Measure, Reach, UnitRows};
use crate::row::Row;

/// Rows of several units, found by what they say: who looks for a person goes not through all of a county.
#[derive(Debug, Default)]
pub struct Neighbours {
    pub(super) rows: UnitRows,
    /// Ledger and column → text → places in `rows`.
    index: HashMap<(String, String), HashMap<String, Vec<usize>>>,
}

impl Neighbours {
    /// Those rows, found by the columns by which these measures look for them.
    pub fn new<'m>(rows: UnitRows, measures: impl IntoIterator<Item = &'m Measure>) -> Self {
        let mut wanted = BTreeSet::new();
        for measure in measures {
            measure.havings(&mut |having, _| {
                let pairs = having.same.iter().filter(|_| having.reach != Reach::Unit);
                wanted.extend(pairs.map(|(_, other)| (having.ledger.clone(), other.clone())));
            });
        }
        let mut index: HashMap<(String, String), HashMap<String, Vec<usize>>> = HashMap::new();
        for (ledger, column) in wanted {
            let places = index.entry((ledger.clone(), column.clone())).or_default();
            for (place, row) in rows.get(&ledger).into_iter().flatten().enumerate() {
                let text = row.text(&column);
                if !text.is_empty() {
                    places.entry(text.to_owned()).or_default().push(place);
                }
            }
        }
        Self { rows, index }
    }

    /// The rows that say the same as `own` in one of these pairs of columns, at least.
    pub(super) fn alike(&self, own: &Row, ledger: &str, same: &[(String, String)]) -> Vec<&Row> {
        let mut places: BTreeSet<usize> = BTreeSet::new();
        for (mine, other) in same {
            let text = own.text(mine);
            let known = self.index.get(&(ledger.to_owned(), other.clone())).filter(|_| !text.is_empty());
            places.extend(known.and_then(|texts| texts.get(text)).into_iter().flatten());
        }
        let rows = self.rows.get(ledger).map(Vec::as_slice).unwrap_or_default();
        places.into_iter().filter_map(|place| rows.get(place)).collect()
    }
}
