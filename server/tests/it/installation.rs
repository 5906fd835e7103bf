//! The right database or none: what an administrator is told, and that nothing is written, when the file is not the one.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use server::store::sqlite::DOCUMENT_KEYS;
use sync_protocol::client::Trust;
use tempfile::TempDir;
use tests::faults::told;

use super::deeds::hand::Hand;

const DATABASE: &str = "data/taizhang.sqlite";

struct Office {
    folder: TempDir,
}

impl Office {
    /// A folder with nothing in it.
    fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("folder") }
    }

    /// A folder with a new county.
    fn new() -> Self {
        let office = Self::empty();
        office.run(&["init"], 0, "已新建");
        office
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taizhang"));
        command.args(arguments).current_dir(self.folder.path());
        command
    }

    /// Runs a command: its exit code, and a part of what it says.
    fn run(&self, arguments: &[&str], code: i32, says: &str) -> String {
        expect(&self.command(arguments).output().expect("runs"), arguments, code, says)
    }

    /// A person, which is written with a line of the audit log; their first password.
    fn add_person(&self, name: &str) -> String {
        let arguments = ["person", "add", name, "--full-name", "某人", "--role", "field-cadre"];
        let output = self.command(&arguments).output().expect("runs");
        expect(&output, &arguments, 0, "");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn database(&self) -> Vec<u8> {
        std::fs::read(self.path(DATABASE)).expect("a database")
    }

    fn serve(&self) -> Serving {
        let log = self.path("log");
        let mut process = self
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).expect("a log"))
            .spawn()
            .expect("starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("an address");
        Serving { process, url: url.trim_end_matches('/').to_owned(), log }
    }
}

fn expect(output: &Output, arguments: &[&str], code: i32, says: &str) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(says), "{arguments:?} does not say `{says}`: {said}");
    if code == 2 {
        told(&arguments.join(" "), said.lines().next_back().unwrap_or_default(), "refused");
    }
    said
}

struct Serving {
    process: Child,
    url: String,
    log: PathBuf,
}

impl Serving {
    fn kill(mut self) {
        self.process.kill().and_then(|()| self.process.wait()).expect("killed");
    }

    /// Signs in, which opens a session and is noted.
    async fn sign_in(&self, name: &str, password: &str) -> u16 {
        let client = Trust::new(None).and_then(|trust| trust.client()).expect("a client");
        let body = serde_json::json!({ "name": name, "password": password });
        client.post(format!("{}/api/session", self.url)).json(&body).send().await.expect("an answer").status().as_u16()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Waits until something is so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("never: {what}");
}

const COMMANDS: [&[&str]; 9] = [
    &["imports"],
    &["doctor"],
    &["doctor", "--repair"],
    &["doctor", "--accept-older"],
    &["serve", "--listen", "127.0.0.1:0"],
    &["return", "R03"],
    &["import", "some.xlsx"],
    &["audit", "verify"],
    &["erase", "--unit", "001", "--name", "某"],
];

#[test]
fn only_init_makes_a_database() {
    let office = Office::empty();
    for arguments in COMMANDS {
        office.run(arguments, 2, "请先运行 init");
        assert!(!office.path("data").exists(), "{arguments:?} leaves nothing behind");
    }
    office.run(&["init"], 0, "340099");
    let before = office.database();
    office.run(&["init"], 2, "已有数据库");
    assert_eq!(office.database(), before);
    office.run(&["doctor"], 0, "数据完好");
    let left: Vec<_> =
        std::fs::read_dir(office.path("data")).expect("folder").flatten().map(|e| e.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains(".part")), "{left:?}");
}

