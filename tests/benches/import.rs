//! Importing 100,000 rows × 20 columns into 2,000 documents, durable and projected, against bare calamine streaming of
//! the same file and, where Python has it, openpyxl reading it; then 10,000 and 500,000 rows, for the memory. Each measurement is a process of its own, so that peak memory is its own too.
//!
//! `cargo bench -p tests --bench import`

use std::{path::Path, process::Command, time::Instant};

use anyhow::Context;
use calamine::Reader;
use server::{
    Server,
    config::{Config, File},
    import::import_file,
};
use tests::{process::peak_memory_mib, roster};

const BRANCHES: usize = 1_000;
const MEMBERS_PER_BRANCH: usize = 100;
const ROUNDS: usize = 3;
/// Branches of the other sizes.
const SIZES: [usize; 2] = [100, 5_000];
/// openpyxl's fastest way to read: a stream of values.
const OPENPYXL: &str = "
import resource, sys, time
import openpyxl
begun = time.time()
cells = 0
for row in openpyxl.load_workbook(sys.argv[1], read_only=True).worksheets[0].iter_rows(values_only=True):
    cells += len(row)
print(time.time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "calamine", file] => calamine(Path::new(file)),
        [_, "import", file, data, branches] => import(Path::new(file), Path::new(data), branches.parse()?),
        _ => compare(),
    }
}

/// Runs both, several times, alternating; reports the best of each.
fn compare() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("roster.xlsx");
    std::fs::write(&file, roster::workbook(BRANCHES, MEMBERS_PER_BRANCH)?)?;
    let rows = BRANCHES * MEMBERS_PER_BRANCH;
    if let Ok(keep) = std::env::var("KEEP_ROSTER") {
        std::fs::copy(&file, keep)?;
    }
    println!("{rows} rows x {} columns, {:.1} MB", roster::HEADERS.len(), std::fs::metadata(&file)?.len() as f64 / 1e6);
    let (mut bare, mut ours) = ((f64::MAX, f64::MAX), (f64::MAX, f64::MAX));
    for round in 0..ROUNDS {
        let path = file.to_string_lossy().into_owned();
        bare = better(bare, child(&["calamine", &path])?);
        let data = folder.path().join(format!("data-{round}"));
        ours = better(ours, child(&["import", &path, &data.to_string_lossy(), &BRANCHES.to_string()])?);
    }
    println!("| what | seconds | peak MiB |\n| --- | --- | --- |");
    println!("| bare calamine streaming | {:.2} | {:.0} |", bare.0, bare.1);
    println!("| full import: read, normalise, 2,000 documents, durable, projected | {:.2} | {:.0} |", ours.0, ours.1);
    match openpyxl(&file) {
        Ok((seconds, memory)) => println!("| openpyxl, read only | {seconds:.2} | {memory:.0} |"),
        Err(error) => println!("openpyxl is not installed: {error}"),
    }
    println!("ratio: {:.2}", ours.0 / bare.0);
    println!("| rows | MB | seconds | peak MiB |\n| --- | --- | --- | --- |");
    for branches in SIZES {
        std::fs::write(&file, roster::workbook(branches, MEMBERS_PER_BRANCH)?)?;
        let data = folder.path().join(format!("data-of-{branches}"));
        let (path, data) = (file.to_string_lossy(), data.to_string_lossy());
        let (seconds, memory) = child(&["import", &path, &data, &branches.to_string()])?;
        let size = std::fs::metadata(&file)?.len() as f64 / 1e6;
        println!("| {} | {size:.1} | {seconds:.2} | {memory:.0} |", branches * MEMBERS_PER_BRANCH);
    }
    Ok(())
}

fn openpyxl(file: &Path) -> anyhow::Result<(f64, f64)> {
    numbers(Command::new("python3").args(["-c", OPENPYXL]).arg(file))
}

fn better(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    if b.0 < a.0 { b } else { a }
}

fn child(arguments: &[&str]) -> anyhow::Result<(f64, f64)> {
    numbers(Command::new(std::env::current_exe()?).args(arguments))
}

fn numbers(command: &mut Command) -> anyhow::Result<(f64, f64)> {
    let output = command.output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let (seconds, memory) = text.trim().split_once(' ').context("a child prints seconds and MiB")?;
    Ok((seconds.parse()?, memory.parse()?))
}

fn report(begun: Instant) {
    println!("{} {}", begun.elapsed().as_secs_f64(), peak_memory_mib().unwrap_or(0.0));
}

fn calamine(file: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut book: calamine::Xlsx<_> = calamine::open_workbook(file)?;
    let sheet = book.sheet_names().first().cloned().context("a sheet")?;
    let mut cells = book.worksheet_cells_reader(&sheet)?;
    let mut count = 0usize;
    while cells.next_cell()?.is_some() {
        count += 1;
    }
    anyhow::ensure!(count >= BRANCHES * MEMBERS_PER_BRANCH * roster::HEADERS.len(), "read {count} cells");
    report(begun);
    Ok(())
}

fn import(file: &Path, data: &Path, branches: usize) -> anyhow::Result<()> {
    std::fs::create_dir_all(data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = Config::check(File { data_dir: data.to_owned(), ..File::default() })?;
        let server = Server::create_embedded(&config).await?;
        server.store.put_units(&roster::units(&server.tenant, server.county, branches)).await?;
        let begun = Instant::now();
        let done = import_file(&server, file, "bench", &|_, _| {}).await?;
        anyhow::ensure!(done.counts.added == branches * MEMBERS_PER_BRANCH, "{:?}", done.counts);
        anyhow::ensure!(done.documents == 2 * branches, "{} documents", done.documents);
        report(begun);
        server.store.close().await;
        Ok(())
    })
}
