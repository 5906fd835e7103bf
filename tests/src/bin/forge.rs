//! `forge`: edits a sealed return at random, and fails if something that another reader sees has changed and is not told.

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::Context;
use clap::Parser;
use tests::{
    forge, office,
    worked::{Printed, synthetic},
};

/// Edits a sealed return at random.
#[derive(Parser)]
struct Arguments {
    /// How often.
    #[arg(long, default_value_t = 10_000)]
    mutations: u64,
    /// Where the numbers begin that the edits follow from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many of those that were not found LibreOffice draws, to be compared with the return itself; needs `pdftoppm`.
    #[arg(long, default_value_t = 0)]
    render: usize,
}

/// Those that LibreOffice draws otherwise than the return itself.
fn rendered(sealed: &[u8], kept: &[forge::Kept], folder: &Path) -> anyhow::Result<Vec<String>> {
    let soffice = office::soffice()?.context("soffice is not installed")?;
    let into = folder.join("drawn");
    std::fs::create_dir_all(&into)?;
    let draw = |name: &str, bytes: &[u8]| -> anyhow::Result<Vec<Vec<u8>>> {
        let file = folder.join(name).with_extension("xlsx");
        std::fs::write(&file, bytes)?;
        let pdf = office::convert(&soffice, &file, "pdf", &into)?;
        let pages = into.join(name);
        std::fs::create_dir_all(&pages)?;
        let output = Command::new("pdftoppm").args(["-r", "60"]).arg(&pdf).arg(pages.join("page")).output();
        anyhow::ensure!(output.context("pdftoppm")?.status.success(), "pdftoppm cannot read {name}");
        let mut drawn: Vec<_> = std::fs::read_dir(&pages)?.collect::<Result<_, _>>()?;
        drawn.sort_by_key(std::fs::DirEntry::file_name);
        drawn.iter().map(|page| Ok(std::fs::read(page.path())?)).collect()
    };
    let original = draw("original", sealed)?;
    anyhow::ensure!(!original.is_empty(), "nothing was drawn");
    let mut other = Vec::new();
    for forge::Kept { number, edit, bytes } in kept {
        match draw(&number.to_string(), bytes) {
            Ok(drawn) if drawn == original => {}
            Ok(_) => other.push(format!("{number} looks otherwise, by {edit}")),
            // What cannot be opened deceives nobody.
            Err(error) => println!("{number}: {error}"),
        }
    }
    Ok(other)
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let sealed = std::fs::read(Printed::draw(&server, folder.path(), "R03", &[]).await?.path)?;
    let key = &server.keyring.current().seal_key;
    let outcome = forge::mutate(&sealed, key, (arguments.mutations, arguments.seed), arguments.render)?;
    let forge::Outcome { found, same, unreadable, mut missed, kept } = outcome;
    if !kept.is_empty() {
        let before = missed.len();
        missed.extend(rendered(&sealed, &kept, folder.path())?);
        println!("{} of {} that were not found look otherwise", missed.len() - before, kept.len());
    }
    println!("{found} found, {same} changed nothing, {unreadable} that another reader cannot read");
    for missed in &missed {
        println!("MISSED {missed}");
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
