//! What is a value and what is none, and whose row it is: files imported one after the other into the documents of a branch.

use std::collections::BTreeMap;

use importer::{Finding, Importer, Memory, UnitDocuments, UnitPlan, memory::Decision};
use sync_protocol::{
    ActorId, Book, Identity, Row, Tenant, UnitId, Value,
    catalogue::{Catalogue, ColumnType},
    checks::id_card_check,
    conflict::{Means, Provenance},
    document::Author,
};

use crate::support::{branch_register, read, workbook};

const BRANCH: &str = "青石村党支部";
const HEADER: &str = "党组织名称|姓名|性别|身份证号|出生日期|人员类别|入党时间|手机号码|家庭住址";

/// A branch and its documents.
struct Branch {
    catalogue: Catalogue,
    documents: UnitDocuments,
    memory: Memory,
}

impl Branch {
    fn open() -> Self {
        let unit = UnitId::derive(&Tenant::new("340099"), None, BRANCH);
        Self { catalogue: Catalogue::builtin(), documents: UnitDocuments::none(unit), memory: Memory::default() }
    }

    /// What a file would write.
    fn plan(&self, text: &str) -> UnitPlan {
        let tenant = Tenant::new("340099");
        let county = UnitId::derive(&tenant, None, "340099");
        let register = branch_register(&tenant, county, "青山镇", BRANCH);
        let importer =
            Importer::new(&self.catalogue, tenant, county, 2012, Some(vec![1; 32])).with_memory(&self.memory);
        let book = read(&workbook(&[("党员花名册", text, &[])]));
        let (tables, _) = importer.detect(&book);
        assert_eq!(tables.len(), 1, "{text}");
        let grouped = importer.group(&book, &tables, &register);
        let rows = grouped.units.get(&self.documents.unit).cloned().unwrap_or_default();
        importer.plan(&book, &tables, &rows, &self.documents)
    }

    /// Imports members: one line each, the branch's name before it.
    fn members(&mut self, lines: &[&str]) -> UnitPlan {
        let lines: Vec<String> = lines.iter().map(|line| format!("{BRANCH}|{line}")).collect();
        self.import(&format!("{HEADER}\n{}", lines.join("\n")))
    }

    fn import(&mut self, text: &str) -> UnitPlan {
        let plan = self.plan(text);
        for (book, edits) in &plan.edits {
            let identity = Identity { unit: self.documents.unit, book: *book, period: "2012".into() };
            let author = Author {
                actor: ActorId([u8::from(book.is_restricted()) + 7; 16]),
                provenance: Provenance { who: "县".into(), how: Means::Import, source: None },
                time_s: 0,
            };
            let document = self.documents.books.entry(*book).or_default();
            document.write(&identity, edits, &author).expect("written");
        }
        plan
    }

    /// The rows, both books joined.
    fn rows(&self) -> Vec<Row> {
        let mut rows: BTreeMap<_, Row> = BTreeMap::new();
        for document in self.documents.books.values() {
            for (id, row) in document.rows("members") {
                rows.entry(id).or_insert_with(|| Row::new(id)).cells.extend(row.cells);
            }
        }
        rows.into_values().collect()
    }

    /// These columns of every member, sorted.
    fn says(&self, columns: &[&str]) -> Vec<String> {
        let line = |row: &Row| columns.iter().map(|column| row.text(column)).collect::<Vec<_>>().join(" ");
        let mut lines: Vec<String> = self.rows().iter().map(line).collect();
        lines.sort();
        lines
    }
}

/// An identity number with its check character.
fn card(body: &str) -> String {
    format!("{body}{}", id_card_check(body).expect("17 digits"))
}

fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_placeholder_is_no_identity() {
    let lost = ["3.40099E+17", "3.40099e+17", "３．４００９９Ｅ＋１７", "340099199001010000", "340099********", "***"];
    let none = [
        "待补",
        "待补充",
        "补办中",
        "无",
        "不详",
        "111111111111111111",
        "000000000000000000",
        "34009919900101001",
        "A",
    ];
    for number in lost.into_iter().chain(none) {
        let mut branch = Branch::open();
        branch.members(&[&format!("欧阳试一|男|{number}|1970.01|正式|1995-07-01|13900090001|青石村1组")]);
        let second = branch.members(&[&format!("司马试二|女|{number}|1980.02|正式|1996-07-01|13900090002|青石村2组")]);
        assert_eq!((second.counts.added, second.counts.changed), (1, 0), "{number}: {:?}", second.findings);
        let says = ["欧阳试一 1 1970-01 13900090001", "司马试二 2 1980-02 13900090002"].map(str::to_owned);
        let mut says = says.to_vec();
        says.sort();
        assert_eq!(branch.says(&["name", "sex", "birth_date", "phone"]), says, "{number}");
        // The same file again finds both, each by its next key.
        let again = branch.members(&[&format!("司马试二|女|{number}|1980.02|正式|1996-07-01|13900090002|青石村2组")]);
        assert_eq!((again.counts.added, again.counts.unchanged), (0, 1), "{number}: {:?}", again.findings);
        if lost.contains(&number) {
            assert!(branch.rows().iter().all(|row| row.get("id_card").is_none()), "{number} is no value");
        }
        // The number turns up: it is the row's own.
        let good = card("34009919800201002");
        let third = branch.members(&[&format!("司马试二|女|{good}|1980.02|正式|1996-07-01|13900090002|青石村2组")]);
        if number == "34009919900101001" {
            assert_eq!(third.counts.doubtful, 1, "another number, even if it is wrong, is asked about");
        } else {
            assert_eq!((third.counts.added, third.counts.changed), (0, 1), "{number}: {:?}", third.findings);
        }
    }
}

#[test]
fn two_persons_without_a_usable_key_stay_two() {
    let mut branch = Branch::open();
    let plan = branch.members(&["欧阳试一|男|待补|||||", "欧阳试一|男|待补||||13900090002|"]);
    assert_eq!(plan.counts.added, 2, "{:?}", plan.findings);
    let told = plan.findings.iter().find(|finding| finding.code == "no-key").expect("said");
    assert!(!told.column.is_empty() && told.read.contains("欧阳试一"), "{told:?}");
    // A number of which nothing is left is no reason to leave out somebody who is named.
    let plan = branch.members(&["司马试二|男|340099********|||||", "上官试三|男|3.40099E+17|||||"]);
    assert_eq!((plan.counts.added, plan.counts.refused), (2, 0), "{:?}", plan.findings);
    // A wrong number and the same name again, other things changed: it may be the same person.
    let mut branch = Branch::open();
    branch.members(&["欧阳试一|男|34009919900101001|||||"]);
    let again = branch.members(&["欧阳试一|男|34009919900101001|||||"]);
    assert_eq!((again.counts.unchanged, again.counts.doubtful), (1, 0), "{:?}", again.findings);
    let moved = branch.members(&["欧阳试一|男|34009919900101001||||13900090001|"]);
    assert_eq!((moved.counts.added, moved.counts.doubtful), (0, 1), "{:?}", moved.findings);
    let other = branch.members(&["司马试二|男|34009919900101001||||13900090001|"]);
    assert_eq!((other.counts.added, other.counts.doubtful), (1, 0), "{:?}", other.findings);
}

#[test]
fn a_key_that_meets_somebody_else_waits_for_a_person() {
    let number = card("34009919700101011");
    let first = format!("欧阳试一|男|{number}|1970.01|正式|1995-07-01|13900090001|青石村1组");
    for (second, differing) in [
        (format!("司马试二|女|{number}|1970.01|正式|1995-07-01|13900090002|青石村1组"), Some("姓名、性别")),
        (format!("司马试二|男|{number}|1970.01|正式|1995-07-01|13900090002|青石村1组"), Some("姓名")),
        (format!("欧阳试一|女|{number}|1970.01|正式|1995-07-01|13900090002|青石村1组"), Some("性别")),
        (format!("欧阳试一|男|{number}|1985.03|正式|1995-07-01|13900090002|青石村1组"), Some("出生日期")),
        (format!("欧阳试一|男|{number}|1970.01.01|正式|1995-07-01|13900090002|青石村1组"), None),
        (format!("欧阳　试一|男|{number}|1970.01|正式|1995-07-01|13900090002|青石村1组"), None),
        (format!("欧阳试一（曾用名：欧阳一）|男|{number}|1970.01|正式|1995-07-01|13900090002|青石村1组"), None),
        (format!("|男|{number}|1970.01|正式|1995-07-01|13900090002|青石村1组"), None),
    ] {
        let mut branch = Branch::open();
        branch.members(&[&first]);
        let plan = branch.members(&[&second]);
        let Some(differing) = differing else {
            assert_eq!((plan.counts.changed, plan.counts.doubtful), (1, 0), "{second}: {:?}", plan.findings);
            continue;
        };
        assert_eq!((plan.counts.added, plan.counts.changed, plan.counts.doubtful), (0, 0, 1), "{second}");
        assert_eq!(branch.says(&["name", "phone"]), ["欧阳试一 13900090001"], "the first stays as it was");
        let told = plan.findings.iter().find(|finding| finding.code == "other-person").expect("said");
        assert!(told.message.contains(differing) && told.message.contains("欧阳试一"), "{}", told.message);
        let [doubt] = plan.doubts.as_slice() else { panic!("{:?}", plan.doubts) };
        assert_eq!(doubt.candidates.len(), 1);
        // It is somebody else: both stay, and nothing is asked again, of neither.
        branch.memory.decide(doubt.id, Decision::New);
        let plan = branch.members(&[&second]);
        assert_eq!((plan.counts.added, plan.counts.doubtful), (1, 0), "{second}: {:?}", plan.findings);
        let both = branch.members(&[&first, &second]);
        assert_eq!((both.counts.unchanged, both.counts.doubtful), (2, 0), "{second}: {:?}", both.findings);
    }
    // It is the same: it is written, and asked no more.
    let mut branch = Branch::open();
    branch.members(&[&first]);
    let second = format!("司马试二|女|{number}|1970.01|正式|1995-07-01|13900090002|青石村1组");
    let plan = branch.members(&[&second]);
    let doubt = &plan.doubts[0];
    branch.memory.decide(doubt.id, Decision::Same(doubt.candidates[0].row));
    assert_eq!(branch.members(&[&second]).counts.changed, 1);
    assert_eq!(branch.says(&["name", "phone"]), ["司马试二 13900090002"]);
    assert_eq!(branch.members(&[&second]).counts.unchanged, 1);
}

