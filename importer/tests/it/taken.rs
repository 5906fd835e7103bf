//! What an import of a file would take, in a county whose units are known.

use std::{collections::BTreeMap, sync::LazyLock};

use importer::{Finding, Importer, ReadLimits, Register, UnitDocuments, Workbook};
use sync_protocol::{
    Tenant, UnitId,
    catalogue::Catalogue,
    unit::{Unit, UnitLevel},
};

/// Records by what they say, and what was noticed.
#[derive(Debug, Default)]
pub struct Taken {
    /// Unit, then column and value.
    pub records: Vec<(String, BTreeMap<String, String>)>,
    pub findings: Vec<Finding>,
}

impl Taken {
    /// `青石村党支部:欧阳试一` for each record, in the order of the units and of the file.
    pub fn names(&self) -> Vec<String> {
        let name = |record: &BTreeMap<String, String>| record.get("name").cloned().unwrap_or_default();
        self.records.iter().map(|(unit, record)| format!("{unit}:{}", name(record))).collect()
    }

    pub fn codes(&self) -> Vec<&str> {
        self.findings.iter().map(|finding| finding.code).collect()
    }

    /// The findings of a kind as `Sheet!A1 message`.
    pub fn said(&self, code: &str) -> Vec<String> {
        let found = self.findings.iter().filter(|finding| finding.code == code);
        found.map(|f| format!("{}!{} {}", f.sheet, f.cell, f.message)).collect()
    }

    /// The value of a column of the record of that name.
    pub fn value(&self, name: &str, column: &str) -> Option<&str> {
        let record = self.records.iter().find(|(_, record)| record.get("name").is_some_and(|n| n == name))?;
        record.1.get(column).map(String::as_str)
    }
}

/// Two towns and their branches.
pub fn register() -> Register {
    let tenant = Tenant::new("340099");
    let county = UnitId::derive(&tenant, None, "340099");
    let unit = |name: &str, parent: Option<UnitId>, level, code: Option<&str>| Unit {
        id: UnitId::derive(&tenant, parent, name),
        parent,
        level,
        code: code.map(Into::into),
        name: name.into(),
        short_name: None,
        sort_order: 0,
    };
    let town = |name: &str, code| unit(name, Some(county), UnitLevel::ReportingUnit, Some(code));
    let towns = [town("中共青山镇委员会", "340099100"), town("中共白水镇委员会", "340099101")];
    let branches =
        [(0, "青石村党支部"), (0, "李湾村党支部"), (0, "石塘村党支部"), (0, "石塘社区党支部"), (1, "河口村党支部")];
    let branches =
        branches.map(|(town, name): (usize, &str)| unit(name, Some(towns[town].id), UnitLevel::Organisation, None));
    Register::new(towns.into_iter().chain(branches))
}

pub fn take(bytes: &[u8]) -> Taken {
    take_from(&importer::read(bytes, &ReadLimits::default()).expect("readable"))
}

pub fn take_from(workbook: &Workbook) -> Taken {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::builtin);
    let catalogue = &*CATALOGUE;
    let tenant = Tenant::new("340099");
    let county = UnitId::derive(&tenant, None, "340099");
    let importer = Importer::new(catalogue, tenant, county, 2012, Some(vec![1; 32]));
    let mut register = register();
    let (tables, findings) = importer.detect(workbook);
    let mut taken = Taken { findings, ..Taken::default() };
    importer.define_units(workbook, &tables, &mut register);
    let grouped = importer.group(workbook, &tables, &register);
    taken.findings.extend(grouped.findings);
    for (unit, rows) in &grouped.units {
        let plan = importer.plan(workbook, &tables, rows, &UnitDocuments::none(*unit));
        taken.findings.extend(plan.findings);
        let name = register.unit(*unit).map_or("?", |unit| unit.name.as_str());
        let mut order = Vec::new();
        let mut records: BTreeMap<_, BTreeMap<String, String>> = BTreeMap::new();
        for edit in plan.edits.into_values().flatten() {
            if !order.contains(&edit.address.row) {
                order.push(edit.address.row);
            }
            let value = edit.value.to_string();
            records.entry(edit.address.row).or_default().insert(edit.address.cell().into_owned(), value);
        }
        taken.records.extend(order.into_iter().map(|row| (name.to_owned(), records.remove(&row).expect("in order"))));
    }
    taken
}
