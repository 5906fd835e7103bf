//! The disk fails, is full, or the program is killed at a moment of saving: what is acknowledged is there, nothing is torn, and
//! saving goes on as soon as the disk does.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use reqwest::StatusCode;
use server::{Server, clock, demo, doctor};
use sync_protocol::{
    Book, ChangeHash, Identity, RowId,
    client::{Device, Trust},
};
use tempfile::TempDir;
use tests::{
    county,
    faults::{Faults, told},
};

/// A county of two villages with a phone in one of them, and faults that its programs may feel.
struct Scene {
    folder: TempDir,
    data: PathBuf,
    faults: Faults,
    /// A view of its data from outside of the programs.
    server: Server,
    book: Identity,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let data = folder.path().join("data");
        Self::at(folder, data).await
    }

    async fn at(folder: TempDir, data: PathBuf) -> Self {
        let server = county::open(&data, None).await.expect("server");
        let units = tests::roster::units(&server.tenant, server.county, 2);
        server.store.put_units(&units).await.expect("units");
        let village = county::branch(&server, 0);
        let books = [Book::Unit, Book::UnitRestricted];
        county::device(&server, folder.path(), "", "phone", village, &books).await.expect("device");
        let book = Identity { unit: village, book: Book::Unit, period: server.period() };
        let faults = Faults::new(folder.path(), &data).expect("faults");
        Self { folder, data, faults, server, book }
    }

    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taizhang"));
        command.arg("--data").arg(&self.data).current_dir(self.folder.path());
        self.faults.reach(&mut command);
        command
    }

    fn serve(&self) -> Serving {
        let mut command = self.program();
        command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a first line");
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("an address");
        Serving { url: url.trim_end_matches('/').to_owned(), child }
    }

    async fn phone(&self, serving: &Serving) -> Device {
        county::open_device(&self.server, self.folder.path(), &serving.url, "phone").await.expect("phone")
    }

    /// Writes one cell on the phone.
    async fn edit(&self, phone: &Device, number: usize) {
        let value = format!("第{number}次");
        let row = RowId::random([u8::try_from(number % 200).expect("small"); 10]);
        phone.save(&self.book, "members", row, &[("remark", value.as_str().into())], 0).await.expect("saved");
    }

    /// What is wrong with what is stored, and which of these changes are not there.
    async fn damage(&self, receipts: &BTreeSet<ChangeHash>) -> (Vec<String>, usize) {
        let wrong = doctor::diagnose(&self.server, &|_, _| {}).await.expect("diagnosis").wrong;
        let asked: Vec<ChangeHash> = receipts.iter().copied().collect();
        let known = self.server.store.known_changes(&asked).await.expect("read");
        (wrong, receipts.len() - known.len())
    }
}

/// A server in a process of its own.
struct Serving {
    child: Child,
    url: String,
}

impl Serving {
    /// What it says of itself: its status, and why it cannot save.
    async fn status(&self) -> (StatusCode, serde_json::Value) {
        let client = Trust::new(None).expect("trust").client().expect("a client");
        let answer = client.get(format!("{}/api/status", self.url)).send().await.expect("it answers");
        (answer.status(), answer.json().await.expect("JSON"))
    }

    fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ends");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_of_the_disk_does_not_end_saving() {
    for (fault, words) in [
        ("sync 1 1 EIO", "磁盘读写出错"),
        ("sync 1 0 EIO", "磁盘读写出错"),
        ("write 1 1 EIO", "磁盘读写出错"),
        ("write 3 0 EIO", "磁盘读写出错"),
        ("write 1 1 ENOSPC", "磁盘已满"),
        ("write 2 0 ENOSPC", "磁盘已满"),
    ] {
        let scene = Scene::new().await;
        let serving = scene.serve();
        let phone = scene.phone(&serving).await;
        scene.edit(&phone, 0).await;
        let mut receipts: BTreeSet<ChangeHash> =
            phone.exchange(0).await.expect("in peace").receipts.into_iter().collect();
        scene.edit(&phone, 1).await;
        scene.faults.arm(fault).expect("armed");
        let refused = phone.exchange(0).await.expect_err(fault);
        assert_eq!(phone.unsent().await.expect("read"), 1, "{fault}: it is still on the phone ({refused})");
        if fault.contains(" 0 ") {
            // As long as the disk fails, everybody who asks is told.
            let (status, said) = serving.status().await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{fault}: {said}");
            assert_eq!(said["can_save"], false, "{fault}: {said}");
            assert!(said["problem"].as_str().is_some_and(|problem| problem.contains(words)), "{fault}: {said}");
        }
        scene.faults.disarm().expect("disarmed");
        let (status, said) = serving.status().await;
        assert_eq!((status, &said["can_save"]), (StatusCode::OK, &true.into()), "{fault}: {said}");
        receipts.extend(phone.exchange(0).await.expect("the disk is well, and so is the server").receipts);
        assert_eq!((phone.unsent().await.expect("read"), receipts.len()), (0, 2), "{fault}");
        serving.kill();
        assert_eq!(scene.damage(&receipts).await, (Vec::new(), 0), "{fault}");
        told(&format!("exchange: {fault}"), words, "sound, saving goes on, both receipts are there");
    }
}

