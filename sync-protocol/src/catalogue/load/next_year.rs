//! What of a ledger goes on into the next year.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{Report, returns::expression};
use crate::catalogue::{Carries, Ledger, NextYear, Previous};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNextYear {
    carries: Carries,
    #[serde(rename = "where")]
    condition: Option<Spanned<String>>,
    year: Option<Spanned<String>>,
    #[serde(default)]
    without: Vec<Spanned<String>>,
    previous: Option<Spanned<RawPrevious>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrevious {
    row: BTreeMap<String, String>,
    column: String,
    from: String,
    latest: Vec<String>,
    #[serde(default)]
    copies: Vec<String>,
}

pub(super) fn next_year(raw: RawNextYear, ledger: &Ledger, report: &mut Report<'_>) -> NextYear {
    let condition = raw.condition.as_ref().and_then(|text| {
        if raw.carries == Carries::Nothing {
            report.at(text, "`where` chooses among rows that are carried, and none are");
        }
        expression(text, Some(ledger), report)
    });
    for column in raw.without.iter().chain(&raw.year) {
        let key = column.get_ref();
        if ledger.column(key).is_none() {
            report.at(column, format!("unknown column `{key}`"));
        }
    }
    let previous = raw.previous.map(|previous| {
        let of = previous.get_ref();
        let columns = of.row.keys().chain([&of.column, &of.from]).chain(&of.latest).chain(&of.copies);
        for column in columns.filter(|column| ledger.column(column).is_none_or(|c| ledger.book_of(c) != ledger.book)) {
            report.at(&previous, format!("`{column}` is no column of the open book of `{}`", ledger.id));
        }
        let is_key = |key: &Vec<String>| key.iter().all(|column| of.row.contains_key(column));
        if !ledger.keys.iter().any(is_key) {
            report.at(&previous, "`row` has to fill a natural key");
        }
        let of = previous.into_inner();
        Previous {
            row: of.row.into_iter().collect(),
            column: of.column,
            from: of.from,
            latest: of.latest,
            copies: of.copies,
        }
    });
    NextYear {
        carries: raw.carries,
        condition,
        year: raw.year.map(Spanned::into_inner),
        without: raw.without.into_iter().map(Spanned::into_inner).collect(),
        previous,
    }
}