#[test]
fn a_file_that_is_not_the_database_is_refused_and_left_as_it_is() {
    let other = Office::new();
    let office = Office::new();
    let young = office.database();
    office.add_person("zhang");
    let whole = office.database();
    let half = whole[..whole.len() / 2].to_vec();
    let cases: [(&str, Option<&[u8]>, &str); 6] = [
        ("missing", None, "不见了"),
        ("empty", Some(b""), "0 字节"),
        ("cut off", Some(&half), "不完整"),
        (
            "something else",
            Some(
                b"PK\x03\x04 this is a workbook, not a database, and long enough to have a header of 100 bytes ......",
            ),
            "不是数据库",
        ),
        ("of another installation", Some(&other.database()), "安装编号不同"),
        ("older", Some(&young), "比已确认的内容旧"),
    ];
    for (name, bytes, says) in cases {
        match bytes {
            Some(bytes) => std::fs::write(office.path(DATABASE), bytes).expect("written"),
            None => std::fs::remove_file(office.path(DATABASE)).expect("removed"),
        }
        for arguments in COMMANDS.into_iter().chain([&["init"][..]]) {
            let looks_over = arguments[0] == "doctor" && name == "older";
            let says = if arguments[0] == "init" && bytes.is_some() { "已有数据库" } else { says };
            if !looks_over {
                office.run(arguments, 2, says);
            }
            let now = std::fs::read(office.path(DATABASE)).ok();
            if !looks_over {
                assert_eq!(now.as_deref(), bytes, "{name}: {arguments:?} has written");
            }
        }
    }
    std::fs::write(office.path(DATABASE), &whole).expect("written");
    office.run(&["doctor"], 0, "数据完好");
}

#[test]
fn a_database_of_another_county_is_refused_before_anything_is_written() {
    let office = Office::new();
    let before = office.database();
    for arguments in COMMANDS {
        let output = office.command(arguments).env("TAIZHANG_COUNTY_CODE", "340100").output().expect("runs");
        expect(&output, arguments, 2, "340099");
        assert_eq!(office.database(), before, "{arguments:?} has written");
    }
    office.run(&["doctor"], 0, "单位 units 1，");
}

#[test]
fn a_lost_log_is_noticed_and_can_be_gone_on_without() {
    let office = Office::new();
    let server = office.serve();
    office.add_person("zhang");
    server.kill();
    let log = office.path("data/taizhang.sqlite-wal");
    assert!(std::fs::metadata(&log).expect("a log").len() > 0);
    std::fs::remove_file(&log).expect("removed");
    drop(std::fs::remove_file(office.path("data/taizhang.sqlite-shm")));
    for arguments in [&["imports"][..], &["serve", "--listen", "127.0.0.1:0"], &["person", "list"]] {
        office.run(arguments, 2, "doctor --accept-older");
    }
    office.run(&["doctor"], 1, "doctor --accept-older");
    office.run(&["imports"], 2, "doctor --accept-older");
    office.run(&["doctor", "--accept-older"], 0, "已接受现有数据库");
    office.run(&["audit", "list"], 0, "older-accepted");
    office.run(&["imports"], 0, "");
    office.run(&["doctor"], 0, "数据完好");
}

