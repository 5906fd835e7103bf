//! Tallies: what each unit counts for every measure of the catalogue that says the same on every day.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, PoisonError},
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
const COUNTED_AS: u32 = 3;

/// The measures of a catalogue, ready to count.
#[derive(Debug)]
pub struct Tallies {
    catalogue: Catalogue,
    measures: Vec<Counted>,
    /// The bindings of each measure, by year: the rows of a year are counted by its own dates.
    years: Mutex<BTreeMap<i16, Bindings>>,
    /// Ledger → the columns that measures read.
    columns: HashMap<String, BTreeSet<String>>,
    fingerprint: [u8; 32],
}

/// The bindings of each measure in one year.
type Bindings = Arc<Vec<Vec<Instance>>>;

#[derive(Debug)]
struct Counted {
    measure: Measure,
    /// What it is kept under, whatever the year.
    keys: Vec<String>,
    /// The ledgers that it reads.
    ledgers: BTreeSet<String>,
}

impl Tallies {
    /// Prepares the measures of a catalogue.
    pub fn new(catalogue: &Catalogue) -> Arc<Self> {
        let mut columns: HashMap<String, BTreeSet<String>> = HashMap::new();
        let counted = |measure: &Measure| {
            let mut ledgers = BTreeSet::new();
            measure.reads(&mut |ledger, column| {
                ledgers.insert(ledger.to_owned());
                let wanted = columns.entry(ledger.to_owned()).or_default();
                wanted.extend([column.to_owned(), STATE.to_owned()]);
            });
            let keys = measure.instances(catalogue, 0).into_iter().map(|instance| instance.key).collect();
            Counted { measure: measure.clone(), keys, ledgers }
        };
        // What depends on the day is counted when it is asked for: see `counting`.
        let measures: Vec<Counted> = catalogue.measures().filter(|measure| !measure.is_live()).map(counted).collect();
        let mut fingerprint = Sha256::new();
        fingerprint.update(COUNTED_AS.to_be_bytes());
        fingerprint.update(catalogue.digest());
        let fingerprint = fingerprint.finalize().into();
        Arc::new(Self { catalogue: catalogue.clone(), measures, years: Mutex::default(), columns, fingerprint })
    }

    fn bindings(&self, period: &str) -> Bindings {
        // A period is a year.
        let year = period.parse().unwrap_or_default();
        let mut years = self.years.lock().unwrap_or_else(PoisonError::into_inner);
        let bind = || self.measures.iter().map(|counted| counted.measure.instances(&self.catalogue, year)).collect();
        years.entry(year).or_insert_with(|| Arc::new(bind())).clone()
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
            concerned.keys.extend(counted.keys.iter().cloned());
            ledgers.extend(&counted.ledgers);
        }
        concerned.ledgers = ledgers.into_iter().cloned().collect();
        concerned
    }

    fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    fn tally(
        &self,
        period: &str,
        stored: &[TallyRow<'_>],
        concerned: &Concerned,
    ) -> Result<Vec<(String, String, i64)>, StoreError> {
        let bindings = self.bindings(period);
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
        let measures = concerned.measures.iter().filter_map(|at| Some((self.measures.get(*at)?, bindings.get(*at)?)));
        for (Counted { measure, .. }, instances) in measures {
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
