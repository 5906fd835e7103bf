//! The catalogue: ledgers, code lists, measures and returns, declared as data.
//!
//! The built-in catalogue is the TOML under `sync-protocol/catalogue/`; a county may lay its own
//! files over it. Everything is checked when it is loaded, with file and line, so that nothing can
//! be unknown at run time.

mod behind;
mod expression;
mod field;
mod indicator;
mod ledger;
mod load;
mod measure;
mod neighbours;
mod next_year;
mod returns;
mod rule;
mod workflow;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::value::Value;

pub use behind::Behind;
pub use expression::{Expression, Variables};
pub use field::FieldCatalogue;
pub use indicator::{Basis, Figure, Indicator, Term, Window};
pub use ledger::{Column, ColumnType, Expected, Kind, Ledger, Requirement, Sensitivity, UnitKind, UnitSource};
pub use load::{CatalogueError, CatalogueErrors, Source};
pub use measure::{Aggregate, Around, CapBy, Day, Having, Instance, Measure, Reach, UnitRows};
pub use neighbours::Neighbours;
pub use next_year::{Carries, NextYear, Previous};
pub use returns::{
    CellOf, Check, Content, Format, Group, IndicatorPart, Relation, ReturnColumn, ReturnForm, Sheet, SheetRows,
    Summand, TextFold, Variable,
};
pub use rule::{Beside, Fold, Peers, Place, Rule, Weight, Within};
pub use workflow::{Actor, Recorded, Step, StepFault, Workflow, Writing};

/// One code of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// What is stored.
    pub code: String,
    /// What is printed.
    pub label: String,
    /// What else is understood.
    pub aliases: Vec<String>,
}

/// A code list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeList {
    /// Its id.
    pub id: String,
    /// What it lists.
    pub title: String,
    /// The codes in printed order.
    pub codes: Vec<Code>,
}

impl CodeList {
    /// The entry with this code.
    pub fn code(&self, code: &str) -> Option<&Code> {
        self.codes.iter().find(|entry| entry.code == code)
    }

    /// The printed form of a code; an unknown code prints as it is stored.
    pub fn label<'a>(&'a self, code: &'a str) -> &'a str {
        self.code(code).map_or(code, |entry| &entry.label)
    }
}

/// How header texts are understood everywhere (catalogue-wide conventions).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderWords {
    /// Words too general to decide a column alone.
    pub weak: Vec<String>,
    /// Columns that are recomputed and never imported.
    pub derived: Vec<String>,
    /// Words that open a total row.
    pub totals: Vec<String>,
    /// Words that stand in for an empty cell.
    pub empty: Vec<String>,
    /// Words that say that a value exists but is not known.
    pub unknown: Vec<String>,
    /// Words that repeat the cell above.
    pub ditto: Vec<String>,
}

/// Something that the plan asks for: where it is recorded, printed and measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// `5.2c`: section and letter.
    pub id: String,
    /// The plan's words.
    pub plan: String,
    /// Ledgers that record it.
    pub ledgers: Vec<String>,
    /// Returns that print it.
    pub returns: Vec<String>,
    /// Indicators that measure it.
    pub indicators: Vec<String>,
    /// Target and date, as the plan has them.
    pub target: String,
}

/// Everything that is declared.
#[derive(Debug, Clone)]
pub struct Catalogue {
    ledgers: Vec<Ledger>,
    lists: BTreeMap<String, CodeList>,
    returns: Vec<ReturnForm>,
    measures: BTreeMap<String, Measure>,
    indicators: Vec<Indicator>,
    rules: Vec<Rule>,
    workflows: Vec<Workflow>,
    requirements: Vec<Requested>,
    parameters: toml::Table,
    words: HeaderWords,
    /// HMAC key for row ids of ledgers whose natural key is not sensitive.
    public_key: Vec<u8>,
    digest: [u8; 32],
}

impl Catalogue {
    /// The list of the states of a record, in every ledger.
    pub const RECORD_STATES: &str = "record_state";

    /// The catalogue that the program was built with.
    pub fn builtin() -> Self {
        Self::load(&load::builtin_sources()).expect("the built-in catalogue is checked by a test")
    }

    /// Reads and checks a set of files; later files replace ledgers, lists, measures, returns and parameters of
    /// the same name, so that a county lays its own over the built-in ones.
    pub fn load(sources: &[Source]) -> Result<Self, CatalogueErrors> {
        load::load(sources)
    }

    /// The files of the built-in catalogue, to be laid over.
    pub fn builtin_sources() -> Vec<Source> {
        load::builtin_sources()
    }

    /// All ledgers in catalogue order.
    pub fn ledgers(&self) -> &[Ledger] {
        &self.ledgers
    }

