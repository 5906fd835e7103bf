//! A supervisor who wants to know what is hidden: takes every table that they get, for the county and for each unit, and
//! computes. No figure that is not printed may be the only one that fits.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::Path,
};

use anyhow::Result;
use importer::{ReadLimits, seal};
use serde_json::json;
use server::{
    Server,
    auth::Role,
    import::import_file,
    returns::{self, ReturnRequest},
};
use sync_protocol::{
    catalogue::Sensitivity,
    client::Trust,
    unit::{Unit, UnitLevel},
};
use tests::{county, people, sheet, worked::synthetic};

/// A return with small cells: the sheet, the columns that are hidden where they are small, and the column that sums them up.
struct Form {
    number: &'static str,
    small: &'static [u32],
    sum: Option<u32>,
}

const FORMS: [Form; 2] = [
    Form { number: "R17", small: &[2, 3, 4, 5, 6, 7], sum: Some(1) },
    Form { number: "R11", small: &[19, 20], sum: None },
];

/// What is below is small.
const LEAST: i64 = 3;
const TOTAL: &str = "合计";

/// Unit, or the total, and column → the figure.
type Figures = BTreeMap<(String, u32), i64>;

/// Reasons of hardship, in the order of the columns.
const CAUSES: [&str; 6] = ["因病", "因残", "因灾", "因学", "年老体弱", "低收入"];
/// What became of unqualified members.
const DISPOSALS: [&str; 2] = ["限期改正", "劝退"];

/// How many there are of each reason in an organisation of each of the three units; and of each disposal.
struct Case {
    causes: [[usize; 6]; 3],
    disposals: [[usize; 2]; 3],
}

const CASES: [Case; 4] = [
    // One that is small, and others that are not.
    Case { causes: [[2, 5, 4, 0, 0, 3], [6, 4, 3, 3, 0, 0], [5, 3, 0, 4, 0, 7]], disposals: [[1, 4], [5, 3], [4, 6]] },
    // Nobody else anywhere: every total would tell it.
    Case { causes: [[1, 0, 0, 1, 0, 0], [0; 6], [0; 6]], disposals: [[2, 0], [0, 0], [0, 0]] },
    // Small ones in a square, and one by itself.
    Case { causes: [[1, 2, 0, 0, 0, 0], [2, 1, 0, 0, 0, 0], [0, 0, 4, 1, 5, 0]], disposals: [[1, 1], [1, 1], [0, 9]] },
    // A single one in the whole county.
    Case { causes: [[0; 6], [0, 0, 1, 0, 0, 0], [3, 0, 0, 0, 0, 4]], disposals: [[0, 1], [3, 0], [0, 0]] },
];

async fn filled(folder: &Path, case: &Case) -> Result<Server> {
    let server = synthetic(folder, None).await?;
    let (mut hardship, mut disposals) =
        ("党组织编码|姓名|认定年度|主要困难原因|组织认定".to_owned(), "党组织编码|姓名|认定时间|处置结果".to_owned());
    for (unit, code) in ["A1", "B1", "C1"].into_iter().enumerate() {
        for (cause, count) in CAUSES.into_iter().zip(case.causes[unit]) {
            for number in 0..count {
                write!(hardship, "\n{code}|{cause}{}|2012|{cause}|已认定", name(number))?;
            }
        }
        for (result, count) in DISPOSALS.into_iter().zip(case.disposals[unit]) {
            for number in 0..count {
                write!(disposals, "\n{code}|{result}{}|2012-05-01|{result}", name(number))?;
            }
        }
    }
    let path = folder.join("people.xlsx");
    std::fs::write(&path, sheet::workbook(&[("困难", &hardship)])?)?;
    import_file(&server, &path, "县", &|_, _| {}).await?;
    let path = folder.join("disposals.xlsx");
    std::fs::write(&path, sheet::workbook(&[("不合格党员处置台账", &disposals)])?)?;
    import_file(&server, &path, "县", &|_, _| {}).await?;
    Ok(server)
}

fn name(number: usize) -> char {
    ['甲', '乙', '丙', '丁', '戊', '己', '庚', '辛', '壬'][number]
}

