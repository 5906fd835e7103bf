//! Rules. The short forms become what they stand for: a value from other rows, and a check of it.

use toml::Spanned;

use super::{
    Report,
    measures::{column_exists, having, known_ledger},
    raw::{RawBeside, RawRule},
    returns::{expression, variables_exist},
};
use crate::catalogue::{Beside, Catalogue, Expression, Fold, Having, Ledger, Rule, Within};

/// The name of the value that a short form counts; no catalogue file can name it.
const COUNTED: &str = "(counted)";

/// A rule; its id begins with the ledger that it is about.
pub(super) fn rule(raw: RawRule, catalogue: &Catalogue, report: &mut Report<'_>) -> Option<Rule> {
    let name = raw.id.get_ref().split('.').next().unwrap_or_default();
    let Some(ledger) = catalogue.ledger(name) else {
        report.at(&raw.id, format!("a rule's id begins with its ledger; `{name}` is none"));
        return None;
    };
    if let Some(name) = raw.beside.keys().find(|name| catalogue.has_variable(name, None)) {
        report.at(&raw.id, format!("`${name}` is a variable of the whole catalogue; choose another name"));
    }
    let named: Vec<&str> = raw.beside.keys().map(String::as_str).collect();
    let mut when = raw.when.as_ref().and_then(|text| checked(text, ledger, &named, catalogue, report));
    for column in raw.per.iter().chain(&raw.unique) {
        column_exists(column, ledger, report);
    }
    let mut beside: Vec<Beside> =
        raw.beside.iter().filter_map(|(name, raw)| self::beside(name, raw, ledger, catalogue, report)).collect();
    let mut count = |condition: Option<Expression>, ledger: String, same: &[Spanned<String>], within| {
        let same = same.iter().map(|column| (column.get_ref().clone(), Expression::column(column.get_ref()))).collect();
        let name = COUNTED.to_owned();
        beside.push(Beside { name, ledger, condition, same, within, fold: Fold::Count });
    };
    let check = match (&raw.check, &raw.needs, &raw.forbids, raw.at_most) {
        (None, None, None, None) if !raw.unique.is_empty() => {
            for column in &raw.unique {
                let filled = Expression::filled(column.get_ref());
                when = Some(when.map_or(filled.clone(), |when| when.and(filled)));
            }
            count(when.clone(), ledger.id.clone(), &raw.unique, Within::County);
            Expression::limit(COUNTED, true, 1)
        }
        (Some(text), None, None, None) => checked(text, ledger, &named, catalogue, report)?,
        (None, Some(needs), None, None) => {
            let Having { ledger, condition, .. } = having(needs, None, catalogue, report)?;
            count(Some(condition), ledger, &[], Within::Unit);
            Expression::limit(COUNTED, false, 1)
        }
        (None, None, Some(forbids), None) => {
            let Having { ledger, condition, .. } = having(forbids, None, catalogue, report)?;
            count(Some(condition), ledger, &[], Within::Unit);
            Expression::limit(COUNTED, true, 0)
        }
        (None, None, None, Some(most)) => {
            count(when.clone(), ledger.id.clone(), &raw.per, Within::Unit);
            Expression::limit(COUNTED, true, most)
        }
        _ => {
            report.at(&raw.id, "a rule has exactly one of check, needs, forbids, at_most, unique");
            return None;
        }
    };
    Some(Rule {
        id: raw.id.into_inner(),
        ledger: ledger.id.clone(),
        weight: raw.weight,
        beside,
        when,
        check,
        once: raw.once,
        text: raw.text,
        text_en: raw.text_en,
    })
}

fn beside(name: &str, raw: &RawBeside, own: &Ledger, catalogue: &Catalogue, report: &mut Report<'_>) -> Option<Beside> {
    let ledger = known_ledger(&raw.ledger, catalogue, report)?;
    let condition = raw.condition.as_ref().and_then(|text| checked(text, ledger, &[], catalogue, report));
    let mut same = Vec::new();
    for (column, text) in &raw.same {
        if ledger.column(column).is_none() {
            report.at(text, format!("unknown column `{column}` of `{}`", ledger.id));
        }
        same.push((column.clone(), checked(text, own, &[], catalogue, report)?));
    }
    let folds = [&raw.sum, &raw.greatest, &raw.least];
    for column in folds.into_iter().flatten() {
        column_exists(column, ledger, report);
    }
    let column = |column: &Spanned<String>| column.get_ref().clone();
    let fold = match folds {
        [None, None, None] => Fold::Count,
        [Some(sum), None, None] => Fold::Sum(column(sum)),
        [None, Some(greatest), None] => Fold::Greatest(column(greatest)),
        [None, None, Some(least)] => Fold::Least(column(least)),
        _ => {
            report.at(&raw.ledger, "a value beside a row has at most one of sum, greatest, least");
            return None;
        }
    };
    Some(Beside { name: name.to_owned(), ledger: ledger.id.clone(), condition, same, within: raw.within, fold })
}

/// An expression of a rule: it may name what the rule takes from other rows.
fn checked(
    text: &Spanned<String>,
    ledger: &Ledger,
    named: &[&str],
    catalogue: &Catalogue,
    report: &mut Report<'_>,
) -> Option<Expression> {
    let expression = expression(text, Some(ledger), report)?;
    let known = |name: &str| named.contains(&name) || catalogue.has_variable(name, None);
    variables_exist(&expression, known, text, report);
    Some(expression)
}
