//! Every ledger of the catalogue, as a sheet with its printed headers: recognised, mapped, read.

use importer::{Importer, Register, UnitDocuments};
use sync_protocol::{
    Tenant, UnitId, Value,
    catalogue::{Catalogue, Column, ColumnType},
    unit::{Unit, UnitLevel},
};

use crate::support::{read, workbook};

/// A cell as an office would write it, and what it becomes.
fn sample(catalogue: &Catalogue, column: &Column) -> (String, Value) {
    use ColumnType as T;
    let text = |cell: &str, value: &str| (cell.to_owned(), Value::text(value));
    match &column.column_type {
        T::Text | T::LongText | T::Ref(_) => text("甲乙丙", "甲乙丙"),
        T::Int => ("12个".into(), Value::Int(12)),
        T::Decimal => text("12.50", "12.5"),
        T::MoneyYuan => text("1,200.5", "1200.50"),
        // The printed header says 万元.
        T::MoneyWan => text("1.2", "12000.00"),
        T::Percent => text("85%", "85.00"),
        T::Score => text("18.5", "18.5"),
        T::Date => text("2012年5月1日", "2012-05-01"),
        T::PDate => text("1998.07", "1998-07"),
        T::DateTime | T::Period => text("2012-05", "2012-05"),
        T::Year => text("2012年", "2012"),
        T::Bool => ("√".into(), Value::Bool(true)),
        T::Person => text("张　三", "张三"),
        T::IdCard => text("34009919801231002x", "34009919801231002X"),
        T::Uscc => text("91340099MA00000A9Y", "91340099MA00000A9Y"),
        T::Phone => text("138 0000 0000", "13800000000"),
        T::Division => text("340099100200", "340099100200"),
        T::Enum(list) | T::Multi(list) => {
            let code = &catalogue.list(list).expect("loading checks this").codes[0];
            (code.label.clone(), Value::text(&code.code))
        }
    }
}

#[test]
fn every_ledger_is_recognised_and_read() {
    let catalogue = Catalogue::builtin();
    let tenant = Tenant::new("340099");
    let county = UnitId::derive(&tenant, None, "340099");
    let importer = Importer::new(&catalogue, tenant.clone(), county, 2012, Some(vec![1; 32]));
    let town = UnitId::derive(&tenant, None, "T1");
    let branch = UnitId::derive(&tenant, None, "B1");
    let unit = |id, parent, level, code: &str, name: &str| Unit {
        id,
        parent: Some(parent),
        level,
        code: Some(code.into()),
        name: name.into(),
        short_name: None,
        sort_order: 1,
    };
    let units = [
        unit(town, county, UnitLevel::ReportingUnit, "T1", "中共青山镇委员会"),
        unit(branch, town, UnitLevel::Organisation, "B1", "青石村党支部"),
    ];
    for ledger in catalogue.ledgers() {
        let source = &ledger.unit;
        let cells = ledger.columns.iter().map(|column| {
            let is = |named: &Option<String>| named.as_deref() == Some(column.key.as_str());
            if is(&source.reporting_unit) {
                ("青山镇".to_owned(), None)
            } else if is(&source.name) && !source.defines {
                ("青石村党支部".to_owned(), None)
            } else if is(&source.code) && !source.defines {
                ("B1".to_owned(), None)
            } else {
                let (cell, value) = sample(&catalogue, column);
                (cell, Some(value))
            }
        });
        let cells: Vec<(String, Option<Value>)> = cells.collect();
        let headers: Vec<&str> = ledger.columns.iter().map(|column| column.title.as_str()).collect();
        let row: Vec<&str> = cells.iter().map(|(cell, _)| cell.as_str()).collect();
        let sheet = format!("{}\n填报单位：青山镇\n{}\n{}", ledger.title, headers.join("|"), row.join("|"));
        let workbook = read(&workbook(&[("台账", &sheet, &[])]));
        let (tables, findings) = importer.detect(&workbook);
        assert!(findings.is_empty(), "{}: {findings:?}", ledger.id);
        assert_eq!(tables.len(), 1, "{}", ledger.id);
        assert_eq!(catalogue.ledgers()[tables[0].ledger].id, ledger.id);
        let mut register = Register::new(units.clone());
        importer.define_units(&workbook, &tables, &mut register);
        let grouped = importer.group(&workbook, &tables, &register);
        assert!(grouped.findings.is_empty(), "{}: {:?}", ledger.id, grouped.findings);
        let rows: Vec<_> = grouped.units.values().flatten().copied().collect();
        let plan = importer.plan(&workbook, &tables, &rows, &UnitDocuments::none(county));
        // The samples of one row are of no one person: its dates need not be in order.
        let others: Vec<_> = plan.findings.iter().filter(|finding| finding.code != "contradiction").collect();
        assert!(others.is_empty(), "{}: {others:?}", ledger.id);
        for (column, (_, value)) in ledger.columns.iter().zip(&cells) {
            let Some(value) = value else { continue };
            let edits = plan.edits.get(&ledger.book_of(column)).map(Vec::as_slice).unwrap_or_default();
            let found = edits.iter().find(|edit| edit.address.column == column.key);
            let found = found.unwrap_or_else(|| panic!("{}.{} was not read", ledger.id, column.key));
            match &found.address.member {
                Some(code) => assert_eq!(Value::text(code.as_str()), *value, "{}.{}", ledger.id, column.key),
                None => assert_eq!(found.value, *value, "{}.{}", ledger.id, column.key),
            }
        }
    }
}
