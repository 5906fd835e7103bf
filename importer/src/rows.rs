//! Whose row is it: units that rows define, and rows by the unit that owns them.

use std::collections::BTreeMap;

use sync_protocol::{
    Tenant, UnitId,
    catalogue::{Catalogue, Ledger, UnitKind},
    unit::{Unit, UnitLevel},
};

use crate::{
    finding::{Finding, FindingKind},
    register::{Register, Unresolved},
    table::Table,
    text::{clean, compact, organisation},
    workbook::grid::{Cell, Sheet, Workbook, address},
};

/// A body row of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRef {
    /// Index of the table.
    pub table: usize,
    /// Index of the row in its sheet.
    pub row: usize,
}

/// Rows by the unit that owns them.
#[derive(Debug, Default)]
pub struct Grouped {
    /// The rows of each unit, in the order of the file.
    pub units: BTreeMap<UnitId, Vec<RowRef>>,
    /// Rows without a unit.
    pub findings: Vec<Finding>,
}

/// Reads the cells of one table that say whose row it is.
struct Names<'a> {
    workbook: &'a Workbook,
    sheet: &'a Sheet,
    table: &'a Table,
    ledger: &'a Ledger,
    /// What grouping cells said last: blank cells below repeat them.
    last: [Option<String>; 3],
}

impl<'a> Names<'a> {
    fn new(workbook: &'a Workbook, table: &'a Table, catalogue: &'a Catalogue) -> Self {
        let sheet = &workbook.sheets[table.sheet];
        Self { workbook, sheet, table, ledger: &catalogue.ledgers()[table.ledger], last: [None, None, None] }
    }

