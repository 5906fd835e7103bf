//! What a field app has to know of the catalogue, as JSON: ledgers with their columns, code lists, workflows, and the rules that look
//! at nothing but what a phone holds: rows of the same unit, and no restricted columns.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Actor, Beside, Catalogue, ColumnType, Fold, Ledger, Requirement, Rule, Sensitivity, UnitKind, Within,
    expression::{Expression, Variables},
    rule::Weight,
};
use crate::ids::Book;

/// The catalogue of the field.
#[derive(Debug, Serialize)]
pub struct FieldCatalogue<'c> {
    /// HMAC key for row ids of ledgers whose natural key is not sensitive.
    public_key: String,
    ledgers: Vec<FieldLedger<'c>>,
    lists: BTreeMap<&'c str, Vec<(&'c str, &'c str)>>,
    workflows: Vec<FieldWorkflow<'c>>,
    rules: Vec<FieldRule<'c>>,
    variables: Variables,
}

#[derive(Debug, Serialize)]
struct FieldLedger<'c> {
    id: &'c str,
    title: &'c str,
    title_en: &'c str,
    book: Book,
    /// Whose rows they are.
    of: UnitKind,
    /// Columns that only say which unit a row belongs to: they are not stored.
    unit_columns: Vec<&'c str>,
    keeps_rows: bool,
    keys: &'c [Vec<String>],
    sort: &'c [String],
    columns: Vec<FieldColumn<'c>>,
}

#[derive(Debug, Serialize)]
struct FieldColumn<'c> {
    key: &'c str,
    title: &'c str,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<&'c str>,
    required: Requirement,
    #[serde(skip_serializing_if = "str::is_empty")]
    allowed: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<&'c str>,
    sensitivity: Sensitivity,
    future: bool,
}

#[derive(Debug, Serialize)]
struct FieldWorkflow<'c> {
    ledger: &'c str,
    column: &'c str,
    title: &'c str,
    initial: &'c [String],
    begun_by: &'c [Actor],
    steps: Vec<FieldStep<'c>>,
}

#[derive(Debug, Serialize)]
struct FieldStep<'c> {
    from: &'c str,
    to: &'c str,
    by: &'c [Actor],
    needs: Option<&'c Expression>,
}

#[derive(Debug, Serialize)]
struct FieldRule<'c> {
    id: &'c str,
    ledger: &'c str,
    weight: Weight,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    beside: Vec<FieldBeside<'c>>,
    when: Option<&'c Expression>,
    check: &'c Expression,
    text: &'c str,
    text_en: &'c str,
}

/// A value from other rows of the unit.
#[derive(Debug, Serialize)]
struct FieldBeside<'c> {
    name: &'c str,
    ledger: &'c str,
    condition: Option<&'c Expression>,
    same: &'c [(String, Expression)],
    fold: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<&'c str>,
}

