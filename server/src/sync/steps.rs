//! What a delivery makes of the workflows: what its sender may not decide is given back what it said, and becomes a proposal;
//! steps that are theirs, but were made in another order or lack something, stand and are noted.

use std::collections::{BTreeSet, VecDeque};

use sync_protocol::{
    Address, ChangeHash, Document, Row, Value,
    catalogue::{Actor, Catalogue, Variables, Writing},
    conflict::{ConflictValue, Means},
    document::{Restored, RowKey},
};

use crate::store::{NewProposal, WrongStep};

/// Who has sent what is judged.
#[derive(Debug)]
pub(super) struct Judge<'a> {
    pub(super) catalogue: &'a Catalogue,
    /// For whom the sender acts.
    pub(super) actor: Actor,
    /// Who proposes what they may not decide.
    pub(super) who: &'a str,
    /// Changes of others that the sender only brings back: they were judged when they came first.
    pub(super) trusted: &'a BTreeSet<ChangeHash>,
    /// Whether it is the restricted twin of a book.
    pub(super) is_twin: bool,
}

/// What has to be done about a delivery.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Cells, and what they shall say.
    pub(super) restored: Vec<Restored>,
    /// What was to be written there.
    pub(super) proposals: Vec<NewProposal>,
}

impl Judge<'_> {
    /// Compares the touched rows before and after.
    pub(super) fn judge(&self, before: &Document, after: &Document, touched: &BTreeSet<RowKey>) -> Verdict {
        let mut verdict = Verdict::default();
        for key in touched {
            let mut row: Option<Row> = None;
            let columns: BTreeSet<&str> = self.catalogue.guarded(&key.ledger).collect();
            for column in columns {
                let address = Address::new(key.ledger.as_str(), key.row, column);
                let (old, new) = (before.values(&address), after.values(&address));
                if old.iter().map(|v| &v.value).eq(new.iter().map(|v| &v.value)) {
                    continue;
                }
                let row = row.get_or_insert_with(|| before.row_state(key).row);
                self.cell((key, row), address, (old, new), (before, after), &mut verdict);
            }
        }
        verdict
    }

    fn cell(
        &self,
        (key, row): (&RowKey, &Row),
        address: Address,
        (old, new): (Vec<ConflictValue>, Vec<ConflictValue>),
        (before, after): (&Document, &Document),
        verdict: &mut Verdict,
    ) {
        let column = address.column.as_str();
        let may = |from: Option<&Value>, to: Option<&Value>| {
            let ledger = key.ledger.as_str();
            let writing = Writing { ledger, row, column, from, to, is_in_twin: self.is_twin };
            self.catalogue.may_write(self.actor, &writing)
        };
        let has = |values: &[ConflictValue], value: &Value| values.iter().any(|known| known.value == *value);
        let is_trusted = |value: &ConflictValue| self.trusted.contains(&value.change);
        let said = old.first().map(|value| &value.value);
        let come = new.iter().filter(|value| !has(&old, &value.value) && !is_trusted(value));
        let refused: Vec<&ConflictValue> = come.filter(|value| !may(said, Some(&value.value))).collect();
        // Whoever ends a dispute, or brings up another side of it, decides as well.
        let decides = new.first().is_some_and(|winner| {
            let gone = old.iter().filter(|value| !has(&new, &value.value));
            let turned = old.first().filter(|said| said.value != winner.value);
            !is_trusted(winner) && gone.chain(turned).any(|value| !may(Some(&value.value), Some(&winner.value)))
        });
        if refused.is_empty() && !decides {
            // What the server has kept has no claim of its own against somebody who had seen what it stands for.
            let gives_way = |value: &ConflictValue| {
                let Some(kept) = value.provenance.as_ref().filter(|by| by.how == Means::Keep) else { return false };
                let newer = new.iter().filter(|other| !has(&old, &other.value));
                newer.into_iter().any(|other| kept.kept().is_none_or(|kept| has_seen(after, other.change, kept)))
            };
            let stand: Vec<ConflictValue> = new.iter().filter(|value| !gives_way(value)).cloned().collect();
            if !stand.is_empty() && stand.len() < new.len() {
                verdict.restored.push(Restored { address, values: stand });
            }
            return;
        }
        let mut proposed = refused;
        if proposed.is_empty() {
            proposed.extend(new.first());
        }
        for value in proposed {
            verdict.proposals.push(NewProposal {
                row: key.clone(),
                column: column.to_owned(),
                before: said.cloned(),
                value: value.value.clone(),
                who: self.who.to_owned(),
                import: None,
            });
        }
        let values = if self.trusted.is_empty() { old } else { self.sound(&address, &new, (before, after)) };
        verdict.restored.push(Restored { address, values });
    }

    /// What a cell would say without what its sender may not decide, where changes of others have come with it: what was
    /// here already and what those have written, and in the place of anything else what its writer had seen.
    fn sound(
        &self,
        address: &Address,
        values: &[ConflictValue],
        (before, after): (&Document, &Document),
    ) -> Vec<ConflictValue> {
        let mut sound: Vec<ConflictValue> = Vec::new();
        let mut open: VecDeque<ConflictValue> = values.iter().cloned().collect();
        let mut seen = BTreeSet::new();
        while let Some(value) = open.pop_front() {
            if !seen.insert(value.change) {
                continue;
            }
            if self.trusted.contains(&value.change) || before.contains(value.change) {
                if sound.iter().all(|known| known.value != value.value) {
                    sound.push(value);
                }
            } else if let Ok(Some(then)) = after.seen_by(value.change) {
                open.extend(then.values(address));
            }
        }
        // A value that another of them has taken the place of says nothing any more.
        let is_replaced = |value: &ConflictValue| {
            sound.iter().any(|other| other.change != value.change && has_seen(after, other.change, value.change))
        };
        sound.iter().filter(|value| !is_replaced(value)).cloned().collect()
    }
}

/// Whether the writer of a change had seen another one; of one that is not known here any more nobody can say otherwise.
fn has_seen(document: &Document, change: ChangeHash, other: ChangeHash) -> bool {
    if !document.contains(other) {
        return true;
    }
    document.fork_at(&[change]).ok().flatten().is_some_and(|then| then.contains(other))
}

/// Steps that stand between two states of rows and are not sound.
pub(crate) fn wrong_steps(
    rows: &mut dyn Iterator<Item = (RowKey, Row, Row)>,
    actor: Actor,
    catalogue: &Catalogue,
    variables: &Variables,
) -> Vec<WrongStep> {
    let mut wrong = Vec::new();
    for (key, old, new) in rows {
        for workflow in catalogue.workflows(&key.ledger) {
            let Some(fault) = workflow.fault(&old, &new, actor, variables) else { continue };
            wrong.push(WrongStep {
                row: key.clone(),
                column: workflow.column.clone(),
                before: workflow.state(&old).map(str::to_owned),
                after: workflow.state(&new).unwrap_or_default().to_owned(),
                fault: fault.code().to_owned(),
                who: None,
            });
        }
    }
    wrong
}