    fn text(&self, row: usize, column: Option<&String>) -> Option<String> {
        let key = column?;
        let index = self.ledger.columns.iter().position(|c| c.key == *key)?;
        let mapped = self.table.column_of(index)?;
        let text = match self.table.cell(self.sheet, row, mapped.column)? {
            Cell::Text(id) => clean(self.workbook.texts.get(id)).into_owned(),
            Cell::Number { value, .. } => value.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// Reporting unit, code and name of a row, grouping cells filled down.
    fn next(&mut self, row: usize) -> [Option<String>; 3] {
        let unit = &self.ledger.unit;
        let mut own = [
            self.text(row, unit.reporting_unit.as_ref()),
            self.text(row, unit.code.as_ref()),
            self.text(row, unit.name.as_ref()),
        ];
        if own[0].is_none() {
            own[0].clone_from(&self.last[0]);
        }
        if !unit.defines && own[1].is_none() && own[2].is_none() {
            own[1].clone_from(&self.last[1]);
            own[2].clone_from(&self.last[2]);
        }
        self.last.clone_from(&own);
        own
    }

    /// The reporting unit from the row, the 填报单位 line, or the sheet's name.
    fn reporting_unit(&self, own: Option<&str>, register: &Register) -> Option<UnitId> {
        match own {
            Some(text) => register.reporting_unit(text),
            None => [self.table.unit_hint.as_deref(), Some(self.sheet.name.as_str())]
                .into_iter()
                .flatten()
                .find_map(|text| register.reporting_unit(text)),
        }
    }

    fn finding(&self, row: usize, read: Option<String>, kind: &FindingKind) -> Finding {
        let keys = [&self.ledger.unit.name, &self.ledger.unit.code, &self.ledger.unit.reporting_unit];
        let column = keys.into_iter().flatten().find_map(|key| {
            let index = self.ledger.columns.iter().position(|c| c.key == *key)?;
            self.table.column_of(index)
        });
        let place = address(self.sheet.row_number(row), column.map_or(0, |c| c.column));
        let header = column.map_or("", |c| c.header.as_str());
        Finding::new(kind, &self.sheet.name, place, header, read.unwrap_or_default())
    }
}

/// The units that the rows of defining ledgers make, added to the register.
pub fn define_units(
    workbook: &Workbook,
    tables: &[Table],
    catalogue: &Catalogue,
    tenant: &Tenant,
    county: UnitId,
    register: &mut Register,
) -> Vec<Unit> {
    let mut defined = Vec::new();
    for kind in [UnitKind::ReportingUnit, UnitKind::Organisation] {
        for table in tables {
            let ledger = &catalogue.ledgers()[table.ledger];
            if !ledger.unit.defines || ledger.unit.of != kind {
                continue;
            }
            let mut names = Names::new(workbook, table, catalogue);
            for (position, row) in table.body.iter().enumerate() {
                let [reporting_unit, code, name] = names.next(*row);
                let Some(name) = name else { continue };
                let code = code.map(|c| compact(&c).into_owned());
                let (parent, level) = match kind {
                    UnitKind::Organisation => {
                        let Some(parent) = names.reporting_unit(reporting_unit.as_deref(), register) else { continue };
                        (parent, UnitLevel::Organisation)
                    }
                    UnitKind::County | UnitKind::ReportingUnit => (county, UnitLevel::ReportingUnit),
                };
                let known = match kind {
                    UnitKind::Organisation => register.organisation(Some(parent), code.as_deref(), Some(&name)).ok(),
                    _ => code
                        .as_deref()
                        .and_then(|c| register.reporting_unit(c))
                        .or_else(|| register.reporting_unit(&name)),
                };
                let id = known.unwrap_or_else(|| {
                    if let Some(code) = &code {
                        UnitId::derive(tenant, None, code)
                    } else {
                        let parent_name = register.unit(parent).map(|unit| unit.name.clone());
                        UnitId::derive(tenant, Some(parent), &organisation(&name, parent_name.as_deref()))
                    }
                });
                let order = names.text(*row, ledger.unit.sort_order.as_ref()).and_then(|t| t.parse::<i64>().ok());
                let unit = Unit {
                    id,
                    parent: Some(parent),
                    level,
                    code: code.or_else(|| register.unit(id).and_then(|unit| unit.code.clone())),
                    name,
                    short_name: names
                        .text(*row, ledger.unit.short_name.as_ref())
                        .or_else(|| register.unit(id).and_then(|unit| unit.short_name.clone())),
                    sort_order: order.unwrap_or_else(|| i64::try_from(position).unwrap_or(i64::MAX)),
                };
                if register.unit(id) != Some(&unit) {
                    register.insert(unit.clone());
                    defined.push(unit);
                }
            }
        }
    }
    defined
}

/// Sorts the rows of all tables by the unit that owns them.
pub fn group(
    workbook: &Workbook,
    tables: &[Table],
    catalogue: &Catalogue,
    county: UnitId,
    register: &Register,
) -> Grouped {
    let mut grouped = Grouped::default();
    for (table_index, table) in tables.iter().enumerate() {
        let mut names = Names::new(workbook, table, catalogue);
        for row in &table.body {
            let [reporting_unit, code, name] = names.next(*row);
            let code = code.map(|c| compact(&c).into_owned());
            let owner = match names.ledger.unit.of {
                UnitKind::County => Ok(county),
                UnitKind::ReportingUnit => [code.as_deref(), name.as_deref(), reporting_unit.as_deref()]
                    .into_iter()
                    .flatten()
                    .find_map(|text| register.reporting_unit(text))
                    // A ledger without any such column belongs to whoever the 填报单位 line names.
                    .or_else(|| names.reporting_unit(reporting_unit.as_deref(), register))
                    .ok_or(if name.is_some() { Unresolved::Unknown(Vec::new()) } else { Unresolved::Unnamed }),
                UnitKind::Organisation => {
                    let parent = names.reporting_unit(reporting_unit.as_deref(), register);
                    match (parent, &reporting_unit) {
                        (None, Some(text)) if code.is_none() => {
                            names_finding(&names, *row, text, &mut grouped.findings);
                            continue;
                        }
                        // It would be new, and nobody says whose it is.
                        (None, None) if names.ledger.unit.defines && name.is_some() => register
                            .organisation(None, code.as_deref(), name.as_deref())
                            .map_err(|_| Unresolved::Unnamed),
                        _ => register.organisation(parent, code.as_deref(), name.as_deref()),
                    }
                }
            };
            match owner {
                Ok(unit) => grouped.units.entry(unit).or_default().push(RowRef { table: table_index, row: *row }),
                Err(Unresolved::Unnamed) => grouped.findings.push(names.finding(*row, name, &FindingKind::NoUnit)),
                Err(Unresolved::Unknown(suggestions)) => {
                    let kind = FindingKind::UnknownUnit { suggestions };
                    grouped.findings.push(names.finding(*row, name.or(code), &kind));
                }
            }
        }
    }
    grouped
}

fn names_finding(names: &Names<'_>, row: usize, text: &str, findings: &mut Vec<Finding>) {
    let kind = FindingKind::UnknownUnit { suggestions: Vec::new() };
    findings.push(names.finding(row, Some(text.to_owned()), &kind));
}

/// The rows of all tables, whoever owns them.
pub fn all_rows(tables: &[Table]) -> Vec<RowRef> {
    let rows = |(index, table): (usize, &'_ Table)| -> Vec<RowRef> {
        table.body.iter().map(|row| RowRef { table: index, row: *row }).collect()
    };
    tables.iter().enumerate().flat_map(rows).collect()
}
