//! The worked synthetic county: every expected figure, through import → documents → tallies → indicator.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use server::{
    Server,
    import::import_file,
    indicators::indicators,
    returns::{self, ReturnRequest},
};
use sync_protocol::catalogue::Sensitivity;
use tests::{county, node, office, sheet};

const UNITS: &str = "
    单位代码|单位名称|简称|排序|单位类别|是否启用
    T1|中共青山镇委员会|青山镇|1|镇党委|是
    T2|中共白水镇委员会|白水镇|2|镇党委|是
    J1|中共县直机关工作委员会|县直机关工委|3|县直机关工委|是";

/// See [`ORGANISATIONS`].
type Organisation =
    (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str, &'static str, usize);

/// Organisation, reporting unit, field, type, initial grade, final grade, change, mechanism kinds.
const ORGANISATIONS: [Organisation; 15] = [
    ("A1", "青山镇", "农村", "党支部", "先进", "先进", "持平", 12),
    ("A2", "青山镇", "农村", "党支部", "一般", "先进", "晋级", 13),
    ("A3", "青山镇", "农村", "党支部", "后进", "一般", "晋级", 7),
    ("A4", "青山镇", "农村", "党支部", "一般", "一般", "持平", 12),
    ("A5", "青山镇", "城市社区", "党总支", "先进", "一般", "降级", 11),
    ("A6", "青山镇", "两新组织", "党支部", "一般", "一般", "持平", 1),
    ("B1", "白水镇", "农村", "党支部", "一般", "一般", "持平", 12),
    ("B2", "白水镇", "农村", "党支部", "后进", "一般", "晋级", 6),
    ("B3", "白水镇", "农村", "党支部", "后进", "后进", "持平", 0),
    ("B4", "白水镇", "两新组织", "联合党支部", "一般", "先进", "晋级", 12),
    ("B5", "白水镇", "流动", "党委", "先进", "先进", "持平", 3),
    ("B6", "白水镇", "两新组织", "党支部", "", "一般", "新定级", 5),
    ("C1", "县直机关工委", "机关", "党支部", "先进", "先进", "持平", 12),
    ("C2", "县直机关工委", "机关", "党支部", "一般", "先进", "晋级", 12),
    ("C3", "县直机关工委", "机关", "党支部", "一般", "一般", "持平", 12),
];

const RECTIFICATION: &str = "
    党组织编码|定级轮次|问题类型|主要问题|整改对策|联系领导|方案审定日期|整改时限|整改状态|转化后等次|转化日期
    A3|首次|其他|甲|甲|周平|2012-05-10|2012-10-20|已转化|一般|2012-10-15
    B2|首次|其他|乙|乙|周平|2012-05-10|2012-10-20|已转化|一般|2012-10-28
    B3|首次|其他|丙|丙|周平|2012-05-10|2012-10-20|验收不合格||";

/// Unit, reporting unit, kind, operating, above scale, members, formal, formation mode, instructor, trade union.
const COMPANIES: &str = "
    单位名称|填报单位|单位类型|是否实体运营|是否规模以上|党员数|正式党员数|组建方式|党建指导员|有无工会|单位状态
    U1|青山镇|非公企业|是|是|6|5|单独组建|||正常
    U2|青山镇|非公企业|是|是|2|1|联合组建|||正常
    U3|青山镇|非公企业|是|否|3|3|单独组建|||正常
    U4|青山镇|非公企业|是|否|1|0|挂靠组建|||正常
    U5|青山镇|非公企业|是|是|0|0|未组建|王平||正常
    U6|白水镇|非公企业|是|是|4|4|单独组建|||正常
    U7|白水镇|非公企业|是|否|2|2|未组建|||正常
    U8|白水镇|社会组织|是|否|4|3|联合组建|||正常
    U9|白水镇|非公企业|否|是|0|0|未组建|||正常
    U10|白水镇|非公企业|是|否|0|0|未组建||是|正常";

async fn synthetic(folder: &std::path::Path, overlay: Option<&str>) -> Result<Server> {
    let data = folder.join("data");
    let server = match overlay {
        None => county::open(&data, None).await?,
        Some(text) => county::open_with(&data, text).await?,
    };
    let mut organisations = String::from("填报单位|党组织编码|党组织名称|所属领域|组织类别|成立时间|组织状态\n");
    let mut grades = String::from("党组织编码|所属领域|定级轮次|初定等次|审定等次|上轮等次|晋级情况\n");
    let mut mechanisms = String::from("党组织编码|机制类别|机制名称|建立时间|运行状态\n");
    for (code, unit, field, kind, initial, last, change, count) in ORGANISATIONS {
        let since = if initial.is_empty() { "2012.6.1" } else { "2000.1.1" };
        writeln!(organisations, "{unit}|{code}|{code}党组织|{field}|{kind}|{since}|正常")?;
        if !initial.is_empty() {
            writeln!(grades, "{code}|{field}|首次|{initial}|{initial}||")?;
        }
        writeln!(grades, "{code}|{field}|年终|{last}|{last}|{initial}|{change}")?;
        for number in 1..=count {
            writeln!(mechanisms, "{code}|M{number:02}|制度{number}|2012-06-01|运行中")?;
        }
    }
    let mut items = String::from("党组织编码|事项序号|问题表现|问题类型|整改措施|责任人|完成时限|整改状态\n");
    for (code, all, verified) in [("A3", 4, 4), ("B2", 3, 3), ("B3", 5, 3)] {
        for number in 1..=all {
            let status = if number <= verified { "已销号" } else { "整改中" };
            writeln!(items, "{code}|{number}|问题|其他|整改|张三|2012-09-30|{status}")?;
        }
    }
    let sheets = [
        ("名录", UNITS),
        ("党组织", &organisations),
        ("定级", &grades),
        ("整改", RECTIFICATION),
        ("事项", &items),
        ("机制", &mechanisms),
        ("单位", COMPANIES),
    ];
    let path = folder.join("synthetic.xlsx");
    std::fs::write(&path, sheet::workbook(&sheets)?)?;
    let done = import_file(&server, &path, "县委组织部", &|_, _| {}).await?;
    assert_eq!(done.tables.len(), sheets.len(), "{:?}", done.tables);
    let errors: Vec<_> = done.findings.iter().filter(|f| f.severity == importer::Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    Ok(server)
}

/// A drawn return as another reader sees it.
struct Printed {
    path: PathBuf,
}

impl Printed {
    async fn draw(server: &Server, folder: &Path, name: &str, choices: &[(&str, &str)]) -> Result<Self> {
        let request = ReturnRequest {
            name: name.to_owned(),
            variables: choices.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            folder: folder.to_owned(),
            date: jiff::civil::date(2012, 11, 10),
            clearance: Sensitivity::S2,
            top: returns::county(server).await?,
        };
        let drawn = returns::draw(server, &request).await?;
        assert!(drawn.failed_checks.is_empty(), "{name}: {:?}", drawn.failed_checks);
        Ok(Self { path: drawn.path })
    }

    /// Compares the figures of rows, from 栏次 1 on, with what is expected: `12`, `9.0`, `33.3%`, `—`.
    fn says(&self, sheet: &str, text_columns: usize, expected: &str) -> Result<()> {
        let read = node::json("read-sheet.mjs", &[&self.path, Path::new(sheet)])?;
        let rows = read["rows"].as_array().context("rows")?;
        for line in expected.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (label, figures) = line.split_once(' ').context("a label")?;
            let row = rows.iter().find(|row| row[text_columns - 1] == label).with_context(|| label.to_owned())?;
            for (index, figure) in figures.split_whitespace().enumerate() {
                let cell = &row[text_columns + index];
                let places = figure.trim_end_matches('%').split_once('.').map_or(0, |(_, decimals)| decimals.len());
                let printed = match (cell.as_f64(), figure.ends_with('%')) {
                    (Some(number), true) => format!("{}%", half_up(number * 100.0, places)),
                    (Some(number), false) => half_up(number, places),
                    (None, _) => cell.as_str().unwrap_or_default().to_owned(),
                };
                assert_eq!(printed, figure, "{} {sheet} {label} 栏次 {}", self.path.display(), index + 1);
            }
        }
        Ok(())
    }
}

/// As Excel prints a number: half up.
fn half_up(number: f64, places: usize) -> String {
    let scale = [1.0, 10.0, 100.0][places];
    format!("{:.places$}", (number * scale + 1e-9).round() / scale)
}

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
    mechanisms.says("按机制类别", 2, "书记岗位目标责任制 12 0\n 困难党员救助帮扶 8 0\n 村干部报酬正常增长 1 0")?;
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
        ("I-39", "—", None),
    ] {
        let line = lines.iter().find(|line| line.id == id).with_context(|| id.to_owned())?;
        assert_eq!((line.printed.as_str(), line.reached), (printed, reached), "{id}");
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
    let Some(soffice) = office::soffice()? else { return Ok(()) };
    let out = tempfile::tempdir()?;
    let files: Vec<PathBuf> = drawn.into_iter().map(|printed| printed.path).collect();
    let mut formulas = 0;
    for (ours, theirs) in files.iter().zip(office::recalculated(&soffice, &files, out.path())?) {
        let compared = node::json("compare-values.mjs", &[ours, &theirs])?;
        assert_eq!(compared["different"], serde_json::json!([]), "{}", ours.display());
        formulas += compared["formulas"].as_u64().context("formulas")?;
    }
    assert!(formulas > 900, "only {formulas} formulas");
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
    assert_eq!((done.counts.added, done.findings.len()), (20, 0), "{:?}", done.findings.first());
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
        &returns::ReturnRequest {
            name: "flood-patrols".into(),
            variables: vec![],
            folder: folder.path().to_owned(),
            date: jiff::civil::date(2012, 12, 31),
            clearance: sync_protocol::catalogue::Sensitivity::S2,
            top: returns::county(&server).await?,
        },
    )
    .await?;
    assert_eq!(drawn.rows, 2);
    Ok(())
}
