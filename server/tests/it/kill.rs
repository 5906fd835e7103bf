//! kill -9 at random moments of an import and of an exchange: what has a receipt is there, the rest completes on retry.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use server::{clock, demo, store::sqlite::DOCUMENT_KEYS};
use sync_protocol::{Book, ChangeHash, Identity};
use tests::county;

const IMPORT_KILLS: usize = 10;
const EXCHANGE_KILLS: usize = 10;

/// A seed that is printed when the test fails.
fn seeded() -> (u64, StdRng) {
    let seed = u64::from_be_bytes(clock::random());
    (seed, StdRng::seed_from_u64(seed))
}

fn command(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taizhang"));
    command.arg("--data").arg(data).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The registers and the rosters of two towns.
fn ledgers(folder: &Path) -> Vec<PathBuf> {
    let mut files = demo::generate(7, folder).expect("ledgers");
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        ["00_", "01_", "02_"].iter().any(|prefix| name.starts_with(prefix))
    });
    // Registers first, as the demonstration does.
    files
        .sort_by_key(|file| !file.to_string_lossy().contains("名录") && !file.to_string_lossy().contains("党组织台账"));
    files
}

fn import(data: &Path, files: &[PathBuf]) -> Child {
    command(data).arg("import").args(files).spawn().expect("starts")
}

/// Everything that returns read, without what differs from run to run.
async fn content(data: &Path) -> BTreeSet<String> {
    let server = county::open(data, None).await.expect("server");
    let mut content = BTreeSet::new();
    for (identity, _) in server.store.all_identities().await.expect("documents") {
        for row in server.store.projection(identity.document(&server.tenant)).await.expect("rows") {
            let place = format!("{} {} {} {}", identity.unit, identity.book, row.ledger, row.row);
            content.insert(format!("{place} {} {:?}", row.cells, row.conflicts));
        }
    }
    let diagnosis = server::doctor::diagnose(&server, &|_, _| {}).await.expect("diagnosis");
    assert_eq!(diagnosis.wrong, Vec::<String>::new());
    server.store.close().await;
    content
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_import_completes_when_it_is_repeated() {
    let (seed, mut rng) = seeded();
    let folder = tempfile::tempdir().expect("folder");
    let files = ledgers(folder.path());
    // Row ids of restricted keys need one county key in all runs: each starts from a copy of the same empty store.
    let empty = folder.path().join("empty");
    county::open(&empty, None).await.expect("server").store.close().await;
    let fresh = |name: &str| -> PathBuf {
        let data = folder.path().join(name);
        std::fs::create_dir_all(&data).expect("folder");
        for file in ["taizhang.sqlite", "keys.json", DOCUMENT_KEYS] {
            std::fs::copy(empty.join(file), data.join(file)).expect("copied");
        }
        data
    };
    let reference = fresh("reference");
    let begun = Instant::now();
    import(&reference, &files).wait().expect("ends");
    let whole = begun.elapsed();
    let expected = content(&reference).await;
    assert!(expected.len() > 1_000, "{} rows", expected.len());
    for round in 0..IMPORT_KILLS {
        let data = fresh(&format!("killed-{round}"));
        let mut child = import(&data, &files);
        std::thread::sleep(whole.mul_f64(rng.random_range(0.05..0.95)));
        child.kill().expect("killed");
        child.wait().expect("ends");
        import(&data, &files).wait().expect("ends");
        let found = content(&data).await;
        let missing: Vec<_> = expected.difference(&found).take(3).collect();
        let extra: Vec<_> = found.difference(&expected).take(3).collect();
        assert!(missing.is_empty() && extra.is_empty(), "seed {seed}, round {round}: {missing:?} {extra:?}");
    }
}

/// A serving process and its address.
fn serve(data: &Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_taizhang"))
        .arg("--data")
        .arg(data)
        .args(["serve", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let output = child.stdout.take().expect("piped");
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).expect("a first line");
    let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("an address");
    (child, url.trim_end_matches('/').to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_receipt_survives_a_killed_server() {
    let (seed, mut rng) = seeded();
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().join("data");
    let files = ledgers(folder.path());
    county::open(&data, None).await.expect("server").store.close().await;
    import(&data, &files).wait().expect("ends");
    let server = county::open(&data, None).await.expect("server");
    let village = county::unit(&server, "001-001").await.expect("a village");
    let book = Identity { unit: village, book: Book::Unit, period: server.period() };
    let books = [Book::Unit, Book::UnitRestricted];
    county::device(&server, folder.path(), "", "device-a", village, &books).await.expect("device");
    let mut receipts: BTreeSet<ChangeHash> = BTreeSet::new();
    let mut edits = 0;
    for round in 0..EXCHANGE_KILLS {
        let (mut child, url) = serve(&data);
        let device = county::open_device(&server, folder.path(), &url, "device-a").await.expect("device");
        // The first exchange may be the one that is cut: then there are no rows to edit in this round.
        let moment = Instant::now() + Duration::from_millis(rng.random_range(5..400));
        let killer = std::thread::spawn(move || {
            std::thread::sleep(moment.saturating_duration_since(Instant::now()));
            child.kill().expect("killed");
            child.wait().expect("ends");
        });
        while let Ok(done) = device.exchange(clock::now_ms()).await {
            receipts.extend(done.receipts);
            let members = device.rows(&book, "members").await.expect("rows");
            let row = members[rng.random_range(0..members.len())].id;
            edits += 1;
            let remark = format!("第{edits}次");
            device.save(&book, "members", row, &[("remark", remark.as_str().into())], 0).await.expect("saved");
        }
        killer.join().expect("a killer");
        // The process is gone; what its store says now is what survived.
        let survived = county::open(&data, None).await.expect("server");
        let asked: Vec<ChangeHash> = receipts.iter().copied().collect();
        let known = survived.store.known_changes(&asked).await.expect("read");
        survived.store.close().await;
        assert_eq!(known, receipts, "seed {seed}, round {round}: a receipt was given for what is not there");
    }
    let (mut child, url) = serve(&data);
    let device = county::open_device(&server, folder.path(), &url, "device-a").await.expect("device");
    let done = device.exchange(clock::now_ms()).await.expect("the rest completes");
    receipts.extend(done.receipts);
    assert_eq!(device.unsent().await.expect("read"), 0);
    assert!(edits > EXCHANGE_KILLS, "{edits} edits are too few to prove anything");
    assert_eq!(receipts.len(), edits, "seed {seed}: every edit has its receipt");
    let heads = device.document(&book).await.expect("document").heads();
    let stored = server.store.document(book.document(&server.tenant)).await.expect("read").expect("there");
    assert_eq!(stored.heads, heads);
    child.kill().expect("killed");
    child.wait().expect("ends");
    let diagnosis = server::doctor::diagnose(&server, &|_, _| {}).await.expect("diagnosis");
    assert_eq!(diagnosis.wrong, Vec::<String>::new());
}