/// What the tables of a workbook print of a return, and where they print a star.
fn taken(bytes: &[u8], form: &Form, is_collection: bool) -> Result<(Figures, BTreeSet<(String, u32)>)> {
    let cells = seal::figures(bytes, &ReadLimits::default())?;
    let prefix = format!("{} ", form.number);
    let mut rows: BTreeMap<(&str, u32), BTreeMap<u16, &str>> = BTreeMap::new();
    for ((sheet, row, column), text) in &cells {
        if !is_collection || sheet.starts_with(&prefix) {
            rows.entry((sheet, *row)).or_default().insert(*column, text);
        }
    }
    let (mut figures, mut stars) = (Figures::new(), BTreeSet::new());
    let mut columns: BTreeMap<u16, u32> = BTreeMap::new();
    for row in rows.values() {
        if row.get(&0) == Some(&"甲") {
            columns = row.iter().filter_map(|(at, text)| Some((*at, text.parse().ok()?))).collect();
            continue;
        }
        let Some(label) = row.get(&1).filter(|label| !label.is_empty() && !columns.is_empty()) else { continue };
        for (at, number) in &columns {
            match row.get(at).copied() {
                Some("*") => {
                    stars.insert(((*label).to_owned(), *number));
                }
                // Whoever reads that nobody has kept it knows that there is nothing in it.
                Some("未建台账") => {
                    figures.insert(((*label).to_owned(), *number), 0);
                }
                Some(text) => figures.extend(text.parse().ok().map(|figure| (((*label).to_owned(), *number), figure))),
                None => {}
            }
        }
    }
    anyhow::ensure!(!columns.is_empty(), "{} is not in this workbook", form.number);
    Ok((figures, stars))
}

async fn drawn(server: &Server, top: &Unit, name: &str, class: Sensitivity) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let date = jiff::civil::date(2012, 11, 10);
    let request = ReturnRequest { clearance: class, ..ReturnRequest::new(name, top.clone(), date, folder.path()) };
    Ok(std::fs::read(Box::pin(returns::draw(server, &request)).await?.path)?)
}

/// All that a supervisor gets to see of a return: of the county and of each unit, by itself and in the collection.
async fn seen(server: &Server, form: &Form) -> Result<(Figures, BTreeSet<(String, u32)>)> {
    let units = server.store.units().await?;
    let tops = units.iter().filter(|unit| unit.level != UnitLevel::Organisation);
    let (mut figures, mut stars) = (Figures::new(), BTreeSet::new());
    for top in tops {
        for (name, is_collection) in [(form.number, false), ("collection", true)] {
            let bytes = drawn(server, top, name, Sensitivity::S1).await?;
            let (more, hidden) = taken(&bytes, form, is_collection)?;
            // The total of one unit is that unit's; that of the county is everybody's.
            let of =
                |label: String| if label == TOTAL && top.id != server.county { top.label().to_owned() } else { label };
            for ((label, column), figure) in more {
                let known = figures.insert((of(label.clone()), column), figure);
                assert!(known.is_none_or(|known| known == figure), "{label} {column}: {known:?} and {figure}");
            }
            stars.extend(hidden.into_iter().map(|(label, column)| (of(label), column)));
        }
    }
    Ok((figures, stars))
}

/// Somebody who computes: units by columns, with what is known of cells, rows and columns.
struct Attacker {
    cells: Vec<Vec<Option<i64>>>,
    rows: Vec<Option<i64>>,
    columns: Vec<Option<i64>>,
}

impl Attacker {
    /// Whether there is a table that fits all that is known, and in which this cell is not so.
    fn can_be_other(&self, (line, column): (usize, usize), than: i64) -> bool {
        let mut table = self.cells.clone();
        let unknown: Vec<(usize, usize)> = (0..table.len())
            .flat_map(|line| (0..self.columns.len()).map(move |column| (line, column)))
            .filter(|(line, column)| self.cells[*line][*column].is_none())
            .collect();
        self.fits(&mut table, &unknown, ((line, column), than))
    }

    fn fits(&self, table: &mut [Vec<Option<i64>>], rest: &[(usize, usize)], not: ((usize, usize), i64)) -> bool {
        let Some((&(line, column), rest)) = rest.split_first() else {
            return self.rows.iter().zip(table.iter()).all(|(sum, row)| sum.is_none_or(|sum| total(row.iter()) == sum))
                && (self.columns.iter().enumerate())
                    .all(|(at, sum)| sum.is_none_or(|sum| total(table.iter().map(|row| &row[at])) == sum));
        };
        let of_row = self.rows[line].map(|sum| sum - total(table[line].iter()));
        let of_column = self.columns[column].map(|sum| sum - total(table.iter().map(|row| &row[column])));
        // Where nothing bounds it, it is enough to know that it can be one of a few.
        let most = of_row.unwrap_or(LEAST + 1).min(of_column.unwrap_or(LEAST + 1));
        for figure in 0..=most {
            if ((line, column), figure) == not {
                continue;
            }
            table[line][column] = Some(figure);
            let found = self.fits(table, rest, not);
            table[line][column] = None;
            if found {
                return true;
            }
        }
        false
    }
}

