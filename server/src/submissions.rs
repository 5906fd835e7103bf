//! The life of a return (`draft → submitted → (returned → submitted)* → approved → merged → published → archived`): what a
//! reporting unit submits is frozen; what the ledgers say later shows as a difference until it is submitted anew.

use std::collections::{BTreeMap, BTreeSet};

use importer::{ReadError, ReadLimits, seal};
use serde::Serialize;
use sync_protocol::{
    ActorId, Address, Book, Document, Identity, Row, RowId, Value,
    catalogue::{ReturnForm, Sensitivity, SheetRows, StepFault, Weight, Workflow},
    conflict::{Means, Provenance},
    document::{Author, Edit},
    unit::{Unit, UnitLevel},
};

use crate::{
    Server,
    aside::aside,
    clock,
    import::document_write,
    projection,
    quality::{self, QualityLine},
    returns::{self, ReturnError, ReturnRequest, at_and_below},
    store::{Committed, StoreError, Submission, SubmissionStep},
};

/// The register that figures of submission come from.
const LEDGER: &str = "return-submissions";
/// How often the register is tried that somebody else is writing to.
const ROUNDS_MAX: usize = 16;
/// Cells that are named; of more it is only said how many.
const NAMED_MAX: usize = 500;

/// Why nothing was submitted, or no step taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmissionError {
    /// It is not a unit that submits.
    #[error("只有填报单位报送报表 only a reporting unit submits returns: {0}")]
    NotReporting(String),
    /// The month or quarter cannot be read.
    #[error("报送期应为 2012、2012-04 或 2012-Q2 的形式 a period is written as 2012, 2012-04 or 2012-Q2: {0}")]
    Period(String),
    /// Check relations do not hold.
    #[error("审核关系不成立，不能报送 check relations do not hold: {}", .0.join("；"))]
    Checks(Vec<String>),
    /// Rows break rules, and nobody has said why it is submitted all the same.
    #[error("台账有 {} 处错误，请更正；确需照报的，请填写说明 records have errors: correct them or explain: {}", .0.len(), quoted(.0))]
    Quality(Vec<QualityLine>),
    /// Another copy stands.
    #[error(
        "本期已报送，退回后才能重报 this return was submitted for the period: it can be replaced when it is returned"
    )]
    Stands,
    /// No such submitted return.
    #[error("没有这份报送件 no such submission: {0}")]
    Unknown(i64),
    /// Not from this state.
    #[error("现为“{from}”，不能改为“{to}”：{why} no such step")]
    Step {
        /// The state it is in.
        from: String,
        /// The one that was wanted.
        to: String,
        /// Why not.
        why: &'static str,
    },
    /// Drawing it.
    #[error(transparent)]
    Return(#[from] ReturnError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A workbook of ours cannot be read again.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The register.
    #[error(transparent)]
    Document(#[from] sync_protocol::document::DocumentError),
}

/// The first few lines, for a sentence.
fn quoted(lines: &[QualityLine]) -> String {
    let line = |line: &QualityLine| format!("{} {} {}：{}", line.unit, line.ledger, line.record, line.text);
    lines.iter().take(5).map(line).collect::<Vec<_>>().join("；")
}

/// What is to be submitted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The reporting unit.
    pub unit: Unit,
    /// `R03`.
    pub return_no: String,
    /// 报送期: `2012-04`; the month of the statistics date, if absent.
    pub period: Option<String>,
    /// Choices such as `round=final`.
    pub choices: Vec<(String, String)>,
    /// Statistics date.
    pub date: jiff::civil::Date,
    /// 应报日期, where the register does not say it yet.
    pub due_on: Option<jiff::civil::Date>,
    /// Why it is submitted although records that it counts have errors: it stands in the register.
    pub explanation: Option<String>,
}

/// A cell of a submitted copy that would say something else today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Difference {
    /// The sheet.
    pub sheet: String,
    /// `F17`.
    pub cell: String,
    /// What the copy says.
    pub submitted: String,
    /// What it would say today.
    pub today: String,
}

