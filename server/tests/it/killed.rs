//! Submitting a return, erasing a record and going on with a restored backup, killed at every moment of saving, with a disk that
//! fails at each, and with a full one: all of it is done and noted, or nothing is, and the same command once more completes it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use server::{Server, erasure, import::import_file};
use sync_protocol::document::RowKey;
use tests::{
    county,
    faults::{Faults, told},
    sheet,
    worked::synthetic,
};

const ID: &str = "340099198102020013";
const SUBMIT: [&str; 12] = [
    "submission",
    "submit",
    "R03",
    "--unit",
    "T1",
    "--set",
    "round=final",
    "--period",
    "2012-11",
    "--date",
    "2012-11-10",
    "--explain=正在补填",
];

/// A county, and what may befall the programs that run on copies of it.
struct Scene {
    folder: tempfile::TempDir,
    data: PathBuf,
    /// A record of which something restricted is kept.
    record: RowKey,
    faults: Faults,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let server = synthetic(folder.path(), None).await.expect("a county");
        let members =
            format!("党组织编码|姓名|身份证号|出生日期|家庭住址|入党时间\nA1|李四|{ID}|1981-02-02|白水村9号|2001-06");
        let file = folder.path().join("members.xlsx");
        std::fs::write(&file, sheet::workbook(&[("党员", &members)]).expect("a workbook")).expect("written");
        import_file(&server, &file, "县", &|_, _| {}).await.expect("imported");
        let unit = county::unit(&server, "A1").await.expect("a unit");
        let record = erasure::records(&server, unit, "李四", erasure::Extent::Restricted)
            .await
            .expect("read")
            .pop()
            .expect("a record");
        server.store.close().await;
        let data = folder.path().join("data");
        let faults = Faults::new(folder.path(), folder.path()).expect("faults");
        Self { data, record: RowKey { ledger: record.ledger, row: record.row }, folder, faults }
    }

    fn run(&self, data: &Path, arguments: &[&str], fault: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taizhang"));
        command.arg("--data").arg(data).args(arguments).current_dir(self.folder.path());
        self.faults.reach(&mut command);
        self.faults.arm(fault).expect("armed");
        let output = command.output().expect("runs");
        self.faults.disarm().expect("disarmed");
        output
    }

    /// Runs a command on copies of `data`: killed at its first, second, third … moment of saving, until it ends by itself; with a
    /// disk that fails at each of these moments; and with a full one.
    async fn suffers(&self, data: &Path, arguments: &[&str], check: impl AsyncFn(&Path, &str) -> String) {
        let mut faults: Vec<String> = ["write 1 0 ENOSPC", "write 2 0 ENOSPC"].map(str::to_owned).into();
        for moment in 1.. {
            assert!(moment < 100, "{arguments:?} is never done");
            let fault = format!("sync {moment} 1 KILL");
            if self.suffers_one(data, arguments, &fault, &check).await.status.code().is_some() {
                assert!(moment > 1, "{arguments:?} saves nothing");
                break;
            }
            faults.push(format!("sync {moment} 1 EIO"));
        }
        for fault in faults {
            let output = self.suffers_one(data, arguments, &fault, &check).await;
            let sentence = String::from_utf8_lossy(&output.stderr);
            let is_told = ["磁盘已满", "磁盘读写出错"].iter().any(|words| sentence.contains(words));
            // Some syncs are no part of a promise, such as those of a note beside the database.
            assert!(output.status.success() || (output.status.code() == Some(2) && is_told), "{fault}: {sentence}");
            assert!(!fault.starts_with("write") || !output.status.success(), "{fault}: a full disk was not felt");
        }
    }

    async fn suffers_one(
        &self,
        data: &Path,
        arguments: &[&str],
        fault: &str,
        check: &impl AsyncFn(&Path, &str) -> String,
    ) -> Output {
        let copy = copy(data, self.folder.path().join("suffering"));
        let output = self.run(&copy, arguments, fault);
        let state = check(&copy, fault).await;
        let sentence = String::from_utf8_lossy(&output.stderr);
        told(&format!("{}: {fault}", arguments[0]), sentence.lines().next_back().unwrap_or_default(), &state);
        std::fs::remove_dir_all(&copy).expect("removed");
        output
    }
}

