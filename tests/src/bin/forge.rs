//! `forge`: edits a sealed return at random, and fails if something that another reader sees has changed and is not told.

use std::process::ExitCode;

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
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let sealed = std::fs::read(Printed::draw(&server, folder.path(), "R03", &[]).await?.path)?;
    let outcome = forge::mutate(&sealed, &server.keyring.current().seal_key, arguments.mutations, arguments.seed)?;
    let forge::Outcome { found, same, unreadable, missed } = outcome;
    println!("{found} found, {same} changed nothing, {unreadable} that another reader cannot read");
    for missed in &missed {
        println!("MISSED {missed}");
    }
    Ok(if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
