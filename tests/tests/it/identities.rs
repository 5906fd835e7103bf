//! What is no value is written nowhere, whatever way a workbook comes; and records that are stored twice are asked about.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use importer::{
    ReadLimits,
    workbook::{
        grid::Cell,
        write::{Book as Pages, Created, Out, Style},
    },
};
use server::{
    Server,
    doubts::{self, Choice, Decided},
    import::{import_file, preview_file},
    returns::{self, ReturnRequest},
};
use sync_protocol::{Book, Identity, Row, RowId, Value, catalogue::Sensitivity};
use tests::{county, roster, sheet};

const HEADERS: &str = "党组织编码|姓名|性别|身份证号|出生日期|党员类别|入党时间|联系电话|现居住地|特长";

/// Members of the first branch, written to a file and imported.
async fn import(server: &Server, folder: &Path, name: &str, lines: &[&str]) -> Result<server::import::ImportReport> {
    let code = roster::branch_code(0);
    let lines: Vec<String> = lines.iter().map(|line| format!("{code}|{line}")).collect();
    let file = folder.join(name);
    std::fs::write(&file, sheet::workbook(&[("党员", &format!("{HEADERS}\n{}", lines.join("\n")))])?)?;
    Ok(import_file(server, &file, "县", &|_, _| {}).await?)
}

/// The members of the first branch, restricted cells too.
async fn members(server: &Server) -> Result<Vec<Row>> {
    let unit = county::branch(server, 0);
    let mut rows: std::collections::BTreeMap<RowId, Row> = std::collections::BTreeMap::new();
    for stored in server.store.rows("members", &server.period(), &[unit]).await? {
        let row = server::projection::row(stored.row, &stored.cells, stored.removed)?;
        rows.entry(stored.row).or_insert_with(|| Row::new(stored.row)).cells.extend(row.cells);
    }
    Ok(rows.into_values().collect())
}

/// The workbook without its hidden sheets, as somebody has copied it into a new one.
fn copied(file: &Path, to: PathBuf, edit: impl Fn(&str) -> String) -> Result<PathBuf> {
    let workbook = importer::read(&std::fs::read(file)?, &ReadLimits::default())?;
    let mut book = Pages::new("t", Created { unix_s: 0 })?;
    let sheet = workbook.sheets.iter().find(|sheet| sheet.name == "党员花名册").context("the ledger")?;
    let mut page = book.sheet(&sheet.name)?;
    for index in 0..sheet.row_count() {
        for (column, cell) in sheet.row(index) {
            let out = match cell {
                Cell::Text(id) => Out::Text(edit(workbook.texts.get(*id))),
                Cell::Number { value, .. } => Out::Number(*value),
                other => anyhow::bail!("{other:?} is not in these tests"),
            };
            page.put(sheet.row_number(index), *column, &out, Style::Plain)?;
        }
    }
    std::fs::write(&to, book.bytes()?)?;
    Ok(to)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_ledger_that_comes_back_without_its_stamp_changes_nothing() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    let lines = [
        "张三|男|340099198001010013|1980-01-01|正式|2001-05|13800000001|青石村7号|水电",
        "李四|女|340099198102020026|1981-02-02|正式|2002-06|13800000002|安徽省合肥市青山镇青石村8号|木工",
        "王五|男||1982-03-03|正式|2003-07|0551-6534567|青石村9号|",
    ];
    import(&server, folder.path(), "first.xlsx", &lines).await?;
    let before = members(&server).await?;
    assert_eq!(before.len(), 3);
    let (top, date) = (returns::county(&server).await?, jiff::civil::date(2012, 4, 30));
    for clearance in [Sensitivity::S0, Sensitivity::S1, Sensitivity::S2] {
        let request = ReturnRequest {
            clearance,
            ..ReturnRequest::new("members", top.clone(), date, folder.path().join("returns"))
        };
        let drawn = returns::draw(&server, &request).await?.path;
        let file = copied(&drawn, folder.path().join(format!("{clearance:?}.xlsx")), str::to_owned)?;
        let preview = preview_file(&server, &file).await?;
        assert_eq!(preview.changes, [], "{clearance:?}");
        assert!(preview.findings.iter().any(|finding| finding.code == "masked"), "it is said");
        import_file(&server, &file, "县", &|_, _| {}).await?;
        assert_eq!(members(&server).await?, before, "{clearance:?}");
    }
    // In a ledger of one's own, drawn in clear, it is no value either.
    let clear = ReturnRequest {
        clearance: Sensitivity::S3,
        ..ReturnRequest::new("members", top.clone(), date, folder.path().join("returns"))
    };
    let drawn = returns::draw(&server, &clear).await?.path;
    let file = copied(&drawn, folder.path().join("clear.xlsx"), |text| match text {
        "青石村7号" | "水电" | "13800000001" => "***".to_owned(),
        other => other.to_owned(),
    })?;
    let report = import_file(&server, &file, "县", &|_, _| {}).await?;
    assert_eq!(members(&server).await?, before, "{:?}", report.findings);
    assert_eq!(report.findings.iter().filter(|finding| finding.code == "masked").count(), 3, "{:?}", report.findings);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistyped_number_of_somebody_else_waits_and_is_decided() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    import(&server, folder.path(), "a.xlsx", &["欧阳试一|男|340099197001010115|1970-01|正式|1995-07|13900090001||"])
        .await?;
    let second = ["司马试二|女|340099197001010115|1970-01|正式|1995-07|13900090002||"];
    let report = import(&server, folder.path(), "b.xlsx", &second).await?;
    assert_eq!((report.counts.changed, report.counts.doubtful), (0, 1), "{:?}", report.findings);
    assert_eq!(members(&server).await?[0].text("name"), "欧阳试一");
    let doubt = doubts::waiting(&server).await?.pop().context("it waits")?.doubt;
    let Decided::Written(report) = doubts::decide(&server, doubt.id, Choice::New, "王").await? else {
        panic!("it is written")
    };
    assert_eq!(report.counts.added, 1);
    let mut names: Vec<String> = members(&server).await?.iter().map(|row| row.text("name").to_owned()).collect();
    names.sort();
    assert_eq!(names, ["司马试二", "欧阳试一"]);
    assert!(doubts::waiting(&server).await?.is_empty(), "they are others: nobody is asked again");
    Ok(())
}

