//! What people decide about files, in the workbook itself: what a header means, and whether two records are one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use importer::{
    ReadLimits, Workbook,
    workbook::{
        grid::Cell,
        write::{Book, Created, Out, Style},
    },
};
use server::{
    Server,
    doubts::{Choice, Decided, decide},
    import::{ImportReport, Source, findings_workbook, import_file},
};
use tests::{county, roster, sheet};

struct Office {
    folder: tempfile::TempDir,
    server: Server,
}

impl Office {
    async fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = county::open(&folder.path().join("data"), None).await?;
        server.store.put_units(&roster::units(&server.tenant, server.county, 1)).await?;
        Ok(Self { folder, server })
    }

    fn write(&self, name: &str, sheets: &[(&str, &str)]) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        let sheets: Vec<(&str, String)> =
            sheets.iter().map(|(name, text)| (*name, text.replace("CODE", &roster::branch_code(0)))).collect();
        let sheets: Vec<(&str, &str)> = sheets.iter().map(|(name, text)| (*name, text.as_str())).collect();
        std::fs::write(&path, sheet::workbook(&sheets)?)?;
        Ok(path)
    }

    async fn import(&self, path: &Path) -> Result<ImportReport> {
        let report = import_file(&self.server, path, "李干事", &|_, _| {}).await?;
        assert!(!report.already_imported, "{}", path.display());
        Ok(report)
    }

    /// The findings workbook of a report, in which somebody writes `answers` (sheet, row, column, text) and saves it anew.
    async fn answer(
        &self,
        path: &Path,
        report: &ImportReport,
        answers: &[(&str, u32, u16, &str)],
        name: &str,
    ) -> Result<PathBuf> {
        let drawn =
            findings_workbook(&self.server, Source::open(path).await?, report.findings.clone(), report.doubts.clone())
                .await?;
        let workbook = importer::read(&drawn, &ReadLimits::default())?;
        let path = self.folder.path().join(name);
        std::fs::write(&path, resave(&workbook, answers)?)?;
        Ok(path)
    }

    async fn members(&self, columns: &[&str]) -> Result<Vec<String>> {
        let unit = county::branch(&self.server, 0);
        let mut rows = std::collections::BTreeMap::new();
        for stored in self.server.store.rows("members", &self.server.period(), &[unit]).await? {
            let row = server::projection::row(stored.row, &stored.cells, stored.removed)?;
            rows.entry(stored.row).or_insert_with(|| sync_protocol::Row::new(stored.row)).cells.extend(row.cells);
        }
        let mut lines: Vec<String> = rows
            .into_values()
            .map(|row| columns.iter().map(|column| row.text(column)).collect::<Vec<_>>().join(" "))
            .collect();
        lines.sort();
        Ok(lines)
    }
}

/// The workbook as somebody saves it after typing into some cells.
fn resave(workbook: &Workbook, answers: &[(&str, u32, u16, &str)]) -> Result<Vec<u8>> {
    let mut book = Book::new("t", Created { unix_s: 0 })?;
    for sheet in &workbook.sheets {
        let mut page = book.sheet(&sheet.name)?;
        for index in 0..sheet.row_count() {
            for (column, cell) in sheet.row(index) {
                let out = match cell {
                    Cell::Text(id) => Out::Text(workbook.texts.get(*id).to_owned()),
                    Cell::Number { value, .. } => Out::Number(*value),
                    other => anyhow::bail!("{other:?} is not in these tests"),
                };
                page.put(sheet.row_number(index), *column, &out, Style::Plain)?;
            }
        }
        for (_, row, column, text) in answers.iter().filter(|(name, ..)| *name == sheet.name) {
            page.put(*row, *column, &Out::Text((*text).to_owned()), Style::Plain)?;
        }
    }
    Ok(book.bytes()?)
}

