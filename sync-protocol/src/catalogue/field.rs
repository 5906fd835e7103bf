//! What a field app has to know of the catalogue, as JSON: ledgers with their columns, code lists, workflows, and the rules that look
//! at nothing but their own row.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Actor, Catalogue, ColumnType, Ledger, Requirement, Sensitivity, UnitKind,
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
    when: Option<&'c Expression>,
    check: &'c Expression,
    text: &'c str,
    text_en: &'c str,
}

impl Catalogue {
    /// What a field app has to know of it.
    pub fn field(&self, campaign_year: i16) -> FieldCatalogue<'_> {
        // What a phone does not hold cannot be looked at.
        let is_restricted = |ledger: &str, column: &str| {
            let column = self.ledger(ledger).and_then(|ledger| ledger.column(column));
            column.is_some_and(|column| column.sensitivity == Sensitivity::S3)
        };
        let is_own = |rule: &&super::Rule| {
            let mut sees = true;
            for expression in rule.when.iter().chain([&rule.check]) {
                let mut column = |name: &str| sees &= !is_restricted(&rule.ledger, name);
                expression.names(&mut column, &mut |_| {});
            }
            sees && rule.beside.is_empty()
        };
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
                .filter(is_own)
                .map(|rule| FieldRule {
                    id: &rule.id,
                    ledger: &rule.ledger,
                    weight: rule.weight,
                    when: rule.when.as_ref(),
                    check: &rule.check,
                    text: &rule.text,
                    text_en: &rule.text_en,
                })
                .collect(),
            variables: self.variables(campaign_year, None),
        }
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
