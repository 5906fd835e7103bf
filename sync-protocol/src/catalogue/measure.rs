//! Measures: numbers that are counted from the rows of one unit, kept as tallies, and only ever summed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Catalogue, Neighbours,
    expression::{Expression, Variables},
};
use crate::{row::Row, value::Value};

/// The rows of a unit in one period by ledger; removed rows are left out, restricted cells joined.
pub type UnitRows = HashMap<String, Vec<Row>>;

/// What else can be looked at while the rows of a unit are counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around<'a> {
    /// The rows of its reporting unit and of everything below that.
    pub township: Option<&'a Neighbours>,
    /// The rows of the county.
    pub county: Option<&'a Neighbours>,
}

/// Whose rows a condition looks at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// The unit's own.
    #[default]
    Unit,
    /// Those of its reporting unit, and of everything below that.
    Township,
    /// Those of the county.
    County,
}

/// How rows become a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aggregate {
    /// Number of rows.
    Rows,
    /// One if there is such a row: summed, the number of different units.
    Units,
    /// Sum of a column of whole numbers.
    Sum(String),
    /// Sum of a column of money or decimals, in hundredths: money in fen.
    SumHundredths(String),
    /// Number of codes in the sets of a column.
    Members(String),
    /// Number of different values of a column.
    Distinct(String),
    /// Sum of whole numbers that each row comes to.
    Value(Expression),
}

/// A condition on the unit, or on a row of it: that there is, or is not, a row.
#[derive(Debug, Clone)]
pub struct Having {
    /// The ledger.
    pub ledger: String,
    /// Which row. `$row.name` is what the row says that is counted.
    pub condition: Expression,
    /// Whose rows are looked at.
    pub reach: Reach,
    /// Columns of the row that is counted and of the one that is looked for: the first two that are both filled must say the
    /// same.
    pub same: Vec<(String, String)>,
    /// Rows that must be there besides that one.
    pub with: Vec<Having>,
}

impl Having {
    /// Whether it asks something of each row, not only of the unit.
    fn is_of_row(&self) -> bool {
        !self.same.is_empty() || !self.row_columns().is_empty()
    }

    /// What `$row.name` names.
    fn row_columns(&self) -> Vec<String> {
        let mut columns = Vec::new();
        self.condition.names(&mut |_| {}, &mut |name| columns.extend(name.strip_prefix("row.").map(str::to_owned)));
        columns
    }

    fn is_same(&self, own: Option<&Row>, other: &Row) -> bool {
        let Some(own) = own.filter(|_| !self.same.is_empty()) else { return self.same.is_empty() };
        let filled = |row: &Row, column: &str| row.get(column).filter(|value| !value.is_null()).cloned();
        let mut both = self.same.iter().filter_map(|(a, b)| Some((filled(own, a)?, filled(other, b)?)));
        both.next().is_some_and(|(a, b)| a == b)
    }

    /// The rows that meet it.
    fn found<'r>(&self, own: Option<&Row>, place: &Place<'r>, variables: &Variables) -> Vec<&'r Row> {
        let columns = self.row_columns();
        let bound = own.filter(|_| !columns.is_empty()).map(|own| {
            let mut bound = variables.clone();
            let says = columns.iter().filter_map(|column| Some((format!("row.{column}"), own.get(column)?.clone())));
            bound.extend(says);
            bound
        });
        let variables = bound.as_ref().unwrap_or(variables);
        let meets = |row: &&Row| {
            self.is_same(own, row)
                && self.condition.holds(row, variables)
                && self.with.iter().all(|more| more.holds(Some(row), place, variables))
        };
        let beyond = own.filter(|_| !self.same.is_empty()).zip(place.beyond(self.reach));
        let rows = match beyond {
            Some((own, beyond)) => beyond.alike(own, &self.ledger, &self.same),
            None => place.rows(self.reach, &self.ledger).collect(),
        };
        rows.into_iter().filter(meets).collect()
    }

    fn holds(&self, own: Option<&Row>, place: &Place<'_>, variables: &Variables) -> bool {
        !self.found(own, place, variables).is_empty()
    }

    /// Calls back for it and for what it asks for besides, with the ledger of the row that each is about.
    fn visit(&self, of: &str, visit: &mut impl FnMut(&Having, &str)) {
        visit(self, of);
        for more in &self.with {
            more.visit(&self.ledger, &mut *visit);
        }
    }
}

/// A unit's rows, and those around it.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    own: &'a UnitRows,
    around: Around<'a>,
}