/// Whether copies in this state are merged.
pub fn is_approved(state: &str) -> bool {
    ["approved", "merged", "published", "archived"].contains(&state)
}

fn period(text: &str) -> Option<String> {
    let (year, rest) = text.split_once('-').unwrap_or((text, ""));
    let is_year = year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit());
    let is_part = match rest.strip_prefix('Q') {
        Some(quarter) => ["1", "2", "3", "4"].contains(&quarter),
        None => rest.is_empty() || (rest.len() == 2 && rest.parse().is_ok_and(|month: u8| (1..=12).contains(&month))),
    };
    (is_year && is_part && !text.ends_with('-')).then(|| text.to_owned())
}

/// Submits a return: what it says now is frozen.
pub async fn submit(server: &Server, wanted: &Wanted, who: &str) -> Result<Submission, SubmissionError> {
    let unit = &wanted.unit;
    if unit.level != UnitLevel::ReportingUnit {
        return Err(SubmissionError::NotReporting(unit.name.clone()));
    }
    let form = server.catalogue.return_form(&wanted.return_no);
    let form = form.ok_or_else(|| ReturnError::Unknown(wanted.return_no.clone(), "R01–R25".into()))?;
    let month = || format!("{:04}-{:02}", wanted.date.year(), wanted.date.month());
    let named = wanted.period.clone().unwrap_or_else(month);
    let period = period(&named).ok_or(SubmissionError::Period(named))?;
    let choices = returns::choices(server, form, &wanted.choices)?;
    let remark = explained(server, form, wanted).await?;
    let (file, workbook, seal) = drawn(server, form, unit, &choices, wanted.date).await?;
    let submitted_at_ms = clock::now_ms();
    let mut submission = Submission {
        number: 0,
        unit: unit.id,
        return_no: form.number.clone(),
        period,
        choices,
        date: wanted.date,
        seq: seal.seq,
        code: seal.code,
        file,
        submitted_by: who.to_owned(),
        submitted_at_ms,
        state: "submitted".into(),
        reason: None,
        decided_by: None,
        decided_at_ms: None,
    };
    let number = server.store.add_submission(&submission, &workbook).await?;
    submission.number = number.ok_or(SubmissionError::Stands)?;
    register(server, &submission, (wanted.due_on, remark), who).await?;
    Ok(submission)
}

/// What has to be said of errors in the ledgers that the return counts; refused, if nobody says anything.
async fn explained(server: &Server, form: &ReturnForm, wanted: &Wanted) -> Result<Option<String>, SubmissionError> {
    let mut counted = BTreeSet::new();
    for sheet in &form.sheets {
        if let SheetRows::List { ledger, .. } = &sheet.rows {
            counted.insert(ledger.clone());
        }
        for measure in sheet.terms().filter_map(|term| server.catalogue.measure(&term.measure)) {
            counted.insert(measure.ledger.clone());
        }
    }
    let titles: BTreeSet<&str> =
        counted.iter().filter_map(|id| server.catalogue.ledger(id)).map(|ledger| ledger.title.as_str()).collect();
    let units = at_and_below(server.store.units().await?, wanted.unit.id);
    let mut lines = quality::quality(server, &units, wanted.date).await?;
    lines.retain(|line| line.weight == Weight::E && titles.contains(line.ledger.as_str()));
    match wanted.explanation.as_deref().map(str::trim) {
        _ if lines.is_empty() => Ok(None),
        Some(text) if !text.is_empty() => Ok(Some(format!("报送时有 {} 处错误，说明：{text}", lines.len()))),
        _ => Err(SubmissionError::Quality(lines)),
    }
}