const HEADERS: &str = "党组织编码|姓名|身份证号|出生日期|党员类别|入党时间";

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_somebody_explained_once_is_known_from_then_on() -> Result<()> {
    let office = Office::open().await?;
    let odd = "支部编号|同志|何时生|啥时候入的|会啥\nCODE|张三|1980-01-01|2001-05|电工";
    let path = office.write("odd.xlsx", &[("名单", odd)])?;
    let report = office.import(&path).await?;
    assert_eq!(report.tables, [], "nobody can know these headers");

    let answers = [("列对应", 1, 5, "党员花名册"), ("列对应", 1, 6, "党组织编码"), ("列对应", 2, 6, "姓名")];
    let wrong = [("列对应", 3, 6, "生辰八字")];
    let answered = office.answer(&path, &report, &[&answers[..], &wrong[..]].concat(), "wrong.xlsx").await?;
    let refused = office.import(&answered).await?;
    assert_eq!(refused.tables, []);
    let codes: Vec<&str> = refused.findings.iter().map(|finding| finding.code).collect();
    assert!(codes.contains(&"bad-decision"), "{codes:?}");

    let right = [("列对应", 3, 6, "出生日期"), ("列对应", 4, 6, "入党时间")];
    let answered = office.answer(&path, &report, &[&answers[..], &right[..]].concat(), "right.xlsx").await?;
    let done = office.import(&answered).await?;
    assert_eq!(done.counts.added, 1, "{:?}", done.findings);
    assert_eq!(office.members(&["name", "birth_date", "joined_on"]).await?, ["张三 1980-01-01 2001-05"]);

    // From now on such a table needs no explanation, whatever the order of its columns.
    let next = "何时生|啥时候入的|支部编号|会啥|同志\n1981-02-02|2002-06|CODE|瓦工|李四";
    let done = office.import(&office.write("next.xlsx", &[("名单", next)])?).await?;
    assert_eq!(done.counts.added, 1, "{:?}", done.findings);
    assert!(done.findings.iter().any(|finding| finding.code == "remembered"));
    assert_eq!(office.members(&["name"]).await?, ["张三", "李四"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_values_decided_a_person_may_decide_otherwise() -> Result<()> {
    let office = Office::open().await?;
    // 手机号码 holds what the office calls its own number.
    let text = format!("{HEADERS}|手机号码\nCODE|张三||1980-01-01|正式|2001-05|A-17");
    let path = office.write("a.xlsx", &[("党员", &text)])?;
    let report = office.import(&path).await?;
    assert_eq!(office.members(&["name", "phone"]).await?, ["张三 A-17"]);
    let answered = office.answer(&path, &report, &[("列对应", 7, 6, "附加信息")], "b.xlsx").await?;
    let done = office.import(&answered).await?;
    let changed: Vec<&str> = done.findings.iter().map(|finding| finding.code).collect();
    assert!(changed.contains(&"remembered") && !changed.contains(&"bad-phone"), "{changed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubtful_row_waits_and_is_decided_in_the_sheet() -> Result<()> {
    let office = Office::open().await?;
    let first = format!("{HEADERS}\nCODE|张三|340099198001010014|1980-01-01|正式|2001-05");
    office.import(&office.write("first.xlsx", &[("党员", &first)])?).await?;
    // The same name and birthday under another number, and somebody who is in no doubt.
    let second = format!(
        "{HEADERS}\nCODE|张三|340099198001010030|1980-01-01|正式|2001-06\nCODE|李四|340099198102020013|1981-02-02|正式|2002-06"
    );
    let path = office.write("second.xlsx", &[("党员", &second)])?;
    let report = office.import(&path).await?;
    assert_eq!((report.counts.added, report.counts.doubtful), (1, 1), "{:?}", report.findings);
    assert_eq!(office.members(&["name", "joined_on"]).await?, ["张三 2001-05", "李四 2002-06"]);
    let waiting = office.server.store.doubts().await?;
    let [stored] = waiting.as_slice() else { panic!("{waiting:?}") };
    assert_eq!(stored.file, "second.xlsx");
    assert_eq!(stored.doubt.candidates.len(), 1);
    assert!(stored.doubt.record.contains("张三") && !stored.doubt.record.contains("19800101003"), "{stored:?}");
    // The file is not done: sent in again it asks the same question, and the list does not grow.
    assert_eq!(office.import(&path).await?.counts.doubtful, 1);
    assert_eq!(office.server.store.doubts().await?.len(), 1);

    let answered = office.answer(&path, &report, &[("疑似重复", 1, 7, "同一记录")], "answered.xlsx").await?;
    let done = office.import(&answered).await?;
    assert_eq!((done.counts.added, done.counts.changed, done.counts.doubtful), (0, 1, 0), "{:?}", done.findings);
    assert_eq!(office.members(&["name", "joined_on"]).await?, ["张三 2001-06", "李四 2002-06"]);
    assert_eq!(office.server.store.doubts().await?.len(), 0);
    assert!(office.server.store.waiting_file(&stored.digest).await?.is_none(), "nothing waits for it any more");
    // It is decided: the file asks no more.
    let again = office.import(&path).await?;
    assert_eq!((again.counts.unchanged, again.counts.doubtful), (2, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_row_is_written_alone_when_it_is_decided_later() -> Result<()> {
    let office = Office::open().await?;
    let text = |number: &str, joined: &str, post: &str| {
        format!(
            "{HEADERS}|工作岗位\nCODE|张三|{number}|1980-01-01|正式|{joined}|\nCODE|李四|340099198102020013|1981-02-02|正式|2002-06|{post}"
        )
    };
    let (old, new) = ("340099198001010014", "340099198001010030");
    office.import(&office.write("a.xlsx", &[("党员", &text(old, "2001-05", "务农"))])?).await?;
    office.import(&office.write("b.xlsx", &[("党员", &text(new, "2001-06", "教师"))])?).await?;
    // Meanwhile a later file says something else of the row that is in no doubt.
    office.import(&office.write("c.xlsx", &[("党员", &text(old, "2001-05", "会计"))])?).await?;
    let doubt = office.server.store.doubts().await?.pop().context("it waits")?.doubt.id;
    let other = sync_protocol::RowId::random([9; 10]);
    assert!(matches!(decide(&office.server, other, Choice::New, "王").await?, Decided::Unknown));
    let same_as_what = decide(&office.server, doubt, Choice::Same(Some(other)), "王").await?;
    assert!(matches!(same_as_what, Decided::Several(_)), "{same_as_what:?}");
    let Decided::Written(report) = decide(&office.server, doubt, Choice::New, "王").await? else {
        panic!("it is written")
    };
    assert_eq!((report.counts.added, report.counts.changed, report.counts.unchanged), (1, 0, 0));
    let members = office.members(&["name", "joined_on", "work_post"]).await?;
    assert_eq!(members, ["张三 2001-05 ", "张三 2001-06 ", "李四 2002-06 会计"]);
    assert_eq!(office.server.store.doubts().await?.len(), 0);
    // The file itself was never imported whole; now it is.
    let again = office.import(&office.folder.path().join("b.xlsx")).await?;
    assert_eq!((again.counts.added, again.counts.doubtful), (0, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_forgets_what_its_import_left_waiting() -> Result<()> {
    let office = Office::open().await?;
    let text = |number: &str| format!("{HEADERS}\nCODE|张三|{number}|1980-01-01|正式|2001-05");
    office.import(&office.write("a.xlsx", &[("党员", &text("340099198001010014"))])?).await?;
    office.import(&office.write("b.xlsx", &[("党员", &text("340099198001010030"))])?).await?;
    let stored = office.server.store.doubts().await?.pop().context("it waits")?;
    let id = office.server.store.batches().await?.first().context("the import")?.batch.id.clone();
    server::undo::undo(&office.server, &id, "县").await?;
    assert_eq!(office.server.store.doubts().await?.len(), 0);
    assert!(office.server.store.waiting_file(&stored.digest).await?.is_none());
    Ok(())
}