impl<'a> Place<'a> {
    fn beyond(&self, reach: Reach) -> Option<&'a Neighbours> {
        match reach {
            Reach::Unit => None,
            Reach::Township => self.around.township,
            Reach::County => self.around.county,
        }
    }

    fn rows(&self, reach: Reach, ledger: &str) -> impl Iterator<Item = &'a Row> {
        let rows = match reach {
            Reach::Unit => Some(self.own),
            _ => self.beyond(reach).map(|beyond| &beyond.rows),
        };
        rows.and_then(|rows| rows.get(ledger)).into_iter().flatten()
    }
}

/// A limit that a column sets: twelve meetings for each of its Party groups.
#[derive(Debug, Clone)]
pub struct CapBy {
    /// The ledger with the unit's own row.
    pub ledger: String,
    /// What it says of it: a whole number.
    pub value: Expression,
}

/// A day that a unit's rows name: that of its appraisal.
#[derive(Debug, Clone)]
pub struct Day {
    /// The ledger.
    pub ledger: String,
    /// Which rows.
    pub condition: Expression,
    /// The column with the date.
    pub column: String,
}

/// A measure.
#[derive(Debug, Clone)]
pub struct Measure {
    /// Its id.
    pub id: String,
    /// Title in Chinese.
    pub title: String,
    /// The ledger it counts.
    pub ledger: String,
    /// Which rows count; all, if absent.
    pub condition: Option<Expression>,
    /// Rows that the unit must have.
    pub with: Vec<Having>,
    /// Rows that the unit must not have.
    pub without: Vec<Having>,
    /// Instead of each row, these rows count that belong to it.
    pub joined: Option<Having>,
    /// The column that names the organisation which a row is about: it counts there, whichever unit keeps it.
    pub organisation: Option<String>,
    /// Instead of the statistics date: the latest day up to it that the unit's rows of a ledger name.
    pub day: Option<Day>,
    /// How they count.
    pub aggregate: Aggregate,
    /// The result counts as one if it is at least this, else as nothing.
    pub at_least: Option<i64>,
    /// The result counts as one if it is at most this, else as nothing.
    pub at_most: Option<i64>,
    /// More than this does not count.
    pub cap: Option<i64>,
    /// More than a column of the unit's own row says does not count.
    pub cap_by: Option<CapBy>,
    /// Counted once for every code of this list, which is also the name of a variable.
    pub each: Option<String>,
    /// Kept apart by the values of this column, so that dates or codes can be chosen when it is summed.
    pub by: Option<String>,
    /// The ledger whose row of the unit says what it is kept apart by, if it is not the ledger that is counted.
    pub by_ledger: Option<String>,
    /// However many units count one part, it counts once: a village that has several branches.
    pub once: bool,
    /// Counted from the rows of the year before, where there are any: what is compared with it.
    pub year_before: bool,
}

/// A measure with its variables bound: what is stored under one key.
#[derive(Debug, Clone)]
pub struct Instance {
    /// `id`, or `id:code`.
    pub key: String,
    /// The values of its variables.
    pub variables: Variables,
}

impl Measure {
    /// The key for a choice of variables.
    pub fn key(&self, variables: &Variables) -> String {
        match self.each.as_ref().and_then(|each| variables.get(each)) {
            Some(code) => format!("{}:{code}", self.id),
            None => self.id.clone(),
        }
    }

    /// Every binding of its variables.
    pub fn instances(&self, catalogue: &Catalogue, campaign_year: i16) -> Vec<Instance> {
        let codes = self.each.as_ref().and_then(|list| catalogue.list(list));
        let bind = |code: Option<&str>| {
            let mut variables = catalogue.variables(campaign_year, code);
            if let (Some(each), Some(code)) = (&self.each, code) {
                variables.insert(each.clone(), Value::text(code));
            }
            Instance { key: self.key(&variables), variables }
        };
        codes.map_or_else(|| vec![bind(None)], |list| list.codes.iter().map(|code| bind(Some(&code.code))).collect())
    }

    /// Whether it says something else on another day, or looks beyond the unit or the year: then it is not kept, but counted when it is
    /// asked for.
    pub fn is_live(&self) -> bool {
        let mut is_live = false;
        self.expressions(&mut |expression| {
            expression.names(&mut |_| {}, &mut |name| {
                is_live |=
                    matches!(name, "statistics_date" | "period_start" | "line_code" | "unit_name" | "township_name");
            });
        });
        self.havings(&mut |having, _| is_live |= having.reach != Reach::Unit);
        is_live || self.year_before || self.organisation.is_some() || self.once
    }

    /// Ledgers that are looked at beyond the unit.
    pub fn reaches(&self) -> BTreeSet<(Reach, String)> {
        let mut found = BTreeSet::new();
        self.havings(&mut |having, _| {
            found.insert((having.reach, having.ledger.clone()));
        });
        found.retain(|(reach, _)| *reach != Reach::Unit);
        found
    }