    /// The ledger with this id.
    pub fn ledger(&self, id: &str) -> Option<&Ledger> {
        self.ledgers.iter().find(|ledger| ledger.id == id)
    }

    /// The code list with this id.
    pub fn list(&self, id: &str) -> Option<&CodeList> {
        self.lists.get(id)
    }

    /// All returns.
    pub fn returns(&self) -> &[ReturnForm] {
        &self.returns
    }

    /// A return by its id (`r03-grading-summary`) or number (`R03`).
    pub fn return_form(&self, name: &str) -> Option<&ReturnForm> {
        self.returns.iter().find(|form| form.id == name || form.number.eq_ignore_ascii_case(name))
    }

    /// The measure with this id; those that returns name exist, which loading has checked.
    pub fn measure(&self, id: &str) -> Option<&Measure> {
        self.measures.get(id)
    }

    /// All measures, by id.
    pub fn measures(&self) -> impl Iterator<Item = &Measure> {
        self.measures.values()
    }

    /// All indicators, by id.
    pub fn indicators(&self) -> &[Indicator] {
        &self.indicators
    }

    /// The workflows of a ledger, and of every ledger.
    pub fn workflows<'a>(&'a self, ledger: &'a str) -> impl Iterator<Item = &'a Workflow> {
        self.workflows
            .iter()
            .filter(move |workflow| workflow.ledger == ledger || workflow.ledger == Workflow::EVERY_LEDGER)
    }

    /// What the plan asks for, in its order.
    pub fn requirements(&self) -> &[Requested] {
        &self.requirements
    }

    /// All rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// An indicator by its id (`I-12`) or name.
    pub fn indicator(&self, name: &str) -> Option<&Indicator> {
        self.indicators.iter().find(|indicator| indicator.id == name || indicator.name == name)
    }

    /// What its files say, in short: another one counts otherwise, perhaps.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The variables of measures: county parameters, with month-days completed by the campaign year. The entries of a
    /// table are `$table.code`, and `$table` is the one for `code`; a list is its codes with blanks between them. And
    /// `$campaign_year`, `$next_year`, `$previous_year`.
    pub fn variables(&self, campaign_year: i16, code: Option<&str>) -> Variables {
        let bound = |value: &toml::Value| match value {
            toml::Value::Integer(number) => Some(Value::Int(*number)),
            toml::Value::String(text) if text.len() == 5 && text.as_bytes()[2] == b'-' => {
                Some(Value::Text(format!("{campaign_year}-{text}")))
            }
            toml::Value::String(text) => Some(Value::text(text)),
            toml::Value::Array(codes) => {
                let codes: Vec<&str> = codes.iter().filter_map(toml::Value::as_str).collect();
                Some(Value::Text(codes.join(" ")))
            }
            _ => None,
        };
        let mut variables = Variables::new();
        for (name, value) in &self.parameters {
            if let toml::Value::Table(table) = value {
                let entries = table.iter().filter_map(|(code, value)| Some((format!("{name}.{code}"), bound(value)?)));
                variables.extend(entries);
            }
            let chosen = match (value, code) {
                (toml::Value::Table(table), Some(code)) => table.get(code),
                (value, _) => Some(value),
            };
            if let Some(value) = chosen.and_then(bound) {
                variables.insert(name.clone(), value);
            }
        }
        variables.insert("campaign_year".into(), Value::Text(campaign_year.to_string()));
        variables.insert("next_year".into(), Value::Text((campaign_year + 1).to_string()));
        variables.insert("previous_year".into(), Value::Text((campaign_year - 1).to_string()));
        variables
    }

    /// Whether expressions may name this variable; `table[]` is any entry of it. A table alone says something only when a
    /// measure is counted for each code of a list.
    pub(crate) fn has_variable(&self, name: &str, each: Option<&str>) -> bool {
        if let Some(table) = name.strip_suffix("[]") {
            return self.parameters.get(table).is_some_and(toml::Value::is_table);
        }
        match self.parameter(name) {
            Some(toml::Value::Table(_)) => each.is_some(),
            Some(_) => true,
            None => matches!(
                name,
                "campaign_year"
                    | "next_year"
                    | "previous_year"
                    | "statistics_date"
                    | "period_start"
                    | "unit_name"
                    | "unit_short_name"
                    | "township_name"
            ),
        }
    }

    /// A county parameter, for example `grading_cutoff`, or an entry of one: `grading_cutoff.initial`.
    pub fn parameter(&self, name: &str) -> Option<&toml::Value> {
        match name.split_once('.') {
            Some((table, entry)) => self.parameters.get(table)?.get(entry),
            None => self.parameters.get(name),
        }
    }

    /// How header texts are understood.
    pub fn words(&self) -> &HeaderWords {
        &self.words
    }

    /// The key for row ids of ledgers whose natural key is not sensitive.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }
}
