//! Draws every return of made-up counties and compares each cell with the oracle.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Parser;
use tests::oracle::{Report, compare, drill, filled};

/// Compares the figures of all returns with an oracle.
#[derive(Parser)]
struct Options {
    /// Counties.
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Only these returns.
    #[arg(long)]
    only: Vec<String>,
    /// A folder with catalogue files that are laid over the built-in ones.
    #[arg(long)]
    catalogue: Option<std::path::PathBuf>,
    /// Ask for the rows behind every number instead, which add up to it.
    #[arg(long)]
    rows: bool,
    /// Lines that are printed of each column at most.
    #[arg(long, default_value_t = 2)]
    lines: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let dates = [(3, 31), (6, 30), (11, 25), (12, 31)].map(|(month, day)| jiff::civil::date(2012, month, day));
    let mut report = Report::default();
    for seed in options.from..options.from + options.seeds {
        let folder = tempfile::tempdir()?;
        let (server, truth) = filled(folder.path(), seed, options.catalogue.as_deref()).await?;
        for date in dates {
            if options.rows {
                let drilled = drill(&server, folder.path(), date, &[("R03", &[("round", "final")])], 1).await?;
                let cells: usize = drilled.cells.values().sum();
                println!("{date} seed {seed}: {cells} numbers, {} rows, {} wrong", drilled.rows, drilled.wrong.len());
                drilled.wrong.iter().take(20).for_each(|wrong| println!("   {wrong}"));
                anyhow::ensure!(drilled.wrong.is_empty(), "rows do not add up");
                continue;
            }
            let mut found = compare(&server, &truth, folder.path(), date, &options.only).await?;
            for difference in &mut found.differences {
                difference.of = format!("{} {date} seed {seed}", difference.of);
            }
            report.add(found);
        }
    }
    let mut groups: BTreeMap<(String, String, String, String), Vec<String>> = BTreeMap::new();
    for difference in &report.differences {
        let name = difference.of.split(' ').next().unwrap_or_default().to_owned();
        let row = if name == "R24" { difference.row.clone() } else { String::new() };
        let row = row.split(' ').next().unwrap_or_default().to_owned();
        let key = (name, difference.sheet.clone(), difference.column.clone(), row);
        groups.entry(key).or_default().push(difference.to_string());
    }
    for ((name, sheet, column, row), lines) in &groups {
        println!("== {name} {sheet} 栏次{column} {row}: {} differ", lines.len());
        for line in lines.iter().take(options.lines) {
            println!("   {line}");
        }
    }
    let counts = report.counts();
    for (name, cells) in &report.cells {
        println!("{name}: {cells} cells, {} differ", counts.get(name).unwrap_or(&0));
    }
    let all: usize = report.cells.values().sum();
    println!("{all} cells, {} differ", report.differences.len());
    anyhow::ensure!(report.differences.is_empty(), "figures differ");
    Ok(())
}
