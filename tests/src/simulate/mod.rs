//! The simulator: devices, a server and Excel ledgers in one process, out of one seed. Requests are lost, doubled and late;
//! programs die at every moment at which something is stored; devices and the server are set back to old states; clocks lie.
//! The code that runs is the real one: only the network and the moments of death are made up.

mod check;
mod line;
mod phone;
mod plan;
mod store;
mod world;

use std::{fmt, path::PathBuf, sync::Arc};

use anyhow::Result;
use server::tallies::Tallies;

use plan::{Scenario, Step};
pub use store::Mutant;

/// What a scenario brought to light.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
    /// The steps that lead there.
    trace: Vec<Step>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.what)?;
        self.trace.iter().enumerate().try_for_each(|(at, step)| writeln!(f, "  {at:>3} {step:?}"))
    }
}

/// Runs scenarios; what they need at first is made once.
#[derive(Debug)]
pub struct Simulator {
    template: tempfile::TempDir,
    config: server::config::Config,
    tally: Arc<Tallies>,
    mutant: Option<Mutant>,
}

impl Simulator {
    /// A simulator, perhaps of a server with a fault built in.
    pub async fn new(mutant: Option<Mutant>) -> Result<Self> {
        let template = folder()?;
        let config = server::config::Config::check(server::config::File {
            data_dir: template.path().to_owned(),
            // A seed has to do the same thing every time.
            pushes_at_once: 1,
            ..server::config::File::default()
        })?;
        world::prepare(&config).await?;
        let tally = Tallies::new(&config.catalogue);
        Ok(Self { template, config, tally, mutant })
    }

    /// Runs the scenario of a seed to its end.
    pub async fn run(&self, seed: u64) -> Result<(), Failure> {
        let scenario = Scenario::of(seed);
        self.play(&scenario, &scenario.steps).await.map_err(|what| Failure { seed, what, trace: scenario.steps })
    }

    /// Leaves out of a failure's trace what plays no part in it.
    pub async fn shrink(&self, mut failure: Failure) -> Failure {
        let scenario = Scenario::of(failure.seed);
        let mut size = failure.trace.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < failure.trace.len() {
                let mut fewer = failure.trace.clone();
                fewer.drain(at..(at + size).min(fewer.len()));
                match self.play(&scenario, &fewer).await {
                    Err(what) => (failure.what, failure.trace) = (what, fewer),
                    Ok(()) => at += size,
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
        failure
    }

    async fn open(&self, scenario: &Scenario) -> Result<world::World> {
        let (template, tally) = (self.template.path(), self.tally.clone());
        world::World::open(template, &self.config, tally, scenario, self.mutant).await
    }

    async fn play(&self, scenario: &Scenario, steps: &[Step]) -> Result<(), String> {
        let played = async {
            let mut world = self.open(scenario).await?;
            let mut found = None;
            for step in steps {
                world.step(step).await?;
                found = world.broken.take();
                if found.is_some() {
                    break;
                }
            }
            if found.is_none() {
                found = check::after_healing(&mut world).await?;
            }
            world.close().await;
            Ok::<_, anyhow::Error>(found)
        };
        match played.await {
            Ok(None) => Ok(()),
            Ok(Some(what)) => Err(what),
            Err(error) => Err(format!("{error:#}")),
        }
    }
}

/// A folder in memory where there is such a thing: thousands of scenarios need no disk.
fn folder() -> Result<tempfile::TempDir> {
    let memory = PathBuf::from("/dev/shm");
    Ok(if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? })
}
