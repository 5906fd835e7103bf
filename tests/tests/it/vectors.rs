//! The worked synthetic county: every expected figure, through import → documents → tallies → indicators and returns.

use std::fmt::Write;

use anyhow::{Context, Result};
use server::{Server, import::import_file, indicators::indicators, returns};
use tests::{
    county, sheet,
    worked::{Printed, synthetic},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_worked_county_gives_every_expected_figure() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let draw = async |name: &str, choices: &[(&str, &str)]| Printed::draw(&server, folder.path(), name, choices).await;
    draw("R03", &[("round", "initial")]).await?.says(
        "按填报单位",
        2,
        "青山镇 6 6 100.0% 2 33.3% 3 50.0% 1 16.7% — — — — —
         白水镇 5 5 100.0% 1 20.0% 2 40.0% 2 40.0% — — — — —
         县直机关工委 3 3 100.0% 1 33.3% 2 66.7% 0 0.0% — — — — —
         合计 14 14 100.0% 4 28.6% 7 50.0% 3 21.4% — — — — —",
    )?;
    let last = draw("R03", &[("round", "final")]).await?;
    last.says(
        "按填报单位",
        2,
        "青山镇 6 6 100.0% 2 33.3% 4 66.7% 0 0.0% 2 3 1 4 50.0%
         白水镇 6 6 100.0% 2 33.3% 3 50.0% 1 16.7% 2 3 0 4 50.0%
         县直机关工委 3 3 100.0% 2 66.7% 1 33.3% 0 0.0% 1 2 0 2 50.0%
         合计 15 15 100.0% 6 40.0% 8 53.3% 1 6.7% 5 8 1 10 50.0%",
    )?;
    last.says(
        "按领域",
        2,
        "农村 7 7 100.0% 2 28.6% 4 57.1% 1 14.3% 3 4 0 6 50.0%
         城市社区 1 1 100.0% 0 0.0% 1 100.0% 0 0.0% 0 0 1 0 —
         两新组织 3 3 100.0% 1 33.3% 2 66.7% 0 0.0% 1 1 0 2 50.0%
         流动 1 1 100.0% 1 100.0% 0 0.0% 0 0.0% 0 1 0 0 —
         机关 3 3 100.0% 2 66.7% 1 33.3% 0 0.0% 1 2 0 2 50.0%
         合计 15 15 100.0% 6 40.0% 8 53.3% 1 6.7% 5 8 1 10 50.0%",
    )?;
    draw("R04", &[]).await?.says(
        "按填报单位",
        2,
        "青山镇 1 1 4 4 100.0% 0 0 0 1 1 0 100.0% 1 100.0% 0
         白水镇 2 2 8 6 75.0% 0 0 1 1 1 0 50.0% 0 0.0% 1
         县直机关工委 0 0 0 0 — 0 0 0 0 0 0 — 0 — 0
         合计 3 3 12 10 83.3% 0 0 1 2 2 0 66.7% 1 33.3% 1",
    )?;
    draw("R05", &[]).await?.says(
        "按填报单位",
        2,
        "青山镇 5 3 2 4 4 2 50.0% 1 33.3% 2 100.0% 4 4 2 1 0 1 100.0% 1 1 100.0% 80.0%
         白水镇 4 1 2 3 2 1 50.0% 1 100.0% 1 50.0% 3 2 1 1 0 0 66.7% 2 1 50.0% 50.0%
         合计 9 4 4 7 6 3 50.0% 2 50.0% 3 75.0% 7 6 3 2 0 1 85.7% 3 2 66.7% 66.7%",
    )?;
    let mechanisms = draw("R07", &[]).await?;
    mechanisms.says(
        "按填报单位",
        2,
        "青山镇 5 45 9.0 3 1 1 0 60.0% 6 6 100.0%
         白水镇 5 35 7.0 2 1 1 1 40.0% 6 5 83.3%
         县直机关工委 3 36 12.0 3 0 0 0 100.0% 3 3 100.0%
         合计 13 116 8.9 8 2 2 1 61.5% 15 14 93.3%",
    )?;
    // By kind, rows themselves are counted: M01 in all branches but B3, M12 where there are twelve, M13 in A2 alone.
    mechanisms.says(
        "按机制类别",
        2,
        "书记岗位目标责任制 12 92.3% 0\n 困难党员救助帮扶 8 61.5% 0\n 村干部报酬正常增长 1 7.7% 0",
    )?;
    draw("R01", &[]).await?.says(
        "按填报单位",
        2,
        "青山镇 6 0 1 5 0 0 4 1 1 0 0 0 0
         白水镇 6 1 0 5 1 0 3 0 2 0 1 0 0
         合计 15 1 1 13 1 0 7 1 3 0 1 3 0",
    )?;
    board(&server).await
}

/// The indicators on 11-10.
async fn board(server: &Server) -> Result<()> {
    let lines = indicators(server, server.county, jiff::civil::date(2012, 11, 10), &[]).await?;
    for (id, printed, reached) in [
        ("I-04", "100.0%", Some(true)),
        ("I-05", "66.7%", Some(false)),
        ("I-06", "33.3%", Some(false)),
        ("I-07", "83.3%", None),
        ("I-08", "50.0%", None),
        ("I-12", "50.0%", Some(false)),
        ("I-13", "85.7%", Some(false)),
        ("I-14", "66.7%", None),
        ("I-16", "66.7%", None),
        ("I-31", "61.5%", Some(false)),
        ("I-32", "93.3%", Some(false)),
        ("I-39", "未建台账", None),
    ] {
        let line = lines.iter().find(|line| line.id == id).with_context(|| id.to_owned())?;
        assert_eq!((line.printed.as_str(), line.reached), (printed, reached), "{id}");
    }
    Ok(())
}

