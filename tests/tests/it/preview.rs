//! What `taizhang import --preview` says before anything is written.

use anyhow::Result;
use server::import::{import_file, preview_file};
use tests::{county, roster};

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_names_exactly_the_cells_that_change_and_writes_nothing() -> Result<()> {
    let (branches, members) = (20, 50);
    let (folder, server) = county::with_branches(branches).await?;
    let first = folder.path().join("first.xlsx");
    std::fs::write(&first, roster::workbook(branches, members)?)?;
    let preview = preview_file(&server, &first).await?;
    assert_eq!((preview.counts.added, preview.changes.len()), (branches * members, 0));
    assert_eq!(server.store.totals().await?.documents, 0, "nothing is written");

    import_file(&server, &first, "县", &|_, _| {}).await?;
    let (bytes, changed) = roster::edited(branches, members, 50)?;
    let second = folder.path().join("second.xlsx");
    std::fs::write(&second, bytes)?;
    let before = server.store.totals().await?;
    let preview = preview_file(&server, &second).await?;
    assert_eq!(server.store.totals().await?, before, "nothing is written");
    let mut named: Vec<_> = preview.changes.iter().map(|c| (c.cell.clone(), c.after.clone())).collect();
    let mut expected = changed.clone();
    named.sort();
    expected.sort();
    assert_eq!(named, expected);
    assert!(preview.changes.iter().all(|change| change.before != change.after));
    assert_eq!((preview.counts.changed, preview.counts.unchanged), (50, branches * members - 50));

    let done = import_file(&server, &second, "县", &|_, _| {}).await?;
    assert_eq!(done.counts, preview.counts, "the import does what the preview said");
    assert_eq!(preview_file(&server, &second).await?.changes, [], "and then there is nothing to change");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_hides_restricted_values_and_prints_codes_as_words() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    let headers = "党组织编码|姓名|出生日期|党员类别|入党时间|家庭住址|学历";
    let code = roster::branch_code(0);
    let write = |name: &str, rest: &str| -> Result<std::path::PathBuf> {
        let path = folder.path().join(name);
        let text = format!("{headers}\n{code}|张三|1980-01-01|{rest}");
        std::fs::write(&path, tests::sheet::workbook(&[("党员", &text)])?)?;
        Ok(path)
    };
    import_file(&server, &write("a.xlsx", "预备|2011-05|青石村3组|大专")?, "县", &|_, _| {}).await?;
    let preview = preview_file(&server, &write("b.xlsx", "正式|2011-05|青石村4组|本科")?).await?;
    let shown: Vec<String> =
        preview.changes.iter().map(|c| format!("{} {} {}→{}", c.cell, c.column, c.before, c.after)).collect();
    assert_eq!(
        shown,
        ["D2 人员类别 预备党员→正式党员", "F2 现居住地 （已有值）→（另一值）", "G2 学历 专科教育→大学本科教育"]
    );

    // What an import would leave out, the preview counts, too.
    let stranger = folder.path().join("c.xlsx");
    let text = format!("{headers}\n9999-999|李四|1981-01-01|正式|2001-05||\n{code}|王五|1982-01-01|正式|2001-05||");
    std::fs::write(&stranger, tests::sheet::workbook(&[("党员", &text)])?)?;
    let preview = preview_file(&server, &stranger).await?;
    assert_eq!((preview.counts.added, preview.counts.refused), (1, 1));
    assert_eq!(import_file(&server, &stranger, "县", &|_, _| {}).await?.counts, preview.counts);
    Ok(())
}
