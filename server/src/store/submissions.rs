//! Submitted returns, as their callers see them.

use sync_protocol::UnitId;

/// A return that was submitted, without its workbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Its number; what it says before it is stored does not matter.
    pub number: i64,
    /// The unit that submitted it.
    pub unit: UnitId,
    /// `R03`.
    pub return_no: String,
    /// 报送期.
    pub period: String,
    /// What was chosen.
    pub choices: Vec<(String, String)>,
    /// Statistics date.
    pub date: jiff::civil::Date,
    /// The last change that it knows, by its number in the feed.
    pub seq: i64,
    /// The code that is printed on it.
    pub code: String,
    /// Name of the file.
    pub file: String,
    /// Who submitted it.
    pub submitted_by: String,
    /// When, in milliseconds since 1970.
    pub submitted_at_ms: i64,
    /// A code of the list `return_status`.
    pub state: String,
    /// Why it was returned last.
    pub reason: Option<String>,
    /// Who took the last step.
    pub decided_by: Option<String>,
    /// When, in milliseconds since 1970.
    pub decided_at_ms: Option<i64>,
}

/// A step in the life of a submitted return.
#[derive(Debug, Clone)]
pub struct SubmissionStep {
    /// State before.
    pub from: String,
    /// State after.
    pub to: String,
    /// Why.
    pub reason: Option<String>,
    /// Who takes it.
    pub who: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
}
