//! 数据质量: every row that breaks a rule of the catalogue, or lacks what submission needs.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
};

use serde::Serialize;
use sync_protocol::{
    Row, UnitId, Value,
    catalogue::{
        Catalogue, Column, ColumnType, Ledger, Peers, Place, Requirement, Sensitivity, UnitRows, Variables, Weight,
    },
    unit::{Unit, UnitLevel},
};

use crate::{
    Server,
    returns::{ReturnError, read, record_name},
    store::{
        StoreError, UnitFault,
        units::{STEPS_MAX, way_up},
    },
};

/// Units whose rows are in memory at once.
const UNITS_PER_CHUNK: usize = 50;

/// A row that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QualityLine {
    /// `members.v3`; `members.mandatory` for what is missing.
    pub rule: String,
    /// How much it weighs.
    pub weight: Weight,
    /// Title of the ledger.
    pub ledger: String,
    /// Name of the unit.
    pub unit: String,
    /// What names the record.
    pub record: String,
    /// Its id.
    pub row: String,
    /// What is wrong and what to do.
    pub text: String,
    /// The same in English.
    pub text_en: String,
    /// What is wrong, one cause each, where it is several columns.
    #[serde(skip)]
    causes: Vec<String>,
}

/// A cause with the rows that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause<'l> {
    /// How much it weighs.
    pub weight: Weight,
    /// The rule.
    pub rule: &'l str,
    /// Title of the ledger.
    pub ledger: &'l str,
    /// What is wrong and what to do.
    pub text: &'l str,
    /// The rows.
    pub lines: Vec<&'l QualityLine>,
}

/// Records that are named of a cause.
const NAMED_MAX: usize = 3;

impl Cause<'_> {
    /// Its first records, as people call them.
    pub fn records(&self) -> String {
        let called = |line: &&QualityLine| {
            if line.record == line.unit { line.record.clone() } else { format!("{} {}", line.unit, line.record) }
        };
        let records: Vec<String> = self.lines.iter().take(NAMED_MAX).map(called).collect();
        let more = if self.lines.len() > NAMED_MAX { "等" } else { "" };
        format!("{}{more}", records.join("、"))
    }
}

/// The causes of lines, the heaviest first, those of most rows before others.
pub fn causes(lines: &[QualityLine]) -> Vec<Cause<'_>> {
    let mut by_cause: BTreeMap<(Reverse<Weight>, &str, &str), Cause<'_>> = BTreeMap::new();
    for line in lines {
        let texts: Vec<&str> = match line.causes.as_slice() {
            [] => vec![&line.text],
            causes => causes.iter().map(String::as_str).collect(),
        };
        for text in texts {
            let cause = by_cause.entry((Reverse(line.weight), &line.rule, text)).or_insert_with(|| Cause {
                weight: line.weight,
                rule: &line.rule,
                ledger: &line.ledger,
                text,
                lines: Vec::new(),
            });
            cause.lines.push(line);
        }
    }
    let mut causes: Vec<Cause<'_>> = by_cause.into_values().collect();
    causes.sort_by_key(|cause| (Reverse(cause.weight), Reverse(cause.lines.len())));
    causes
}

/// Checks every row of these units, in their order, as of a statistics date. What rules compare with rows elsewhere is
/// looked for in the whole county.
pub async fn quality(
    server: &Server,
    units: &[Unit],
    date: jiff::civil::Date,
) -> Result<Vec<QualityLine>, ReturnError> {
    let mut variables = server.catalogue.variables(server.campaign_year, None);
    variables.insert("statistics_date".into(), Value::Text(date.to_string()));
    let county = County::of(server.store.units().await?)?;
    let mut wide: Vec<Peers<'_>> =
        server.catalogue.rules().iter().filter(|rule| rule.is_wide()).map(Peers::of).collect();
    let looked_at: BTreeSet<&str> = wide.iter().flat_map(Peers::ledgers).collect();
    let looked_at: Vec<&Ledger> =
        server.catalogue.ledgers().iter().filter(|l| looked_at.contains(l.id.as_str())).collect();
    for chunk in county.units.chunks(UNITS_PER_CHUNK) {
        for own in county.rows(server, &looked_at, chunk).await? {
            for peers in &mut wide {
                peers.add(own.place, &own.rows, &variables);
            }
        }
    }
    let all: Vec<&Ledger> = server.catalogue.ledgers().iter().collect();
    let mut lines = Vec::new();
    let date = date.to_string();
    for chunk in units.chunks(UNITS_PER_CHUNK) {
        for own in county.rows(server, &all, chunk).await? {
            own.check(server, &variables, &date, &wide, &mut lines);
        }
    }
    Ok(lines)
}