#[test]
fn two_names_under_one_number_in_one_file_are_asked_about_each() {
    let number = card("34009919700101011");
    let mut branch = Branch::open();
    let line = |name: &str, phone: &str| format!("{name}|男|{number}||正式||{phone}|");
    let lines = [line("欧阳试一", "13900090001"), line("司马试二", "13900090002"), line("上官试三", "13900090003")];
    let plan = branch.members(&[&lines[0], &lines[1], &lines[2]]);
    assert_eq!((plan.counts.added, plan.counts.doubtful, plan.counts.refused), (1, 2, 0), "{:?}", plan.findings);
    assert_ne!(plan.doubts[0].id, plan.doubts[1].id, "two questions");
    let record = &plan.doubts[0].candidates[0].record;
    assert!(record.contains("欧阳试一"), "{record}");
    // Sent in again, it asks the same two questions.
    let again = branch.members(&[&lines[0], &lines[1], &lines[2]]);
    assert_eq!(
        again.doubts.iter().map(|d| d.id).collect::<Vec<_>>(),
        plan.doubts.iter().map(|d| d.id).collect::<Vec<_>>()
    );
    for doubt in &plan.doubts {
        branch.memory.decide(doubt.id, Decision::New);
    }
    let done = branch.members(&[&lines[0], &lines[1], &lines[2]]);
    assert_eq!((done.counts.added, done.counts.unchanged, done.counts.doubtful), (2, 1, 0), "{:?}", done.findings);
    assert_eq!(branch.rows().len(), 3);
}

#[test]
fn the_same_row_twice_in_a_file_is_named_with_what_it_says() {
    let mut branch = Branch::open();
    let line = "欧阳试一|男||1970.01|正式|1995-07-01|13900090001|";
    let plan = branch.members(&[line, line]);
    let told = plan.findings.iter().find(|finding| finding.code == "duplicate-row").expect("said");
    assert!(told.read.contains("欧阳试一") && !told.column.is_empty() && told.cell.ends_with('3'), "{told:?}");
}

#[test]
fn a_bad_number_never_takes_the_place_of_a_good_one() {
    let good = card("34009919700101011");
    let zeroed = format!("{}000", &good[..15]);
    let mut branch = Branch::open();
    branch.members(&[&format!("欧阳试一|男|{good}|1970.01|正式|1995-07-01|13900090001|青石村1组")]);
    for (number, phone, expected) in [
        (good.as_str(), "1.39E+10", "precision-lost"),
        (&good, "1.39e10", "precision-lost"),
        (&good, "１．３９Ｅ＋１０", "precision-lost"),
        (&good, "13900000000", "precision-lost"),
        (&good, "138****5678", "masked"),
        (&good, "问村里", "kept-valid"),
        (&good, "12345", "kept-valid"),
        ("3.40099E+17", "", "precision-lost"),
        (&zeroed, "", "precision-lost"),
        ("340099********0115", "", "masked"),
        ("待补", "", "kept-valid"),
    ] {
        let plan = branch.members(&[&format!("欧阳试一|男|{number}|1970.01|正式|1995-07-01|{phone}|青石村1组")]);
        assert_eq!((plan.counts.unchanged, plan.changes.len()), (1, 0), "{number} {phone}: {:?}", plan.findings);
        assert_eq!(codes(&plan.findings), [expected], "{number} {phone}: {:?}", plan.findings);
        let [told] = plan.findings.as_slice() else { panic!("one finding") };
        assert!(!told.cell.is_empty() && !told.column.is_empty() && !told.read.is_empty(), "{told:?}");
        assert_eq!(branch.says(&["id_card", "phone"]), [format!("{good} 13900090001")], "{number} {phone}");
    }
    // Where there is none yet, what somebody wrote is kept; a good one takes its place.
    let mut branch = Branch::open();
    branch.members(&["欧阳试一|男||1970.01|正式|1995-07-01|问村里|青石村1组"]);
    assert_eq!(branch.says(&["phone"]), ["问村里"]);
    branch.members(&["欧阳试一|男||1970.01|正式|1995-07-01|13900090001|青石村1组"]);
    assert_eq!(branch.says(&["phone"]), ["13900090001"]);
}

