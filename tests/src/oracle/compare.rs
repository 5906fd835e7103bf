//! Every cell of every return beside what the oracle says.

use std::{collections::BTreeMap, fmt, path::Path};

use anyhow::{Context, Result};
use server::Server;
use sync_protocol::catalogue::{ReturnForm, SheetRows};

use super::{
    figures::{Block, Body, FILES, INDICATORS, LEVEL, Oracle, Scope, TOTAL, Values, blocks},
    kept::{Kept, NOT_KEPT, Sources, sources},
    product::{Drawing, Printed},
    truth::{Truth, YEAR},
};

/// A cell that differs.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The return, with what was chosen.
    pub of: String,
    /// The sheet.
    pub sheet: String,
    /// The row.
    pub row: String,
    /// 栏次.
    pub column: String,
    /// What the oracle says.
    pub oracle: String,
    /// What is printed.
    pub product: String,
    /// What the figure is.
    pub says: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, sheet, row, column, oracle, product, says } = self;
        write!(f, "{of}\t{sheet}\t{row}\t栏次{column}\toracle {oracle}\tproduct {product}\t{says}")
    }
}

/// What a comparison has found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Return → cells that were compared.
    pub cells: BTreeMap<String, usize>,
    /// Those of them that say a word instead of a figure.
    pub words: usize,
    /// Those that differ.
    pub differences: Vec<Difference>,
}

impl Report {
    /// Takes in another.
    pub fn add(&mut self, other: Report) {
        for (name, count) in other.cells {
            *self.cells.entry(name).or_default() += count;
        }
        self.words += other.words;
        self.differences.extend(other.differences);
    }

    /// Return → cells that differ.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for difference in &self.differences {
            let name = difference.of.get(..3).unwrap_or(&difference.of).to_owned();
            *counts.entry(name).or_default() += 1;
        }
        counts
    }
}

/// A return as it is drawn: its choices, what they mean to the oracle, and the sheets that are left out.
struct Way {
    key: String,
    choices: Vec<(&'static str, &'static str)>,
    names: Vec<(&'static str, &'static str)>,
    /// Only this sheet.
    only: Option<&'static str>,
}

fn ways(number: &str) -> Vec<Way> {
    let way = |key: &str, choices: &[(&'static str, &'static str)], names: &[(&'static str, &'static str)], only| Way {
        key: format!("{number}{key}"),
        choices: choices.to_vec(),
        names: names.to_vec(),
        only,
    };
    match number {
        "R03" => [("initial", "2012-03-31"), ("mid", "2012-06-30"), ("final", "2012-09-30")]
            .map(|(round, cutoff)| {
                let key = format!("/{round}");
                way(&key, &[("round", round)], &[("ROUND", round), ("CUTOFF", cutoff)], None)
            })
            .into(),
        "R14" => vec![
            way("/home", &[], &[("SIDE", "home")], Some("按填报单位")),
            way("/community", &[], &[("SIDE", "community")], Some("按社区")),
        ],
        "R15" => vec![
            way("/rural", &[], &[("FIELD", "rural")], Some("村")),
            way("/community", &[], &[("FIELD", "community")], Some("社区")),
        ],
        _ => vec![way("", &[], &[], None)],
    }
}

/// Columns that no figure of the oracle stands for: texts, parameters of the county, and what a round does not have.
fn is_left_out(key: &str, sheet: &str, column: &str) -> bool {
    match key {
        // A county of one year has none before it.
        "R03/initial" => matches!(column, "10" | "11" | "12" | "13" | "14" | "19" | "20" | "21" | "22" | "23" | "24"),
        "R03/mid" | "R03/final" => matches!(column, "19" | "20" | "21" | "22" | "23" | "24"),
        "R07" => sheet == "按机制类别" && column != "1",
        "R20" => sheet != "按类别" || matches!(column, "1" | "6" | "7"),
        "R21" => column == "4",
        "R25" => matches!(column, "7" | "8"),
        _ => false,
    }
}

