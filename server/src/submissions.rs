//! The life of a return (`draft → submitted → (returned → submitted)* → approved → merged → published → archived`): what a
//! reporting unit submits is frozen; what the ledgers say later shows as a difference until it is submitted anew.

mod register;

use std::collections::BTreeSet;

use importer::{ReadError, ReadLimits, seal};
use serde::Serialize;
use serde_json::json;
use sync_protocol::{
    Address, Row, RowId, Value,
    catalogue::{ReturnForm, Sensitivity, SheetRows, StepFault, Weight, Workflow},
    unit::{Unit, UnitLevel},
};

use self::register::{Entry, LEDGER, is_registered, perform};

use crate::{
    Server,
    aside::aside,
    audit::{By, Event},
    clock,
    periods::{self, PeriodError},
    quality::{self, QualityLine},
    returns::{self, ReturnError, ReturnRequest, at_and_below},
    store::{Act, StoreError, Submission, SubmissionStep},
};

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
        "本期已报送（第{number}号，{by}），退回后才能重报 this return was submitted for the period (no. {number}): it can be replaced when it is returned"
    )]
    Stands {
        /// Its number.
        number: i64,
        /// Who submitted it.
        by: String,
    },
    /// The register is being written to.
    #[error(
        "报送登记正被频繁修改，未报送、未办理，请稍后再试 the register of returns is being written to, nothing was done: try again"
    )]
    Busy,
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

/// The first few causes, for a sentence.
fn quoted(lines: &[QualityLine]) -> String {
    let causes = quality::causes(lines);
    let said = |cause: &quality::Cause<'_>| {
        format!("{} {}（{}条：{}）", cause.ledger, cause.text, cause.lines.len(), cause.records())
    };
    causes.iter().take(5).map(said).collect::<Vec<_>>().join("；")
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

/// The server, asked about the year of a period; a report on one that nobody has opened is of the year that it is asked about.
async fn of_year(server: &Server, period: &str) -> Result<Server, SubmissionError> {
    match periods::at(server, period.get(..4).unwrap_or_default()).await {
        Err(PeriodError::Store(error)) => Err(error.into()),
        found => Ok(found.unwrap_or_else(|_| server.clone())),
    }
}

/// Submits a return: what it says now is frozen. The copy, its line in the register and the line of the audit log are one.
pub async fn submit(server: &Server, wanted: &Wanted, by: impl Into<By>) -> Result<Submission, SubmissionError> {
    let by = by.into();
    let unit = &wanted.unit;
    if unit.level != UnitLevel::ReportingUnit {
        return Err(SubmissionError::NotReporting(unit.name.clone()));
    }
    let form = server.catalogue.return_form(&wanted.return_no);
    let form = form.ok_or_else(|| ReturnError::Unknown(wanted.return_no.clone(), "R01–R25".into()))?;
    let month = || format!("{:04}-{:02}", wanted.date.year(), wanted.date.month());
    let named = wanted.period.clone().unwrap_or_else(month);
    let period = period(&named).ok_or(SubmissionError::Period(named))?;
    let server = &of_year(server, &period).await?;
    let choices = returns::choices(server, form, &wanted.choices)?;
    let remark = explained(server, form, wanted).await?;
    let (file, workbook, seal) = drawn(server, form, unit, &choices, wanted.date).await?;
    let submitted_at_ms = clock::now_ms();
    let submission = Submission {
        number: 0,
        unit: unit.id,
        return_no: form.number.clone(),
        period,
        choices,
        date: wanted.date,
        seq: seal.seq,
        code: seal.code,
        file,
        submitted_by: by.name.clone(),
        submitted_at_ms,
        state: "submitted".into(),
        reason: None,
        decided_by: None,
        decided_at_ms: None,
    };
    let act = Act::Submit { submission: Box::new(submission.clone()), workbook };
    let note = by.notes(Event::ReturnSubmitted, Some(unit.id), &detail(&submission));
    let entry = Entry { submission: &submission, due_on: wanted.due_on, remark };
    match perform(server, act, note, &entry, &by).await? {
        Some(number) => Ok(Submission { number, ..submission }),
        None => stands(server, &entry, &by).await,
    }
}

