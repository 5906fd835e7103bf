//! kill -9 at random moments of submitting a return and of erasing a record: all of it is done and noted, or nothing is, and the
//! same command once more completes it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use server::{Server, clock, erasure, import::import_file};
use sync_protocol::document::RowKey;
use tests::{county, sheet, worked::synthetic};

const KILLS: usize = 8;
const ID: &str = "340099198102020013";

fn run(data: &Path, arguments: &[&str], kill_after: Option<Duration>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taizhang"));
    command.arg("--data").arg(data).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("starts");
    if let Some(moment) = kill_after {
        std::thread::sleep(moment);
        child.kill().expect("killed");
    }
    child.wait_with_output().expect("ends")
}

fn copy(from: &Path, to: PathBuf) -> PathBuf {
    std::fs::create_dir_all(&to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder").flatten().filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
    to
}

/// A county with a record of which something restricted is kept.
async fn prepared(folder: &Path) -> (PathBuf, RowKey) {
    let server = synthetic(folder, None).await.expect("a county");
    let members =
        format!("党组织编码|姓名|身份证号|出生日期|家庭住址|入党时间\nA1|李四|{ID}|1981-02-02|白水村9号|2001-06");
    let file = folder.join("members.xlsx");
    std::fs::write(&file, sheet::workbook(&[("党员", &members)]).expect("a workbook")).expect("written");
    import_file(&server, &file, "县", &|_, _| {}).await.expect("imported");
    let unit = county::unit(&server, "A1").await.expect("a unit");
    let record = erasure::records(&server, unit, "李四").await.expect("read").pop().expect("a record");
    server.store.close().await;
    (folder.join("data"), RowKey { ledger: record.ledger, row: record.row })
}

async fn count(server: &Server, event: &str) -> usize {
    let lines = server.store.people().audit(0, 10_000).await.expect("read");
    lines.iter().filter(|line| line.entry.event == event).count()
}

/// Copies, rows of the register, lines of the audit log.
async fn submitted(data: &Path) -> [usize; 3] {
    let server = county::open(data, None).await.expect("server");
    let (unit, period) = (county::unit(&server, "T1").await.expect("the town"), server.period());
    let copies = server.store.submissions().await.expect("read").len();
    let rows = server.store.rows("return-submissions", &period, &[unit]).await.expect("read").len();
    let found = [copies, rows, count(&server, "return-submitted").await];
    assert!(server::doctor::diagnose(&server, &|_, _| {}).await.expect("diagnosis").wrong.is_empty());
    server.store.close().await;
    found
}

/// Rows of which something is kept, those that were erased, lines of the audit log.
async fn erased(data: &Path, key: &RowKey) -> [usize; 3] {
    let server = county::open(data, None).await.expect("server");
    let unit = county::unit(&server, "A1").await.expect("a unit");
    let kept = erasure::records(&server, unit, "李四").await.expect("read").len();
    let was_erased = server.store.was_erased(unit, key).await.expect("read");
    let found = [kept, usize::from(was_erased), count(&server, "erased").await];
    server.store.close().await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_submission_or_erasure_is_whole_or_nothing() {
    let seed = u64::from_be_bytes(clock::random());
    let mut rng = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("folder");
    let (data, key) = prepared(folder.path()).await;
    let record = key.to_string();
    let submit = ["submission", "submit", "R03", "--unit", "T1", "--set", "round=final", "--period", "2012-11"];
    let submit = [&submit[..], &["--date", "2012-11-10", "--explain", "正在补填"]].concat();
    let erase = ["erase", "--unit", "A1", "--record", &record, "--reason", "保存期满"];
    let whole = copy(&data, folder.path().join("whole"));
    let timed = |arguments: &[&str]| {
        let begun = Instant::now();
        let output = run(&whole, arguments, None);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        begun.elapsed()
    };
    let (submitting, erasing) = (timed(&submit), timed(&erase));
    for round in 0..KILLS {
        let killed = copy(&data, folder.path().join(format!("submit-{round}")));
        run(&killed, &submit, Some(submitting.mul_f64(rng.random_range(0.2..1.0))));
        let found = submitted(&killed).await;
        assert!(found == [0; 3] || found == [1; 3], "seed {seed}, round {round}: {found:?}");
        let again = run(&killed, &submit, None);
        let told = String::from_utf8_lossy(&again.stderr);
        assert!(again.status.success() || (found == [1; 3] && told.contains("本期已报送（第1号")), "{told}");
        assert_eq!(submitted(&killed).await, [1; 3], "seed {seed}, round {round}");

        let killed = copy(&data, folder.path().join(format!("erase-{round}")));
        run(&killed, &erase, Some(erasing.mul_f64(rng.random_range(0.2..1.0))));
        let found = erased(&killed, &key).await;
        assert!(found == [1, 0, 0] || found == [0, 1, 1], "seed {seed}, round {round}: {found:?}");
        let again = run(&killed, &erase, None);
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        assert_eq!(erased(&killed, &key).await, [0, 1, 1], "seed {seed}, round {round}");
        let bytes = std::fs::read(killed.join("taizhang.sqlite")).expect("read");
        assert!(!bytes.windows(ID.len()).any(|window| window == ID.as_bytes()), "it is still in the file");
    }
}