    pub(super) fn havings(&self, visit: &mut impl FnMut(&Having, &str)) {
        for having in self.with.iter().chain(&self.without).chain(&self.joined) {
            having.visit(&self.ledger, &mut *visit);
        }
    }

    fn expressions(&self, visit: &mut impl FnMut(&Expression)) {
        self.condition.iter().for_each(&mut *visit);
        self.havings(&mut |having, _| visit(&having.condition));
        if let Aggregate::Value(value) = &self.aggregate {
            visit(value);
        }
        if let Some(cap) = &self.cap_by {
            visit(&cap.value);
        }
        if let Some(day) = &self.day {
            visit(&day.condition);
        }
    }

    /// The ledgers without whose rows it comes to nothing; and, where it counts what has no row in them, those.
    pub fn sources(&self) -> (BTreeSet<&str>, BTreeSet<&str>) {
        fn with<'m>(having: &'m Having, ledgers: &mut BTreeSet<&'m str>) {
            ledgers.insert(&having.ledger);
            having.with.iter().for_each(|more| with(more, ledgers));
        }
        let mut counted = BTreeSet::from([self.ledger.as_str()]);
        self.with.iter().chain(&self.joined).for_each(|having| with(having, &mut counted));
        let mut absent: BTreeSet<&str> = self.without.iter().map(|having| having.ledger.as_str()).collect();
        // Too few rows are what it asks for.
        absent.extend(self.at_most.map(|_| self.ledger.as_str()));
        (counted, absent)
    }

    /// Counts the rows of one unit: value of the `by` column (empty without one) → number.
    pub fn count(&self, rows: &UnitRows, variables: &Variables) -> BTreeMap<String, i64> {
        self.count_in(rows, Around::default(), variables)
    }

    /// The same where the rows around the unit are known, too.
    pub fn count_in(&self, rows: &UnitRows, around: Around<'_>, variables: &Variables) -> BTreeMap<String, i64> {
        let groups = self.groups(rows, around, variables).into_iter();
        groups
            .map(|(by, own)| (by, self.finish(&own, self.limit(rows, variables), variables)))
            .filter(|(_, number)| *number != 0)
            .collect()
    }

    /// The rows that count, by what they are kept apart by.
    pub(super) fn groups<'r>(
        &self,
        rows: &'r UnitRows,
        around: Around<'r>,
        variables: &Variables,
    ) -> BTreeMap<String, Vec<&'r Row>> {
        let place = Place { own: rows, around };
        let bound = self.day.as_ref().and_then(|day| day.bind(rows, variables));
        let variables = bound.as_ref().unwrap_or(variables);
        let (of_rows, of_unit): (Vec<_>, Vec<_>) = self.with.iter().partition(|having| having.is_of_row());
        let (not_of_rows, not_of_unit): (Vec<_>, Vec<_>) = self.without.iter().partition(|having| having.is_of_row());
        let has = |having: &&Having| having.holds(None, &place, variables);
        if !of_unit.iter().all(has) || not_of_unit.iter().any(has) {
            return BTreeMap::new();
        }
        let mut groups: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
        for row in rows.get(&self.ledger).into_iter().flatten() {
            let has = |having: &&Having| having.holds(Some(row), &place, variables);
            let is_counted = self.condition.as_ref().is_none_or(|condition| condition.holds(row, variables))
                && of_rows.iter().all(has)
                && !not_of_rows.iter().any(has);
            if is_counted {
                let counted = match &self.joined {
                    Some(joined) => joined.found(Some(row), &place, variables),
                    None => vec![row],
                };
                for by in self.parts(row, rows) {
                    groups.entry(by).or_default().extend(&counted);
                }
            }
        }
        // 0 may be what is asked for.
        if groups.is_empty() && self.by.is_none() {
            groups.insert(String::new(), Vec::new());
        }
        groups
    }

    /// What a row is kept apart by: each member of a set, where the column is one.
    fn parts(&self, row: &Row, rows: &UnitRows) -> Vec<String> {
        let own = self.by_ledger.as_ref().map(|ledger| rows.get(ledger).and_then(|rows| rows.first()));
        let Some(row) = own.unwrap_or(Some(row)) else { return vec![String::new()] };
        let Some(column) = self.by.as_ref().or(self.organisation.as_ref()) else { return vec![String::new()] };
        let members: Vec<String> = row.members(column).map(str::to_owned).collect();
        if members.is_empty() { vec![row.text(column).to_owned()] } else { members }
    }

    /// The most that counts in this unit.
    pub(super) fn limit(&self, rows: &UnitRows, variables: &Variables) -> Option<i64> {
        let Some(CapBy { ledger, value }) = &self.cap_by else { return self.cap };
        let mut own = rows.get(ledger).into_iter().flatten().filter_map(|row| value.value(row, variables));
        Some(own.find_map(|value| number(&value)).unwrap_or(0))
    }

    pub(super) fn finish(&self, rows: &[&Row], limit: Option<i64>, variables: &Variables) -> i64 {
        let number = match &self.aggregate {
            Aggregate::Value(value) => {
                let values = rows.iter().filter_map(|row| number(&value.value(row, variables)?));
                values.fold(0, i64::saturating_add)
            }
            Aggregate::Rows => i64::try_from(rows.len()).unwrap_or(i64::MAX),
            Aggregate::Units => i64::from(!rows.is_empty()),
            Aggregate::Sum(column) => {
                rows.iter().filter_map(|row| row.get(column)).filter_map(number).fold(0, i64::saturating_add)
            }
            Aggregate::SumHundredths(column) => {
                rows.iter().filter_map(|row| row.get(column)).filter_map(hundredths).fold(0, i64::saturating_add)
            }
            Aggregate::Members(column) => {
                let codes = rows.iter().map(|row| row.members(column).count()).sum::<usize>();
                i64::try_from(codes).unwrap_or(i64::MAX)
            }
            Aggregate::Distinct(column) => {
                let different: BTreeSet<&Value> = rows.iter().filter_map(|row| row.get(column)).collect();
                i64::try_from(different.len()).unwrap_or(i64::MAX)
            }
        };
        let number = limit.map_or(number, |limit| number.min(limit));
        if self.at_least.is_none() && self.at_most.is_none() {
            return number;
        }
        let inside =
            self.at_least.is_none_or(|least| number >= least) && self.at_most.is_none_or(|most| number <= most);
        i64::from(inside)
    }

    /// Every ledger and column that it reads.
    pub fn reads(&self, visit: &mut impl FnMut(&str, &str)) {
        let ledger = self.ledger.as_str();
        let mut condition = |ledger: &str, expression: &Expression| {
            // An expression without columns still needs the rows.
            visit(ledger, "");
            expression.names(&mut |column| visit(ledger, column), &mut |_| {});
        };
        if let Some(expression) = &self.condition {
            condition(ledger, expression);
        }
        if let Aggregate::Value(expression) = &self.aggregate {
            condition(ledger, expression);
        }
        if let Some(cap) = &self.cap_by {
            condition(&cap.ledger, &cap.value);
        }
        if let Some(day) = &self.day {
            condition(&day.ledger, &day.condition);
        }
        self.havings(&mut |having, _| condition(&having.ledger, &having.condition));
        let mut seen = Vec::new();
        self.havings(&mut |having, of| {
            let own = having.row_columns().into_iter().chain(having.same.iter().map(|(own, _)| own.clone()));
            seen.extend(own.map(|column| (of.to_owned(), column)));
            seen.extend(having.same.iter().map(|(_, other)| (having.ledger.clone(), other.clone())));
        });
        for (ledger, column) in &seen {
            visit(ledger, column);
        }
        let counted = self.joined.as_ref().map_or(ledger, |joined| joined.ledger.as_str());
        visit(ledger, "");
        if let Aggregate::Sum(column)
        | Aggregate::SumHundredths(column)
        | Aggregate::Members(column)
        | Aggregate::Distinct(column) = &self.aggregate
        {
            visit(counted, column);
        }
        for by in self.by.iter().chain(&self.organisation) {
            visit(self.by_ledger.as_deref().unwrap_or(ledger), by);
        }
        if let Some(day) = &self.day {
            visit(&day.ledger, &day.column);
        }
    }
}