/// Draws everything as of a day and compares.
pub async fn compare(
    server: &Server,
    truth: &Truth,
    folder: &Path,
    date: jiff::civil::Date,
    wanted: &[String],
) -> Result<Report> {
    let mut oracle = Oracle::of(truth, &server.catalogue).await?;
    oracle.look(date, jiff::civil::date(YEAR, 1, 1)).await?;
    let kept = Kept::of(truth);
    let mut report = Report::default();
    let (mut by_unit, mut parts) = (BTreeMap::<String, Values>::new(), Parts::new());
    let is_wanted = |number: &str| wanted.is_empty() || wanted.iter().any(|name| name == number);
    for (number, file) in FILES {
        if !is_wanted(number) && !is_wanted("R24") {
            continue;
        }
        let form = server.catalogue.return_form(number).context("a return")?;
        for way in ways(number) {
            let scopes = [Scope::Unit, Scope::Field, Scope::Organisation, Scope::Code, Scope::UnitCode];
            let figures = oracle.figures(file, &way.names, &scopes).await.with_context(|| way.key.clone())?;
            for ((scope, id), values) in &figures {
                if *scope == Scope::Unit {
                    by_unit.insert(format!("{}:{id}", way.key), values.clone());
                }
            }
            let (named, found) = blocks(file);
            let own = found.iter().map(|block| (format!("{}:{}", way.key, block.id), part(block, &named, &way.key)));
            parts.extend(own);
            for block in &found {
                if let Body::Formula(_, None) = block.body {
                    let local = |id: &str| figures.get(&(Scope::Unit, id.to_owned()));
                    let labels = labels(truth);
                    let values = labels.iter().map(|label| (label.clone(), value(block, label, &local).unwrap_or(0.0)));
                    by_unit.insert(format!("{}:{}", way.key, block.id), values.collect());
                }
            }
            if !is_wanted(number) {
                continue;
            }
            let drawing =
                Drawing::of(server, folder, number, &way.choices, date).await.with_context(|| way.key.clone())?;
            for sheet in &form.sheets {
                let Some(printed) = drawing.sheets.get(&sheet.name) else { continue };
                if way.only.is_some_and(|only| only != sheet.name) {
                    continue;
                }
                let scope = match &sheet.rows {
                    SheetRows::Units(_) => Scope::Unit,
                    SheetRows::Groups => Scope::Field,
                    SheetRows::Organisations(_) => Scope::Organisation,
                    SheetRows::Codes { per_unit: true, .. } => Scope::UnitCode,
                    SheetRows::Codes { .. } => Scope::Code,
                    _ => continue,
                };
                let codes = codes(server, form, &sheet.rows);
                let local = |id: &str| figures.get(&(scope, id.to_owned()));
                let is_summed = |label: &&String| *label != TOTAL && !label.starts_with("其中");
                let lines = printed.keys().filter(is_summed).map(|label| codes.get(label).unwrap_or(label).as_str());
                let table = Table { found: &found, named: &named, kept: &kept, lines: lines.collect(), local: &local };
                for (label, cells) in printed {
                    let key = codes.get(label).unwrap_or(label);
                    for (column, printed) in cells {
                        if is_left_out(&way.key, &sheet.name, column) {
                            continue;
                        }
                        let id = if number == "R07" && scope == Scope::Code { "k1" } else { column };
                        let Some(block) = found.iter().find(|block| block.id == id) else { continue };
                        if scope == Scope::Organisation && label == TOTAL {
                            continue;
                        }
                        let said = table.said(block, key);
                        report.check((&way.key, number), (&sheet.name, label, column), said, printed, &block.says);
                    }
                }
            }
        }
    }
    if is_wanted("R24") {
        report.add(indicators(server, &mut oracle, (by_unit, parts), &kept, folder, date).await?);
    }
    Ok(report)
}

fn labels(truth: &Truth) -> Vec<String> {
    let units = truth.units.iter().filter(|unit| unit.level == LEVEL);
    units.map(|unit| unit.label().to_owned()).chain([TOTAL.to_owned()]).collect()
}

/// The labels of rows that codes stand for, with their codes.
fn codes(server: &Server, _form: &ReturnForm, rows: &SheetRows) -> BTreeMap<String, String> {
    let SheetRows::Codes { list, per_unit, .. } = rows else { return BTreeMap::new() };
    let list = server.catalogue.list(list).map(|list| list.codes.clone()).unwrap_or_default();
    if !per_unit {
        return list.into_iter().map(|code| (code.label, code.code)).collect();
    }
    let towns: Vec<String> = (0..6).map(|town| format!("第{town}镇")).collect();
    let both = towns.iter().flat_map(|town| {
        list.iter().map(move |code| (format!("{town} {}", code.label), format!("{town} {}", code.code)))
    });
    both.collect()
}

