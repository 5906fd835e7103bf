//! All returns: what they say, what their formulas come to, and whether they are what they say they are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use server::{
    import::import_file,
    returns::{self, ReturnRequest},
};
use sync_protocol::catalogue::Sensitivity;
use tests::{
    node, office, sheet,
    worked::{Printed, synthetic},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_has_everything_in_one_workbook() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let printed = Printed::draw_for(&server, folder.path(), ("collection", &[]), Sensitivity::S1).await?;
    printed.says("R03 按填报单位", 2, "合计 14 14 100.0% 4 28.6% 7 50.0% 3 21.4%")?;
    printed.says("R05 按填报单位", 2, "合计 9 4 4 7 6 3 50.0%")?;
    let sheets = node::json("read-sheet.mjs", &[&printed.path, Path::new("目录")])?;
    let listed: Vec<&str> =
        sheets["rows"].as_array().context("rows")?.iter().skip(2).filter_map(|row| row[1].as_str()).collect();
    let drawn = node::json("sheet-names.mjs", &[&printed.path])?;
    let drawn: Vec<&str> = drawn.as_array().context("names")?.iter().filter_map(|name| name.as_str()).collect();
    assert_eq!(drawn[..3], ["封面", "目录", "R24 全县"]);
    assert_eq!(listed, drawn[2..drawn.len() - 1], "the contents name every sheet but the hidden one");
    assert_eq!(returns::verify::verify(&server, std::fs::read(&printed.path)?).await?.verdict, "valid");
    if let Some(soffice) = office::soffice()? {
        let out = tempfile::tempdir()?;
        let again = office::recalculated(&soffice, std::slice::from_ref(&printed.path), out.path())?;
        let compared = node::json("compare-values.mjs", &[&printed.path, &again[0]])?;
        assert_eq!(compared["different"], json!([]));
    }
    Ok(())
}

