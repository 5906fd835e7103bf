//! Workbooks made in memory, and what an import of them would write.

use importer::{
    Importer, ReadLimits, Register, UnitDocuments, Workbook,
    workbook::write::{Book, Created, Out, Style},
};
use sync_protocol::{
    Tenant, UnitId,
    catalogue::Catalogue,
    unit::{Unit, UnitLevel},
};

/// Top, left, bottom, right.
pub type Merge = (u32, u16, u32, u16);

/// A sheet as text: rows by line, cells by `|`. `#12.5` is a number, `@40969` a date cell, `%0.95` a formatted percent.
pub fn workbook(sheets: &[(&str, &str, &[Merge])]) -> Vec<u8> {
    let mut book = Book::new("t", Created { unix_s: 0 }).expect("book");
    for (name, text, merges) in sheets {
        let mut page = book.sheet(name).expect("sheet");
        for (row, line) in (0u32..).zip(text.lines()) {
            for (column, cell) in (0u16..).zip(line.split('|')) {
                let cell = cell.replace("⏎", "\n");
                let number = |text: &str| text.parse::<f64>().expect("a number");
                let (value, style) = match cell.chars().next() {
                    None => continue,
                    Some('#') => (Out::Number(number(&cell[1..])), Style::Plain),
                    Some('@') => (Out::Serial(number(&cell[1..])), Style::Date),
                    Some('%') => (Out::Number(number(&cell[1..])), Style::Percent),
                    Some(_) => (Out::Text(cell.clone()), Style::Plain),
                };
                page.put(row, column, &value, style).expect("cell");
            }
        }
        for (top, left, bottom, right) in *merges {
            let line = text.lines().nth(*top as usize).unwrap_or_default();
            let cell = line.split('|').nth(usize::from(*left)).unwrap_or_default();
            page.merge((*top, *left), (*bottom, *right), cell, Style::Plain).expect("merge");
        }
    }
    book.bytes().expect("bytes")
}

pub fn read(bytes: &[u8]) -> Workbook {
    importer::read(bytes, &ReadLimits::default()).expect("readable")
}

/// A register of one town and one branch in it, with ids that follow from their names.
pub fn branch_register(tenant: &Tenant, county: UnitId, town: &str, branch: &str) -> Register {
    let unit = |name: &str, level, parent| Unit {
        id: UnitId::derive(tenant, None, name),
        parent: Some(parent),
        level,
        code: None,
        name: name.into(),
        short_name: None,
        sort_order: 0,
    };
    let town = unit(town, UnitLevel::ReportingUnit, county);
    let branch = unit(branch, UnitLevel::Organisation, town.id);
    Register::new(vec![town, branch])
}

/// Everything that an import into an empty county would do, as lines.
pub fn dry_run(bytes: &[u8]) -> String {
    let catalogue = Catalogue::builtin();
    let tenant = Tenant::new("340099");
    let county = UnitId::derive(&tenant, None, "340099");
    let importer = Importer::new(&catalogue, tenant, county, 2012, Some(vec![1; 32]));
    let workbook = read(bytes);
    let (tables, mut findings) = importer.detect(&workbook);
    let mut register = Register::default();
    let mut lines = Vec::new();
    for table in &tables {
        let ledger = &catalogue.ledgers()[table.ledger];
        lines.push(format!(
            "table {} on {}, {} rows, unit {:?}",
            ledger.id,
            workbook.sheets[table.sheet].name,
            table.body.len(),
            table.unit_hint
        ));
    }
    for unit in importer.define_units(&workbook, &tables, &mut register) {
        lines.push(format!("unit {} ({})", unit.name, unit.code.unwrap_or_default()));
    }
    let grouped = importer.group(&workbook, &tables, &register);
    findings.extend(grouped.findings);
    for (unit, rows) in &grouped.units {
        let plan = importer.plan(&workbook, &tables, rows, &UnitDocuments::none(*unit));
        let name = register.unit(*unit).map_or("?", |unit| unit.name.as_str());
        for (book, edits) in &plan.edits {
            let mut last = None;
            for edit in edits {
                if last != Some(edit.address.row) {
                    lines.push(format!("row {} of {name} in {book}", edit.address.ledger));
                    last = Some(edit.address.row);
                }
                lines.push(format!(
                    "    {} = {}",
                    edit.address.cell(),
                    serde_json::to_string(&edit.value).expect("value")
                ));
            }
        }
        findings.extend(plan.findings);
    }
    for finding in findings {
        lines.push(format!(
            "{:?} {} {}!{} [{}] {}",
            finding.severity, finding.code, finding.sheet, finding.cell, finding.read, finding.message
        ));
    }
    lines.join("\n")
}
