//! What of a ledger goes on into the next year.

use super::expression::{Expression, Variables};
use crate::row::Row;

/// Which rows the next year begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carries {
    /// What there is: organisations, members, posts.
    Standing,
    /// What is under way and not concluded.
    Open,
    /// None: what happens in a year belongs to it.
    #[default]
    Nothing,
}

impl Carries {
    /// On screens.
    pub const fn chinese(self) -> &'static str {
        match self {
            Self::Standing => "结转",
            Self::Open => "未办结的结转",
            Self::Nothing => "新年度从空表开始",
        }
    }
}

/// What of a ledger goes on into the next year.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NextYear {
    /// Which rows.
    pub carries: Carries,
    /// Which of them; all that stand, if absent.
    pub condition: Option<Expression>,
    /// The column that says the year, which says the next one in a carried row.
    pub year: Option<String>,
    /// Columns that begin empty in a carried row: what is said of one year only.
    pub without: Vec<String>,
    /// What a row of the next year says of this one.
    pub previous: Option<Previous>,
}

/// The result of a year in a row of the next one, where a ledger begins empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// What makes that row: key columns and what they say.
    pub row: Vec<(String, String)>,
    /// The column in which the result stands.
    pub column: String,
    /// The column that it is taken from.
    pub from: String,
    /// The row with the greatest of these counts, codes in the order of their list.
    pub latest: Vec<String>,
    /// Columns that are copied from the same row.
    pub copies: Vec<String>,
}

impl NextYear {
    /// Whether a row goes on.
    pub fn carries(&self, row: &Row, variables: &Variables) -> bool {
        self.carries != Carries::Nothing
            && row.stands()
            && self.condition.as_ref().is_none_or(|condition| condition.holds(row, variables))
    }

    /// Whether a column begins empty in a carried row.
    pub fn is_without(&self, column: &str) -> bool {
        self.without.iter().any(|without| without == column)
    }
}
