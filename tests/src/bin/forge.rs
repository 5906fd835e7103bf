//! `forge`: edits a sealed return at random, and fails if something that another reader sees has changed and is not told.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use tests::{
    forge,
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
    /// A sealed return; one of a synthetic county, if none is given.
    file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let path = match arguments.file {
        Some(file) => file,
        None => Printed::draw(&synthetic(folder.path(), None).await?, folder.path(), "R03", &[]).await?.path,
    };
    let sealed = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let outcome = forge::mutate(&sealed, arguments.mutations, arguments.seed)?;
    let forge::Outcome { found, same, unreadable, missed } = outcome;
    println!("{found} found, {same} changed nothing, {unreadable} that another reader cannot read");
    missed.iter().for_each(|missed| println!("MISSED {missed}"));
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
