//! What happens: all of it is drawn from the seed before anything begins.

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It arrives, and so does its reply.
    Arrives,
    /// It does not arrive.
    Lost,
    /// It arrives, its reply does not.
    Unanswered,
    /// It arrives twice; the second reply is the one that is read.
    Twice,
    /// Its reply is lost, and it arrives once more, later.
    Late,
}

/// Where the server dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Death {
    /// Commits that still succeed.
    pub(super) after: u8,
    /// Whether the one at which it dies is stored.
    pub(super) stored: bool,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Somebody fills in a form: some cells of one record.
    Edit { device: usize, unit: usize, row: u8, cells: Vec<(u8, u32)> },
    /// Somebody settles a conflict that the device shows.
    Settle { device: usize, pick: u8, value: u32 },
    /// Somebody writes into a document that the device may not write to.
    Trespass { device: usize, unit: usize, value: u32 },
    /// Requests of an exchange, each with its fate; it may be left unfinished.
    Exchange { device: usize, fates: Vec<Fate> },
    /// Requests that are late arrive at last.
    Late { device: usize },
    /// The device's program dies and starts again.
    Crash { device: usize },
    /// The device's state is kept.
    Keep { device: usize },
    /// The device is set back to the state that was kept.
    SetBack { device: usize },
    /// The device's clock is off by so many days.
    Clock { device: usize, days: i32 },
    /// The device is given to another unit.
    Reassign { device: usize, unit: usize },
    /// The device is revoked.
    Revoke { device: usize },
    /// The server dies at one of its next commits, and starts again.
    ServerDies(Death),
    /// The server's state is kept.
    ServerKeeps,
    /// The server is set back to the state that was kept.
    ServerSetBack,
    /// An Excel ledger is imported: records of one unit.
    Import { unit: usize, rows: Vec<(u8, u32)>, habit: Habit },
    /// A merged ledger of a unit is drawn and taken away.
    Draw { unit: usize },
    /// One that was drawn comes back with cells edited: which row, and what it says now.
    SendBack { pick: u8, edits: Vec<(u8, u32)> },
    /// An import is taken back.
    Undo { pick: u8 },
    /// The server's disk is full when the device next exchanges, and has room again after that.
    DiskFull { device: usize },
    /// A village sends in a ledger that says what only the county decides: its own grade.
    Decide { unit: usize },
    /// The device asks for another token, on what it knew before it was revoked.
    Rotate { device: usize },
    /// What the restricted book of a unit holds of a record is erased.
    Erase { unit: usize, row: u8 },
    /// A supervisor admits what waits.
    Admit,
}

/// How an office writes its ledgers down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// Plainly.
    Plain,
    /// With stars where the reader may not see.
    Masked,
    /// With 待补 for an identity number.
    BadKeys,
    /// With a line of signatures below the table.
    Signed,
    /// As text with commas, as spreadsheet programs on Windows save it.
    Windows,
    /// With a column that nobody knows.
    OddColumn,
}

/// A county and what happens in it.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    /// Villages.
    pub(super) units: usize,
    /// The unit of each device: a village, or the township above all of them.
    pub(super) devices: Vec<Option<usize>>,
    /// What happens.
    pub(super) steps: Vec<Step>,
}

impl Scenario {
    /// The scenario of a seed.
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let units = rng.random_range(1..=3);
        let devices = if seed % 50 == 49 { 20 } else { rng.random_range(3..=6) };
        let devices: Vec<Option<usize>> =
            (0..devices).map(|_| (rng.random_range(0..3) > 0).then(|| rng.random_range(0..units))).collect();
        let length = rng.random_range(15..70);
        // Some scenarios are rough in one way, some in another: all at once would hide what needs quiet.
        let rough =
            Rough { loss: rng.random_range(0..60), set_back: rng.random_range(0..8), death: rng.random_range(0..10) };
        let mut value = 0;
        let mut steps: Vec<Step> =
            (0..length).map(|_| step(&mut rng, &rough, units, devices.len(), &mut value)).collect();
        if seed % 10 == 6 {
            let device = rng.random_range(0..devices.len());
            steps.insert(rng.random_range(0..steps.len()), Step::Revoke { device });
        }
        if seed % 4 == 1 {
            for _ in 0..rng.random_range(1..=2) {
                let erase = Step::Erase { unit: rng.random_range(0..units), row: rng.random_range(0..4) };
                steps.insert(rng.random_range(steps.len() / 3..steps.len()), erase);
            }
        }
        if seed % 4 >= 2 {
            // Out of a stream of their own: what the scenario was without offices, it still is.
            let mut rng = StdRng::seed_from_u64(!seed);
            for _ in 0..rng.random_range(3..=8) {
                let step = office(&mut rng, units, devices.len(), &mut value);
                steps.insert(rng.random_range(0..=steps.len()), step);
            }
        }
        if seed % 4 == 3 {
            // And so it is without these.
            let mut rng = StdRng::seed_from_u64(!seed ^ (1 << 32));
            for _ in 0..rng.random_range(1..=3) {
                let step = match rng.random_range(0..2) {
                    0 => Step::Decide { unit: rng.random_range(0..units) },
                    _ => Step::Rotate { device: rng.random_range(0..devices.len()) },
                };
                steps.insert(rng.random_range(0..=steps.len()), step);
            }
            if rng.random_range(0..3) == 0 {
                // A phone is lost, and whoever has it asks for another token.
                let (device, at) = (rng.random_range(0..devices.len()), rng.random_range(0..steps.len()));
                steps.insert(at, Step::Revoke { device });
                steps.insert(rng.random_range(at + 1..=steps.len()), Step::Rotate { device });
            }
        }
        Self { units, devices, steps }
    }
}

