//! What people call a record.

use importer::print;
use sync_protocol::{
    Row,
    catalogue::{Catalogue, Sensitivity},
};

/// Columns that name a record, the first that is filled.
const NAMES: [&str; 18] = [
    "name",
    "member_name",
    "person",
    "holder",
    "cadre",
    "unit_name",
    "unit_ref",
    "venue_name",
    "grid_name",
    "post_name",
    "task_title",
    "title",
    "topic",
    "matter",
    "problem_summary",
    "problem",
    "issue",
    "org_name",
];

/// A name for a record, as somebody may see it who sees this class in clear: its own; what tells it from others of its ledger,
/// in words; its id.
pub(crate) fn record_name(catalogue: &Catalogue, ledger: &str, row: &Row, clearance: Sensitivity) -> String {
    let Some(ledger) = catalogue.ledger(ledger) else { return row.id.to_string() };
    let said = |key: &str| {
        let text = print::text(catalogue, ledger.column(key)?, row, clearance);
        (!text.is_empty()).then_some(text)
    };
    let told_apart = || {
        let told: Vec<String> = ledger.sort.iter().filter_map(|key| said(key)).collect();
        (!told.is_empty()).then(|| told.join(" "))
    };
    NAMES.iter().find_map(|key| said(key)).or_else(told_apart).unwrap_or_else(|| row.id.to_string())
}
