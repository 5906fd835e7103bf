//! Random histories of imports, returned ledgers, a phone and undos on one server: every value that was acknowledged stands,
//! or is listed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use anyhow::{Context, Result, ensure};
use importer::workbook::grid::Cell;
use proptest::prelude::*;
use server::{
    Server,
    import::import_file,
    returns::{self, ReturnRequest},
    undo::{Why, undo},
};
use sync_protocol::{Book, Identity, UnitId, Value, catalogue::Sensitivity, client::Device};
use tests::{county, roster, sheet};

const LEDGER: &str = "党员花名册";

/// Who is written about, and what of them.
const NAMES: [&str; 3] = ["张三", "李四", "王五"];
const COLUMNS: [(&str, &str); 2] = [("工作岗位", "work_post"), ("工作(学习)单位", "employer")];

#[derive(Debug, Clone)]
enum Step {
    /// A file with these cells.
    Import(Vec<(usize, usize)>),
    /// The ledger that was drawn last, with another word in a cell.
    Returned(usize, usize),
    /// The ledger is drawn.
    Draw,
    /// Somebody types on the phone.
    Phone(usize, usize),
    /// The phone meets the server.
    Exchange,
    /// The n-th import is taken back.
    Undo(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cell = || (0..NAMES.len(), 0..2usize);
    let step = prop_oneof![
        3 => prop::collection::vec(cell(), 1..4).prop_map(Step::Import),
        2 => cell().prop_map(|(row, column)| Step::Returned(row, column)),
        1 => Just(Step::Draw),
        3 => cell().prop_map(|(row, column)| Step::Phone(row, column)),
        2 => Just(Step::Exchange),
        2 => (0..4usize).prop_map(Step::Undo),
    ];
    prop::collection::vec(step, 3..12)
}

/// A value that somebody was told is stored: of which import, if any, and in which cell.
struct Acknowledged {
    value: String,
    batch: Option<String>,
}

struct World {
    folder: tempfile::TempDir,
    server: Server,
    unit: UnitId,
    book: Identity,
    phone: Device,
    drawn: PathBuf,
    /// By cell, the oldest first.
    acknowledged: BTreeMap<(usize, usize), Vec<Acknowledged>>,
    undone: BTreeSet<String>,
    /// No word is written twice.
    number: usize,
}

impl World {
    async fn open() -> Result<Self> {
        let (folder, server) = county::with_branches(1).await?;
        let unit = county::branch(&server, 0);
        let url = county::serve(&server).await?;
        let phone = county::device(&server, folder.path(), &url, "cadre", unit, &[Book::Unit]).await?;
        let book = Identity { unit, book: Book::Unit, period: server.period() };
        let mut world = Self {
            drawn: PathBuf::new(),
            acknowledged: BTreeMap::new(),
            undone: BTreeSet::new(),
            number: 0,
            folder,
            server,
            unit,
            book,
            phone,
        };
        let all: Vec<(usize, usize)> = (0..NAMES.len()).flat_map(|row| [(row, 0), (row, 1)]).collect();
        world.import(&all).await?;
        world.phone.exchange(0).await?;
        world.draw().await?;
        Ok(world)
    }

    fn word(&mut self) -> String {
        self.number += 1;
        format!("值{}", self.number)
    }

    fn acknowledge(&mut self, cell: (usize, usize), value: String, batch: Option<String>) {
        self.acknowledged.entry(cell).or_default().push(Acknowledged { value, batch });
    }

    async fn latest(&self) -> Result<String> {
        Ok(self.server.store.batches().await?.into_iter().next().context("an import")?.batch.id)
    }

    async fn import(&mut self, cells: &[(usize, usize)]) -> Result<()> {
        let rows: BTreeSet<usize> = cells.iter().map(|(row, _)| *row).collect();
        let heads: Vec<&str> = COLUMNS.iter().map(|(title, _)| *title).collect();
        let mut text = format!("党组织编码|姓名|出生日期|党员类别|入党时间|{}", heads.join("|"));
        let mut words = Vec::new();
        for row in rows {
            let mut line = format!("\n{}|{}|198{row}-01-01|正式|2001-05", roster::branch_code(0), NAMES[row]);
            for column in 0..2 {
                line.push('|');
                if cells.contains(&(row, column)) {
                    let word = self.word();
                    line.push_str(&word);
                    words.push(((row, column), word));
                }
            }
            text.push_str(&line);
        }
        let path = self.folder.path().join(format!("{}.xlsx", self.number));
        std::fs::write(&path, sheet::workbook(&[("党员", &text)])?)?;
        let report = import_file(&self.server, &path, "县", &|_, _| {}).await?;
        let batch = self.latest().await?;
        for (cell, word) in words {
            // What a person has written before an import, it does not overwrite, and says so.
            let title = COLUMNS[cell.1].0;
            let is_refused =
                report.findings.iter().any(|f| f.code == "kept-edit" && f.column == title && f.read == word);
            if !is_refused && report.doubts.is_empty() {
                self.acknowledge(cell, word, Some(batch.clone()));
            }
        }
        Ok(())
    }

    async fn draw(&mut self) -> Result<()> {
        let (top, date) = (returns::county(&self.server).await?, jiff::civil::date(2012, 4, 30));
        let folder = self.folder.path().join(format!("returns{}", self.number));
        let request = ReturnRequest { clearance: Sensitivity::S2, ..ReturnRequest::new("members", top, date, folder) };
        self.drawn = returns::draw(&self.server, &request).await?.path;
        Ok(())
    }

