//! Tallies: what each unit counts for every measure of the catalogue.

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

use crate::store::{StoreError, Tally, TallyRow};

/// The measures of a catalogue, ready to count.
#[derive(Debug)]
pub struct Tallies {
    measures: Vec<(Measure, Vec<Instance>)>,
    /// Ledger → the columns that measures read.
    columns: HashMap<String, BTreeSet<String>>,
    ledgers: Vec<String>,
    fingerprint: [u8; 32],
}

impl Tallies {
    /// Prepares the measures of a catalogue for a campaign year.
    pub fn new(catalogue: &Catalogue, campaign_year: i16) -> Arc<Self> {
        let measures: Vec<(Measure, Vec<Instance>)> =
            catalogue.measures().map(|m| (m.clone(), m.instances(catalogue, campaign_year))).collect();
        let mut columns: HashMap<String, BTreeSet<String>> = HashMap::new();
        for (measure, _) in &measures {
            measure.reads(&mut |ledger, column| {
                let wanted = columns.entry(ledger.to_owned()).or_default();
                wanted.extend([column.to_owned(), STATE.to_owned()]);
            });
        }
        let mut ledgers: Vec<String> = columns.keys().cloned().collect();
        ledgers.sort();
        // Debug texts hold everything that decides a count.
        let fingerprint = Sha256::digest(format!("{measures:?}")).into();
        Arc::new(Self { measures, columns, ledgers, fingerprint })
    }
}

impl Tally for Tallies {
    fn ledgers(&self) -> &[String] {
        &self.ledgers
    }

    fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    fn tally(&self, stored: &[TallyRow<'_>]) -> Result<Vec<(String, String, i64)>, StoreError> {
        let mut joined: BTreeMap<(&str, RowId), Row> = BTreeMap::new();
        for &TallyRow { ledger, row, cells, removed } in stored {
            let Some(wanted) = self.columns.get(ledger) else { continue };
            let joined = joined.entry((ledger, row)).or_insert_with(|| Row::new(row));
            joined.removed |= removed;
            let mut json = serde_json::Deserializer::from_str(cells);
            Wanted { wanted, row: joined }.deserialize(&mut json).map_err(|e| StoreError::Damaged(e.to_string()))?;
        }
        let mut rows = UnitRows::new();
        for ((ledger, _), row) in joined {
            if row.counts() {
                rows.entry(ledger.to_owned()).or_default().push(row);
            }
        }
        let mut tallies = Vec::new();
        for (measure, instances) in &self.measures {
            for instance in instances {
                let counts = measure.count(&rows, &instance.variables);
                tallies.extend(counts.into_iter().map(|(by, value)| (instance.key.clone(), by, value)));
            }
        }
        Ok(tallies)
    }
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
            if self.wanted.contains(key.as_ref()) {
                let value: Value = map.next_value()?;
                self.row.cells.insert(key.into_owned(), value);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}
