//! The Excel file is a replica: a merged ledger goes to an office and comes back.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use server::{
    Server,
    import::{ImportReport, import_file, preview_file},
    returns::{self, ReturnRequest},
    undo::undo,
};
use sync_protocol::{Address, Book, Identity, Row, catalogue::Sensitivity, client::Device};
use tempfile::TempDir;
use tests::{county, node, office, roster, sheet};

const SHEET: &str = "党员花名册";

struct County {
    folder: TempDir,
    server: Server,
    members: Identity,
}

impl County {
    /// Two branches; the first has four members.
    async fn open() -> Result<Self> {
        let (folder, server) = county::with_branches(2).await?;
        let code = roster::branch_code(0);
        let text = format!(
            "党组织编码|姓名|性别|身份证号|出生日期|党员类别|入党时间|联系电话|现居住地|工作岗位
             {code}|张三|男|340099198001010014|1980-01-01|正式|2001-05|13800000001|青石村7号|会计
             {code}|李四|女|340099198102020013|1981-02-02|正式|2002-06|13800000002|青石村8号|
             {code}|王五|男|340099198203030012|1982-03-03|预备|2011-11|13800000003||文书
             {code}|赵六|男|340099198304040011|1983-04|正式|2003-07|||"
        );
        let file = folder.path().join("members.xlsx");
        std::fs::write(&file, sheet::workbook(&[("党员", &text)])?)?;
        assert_eq!(import_file(&server, &file, "县", &|_, _| {}).await?.counts.added, 4);
        let unit = county::branch(&server, 0);
        let members = Identity { unit, book: Book::Unit, period: server.period() };
        Ok(Self { folder, server, members })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn draw(&self, clearance: Sensitivity) -> Result<PathBuf> {
        let (top, date) = (returns::county(&self.server).await?, jiff::civil::date(2012, 4, 30));
        let request = ReturnRequest { clearance, ..ReturnRequest::new("members", top, date, self.path("returns")) };
        Ok(returns::draw(&self.server, &request).await?.path)
    }

    /// The workbook as an office has treated it.
    fn treated(&self, file: &Path, name: &str, spec: Value) -> Result<PathBuf> {
        let out = self.path(name);
        let mut spec = spec;
        spec["sheet"] = SHEET.into();
        node::json("edit-sheet.mjs", &[file, &out, Path::new(&spec.to_string())])?;
        Ok(out)
    }

    async fn import(&self, file: &Path) -> Result<ImportReport> {
        Ok(import_file(&self.server, file, "李干事", &|_, _| {}).await?)
    }

    async fn changes(&self) -> Result<i64> {
        Ok(self.server.store.totals().await?.changes)
    }

    /// The member of this name as the server has them, open columns only.
    async fn member(&self, name: &str) -> Result<Row> {
        let stored =
            self.server.store.document(self.members.document(&self.server.tenant)).await?.context("members")?;
        let document = sync_protocol::Document::load(stored.snapshot.as_deref(), &stored.changes)?;
        let rows = document.rows("members");
        rows.into_values().find(|row| row.text("name") == name).context("a member")
    }
}

fn codes(report: &ImportReport) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.code).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_nobody_has_edited_changes_nothing_however_it_was_saved() -> Result<()> {
    let county = County::open().await?;
    for clearance in [Sensitivity::S1, Sensitivity::S2, Sensitivity::S3] {
        let drawn = county.draw(clearance).await?;
        let again = std::fs::read(&drawn)?;
        assert_eq!(again, std::fs::read(county.draw(clearance).await?)?, "the same state gives the same bytes");
        let mut files = vec![drawn.clone()];
        files.push(county.treated(&drawn, &format!("{clearance:?}.xlsx"), json!({ "sort": "姓名" }))?);
        if let Some(soffice) = office::soffice()? {
            for filter in ["xlsx", "xls", "ods"] {
                let out = county.path(&format!("{clearance:?}-{filter}"));
                std::fs::create_dir_all(&out)?;
                files.push(office::convert(&soffice, &drawn, filter, &out)?);
            }
        }
        let before = county.changes().await?;
        for file in files {
            let preview = preview_file(&county.server, &file).await?;
            assert_eq!(preview.changes, [], "{}", file.display());
            let report = county.import(&file).await?;
            assert_eq!((report.counts.unchanged, report.counts.refused), (4, 0), "{} {report:?}", file.display());
            assert_eq!(codes(&report), Vec::<&str>::new(), "{}", file.display());
            assert_eq!(county.changes().await?, before, "{}", file.display());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_of_one_branch_comes_back_as_it_was_drawn() -> Result<()> {
    let county = County::open().await?;
    let top = county.server.store.unit(county.members.unit).await?.context("the branch")?;
    let request = ReturnRequest::new("members", top, jiff::civil::date(2012, 4, 30), county.path("returns"));
    let report = county.import(&returns::draw(&county.server, &request).await?.path).await?;
    assert_eq!((codes(&report), report.counts.unchanged), (vec![], 4));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_edited_cells_change() -> Result<()> {
    let county = County::open().await?;
    let drawn = county.draw(Sensitivity::S2).await?;
    let edits = json!({
        "set": [["张三", "工作岗位", "出纳"], ["王五", "联系电话", ""], ["李四", "人员类别", "预备党员"],
                // Masked in this copy, and a unit: neither is taken.
                ["赵六", "现居住地", "白水村1号"], ["赵六", "党组织名称", "别的支部"]],
        "sort": "联系电话",
        "insertColumn": [3, "备注二"],
        "keep": ["张三", "王五", "李四", "赵六"],
    });
    let file = county.treated(&drawn, "edited.xlsx", edits)?;
    let preview = preview_file(&county.server, &file).await?;
    let mut changed: Vec<_> =
        preview.changes.iter().map(|change| (change.column.as_str(), change.after.as_str())).collect();
    changed.sort_unstable();
    assert_eq!(changed, [("人员类别", "预备党员"), ("工作岗位", "出纳"), ("联系电话", "")]);
    let mut files = vec![file.clone()];
    if let Some(soffice) = office::soffice()? {
        for filter in ["xls", "ods"] {
            files.push(office::convert(&soffice, &file, filter, county.folder.path())?);
        }
    }
    let before = county.changes().await?;
    for (round, file) in files.iter().enumerate() {
        let report = county.import(file).await?;
        let (changed, unchanged) = if round == 0 { (3, 1) } else { (0, 4) };
        assert_eq!((report.counts.changed, report.counts.unchanged), (changed, unchanged), "{report:?}");
        assert_eq!(codes(&report).iter().filter(|code| ["unit-not-moved", "not-in-clear"].contains(code)).count(), 2);
        assert_eq!(county.changes().await?, before + 1, "however often it comes, it is one change");
    }
    assert!(county.import(&file).await?.already_imported);
    assert_eq!(county.member("张三").await?.text("work_post"), "出纳");
    assert_eq!(county.member("王五").await?.get("phone"), None, "cleared");
    assert_eq!(county.member("李四").await?.text("member_category"), "probationary");

    // Rows that were filtered out are not removed; one that is marked is; a new one is added, by an ordinary import.
    let code = roster::branch_code(0);
    let added = json!({ "党组织编码": code, "姓名": "钱七", "出生日期": "1985.5.5", "入党时间": "2010.05", "人员类别": "正式党员" });
    let spec = json!({ "set": [["赵六", "删除", "删除"]], "keep": ["张三", "赵六"], "add": [added] });
    let report = county.import(&county.treated(&drawn, "fewer.xlsx", spec)?).await?;
    assert_eq!((report.counts.added, report.counts.changed), (1, 1), "{report:?}");
    let absent = report.findings.iter().find(|finding| finding.code == "rows-absent").context("told")?;
    assert!(absent.message.contains('2'), "{absent:?}");
    assert!(county.member("赵六").await?.removed && !county.member("李四").await?.removed);
    assert_eq!(county.member("钱七").await?.text("member_category"), "formal");

    // Without the hidden column rows are found by their keys, and still compared with what was drawn.
    let drawn = county.draw(Sensitivity::S2).await?;
    let spec = json!({ "set": [["张三", "工作岗位", "主任"]], "dropFirstColumn": true });
    let report = county.import(&county.treated(&drawn, "no-ids.xlsx", spec)?).await?;
    assert_eq!((report.counts.changed, report.counts.added), (1, 0), "{report:?}");
    assert_eq!(county.member("张三").await?.text("work_post"), "主任");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sheet_that_comes_again_after_an_undo_is_taken_again() -> Result<()> {
    let county = County::open().await?;
    let drawn = county.draw(Sensitivity::S2).await?;
    let edits =
        json!({ "set": [["张三", "工作岗位", "出纳"], ["王五", "联系电话", ""], ["李四", "工作岗位", "会计"]] });
    let file = county.treated(&drawn, "edited.xlsx", edits)?;
    for round in 0..2 {
        let report = county.import(&file).await?;
        assert_eq!((report.counts.changed, codes(&report)), (3, vec![]), "round {round}");
        let says = (county.member("张三").await?, county.member("王五").await?, county.member("李四").await?);
        let says = (says.0.text("work_post"), says.1.text("phone"), says.2.text("work_post"));
        assert_eq!(says, ("出纳", "", "会计"), "round {round}");
        assert!(county.server.store.conflicts().await?.is_empty(), "round {round}");
        let last = county.server.store.batches().await?.into_iter().next().context("an import")?;
        undo(&county.server, &last.batch.id, "李干事").await?.context("it is known")?;
        assert_eq!(county.member("张三").await?.text("work_post"), "会计", "round {round}");
    }
    // Where somebody has written meanwhile, both stay, and somebody decides.
    let third = json!({ "set": [["张三", "工作岗位", "出纳"]] });
    let third = county.treated(&drawn, "third.xlsx", third)?;
    let other = county.treated(&drawn, "other.xlsx", json!({ "set": [["张三", "工作岗位", "村干部"]] }))?;
    assert!(!codes(&county.import(&other).await?).contains(&"disputed"));
    let report = county.import(&third).await?;
    assert_eq!(county.server.store.conflicts().await?.len(), 1);
    let said =
        report.findings.iter().find(|finding| finding.code == "disputed").context("whoever sends it hears of it")?;
    assert!(
        said.count == 1 && said.message.contains("1 格他人也改过") && said.message.contains("张三 工作岗位"),
        "{said:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cell_that_is_turned_back_in_the_same_sheet_is_not_taken_and_said() -> Result<()> {
    let county = County::open().await?;
    let drawn = county.draw(Sensitivity::S2).await?;
    let edits = json!({ "set": [["张三", "工作岗位", "出纳"], ["李四", "删除", "是"]] });
    let edited = county.treated(&drawn, "edited.xlsx", edits)?;
    county.import(&edited).await?;
    // It may be somebody who wants it back, or somebody who has never seen the other value.
    let back =
        county.treated(&edited, "back.xlsx", json!({ "set": [["张三", "工作岗位", "会计"], ["李四", "删除", ""]] }))?;
    let report = county.import(&back).await?;
    let said: Vec<_> = report.findings.iter().map(|finding| (finding.code, finding.column.as_str())).collect();
    assert_eq!(said, [("kept-edit", "工作岗位"), ("kept-edit", "删除")], "{:?}", report.findings);
    assert!(report.findings.iter().all(|finding| finding.message.contains("李干事")), "{:?}", report.findings);
    assert_eq!(county.member("张三").await?.text("work_post"), "出纳");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_had_written_to_yet_is_filled_in() -> Result<()> {
    let county = County::open().await?;
    // A branch of which nothing restricted is known.
    let code = roster::branch_code(1);
    let text = format!("党组织编码|姓名|出生日期|入党时间\n{code}|孙八|1979-09-09|1999-09");
    let file = county.path("second.xlsx");
    std::fs::write(&file, sheet::workbook(&[("党员", &text)])?)?;
    assert_eq!(county.import(&file).await?.counts.added, 1);
    let drawn = county.draw(Sensitivity::S3).await?;
    let spec = json!({ "set": [["孙八", "现居住地", "黑山村5号"]] });
    let report = county.import(&county.treated(&drawn, "filled.xlsx", spec)?).await?;
    assert_eq!((report.counts.changed, codes(&report)), (1, Vec::new()), "{report:?}");
    let unit = county::branch(&county.server, 1);
    let restricted = Identity { unit, book: Book::UnitRestricted, period: county.server.period() };
    let stored = county.server.store.document(restricted.document(&county.server.tenant)).await?.context("written")?;
    let document = sync_protocol::Document::load(stored.snapshot.as_deref(), &stored.changes)?;
    let addresses: Vec<String> = document.rows("members").values().map(|row| row.text("address").to_owned()).collect();
    assert_eq!(addresses, ["黑山村5号"]);
    assert!(server::doctor::diagnose(&county.server, &|_, _| {}).await?.wrong.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_field_and_the_office_edit_at_once_and_the_sheet_settles_it() -> Result<()> {
    let county = County::open().await?;
    let url = county::serve(&county.server).await?;
    let books = [Book::Unit];
    let phone =
        county::device(&county.server, county.folder.path(), &url, "cadre", county.members.unit, &books).await?;
    phone.exchange(0).await?;
    let drawn = county.draw(Sensitivity::S2).await?;
    // The field edits A and B offline; the office B and C in the sheet.
    let row = phone.rows(&county.members, "members").await?.into_iter().find(|row| row.text("name") == "张三");
    let row = row.context("张三")?.id;
    let cells = [("employer", "青山小学".into()), ("work_post", "校长".into())];
    phone.save(&county.members, "members", row, &cells, 0).await?;
    let spec = json!({ "set": [["张三", "工作岗位", "副校长"], ["张三", "联系电话", "13900000009"]] });
    let sheet = county.treated(&drawn, "office.xlsx", spec)?;
    phone.exchange(0).await?;
    assert_eq!(county.import(&sheet).await?.counts.changed, 1);
    let exchange = async |phone: &Device| phone.exchange(0).await;
    exchange(&phone).await?;
    let member = county.member("张三").await?;
    assert_eq!((member.text("employer"), member.text("phone")), ("青山小学", "13900000009"), "A and C are in");
    let conflicts = phone.conflicts().await?;
    let [(_, conflict)] = &conflicts[..] else { panic!("B is a conflict: {conflicts:?}") };
    assert_eq!(conflict.address, Address::new("members", row, "work_post"));
    let sides = conflict.values.iter().map(|side| (side.value.to_string(), side.provenance.clone().map(|p| p.who)));
    let mut sides: Vec<_> = sides.collect();
    sides.sort();
    assert_eq!(
        sides,
        [("副校长".to_owned(), Some("李干事".to_owned())), ("校长".to_owned(), Some("cadre".to_owned()))]
    );

    // The clerk settles it in the list of conflicts: the value that did not win is to stand.
    let other = conflict.values[1].value.to_string();
    let drawn = county.draw(Sensitivity::S2).await?;
    let settled = county.treated(&drawn, "settled.xlsx", json!({ "decide": [["工作岗位", "另一值"]] }))?;
    let report = county.import(&settled).await?;
    assert_eq!(codes(&report), Vec::<&str>::new(), "{report:?}");
    exchange(&phone).await?;
    assert_eq!(county.member("张三").await?.text("work_post"), other);
    assert!(phone.conflicts().await?.is_empty());
    let here = phone.rows(&county.members, "members").await?.into_iter().find(|known| known.id == row);
    assert_eq!(here.context("张三")?.text("work_post"), other, "phone and server agree");
    assert!(county.server.store.conflicts().await?.is_empty());
    // Sent in once more, it opens nothing again.
    let copy = county.treated(&settled, "settled-again.xlsx", json!({ "sort": "姓名" }))?;
    let report = county.import(&copy).await?;
    assert_eq!((codes(&report), report.counts.unchanged), (vec!["settled-already"], 4));
    assert!(county.server.store.conflicts().await?.is_empty());
    Ok(())
}
