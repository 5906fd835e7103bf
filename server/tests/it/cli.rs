//! The command line, as the administrator types it.

use std::process::{Command, Output};

use tempfile::TempDir;

fn taizhang(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_taizhang")).args(arguments).current_dir(folder.path()).output().expect("runs")
}

/// A folder with a new county in it.
fn county() -> TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let made = taizhang(&folder, &["init"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn mistakes_are_answered_with_a_sentence_and_exit_code_two() {
    let folder = county();
    std::fs::write(folder.path().join("page.xls"), "<list><item>1</item></list>").expect("file");
    std::fs::write(folder.path().join("broken.toml"), "county_code = \"12\"").expect("file");
    let cases: [(&[&str], i32, &str); 7] = [
        (&["return", "R99"], 2, "没有这张报表或台账"),
        (&["return", "R03", "--set", "round=sometime"], 2, "initial, mid, final, adhoc"),
        (&["return", "R03", "--set", "color=red"], 2, "color"),
        (&["import", "page.xls"], 1, "另存为 .xlsx"),
        (&["import", "missing.xlsx"], 1, "无法打开文件"),
        (&["--config", "broken.toml", "doctor"], 2, "6位行政区划代码"),
        (&["device", "手机", "--owner", "张三", "--unit", "404"], 2, "没有编码为 404 的单位"),
    ];
    for (arguments, code, expected) in cases {
        let output = taizhang(&folder, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn an_empty_county_is_sound_and_still_prints_its_return() {
    let folder = county();
    let doctor = taizhang(&folder, &["doctor", "--json"]);
    assert_eq!(doctor.status.code(), Some(0));
    let diagnosis: serde_json::Value = serde_json::from_slice(&doctor.stdout).expect("JSON");
    assert_eq!(diagnosis["wrong"], serde_json::json!([]));
    let drawn = taizhang(&folder, &["return", "R03", "--date", "2012-04-30", "--json"]);
    assert_eq!(drawn.status.code(), Some(0), "{}", text(&drawn.stderr));
    let drawn: serde_json::Value = serde_json::from_slice(&drawn.stdout).expect("JSON");
    let path = folder.path().join(drawn["path"].as_str().expect("a path"));
    assert!(path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("基组年03表_")));
    assert!(path.is_file());
}

#[test]
fn somebody_is_added_changed_disabled_and_enabled_again() {
    let folder = county();
    let cases: [(&[&str], i32, &str); 10] = [
        (&["person", "add", "lina", "--full-name", "李娜", "--role", "office-clerk"], 0, ""),
        (&["person", "change", "lina", "--full-name", "李丽娜", "--handler", "true"], 0, "李丽娜 · office-clerk"),
        (&["person", "change", "lina", "--role", "county-supervisor"], 2, "该角色不能担任专人"),
        (&["person", "change", "lina", "--role", "county-supervisor", "--handler", "false"], 0, "county-supervisor"),
        (&["person", "change", "lina", "--unit", "404"], 2, "没有编码为 404 的单位"),
        (&["person", "change", "nobody", "--full-name", "某人"], 2, "没有此登录名"),
        (&["person", "enable", "lina"], 0, "没有停用"),
        (&["person", "disable", "lina"], 0, "已停用"),
        (&["person", "enable", "lina"], 0, "已恢复使用"),
        (&["person", "list"], 0, "lina · 李丽娜 · county-supervisor · 示范县\n"),
    ];
    for (arguments, code, expected) in cases {
        let output = taizhang(&folder, arguments);
        let said = text(&[output.stdout, output.stderr].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn keys_are_copied_elsewhere_and_doctor_says_when_the_copy_is_old() {
    let folder = county();
    let run = |arguments: &[&str], code: i32| {
        let output = taizhang(&folder, arguments);
        let said = text(&[output.stdout, output.stderr].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    };
    let members = "党组织编码|党组织名称|姓名|身份证号|出生日期\nA1|白水村党支部|李四|340099198102020013|1981-02-02";
    let branches = "党组织编码|党组织名称|组织类别|填报单位\nA1|白水村党支部|党支部|青山镇党委";
    let units = "填报单位代码|填报单位名称|单位类别\nT1|青山镇党委|乡镇";
    for (name, sheet) in [("units", units), ("branches", branches), ("members", members)] {
        let workbook = tests::sheet::workbook(&[(name, sheet)]).expect("a workbook");
        std::fs::write(folder.path().join(format!("{name}.xlsx")), workbook).expect("file");
    }
    assert!(run(&["doctor"], 0).contains("密钥还没有另存过"));
    assert!(run(&["keys", "copy", "data/inside"], 2).contains("请另存到数据文件夹之外"));
    assert!(run(&["keys", "copy", "safe"], 0).contains("密钥已另存"));
    assert!(!run(&["doctor"], 0).contains("keys copy"), "it is the newest");
    let imported = taizhang(&folder, &["import", "units.xlsx", "branches.xlsx", "members.xlsx"]);
    let said = text(&imported.stdout);
    assert!(said.contains("members.xlsx: 新增 added 1"), "{said}{}", text(&imported.stderr));
    assert!(run(&["doctor"], 0).contains("另存以后又有变化"));
    run(&["keys", "copy", "safe"], 0);
    // The disk is another one: a backup of the database, and the copy of the keys.
    for name in ["keys.json", "document-keys.bin"] {
        std::fs::remove_file(folder.path().join("data").join(name)).expect("there");
    }
    run(&["doctor"], 1);
    for name in ["keys.json", "document-keys.bin"] {
        std::fs::copy(folder.path().join("safe").join(name), folder.path().join("data").join(name)).expect("copied");
    }
    assert!(run(&["doctor"], 0).contains("数据完好"));
}

#[test]
fn help_is_in_chinese_and_english_and_names_the_exit_codes() {
    let folder = tempfile::tempdir().expect("folder");
    let help = text(&taizhang(&folder, &["--help"]).stdout);
    for expected in ["导入台账工作簿", "Import ledger workbooks", "退出码"] {
        assert!(help.contains(expected), "{help}");
    }
}

#[test]
fn the_table_of_requirements_is_fresh_and_complete() {
    let folder = tempfile::tempdir().expect("folder");
    let printed = text(&taizhang(&folder, &["catalogue", "requirements"]).stdout);
    let committed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/requirements.md")).expect("docs");
    assert_eq!(printed, committed, "run `taizhang catalogue requirements > docs/requirements.md`");
    let rows: Vec<Vec<&str>> =
        printed.lines().filter(|l| l.contains("(T1)")).map(|l| l.split(" | ").collect()).collect();
    assert!(rows.len() > 40, "{} rows", rows.len());
    for row in rows {
        assert!(row[2].len() > 3 && row[6].contains('`'), "a T1 requirement without ledger or test: {row:?}");
        let measured = row[3] != "—" || row[4] != "—";
        assert!(measured || row[0].contains("1.2"), "a T1 requirement without return or indicator: {row:?}");
    }
}

#[test]
fn a_countys_own_catalogue_is_checked_with_file_and_line() {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::write(folder.path().join("good.toml"), "[parameters]\nconversion_deadline = \"11-08\"\n").expect("file");
    std::fs::write(folder.path().join("bad.toml"), "[[measure]]\nid = \"x\"\ntitle = \"x\"\nledger = \"member\"\n")
        .expect("file");
    let good = taizhang(&folder, &["catalogue", "check", "good.toml"]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stdout));
    let bad = taizhang(&folder, &["catalogue", "check", "good.toml", "bad.toml"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stdout).contains("bad.toml:4: unknown ledger `member`"), "{}", text(&bad.stdout));
    let shown = text(&taizhang(&folder, &["catalogue", "show", "grading"]).stdout);
    assert!(shown.contains("审定等次") && shown.contains("advanced=先进"), "{shown}");
}

#[test]
fn a_file_that_kills_its_reader_is_refused_and_the_others_are_imported() {
    let folder = county();
    let large = folder.path().join("large.csv");
    std::fs::write(&large, "1,2,3,4,5,6,7,8,9,10\n".repeat(300_000)).expect("file");
    let units = "单位编码|单位名称|单位简称|单位级别|排序\n001|中共青山镇委员会|青山镇|乡镇党委|1";
    let small = tests::sheet::workbook(&[("填报单位名录", units)]).expect("a workbook");
    std::fs::write(folder.path().join("small.xlsx"), small).expect("file");
    let output = Command::new(env!("CARGO_BIN_EXE_taizhang"))
        .args(["import", "large.csv", "small.xlsx"])
        .env("TAIZHANG_READ_MEMORY_MIB", "80")
        .current_dir(folder.path())
        .output()
        .expect("runs");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(err.contains("large.csv: 读取文件时超出内存或时间限制"), "{err}");
    assert!(out.contains("small.xlsx: 新增 added 1"), "the other file goes on: {out}{err}");

    let read = Command::new(env!("CARGO_BIN_EXE_taizhang"))
        .args(["read-workbook", "--memory-mib", "1024"])
        .stdin(std::fs::File::open(&large).expect("file"))
        .output()
        .expect("runs");
    assert_eq!(read.status.code(), Some(0), "with more memory it is read");
}

#[test]
fn files_may_come_in_any_order() {
    let folder = county();
    for (name, sheet, text) in [
        (
            "1.xlsx",
            "党员",
            "党组织名称|姓名|性别|出生日期|党员类别|入党时间\n东村党支部|张三|男|1980-01-01|预备|2011-05",
        ),
        (
            "2.xlsx",
            "党组织",
            "填报单位|党组织编码|党组织名称|组织类别|所属领域|正式党员数\n青山镇|0001|东村党支部|党支部|农村|5",
        ),
        ("3.xlsx", "名录", "单位编码|单位名称|单位简称|单位级别|排序\n001|中共青山镇委员会|青山镇|乡镇党委|1"),
    ] {
        std::fs::write(folder.path().join(name), tests::sheet::workbook(&[(sheet, text)]).expect("a workbook"))
            .expect(name);
    }
    let output = taizhang(&folder, &["import", "1.xlsx", "2.xlsx", "3.xlsx", "--json"]);
    let reports: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let added: Vec<_> = reports.iter().map(|report| report["counts"]["added"].as_u64()).collect();
    assert_eq!(added, [Some(1), Some(1), Some(1)], "{reports:#?}");
}

/// An office without a network: a store of its own, and a folder that it watches.
#[test]
fn an_office_imports_into_its_own_store_and_watches_a_folder() {
    use std::io::{BufRead, BufReader};

    let folder = tempfile::tempdir().expect("folder");
    let office = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_taizhang-import"));
        command.args(["--data", "office"]).args(arguments).current_dir(folder.path());
        command
    };
    let run = |arguments: &[&str], code: i32| {
        let output = office(arguments).output().expect("runs");
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    };
    let write = |name: &str, sheet: &str| {
        let bytes = tests::sheet::workbook(&[("表", sheet)]).expect("workbook");
        std::fs::write(folder.path().join(name), bytes).expect("file");
    };
    write("units.xlsx", "填报单位名录\n单位代码|单位名称|单位简称\n340099101|中共青山镇委员会|青山镇");
    write("branches.xlsx", "党组织台账\n填报单位|党组织编码|党组织名称|组织类别\n青山镇|01-001|青石村党支部|党支部");
    write("wrong.xlsx", "党组织台账\n党组织编码|党组织名称|组织类别\n01-002|白石村党支部|党支部");
    assert!(run(&["inspect", "branches.xlsx"], 0).contains("基层党组织基本情况台账"));
    assert!(run(&["init"], 0).contains("已新建"));
    assert!(run(&["plan", "units.xlsx"], 0).contains("将新增 would add 1"));
    assert!(run(&["apply", "branches.xlsx", "units.xlsx"], 0).contains("branches.xlsx: 新增 added 1"));
    assert!(run(&["apply", "wrong.xlsx", "--findings", "marked"], 1).contains("没有写明党组织或填报单位"));
    assert!(folder.path().join("marked/wrong_问题.xlsx").is_file());
    assert!(run(&["apply", "units.xlsx"], 0).contains("以前导入过"));

    let inbox = folder.path().join("inbox");
    std::fs::create_dir(&inbox).expect("inbox");
    let mut watch =
        office(&["watch", "inbox", "--every-seconds", "1"]).stdout(std::process::Stdio::piped()).spawn().expect("runs");
    let mut lines = BufReader::new(watch.stdout.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    assert!(lines.next().is_some_and(|line| line.contains("正在等待文件")));
    write("inbox/~$open.xlsx", "党员花名册\n党组织编码|姓名|出生日期\n01-001|某某|1980-01-01");
    write("inbox/members.xlsx", "党员花名册\n党组织编码|姓名|出生日期|入党时间\n01-001|张三|1980-01-01|2001.2.30");
    assert!(lines.next().is_some_and(|line| line.contains("members.xlsx: 新增 added 1")));
    assert!(lines.next().is_some_and(|line| line.contains("不是有效日期")));
    write("inbox/more.xlsx", "党员花名册\n党组织编码|姓名|出生日期|入党时间\n01-001|李四|1981-01-01|2001.2.3");
    assert!(lines.next().is_some_and(|line| line.contains("more.xlsx: 新增 added 1")));
    watch.kill().and_then(|()| watch.wait()).expect("ends");
    assert!(inbox.join("问题/members_问题.xlsx").is_file());

    let imports = run(&["imports"], 0);
    let id = imports.lines().find(|line| line.contains("more.xlsx")).and_then(|line| line.split(' ').next());
    assert!(run(&["undo", id.expect("an id")], 0).contains("已撤销"));
    assert!(run(&["doubts"], 0).contains("0 条待确认"));
    assert!(run(&["decide", "0000000000000000", "new"], 2).contains("没有这条待确认记录"));
}
