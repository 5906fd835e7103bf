//! Catalogue files as they are written, before anything is checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{next_year::RawNextYear, raw_count::RawCount};
use crate::catalogue::{
    Actor, Basis, Format, HeaderWords, IndicatorPart, Reach, Requirement, Sensitivity, UnitSource, Weight, Window,
    Within,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) ledger: Option<RawLedger>,
    #[serde(default)]
    pub(super) column: Vec<RawColumn>,
    #[serde(default)]
    pub(super) list: Vec<RawList>,
    #[serde(default)]
    pub(super) measure: Vec<RawMeasure>,
    #[serde(default)]
    pub(super) indicator: Vec<RawIndicator>,
    #[serde(default)]
    pub(super) rule: Vec<RawRule>,
    #[serde(default)]
    pub(super) workflow: Vec<RawWorkflow>,
    #[serde(default)]
    pub(super) requirement: Vec<RawRequirement>,
    #[serde(rename = "return")]
    pub(super) form: Option<RawReturn>,
    #[serde(default)]
    pub(super) sheet: Vec<RawSheet>,
    pub(super) parameters: Option<toml::Table>,
    pub(super) headers: Option<HeaderWords>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLedger {
    pub(super) id: Spanned<String>,
    pub(super) title: String,
    pub(super) number: u32,
    pub(super) title_en: String,
    #[serde(default)]
    pub(super) title_aliases: Vec<String>,
    pub(super) tier: u8,
    pub(super) book: Spanned<String>,
    pub(super) writer: String,
    #[serde(default)]
    pub(super) keeps_rows: bool,
    pub(super) expected: Option<Spanned<String>>,
    pub(super) keys: Spanned<Vec<Vec<String>>>,
    #[serde(default)]
    pub(super) sort: Vec<String>,
    pub(super) unit: UnitSource,
    pub(super) next_year: Option<RawNextYear>,
}

/// A column of a ledger or of a return: the file says which.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawColumn {
    // Of a return: what it prints, in one of these ways.
    pub(super) count: Option<Spanned<RawCount>>,
    pub(super) terms: Option<Spanned<Vec<Spanned<RawTerm>>>>,
    pub(super) sum: Option<Spanned<String>>,
    pub(super) parameter: Option<Spanned<String>>,
    pub(super) text: Option<Spanned<RawText>>,
    pub(super) indicator: Option<IndicatorPart>,
    pub(super) cell: Option<Spanned<RawCell>>,
    // Which parts of its measure count.
    pub(super) dates: Option<Dates>,
    pub(super) since_months: Option<u8>,
    pub(super) codes: Option<Vec<String>>,
    /// Youngest and oldest; -1 for no bound.
    pub(super) age: Option<[i16; 2]>,
    /// Small numbers are suppressed in copies for supervisors.
    #[serde(default)]
    pub(super) small: bool,
    /// Width in characters.
    pub(super) width: Option<f64>,
    pub(super) key: Option<Spanned<String>>,
    pub(super) title: Option<String>,
    #[serde(rename = "type")]
    pub(super) column_type: Option<Spanned<String>>,
    pub(super) required: Option<Requirement>,
    pub(super) default: Option<String>,
    #[serde(default)]
    pub(super) allowed: String,
    #[serde(default)]
    pub(super) aliases: Vec<Spanned<String>>,
    pub(super) sensitivity: Option<Sensitivity>,
    #[serde(default)]
    pub(super) future: bool,
    pub(super) number: Option<Spanned<String>>,
    pub(super) header: Option<Vec<String>>,
    pub(super) measure: Option<Spanned<String>>,
    pub(super) ratio: Option<Spanned<[String; 2]>>,
    pub(super) share: Option<Spanned<[Vec<Spanned<RawTerm>>; 2]>>,
    pub(super) print: Option<Print>,
    pub(super) format: Option<Format>,
    pub(super) only: Option<Spanned<String>>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum Print {
    Sequence,
    Group,
    Unit,
    Organisation,
    Blank,
}