/// The return as it is today, in the copy that goes up: nothing in it that a supervisor does not see in clear.
async fn drawn(
    server: &Server,
    form: &ReturnForm,
    unit: &Unit,
    choices: &[(String, String)],
    date: jiff::civil::Date,
) -> Result<(String, Vec<u8>, returns::Sealed), SubmissionError> {
    let folder = tempfile::tempdir().map_err(ReturnError::from)?;
    let request = ReturnRequest {
        variables: choices.to_vec(),
        clearance: Sensitivity::S1,
        ..ReturnRequest::new(&*form.number, unit.clone(), date, folder.path())
    };
    let drawn = Box::pin(returns::draw(server, &request)).await?;
    if !drawn.failed_checks.is_empty() {
        return Err(SubmissionError::Checks(drawn.failed_checks));
    }
    let seal = drawn.seal.ok_or_else(|| StoreError::Damaged("a return without a seal".into()))?;
    let workbook = tokio::fs::read(&drawn.path).await.map_err(ReturnError::from)?;
    let file = drawn.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok((file, workbook, seal))
}

/// One of the submitted returns.
pub async fn submission(server: &Server, number: i64) -> Result<Submission, SubmissionError> {
    let found = server.store.submissions().await?.into_iter().find(|submission| submission.number == number);
    found.ok_or(SubmissionError::Unknown(number))
}

/// Takes a step with a submitted return, for somebody of a unit of this level.
pub async fn step(
    server: &Server,
    submission: &Submission,
    (to, reason): (&str, Option<&str>),
    (who, level): (&str, UnitLevel),
) -> Result<Submission, SubmissionError> {
    let row = |state: &str| {
        let mut row = Row::new(RowId::random([0; 10]));
        let cells = [("status", Some(state)), ("returned_reason", reason), ("submitted_on", Some("2012-01-01"))];
        for (column, text) in cells {
            if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
                row.put(&Address::new(LEDGER, row.id, column), Value::text(text));
            }
        }
        row
    };
    let fault = match server.catalogue.workflows(LEDGER).find(|workflow| workflow.column == "status") {
        Some(workflow) => fault(server, workflow, (&row(&submission.state), &row(to)), level),
        None => None,
    };
    let label = |state: &str| {
        let list = server.catalogue.list("return_status");
        list.map_or_else(|| state.to_owned(), |list| list.label(state).to_owned())
    };
    let refused = |why| SubmissionError::Step { from: label(&submission.state), to: label(to), why };
    if let Some(fault) = fault {
        return Err(refused(fault.chinese()));
    }
    // A copy is not changed: who wants another one submits anew.
    if to == "submitted" || to == submission.state {
        return Err(refused(StepFault::NoSuchStep.chinese()));
    }
    let at_ms = clock::now_ms();
    let taken = SubmissionStep {
        from: submission.state.clone(),
        to: to.to_owned(),
        reason: reason.map(str::to_owned),
        who: who.to_owned(),
        at_ms,
    };
    if !server.store.step_submission(submission.number, &taken).await? {
        return Err(refused("刚被他人办理"));
    }
    let stepped = self::submission(server, submission.number).await?;
    register(server, &stepped, (None, None), who).await?;
    Ok(stepped)
}

fn fault(server: &Server, workflow: &Workflow, (before, after): (&Row, &Row), level: UnitLevel) -> Option<StepFault> {
    let variables = server.catalogue.variables(server.campaign_year, None);
    workflow.fault(before, after, level.into(), &variables)
}