/// A file system of a few megabytes, while it is needed.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount one.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).expect("folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("no small disk can be mounted by this user: its test is left out");
        None
    }

    fn fill(&self) {
        let mut filler = std::fs::File::create(self.0.join("filler")).expect("file");
        let block = vec![7u8; 64 << 10];
        while std::io::Write::write_all(&mut filler, &block).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn saving_goes_on_when_a_full_disk_has_room_again() {
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().join("data");
    let Some(disk) = SmallDisk::mount(&data, "40m") else { return };
    let scene = Scene::at(folder, data).await;
    let serving = scene.serve();
    let phone = scene.phone(&serving).await;
    disk.fill();
    let mut receipts = BTreeSet::new();
    let mut refused = None;
    // The write-ahead log may have room for some.
    for number in 0..2_000 {
        scene.edit(&phone, number).await;
        match phone.exchange(0).await {
            Ok(done) => receipts.extend(done.receipts),
            Err(error) => {
                refused = Some((number, error));
                break;
            }
        }
    }
    let (number, _) = refused.expect("a full disk refuses");
    let (status, said) = serving.status().await;
    assert_eq!((status, &said["can_save"]), (StatusCode::SERVICE_UNAVAILABLE, &false.into()), "{said}");
    assert!(said["problem"].as_str().is_some_and(|problem| problem.contains("磁盘已满")), "{said}");
    let imported = scene.program().args(["import", "nothing.xlsx"]).output().expect("runs");
    let sentence = String::from_utf8_lossy(&imported.stderr).into_owned();
    assert_ne!(imported.status.code(), Some(101), "a full disk is no crash: {sentence}");
    disk.free();
    receipts.extend(phone.exchange(0).await.expect("there is room again").receipts);
    assert_eq!((phone.unsent().await.expect("read"), receipts.len()), (0, number + 1));
    assert_eq!(serving.status().await.0, StatusCode::OK);
    serving.kill();
    assert_eq!(scene.damage(&receipts).await, (Vec::new(), 0));
    told("exchange: disk full", "503, 磁盘已满", "sound once there is room, every receipt is there");
    scene.server.store.close().await;
}

fn ended_by_itself(status: ExitStatus) -> bool {
    status.code().is_some()
}

/// Runs a command again and again, killed at its first, second, third … moment of saving, until it ends by itself.
async fn killed_at_every_sync(scene: &Scene, arguments: &[&str], check: impl AsyncFn(usize)) {
    for moment in 1.. {
        scene.faults.arm(&format!("sync {moment} 1 KILL")).expect("armed");
        let mut program = scene.program();
        let status = program.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().expect("runs");
        scene.faults.disarm().expect("disarmed");
        check(moment).await;
        told(&format!("{}: sync {moment} 1 KILL", arguments[0]), &status.to_string(), "sound");
        if ended_by_itself(status) {
            assert!(moment > 2, "{arguments:?} saves in {moment} moments");
            return;
        }
        assert!(moment < 200, "{arguments:?} is never done");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_killed_at_every_moment_of_saving_is_whole_or_completes() {
    let scene = Scene::new().await;
    let roster = tests::roster::workbook(2, 5).expect("a workbook");
    std::fs::write(scene.folder.path().join("roster.xlsx"), roster).expect("file");
    killed_at_every_sync(&scene, &["import", "roster.xlsx"], async |moment| {
        let (wrong, _) = scene.damage(&BTreeSet::new()).await;
        assert_eq!(wrong, Vec::<String>::new(), "killed at {moment}");
    })
    .await;
    let rows = scene.server.store.rows("members", &scene.server.period(), &[scene.book.unit]).await.expect("rows");
    let members: BTreeSet<RowId> = rows.iter().filter(|row| !row.removed).map(|row| row.row).collect();
    assert_eq!(members.len(), 5, "each member once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_killed_at_every_moment_of_saving_keeps_its_receipts() {
    let scene = Scene::new().await;
    let mut receipts = BTreeSet::new();
    let mut edits = 0;
    for moment in 1..=6 {
        let serving = scene.serve();
        let phone = scene.phone(&serving).await;
        scene.faults.arm(&format!("sync {moment} 1 KILL")).expect("armed");
        for _ in 0..3 {
            scene.edit(&phone, edits).await;
            edits += 1;
            if let Ok(done) = phone.exchange(0).await {
                receipts.extend(done.receipts);
            }
        }
        scene.faults.disarm().expect("disarmed");
        serving.kill();
        assert_eq!(scene.damage(&receipts).await, (Vec::new(), 0), "killed at {moment}");
        told(&format!("exchange: sync {moment} 1 KILL"), "no connection", "sound, every receipt is there");
    }
    let serving = scene.serve();
    let phone = scene.phone(&serving).await;
    receipts.extend(phone.exchange(0).await.expect("the rest completes").receipts);
    assert_eq!(receipts.len(), edits, "every edit has its receipt");
    serving.kill();
}

/// Phones that write all the time, and the administrator's commands beside them.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_beside_a_busy_server_waits_for_its_turn() {
    const COMMANDS: usize = 6;
    let scene = Scene::new().await;
    let files = demo::generate(7, scene.folder.path()).expect("ledgers");
    let register = files.iter().find(|file| file.to_string_lossy().contains("名录")).expect("a register");
    let serving = scene.serve();
    let phone = scene.phone(&serving).await;
    let commands = async {
        for number in 0..COMMANDS {
            let mut program = scene.program();
            let name = format!("人{number}");
            let commands: [&[&str]; 2] = [
                &["import", register.to_str().expect("UTF-8")],
                &["device", &name, "--owner", "张三", "--unit", "0001-001"],
            ];
            program.args(commands[number % 2]).stdout(Stdio::null());
            let output = tokio::process::Command::from(program).output().await.expect("runs");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!said.contains("locked") && output.status.code() != Some(2), "{:?}: {said}", commands[number % 2]);
        }
    };
    tokio::pin!(commands);
    let mut exchanges = 0;
    loop {
        scene.edit(&phone, exchanges).await;
        tokio::select! {
            () = &mut commands => break,
            done = phone.exchange(clock::now_ms()) => { done.expect("the server saves all the while"); }
        }
        exchanges += 1;
    }
    told("commands beside a busy server", "none refused", &format!("{exchanges} exchanges meanwhile"));
    assert!(exchanges > 5, "{exchanges} exchanges are too few to prove anything");
    serving.kill();
}
