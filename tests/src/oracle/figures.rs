//! The figures of the returns as SQL over plain rows. A file of `sql/` has blocks: `--= 4 党支部` and a query for facts (the
//! reporting unit, the organisation, a value, perhaps a code), or `--= 5 占比 = 4 / 2`, a sum of other figures over another;
//! `--@ due AS` names a query for the blocks below it, and `--! star_rating` says that a block counts what has no row in there.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use sync_protocol::{
    catalogue::{Catalogue, Column},
    unit::UnitLevel,
};

use super::truth::{Truth, YEAR};

/// The returns and their queries.
pub(super) const FILES: [(&str, &str); 23] = [
    ("R01", include_str!("sql/r01.sql")),
    ("R02", include_str!("sql/r02.sql")),
    ("R03", include_str!("sql/r03.sql")),
    ("R04", include_str!("sql/r04.sql")),
    ("R05", include_str!("sql/r05.sql")),
    ("R07", include_str!("sql/r07.sql")),
    ("R08", include_str!("sql/r08.sql")),
    ("R09", include_str!("sql/r09.sql")),
    ("R10", include_str!("sql/r10.sql")),
    ("R11", include_str!("sql/r11.sql")),
    ("R12", include_str!("sql/r12.sql")),
    ("R13", include_str!("sql/r13.sql")),
    ("R14", include_str!("sql/r14.sql")),
    ("R15", include_str!("sql/r15.sql")),
    ("R16", include_str!("sql/r16.sql")),
    ("R17", include_str!("sql/r17.sql")),
    ("R18", include_str!("sql/r18.sql")),
    ("R19", include_str!("sql/r19.sql")),
    ("R20", include_str!("sql/r20.sql")),
    ("R21", include_str!("sql/r21.sql")),
    ("R22", include_str!("sql/r22.sql")),
    ("R23", include_str!("sql/r23.sql")),
    ("R25", include_str!("sql/r25.sql")),
];
/// The indicators, from the figures of the returns.
pub(super) const INDICATORS: &str = include_str!("sql/r24.sql");
pub(super) const VIEWS: &str = include_str!("sql/views.sql");
/// The label of the last row.
pub(super) const TOTAL: &str = "合计";

/// By what a figure is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Unit,
    Field,
    Organisation,
    Code,
    UnitCode,
}

/// Label → value.
pub(super) type Values = BTreeMap<String, f64>;

/// A figure.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) id: String,
    pub(super) says: String,
    /// Ledgers in which it counts what has no row.
    pub(super) absent: Vec<String>,
    pub(super) body: Body,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Facts(String),
    /// Signed figures, and those that they are divided by.
    Formula(Vec<(f64, String)>, Option<Vec<(f64, String)>>),
}

/// The blocks of a file, and what it names.
pub(super) fn blocks(file: &str) -> (Vec<(String, String)>, Vec<Block>) {
    let (mut named, mut found) = (Vec::new(), Vec::<Block>::new());
    for line in file.lines() {
        if let Some(text) = line.strip_prefix("--@ ") {
            let (name, query) = text.split_once(" AS ").expect("a name and a query");
            named.push((name.to_owned(), query.to_owned()));
        } else if let Some(text) = line.strip_prefix("--= ") {
            let (head, formula) = text.rsplit_once(" = ").map_or((text, None), |(head, formula)| (head, Some(formula)));
            let (id, says) = head.split_once([' ', ':']).unwrap_or((head, ""));
            let body = formula.map_or(Body::Facts(String::new()), |formula| {
                let (over, under) =
                    formula.split_once(" / ").map_or((formula, None), |(over, under)| (over, Some(under)));
                Body::Formula(sum(over), under.map(sum))
            });
            found.push(Block { id: id.to_owned(), says: says.trim().to_owned(), absent: Vec::new(), body });
        } else if let (Some(text), Some(block)) = (line.strip_prefix("--! "), found.last_mut()) {
            block.absent.extend(text.split(' ').map(str::to_owned));
        } else if let Some(Block { body: Body::Facts(query), .. }) = found.last_mut() {
            query.push_str(line);
            query.push('\n');
        }
    }
    (named, found)
}

fn sum(text: &str) -> Vec<(f64, String)> {
    let mut sign = 1.0;
    let mut found = Vec::new();
    for word in text.split_whitespace() {
        match word {
            "+" => sign = 1.0,
            "-" => sign = -1.0,
            id => found.push((sign, id.to_owned())),
        }
    }
    found
}

