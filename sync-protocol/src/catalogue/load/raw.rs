//! Catalogue files as they are written, before anything is checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::catalogue::{Actor, Basis, Format, HeaderWords, Requirement, Sensitivity, UnitSource, Weight, Within};

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
    pub(super) keys: Spanned<Vec<Vec<String>>>,
    #[serde(default)]
    pub(super) sort: Vec<String>,
    pub(super) unit: UnitSource,
}

/// A column of a ledger or of a return: the file says which.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawColumn {
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
    pub(super) share: Option<Spanned<[String; 2]>>,
    pub(super) print: Option<Print>,
    pub(super) format: Option<Format>,
    pub(super) only: Option<Spanned<String>>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum Print {
    Sequence,
    Group,
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
    #[serde(default)]
    pub(super) count: Count,
    pub(super) sum: Option<Spanned<String>>,
    pub(super) distinct: Option<Spanned<String>>,
    pub(super) at_least: Option<Spanned<Limit>>,
    pub(super) at_most: Option<Spanned<Limit>>,
    pub(super) cap: Option<Spanned<Limit>>,
    pub(super) cap_by: Option<RawCap>,
    pub(super) each: Option<Spanned<String>>,
    pub(super) by: Option<Spanned<String>>,
}

/// A limit that a column of the unit's own row in another ledger sets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCap {
    pub(super) ledger: Spanned<String>,
    pub(super) column: Spanned<String>,
    pub(super) times: Spanned<Limit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHaving {
    pub(super) ledger: Spanned<String>,
    #[serde(rename = "where")]
    pub(super) condition: Spanned<String>,
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
    pub(super) basis: Basis,
    pub(super) due: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) returns: Vec<String>,
}

/// A measure's id, or a table when more has to be said.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum RawTerm {
    Plain(String),
    Table {
        measure: String,
        times: Option<Limit>,
        #[serde(default)]
        until: bool,
        since_months: Option<u8>,
    },
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
