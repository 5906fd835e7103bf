//! What `taizhang quality` says of rows that went through import and exchange.

use std::path::Path;

use anyhow::{Context, Result};
use server::{
    Server,
    import::import_file,
    quality::{QualityLine, quality},
};
use sync_protocol::{Book, Identity, row::REMOVED};
use tests::{county, sheet};

#[tokio::test(flavor = "multi_thread")]
async fn quality_names_the_rule_the_record_and_what_to_do() -> Result<()> {
    let (folder, server) = county::with_branches(2).await?;
    let members = "党组织编码|姓名|性别|身份证号|出生日期|党员类别|入党时间|转正时间
        0001-001|张三|男|340099198001010013|1980-01-01|正式|2001-05|2002-05
        0001-002|张三|男|340099198001010013|1980-01-01|正式|2001-05|2002-05
        0001-002|李四|男|34009919801231002X|1980-12-31|预备|2012-11-11|";
    import(&server, folder.path(), "党员", members).await?;
    let units = server.store.units().await?;
    let date = jiff::civil::date(2012, 11, 10);
    let lines = quality(&server, &units, date).await?;
    assert_eq!(found(&lines, "members.v5"), ["张三", "张三"], "one identity number in two branches");
    assert_eq!(found(&lines, "members.v1b"), ["李四"], "the number says a woman");
    assert_eq!(found(&lines, "members.v3a"), Vec::<&str>::new());
    let missing =
        lines.iter().find(|line| line.rule == "members.mandatory").context("no ethnic group, no education")?;
    assert_eq!(found(&lines, "members.future"), ["李四"], "admitted on the day after");
    assert!(missing.text.contains("民族") && !missing.text.contains("党籍状态"), "{}", missing.text);

    let one: Vec<_> = units.into_iter().filter(|unit| unit.code.as_deref() == Some("0001-002")).collect();
    let own = quality(&server, &one, date).await?;
    assert!(own.iter().all(|line| line.unit == one[0].name), "{own:?}");
    assert_eq!(found(&own, "members.v5"), ["张三"], "the other branch is looked at, and not listed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_know_whose_rows_they_see_and_that_a_roster_keeps_its_rows() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = county::open(&folder.path().join("data"), None).await?;
    let units = tests::roster::units(&server.tenant, server.county, 2);
    server.store.put_units(&units).await?;
    let members = "党组织编码|姓名|性别|出生日期|党员类别|入党时间|转正时间
        0001-001|张三|男|1980-01-01|正式|2001-05|2002-05
        0001-001|李四|男|1980-12-31|正式|2001-05|2002-05";
    import(&server, folder.path(), "党员", members).await?;
    let branch = units.iter().find(|unit| unit.code.as_deref() == Some("0001-001")).context("the branch")?;
    let town = units.iter().find(|unit| Some(unit.id) == branch.parent).context("its township")?;
    let text = format!(
        "填报单位|流动类型|姓名|所在党支部|外出时间\n{town}|流出|张三|{branch}|2012-05\n{town}|流出|王五|{branch}|2012-05",
        town = town.name,
        branch = branch.name
    );
    import(&server, folder.path(), "流动党员", &text).await?;
    let url = county::serve(&server).await?;
    let device = county::device(&server, folder.path(), &url, "branch", branch.id, &[Book::Unit]).await?;
    device.exchange(0).await?;
    let book = Identity { unit: branch.id, book: Book::Unit, period: server.period() };
    let rows = device.rows(&book, "members").await?;
    let row = rows.iter().find(|row| row.text("name") == "李四").context("李四")?;
    device.save(&book, "members", row.id, &[(REMOVED, true.into())], 0).await?;
    assert!(device.exchange(0).await?.refusals.is_empty());

    let lines = quality(&server, &units, jiff::civil::date(2012, 11, 10)).await?;
    assert_eq!(found(&lines, "floating-members.v4"), ["王五"], "张三 is in the roster of the branch that is named");
    assert_eq!(found(&lines, "members.removed"), ["李四"]);
    Ok(())
}

/// The records that break a rule.
fn found<'a>(lines: &'a [QualityLine], rule: &str) -> Vec<&'a str> {
    lines.iter().filter(|line| line.rule == rule).map(|line| line.record.as_str()).collect()
}

async fn import(server: &Server, folder: &Path, sheet: &str, text: &str) -> Result<()> {
    let path = folder.join(format!("{sheet}.xlsx"));
    std::fs::write(&path, sheet::workbook(&[(sheet, text)])?)?;
    import_file(server, &path, "县", &|_, _| {}).await?;
    Ok(())
}