impl Catalogue {
    /// What a field app has to know of it.
    pub fn field(&self, campaign_year: i16) -> FieldCatalogue<'_> {
        FieldCatalogue {
            public_key: data_encoding::HEXLOWER.encode(self.public_key()),
            ledgers: self.ledgers().iter().map(FieldLedger::of).collect(),
            lists: self
                .lists
                .iter()
                .map(|(id, codes)| {
                    (id.as_str(), codes.codes.iter().map(|code| (code.code.as_str(), code.label.as_str())).collect())
                })
                .collect(),
            workflows: self
                .workflows
                .iter()
                .map(|workflow| FieldWorkflow {
                    ledger: &workflow.ledger,
                    column: &workflow.column,
                    title: &workflow.title,
                    initial: &workflow.initial,
                    begun_by: &workflow.begun_by,
                    steps: workflow
                        .steps
                        .iter()
                        .map(|step| FieldStep {
                            from: &step.from,
                            to: &step.to,
                            by: &step.by,
                            needs: step.needs.as_ref(),
                        })
                        .collect(),
                })
                .collect(),
            rules: self
                .rules()
                .iter()
                .filter(|rule| self.is_of_the_field(rule))
                .map(|rule| FieldRule {
                    id: &rule.id,
                    ledger: &rule.ledger,
                    weight: rule.weight,
                    beside: rule.beside.iter().map(FieldBeside::of).collect(),
                    when: rule.when.as_ref(),
                    check: &rule.check,
                    text: &rule.text,
                    text_en: &rule.text_en,
                })
                .collect(),
            variables: self.variables(campaign_year, None),
        }
    }

    /// Whether a phone holds all that a rule looks at: no restricted columns, none that only the register fills in, and rows of
    /// no other unit.
    fn is_of_the_field(&self, rule: &Rule) -> bool {
        let holds = |ledger: &str, column: &str| {
            self.ledger(ledger).is_some_and(|ledger| {
                let column = ledger.column(column);
                column.is_some_and(|c| c.sensitivity != Sensitivity::S3 && !ledger.unit.names_unit(&c.key))
            })
        };
        let sees = |ledger: &str, expression: &Expression| {
            let mut sees = true;
            expression.names(&mut |column| sees &= holds(ledger, column), &mut |_| {});
            sees
        };
        let is_beside = |beside: &Beside| {
            let Beside { ledger, condition, same, within, fold, .. } = beside;
            let folded = match fold {
                Fold::Count => None,
                Fold::Sum(column) | Fold::Greatest(column) | Fold::Least(column) => Some(column),
            };
            *within == Within::Unit
                && condition.iter().all(|condition| sees(ledger, condition))
                && same.iter().all(|(column, own)| holds(ledger, column) && sees(&rule.ledger, own))
                && folded.is_none_or(|column| holds(ledger, column))
        };
        let own = rule.when.iter().chain([&rule.check]).all(|expression| sees(&rule.ledger, expression));
        own && rule.beside.iter().all(is_beside)
    }
}

impl<'c> FieldBeside<'c> {
    fn of(beside: &'c Beside) -> Self {
        let (fold, of) = match &beside.fold {
            Fold::Count => ("count", None),
            Fold::Sum(column) => ("sum", Some(column.as_str())),
            Fold::Greatest(column) => ("greatest", Some(column.as_str())),
            Fold::Least(column) => ("least", Some(column.as_str())),
        };
        let Beside { name, ledger, condition, same, .. } = beside;
        Self { name, ledger, condition: condition.as_ref(), same, fold, of }
    }
}

impl<'c> FieldLedger<'c> {
    fn of(ledger: &'c Ledger) -> Self {
        let column = |column: &'c super::Column| FieldColumn {
            key: &column.key,
            title: &column.title,
            r#type: name(&column.column_type),
            list: match &column.column_type {
                ColumnType::Ref(ledger) => Some(ledger),
                other => other.list(),
            },
            required: column.required,
            allowed: &column.allowed,
            default: column.default.as_deref(),
            sensitivity: column.sensitivity,
            future: column.future,
        };
        Self {
            id: &ledger.id,
            title: &ledger.title,
            title_en: &ledger.title_en,
            book: ledger.book,
            of: ledger.unit.of,
            unit_columns: ledger.columns.iter().map(|c| c.key.as_str()).filter(|c| ledger.unit.names_unit(c)).collect(),
            keeps_rows: ledger.keeps_rows,
            keys: &ledger.keys,
            sort: &ledger.sort,
            columns: ledger.columns.iter().map(column).collect(),
        }
    }
}

/// The type's name without its argument, as catalogue files write it.
const fn name(column_type: &ColumnType) -> &'static str {
    use ColumnType as T;
    match column_type {
        T::Text => "text",
        T::LongText => "long_text",
        T::Int => "int",
        T::Decimal => "decimal",
        T::MoneyYuan => "money_yuan",
        T::MoneyWan => "money_wan",
        T::Percent => "percent",
        T::Score => "score",
        T::Date => "date",
        T::PDate => "pdate",
        T::DateTime => "datetime",
        T::Year => "year",
        T::Period => "period",
        T::Bool => "bool",
        T::Enum(_) => "enum",
        T::Multi(_) => "multi",
        T::Person => "person",
        T::IdCard => "id_card",
        T::Uscc => "uscc",
        T::Phone => "phone",
        T::Division => "division",
        T::Ref(_) => "ref",
    }
}
