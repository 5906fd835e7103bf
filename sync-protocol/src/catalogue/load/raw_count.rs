//! Measures of one column of a return alone, as they are written.

use serde::Deserialize;
use toml::Spanned;

use super::raw::{Count, RawHaving, RawMeasure};

/// A measure of one column alone.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCount {
    pub(super) ledger: Spanned<String>,
    #[serde(rename = "where")]
    pub(super) condition: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) with: Vec<RawHaving>,
    #[serde(default)]
    pub(super) without: Vec<RawHaving>,
    #[serde(default)]
    pub(super) units: bool,
    pub(super) joined: Option<RawHaving>,
    pub(super) organisation: Option<Spanned<String>>,
    pub(super) sum: Option<Spanned<String>>,
    pub(super) distinct: Option<Spanned<String>>,
    pub(super) value: Option<Spanned<String>>,
    pub(super) each: Option<Spanned<String>>,
    pub(super) by: Option<Spanned<String>>,
}

impl RawCount {
    pub(super) fn measure(self, id: Spanned<String>, title: String) -> RawMeasure {
        RawMeasure {
            id,
            title,
            ledger: self.ledger,
            condition: self.condition,
            with: self.with,
            without: self.without,
            joined: self.joined,
            organisation: self.organisation,
            count: if self.units { Count::Units } else { Count::Rows },
            sum: self.sum,
            distinct: self.distinct,
            value: self.value,
            at_least: None,
            at_most: None,
            cap: None,
            cap_by: None,
            each: self.each,
            by: self.by,
            by_ledger: None,
            once: false,
            day: None,
            year_before: false,
        }
    }
}
