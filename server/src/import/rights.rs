//! What of the register of units a file's sender may change.

use std::collections::BTreeMap;

use importer::{Finding, FindingKind, Register, Table, Workbook, rows::RowRef, workbook::grid::address};
use sync_protocol::{UnitId, bundle::RefusedUnit, unit::Unit};

use crate::{
    Server,
    auth::UnitRights,
    units::{Right, admit},
};

/// Leaves of the units of a file those that its sender may change; returns the register with them, and the others.
pub(super) fn apply(
    server: &Server,
    (known, units): (&[Unit], &mut Vec<Unit>),
    rights: &UnitRights,
) -> (Register, Vec<RefusedUnit>) {
    let (changes, refused) = admit(&server.tenant, known, units, Right::Some(rights));
    *units = changes.into_iter().map(|change| change.after).collect();
    let kept = known.iter().filter(|unit| !units.iter().any(|other| other.id == unit.id));
    (Register::new(kept.chain(units.iter()).cloned()), refused)
}

/// What is said of rows whose units stay as they are, although the rows say otherwise of their names or places.
pub(super) fn findings(
    server: &Server,
    (workbook, tables): (&Workbook, &[Table]),
    rows: &BTreeMap<UnitId, Vec<RowRef>>,
    own: &Register,
    refused: &[RefusedUnit],
) -> Vec<Finding> {
    let say = |refused: &RefusedUnit| {
        let known = own.unit(refused.unit).filter(|known| known.name != refused.name)?;
        let defines = |row: &&RowRef| server.catalogue.ledgers()[tables[row.table].ledger].unit.defines;
        let row = rows.get(&known.id)?.iter().find(defines)?;
        let (why, why_en) = refused.sentence.split_once(" | ").unwrap_or((&refused.sentence, &refused.sentence));
        let kind = FindingKind::UnitKept { why: why.to_owned(), why_en: why_en.to_owned() };
        let sheet = &workbook.sheets[tables[row.table].sheet];
        let place = address(sheet.row_number(row.row), 0);
        Some(Finding::new(&kind, &sheet.name, place, "", refused.name.clone()))
    };
    refused.iter().filter_map(say).collect()
}