fn copy(from: &Path, to: PathBuf) -> PathBuf {
    std::fs::create_dir_all(&to).expect("folder");
    for entry in std::fs::read_dir(from).expect("folder").flatten().filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
    to
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
    let kept = erasure::records(&server, unit, "李四", erasure::Extent::Restricted).await.expect("read").len();
    let was_erased = !server.store.erased_from(unit, key).await.expect("read").is_empty();
    let found = [kept, usize::from(was_erased), count(&server, "erased").await];
    server.store.close().await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_that_is_broken_off_is_whole_or_nothing() {
    let scene = Scene::new().await;
    scene
        .suffers(&scene.data, &SUBMIT, async |data, fault| {
            let found = submitted(data).await;
            assert!(found == [0; 3] || found == [1; 3], "{fault}: {found:?}");
            let again = scene.run(data, &SUBMIT, "");
            let sentence = String::from_utf8_lossy(&again.stderr);
            assert!(
                again.status.success() || (found == [1; 3] && sentence.contains("本期已报送（第1号")),
                "{sentence}"
            );
            assert_eq!(submitted(data).await, [1; 3], "{fault}");
            (if found == [1; 3] { "submitted and noted" } else { "nothing, then submitted" }).into()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_is_broken_off_is_whole_or_nothing() {
    let scene = Scene::new().await;
    let record = scene.record.to_string();
    let erase = ["erase", "--unit", "A1", "--record", &record, "--reason", "保存期满"];
    scene
        .suffers(&scene.data, &erase, async |data, fault| {
            let found = erased(data, &scene.record).await;
            assert!(found == [1, 0, 0] || found == [0, 1, 1], "{fault}: {found:?}");
            let again = scene.run(data, &erase, "");
            assert!(again.status.success(), "{fault}: {}", String::from_utf8_lossy(&again.stderr));
            assert_eq!(erased(data, &scene.record).await, [0, 1, 1], "{fault}");
            for name in ["taizhang.sqlite", "taizhang.sqlite-wal"] {
                let bytes = std::fs::read(data.join(name)).unwrap_or_default();
                assert!(!bytes.windows(ID.len()).any(|window| window == ID.as_bytes()), "{fault}: it is in {name}");
            }
            // A backup of before, beside the keys as they are now.
            let backup = copy(data, scene.folder.path().join("backup"));
            for name in ["taizhang.sqlite-wal", "taizhang.sqlite-shm", "high-water.json", "lasting.jsonl"] {
                drop(std::fs::remove_file(backup.join(name)));
            }
            std::fs::copy(scene.data.join("taizhang.sqlite"), backup.join("taizhang.sqlite")).expect("copied");
            copy(&data.join("successors"), backup.join("successors"));
            assert_eq!(erased(&backup, &scene.record).await, [0, 1, 0], "{fault}: what a backup gives back");
            std::fs::remove_dir_all(&backup).expect("removed");
            (if found == [1, 0, 0] { "nothing, then erased" } else { "erased and noted" }).into()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn going_on_with_a_restored_backup_that_is_broken_off_is_whole_or_nothing() {
    let scene = Scene::new().await;
    let (backup, restored) = (scene.folder.path().join("backup"), scene.folder.path().join("restored"));
    let device = ["device", "村支部手机", "--owner", "张三", "--unit", "T1"];
    assert!(scene.run(&scene.data, &["imports"], "").status.success());
    copy(&scene.data, backup.clone());
    assert!(scene.run(&scene.data, &device, "").status.success());
    copy(&scene.data, restored.clone());
    for ending in ["-wal", "-shm"] {
        drop(std::fs::remove_file(restored.join(format!("taizhang.sqlite{ending}"))));
    }
    std::fs::copy(backup.join("taizhang.sqlite"), restored.join("taizhang.sqlite")).expect("copied");
    let refused = scene.run(&restored, &["imports"], "");
    let sentence = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && sentence.contains("doctor --accept-older"), "{sentence}");
    let accept = ["doctor", "--accept-older"];
    scene
        .suffers(&restored, &accept, async |data, fault| {
            let before = scene.run(data, &["imports"], "");
            let sentence = String::from_utf8_lossy(&before.stderr);
            assert!(before.status.success() || sentence.contains("doctor --accept-older"), "{fault}: {sentence}");
            assert!(before.status.success() || scene.run(data, &accept, "").status.success(), "{fault}");
            assert!(scene.run(data, &["imports"], "").status.success(), "{fault}");
            assert!(scene.run(data, &["doctor"], "").status.success(), "{fault}");
            let server = county::open(data, None).await.expect("server");
            assert!(count(&server, "older-accepted").await > 0, "{fault}: it is noted");
            server.store.close().await;
            (if before.status.success() { "accepted and noted" } else { "refused, then accepted" }).into()
        })
        .await;
}