/// What `$names` stand for.
pub(super) type Names = BTreeMap<&'static str, String>;

/// A county in a database of its own.
#[derive(Debug)]
pub(super) struct Oracle {
    db: SqliteConnection,
    made: Vec<String>,
    names: Names,
}

impl Oracle {
    /// Puts every row into a table of its ledger.
    pub(super) async fn of(truth: &Truth, catalogue: &Catalogue) -> Result<Self> {
        let db = SqliteConnection::connect("sqlite::memory:").await?;
        let mut oracle = Self { db, made: Vec::new(), names: Names::new() };
        oracle.run("CREATE TABLE unit (id TEXT PRIMARY KEY, parent TEXT, level TEXT, name TEXT, label TEXT)").await?;
        oracle.run("CREATE TABLE numbers (n INTEGER)").await?;
        oracle.run("INSERT INTO numbers VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10),(11),(12)").await?;
        for unit in &truth.units {
            let query = sqlx::query("INSERT INTO unit VALUES (?, ?, ?, ?, ?)").bind(unit.id.to_string());
            let query = query.bind(unit.parent.map(|parent| parent.to_string())).bind(unit.level.as_str());
            query.bind(&unit.name).bind(unit.label()).execute(&mut oracle.db).await?;
        }
        for ledger in catalogue.ledgers() {
            let name = ledger.id.replace('-', "_");
            let column = |column: &Column| format!(", \"{}\" TEXT NOT NULL DEFAULT ''", column.key);
            let columns = ledger.columns.iter().map(column).collect::<Vec<_>>().concat();
            oracle
                .run(&format!("CREATE TABLE t_{name} (unit TEXT, rid TEXT, state TEXT, removed INTEGER{columns})"))
                .await?;
            oracle
                .run(&format!(
                    "CREATE VIEW l_{name} AS SELECT t.*, CASE u.level WHEN 'organisation' THEN u.parent ELSE u.id END AS ru, \
                     CASE u.level WHEN 'organisation' THEN u.id END AS org FROM t_{name} t JOIN unit u ON u.id = t.unit \
                     WHERE removed = 0 AND state NOT IN ('draft', 'returned', 'void')"
                ))
                .await?;
        }
        for fact in &truth.facts {
            let keys = fact.cells.keys().map(|key| format!(", \"{key}\"")).collect::<Vec<_>>().concat();
            let marks = ", ?".repeat(fact.cells.len());
            let name = fact.ledger.replace('-', "_");
            let text = format!("INSERT INTO t_{name} (unit, rid, state, removed{keys}) VALUES (?, ?, ?, ?{marks})");
            let query = sqlx::query(AssertSqlSafe(text)).bind(truth.units[fact.unit].id.to_string());
            let mut query = query.bind(fact.row.to_string()).bind(fact.state).bind(fact.removed);
            for value in fact.cells.values() {
                query = query.bind(value);
            }
            query.execute(&mut oracle.db).await?;
        }
        Ok(oracle)
    }

    async fn run(&mut self, text: &str) -> Result<()> {
        sqlx::query(AssertSqlSafe(text.to_owned())).execute(&mut self.db).await.with_context(|| text.to_owned())?;
        Ok(())
    }

    /// Looks at the county on a day, in a period that began on another.
    pub(super) async fn look(&mut self, date: jiff::civil::Date, since: jiff::civil::Date) -> Result<()> {
        self.forget(0).await?;
        self.names = [("D", date.to_string()), ("S", since.to_string()), ("Y", YEAR.to_string())].into_iter().collect();
        let views = VIEWS.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n") + "\n";
        for view in views.split(";\n").filter(|view| !view.trim().is_empty()) {
            let name = view.split_whitespace().nth(2).context("a name")?.to_owned();
            let text = expand(view, &self.names);
            self.run(&text).await?;
            self.made.push(name);
        }
        Ok(())
    }

    async fn forget(&mut self, kept: usize) -> Result<()> {
        for name in self.made.split_off(kept).into_iter().rev() {
            self.run(&format!("DROP VIEW {name}")).await?;
        }
        Ok(())
    }