/// A text out of the rows of a ledger.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawText {
    pub(super) ledger: Spanned<String>,
    #[serde(rename = "where")]
    pub(super) condition: Option<Spanned<String>>,
    pub(super) greatest: Option<Spanned<String>>,
    pub(super) list: Option<Spanned<String>>,
}

/// A cell of a listed row, or of another row of its unit.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum RawCell {
    Own(String),
    Of {
        ledger: String,
        column: String,
        /// The listed row's column, and the other ledger's, that say the same.
        #[serde(default)]
        same: Vec<String>,
    },
}

/// A sheet of a return.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSheet {
    pub(super) name: String,
    pub(super) rows: Spanned<RawRows>,
    /// In place of 填报单位.
    pub(super) header: Option<String>,
    /// Which organisations take part, by their row in `organisations`.
    #[serde(rename = "where")]
    pub(super) condition: Option<Spanned<String>>,
    pub(super) ledger: Option<Spanned<String>>,
    pub(super) column: Option<Spanned<String>>,
    /// Codes that have a row; all of the list, if none is named.
    #[serde(default)]
    pub(super) codes: Vec<String>,
    #[serde(default)]
    pub(super) per_unit: bool,
    /// Numbers of columns that the sheet leaves out.
    #[serde(default)]
    pub(super) except: Vec<String>,
    /// Columns of its own.
    #[serde(default)]
    pub(super) columns: Vec<RawColumn>,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawRows {
    Units,
    Organisations,
    Groups,
    Codes,
    List,
    Indicators,
    IndicatorMatrix,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawList {
    pub(super) id: Spanned<String>,
    pub(super) title: String,
    pub(super) codes: Spanned<Vec<Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMeasure {
    pub(super) id: Spanned<String>,
    pub(super) title: String,
    pub(super) ledger: Spanned<String>,
    #[serde(rename = "where")]
    pub(super) condition: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) with: Vec<RawHaving>,
    #[serde(default)]
    pub(super) without: Vec<RawHaving>,
    pub(super) joined: Option<RawHaving>,
    pub(super) organisation: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) count: Count,
    pub(super) sum: Option<Spanned<String>>,
    pub(super) distinct: Option<Spanned<String>>,
    pub(super) value: Option<Spanned<String>>,
    pub(super) at_least: Option<Spanned<Limit>>,
    pub(super) at_most: Option<Spanned<Limit>>,
    pub(super) cap: Option<Spanned<Limit>>,
    pub(super) cap_by: Option<RawCap>,
    pub(super) each: Option<Spanned<String>>,
    pub(super) by: Option<Spanned<String>>,
    pub(super) by_ledger: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) once: bool,
    pub(super) day: Option<RawDay>,
    #[serde(default)]
    pub(super) year_before: bool,
}

/// A day that rows of the unit name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDay {
    pub(super) ledger: Spanned<String>,
    #[serde(rename = "where")]
    pub(super) condition: Spanned<String>,
    pub(super) column: Spanned<String>,
}

