//! A small run of the simulator; the large one is `cargo run --release -p tests --bin simulate -- --seeds 10000`.

use anyhow::Result;
use tests::simulate::{Mutant, Simulator};

/// Seeds that once found something.
const ONCE_BROKEN: [u64; 13] = [1326, 2086, 4224, 30, 303, 338, 427, 481, 750, 929, 1329, 2479, 183];
const SEEDS: u64 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_is_kept() -> Result<()> {
    let simulator = Simulator::new(None).await?;
    for seed in ONCE_BROKEN.into_iter().chain(0..SEEDS) {
        if let Err(failure) = simulator.run(seed).await {
            panic!("{}", Box::pin(simulator.shrink(failure)).await);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_fault_is_found_out() -> Result<()> {
    for (name, mutant) in Mutant::ALL {
        let simulator = Simulator::new(Some(mutant)).await?;
        let mut found = None;
        for seed in 0..4 * SEEDS {
            if let Err(failure) = simulator.run(seed).await {
                found = Some(failure);
                break;
            }
        }
        assert!(found.is_some(), "nobody notices a server that {name}");
    }
    Ok(())
}
