//! Taking back an import.

use anyhow::{Context, Result};
use server::{
    Server,
    import::import_file,
    returns::{self, ReturnRequest},
    undo::{KeptCell, Why, undo},
};
use sync_protocol::{Book, Identity, UnitId, catalogue::Sensitivity};
use tests::{county, roster, sheet};

const HEADERS: &str = "党组织编码|姓名|出生日期|党员类别|入党时间|工作岗位|手机号码|家庭住址";

async fn import(server: &Server, folder: &std::path::Path, name: &str, rows: &str) -> Result<String> {
    let path = folder.join(name);
    let text = format!("{HEADERS}\n{}", rows.replace("CODE", &roster::branch_code(0)));
    std::fs::write(&path, sheet::workbook(&[("党员", &text)])?)?;
    let done = import_file(server, &path, "县", &|_, _| {}).await?;
    assert!(!done.already_imported, "{name}");
    Ok(server.store.batches().await?.into_iter().next().context("the import")?.batch.id)
}

/// The rows that count, without their ids: name, post, telephone.
async fn members(server: &Server, unit: UnitId) -> Result<Vec<String>> {
    let mut rows = std::collections::BTreeMap::new();
    for stored in server.store.rows("members", &server.period(), &[unit]).await? {
        let row = server::projection::row(stored.row, &stored.cells, stored.removed)?;
        let known = rows.entry(stored.row).or_insert_with(|| sync_protocol::Row::new(stored.row));
        known.removed |= row.removed;
        known.cells.extend(row.cells);
    }
    let mut members: Vec<String> = rows
        .into_values()
        .filter(|row| !row.removed)
        .map(|row| format!("{} {} {}", row.text("name"), row.text("work_post"), row.text("phone")))
        .collect();
    members.sort();
    Ok(members)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_takes_back_what_nobody_has_edited_since_and_lists_the_rest() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    let unit = county::branch(&server, 0);
    let first = "CODE|张三|1980-01-01|正式|2001-05|务农|13800000001|青石村
        CODE|李四|1981-01-01|正式|2002-05|教师|13800000002|青石村";
    import(&server, folder.path(), "first.xlsx", first).await?;
    let before = members(&server, unit).await?;

    // 张三 changes, 李四 stays, 王五 and 赵六 are new.
    let second = "CODE|张三|1980-01-01|正式|2001-05|会计|13900000001|青石村
        CODE|李四|1981-01-01|正式|2002-05|教师|13800000002|青石村
        CODE|王五|1982-01-01|正式|2003-05|司机|13800000003|青石村
        CODE|赵六|1983-01-01|正式|2004-05|医生|13800000004|青石村";
    let id = import(&server, folder.path(), "second.xlsx", second).await?;
    // Since then somebody has edited one cell of 张三 and one of 赵六.
    let url = county::serve(&server).await?;
    let device = county::device(&server, folder.path(), &url, "cadre", unit, &[Book::Unit]).await?;
    device.exchange(0).await?;
    let book = Identity { unit, book: Book::Unit, period: server.period() };
    for row in device.rows(&book, "members").await? {
        if ["张三", "赵六"].contains(&row.text("name")) {
            device.save(&book, "members", row.id, &[("work_post", "村干部".into())], 0).await?;
        }
    }
    assert!(device.exchange(0).await?.refusals.is_empty());

    let undone = undo(&server, &id, "县").await?.context("it is known")?;
    let mut kept: Vec<String> =
        undone.kept.iter().map(|KeptCell { record, column, who, .. }| format!("{record} {column} {who}")).collect();
    kept.sort();
    assert_eq!(kept, ["张三 工作岗位 cadre", "赵六 工作岗位 cadre"]);
    assert!(undone.kept.iter().all(|kept: &KeptCell| kept.ledger == "党员花名册"));
    let after = members(&server, unit).await?;
    assert_eq!(before[0], "张三 务农 13800000001");
    // 赵六 was new, and is somebody's work now: the edit stays, what the file said of them is gone.
    assert_eq!(after, [" 村干部 ", "张三 村干部 13800000001", "李四 教师 13800000002"]);

    // A second time there is nothing to take back.
    let again = undo(&server, &id, "县").await?.context("it is known")?;
    assert_eq!(again.documents, 0);
    assert!(undo(&server, "no-such-import", "县").await?.is_none());
    // The file may be imported again, and brings back what it brought, but for the work of people.
    import(&server, folder.path(), "second.xlsx", second).await?;
    let brought_back = members(&server, unit).await?;
    assert!(brought_back.contains(&"王五 司机 13800000003".to_owned()), "{brought_back:?}");
    assert!(brought_back.contains(&"张三 村干部 13900000001".to_owned()), "{brought_back:?}");
    Ok(())
}