/// The rows of a unit.
struct OwnRows<'u> {
    catalogue: &'u Catalogue,
    unit: &'u Unit,
    place: Place,
    rows: UnitRows,
    /// Rows that somebody removed.
    removed: UnitRows,
}

/// The register, to say where a unit stands.
struct County {
    units: Vec<Unit>,
    by_id: HashMap<UnitId, usize>,
}

impl County {
    /// Where the register has a circle nothing can be said of what is in it, and what is summed would be wrong.
    fn of(units: Vec<Unit>) -> Result<Self, ReturnError> {
        let by_id = units.iter().enumerate().map(|(index, unit)| (unit.id, index)).collect();
        let county = Self { units, by_id };
        match county.units.iter().find(|unit| county.way_up(unit).count() >= STEPS_MAX) {
            Some(unit) => Err(StoreError::from(UnitFault::Circle(unit.name.clone())).into()),
            None => Ok(county),
        }
    }

    /// A unit and those above it; as many as [`STEPS_MAX`] where that is a circle.
    fn way_up<'u>(&'u self, unit: &'u Unit) -> impl Iterator<Item = &'u Unit> {
        way_up(unit, |at| self.parent(at))
    }

    fn parent(&self, unit: &Unit) -> Option<&Unit> {
        Some(&self.units[*self.by_id.get(&unit.parent?)?])
    }

    fn place(&self, unit: &Unit) -> Place {
        let above = self.way_up(unit).find(|above| above.level != UnitLevel::Organisation);
        let highest = || self.way_up(unit).last();
        Place { unit: unit.id, reporting_unit: above.or_else(highest).map_or(unit.id, |above| above.id) }
    }

    /// The rows of these units that have any, with what the register says of each filled in.
    async fn rows<'u>(
        &self,
        server: &'u Server,
        ledgers: &[&Ledger],
        units: &'u [Unit],
    ) -> Result<Vec<OwnRows<'u>>, ReturnError> {
        let ids: Vec<UnitId> = units.iter().map(|unit| unit.id).collect();
        let mut by_unit: HashMap<UnitId, UnitRows> = HashMap::new();
        for ledger in ledgers {
            for (unit, rows) in read(server, &ledger.id, &ids).await? {
                by_unit.entry(unit).or_default().insert(ledger.id.clone(), rows);
            }
        }
        let filled = units.iter().filter_map(|unit| {
            let mut rows = by_unit.remove(&unit.id)?;
            let mut removed = UnitRows::new();
            for ledger in ledgers {
                let Some(own) = rows.get_mut(&ledger.id) else { continue };
                let columns = ledger.columns.iter().map(|column| &column.key);
                let named: Vec<(&String, String)> =
                    columns.filter_map(|key| Some((key, ledger.unit.named(key, unit, self.parent(unit))?))).collect();
                removed.insert(ledger.id.clone(), own.extract_if(.., |row| row.removed).collect());
                own.retain(Row::stands);
                for row in own {
                    row.cells.extend(named.iter().map(|(key, text)| ((*key).clone(), Value::text(text))));
                }
            }
            Some(OwnRows { catalogue: &server.catalogue, unit, place: self.place(unit), rows, removed })
        });
        Ok(filled.collect())
    }
}