/// Ledgers of the other returns, with something for their ratios.
const OTHERS: [(&str, &str); 6] = [
    (
        "经费",
        "党组织编码|年度|凭证序号|收支类型|经费来源|经费用途|金额(元)
         A1|2012|1|收入|财政支持||30000.5
         A1|2011|1|收入|财政支持||20000
         B4|2012|1|收入|税前列支||5000
         A1|2012|2|支出||组织活动|12000",
    ),
    (
        "场所",
        "党组织编码|场所名称|场所类别|有无场所|产权|建筑面积(平方米)|是否达标|年内建设计划|计划投资(万元)|已投入资金(万元)
         A1|甲|村级|是|自有|120.5|是|改扩建|20|15
         B1|乙|村级|是|租赁|80|否|||
         A5|丙|社区|否|||否|||",
    ),
    (
        "困难",
        "党组织编码|姓名|认定年度|主要困难原因|组织认定
         A1|张三|2012|因病|已认定
         A2|李四|2012|因学|已认定",
    ),
    (
        "帮扶",
        "党组织编码|姓名|关爱类型|帮扶方式|金额(元)|资金来源|发放日期
         A1|张三|生活关爱|慰问金|1200.5|困难党员救助资金|2012-01-15",
    ),
    (
        "党员",
        "党组织编码|姓名|性别|民族|出生日期|党员类别|入党时间|学历
         A1|张三|男|汉族|1950-11-10|正式|1980-01|初中毕业
         A1|李四|女|回族|1980-03|预备|2011-11|大学本科毕业
         C1|王五|男|汉族|1976|正式|2000-05|普通高中毕业",
    ),
    (
        "任务",
        "任务编号|所属工程|任务名称|责任单位|责任人|完成时限|完成情况|更新日期
         1|头雁培养|甲|青山镇|张三|2012-05-01|已完成|2012-04-28
         2|头雁培养|乙|青山镇|张三|2012-06-01|进行中|
         3|扩面晋级|丙|白水镇|李四|2012-12-01|进行中|",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_return_is_drawn_and_its_formulas_say_what_they_come_to() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let others = folder.path().join("others.xlsx");
    std::fs::write(&others, sheet::workbook(&OTHERS)?)?;
    let done = import_file(&server, &others, "县", &|_, _| {}).await?;
    assert_eq!(done.tables.len(), OTHERS.len(), "{:?} {:?}", done.tables, done.findings);
    assert_eq!(done.counts.added, 16, "{:?}", done.findings);
    let mut drawn = Vec::new();
    for form in server.catalogue.returns() {
        drawn.push(Printed::draw(&server, folder.path(), &form.number, &[]).await?);
    }
    assert_eq!(drawn.len(), 25);
    drawn[1].says("按填报单位", 2, "青山镇 2 1 1 1 1 1 0 0 0 1 1 0 1\n 县直机关工委 1 1 0 0 0 1 0 0 0 0 0 1 0")?;
    drawn[14].says("村", 2, "青山镇 4 1 25.0% 1 25.0% 1 0 0 120.5 0 0 1 0 20.00 15.00 75.0% 3")?;
    drawn[15].says(
        "按领域",
        2,
        "村 2.00 3.00 50.0% 2.00 3.00 50.0% 0.00 0.00 0.00 0.00 0.00 1.20\n 非公企业 0.00 0.50 — 0.00 0.00 — 0.50",
    )?;
    drawn[16].says("按填报单位", 2, "青山镇 2 1 0 0 1 0 0 1 50.0% 0 1 0 0.12 0.12")?;
    drawn[22].says("按工程", 2, "头雁培养工程 2 1 0 0 1 50.0% 50.0%\n 扩面晋级工程 1 0 1 0 0 0.0% —")?;
    // One person each: not in a copy for supervisors, and nothing from which it could be reckoned.
    let copies = folder.path().join("copies");
    let copy = Printed::draw_for(&server, &copies, ("R17", &[]), Sensitivity::S1).await?;
    copy.says("按填报单位", 2, "青山镇 2 * 0 0 * 0 0 1 50.0%\n 白水镇 0 0 0 0 0 0 0\n 合计 2 * 0 0 * 0 0")?;
    let Some(soffice) = office::soffice()? else { return Ok(()) };
    let out = tempfile::tempdir()?;
    let files: Vec<PathBuf> = drawn.into_iter().map(|printed| printed.path).collect();
    let mut formulas = 0;
    for (ours, theirs) in files.iter().zip(office::recalculated(&soffice, &files, out.path())?) {
        let compared = node::json("compare-values.mjs", &[ours, &theirs])?;
        assert_eq!(compared["different"], serde_json::json!([]), "{}", ours.display());
        formulas += compared["formulas"].as_u64().context("formulas")?;
    }
    assert!(formulas > 500, "only {formulas} formulas");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_return_tells_which_cells_were_altered_and_whether_it_is_stale() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let printed = Printed::draw(&server, folder.path(), "R03", &[("round", "final")]).await?;
    let verify = async |path: &Path| anyhow::Ok(returns::verify::verify(&server, std::fs::read(path)?).await?);
    let valid = verify(&printed.path).await?;
    assert_eq!((valid.verdict, valid.is_stale, valid.altered.len()), ("valid", false, 0));
    let drawn = valid.drawn.context("drawn")?;
    assert_eq!((drawn.number.as_str(), drawn.date.as_str()), ("R03", "2012-11-10"));
    let again = std::fs::read(&printed.path)?;
    Printed::draw(&server, folder.path(), "R03", &[("round", "final")]).await?;
    assert_eq!(std::fs::read(&printed.path)?, again, "the same state gives the same bytes");

    let spec = json!({ "sheet": "按填报单位", "cells": { "D8": 7, "B9": "黑山镇" } });
    let altered = folder.path().join("altered.xlsx");
    node::json("edit-cells.mjs", &[&printed.path, &altered, Path::new(&spec.to_string())])?;
    let found = verify(&altered).await?;
    // The program that edited it has left out more than it was asked to.
    for (cell, change) in [("按填报单位!D8", "→ 7"), ("按填报单位!B9", "→ 黑山镇")] {
        assert!(found.altered.iter().any(|place| place == cell), "{:?}", found.altered);
        let is_told = |told: &String| told.starts_with(cell) && told.contains(change);
        assert!(found.changes.iter().any(is_told), "{:?}", found.changes);
    }
    assert_eq!(found.verdict, "altered");
    if let Some(soffice) = office::soffice()? {
        for filter in ["xlsx", "ods"] {
            let out = folder.path().join(filter);
            std::fs::create_dir_all(&out)?;
            let saved = office::convert(&soffice, &printed.path, filter, &out)?;
            let saved = verify(&saved).await?;
            assert_eq!((saved.verdict, saved.changes), ("resaved", Vec::new()), "saved again as {filter}");
        }
    }
    let stranger = folder.path().join("stranger");
    let other = synthetic(&stranger, None).await?;
    let theirs = Printed::draw(&other, &stranger, "R03", &[("round", "final")]).await?;
    assert_eq!(verify(&theirs.path).await?.verdict, "unsigned");

    // Something else in the county changes: nothing that it counted.
    let text =
        "党组织编码|姓名|性别|民族|出生日期|党员类别|入党时间|学历\nA1|张三|男|汉族|1950-11-10|正式|1980-01|初中毕业";
    let other = folder.path().join("other.xlsx");
    std::fs::write(&other, sheet::workbook(&[("党员", text)])?)?;
    assert_eq!(import_file(&server, &other, "县", &|_, _| {}).await?.counts.added, 1);
    let fresh = verify(&printed.path).await?;
    assert_eq!((fresh.verdict, fresh.is_stale, fresh.redrawn), ("valid", false, "same"));

    // A fact that it used changes: it is valid and stale, and the same return can be drawn again as of then.
    let text = "党组织编码|定级轮次|审定等次\nA3|年终|后进";
    let change = folder.path().join("change.xlsx");
    std::fs::write(&change, sheet::workbook(&[("定级", text)])?)?;
    import_file(&server, &change, "县", &|_, _| {}).await?;
    let stale = verify(&printed.path).await?;
    assert_eq!((stale.verdict, stale.is_stale, stale.redrawn), ("valid", true, "same"));
    let now = Printed::draw(&server, &folder.path().join("now"), "R03", &[("round", "final")]).await?;
    now.says("按填报单位", 2, "合计 15 15 100.0% 6 40.0% 7 46.7% 2 13.3%")?;
    let (top, date) = (returns::county(&server).await?, jiff::civil::date(2012, 11, 10));
    let request = ReturnRequest {
        variables: vec![("round".into(), "final".into())],
        as_of: Some(returns::AsOf::Seq(drawn.seq)),
        ..ReturnRequest::new("R03", top, date, folder.path().join("then"))
    };
    let then = returns::draw(&server, &request).await?;
    assert_eq!(std::fs::read(&then.path)?, again, "byte for byte the return of then");
    Ok(())
}
