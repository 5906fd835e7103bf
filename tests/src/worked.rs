//! The worked synthetic county: three reporting units, fifteen organisations, ten companies; and returns as another reader
//! sees them.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use server::{
    Server,
    import::import_file,
    returns::{self, ReturnRequest},
};
use sync_protocol::catalogue::Sensitivity;

use crate::{county, node, sheet};

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

/// Opens a server that has imported the worked county, perhaps with a county's own catalogue.
pub async fn synthetic(folder: &std::path::Path, overlay: Option<&str>) -> Result<Server> {
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
#[derive(Debug)]
pub struct Printed {
    /// The workbook.
    pub path: PathBuf,
}

impl Printed {
    /// Draws it as of 2012-11-10; no check relation may fail.
    pub async fn draw(server: &Server, folder: &Path, name: &str, choices: &[(&str, &str)]) -> Result<Self> {
        Self::draw_for(server, folder, (name, choices), Sensitivity::S2).await
    }

    /// The same for somebody who sees this class in clear.
    pub async fn draw_for(
        server: &Server,
        folder: &Path,
        (name, choices): (&str, &[(&str, &str)]),
        clearance: Sensitivity,
    ) -> Result<Self> {
        let request = ReturnRequest {
            variables: choices.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            clearance,
            ..ReturnRequest::new(name, returns::county(server).await?, jiff::civil::date(2012, 11, 10), folder)
        };
        let drawn = returns::draw(server, &request).await?;
        assert!(drawn.failed_checks.is_empty(), "{name}: {:?}", drawn.failed_checks);
        Ok(Self { path: drawn.path })
    }

    /// Compares the figures of rows, from 栏次 1 on, with what is expected: `12`, `9.0`, `33.3%`, `—`.
    pub fn says(&self, sheet: &str, text_columns: usize, expected: &str) -> Result<()> {
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
