//! The worked synthetic county: every expected figure, through import → documents → tallies → indicator.

use std::{collections::BTreeMap, fmt::Write};

use anyhow::{Context, Result};
use server::{Server, import::import_file, indicators::indicators, returns};
use sync_protocol::{catalogue::Figure, unit::UnitLevel};
use tests::{county, sheet};

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

/// The sums of measures by reporting unit, `合计` for the county.
async fn by_unit(server: &Server, measures: &[&str]) -> Result<BTreeMap<String, Vec<i64>>> {
    let keys: Vec<String> = measures.iter().map(|m| (*m).to_owned()).collect();
    let mut rows: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for level in [UnitLevel::ReportingUnit, UnitLevel::County] {
        let sums = server.store.sums_by_unit(server.county, level, &server.period(), &keys).await?;
        for unit in server.store.units().await?.into_iter().filter(|unit| unit.level == level) {
            let row = keys.iter().map(|key| {
                let own = sums.iter().filter(|s| s.of == server::store::SumOf::Unit(unit.id) && s.measure == *key);
                own.map(|sum| sum.value).sum()
            });
            let label = if level == UnitLevel::County { "合计".to_owned() } else { unit.label().to_owned() };
            rows.insert(label, row.collect());
        }
    }
    Ok(rows)
}

fn expect(rows: &BTreeMap<String, Vec<i64>>, expected: &[(&str, &[i64])]) {
    for (label, values) in expected {
        assert_eq!(rows.get(*label).map(Vec::as_slice), Some(*values), "{label}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worked_county_gives_every_expected_figure() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    r03(&server).await?;

    // R04 on 11-10, columns 1–4, 6–11, 13; 15 is kept apart by date.
    let rows = by_unit(
        &server,
        &[
            "backward_base",
            "backward_planned",
            "backward_items",
            "backward_items_verified",
            "backward_working",
            "backward_applied",
            "backward_rejected",
            "backward_accepted",
            "backward_to_average",
            "backward_to_advanced",
            "backward_on_time",
            "backward_overdue",
        ],
    )
    .await?;
    expect(
        &rows,
        &[
            ("青山镇", &[1, 1, 4, 4, 0, 0, 0, 1, 1, 0, 1, 0]),
            ("白水镇", &[2, 2, 8, 6, 0, 0, 1, 1, 1, 0, 0, 1]),
            ("县直机关工委", &[0; 12]),
            ("合计", &[3, 3, 12, 10, 0, 0, 1, 2, 2, 0, 1, 1]),
        ],
    );

    // R05, columns 1–6, 8, 10, 12–17, 19, 20.
    let rows = by_unit(
        &server,
        &[
            "units_operating",
            "units_above_scale",
            "units_formal3",
            "units_with_members",
            "standalone_due",
            "standalone_formed",
            "standalone_formed_above_scale",
            "standalone_formed_formal3",
            "units_with_members",
            "units_covered",
            "units_covered_standalone",
            "units_covered_joint",
            "units_covered_regional",
            "units_covered_attached",
            "units_unformed",
            "units_work_covered",
        ],
    )
    .await?;
    expect(
        &rows,
        &[
            ("青山镇", &[5, 3, 2, 4, 4, 2, 1, 2, 4, 4, 2, 1, 0, 1, 1, 1]),
            ("白水镇", &[4, 1, 2, 3, 2, 1, 1, 1, 3, 2, 1, 1, 0, 0, 2, 1]),
            ("合计", &[9, 4, 4, 7, 6, 3, 2, 3, 7, 6, 3, 2, 0, 1, 3, 2]),
        ],
    );

    // R07, columns 1, 2, 4–7, 9, 10.
    let rows = by_unit(
        &server,
        &[
            "branches_active",
            "mechanisms_of_branches",
            "branches_twelve",
            "branches_six",
            "branches_one",
            "branches_none",
            "organisations_active",
            "organisations_with_institution",
        ],
    )
    .await?;
    expect(
        &rows,
        &[
            ("青山镇", &[5, 45, 3, 1, 1, 0, 6, 6]),
            ("白水镇", &[5, 35, 2, 1, 1, 1, 6, 5]),
            ("县直机关工委", &[3, 36, 3, 0, 0, 0, 3, 3]),
            ("合计", &[13, 116, 8, 2, 2, 1, 15, 14]),
        ],
    );

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

/// R03 of both rounds by unit, and of the last by field: columns 1, 2, 4, 6, 8, 10–13, then the ratios as printed.
async fn r03(server: &Server) -> Result<()> {
    let form = server.catalogue.return_form("R03").context("R03")?;
    let measures = [
        "organisations_to_grade",
        "organisations_graded",
        "graded_advanced",
        "graded_average",
        "graded_backward",
        "grade_up",
        "grade_keep",
        "grade_down",
        "base_not_advanced",
    ];
    let initial: &[(&str, [i64; 5])] =
        &[("青山镇", [6, 6, 2, 3, 1]), ("白水镇", [5, 5, 1, 2, 2]), ("县直机关工委", [3, 3, 1, 2, 0])];
    let last: &[(&str, [i64; 9])] = &[
        ("青山镇", [6, 6, 2, 4, 0, 2, 3, 1, 4]),
        ("白水镇", [6, 6, 2, 3, 1, 2, 3, 0, 4]),
        ("县直机关工委", [3, 3, 2, 1, 0, 1, 2, 0, 2]),
    ];
    let fields: &[(&str, [i64; 9], &str)] = &[
        ("农村", [7, 7, 2, 4, 1, 3, 4, 0, 6], "50.0%"),
        ("城市社区", [1, 1, 0, 1, 0, 0, 0, 1, 0], "—"),
        ("两新组织", [3, 3, 1, 2, 0, 1, 1, 0, 2], "50.0%"),
        ("流动", [1, 1, 1, 0, 0, 0, 1, 0, 0], "—"),
        ("机关", [3, 3, 2, 1, 0, 1, 2, 0, 2], "50.0%"),
        ("其他", [0; 9], "—"),
    ];
    let figures = async |round: &str| -> Result<returns::Figures> {
        let variables = returns::variables(server, form, &[("round".into(), round.into())])?;
        Ok(returns::figures(server, server.county, form, &variables).await?)
    };
    let numbers = |counts: &BTreeMap<String, i64>| measures.map(|m| counts.get(m).copied().unwrap_or(0));
    for (unit, counts) in &figures("initial").await?.by_unit {
        let expected = initial.iter().find(|(name, _)| unit.label() == *name).context("a unit")?;
        assert_eq!(numbers(counts)[..5], expected.1, "initial {}", unit.label());
    }
    let final_round = figures("final").await?;
    for (unit, counts) in &final_round.by_unit {
        let expected = last.iter().find(|(name, _)| unit.label() == *name).context("a unit")?;
        assert_eq!(numbers(counts), expected.1, "final {}", unit.label());
    }
    for (group, counts) in form.groups.iter().zip(&final_round.by_group) {
        let Some((_, expected, rate)) = fields.iter().find(|(name, _, _)| group.label == *name) else { continue };
        let found = numbers(counts);
        assert_eq!(found, *expected, "final {}", group.label);
        assert_eq!(Figure { numerator: found[5], denominator: Some(found[8]) }.printed(), *rate, "{}", group.label);
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