/// Twenty requests, one withdrawn; sixteen closed, fourteen on time, fifteen fed back, twelve rated.
#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_community_give_the_expected_rates() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    let mut text = String::from("党组织编码|受理编号|收集日期|办理时限|办结日期|办理结果|公示反馈日期|群众评价\n");
    for number in 1..=20 {
        let closed = match number {
            1..=14 => "2012.5.8",
            15 | 16 => "2012.5.20",
            _ => "",
        };
        let outcome = if number <= 16 {
            "已解决"
        } else if number == 20 {
            "反映人撤回"
        } else {
            ""
        };
        let publicised = if number <= 15 { "2012.5.21" } else { "" };
        let rating = match number {
            1..=9 => "满意",
            10 | 11 => "基本满意",
            12 => "不满意",
            _ => "",
        };
        writeln!(text, "0001-001|{number:03}|2012.5.1|2012.5.10|{closed}|{outcome}|{publicised}|{rating}")?;
    }
    let path = folder.path().join("requests.xlsx");
    std::fs::write(&path, sheet::workbook(&[("民情", &text)])?)?;
    let done = import_file(&server, &path, "县", &|_, _| {}).await?;
    assert_eq!((done.counts.added, done.findings.len()), (20, 2), "two were late: {:?}", done.findings);
    let lines = indicators(&server, server.county, jiff::civil::date(2012, 5, 31), &[]).await?;
    for (id, printed) in [("I-39", "84.2%"), ("I-40", "87.5%"), ("I-41", "93.8%"), ("I-42", "91.7%")] {
        let line = lines.iter().find(|line| line.id == id).context(id)?;
        assert_eq!(line.printed, printed, "{id}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_county_parameter_changes_a_denominator_without_a_line_of_rust() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), Some("[parameters]\nstandalone_due_rule = \"formal3_only\"\n")).await?;
    let lines = indicators(&server, server.county, jiff::civil::date(2012, 3, 31), &["I-12".to_owned()]).await?;
    assert_eq!((lines[0].figure.numerator, lines[0].figure.denominator), (3, Some(4)));
    assert_eq!(lines[0].printed, "75.0%");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_ledger_column_and_alias_need_no_line_of_rust() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let own = r#"
[ledger]
id = "flood-patrols"
number = 90
title = "防汛巡查台账"
title_en = "Flood patrols"
tier = 2
book = "unit"
writer = "branch"
keys = [["patrolled_on", "place"]]
sort = ["patrolled_on"]

[ledger.unit]
of = "organisation"
defines = false
code = "org_code"
name = "org_name"

[[column]]
key = "org_code"
title = "党组织编码"
type = "text"
required = "optional"
sensitivity = "S0"

[[column]]
key = "org_name"
title = "党组织名称"
type = "text"
required = "optional"
sensitivity = "S0"

[[column]]
key = "patrolled_on"
title = "巡查日期"
type = "date"
required = "mandatory"
aliases = ["巡堤日期"]
sensitivity = "S0"

[[column]]
key = "place"
title = "堤段"
type = "text"
required = "mandatory"
sensitivity = "S0"

[[column]]
key = "people"
title = "出动人数"
type = "int"
required = "mandatory"
sensitivity = "S0"

[[measure]]
id = "flood_people"
title = "出动人次"
ledger = "flood-patrols"
sum = "people"

[[indicator]]
id = "X-01"
name = "flood_people_count"
title = "防汛出动人次"
numerator = ["flood_people"]
basis = "none"
"#;
    let server = county::open_with(&folder.path().join("data"), own).await?;
    server.store.put_units(&tests::roster::units(&server.tenant, server.county, 2)).await?;
    let path = folder.path().join("patrols.xlsx");
    let text = "党组织编码|巡堤日期|堤段|出动人数\n0001-001|2012.7.1|东堤|12人\n0001-002|2012.7.2|西堤|三十";
    std::fs::write(&path, sheet::workbook(&[("巡查", text)])?)?;
    let done = import_file(&server, &path, "县", &|_, _| {}).await?;
    assert_eq!((done.counts.added, done.findings.len()), (2, 0), "{:?}", done.findings);

    let url = county::serve(&server).await?;
    let unit = sync_protocol::UnitId::derive(&server.tenant, None, "0001-001");
    let device = county::device(&server, folder.path(), &url, "patrol", unit, &[sync_protocol::Book::Unit]).await?;
    device.exchange(0).await?;
    let book = sync_protocol::Identity { unit, book: sync_protocol::Book::Unit, period: server.period() };
    let row = device.rows(&book, "flood-patrols").await?.remove(0);
    device.save(&book, "flood-patrols", row.id, &[("people", 20.into())], 0).await?;
    assert!(device.exchange(0).await?.refusals.is_empty());

    let lines = indicators(&server, server.county, jiff::civil::date(2012, 12, 31), &["X-01".to_owned()]).await?;
    assert_eq!(lines[0].figure.numerator, 50);
    let drawn = returns::draw(
        &server,
        &returns::ReturnRequest::new(
            "flood-patrols",
            returns::county(&server).await?,
            jiff::civil::date(2012, 12, 31),
            folder.path(),
        ),
    )
    .await?;
    assert_eq!(drawn.rows, 2);
    Ok(())
}