/// A member that somebody adds on a phone, who cannot know the number that the server has.
async fn add_by_hand(server: &Server, folder: &Path, cells: &[(&str, Value)]) -> Result<RowId> {
    let url = county::serve(server).await?;
    let unit = county::branch(server, 0);
    let name = format!("phone{}", cells.len());
    let device = county::device(server, folder, &url, &name, unit, &[Book::Unit]).await?;
    device.exchange(server::clock::now_ms()).await?;
    let identity = Identity { unit, book: Book::Unit, period: server.period() };
    let row = device.new_row("members", cells, [7; 10]);
    device.save(&identity, "members", row, cells, server::clock::now_ms()).await?;
    device.exchange(server::clock::now_ms()).await?;
    Ok(row)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_was_added_twice_by_hand_is_listed_and_joined() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    let first = "张三|男|340099198001010013|1980-01-01|正式|2001-05||青石村7号|水电";
    import(&server, folder.path(), "a.xlsx", &[first, "李四|女||1981-02-02|正式|2002-06|||"]).await?;
    assert!(doubts::waiting(&server).await?.is_empty());
    let cells: [(&str, Value); 3] =
        [("name", "张　三".into()), ("birth_date", "1980-01-01".into()), ("phone", "13900090001".into())];
    let added = add_by_hand(&server, folder.path(), &cells).await?;
    assert_eq!(members(&server).await?.len(), 3);

    let waiting = doubts::waiting(&server).await?;
    let [stored] = waiting.as_slice() else { panic!("{waiting:?}") };
    let doubt = &stored.doubt;
    assert!(doubt.record.contains("1980-01-01") && doubt.candidates[0].record.contains("3400**************"));
    assert_ne!(doubt.candidates[0].row, added, "the one that says more stays");
    let other = RowId::random([9; 10]);
    let wrong = doubts::decide(&server, doubt.id, Choice::Same(Some(other)), "王").await?;
    assert!(matches!(wrong, Decided::Several(_)), "{wrong:?}");

    let joined = doubts::decide(&server, doubt.id, Choice::Same(None), "王").await?;
    assert!(matches!(joined, Decided::Written(_)), "{joined:?}");
    assert!(doubts::waiting(&server).await?.is_empty());
    let rows = members(&server).await?;
    let standing: Vec<&Row> = rows.iter().filter(|row| row.stands() && row.text("name").contains('三')).collect();
    let [kept] = standing.as_slice() else { panic!("{standing:?}") };
    assert_eq!((kept.text("phone"), kept.text("address")), ("13900090001", "青石村7号"), "nothing is lost");
    let gone = rows.iter().find(|row| row.id == added).context("it is void, not away")?;
    assert_eq!((gone.text("@state"), gone.text("phone")), ("void", "13900090001"));
    // The file is known as the one that stays.
    let again = import(&server, folder.path(), "b.xlsx", &[&first.replace("水电", "木工")]).await?;
    assert_eq!((again.counts.changed, again.counts.added, again.counts.doubtful), (1, 0, 0), "{:?}", again.findings);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_said_to_be_others_are_asked_about_no_more() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    import(&server, folder.path(), "a.xlsx", &["张三|男|340099198001010013|1980-01-01|正式|2001-05|||"]).await?;
    let cells: [(&str, Value); 2] = [("name", "张三".into()), ("birth_date", "1980-01-01".into())];
    add_by_hand(&server, folder.path(), &cells).await?;
    let doubt = doubts::waiting(&server).await?.pop().context("it waits")?.doubt;
    let decided = doubts::decide(&server, doubt.id, Choice::New, "王").await?;
    assert!(matches!(decided, Decided::Written(_)), "{decided:?}");
    assert!(doubts::waiting(&server).await?.is_empty());
    assert_eq!(members(&server).await?.iter().filter(|row| row.stands()).count(), 2);
    Ok(())
}