/// What a cell says.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Said {
    Figure(f64),
    /// There is nothing to divide by.
    Nothing,
    /// Nobody has kept what it counts.
    NotKept,
}

/// A table of a return as the oracle sees it.
struct Table<'a, F> {
    found: &'a [Block],
    named: &'a [(String, String)],
    kept: &'a Kept,
    /// The rows that are summed.
    lines: Vec<&'a str>,
    local: &'a F,
}

impl<'v, F: Fn(&str) -> Option<&'v Values>> Table<'_, F> {
    fn said(&self, block: &Block, label: &str) -> Said {
        if self.is_missing(block, label) {
            return Said::NotKept;
        }
        self.figure(block, label).map_or(Said::Nothing, Said::Figure)
    }

    fn named(&self, id: &str) -> Option<&Block> {
        self.found.iter().find(|block| block.id == id)
    }

    fn is_missing(&self, block: &Block, label: &str) -> bool {
        if label == TOTAL {
            return !self.lines.is_empty() && self.lines.iter().all(|line| self.is_missing(block, line));
        }
        match &block.body {
            Body::Facts(_) => {
                let value = self.figure(block, label).unwrap_or_default();
                self.kept.is_missing(&sources(block, self.named), label, value)
            }
            Body::Formula(over, under) => {
                let mut parts = over.iter().chain(under.iter().flatten()).filter_map(|(_, id)| self.named(id));
                parts.any(|part| self.is_missing(part, label))
            }
        }
    }

    /// What a block comes to for a row; a formula may name formulas. A total is one of the rows that have a figure.
    fn figure(&self, block: &Block, label: &str) -> Option<f64> {
        let is_ratio = matches!(block.body, Body::Formula(_, Some(_)));
        if label == TOTAL && !is_ratio && self.lines.iter().any(|line| self.is_missing(block, line)) {
            let lines = self.lines.iter().filter(|line| !self.is_missing(block, line));
            return lines.map(|line| self.figure(block, line)).sum();
        }
        let Body::Formula(over, under) = &block.body else {
            return Some((self.local)(&block.id)?.get(label).copied().unwrap_or(0.0));
        };
        let sum = |ids: &[(f64, String)]| -> Option<f64> {
            let one = |(sign, id): &(f64, String)| self.figure(self.named(id)?, label).map(|value| sign * value);
            ids.iter().map(one).sum()
        };
        let over = sum(over)?;
        match under {
            None => Some(over),
            Some(under) => sum(under).filter(|under| *under != 0.0).map(|under| over / under),
        }
    }
}

/// Return and block → what it reads, or the blocks that it is summed from.
type Parts = BTreeMap<String, (Sources, Vec<String>)>;

fn part(block: &Block, named: &[(String, String)], way: &str) -> (Sources, Vec<String>) {
    let ids = match &block.body {
        Body::Facts(_) => Vec::new(),
        Body::Formula(over, _) => over.iter().map(|(_, id)| format!("{way}:{id}")).collect(),
    };
    (sources(block, named), ids)
}

fn value<'v>(block: &Block, label: &str, local: &impl Fn(&str) -> Option<&'v Values>) -> Option<f64> {
    let Body::Formula(over, None) = &block.body else { return None };
    over.iter().map(|(sign, id)| Some(sign * local(id)?.get(label).copied().unwrap_or(0.0))).sum()
}

impl Report {
    fn check(
        &mut self,
        (key, number): (&str, &str),
        (sheet, row, column): (&str, &str, &str),
        said: Said,
        printed: &str,
        says: &str,
    ) {
        *self.cells.entry(number.to_owned()).or_default() += 1;
        let is_same = match (said, printed.parse::<f64>()) {
            (Said::Figure(said), Ok(printed)) => (said - printed).abs() < 1e-6 * said.abs().max(1.0),
            (Said::Nothing, Err(_)) => printed == "—",
            (Said::NotKept, Err(_)) => printed == NOT_KEPT,
            _ => false,
        };
        self.words += usize::from(said == Said::NotKept);
        if !is_same {
            self.differences.push(Difference {
                of: key.to_owned(),
                sheet: sheet.to_owned(),
                row: row.to_owned(),
                column: column.to_owned(),
                oracle: match said {
                    Said::Figure(said) => said.to_string(),
                    Said::Nothing => "—".to_owned(),
                    Said::NotKept => NOT_KEPT.to_owned(),
                },
                product: printed.to_owned(),
                says: says.to_owned(),
            });
        }
    }
}