impl OwnRows<'_> {
    fn check(
        &self,
        server: &Server,
        variables: &Variables,
        date: &str,
        wide: &[Peers<'_>],
        lines: &mut Vec<QualityLine>,
    ) {
        for ledger in server.catalogue.ledgers() {
            let Some(own) = self.rows.get(&ledger.id) else { continue };
            for row in own {
                lines.extend(self.missing(ledger, row));
                lines.extend(self.in_future(ledger, row, date));
            }
            let removed = self.removed.get(&ledger.id).filter(|_| ledger.keeps_rows);
            lines.extend(removed.into_iter().flatten().map(|row| self.vanished(ledger, row)));
            for rule in server.catalogue.rules().iter().filter(|rule| rule.ledger == ledger.id) {
                let broken = match wide.iter().find(|peers| peers.rule.id == rule.id) {
                    Some(peers) => peers.broken(self.place, &self.rows, variables),
                    None => rule.broken(self.place, &self.rows, variables),
                };
                let line = |row| QualityLine {
                    text: rule.text.clone(),
                    text_en: rule.text_en.clone(),
                    ..self.line(rule.id.clone(), rule.weight, ledger, row)
                };
                lines.extend(broken.into_iter().map(line));
            }
        }
    }

    fn line(&self, rule: String, weight: Weight, ledger: &Ledger, row: &Row) -> QualityLine {
        QualityLine {
            rule,
            weight,
            ledger: ledger.title.clone(),
            unit: self.unit.name.clone(),
            record: record_name(self.catalogue, &ledger.id, row, Sensitivity::S1),
            row: row.id.to_string(),
            text: String::new(),
            text_en: String::new(),
            causes: Vec::new(),
        }
    }

    /// What submission needs and the row lacks.
    fn missing(&self, ledger: &Ledger, row: &Row) -> Option<QualityLine> {
        let is_missing = |column: &&Column| {
            column.required == Requirement::Mandatory
                && column.default.is_none()
                && row.get(&column.key).is_none()
                && row.members(&column.key).next().is_none()
                && !ledger.unit.names_unit(&column.key)
        };
        let missing = titles(ledger, is_missing)?;
        Some(QualityLine {
            causes: missing.iter().map(|title| format!("缺少必填项：{title}")).collect(),
            text: format!("缺少必填项：{}", missing.join("、")),
            text_en: format!("missing: {}", missing.join("、")),
            ..self.line(format!("{}.mandatory", ledger.id), Weight::E, ledger, row)
        })
    }

    /// Dates that have not come yet, in columns that say what happened.
    fn in_future(&self, ledger: &Ledger, row: &Row, today: &str) -> Option<QualityLine> {
        let is_later = |column: &&Column| {
            let date = row.text(&column.key);
            let known = date.len().min(today.len());
            matches!(column.column_type, ColumnType::Date | ColumnType::PDate | ColumnType::DateTime)
                && !column.future
                && date.as_bytes()[..known] > today.as_bytes()[..known]
        };
        let later = titles(ledger, is_later)?;
        Some(QualityLine {
            causes: later.iter().map(|title| format!("日期晚于统计日期：{title}")).collect(),
            text: format!("日期晚于统计日期：{}", later.join("、")),
            text_en: format!("dates after the statistics date: {}", later.join("、")),
            ..self.line(format!("{}.future", ledger.id), Weight::E, ledger, row)
        })
    }

    fn vanished(&self, ledger: &Ledger, row: &Row) -> QualityLine {
        QualityLine {
            text: "名册不删行：请恢复，并用“党籍状态”等状态栏记录离开".into(),
            text_en: "rows of this ledger are never removed: restore it, and record in its state that it has left"
                .into(),
            ..self.line(format!("{}.removed", ledger.id), Weight::W, ledger, row)
        }
    }
}

/// The titles of such columns; nothing when there are none.
fn titles(ledger: &Ledger, such: impl FnMut(&&Column) -> bool) -> Option<Vec<&str>> {
    let titles: Vec<&str> = ledger.columns.iter().filter(such).map(|column| column.title.as_str()).collect();
    (!titles.is_empty()).then_some(titles)
}