#[test]
fn masked_text_is_a_value_in_no_column() {
    let catalogue = Catalogue::builtin();
    let branch = Branch::open();
    let importer = Importer::new(&catalogue, Tenant::new("340099"), branch.documents.unit, 2012, Some(vec![1; 32]));
    for masked in ["***", "●●●", "138****5678", "1980-01*", "3400**************", "340099********0013", "0551-*****67"]
    {
        for ledger in catalogue.ledgers() {
            let columns = ledger.columns.iter().filter(|column| !ledger.unit.names_unit(&column.key));
            let columns: Vec<_> = columns.collect();
            let header: Vec<&str> = columns.iter().map(|column| column.title.as_str()).collect();
            let cells: Vec<&str> = columns.iter().map(|_| masked).collect();
            let text = format!("{}\n{}|特长\n{}|{masked}", ledger.title, header.join("|"), cells.join("|"));
            let book = read(&workbook(&[("表", &text, &[])]));
            let (tables, _) = importer.detect(&book);
            let rows = importer::rows::all_rows(&tables);
            let plan = importer.plan(&book, &tables, &rows, &branch.documents);
            assert!(plan.edits.is_empty(), "{} {masked}: {:?}", ledger.id, plan.edits);
        }
    }
    // Over what is stored, in every kind of column at once, and under a header that nobody knows.
    let mut branch = Branch::open();
    let header = "党组织名称|姓名|出生日期|入党时间|家庭住址|工作单位|特长\n";
    let row = |address: &str, employer: &str, skill: &str| {
        format!("{header}{BRANCH}|张三|1980-01-01|2001-05|{address}|{employer}|{skill}")
    };
    branch.import(&row("青石村1组", "县农机站", "水电"));
    let before = branch.rows();
    for masked in ["***", "青石村***", "张**", "●●●", "＊＊", "xxxx", "6.2222E+18"] {
        let plan = branch.import(&row(masked, masked, masked));
        assert_eq!((plan.counts.unchanged, plan.changes.len()), (1, 0), "{masked}: {:?}", plan.findings);
        assert_eq!(plan.findings.len(), 3, "{masked}: {:?}", plan.findings);
        assert!(plan.findings.iter().all(|told| told.read == masked && !told.column.is_empty()), "{:?}", plan.findings);
        assert_eq!(branch.rows(), before, "{masked}");
    }
    let plan = branch.import(&row("青石村2*3米院内", "5*8 楼", "长*宽*高"));
    assert_eq!(plan.findings, [], "a star that multiplies is a star");
    assert_eq!(branch.says(&["address", "employer", "@extra/特长"]), ["青石村2*3米院内 5*8 楼 长*宽*高"]);
    let shown: Vec<(&str, &str)> = plan.changes.iter().map(|c| (c.before.as_str(), c.after.as_str())).collect();
    assert_eq!(
        shown,
        [("（已有值）", "（另一值）"), ("县农机站", "5*8 楼"), ("（已有值）", "长*宽*高")],
        "no change is shown as two equal texts"
    );
    // Masked names are no key: nobody is found by `张*`.
    let plan = branch.import(&row("青石村2组", "", "").replace("张三", "张*"));
    assert_eq!((plan.counts.added, plan.counts.changed, plan.counts.refused), (0, 0, 1), "{:?}", plan.findings);
    assert!(codes(&plan.findings).contains(&"hidden-key"), "{:?}", plan.findings);
}