impl Day {
    /// The variables with that day instead of the statistics date; none, if no row names one.
    fn bind(&self, rows: &UnitRows, variables: &Variables) -> Option<Variables> {
        let own = rows.get(&self.ledger).into_iter().flatten();
        let last = variables.get("statistics_date")?.as_text()?;
        let days = own.filter(|row| self.condition.holds(row, variables)).map(|row| row.text(&self.column));
        let day = days.filter(|day| day.len() == last.len() && *day <= last).max()?;
        let mut bound = variables.clone();
        bound.insert("statistics_date".into(), Value::text(day));
        Some(bound)
    }
}

/// A whole number.
pub(super) fn number(value: &Value) -> Option<i64> {
    if let Value::Int(number) = value { Some(*number) } else { None }
}

/// A decimal in hundredths, rounded half up: 12.345 is 1235.
pub(super) fn hundredths(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Int(number) => return number.checked_mul(100),
        Value::Text(text) => text,
        _ => return None,
    };
    let (sign, text) = text.strip_prefix('-').map_or((1, text.as_str()), |text| (-1, text));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let up = i64::from(fraction.as_bytes().get(2).is_some_and(|digit| *digit >= b'5'));
    let two = format!("{whole}{:0<2}", fraction.get(..2).unwrap_or(fraction));
    Some(sign * (two.parse::<i64>().ok()? + up))
}