#[test]
fn a_copy_of_the_file_without_its_log_is_no_copy() {
    let office = Office::new();
    let server = office.serve();
    office.add_person("zhang");
    until("the file says that it needs its log", || office.database()[60..64] == [0, 0, 0, 1]);
    let copy = |name: &str, endings: &[&str]| {
        std::fs::create_dir(office.path(name)).expect("folder");
        let files = endings.iter().map(|ending| format!("taizhang.sqlite{ending}"));
        for file in files.chain(["keys.json".to_owned(), DOCUMENT_KEYS.to_owned()]) {
            std::fs::copy(office.path("data").join(&file), office.path(name).join(&file)).expect("copied");
        }
    };
    copy("alone", &[""]);
    copy("whole", &["", "-wal"]);
    office.run(&["--data", "alone", "imports"], 2, "缺少日志文件");
    office.run(&["--data", "alone", "doctor"], 1, "缺少日志文件");
    office.run(&["--data", "alone", "doctor", "--accept-older"], 0, "已接受");
    office.run(&["--data", "alone", "doctor"], 0, "数据完好");
    office.run(&["--data", "whole", "person", "list"], 0, "zhang");
    office.run(&["--data", "whole", "doctor"], 0, "数据完好");
    // Killed and started again it is whole, and ended in order its file alone is.
    server.kill();
    office.run(&["doctor"], 0, "数据完好");
    copy("later", &[""]);
    office.run(&["--data", "later", "person", "list"], 0, "zhang");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_that_opens_the_database_is_not_the_last_to_close_it() {
    let office = Office::new();
    let password = office.add_person("zhang");
    let server = office.serve();
    // Until the server has looked at its own file, which must not cost it its lock.
    assert!((200..300).contains(&server.sign_in("zhang", &password).await));
    until("the file says that it needs its log", || office.database()[60..64] == [0, 0, 0, 1]);
    std::thread::sleep(Duration::from_secs(2));
    for _ in 0..3 {
        // What SQLite's shell does for a backup: it opens, reads, and closes.
        let hand = Hand::on(&office.path(DATABASE)).await.expect("opens");
        hand.content().await.expect("reads");
        hand.close().await;
        assert!(office.path(&format!("{DATABASE}-wal")).exists(), "the log is the server's");
        assert!((200..300).contains(&server.sign_in("zhang", &password).await), "and it goes on saving");
    }
    server.kill();
    office.run(&["doctor"], 0, "数据完好");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_file_is_replaced_saves_nothing_more() {
    let other = Office::new();
    let office = Office::new();
    let password = office.add_person("zhang");
    let server = office.serve();
    let before = server.sign_in("zhang", &password).await;
    assert!((200..300).contains(&before), "{before}");
    let log = || std::fs::read_to_string(&server.log).expect("a log");
    assert!(!log().contains("被移走或替换"), "{}", log());
    std::fs::rename(office.path(DATABASE), office.path("data/right.sqlite")).expect("moved");
    std::fs::rename(other.path(DATABASE), office.path(DATABASE)).expect("moved");
    let foreign = office.database();
    assert_eq!(server.sign_in("zhang", &password).await, 503, "it is noticed before anything is saved");
    until("it says why", || log().contains("被移走或替换"));
    assert_eq!(server.sign_in("zhang", &password).await, 503, "and it stays so");
    assert_eq!(office.database(), foreign, "nothing is written into another's file");
    server.kill();
    office.run(&["imports"], 2, "安装编号不同");
}

#[test]
fn one_server_runs_on_a_folder_and_commands_beside_it() {
    let office = Office::new();
    let server = office.serve();
    office.run(&["serve", "--listen", "127.0.0.1:0"], 2, "已有服务");
    office.run(&["doctor", "--repair"], 2, "请先停止服务");
    office.add_person("zhang");
    office.run(&["person", "list"], 0, "zhang");
    server.kill();
    let server = office.serve();
    server.kill();
    office.run(&["doctor", "--repair"], 0, "数据完好");
}

#[test]
fn what_cannot_be_noted_outside_keeps_nobody_from_saving() {
    let office = Office::new();
    // A folder where the file should be: it can neither be read nor replaced.
    let outside = office.path("data/high-water.json");
    std::fs::remove_file(&outside).expect("there");
    std::fs::create_dir(&outside).expect("folder");
    office.add_person("zhang");
    office.run(&["person", "list"], 0, "zhang");
    std::fs::remove_dir(&outside).expect("removed");
    // Nor does one that was torn.
    std::fs::File::create(&outside).and_then(|mut file| file.write_all(b"{\"seq\"")).expect("written");
    office.add_person("wang");
    let noted = std::fs::read_to_string(&outside).expect("text");
    assert!(noted.contains("\"audit\":2"), "it is noted anew: {noted}");
}

#[test]
fn an_office_makes_its_store_by_init_or_join_only() {
    let folder = tempfile::tempdir().expect("folder");
    let run = |data: &str, arguments: &[&str], code: i32, says: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taizhang-import"));
        let output = command.args(["--data", data]).args(arguments).current_dir(folder.path()).output().expect("runs");
        expect(&output, arguments, code, says)
    };
    for arguments in
        [&["plan", "a.xlsx"][..], &["apply", "a.xlsx"], &["watch", "."], &["imports"], &["bundle", "a.tzb"]]
    {
        run("office", arguments, 2, "请先运行 init");
        assert!(!Path::new(&folder.path().join("office")).exists(), "{arguments:?}");
    }
    run("office", &["init"], 0, "已新建");
    run("office", &["imports"], 0, "");
    let county = Office::new();
    let keys = county.run(&["keys"], 0, "");
    let keys = keys.split_whitespace().last().expect("keys").to_owned();
    run("joined", &["join", "token", &keys], 0, "已登记");
    run("joined", &["imports"], 0, "");
}
