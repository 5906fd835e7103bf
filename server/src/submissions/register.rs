//! What the register of returns says of submitted copies: written in the transaction of what is done with them.

use std::collections::{BTreeMap, BTreeSet};

use sync_protocol::{
    ActorId, Address, Book, Document, Identity, Row, RowId, Value,
    conflict::{Means, Provenance},
    document::{Author, Edit},
};

use super::SubmissionError;
use crate::{
    Server,
    audit::By,
    clock,
    import::document_write,
    projection,
    returns::ReturnError,
    store::{Act, AuditEntry, Deed, DocumentWrite, Performed, Submission},
};

/// The register that figures of submission come from.
pub(super) const LEDGER: &str = "return-submissions";
/// How often the register is tried that somebody else is writing to.
const ROUNDS_MAX: usize = 16;

/// What the register of returns says of a submitted copy.
pub(super) struct Entry<'a> {
    /// The copy.
    pub(super) submission: &'a Submission,
    /// 应报日期, where it is given.
    pub(super) due_on: Option<jiff::civil::Date>,
    /// What is remarked of it.
    pub(super) remark: Option<String>,
}

/// The unit's register of returns, as it is stored.
async fn register(server: &Server, identity: &Identity) -> Result<(Document, usize), SubmissionError> {
    let stored = server.store.document(identity.document(&server.tenant)).await?;
    Ok(match &stored {
        Some(stored) => (Document::load(stored.snapshot.as_deref(), &stored.changes)?, stored.changes.len()),
        None => (Document::new(), 0),
    })
}

fn register_of(server: &Server, submission: &Submission) -> Identity {
    Identity { unit: submission.unit, book: Book::Township, period: server.period() }
}

/// The row of a return and period, which somebody may have entered by hand, or imported.
fn row_of(document: &Document, submission: &Submission) -> Option<Row> {
    let is_it = |row: &Row| row.text("return_no") == submission.return_no && row.text("period") == submission.period;
    document.rows(LEDGER).into_values().find(|row| row.stands() && is_it(row))
}

/// Whether the register has a row of a submitted copy that says this.
pub(super) async fn is_registered(
    server: &Server,
    submission: &Submission,
    says: impl Fn(&Row) -> bool,
) -> Result<bool, SubmissionError> {
    let (document, _) = register(server, &register_of(server, submission)).await?;
    Ok(row_of(&document, submission).is_some_and(|row| says(&row)))
}

/// Carries out what is done with a submitted copy, and writes its state into the unit's register of returns: both with their
/// line of the audit log, or nothing. The copy's number; none, if it is not as that needs it any more.
pub(super) async fn perform(
    server: &Server,
    act: Act,
    note: AuditEntry,
    entry: &Entry<'_>,
    by: &By,
) -> Result<Option<i64>, SubmissionError> {
    let mut deed = Deed::new(act, note);
    for _ in 0..ROUNDS_MAX {
        deed.documents = entered(server, entry, by).await?.into_iter().collect();
        match server.store.perform(&deed).await? {
            Performed::Done(number) => return Ok(Some(number.unwrap_or(entry.submission.number))),
            Performed::NotNow => return Ok(None),
            Performed::Stale => {}
        }
    }
    Err(SubmissionError::Busy)
}

/// The write that brings the unit's register of returns up to date; none, if it is.
async fn entered(server: &Server, entry: &Entry<'_>, by: &By) -> Result<Option<DocumentWrite>, SubmissionError> {
    let Entry { submission, due_on, remark } = entry;
    let ledger = server.catalogue.ledger(LEDGER).ok_or_else(|| ReturnError::Unknown(LEDGER.into(), String::new()))?;
    let identity = register_of(server, submission);
    let unit = server.store.unit(submission.unit).await?.map_or_else(String::new, |unit| unit.label().to_owned());
    let submitted_on = clock::local_date(submission.submitted_at_ms).to_string();
    let mut cells: BTreeMap<&str, Value> = [
        ("reporting_unit", unit.as_str()),
        ("return_no", &submission.return_no),
        ("period", &submission.period),
        ("submitted_on", &submitted_on),
        ("submitted_by", &submission.submitted_by),
        ("status", &submission.state),
        ("digest", &submission.code),
    ]
    .map(|(column, text)| (column, Value::text(text)))
    .into();
    if let Some(reason) = &submission.reason {
        cells.insert("returned_reason", Value::text(reason));
    }
    if let Some(due_on) = due_on {
        cells.insert("due_on", Value::text(due_on.to_string()));
    }
    if let Some(remark) = remark {
        cells.insert("remark", Value::text(remark));
    }
    let derived =
        ledger.row_id(server.catalogue.public_key(), Some(server.keyring.county()), |column| cells.get(column));
    let derived = derived.unwrap_or_else(|| RowId::random(clock::random()));
    let author = Author {
        actor: ActorId(clock::random()),
        provenance: Provenance { who: by.name.clone(), how: Means::Form, source: None },
        time_s: clock::now_ms() / 1000,
    };
    let (mut document, loose) = register(server, &identity).await?;
    let heads = document.heads();
    let row = row_of(&document, submission).map_or(derived, |row| row.id);
    let edits: Vec<Edit> = cells
        .iter()
        .map(|(column, value)| Edit { address: Address::new(LEDGER, row, *column), value: value.clone() })
        .collect();
    let Some(change) = document.write(&identity, &edits, &author)? else { return Ok(None) };
    let rows = projection::project(&document, &BTreeSet::from([(&edits[0].address).into()]));
    let own = (change.hash, Some(change.bytes));
    Ok(Some(document_write(server, &identity, &document, heads, own, rows, &author, loose)))
}
