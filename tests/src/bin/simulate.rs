//! `simulate`: runs scenarios until one breaks a promise, and prints the shortest way there.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context;
use clap::Parser;
use tests::simulate::{Failure, Mutant, Simulator};

/// Runs seeded scenarios of devices, a server and Excel ledgers against the real code.
#[derive(Parser)]
struct Arguments {
    /// Scenarios to run.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Build a fault into the server: the simulator must find it.
    #[arg(long, value_parser = Mutant::ALL.map(|(name, _)| name))]
    mutant: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mutant = Mutant::ALL.into_iter().find(|(name, _)| arguments.mutant.as_deref() == Some(name));
    let simulator = Arc::new(Simulator::new(mutant.map(|(_, mutant)| mutant)).await?);
    let next = Arc::new(AtomicU64::new(arguments.from));
    let end = arguments.from.saturating_add(arguments.seeds);
    // More than cores: a scenario waits for its databases most of the time.
    let workers = 4 * std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..workers {
        let (simulator, next) = (simulator.clone(), next.clone());
        running.spawn(async move {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end {
                    return Ok::<_, Failure>(());
                }
                simulator.run(seed).await?;
                if seed % 500 == 499 {
                    eprintln!("{} scenarios", seed + 1 - arguments.from);
                }
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        if let Err(failure) = ended.context("a worker")? {
            running.abort_all();
            println!("{}", Box::pin(simulator.shrink(failure)).await);
            return Ok(ExitCode::FAILURE);
        }
    }
    println!("{} scenarios, every promise kept", arguments.seeds);
    Ok(ExitCode::SUCCESS)
}
