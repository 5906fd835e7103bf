//! Whose row is it: units that rows define, and rows by the unit that owns them.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
};

use sync_protocol::{
    Tenant, UnitId,
    catalogue::{Catalogue, Ledger, UnitKind},
    shape::{is_masked, is_placeholder},
    unit::{Unit, UnitLevel},
};

use crate::{
    finding::{Finding, FindingKind},
    hints,
    mapping::MappedColumn,
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
    catalogue: &'a Catalogue,
    ledger: &'a Ledger,
    /// What the row above says: 同上 repeats it. A blank cell repeats nothing.
    last: [Option<String>; 3],
    /// The reporting unit of the whole table, once it was looked for.
    table_unit: OnceCell<Option<UnitId>>,
}

impl<'a> Names<'a> {
    fn new(workbook: &'a Workbook, table: &'a Table, catalogue: &'a Catalogue) -> Self {
        let sheet = &workbook.sheets[table.sheet];
        let ledger = &catalogue.ledgers()[table.ledger];
        Self { workbook, sheet, table, catalogue, ledger, last: [None, None, None], table_unit: OnceCell::new() }
    }

    /// The column of the sheet that holds a column of the ledger.
    fn column(&self, key: Option<&String>) -> Option<&'a MappedColumn> {
        let index = self.ledger.columns.iter().position(|c| Some(&c.key) == key)?;
        self.table.column_of(index)
    }

    fn text(&self, row: usize, column: Option<&String>) -> Option<String> {
        let mapped = self.column(column)?;
        let text = match self.table.cell(self.sheet, row, mapped.column)? {
            Cell::Text(id) => clean(self.workbook.texts.get(id)).into_owned(),
            Cell::Number { value, .. } => value.to_string(),
            _ => return None,
        };
        // Neither what is masked nor what is still to come names a unit.
        let is_none = is_masked(&text) || is_placeholder(&text);
        (!is_none || self.catalogue.words().ditto.contains(&text)).then_some(text)
    }

    /// Reporting unit, code and name of a row.
    fn next(&mut self, row: usize) -> [Option<String>; 3] {
        let unit = &self.ledger.unit;
        let mut own = [
            self.text(row, unit.reporting_unit.as_ref()),
            self.text(row, unit.code.as_ref()),
            self.text(row, unit.name.as_ref()),
        ];
        let ditto = &self.catalogue.words().ditto;
        for (own, last) in own.iter_mut().zip(&self.last) {
            if own.as_ref().is_some_and(|text| ditto.contains(text)) {
                own.clone_from(last);
            }
        }
        self.last.clone_from(&own);
        own
    }

    /// The cell that should name the row's unit, if it holds a formula without a result.
    fn uncomputed(&self, row: usize) -> Option<&'a MappedColumn> {
        let unit = &self.ledger.unit;
        let columns = [&unit.name, &unit.code, &unit.reporting_unit].into_iter().flatten();
        columns
            .filter_map(|key| self.column(Some(key)))
            .find(|mapped| self.table.cell(self.sheet, row, mapped.column) == Some(Cell::Uncomputed))
    }

    /// The reporting unit from the row, the 填报单位 line, the sheet's name, or the title.
    fn reporting_unit(&self, own: Option<&str>, register: &Register) -> Option<UnitId> {
        if let Some(text) = own {
            return register.reporting_unit(text);
        }
        *self.table_unit.get_or_init(|| {
            let whole = hints::reporting_unit(self.table, (self.ledger, &self.sheet.name), register);
            // Where rows name others, a row that names none is not the table's own.
            let key = self.ledger.unit.reporting_unit.as_ref();
            let agrees = |row: &usize| {
                let text = self.text(*row, key).filter(|text| !self.catalogue.words().ditto.contains(text));
                text.is_none_or(|text| register.reporting_unit(&text) == whole)
            };
            whole.filter(|_| self.table.body.iter().all(agrees))
        })
    }

    /// The organisation of the whole table, where no column names one.
    fn table_organisation(&self, register: &Register) -> Option<Result<UnitId, Vec<String>>> {
        let unit = &self.ledger.unit;
        if unit.defines || self.column(unit.name.as_ref()).or(self.column(unit.code.as_ref())).is_some() {
            return None;
        }
        let parent = self.reporting_unit(None, register);
        let banners: Vec<&str> = self
            .table
            .words
            .iter()
            .filter_map(|row| match self.table.cells(self.sheet, *row) {
                [(_, Cell::Text(id))] => Some(self.workbook.texts.get(*id)),
                _ => None,
            })
            .collect();
        hints::organisation(self.table, (self.ledger, &self.sheet.name, &banners), parent, register)
    }

    fn finding(&self, row: usize, read: Option<String>, kind: &FindingKind) -> Finding {
        let keys = [&self.ledger.unit.name, &self.ledger.unit.code, &self.ledger.unit.reporting_unit];
        let column = keys.into_iter().flatten().find_map(|key| self.column(Some(key)));
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
                // A committee's own row among its branches: the reporting unit stays one.
                if code.as_deref().and_then(|code| register.coded(code)).is_some_and(|known| known.level != level) {
                    continue;
                }
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
        let whole = names.table_organisation(register);
        if let (Some(Ok(unit)), Some(first)) = (&whole, table.body.first()) {
            let unit = register.unit(*unit).map(|unit| unit.name.clone()).unwrap_or_default();
            grouped.findings.push(names.finding(*first, None, &FindingKind::UnitFromTitle { unit }));
        }
        let mut told = BTreeSet::new();
        for row in &table.body {
            let above = names.last[2].clone().or_else(|| names.last[1].clone());
            let said = names.next(*row);
            match owner(&names, &said, (whole.as_ref(), county), register) {
                Ok((unit, is_sure)) => {
                    let [.., name] = said;
                    if !is_sure && told.insert(name.clone()) {
                        let unit = register.unit(unit).map(|unit| unit.name.clone()).unwrap_or_default();
                        grouped.findings.push(names.finding(*row, name, &FindingKind::UnitTaken { unit }));
                    }
                    grouped.units.entry(unit).or_default().push(RowRef { table: table_index, row: *row });
                }
                Err((unresolved, read)) => grouped.findings.push(refused(&names, *row, unresolved, read, above)),
            }
        }
    }
    grouped
}

