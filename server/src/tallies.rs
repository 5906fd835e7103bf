//! Tallies: what each unit counts for every measure of the catalogue that says the same on every day.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use sha2::{Digest, Sha256};
use sync_protocol::{
    Row, RowId, Value,
    catalogue::{Catalogue, Instance, Measure, UnitRows},
    row::STATE,
};

use crate::store::{Concerned, StoreError, Tally, TallyRow};

/// How this program counts: one more whenever the same measures of the same rows come to something else, so that stores of
/// older programs are counted anew.
const COUNTED_AS: u32 = 2;

/// The measures of a catalogue, ready to count.
#[derive(Debug)]
pub struct Tallies {
    measures: Vec<Counted>,
    /// Ledger → the columns that measures read.
    columns: HashMap<String, BTreeSet<String>>,
    fingerprint: [u8; 32],
}

#[derive(Debug)]
struct Counted {
    measure: Measure,
    instances: Vec<Instance>,
    /// The ledgers that it reads.
    ledgers: BTreeSet<String>,
}

impl Tallies {
    /// Prepares the measures of a catalogue for a campaign year.
    pub fn new(catalogue: &Catalogue, campaign_year: i16) -> Arc<Self> {
        let mut columns: HashMap<String, BTreeSet<String>> = HashMap::new();
        let counted = |measure: &Measure| {
            let mut ledgers = BTreeSet::new();
            measure.reads(&mut |ledger, column| {
                ledgers.insert(ledger.to_owned());
                let wanted = columns.entry(ledger.to_owned()).or_default();
                wanted.extend([column.to_owned(), STATE.to_owned()]);
            });
            Counted { measure: measure.clone(), instances: measure.instances(catalogue, campaign_year), ledgers }
        };
        // What depends on the day is counted when it is asked for: see `counting`.
        let measures: Vec<Counted> = catalogue.measures().filter(|measure| !measure.is_live()).map(counted).collect();
        let mut fingerprint = Sha256::new();
        fingerprint.update(COUNTED_AS.to_be_bytes());
        fingerprint.update(campaign_year.to_be_bytes());
        fingerprint.update(catalogue.digest());
        let fingerprint = fingerprint.finalize().into();
        Arc::new(Self { measures, columns, fingerprint })
    }
}

impl Tally for Tallies {
    fn concerned(&self, touched: Option<&BTreeSet<&str>>) -> Concerned {
        let is_concerned = |c: &Counted| {
            touched.is_none_or(|touched| c.ledgers.iter().any(|ledger| touched.contains(ledger.as_str())))
        };
        let all = self.measures.iter().enumerate().filter(|(_, counted)| is_concerned(counted));
        let mut concerned = Concerned { measures: Vec::new(), keys: Vec::new(), ledgers: Vec::new() };
        let mut ledgers = BTreeSet::new();
        for (at, counted) in all {
            concerned.measures.push(at);
            concerned.keys.extend(counted.instances.iter().map(|instance| instance.key.clone()));
            ledgers.extend(&counted.ledgers);
        }
        concerned.ledgers = ledgers.into_iter().cloned().collect();
        concerned
    }

    fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    fn tally(&self, stored: &[TallyRow<'_>], concerned: &Concerned) -> Result<Vec<(String, String, i64)>, StoreError> {
        let mut joined: BTreeMap<(&str, RowId), Row> = BTreeMap::new();
        for &TallyRow { ledger, row, cells, removed } in stored {
            let Some(wanted) = self.columns.get(ledger) else { continue };
            join(joined.entry((ledger, row)).or_insert_with(|| Row::new(row)), wanted, cells, removed)?;
        }
        let mut rows = UnitRows::new();
        for ((ledger, _), row) in joined {
            if row.counts() {
                rows.entry(ledger.to_owned()).or_default().push(row);
            }
        }
        let mut tallies = Vec::new();
        for Counted { measure, instances, .. } in concerned.measures.iter().filter_map(|at| self.measures.get(*at)) {
            for instance in instances {
                let counts = measure.count(&rows, &instance.variables);
                tallies.extend(counts.into_iter().map(|(by, value)| (instance.key.clone(), by, value)));
            }
        }
        Ok(tallies)
    }
}

/// Adds to a row what one of its books says of the columns that some measure asks for.
pub(crate) fn join(row: &mut Row, wanted: &BTreeSet<String>, cells: &str, removed: bool) -> Result<(), StoreError> {
    row.removed |= removed;
    let mut json = serde_json::Deserializer::from_str(cells);
    Wanted { wanted, row }.deserialize(&mut json).map_err(|e| StoreError::Damaged(e.to_string()))
}

/// Reads only the cells that some measure asks for.
struct Wanted<'a> {
    wanted: &'a BTreeSet<String>,
    row: &'a mut Row,
}

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of cells")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            // A set is one cell for each of its members.
            if self.wanted.contains(key.split_once('/').map_or(key.as_ref(), |(set, _)| set)) {
                let value: Value = map.next_value()?;
                self.row.cells.insert(key.into_owned(), value);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}