/// A limit that a column of the unit's own row in another ledger sets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCap {
    pub(super) ledger: Spanned<String>,
    pub(super) value: Spanned<String>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHaving {
    pub(super) ledger: Spanned<String>,
    #[serde(rename = "where")]
    pub(super) condition: Spanned<String>,
    #[serde(default)]
    pub(super) reach: Reach,
    #[serde(default)]
    pub(super) same: Vec<Spanned<(String, String)>>,
    #[serde(default)]
    pub(super) with: Vec<RawHaving>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub(super) id: Spanned<String>,
    pub(super) weight: Weight,
    pub(super) when: Option<Spanned<String>>,
    /// `$name` → what other rows give.
    #[serde(default)]
    pub(super) beside: BTreeMap<String, RawBeside>,
    pub(super) check: Option<Spanned<String>>,
    pub(super) needs: Option<RawHaving>,
    pub(super) forbids: Option<RawHaving>,
    pub(super) at_most: Option<i64>,
    #[serde(default)]
    pub(super) unique: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) per: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) once: bool,
    pub(super) text: String,
    pub(super) text_en: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBeside {
    pub(super) ledger: Spanned<String>,
    #[serde(rename = "where")]
    pub(super) condition: Option<Spanned<String>>,
    /// Column of those rows → what the own row must say of it.
    #[serde(default)]
    pub(super) same: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) within: Within,
    pub(super) sum: Option<Spanned<String>>,
    pub(super) greatest: Option<Spanned<String>>,
    pub(super) least: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRequirement {
    pub(super) id: String,
    pub(super) plan: String,
    #[serde(default)]
    pub(super) ledgers: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) returns: Vec<String>,
    #[serde(default)]
    pub(super) indicators: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) target: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWorkflow {
    pub(super) ledger: Spanned<String>,
    pub(super) column: Spanned<String>,
    pub(super) title: String,
    pub(super) initial: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) begun_by: Vec<Actor>,
    pub(super) steps: Vec<RawStep>,
    #[serde(default)]
    pub(super) decisions: Vec<RawRecorded>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRecorded {
    pub(super) column: Spanned<String>,
    #[serde(default)]
    pub(super) by: Vec<Actor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStep {
    pub(super) from: Spanned<String>,
    pub(super) to: Spanned<String>,
    pub(super) by: Vec<Actor>,
    pub(super) needs: Option<Spanned<String>>,
}

/// A number, or `$parameter`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Limit {
    Number(i64),
    Parameter(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIndicator {
    pub(super) id: Spanned<String>,
    pub(super) name: Spanned<String>,
    pub(super) title: String,
    pub(super) numerator: Vec<Spanned<RawTerm>>,
    #[serde(default)]
    pub(super) denominator: Vec<Spanned<RawTerm>>,
    pub(super) denominator_constant: Option<Spanned<Limit>>,
    #[serde(default)]
    pub(super) variables: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    pub(super) growth_of_means: bool,
    pub(super) target_percent: Option<i64>,
    #[serde(default)]
    pub(super) target_growth: bool,
    pub(super) basis: Basis,
    pub(super) due: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) returns: Vec<String>,
}

/// A measure's id, or a table when more has to be said.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum RawTerm {
    Plain(String),
    Table {
        measure: String,
        times: Option<Limit>,
        #[serde(default)]
        until: bool,
        since_months: Option<u8>,
        codes: Option<Vec<String>>,
    },
}

/// Which parts count of a measure that is kept apart by a column.
#[derive(Default)]
pub(super) struct RawWindow {
    pub(super) dates: Option<Dates>,
    pub(super) since_months: Option<u8>,
    pub(super) codes: Option<Vec<String>>,
    pub(super) age: Option<[i16; 2]>,
}

/// Dates against the statistics date.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum Dates {
    Until,
    Before,
    NotBefore,
}

impl From<RawWindow> for Window {
    fn from(raw: RawWindow) -> Self {
        let bound = |age: i16| (age >= 0).then_some(age);
        match raw {
            RawWindow { dates: Some(Dates::Until), .. } => Window::Until,
            RawWindow { dates: Some(Dates::Before), .. } => Window::Before,
            RawWindow { dates: Some(Dates::NotBefore), .. } => Window::NotBefore,
            RawWindow { since_months: Some(months), .. } => Window::SinceMonths(months),
            RawWindow { codes: Some(codes), .. } => Window::Codes(codes),
            RawWindow { age: Some([from, to]), .. } => Window::Age { from: bound(from), to: bound(to) },
            _ => Window::All,
        }
    }
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Count {
    #[default]
    Rows,
    Units,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReturn {
    pub(super) id: Spanned<String>,
    pub(super) number: String,
    pub(super) form_number: String,
    pub(super) title: String,
    pub(super) units: String,
    #[serde(default)]
    pub(super) groups: Vec<RawGroup>,
    #[serde(default)]
    pub(super) variables: Vec<RawVariable>,
    #[serde(default)]
    pub(super) checks: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) notes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGroup {
    pub(super) label: String,
    #[serde(rename = "where")]
    pub(super) condition: Spanned<String>,
    #[serde(default)]
    pub(super) of_which: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVariable {
    pub(super) name: String,
    pub(super) list: Spanned<String>,
    pub(super) default: Spanned<String>,
}
