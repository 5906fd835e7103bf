//! A merged ledger of 100,000 rows and 34 columns from 2,000 documents, against rust_xlsxwriter writing the same cells in
//! constant memory; and a summary return over the same documents. Each is a process of its own, so that peak memory is its own.
//!
//! `cargo bench -p tests --bench returns`

use std::{
    io::{BufRead, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::Context;
use calamine::Reader;
use rust_xlsxwriter::{Format, FormatBorder, Workbook};
use server::{
    Server,
    config::{Config, File},
    import::import_file,
    returns::{self, ReturnRequest},
};
use tests::{process::peak_memory_mib, roster};

const BRANCHES: usize = 1_000;
const MEMBERS_PER_BRANCH: usize = 100;
const ROUNDS: usize = 3;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "prepare", data] => runtime()?.block_on(prepare(Path::new(data))),
        [_, "draw", data, name, folder] => runtime()?.block_on(draw(Path::new(data), name, Path::new(folder))),
        [_, "bare", cells, out] => bare(Path::new(cells), Path::new(out)),
        _ => compare(),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn open(data: &Path) -> anyhow::Result<Server> {
    std::fs::create_dir_all(data)?;
    let config = Config::check(File { data_dir: data.to_owned(), ..File::default() })?;
    Ok(Server::create_embedded(&config).await?)
}

async fn prepare(data: &Path) -> anyhow::Result<()> {
    let server = open(data).await?;
    server.store.put_units(&roster::units(&server.tenant, server.county, BRANCHES)).await?;
    let file = data.join("roster.xlsx");
    std::fs::write(&file, roster::workbook(BRANCHES, MEMBERS_PER_BRANCH)?)?;
    import_file(&server, &file, "bench", &|_, _| {}).await?;
    server.store.close().await;
    println!("0 0");
    Ok(())
}

async fn draw(data: &Path, name: &str, folder: &Path) -> anyhow::Result<()> {
    let server = open(data).await?;
    let top = returns::county(&server).await?;
    let request = ReturnRequest::new(name, top, jiff::civil::date(2012, 11, 10), folder);
    let begun = Instant::now();
    let drawn = returns::draw(&server, &request).await?;
    let seconds = begun.elapsed().as_secs_f64();
    std::fs::rename(&drawn.path, folder.join(format!("{name}.xlsx")))?;
    println!("{seconds} {}", peak_memory_mib().context("the peak")?);
    Ok(())
}

/// The same cells, one line each row.
fn bare(cells: &Path, out: &Path) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut workbook = Workbook::new();
    let format = Format::new().set_font_name("宋体").set_font_size(10.5).set_border(FormatBorder::Thin);
    let sheet = workbook.add_worksheet_with_constant_memory()?;
    for (row, line) in (0u32..).zip(std::io::BufReader::new(std::fs::File::open(cells)?).lines()) {
        for (column, text) in (0u16..).zip(line?.split('\t')) {
            if text.is_empty() {
                sheet.write_blank(row, column, &format)?;
            } else {
                sheet.write_string_with_format(row, column, text, &format)?;
            }
        }
    }
    workbook.save(out)?;
    println!("{} {}", begun.elapsed().as_secs_f64(), peak_memory_mib().context("the peak")?);
    Ok(())
}

fn child(arguments: &[&str]) -> anyhow::Result<(f64, f64)> {
    let output = Command::new(std::env::current_exe()?).args(arguments).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let (seconds, memory) = text.trim().split_once(' ').context("two numbers")?;
    Ok((seconds.parse()?, memory.parse()?))
}

fn better(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0.min(b.0), a.1.min(b.1))
}

fn compare() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let data = path("data");
    child(&["prepare", &data])?;
    let worst = (f64::MAX, f64::MAX);
    let (mut ours, mut plain, mut grading, mut ages) = (worst, worst, worst, worst);
    for round in 0..ROUNDS {
        ours = better(ours, child(&["draw", &data, "members", &path("drawn")])?);
        if round == 0 {
            dump(&PathBuf::from(path("drawn")).join("members.xlsx"), Path::new(&path("cells")))?;
        }
        plain = better(plain, child(&["bare", &path("cells"), &path("bare.xlsx")])?);
        grading = better(grading, child(&["draw", &data, "R03", &path("drawn")])?);
        ages = better(ages, child(&["draw", &data, "R02", &path("drawn")])?);
    }
    println!("| what | seconds | peak MiB |\n| --- | --- | --- |");
    println!("| bare rust_xlsxwriter, constant memory, the same cells | {:.2} | {:.0} |", plain.0, plain.1);
    println!("| merged ledger: read, in order, masked, stamped | {:.2} | {:.0} |", ours.0, ours.1);
    println!("| R03, two sheets, sealed | {:.3} | {:.0} |", grading.0, grading.1);
    println!("| R02, which counts by date of birth | {:.3} | {:.0} |", ages.0, ages.1);
    println!("ratio: {:.2}", ours.0 / plain.0);
    Ok(())
}

/// The cells of the first sheet as lines.
fn dump(workbook: &Path, out: &Path) -> anyhow::Result<()> {
    let mut book: calamine::Xlsx<_> = calamine::open_workbook(workbook)?;
    let range = book.worksheet_range_at(0).context("a sheet")??;
    let mut out = std::io::BufWriter::new(std::fs::File::create(out)?);
    for row in range.rows() {
        let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
        writeln!(out, "{}", cells.join("\t"))?;
    }
    Ok(())
}
