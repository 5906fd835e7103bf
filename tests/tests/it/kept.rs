//! Nought is not “nobody has entered anything”: ledgers that are not kept, copies that are not there, records nobody has reviewed.

use std::path::Path;

use anyhow::{Context, Result};
use importer::{
    ReadLimits,
    workbook::{grid::Cell, read},
};
use server::{
    Server,
    import::import_file,
    indicators::indicators,
    returns::{
        self, ReturnRequest,
        behind::{Behind, behind},
    },
};
use sync_protocol::catalogue::Sensitivity;
use tests::{
    county, sheet,
    worked::{Printed, synthetic},
};

const DAY: jiff::civil::Date = jiff::civil::date(2012, 11, 10);

async fn import(server: &Server, folder: &Path, name: &str, text: &str) -> Result<()> {
    let path = folder.join("more.xlsx");
    std::fs::write(&path, sheet::workbook(&[(name, text)])?)?;
    let done = import_file(server, &path, "县委组织部", &|_, _| {}).await?;
    assert!(done.counts.added > 0, "{:?}", done.findings);
    Ok(())
}

/// All texts of a sheet, in one.
fn texts(path: &Path, sheet: &str) -> Result<String> {
    let book = read::read(&std::fs::read(path)?, &ReadLimits::default())?;
    let page = book.sheets.iter().find(|page| page.name == sheet).context("the sheet")?;
    let mut all = String::new();
    for row in 0..page.row_count() {
        for column in 0..page.row(row).len() {
            if let Some(Cell::Text(id)) = page.cell(row, u16::try_from(column)?) {
                all.push_str(book.texts.get(id));
                all.push('\n');
            }
        }
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_has_kept_is_no_nought() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let draw = async |name: &str| Printed::draw(&server, folder.path(), name, &[]).await;
    // No roster, no team, no secretary: and fifteen vacancies.
    let none = "未建台账";
    let nobody = [none; 4].join(" ");
    draw("R01").await?.says(
        "按填报单位",
        2,
        &format!(
            "青山镇 6 0 1 5 0 0 4 1 1 0 0 0 0 {nobody} 0 {none} 0\n合计 15 1 1 13 1 0 7 1 3 0 1 3 0 {nobody} 0 {none} 0"
        ),
    )?;
    // A ledger of things that happen, of which the whole county has no row.
    draw("R17").await?.says("按填报单位", 2, &format!("白水镇 {none} {none}\n合计 {none} {none}"))?;
    let line = async |id: &str| -> Result<_> {
        indicators(&server, server.county, DAY, &[id.to_owned()]).await?.pop().with_context(|| id.to_owned())
    };
    for id in ["I-01", "I-17", "I-35", "I-36"] {
        let line = line(id).await?;
        assert_eq!((line.printed.as_str(), line.reached), (none, None), "{id} {:?}", line.not_kept);
    }

    // One of three has begun: its figures, and a total that says whom it lacks.
    let secretaries = "党组织编码|年度|姓名|性别|任职时间|来源\nA1|2012|张三|男|2010-01|内部选举";
    import(&server, folder.path(), "书记", secretaries).await?;
    let begun = ReturnRequest::new("R09", returns::county(&server).await?, DAY, folder.path());
    let begun = Printed { path: returns::draw(&server, &begun).await?.path };
    begun.says("按填报单位", 2, &format!("青山镇 6 1 5 0\n白水镇 6 {none} {none} {none}\n合计 15 1 5 0"))?;
    let notes = texts(&begun.path, "按填报单位")?;
    let said = notes.lines().find(|line| line.contains("未建台账、合计未含")).context("a note")?;
    assert!(said.contains("白水镇、县直机关工委，栏次2、3"), "{said}");
    let vacant = draw("R01").await?;
    assert!(texts(&vacant.path, "按填报单位")?.contains("党组织书记(头雁)管理台账（白水镇、县直机关工委，栏次17）"));
    assert_eq!(line("I-17").await?.printed, "6.7%", "one of fifteen is known");

    // Somebody has no hardship: one that another has makes it a nought.
    let hardship = "党组织编码|认定年度|姓名|主要致困原因|组织认定\nA1|2012|李四|因病|已认定";
    import(&server, folder.path(), "困难党员", hardship).await?;
    draw("R17").await?.says("按填报单位", 2, "青山镇 1 1\n白水镇 0 0\n合计 1 1")?;
    let town = county::unit(&server, "T2").await?;
    let town = server.store.unit(town).await?.context("the township")?;
    let alone = returns::draw(&server, &ReturnRequest::new("R17", town, DAY, folder.path())).await?;
    let notes = texts(&alone.path, "按填报单位")?;
    assert!(notes.contains("没有记录、按零计的台账：") && notes.contains("生活困难党员台账"), "{notes}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_behind_a_cell_have_names() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let of = async |name: &str, cell: &str, clearance: Sensitivity| -> Result<Behind> {
        let top = returns::county(&server).await?;
        let request = ReturnRequest {
            variables: if name == "R03" { vec![("round".into(), "final".into())] } else { Vec::new() },
            clearance,
            ..ReturnRequest::new(name, top, DAY, folder.path())
        };
        Ok(behind(&server, &request, &cell.parse().map_err(anyhow::Error::msg)?).await?)
    };
    // 晋级数 of the first line: A2 and A3.
    let up = of("R03", "L8", Sensitivity::S2).await?;
    let rows = &up.over[0].rows;
    let units: Vec<&str> = rows.iter().map(|row| row.unit_name.as_str()).collect();
    assert_eq!((up.line.as_str(), up.number.as_str(), up.value), ("青山镇", "10", Some(2.0)), "{up:?}");
    assert_eq!(units, ["A2党组织", "A3党组织"]);
    let label = server.catalogue.list("round").context("rounds")?.label("final").to_owned();
    assert!(rows.iter().all(|row| row.name == label && row.adds == 1), "{label}: {rows:?}");
    // A share: the backward of a field that is not there is over nothing; 完成率 has both sides.
    let share = of("R03", "按领域!E8", Sensitivity::S2).await?;
    assert_eq!((share.over[0].rows.len(), share.under[0].rows.len(), share.value), (7, 7, Some(1.0)), "{share:?}");
    // Twelve mechanisms make one branch.
    let twelve = of("R07", "F7", Sensitivity::S2).await?;
    let part = &twelve.over[0];
    assert_eq!((part.sum, part.rows.iter().filter(|row| row.adds == 1).count()), (3, 3), "{part:?}");
    assert_eq!(part.rows.len(), 12 + 13 + 12, "the mechanisms of A1, A2 and A4");
    for (cell, wrong) in [("B8", "no figure"), ("ZZ99", "no such cell"), ("没有!C8", "no such sheet")] {
        assert!(of("R03", cell, Sensitivity::S2).await.is_err(), "{wrong}");
    }
    Ok(())
}
