//! What was not taken is said, and corrected in a copy that is as good as the original.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use importer::left_out::{LeftOut, Reason, is_complete};
use serde_json::{Value, json};
use server::{
    Server,
    console::{self, import::Sender},
    import::{ImportReport, Source, findings_workbook, import_file, preview_beside, preview_file, units_of},
    returns::{self, ReturnRequest},
};
use sync_protocol::catalogue::Sensitivity;
use tempfile::TempDir;
use tests::{county, node, roster, sheet};

const SHEET: &str = "党员花名册";

struct County {
    folder: TempDir,
    server: Server,
}

impl County {
    /// Two branches with two members each, whose addresses are restricted.
    async fn open() -> Result<Self> {
        let (folder, server) = county::with_branches(2).await?;
        let (one, two) = (roster::branch_code(0), roster::branch_code(1));
        let text = format!(
            "党组织编码|姓名|性别|身份证号|出生日期|党员类别|入党时间|联系电话|现居住地|工作岗位
             {one}|张三|男|340099198001010014|1980-01-01|正式|2001-05|13800000001|青石村7号|会计
             {one}|李四|女|340099198102020013|1981-02-02|正式|2002-06|13800000002|青石村8号|文书
             {two}|王五|男|340099198203030012|1982-03-03|预备|2011-11|13800000003|黑山村1号|文书
             {two}|赵六|男|340099198304040011|1983-04-04|正式|2003-07|13800000004|黑山村2号|会计"
        );
        let county = Self { folder, server };
        let file = county.path("members.xlsx");
        std::fs::write(&file, sheet::workbook(&[("党员", &text)])?)?;
        assert_eq!(county.import(&file).await?.counts.added, 4);
        Ok(county)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn import(&self, file: &Path) -> Result<ImportReport> {
        Ok(import_file(&self.server, file, "李干事", &|_, _| {}).await?)
    }

    async fn draw(&self) -> Result<PathBuf> {
        let (top, date) = (returns::county(&self.server).await?, jiff::civil::date(2012, 4, 30));
        let request = ReturnRequest {
            clearance: Sensitivity::S2,
            ..ReturnRequest::new("members", top, date, self.path("returns"))
        };
        Ok(returns::draw(&self.server, &request).await?.path)
    }

    fn treated(&self, file: &Path, name: &str, mut spec: Value) -> Result<PathBuf> {
        let out = self.path(name);
        spec["sheet"] = SHEET.into();
        node::json("edit-sheet.mjs", &[file, &out, Path::new(&spec.to_string())])?;
        Ok(out)
    }

    /// Every cell of every member: name, column, value.
    async fn cells(&self) -> Result<Vec<String>> {
        let units = [county::branch(&self.server, 0), county::branch(&self.server, 1)];
        let mut cells = Vec::new();
        for stored in self.server.store.rows("members", &self.server.period(), &units).await? {
            for (column, value) in server::projection::cells(&stored.cells)? {
                cells.push(format!("{} {column} {value} {}", stored.row, stored.removed));
            }
        }
        cells.sort();
        Ok(cells)
    }
}

fn count(left_out: &[LeftOut], reason: Reason) -> usize {
    left_out.iter().find(|left| left.reason == reason).map_or(0, |left| left.count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_with_findings_comes_back_as_the_ledger_that_it_is_of() -> Result<()> {
    let county = County::open().await?;
    // A conflict waits on the ledger's own list.
    let first = county.draw().await?;
    for (name, post) in [("a.xlsx", "主任"), ("b.xlsx", "校长")] {
        let file = county.treated(&first, name, json!({ "set": [["张三", "工作岗位", post]] }))?;
        assert_eq!(county.import(&file).await?.counts.changed, 1);
    }
    let drawn = county.draw().await?;
    let file = county.treated(&drawn, "returned.xlsx", json!({ "set": [["王五", "出生日期", "2012.13.45"]] }))?;
    let preview = preview_file(&county.server, &file).await?;
    let (findings, doubts) = (preview.findings.clone(), preview.doubts.clone());
    assert_eq!(count(&preview.left_out, Reason::Cells), 1, "{:?}", preview.left_out);

    let source = Source::open(&file).await?;
    let copy = county.path("returned_copy.xlsx");
    std::fs::write(&copy, findings_workbook(&county.server, source, findings, doubts).await?)?;
    let read = importer::read(&std::fs::read(&copy)?, &importer::ReadLimits::default())?;
    let sheets: Vec<(&str, bool)> = read.sheets.iter().map(|sheet| (sheet.name.as_str(), sheet.hidden)).collect();
    assert!(sheets.contains(&("台账通回执", true)) && sheets.contains(&("冲突清单", false)), "{sheets:?}");

    // Corrected in the copy, exactly that cell changes, and what was decided in it is decided.
    let before = county.cells().await?;
    let spec = json!({ "set": [["王五", "出生日期", "1982.3.4"]], "decide": [["工作岗位", "另一值"]] });
    let corrected = county.treated(&copy, "corrected.xlsx", spec)?;
    let plan = preview_file(&county.server, &corrected).await?;
    assert_eq!((plan.counts.changed, plan.counts.refused, plan.settled, plan.changes.len()), (2, 0, 1, 2), "{plan:?}");
    let report = county.import(&corrected).await?;
    assert_eq!((report.counts.changed, report.counts.unchanged, report.settled), (2, 3, 1), "{report:?}");
    assert!(is_complete(&report.findings), "{:?}", report.findings);
    let after = county.cells().await?;
    let changed: Vec<&String> = after.iter().filter(|cell| !before.contains(cell)).collect();
    assert_eq!((changed.len(), after.len()), (2, before.len()), "{changed:?}");
    assert!(after.iter().all(|cell| !cell.contains("***")));
    assert!(county.server.store.conflicts().await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_returned_ledger_does_not_bring_is_said() -> Result<()> {
    let county = County::open().await?;
    let drawn = county.draw().await?;
    let before = county.cells().await?;
    // A head is renamed over its key, two rows are gone, one says that it stays, a column is new.
    let spec = json!({
        "rename": [["联系电话", "办公室备注"]], "keep": ["张三", "王五"], "set": [["王五", "删除", "否"]],
        "insertColumn": [3, "备注二"],
    });
    let file = county.treated(&drawn, "short.xlsx", spec)?;
    let preview = preview_file(&county.server, &file).await?;
    let report = county.import(&file).await?;
    for left_out in [&preview.left_out, &report.left_out] {
        assert_eq!((count(left_out, Reason::Absent), count(left_out, Reason::Columns)), (2, 1), "{left_out:?}");
    }
    assert_eq!(report.beside, ["备注二"]);
    let renamed = report.findings.iter().find(|finding| finding.code == "head-renamed").context("said")?;
    assert!(renamed.message.contains("“联系电话”") && renamed.message.contains("“办公室备注”"), "{renamed}");
    let absent = report.findings.iter().find(|finding| finding.code == "rows-absent").context("said")?;
    assert!(absent.message.starts_with("2 行不在表中，未删除"), "{absent}");
    assert!(!is_complete(&report.findings));
    assert_eq!(county.cells().await?, before, "and nothing is written");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_table_beside_the_first_and_contents_without_a_head_are_said() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    let code = roster::branch_code(0);
    let heads = "党组织编码|姓名|出生日期|党员类别|入党时间";
    let text = format!(
        "{heads}||{heads}
         {code}|张三|1980-01-01|正式|2001-05|无表头|{code}|李四|1981-02-02|正式|2002-06"
    );
    let file = folder.path().join("beside.xlsx");
    std::fs::write(&file, sheet::workbook(&[("党员", &text), ("说明", "请按时上报|谢谢")])?)?;
    let report = import_file(&server, &file, "李干事", &|_, _| {}).await?;
    assert_eq!((report.counts.added, report.beside.len()), (2, 0), "both tables are read: {report:?}");
    let counts = [Reason::Columns, Reason::Sheets].map(|reason| count(&report.left_out, reason));
    assert_eq!(counts, [1, 1], "what stands between them has no head: {:?}", report.findings);
    assert!(!is_complete(&report.findings));
    Ok(())
}

/// A workbook of one sheet.
fn written(folder: &TempDir, name: &str, sheet: &str, text: &str) -> Result<PathBuf> {
    let path = folder.path().join(name);
    std::fs::write(&path, sheet::workbook(&[(sheet, text)])?)?;
    Ok(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_a_file_says_whose_a_short_name_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = county::open(&folder.path().join("data"), None).await?;
    let write = |name: &str, sheet: &str, text: &str| written(&folder, name, sheet, text);
    let towns = "单位代码|单位名称|单位简称|单位级别|排序\n001|中共青山镇委员会|青山镇|乡镇党委|1\n002|中共沙湾乡委员会|沙湾乡|乡镇党委|2";
    let branches = "党组织编码|填报单位|党组织名称|组织类别|所属领域\n001-1|青山镇|中共青山镇青石村支部委员会|党支部|农村\n002-1|沙湾乡|中共沙湾乡青石村支部委员会|党支部|农村";
    // Only the tab says whose they are, and two towns have one of that name.
    let members = "党员花名册\n姓名|性别|出生日期|党员类别|入党时间\n张三|男|1980-01-01|正式|2001-05";
    let registers = [write("1.xlsx", "名录", towns)?, write("2.xlsx", "党组织", branches)?];
    Box::pin(console::import::import(&server, &registers, &Sender::new("县", None), None, true)).await?;
    let file = write("3.xlsx", "青石村党支部", members)?;
    let of_county = Source::open(&file).await?;
    let refused = preview_beside(&server, of_county.clone(), &[]).await?;
    assert_eq!((refused.counts.added, refused.counts.refused), (0, 1), "{refused:?}");
    let asks = refused
        .findings
        .iter()
        .any(|finding| finding.message.contains("青山镇青石村") && finding.message.contains("沙湾乡青石村"));
    assert!(asks, "{:?}", refused.findings);
    for code in ["001", "002"] {
        let sender = Sender::new("镇", Some(county::unit(&server, code).await?));
        let scoped = Source { scope: sender.scope.clone(), ..of_county.clone() };
        assert_eq!(preview_beside(&server, scoped, &[]).await?.counts.added, 1, "{code}");
    }
    let town = Sender::new("镇", Some(county::unit(&server, "002").await?));
    assert!(Box::pin(console::import::import(&server, &[file], &town, None, true)).await?, "all of it is taken");
    let branch = county::unit(&server, "002-1").await?;
    assert_eq!(server.store.rows("members", &server.period(), &[branch]).await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_need_no_order() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = county::open(&folder.path().join("data"), None).await?;
    let write = |name: &str, sheet: &str, text: &str| written(&folder, name, sheet, text);
    // Whose the organisations are stands above their table.
    let organisations =
        "填报单位：青山镇\n党组织编码|党组织名称|组织类别|所属领域|正式党员数\n0001|东村党支部|党支部|农村|5";
    let members = "党组织名称|姓名|性别|出生日期|党员类别|入党时间\n东村党支部|张三|男|1980-01-01|预备|2011-05";
    let towns = "单位编码|单位名称|单位简称|单位级别|排序\n001|中共青山镇委员会|青山镇|乡镇党委|1";
    let files =
        [write("1.xlsx", "党员", members)?, write("2.xlsx", "党组织", organisations)?, write("3.xlsx", "名录", towns)?];
    let (units, counts) = units_of(&server, &files).await?;
    assert_eq!((units.len(), counts), (2, vec![0, 1, 1]));
    for file in &files {
        let preview = preview_beside(&server, Source::open(file).await?, &units).await?;
        assert_eq!((preview.counts.added, preview.counts.refused), (1, 0), "{preview:?}");
    }
    assert_eq!(server.store.units().await?.len(), 1, "a preview writes nothing");
    console::import::import(&server, &files, &Sender::new("县", None), None, true).await?;
    assert_eq!(server.store.batches().await?.len(), 3, "each is imported once");
    assert_eq!(server.store.totals().await?.rows, 3);
    Ok(())
}