/// Writes the state of a submission into the unit's register of returns.
async fn register(
    server: &Server,
    submission: &Submission,
    (due_on, remark): (Option<jiff::civil::Date>, Option<String>),
    who: &str,
) -> Result<(), SubmissionError> {
    let ledger = server.catalogue.ledger(LEDGER).ok_or_else(|| ReturnError::Unknown(LEDGER.into(), String::new()))?;
    let identity = Identity { unit: submission.unit, book: Book::Township, period: server.period() };
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
    let derived = ledger.row_id(server.catalogue.public_key(), Some(&server.county_key), |column| cells.get(column));
    let derived = derived.unwrap_or_else(|| RowId::random(clock::random()));
    let author = Author {
        actor: ActorId(clock::random()),
        provenance: Provenance { who: who.to_owned(), how: Means::Form, source: None },
        time_s: clock::now_ms() / 1000,
    };
    for _ in 0..ROUNDS_MAX {
        let stored = server.store.document(identity.document(&server.tenant)).await?;
        let (mut document, loose) = match &stored {
            Some(stored) => (Document::load(stored.snapshot.as_deref(), &stored.changes)?, stored.changes.len()),
            None => (Document::new(), 0),
        };
        let heads = document.heads();
        // Somebody may have entered it by hand, or imported it.
        let is_it = |row: &Row| ["return_no", "period"].iter().all(|column| row.get(column) == cells.get(column));
        let known = document.rows(LEDGER).into_values().find(|row| row.stands() && is_it(row)).map(|row| row.id);
        let row = known.unwrap_or(derived);
        let edits: Vec<Edit> = cells
            .iter()
            .map(|(column, value)| Edit { address: Address::new(LEDGER, row, *column), value: value.clone() })
            .collect();
        let Some(change) = document.write(&identity, &edits, &author)? else { return Ok(()) };
        let rows = projection::project(&document, &BTreeSet::from([(&edits[0].address).into()]));
        let own = (change.hash, Some(change.bytes));
        let write = document_write(server, &identity, &document, heads, own, rows, &author, loose);
        if server.store.commit(vec![write]).await? == [Committed::Durable] {
            return Ok(());
        }
    }
    Err(StoreError::Database("the register of returns is being written to".into()).into())
}

/// The cells of a submitted copy that would say something else today.
pub async fn differences(server: &Server, submission: &Submission) -> Result<Vec<Difference>, SubmissionError> {
    if !returns::verify::has_moved(server, submission.unit, submission.seq).await? {
        return Ok(Vec::new());
    }
    let form = server.catalogue.return_form(&submission.return_no);
    let form = form.ok_or_else(|| ReturnError::Unknown(submission.return_no.clone(), "R01–R25".into()))?;
    let unit = server.store.unit(submission.unit).await?;
    let unit = unit.ok_or_else(|| StoreError::Damaged("a submission of no unit".into()))?;
    let copy = server.store.submitted_workbook(submission.number).await?;
    let copy = copy.ok_or(SubmissionError::Unknown(submission.number))?;
    let (_, today, _) = drawn(server, form, &unit, &submission.choices, submission.date).await?;
    let reader = server.clone();
    let read = move || {
        let limits = ReadLimits::default();
        Ok::<_, ReadError>((reader.isolation.read(&copy, &limits)?, reader.isolation.read(&today, &limits)?))
    };
    let read = aside(read).await?;
    let (copy, today) = read?;
    let (copy, mut today) = (seal::printed(&copy), seal::printed(&today));
    let mut differences = Vec::new();
    for (place, submitted) in copy {
        let now = today.remove(&place).unwrap_or_default();
        if now != submitted {
            differences.push((place, submitted, now));
        }
    }
    differences.extend(today.into_iter().map(|(place, now)| (place, String::new(), now)));
    differences.sort();
    let named = differences.into_iter().take(NAMED_MAX).map(|(place, submitted, today)| Difference {
        sheet: place.0,
        cell: importer::workbook::grid::address(place.1, place.2),
        submitted,
        today,
    });
    Ok(named.collect())
}

#[cfg(test)]
mod tests {
    #[test]
    fn periods() {
        for (text, is_one) in [
            ("2012", true),
            ("2012-04", true),
            ("2012-Q4", true),
            ("2012-", false),
            ("2012-13", false),
            ("2012-4", false),
            ("2012-Q5", false),
            ("四月", false),
            ("", false),
        ] {
            assert_eq!(super::period(text).is_some(), is_one, "{text}");
        }
    }
}