    async fn returned(&mut self, cell: (usize, usize)) -> Result<()> {
        let (word, drawn) =
            (self.word(), importer::read(&std::fs::read(&self.drawn)?, &importer::ReadLimits::default())?);
        let page = drawn.sheets.iter().find(|sheet| sheet.name == LEDGER).context("the ledger")?;
        let is_named = |found: &Cell| matches!(found, Cell::Text(id) if drawn.texts.get(*id) == NAMES[cell.0]);
        if !(0..page.row_count()).any(|row| page.row(row).iter().any(|(_, found)| is_named(found))) {
            return Ok(());
        }
        let out = self.folder.path().join(format!("returned{}.xlsx", self.number));
        let spec = serde_json::json!({ "sheet": LEDGER, "set": [[NAMES[cell.0], COLUMNS[cell.1].0, word]] });
        tests::node::json("edit-sheet.mjs", &[&self.drawn, &out, std::path::Path::new(&spec.to_string())])?;
        let report = import_file(&self.server, &out, "李干事", &|_, _| {}).await?;
        ensure!(report.counts.changed + report.counts.added + report.counts.doubtful >= 1, "{report:?}");
        if report.counts.changed == 1 {
            let batch = self.latest().await?;
            self.acknowledge(cell, word, Some(batch));
        }
        Ok(())
    }

    async fn phone(&mut self, cell: (usize, usize)) -> Result<()> {
        let rows = self.phone.rows(&self.book, "members").await?;
        let Some(row) = rows.into_iter().find(|row| row.text("name") == NAMES[cell.0]) else { return Ok(()) };
        let word = self.word();
        self.phone.save(&self.book, "members", row.id, &[(COLUMNS[cell.1].1, word.as_str().into())], 0).await?;
        self.acknowledge(cell, word, None);
        Ok(())
    }

    async fn undo(&mut self, number: usize) -> Result<()> {
        let batches = self.server.store.batches().await?;
        let batch = batches[number % batches.len()].batch.id.clone();
        let undone = undo(&self.server, &batch, "县").await?.context("it is known")?;
        let says = |column: &str| COLUMNS.iter().any(|(title, _)| *title == column);
        let mut kept = undone.kept.iter().filter(|kept| says(&kept.column));
        ensure!(kept.all(|kept| kept.why == Why::Edited), "no two files say the same of these");
        self.undone.insert(batch);
        Ok(())
    }

    /// All values that stand or are listed as in conflict.
    async fn standing(&self) -> Result<BTreeSet<String>> {
        let mut standing = BTreeSet::new();
        for stored in self.server.store.rows("members", &self.server.period(), &[self.unit]).await? {
            standing.extend(server::projection::cells(&stored.cells)?.into_values().map(|value| value.to_string()));
        }
        for stored in self.server.store.conflicts().await? {
            let conflicts: Vec<serde_json::Value> = serde_json::from_str(stored.conflicts.get())?;
            let sides = conflicts.iter().filter_map(|conflict| conflict["values"].as_array()).flatten();
            standing.extend(sides.filter_map(|side| Some(side["value"].as_str()?.to_owned())));
        }
        Ok(standing)
    }

    /// What was ever written to the cells, by what: a value that is not there any more was overwritten by somebody who saw it.
    async fn check(&mut self) -> Result<()> {
        self.phone.exchange(0).await?;
        self.phone.exchange(0).await?;
        ensure!(server::doctor::diagnose(&self.server, &|_, _| {}).await?.wrong.is_empty(), "doctor");
        let standing = self.standing().await?;
        let id = self.book.document(&self.server.tenant);
        let stored = self.server.store.document(id).await?.context("a document")?;
        let document = sync_protocol::Document::load(stored.snapshot.as_deref(), &stored.changes)?;
        let rows = self.phone.rows(&self.book, "members").await?;
        for (cell, acknowledged) in &self.acknowledged {
            let mut of_people =
                acknowledged.iter().filter(|one| one.batch.as_ref().is_none_or(|b| !self.undone.contains(b)));
            let Some(last) = of_people.next_back() else { continue };
            ensure!(
                standing.contains(&last.value),
                "{cell:?} {} is neither there nor listed: {standing:?}",
                last.value
            );
        }
        // What was taken back is nowhere, unless it is listed as kept.
        for one in self.acknowledged.values().flatten() {
            let is_undone = one.batch.as_ref().is_some_and(|batch| self.undone.contains(batch));
            ensure!(!(is_undone && standing.contains(&one.value)), "{} was taken back", one.value);
        }
        let here: BTreeSet<Value> = rows.into_iter().flat_map(|row| row.cells.into_values()).collect();
        let there: BTreeSet<Value> =
            document.rows("members").into_values().flat_map(|row| row.cells.into_values()).collect();
        ensure!(here == there, "phone and server differ");
        Ok(())
    }
}

async fn run(steps: &[Step]) -> Result<()> {
    let mut world = World::open().await?;
    for step in steps {
        match step {
            Step::Import(cells) => world.import(cells).await?,
            Step::Returned(row, column) => world.returned((*row, *column)).await?,
            Step::Draw => world.draw().await?,
            Step::Phone(row, column) => world.phone((*row, *column)).await?,
            Step::Exchange => drop(world.phone.exchange(0).await?),
            Step::Undo(number) => world.undo(*number).await?,
        }
    }
    world.check().await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_acknowledged_value_stands_or_is_listed(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let done = runtime.block_on(run(&steps));
        prop_assert!(done.is_ok(), "{:#}", done.err().map_or_else(String::new, |error| format!("{error:#}")));
    }
}