/// The unit that owns a row, and whether it is named as the register names it; or why not, and what was read.
fn owner(
    names: &Names<'_>,
    [reporting_unit, code, name]: &[Option<String>; 3],
    (whole, county): (Option<&Result<UnitId, Vec<String>>>, UnitId),
    register: &Register,
) -> Result<(UnitId, bool), (Unresolved, Option<String>)> {
    let code = code.as_deref().map(|code| compact(code).into_owned());
    let read = || name.clone().or(code.clone());
    match names.ledger.unit.of {
        UnitKind::County => Ok((county, true)),
        UnitKind::ReportingUnit => {
            let own = [code.as_deref(), name.as_deref(), reporting_unit.as_deref()].into_iter().flatten();
            let found = own.clone().find_map(|text| register.reporting_unit(text));
            // A ledger without any such column belongs to whoever the 填报单位 line names.
            let found = found.or_else(|| names.reporting_unit(reporting_unit.as_deref(), register));
            found.map(|unit| (unit, true)).ok_or_else(|| match own.clone().last() {
                Some(text) if name.is_some() || reporting_unit.is_some() => {
                    (Unresolved::Unknown(register.reporting_units_like(text)), Some(text.to_owned()))
                }
                _ => (Unresolved::Unnamed, None),
            })
        }
        UnitKind::Organisation => {
            if name.is_none()
                && code.is_none()
                && let Some(whole) = whole
            {
                return whole.clone().map(|unit| (unit, true)).map_err(|near| (Unresolved::Unknown(near), None));
            }
            let parent = names.reporting_unit(reporting_unit.as_deref(), register);
            let defines = names.ledger.unit.defines;
            match (parent, &reporting_unit) {
                (None, Some(text)) if code.is_none() => {
                    Err((Unresolved::Unknown(register.reporting_units_like(text)), Some(text.clone())))
                }
                // It would be new, and nobody says whose it is.
                (None, None) if defines && name.is_some() => register
                    .organisation(None, code.as_deref(), name.as_deref())
                    .map(|unit| (unit, true))
                    .map_err(|_| (Unresolved::Unnamed, read())),
                _ => {
                    let found = register.organisation(parent, code.as_deref(), name.as_deref());
                    match (found, name) {
                        (Ok(unit), _) => Ok((unit, true)),
                        (Err(Unresolved::Unknown(_)), Some(name)) if !defines => register
                            .organisation_nearly(parent, name)
                            .map_err(|near| (Unresolved::Unknown(near), read())),
                        (Err(unresolved), _) => Err((unresolved, read())),
                    }
                }
            }
        }
    }
}

/// Why a row was not taken.
fn refused(
    names: &Names<'_>,
    row: usize,
    unresolved: Unresolved,
    read: Option<String>,
    above: Option<String>,
) -> Finding {
    match (names.uncomputed(row), unresolved) {
        (Some(mapped), _) => {
            let place = address(names.sheet.row_number(row), mapped.column);
            Finding::new(&FindingKind::NoResult, &names.sheet.name, place, &mapped.header, String::new())
        }
        (None, Unresolved::Unknown(suggestions)) => names.finding(row, read, &FindingKind::UnknownUnit { suggestions }),
        (None, Unresolved::Unnamed) => {
            let unit = &names.ledger.unit;
            let has_column = names.column(unit.name.as_ref()).or(names.column(unit.code.as_ref())).is_some();
            let kind = if has_column && read.is_none() && !unit.defines {
                FindingKind::BlankUnit { above }
            } else {
                FindingKind::NoUnit
            };
            names.finding(row, read, &kind)
        }
    }
}

/// The rows of all tables, whoever owns them.
pub fn all_rows(tables: &[Table]) -> Vec<RowRef> {
    let rows = |(index, table): (usize, &'_ Table)| -> Vec<RowRef> {
        table.body.iter().map(|row| RowRef { table: index, row: *row }).collect()
    };
    tables.iter().enumerate().flat_map(rows).collect()
}