/// What the audit log says of a submitted copy, beside its number.
fn detail(submission: &Submission) -> serde_json::Value {
    json!({ "return": submission.return_no, "period": submission.period, "code": submission.code })
}

/// A copy stands already. Where an earlier version was interrupted while it was submitted, that is completed.
async fn stands(server: &Server, new: &Entry<'_>, by: &By) -> Result<Submission, SubmissionError> {
    let mut all = server.store.submissions().await?.into_iter();
    let of = |submission: &Submission| (submission.unit, submission.return_no.clone(), submission.period.clone());
    let standing = all.rfind(|submission| of(submission) == of(new.submission)).ok_or(SubmissionError::Busy)?;
    let number = standing.number;
    let is_noted = server.store.people().is_noted(Event::ReturnSubmitted.as_str(), number).await?;
    let entry = Entry { submission: &standing, due_on: new.due_on, remark: new.remark.clone() };
    if is_noted && is_registered(server, &standing, |_| true).await? {
        return Err(SubmissionError::Stands { number, by: standing.submitted_by });
    }
    let mut detail = detail(&standing);
    (detail["number"], detail["completed"]) = (number.into(), true.into());
    let note = by.notes(Event::ReturnSubmitted, Some(standing.unit), &detail);
    perform(server, Act::Write, note, &entry, by).await?;
    Ok(standing)
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
    (by, level): (impl Into<By>, UnitLevel),
) -> Result<Submission, SubmissionError> {
    let (by, server) = (by.into(), &of_year(server, &submission.period).await?);
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
    if to == "submitted" {
        return Err(refused(StepFault::NoSuchStep.chinese()));
    }
    let note = |from: &str| {
        let detail = json!({ "number": submission.number, "from": from, "to": to, "reason": reason });
        by.notes(Event::ReturnStepped, Some(submission.unit), &detail)
    };
    if to == submission.state {
        // Taken already. Where an earlier version was interrupted before the register knew of it, that is completed.
        let says = |row: &Row| row.text("status") == to;
        if is_registered(server, submission, says).await? {
            return Err(refused(StepFault::NoSuchStep.chinese()));
        }
        let entry = Entry { submission, due_on: None, remark: None };
        perform(server, Act::Write, note(to), &entry, &by).await?;
        return Ok(submission.clone());
    }
    let at_ms = clock::now_ms();
    let stepped = Submission {
        state: to.to_owned(),
        reason: reason.map(str::to_owned).or_else(|| submission.reason.clone()),
        decided_by: Some(by.name.clone()),
        decided_at_ms: Some(at_ms),
        ..submission.clone()
    };
    let taken = SubmissionStep {
        from: submission.state.clone(),
        to: to.to_owned(),
        reason: reason.map(str::to_owned),
        who: by.name.clone(),
        at_ms,
    };
    let act = Act::Step { number: submission.number, step: taken };
    let entry = Entry { submission: &stepped, due_on: None, remark: None };
    match perform(server, act, note(&submission.state), &entry, &by).await? {
        Some(_) => Ok(stepped),
        None => Err(refused("刚被他人办理")),
    }
}

fn fault(server: &Server, workflow: &Workflow, (before, after): (&Row, &Row), level: UnitLevel) -> Option<StepFault> {
    let variables = server.catalogue.variables(server.campaign_year, None);
    workflow.fault(before, after, level.into(), &variables)
}

/// The cells of a submitted copy that would say something else today.
pub async fn differences(server: &Server, submission: &Submission) -> Result<Vec<Difference>, SubmissionError> {
    let server = &of_year(server, &submission.period).await?;
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
    let read = move || {
        let limits = ReadLimits::default();
        Ok::<_, ReadError>((seal::figures(&copy, &limits)?, seal::figures(&today, &limits)?))
    };
    let read = aside(read).await?;
    let (copy, mut today) = read?;
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
