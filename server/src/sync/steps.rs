//! Steps of workflows that a delivery made: those that are not allowed are noted, never undone.

use std::collections::BTreeSet;

use sync_protocol::{
    Document,
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
            wrong.push(WrongStep {
                row: key.clone(),
                column: workflow.column.clone(),
                before: workflow.state(&old).map(str::to_owned),
                after: workflow.state(&new).unwrap_or_default().to_owned(),
                fault: fault.code().to_owned(),
            });
        }
    }
    wrong
}