fn total<'a>(figures: impl Iterator<Item = &'a Option<i64>>) -> i64 {
    figures.flatten().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_hidden_can_be_computed() -> Result<()> {
    let mut hidden = 0;
    for (number, case) in CASES.iter().enumerate() {
        let folder = tempfile::tempdir()?;
        let server = filled(folder.path(), case).await?;
        let units = server.store.units().await?;
        let county = returns::county(&server).await?;
        let labels: Vec<&str> =
            units.iter().filter(|unit| unit.level == UnitLevel::ReportingUnit).map(Unit::label).collect();
        for form in &FORMS {
            // Whoever may see all of it does.
            let (truth, stars) = taken(&drawn(&server, &county, form.number, Sensitivity::S2).await?, form, false)?;
            assert!(stars.is_empty(), "{stars:?}");
            let all: i64 = form.small.iter().map(|column| truth[&(TOTAL.to_owned(), *column)]).sum();
            let expected: usize = match form.number {
                "R17" => case.causes.iter().flatten().sum(),
                _ => case.disposals.iter().flatten().sum(),
            };
            assert_eq!(usize::try_from(all)?, expected, "case {number}: {} counts what was imported", form.number);
            let (figures, stars) = seen(&server, form).await?;
            let of = |label: &str, column: u32| figures.get(&(label.to_owned(), column)).copied();
            let attacker = Attacker {
                cells: labels
                    .iter()
                    .map(|label| form.small.iter().map(|column| of(label, *column)).collect())
                    .collect(),
                rows: labels.iter().map(|label| form.sum.and_then(|sum| of(label, sum))).collect(),
                columns: form.small.iter().map(|column| of(TOTAL, *column)).collect(),
            };
            for (line, label) in labels.iter().enumerate() {
                for (at, column) in form.small.iter().enumerate() {
                    let place = ((*label).to_owned(), *column);
                    let figure = truth[&place];
                    if (1..LEAST).contains(&figure) {
                        assert!(stars.contains(&place) && !figures.contains_key(&place), "case {number}: {place:?}");
                    }
                    if figures.contains_key(&place) {
                        assert!(!stars.contains(&place), "case {number}: {place:?} is hidden here and shown there");
                        continue;
                    }
                    hidden += 1;
                    let what = format!("case {number}, {}: {place:?} can only be {figure}", form.number);
                    assert!(attacker.can_be_other((line, at), figure), "{what}\n{figures:?}");
                }
            }
        }
    }
    assert!(hidden > 20, "{hidden}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_states_are_not_to_be_had_by_whom_small_cells_are_hidden_from() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = filled(folder.path(), &CASES[0]).await?;
    let (url, client) = (county::serve(&server).await?, Trust::new(None)?.client()?);
    for (name, role, expected) in [("supervisor", Role::CountySupervisor, 403), ("clerk", Role::OfficeClerk, 200)] {
        let person = people::add(&server, name, role, server.county, false, "correct horse battery").await?;
        let cookie = people::cookie(&server, &person).await?;
        let newest = server.store.newest().await?;
        for (body, status) in [
            (json!({ "name": "R17", "as_of_seq": newest }), expected),
            (json!({ "name": "R11", "as_of_ms": 1 }), expected),
            (json!({ "name": "collection", "as_of_seq": newest - 1 }), expected),
            (json!({ "name": "R17" }), 200),
            (json!({ "name": "R03", "as_of_seq": newest }), 200),
        ] {
            let request = client.post(format!("{url}/api/returns")).header("cookie", &cookie).json(&body);
            let response = request.send().await?;
            let (got, text) = (response.status().as_u16(), response.bytes().await?);
            assert_eq!(got, status, "{name} {body}: {}", String::from_utf8_lossy(&text));
            if status == 403 {
                let text = String::from_utf8_lossy(&text).into_owned();
                assert!(text.contains("相减") && text.contains("as of the past"), "{text}");
            }
        }
    }
    Ok(())
}
