//! 数据质量: every row that breaks a rule of the catalogue, or lacks what submission needs.

use std::collections::BTreeMap;

use serde::Serialize;
use sync_protocol::{
    Row, UnitId, Value,
    catalogue::{Column, Requirement, Rule, UnitRows, Variables, Weight},
    unit::Unit,
};

use crate::{
    Server,
    returns::{ReturnError, read, record_name},
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
    /// What is wrong and what to do.
    pub text: String,
    /// The same in English.
    pub text_en: String,
}

impl QualityLine {
    fn of_rule(rule: &Rule, ledger: &str, unit: &Unit, row: &Row) -> Self {
        Self {
            rule: rule.id.clone(),
            weight: rule.weight,
            ledger: ledger.to_owned(),
            unit: unit.name.clone(),
            record: record_name(row),
            text: rule.text.clone(),
            text_en: rule.text_en.clone(),
        }
    }
}

/// Checks every row of these units, in their order, as of a statistics date.
pub async fn quality(
    server: &Server,
    units: &[Unit],
    date: jiff::civil::Date,
) -> Result<Vec<QualityLine>, ReturnError> {
    let mut variables = server.catalogue.variables(server.campaign_year, None);
    variables.insert("statistics_date".into(), Value::Text(date.to_string()));
    let mut lines = Vec::new();
    let mut seen = Seen::new();
    for chunk in units.chunks(UNITS_PER_CHUNK) {
        let ids: Vec<UnitId> = chunk.iter().map(|unit| unit.id).collect();
        let mut by_unit: BTreeMap<UnitId, UnitRows> = BTreeMap::new();
        for ledger in server.catalogue.ledgers() {
            for (unit, rows) in read(server, &ledger.id, &ids).await? {
                by_unit.entry(unit).or_default().insert(ledger.id.clone(), rows);
            }
        }
        for unit in chunk {
            if let Some(rows) = by_unit.get(&unit.id) {
                check(server, unit, rows, &variables, &mut lines);
                note(server, unit, rows, &variables, &mut seen);
            }
        }
    }
    lines.extend(seen.into_values().filter(|same| same.len() > 1).flatten());
    Ok(lines)
}

/// Rule and values → the rows that have them: more than one breaks the rule.
type Seen = BTreeMap<(String, Vec<String>), Vec<QualityLine>>;

/// Notes what must be unique in the county.
fn note(server: &Server, unit: &Unit, rows: &UnitRows, variables: &Variables, seen: &mut Seen) {
    for rule in server.catalogue.rules() {
        for row in rows.get(&rule.ledger).into_iter().flatten() {
            let Some(key) = rule.county_key(row, variables) else { continue };
            let ledger = server.catalogue.ledger(&rule.ledger).map_or("", |ledger| &ledger.title);
            seen.entry((rule.id.clone(), key)).or_default().push(QualityLine::of_rule(rule, ledger, unit, row));
        }
    }
}

fn check(server: &Server, unit: &Unit, rows: &UnitRows, variables: &Variables, lines: &mut Vec<QualityLine>) {
    for ledger in server.catalogue.ledgers() {
        let Some(own) = rows.get(&ledger.id) else { continue };
        let needed = |column: &&Column| {
            column.required == Requirement::Mandatory
                && column.default.is_none()
                && !ledger.unit.names_unit(&column.key)
        };
        let mandatory: Vec<&Column> = ledger.columns.iter().filter(needed).collect();
        for row in own {
            let missing: Vec<&str> = mandatory
                .iter()
                .filter(|column| row.get(&column.key).is_none() && row.members(&column.key).next().is_none())
                .map(|column| column.title.as_str())
                .collect();
            if !missing.is_empty() {
                lines.push(QualityLine {
                    rule: format!("{}.mandatory", ledger.id),
                    weight: Weight::E,
                    ledger: ledger.title.clone(),
                    unit: unit.name.clone(),
                    record: record_name(row),
                    text: format!("缺少必填项：{}", missing.join("、")),
                    text_en: format!("missing: {}", missing.join(", ")),
                });
            }
        }
        for rule in server.catalogue.rules().iter().filter(|rule| rule.ledger == ledger.id) {
            for id in rule.broken(rows, variables) {
                if let Some(row) = own.iter().find(|row| row.id == id) {
                    lines.push(QualityLine::of_rule(rule, &ledger.title, unit, row));
                }
            }
        }
    }
}