/// Something that an office does, or that happens to the server meanwhile.
fn office(rng: &mut StdRng, units: usize, devices: usize, value: &mut u32) -> Step {
    const HABITS: [Habit; 6] =
        [Habit::Plain, Habit::Masked, Habit::BadKeys, Habit::Signed, Habit::Windows, Habit::OddColumn];
    let unit = rng.random_range(0..units);
    let some = |rng: &mut StdRng, value: &mut u32| -> Vec<(u8, u32)> {
        let mut rows = std::collections::BTreeMap::new();
        for _ in 0..rng.random_range(1..=3) {
            *value += 1;
            rows.insert(rng.random_range(0..4), *value);
        }
        rows.into_iter().collect()
    };
    match rng.random_range(0..12) {
        0..5 => Step::Import { unit, rows: some(rng, value), habit: HABITS[rng.random_range(0..HABITS.len())] },
        5..7 => Step::Draw { unit },
        7..9 => Step::SendBack { pick: rng.random(), edits: some(rng, value) },
        9..11 => Step::Undo { pick: rng.random() },
        _ => Step::DiskFull { device: rng.random_range(0..devices) },
    }
}

/// How likely trouble is, in percent.
struct Rough {
    loss: u32,
    set_back: u32,
    death: u32,
}

fn step(rng: &mut StdRng, rough: &Rough, units: usize, devices: usize, value: &mut u32) -> Step {
    let device = rng.random_range(0..devices);
    let unit = rng.random_range(0..units);
    let mut fresh = || {
        *value += 1;
        *value
    };
    let chance = |rng: &mut StdRng, percent: u32| rng.random_range(0..100) < percent;
    if chance(rng, rough.set_back) {
        return match rng.random_range(0..4) {
            0 => Step::SetBack { device },
            1 => Step::Keep { device },
            2 => Step::ServerKeeps,
            _ => Step::ServerSetBack,
        };
    }
    if chance(rng, rough.death) {
        return match rng.random_range(0..3) {
            0 => Step::Crash { device },
            _ => Step::ServerDies(Death { after: rng.random_range(0..3), stored: rng.random() }),
        };
    }
    match rng.random_range(0..100) {
        0..45 => {
            let count = rng.random_range(1..=3);
            let cells = (0..count).map(|_| (rng.random_range(0..COLUMNS), fresh())).collect();
            Step::Edit { device, unit, row: rng.random_range(0..4), cells }
        }
        45..48 => Step::Settle { device, pick: rng.random_range(0..8), value: fresh() },
        48..50 => Step::Trespass { device, unit, value: fresh() },
        50..53 => Step::Late { device },
        53..55 => Step::Clock { device, days: rng.random_range(-1826..=1826) },
        55..57 => Step::Reassign { device, unit },
        57..59 => Step::Admit,
        59..63 => {
            let rows = (0..rng.random_range(1..=3)).map(|_| (rng.random_range(0..4), fresh())).collect();
            Step::Import { unit, rows, habit: Habit::Plain }
        }
        _ => {
            let requests = rng.random_range(1..=6);
            let fate = |rng: &mut StdRng| {
                if !chance(rng, rough.loss) {
                    return Fate::Arrives;
                }
                [Fate::Lost, Fate::Unanswered, Fate::Twice, Fate::Late][rng.random_range(0..4)]
            };
            Step::Exchange { device, fates: (0..requests).map(|_| fate(rng)).collect() }
        }
    }
}

/// Columns that are edited.
pub(super) const COLUMNS: u8 = 4;

/// Ten bytes out of the seed's stream, for what has to be fresh.
pub(super) fn bytes<const N: usize>(rng: &mut impl Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}
