//! Steps of workflows that a delivery made: those that are not allowed are noted, never undone.

use std::collections::BTreeSet;

use sync_protocol::{
    Document, Value,
    catalogue::{Actor, Catalogue, Variables},
    document::RowKey,
};

use crate::store::WrongStep;

/// Compares the touched rows before and after.
pub(super) fn wrong_steps(
    before: &Document,
    after: &Document,
    touched: &BTreeSet<RowKey>,
    actor: Actor,
    catalogue: &Catalogue,
    variables: &Variables,
) -> Vec<WrongStep> {
    let mut wrong = Vec::new();
    for key in touched {
        let mut workflows = catalogue.workflows(&key.ledger).peekable();
        if workflows.peek().is_none() {
            continue;
        }
        let (old, new) = (before.row_state(key).row, after.row_state(key).row);
        for workflow in workflows {
            let Some(fault) = workflow.fault(&old, &new, actor, variables) else { continue };
            let state =
                |row: &sync_protocol::Row| row.get(&workflow.column).and_then(Value::as_text).map(str::to_owned);
            wrong.push(WrongStep {
                row: key.clone(),
                column: workflow.column.clone(),
                before: state(&old),
                after: state(&new).unwrap_or_default(),
                fault: fault.code().to_owned(),
            });
        }
    }
    wrong
}