/// A branch whose members were imported once, and who says what of the first of them.
struct Branch {
    folder: tempfile::TempDir,
    server: Server,
    unit: UnitId,
}

const FIRST: &str = "CODE|张三|1980-01-01|正式|2001-05|务农|13800000001|青石村";

impl Branch {
    async fn open() -> Result<Self> {
        let (folder, server) = county::with_branches(1).await?;
        let unit = county::branch(&server, 0);
        import(&server, folder.path(), "first.xlsx", FIRST).await?;
        Ok(Self { folder, server, unit })
    }

    /// The merged ledger with another telephone number, as an office sends it back; gives the import.
    async fn returned(&self, drawn: &std::path::Path, name: &str, phone: &str) -> Result<String> {
        let out = self.folder.path().join(name);
        let spec = serde_json::json!({ "sheet": "党员花名册", "set": [["张三", "联系电话", phone]] });
        tests::node::json("edit-sheet.mjs", &[drawn, &out, std::path::Path::new(&spec.to_string())])?;
        assert_eq!(import_file(&self.server, &out, name, &|_, _| {}).await?.counts.changed, 1);
        Ok(self.server.store.batches().await?.into_iter().next().context("the import")?.batch.id)
    }

    async fn draw(&self) -> Result<std::path::PathBuf> {
        let (top, date) = (returns::county(&self.server).await?, jiff::civil::date(2012, 4, 30));
        let folder = self.folder.path().join("returns");
        let request = ReturnRequest { clearance: Sensitivity::S2, ..ReturnRequest::new("members", top, date, folder) };
        Ok(returns::draw(&self.server, &request).await?.path)
    }

    async fn is_sound(&self) -> Result<()> {
        let wrong = server::doctor::diagnose(&self.server, &|_, _| {}).await?.wrong;
        assert!(wrong.is_empty(), "{wrong:?}");
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_office_has_written_at_the_same_time_stands() -> Result<()> {
    let branch = Branch::open().await?;
    let drawn = branch.draw().await?;
    let a = branch.returned(&drawn, "a.xlsx", "13911110001").await?;
    branch.returned(&drawn, "b.xlsx", "13922220002").await?;
    assert_eq!(branch.server.store.conflicts().await?.len(), 1);
    let undone = undo(&branch.server, &a, "县").await?.context("it is known")?;
    assert_eq!(members(&branch.server, branch.unit).await?, ["张三 务农 13922220002"]);
    assert_eq!((branch.server.store.conflicts().await?.len(), undone.kept), (0, vec![]));
    assert_eq!(undone.cells.len(), 1);
    assert_eq!(undone.cells[0].after, ["13922220002"]);
    branch.is_sound().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_file_says_too_stands_until_that_is_taken_back() -> Result<()> {
    let branch = Branch::open().await?;
    let both = format!("{FIRST}\nCODE|王五|1982-01-01|正式|2003-05|司机|13800000003|青石村");
    let a = import(&branch.server, branch.folder.path(), "a.xlsx", &both).await?;
    // Another file says the same of 王五, but for the post.
    let other = "CODE|王五|1982-01-01|正式|2003-05|队长|13800000003|青石村";
    let b = import(&branch.server, branch.folder.path(), "b.xlsx", other).await?;
    let undone = undo(&branch.server, &a, "县").await?.context("it is known")?;
    let all = ["张三 务农 13800000001", "王五 队长 13800000003"];
    assert_eq!(members(&branch.server, branch.unit).await?, all);
    let phone = undone.kept.iter().find(|kept| kept.column == "联系电话").context("it is listed")?;
    assert_eq!((phone.who.as_str(), phone.why), ("b.xlsx", Why::Affirmed));
    branch.is_sound().await?;
    // Without both it had never been.
    let undone = undo(&branch.server, &b, "县").await?.context("it is known")?;
    assert_eq!(members(&branch.server, branch.unit).await?, all[..1]);
    assert_eq!(undone.rows_gone.iter().map(|row| row.record.as_str()).collect::<Vec<_>>(), ["王五"]);
    branch.is_sound().await?;
    // The first file was imported before both: it stands.
    let twice = import(&branch.server, branch.folder.path(), "a.xlsx", &both).await?;
    assert_eq!(members(&branch.server, branch.unit).await?, [all[0], "王五 司机 13800000003"]);
    undo(&branch.server, &twice, "县").await?.context("it is known")?;
    assert_eq!(members(&branch.server, branch.unit).await?, all[..1]);
    branch.is_sound().await
}
