//! All indicators of a county of 2,000 documents and 100,000 rows, from tallies; against counting one of them by reading the
//! rows of the projection, in the same run.
//!
//! `cargo bench -p tests --bench indicators`

use std::time::Instant;

use anyhow::Context;
use server::{import::import_file, indicators::indicators, projection};
use sync_protocol::{Book, UnitId};
use tests::{county, roster};

const BRANCHES: usize = 1_000;
const MEMBERS_PER_BRANCH: usize = 100;
const ROUNDS: usize = 10;

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let (folder, server) = county::with_branches(BRANCHES).await?;
    let file = folder.path().join("roster.xlsx");
    std::fs::write(&file, roster::workbook(BRANCHES, MEMBERS_PER_BRANCH)?)?;
    let done = import_file(&server, &file, "bench", &|_, _| {}).await?;
    println!("{} rows in {} documents", done.counts.added, done.documents);
    let date = jiff::civil::date(2012, 12, 31);

    let (mut sums, mut scan) = (f64::MAX, f64::MAX);
    let mut counted = (0, 0);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let lines = indicators(&server, server.county, date, &[]).await?;
        sums = sums.min(begun.elapsed().as_secs_f64());
        counted.0 = lines.iter().find(|l| l.id == "I-24").context("I-24")?.figure.denominator.context("a ratio")?;
    }
    for _ in 0..2 {
        let begun = Instant::now();
        let units: Vec<UnitId> = server.store.units().await?.iter().map(|unit| unit.id).collect();
        let mut members = 0;
        for row in server.store.rows("members", &server.period(), &units).await? {
            let cells = projection::cells(&row.cells)?;
            members += i64::from(row.book == Book::Unit && cells.contains_key("name"));
        }
        scan = scan.min(begun.elapsed().as_secs_f64());
        counted.1 = members;
    }
    anyhow::ensure!(counted.0 == counted.1, "{counted:?}");
    println!("| what | ms |\n| --- | --- |");
    println!("| all {} indicators from tallies | {:.1} |", server.catalogue.indicators().len(), sums * 1e3);
    println!("| one count by reading rows | {:.1} |", scan * 1e3);
    println!("ratio: 1/{:.0}", scan / sums);
    server.store.close().await;
    Ok(())
}