#[test]
fn a_note_behind_a_name_is_kept_beside_it() {
    let mut branch = Branch::open();
    let plan = branch.members(&[
        "王某某（已故）|男||1970.01|正式|1995-07-01||",
        "李某某(女)|女||1971.01|正式|1995-07-01||",
        "*赵某某|男||1972.01|正式|1995-07-01||",
        "孙 某 某|男||1973.01|正式|1995-07-01||",
    ]);
    assert_eq!(plan.counts.added, 4, "{:?}", plan.findings);
    assert_eq!(branch.says(&["name", "@extra/姓名(备注)"]), ["孙某某 ", "李某某 女", "王某某 已故", "赵某某 *"]);
    assert_eq!(codes(&plan.findings), ["name-note"; 3], "{:?}", plan.findings);
    // Without the note it is the same person.
    let again = branch.members(&["王某某|男||1970.01|正式|1995-07-01|13900090001|"]);
    assert_eq!((again.counts.added, again.counts.changed), (0, 1), "{:?}", again.findings);
}

#[test]
fn a_name_that_was_stored_with_its_note_is_the_same_name() {
    let mut branch = Branch::open();
    branch.members(&["王某某|男||1970.01|正式|1995-07-01||"]);
    let [row] = branch.rows().try_into().expect("one row");
    let identity = Identity { unit: branch.documents.unit, book: Book::Unit, period: "2012".into() };
    let edit = sync_protocol::document::Edit {
        address: sync_protocol::Address::new("members", row.id, "name"),
        value: Value::text("王某某（已故）"),
    };
    let author = Author {
        actor: ActorId([9; 16]),
        provenance: Provenance { who: "县".into(), how: Means::Import, source: None },
        time_s: 0,
    };
    let document = branch.documents.books.get_mut(&Book::Unit).expect("a document");
    document.write(&identity, &[edit], &author).expect("written");
    let plan = branch.members(&["王 某某|男||1970.01|正式|1995-07-01|13900090001|"]);
    assert_eq!((plan.counts.added, plan.counts.changed), (0, 1), "{:?}", plan.findings);
}

#[test]
fn cells_that_cannot_all_be_true_are_told_when_they_are_imported() {
    let male = card("34009919700101011");
    for (line, expected) in [
        (format!("欧阳试一|女|{male}|1970.01|正式|1995-07-01||"), "性别与身份证号不一致"),
        (format!("欧阳试一|男|{male}|1985.3|正式|2005-07-01||"), "出生日期与身份证号不一致"),
        ("欧阳试一|男||1970.01|正式|1969-06-27||".to_owned(), "入党时未满18周岁"),
        ("欧阳试一|男||2020.5|正式|||".to_owned(), "日期晚于 2012 年"),
        ("欧阳试一|男||1970.01|正式|2035.7||".to_owned(), "日期晚于 2012 年"),
        (format!("欧阳试一|男|{male}|1970.01|正式|1995-07-01||"), ""),
        ("欧阳试一|男|待补|1970.01|正式|1995-07-01||".to_owned(), "身份证号有误"),
    ] {
        let plan = Branch::open().members(&[&line]);
        assert_eq!(plan.counts.added, 1);
        let told: Vec<&str> = plan.findings.iter().map(|finding| finding.message.as_str()).collect();
        match expected {
            "" => assert_eq!(told, [""; 0], "{line}"),
            _ => assert!(told.len() == 1 && told[0].contains(expected), "{line}: {told:?}"),
        }
    }
}

#[test]
fn hints_name_what_was_meant() {
    let mut branch = Branch::open();
    let text = format!("党组织名称|姓名|出生日期|学历|民族\n{BRANCH}|张三|1980-01-01|初中以下|汉族人");
    let plan = branch.import(&text);
    let told: Vec<&str> = plan.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert!(told.iter().any(|text| text.contains("可选：初级中学教育")), "{told:?}");
    assert!(told.iter().any(|text| text.contains("可选：汉族")), "{told:?}");
}

#[test]
fn every_type_of_number_that_is_a_key_has_its_check() {
    let catalogue = Catalogue::builtin();
    for ledger in catalogue.ledgers() {
        for column in ledger.keys.iter().flatten().filter_map(|key| ledger.column(key)) {
            let bad = match column.column_type {
                ColumnType::IdCard | ColumnType::Uscc => "11111111111111111A",
                ColumnType::Division | ColumnType::Phone => "000000",
                ColumnType::Text | ColumnType::Person | ColumnType::Ref(_) => "待补",
                _ => continue,
            };
            let value = Value::text(bad);
            let key = vec![column.key.clone()];
            assert_eq!(ledger.key_parts(&key, |_| Some(&value)), None, "{} {}", ledger.id, column.key);
        }
    }
}