async fn indicators(
    server: &Server,
    oracle: &mut Oracle,
    (by_unit, mut parts): (BTreeMap<String, Values>, Parts),
    kept: &Kept,
    folder: &Path,
    date: jiff::civil::Date,
) -> Result<Report> {
    let mut report = Report::default();
    let own = oracle.figures(INDICATORS, &[], &[Scope::Unit]).await?;
    let (named, found) = blocks(INDICATORS);
    for block in &found {
        let (sources, ids) = part(block, &named, "");
        let ids = ids.iter().map(|id| id.trim_start_matches(':').to_owned()).collect();
        parts.insert(block.id.clone(), (sources, ids));
    }
    let drawing = Drawing::of(server, folder, "R24", &[], date).await?;
    let find = |id: &str| by_unit.get(id).or_else(|| own.get(&(Scope::Unit, id.to_owned())));
    let figure = |block: &Block, label: &str| match &block.body {
        Body::Facts(_) => find(&block.id).map(|values| values.get(label).copied().unwrap_or(0.0)),
        Body::Formula(..) => value(block, label, &find),
    };
    let said = |block: &Block, label: &str| match figure(block, label) {
        _ if is_missing(kept, &parts, &find, &block.id, label) => Some(Said::NotKept),
        Some(figure) => Some(Said::Figure(figure)),
        None => None,
    };
    let empty = Printed::new();
    let (whole, matrix) =
        (drawing.sheets.get("全县").unwrap_or(&empty), drawing.sheets.get("按填报单位").unwrap_or(&empty));
    for block in &found {
        let Some(id) = block.id.strip_suffix('n') else { continue };
        let under = found.iter().find(|other| other.id == format!("{id}d"));
        let over = said(block, TOTAL).with_context(|| format!("{id} numerator"))?;
        let row = whole.get(id).with_context(|| format!("R24 has no {id}"))?;
        let cell = |number: &str| row.get(number).map_or("", String::as_str);
        report.check(("R24", "R24"), ("全县", id, "1"), over, cell("1"), "numerator");
        if let Some(under) = under {
            let under = said(under, TOTAL).with_context(|| format!("{id} denominator"))?;
            report.check(("R24", "R24"), ("全县", id, "2"), under, cell("2"), "denominator");
            if over == Said::NotKept || under == Said::NotKept {
                let reached = cell("7").to_owned();
                report.check(
                    ("R24", "R24"),
                    ("全县", id, "7"),
                    Said::Nothing,
                    &reached.replace("不适用", "—"),
                    "reached",
                );
            }
        }
        for (unit, printed) in matrix.get(id).into_iter().flatten() {
            let (over, under) = (said(block, unit), under.map(|under| said(under, unit)));
            let actual = match (over, under) {
                (Some(Said::NotKept), _) | (_, Some(Some(Said::NotKept))) => Said::NotKept,
                (Some(over), None) => over,
                (Some(Said::Figure(over)), Some(Some(Said::Figure(under)))) if under != 0.0 => {
                    Said::Figure(over / under)
                }
                _ => Said::Nothing,
            };
            report.check(("R24", "R24"), ("按填报单位", &format!("{id} {unit}"), "3"), actual, printed, "actual value");
        }
    }
    Ok(report)
}

/// Whether a part of an indicator, or a part of that, has no figure.
fn is_missing<'v>(
    kept: &Kept,
    parts: &Parts,
    find: &impl Fn(&str) -> Option<&'v Values>,
    id: &str,
    label: &str,
) -> bool {
    let Some((sources, ids)) = parts.get(id) else { return false };
    if !ids.is_empty() {
        return ids.iter().any(|id| is_missing(kept, parts, find, id, label));
    }
    let value = find(id).and_then(|values| values.get(label)).copied().unwrap_or(0.0);
    kept.is_missing(sources, label, value)
}