    /// The figures of a file in these scopes.
    pub(super) async fn figures(
        &mut self,
        file: &str,
        more: &[(&'static str, &str)],
        scopes: &[Scope],
    ) -> Result<BTreeMap<(Scope, String), Values>> {
        let (kept, names) = (self.made.len(), self.names.clone());
        self.names.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let (views, found) = blocks(file);
        for (name, query) in views {
            let text = expand(&format!("CREATE VIEW {name} AS {query}"), &self.names);
            self.run(&text).await?;
            self.made.push(name);
        }
        let mut figures = BTreeMap::new();
        for scope in scopes {
            for block in &found {
                if let Body::Facts(query) = &block.body {
                    let has_codes = query.contains(", code") || query.contains("AS code");
                    if has_codes || !matches!(scope, Scope::Code | Scope::UnitCode) {
                        let values =
                            self.facts(query, *scope).await.with_context(|| format!("{} {}", block.id, block.says))?;
                        figures.insert((*scope, block.id.clone()), values);
                    }
                }
            }
        }
        self.forget(kept).await?;
        self.names = names;
        Ok(figures)
    }

    async fn facts(&mut self, query: &str, scope: Scope) -> Result<Values> {
        let query = expand(query, &self.names);
        let key = match scope {
            Scope::Unit => "u.label",
            Scope::Field => "o.field || ' ' || o.two_new_kind",
            Scope::Organisation => "o.full_name",
            Scope::Code => "f.code",
            Scope::UnitCode => "u.label || ' ' || f.code",
        };
        let join = if scope == Scope::Organisation { "org" } else { "org_any" };
        let text = format!(
            "SELECT {key} AS label, CAST(sum(f.v) AS REAL) AS v FROM ({query}) f LEFT JOIN unit u ON u.id = f.ru \
             LEFT JOIN {join} o ON o.org = f.org GROUP BY 1"
        );
        let mut values = Values::new();
        for row in sqlx::query(AssertSqlSafe(text.clone())).fetch_all(&mut self.db).await.context(text)? {
            let (label, value): (Option<String>, Option<f64>) = (row.try_get("label")?, row.try_get("v")?);
            let (Some(label), Some(value)) = (label, value) else { continue };
            let labels = if scope == Scope::Field { fields(&label) } else { vec![label] };
            for label in labels {
                *values.entry(label).or_default() += value;
            }
            *values.entry(TOTAL.to_owned()).or_default() += value;
        }
        Ok(values)
    }
}

/// The rows that an organisation of a field stands in: those of 其中 too.
fn fields(text: &str) -> Vec<String> {
    let labels: &[&str] = match text {
        "two_new nonpublic" => &["两新组织", "其中：非公企业", "非公企业"],
        "two_new social" => &["两新组织", "其中：社会组织", "社会组织"],
        _ => match text.split(' ').next().unwrap_or_default() {
            "rural" => &["农村", "村"],
            "community" => &["城市社区", "社区"],
            "two_new" => &["两新组织"],
            "floating" => &["流动"],
            "agency" => &["机关"],
            "other" => &["其他"],
            _ => &[],
        },
    };
    labels.iter().map(|label| (*label).to_owned()).collect()
}

/// Replaces `$names` and the shorthands that `views.sql` explains.
fn expand(text: &str, names: &Names) -> String {
    let mut text = text.to_owned();
    for (short, long) in [
        ("UNTIL", "(# <> '' AND # <= substr($D, 1, length(#)))"),
        ("BY", "(# = '' OR # <= substr($D, 1, length(#)))"),
        ("AFTER", "(# <> '' AND # > substr($D, 1, length(#)))"),
        ("YEAR", "(substr(#, 1, 4) = $Y)"),
        (
            "AGE",
            "(CASE WHEN # = '' THEN NULL ELSE substr($D, 1, 4) - substr(#, 1, 4) - (substr($D, 6) < substr(CASE length(#) \
             WHEN 4 THEN # || '-12-31' WHEN 7 THEN date(# || '-01', '+1 month', '-1 day') ELSE # END, 6)) END)",
        ),
    ] {
        let call = format!("{short}(");
        let mut from = 0;
        while let Some(at) = text[from..].find(&call).map(|at| at + from) {
            let is_word = text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            if is_word {
                from = at + call.len();
                continue;
            }
            let end = at + text[at..].find(')').expect("a closing bracket");
            let long = long.replace('#', &text[at + call.len()..end]);
            text.replace_range(at..=end, &long);
            from = at + long.len();
        }
    }
    // The longest first: `$D` is no part of another.
    let mut by_length: Vec<_> = names.iter().collect();
    by_length.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, value) in by_length {
        text = text.replace(&format!("${name}"), &format!("'{value}'"));
    }
    text
}

/// The level of the units in [`Scope::Unit`].
pub(super) const LEVEL: UnitLevel = UnitLevel::ReportingUnit;
