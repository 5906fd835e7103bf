//! 汇总工作簿: everything that a supervisor reads, in one workbook: cover, contents, the indicators, all returns, conflicts,
//! the quality of the data, the definitions used, and charts.

use importer::workbook::write::{Book, Chart, Out, Print, Style};
use sync_protocol::{
    catalogue::{ReturnForm, SheetRows},
    unit::{Unit, UnitLevel},
};

use super::{
    Drawn, ReturnError, ReturnRequest, at_and_below, book, chinese_date, conflicts, file_name, kept::Kept, sealing,
    summary,
};
use crate::{
    Server,
    changes::{self, CellChange},
    clock, quality,
};

/// Its name on the command line and in requests.
pub const NAME: &str = "collection";
const TITLE: &str = "汇总工作簿";
/// Lines about the quality of the data: a supervisor reads the first, the command line prints all.
const QUALITY_LINES_MAX: usize = 5_000;
/// Changed cells that are listed, the latest first.
const CHANGES_MAX: usize = 5_000;

/// A table whose figures people would rather look at: return, 栏次, title.
const CHARTS: [(&str, &str, &str); 4] = [
    ("R03", "3", "分类定级完成率"),
    ("R04", "12", "后进党组织转化率"),
    ("R05", "18", "“两新”组织党组织覆盖率"),
    ("R07", "8", "12项长效机制达标率"),
];

/// A form whose sheets say which return they are of.
fn numbered(form: &ReturnForm) -> ReturnForm {
    let mut form = form.clone();
    for sheet in &mut form.sheets {
        sheet.name = format!("{} {}", form.number, sheet.name);
    }
    form
}

/// 单位分表: for each reporting unit below the top a sheet of its own, laid out like that of the whole.
fn own_sheets(server: &Server, units: &[Unit], request: &ReturnRequest) -> Vec<(ReturnForm, Unit)> {
    let is_board = |form: &&ReturnForm| form.sheets.iter().any(|sheet| matches!(sheet.rows, SheetRows::Indicators));
    let Some(board) = server.catalogue.returns().iter().find(is_board) else { return Vec::new() };
    let reporting = units.iter().filter(|u| u.level == UnitLevel::ReportingUnit && u.id != request.top.id);
    let sheet = |(number, unit): (usize, &Unit)| {
        let mut form = board.clone();
        form.sheets.retain(|sheet| matches!(sheet.rows, SheetRows::Indicators));
        let label: String = unit.label().chars().filter(|c| !r"[]:*?/\'".contains(*c)).take(20).collect();
        for sheet in &mut form.sheets {
            sheet.name = format!("分表{} {label}", number + 1);
        }
        (form, unit.clone())
    };
    reporting.enumerate().map(sheet).collect()
}

pub(super) async fn draw(server: &Server, request: &ReturnRequest) -> Result<Drawn, ReturnError> {
    let year = format!("{}年", server.campaign_year);
    let path = request.folder.join(file_name(&[&request.top.name, &year, TITLE], request.date));
    let drawn = sealing::drawn(server, (NAME, TITLE), request).await?;
    let mut forms: Vec<ReturnForm> = server.catalogue.returns().iter().map(numbered).collect();
    // The board of indicators first, the others by number, lists after what they are summed to.
    forms.sort_by_key(|form| {
        (form.sheets.iter().all(|sheet| !matches!(sheet.rows, SheetRows::Indicators)), form.number.clone())
    });
    let units = at_and_below(server.store.units().await?, request.top.id);
    let own = own_sheets(server, &units, request);
    let mut book = book(TITLE, request)?;
    book.record();
    cover(&mut book, &year, request)?;
    contents(&mut book, &forms, &own)?;
    let (mut rows, mut failed_checks, mut charts) = (0, Vec::new(), Vec::new());
    for form in &forms {
        let sheets = Box::pin(summary::sheets(server, form, request, &mut book)).await?;
        rows += sheets.rows;
        failed_checks.extend(sheets.failed_checks);
        for (number, column, title) in CHARTS {
            if form.number == number
                && let Some(sheet) = form.sheets.first()
                && let Some(at) = sheet.columns.iter().position(|c| c.number == column)
            {
                let first = super::frame::first_row(sheet);
                let last = first + u32::try_from(sheets.rows.saturating_sub(1)).unwrap_or(u32::MAX);
                let column = u16::try_from(at).unwrap_or(u16::MAX);
                charts.push(Chart { title: title.to_owned(), sheet: sheet.name.clone(), rows: (first, last), column });
            }
        }
    }
    for (form, unit) in &own {
        let request = ReturnRequest { top: unit.clone(), ..request.clone() };
        Box::pin(summary::sheets(server, form, &request, &mut book)).await?;
    }
    let mut stored = conflicts::of_year(server).await?;
    stored.retain(|row| units.iter().any(|unit| unit.id == row.unit));
    conflicts::sheet(server, &mut book, &stored, &units, None, request.clearance)?;
    quality_sheet(&mut book, &quality::quality(server, &units, request.date).await?)?;
    let all = server.catalogue.ledgers().iter().map(|ledger| ledger.id.clone()).collect();
    let kept = Kept::of(server, request.top.id, &all, &request.unreported).await?;
    definitions(server, &kept.unreviewed(&all), &mut book)?;
    let (edits, all) = changes::changes(server, &units, 0, request.clearance, CHANGES_MAX).await?;
    changes_sheet(&mut book, &edits, all)?;
    book.charts("图表", &charts)?;
    let seal = Some(sealing::save(server, book, (drawn, request), &path).await?);
    Ok(Drawn { path, rows, failed_checks, seal })
}

fn cover(book: &mut Book, year: &str, request: &ReturnRequest) -> Result<(), ReturnError> {
    let mut page = book.sheet("封面")?;
    page.width(0, 90.0)?;
    page.height(5, 60.0)?;
    page.put(5, 0, &Out::Text(format!("{}基层组织建设年{TITLE}（{year}）", request.top.name)), Style::Title)?;
    page.put(9, 0, &Out::Text(format!("编制单位：{}", request.top.name)), Style::MetaCentre)?;
    page.put(10, 0, &Out::Text(format!("统计截止日期：{}", chinese_date(request.date))), Style::MetaCentre)?;
    let print = Print { landscape: false, repeat_rows: (0, 0), pages_wide: 1, repeat_columns: None };
    Ok(page.print(print)?)
}

fn contents(book: &mut Book, forms: &[ReturnForm], own: &[(ReturnForm, Unit)]) -> Result<(), ReturnError> {
    let mut page = book.sheet("目录")?;
    page.merge((0, 0), (0, 2), "目录", Style::Title)?;
    for (column, (header, width)) in (0u16..).zip([("序号", 6.0), ("工作表", 30.0), ("内容", 60.0)]) {
        page.put(1, column, &Out::Text(header.into()), Style::Header)?;
        page.width(column, width)?;
    }
    let returns = forms.iter().flat_map(|form| form.sheets.iter().map(|s| (s.name.clone(), form.title.clone())));
    let own = own.iter().flat_map(|(form, unit)| {
        form.sheets.iter().map(move |sheet| (sheet.name.clone(), format!("{}综合指标", unit.name)))
    });
    let others = [
        (importer::stamp::CONFLICTS, "同一单元格的不同填写"),
        ("数据质量", "违反规则或缺必填项的记录"),
        ("口径说明", "指标定义和县级参数"),
        ("修改记录", "谁在何时把哪一格改成了什么"),
        ("图表", "各填报单位进度"),
    ];
    let others = others.map(|(name, content)| (name.to_owned(), content.to_owned()));
    for (row, (name, content)) in (2u32..).zip(returns.chain(own).chain(others)) {
        page.put(row, 0, &Out::Text((row - 1).to_string()), Style::TextCentre)?;
        page.put(row, 1, &Out::Text(name), Style::Text)?;
        page.put(row, 2, &Out::Text(content), Style::Text)?;
    }
    page.freeze(2, 0)?;
    Ok(page.print(Print { landscape: false, repeat_rows: (0, 1), pages_wide: 1, repeat_columns: None })?)
}

/// 数据质量: one line for each cause, then the rows of each.
fn quality_sheet(book: &mut Book, lines: &[quality::QualityLine]) -> Result<(), ReturnError> {
    let mut page = book.sheet("数据质量")?;
    let causes = quality::causes(lines);
    page.merge((0, 0), (0, 6), &format!("数据质量（{} 个问题，共 {} 条）", causes.len(), lines.len()), Style::Title)?;
    let headers = [
        ("序号", 6.0),
        ("程度", 8.0),
        ("台账", 24.0),
        ("问题和处理办法", 60.0),
        ("条数", 8.0),
        ("记录", 60.0),
        ("规则", 24.0),
    ];
    for (column, (header, width)) in (0u16..).zip(headers) {
        page.put(1, column, &Out::Text(header.into()), Style::Header)?;
        page.width(column, width)?;
    }
    let mut row = 2;
    for (number, cause) in causes.iter().enumerate() {
        let number = (number + 1).to_string();
        let records = cause.records();
        let texts = [&number, cause.weight.chinese(), cause.ledger, cause.text, "", &records, cause.rule];
        for (column, text) in (0u16..).zip(texts) {
            page.put(row, column, &Out::Text(text.to_owned()), Style::Wrapped)?;
        }
        page.put(row, 4, &Out::Number(cause.lines.len() as f64), Style::Count)?;
        row += 1;
    }
    page.merge((row, 0), (row, 6), "逐条", Style::Header)?;
    let rows = causes.iter().enumerate().flat_map(|(number, cause)| cause.lines.iter().map(move |line| (number, line)));
    let all = rows.clone().count();
    for (number, line) in rows.take(QUALITY_LINES_MAX) {
        row += 1;
        let number = (number + 1).to_string();
        let record = format!("{} {}", line.unit, line.record);
        let texts = [&number, line.weight.chinese(), &line.ledger, &line.text, "", &record, &line.rule];
        for (column, text) in (0u16..).zip(texts) {
            page.put(row, column, &Out::Text(text.to_owned()), Style::Wrapped)?;
        }
    }
    if all > QUALITY_LINES_MAX {
        let text = format!("其余 {} 条从略，可用 taizhang quality --all 列出全部", all - QUALITY_LINES_MAX);
        page.merge((row + 1, 0), (row + 1, 6), &text, Style::Note)?;
    }
    page.freeze(2, 0)?;
    Ok(page.print(Print { landscape: true, repeat_rows: (0, 1), pages_wide: 1, repeat_columns: None })?)
}

/// 修改记录: provenance of every cell that was changed.
fn changes_sheet(book: &mut Book, edits: &[CellChange], all: usize) -> Result<(), ReturnError> {
    let mut page = book.sheet("修改记录")?;
    let headers = [
        ("序号", 6.0),
        ("台账", 18.0),
        ("单位", 26.0),
        ("记录", 14.0),
        ("列", 14.0),
        ("原值", 18.0),
        ("新值", 18.0),
        ("填写人", 16.0),
        ("方式", 10.0),
        ("填写时间", 16.0),
    ];
    page.merge((0, 0), (0, 9), &format!("修改记录（共 {all} 处，最近的在前）"), Style::Title)?;
    for (column, (header, width)) in (0u16..).zip(headers) {
        page.put(1, column, &Out::Text(header.into()), Style::Header)?;
        page.width(column, width)?;
    }
    for (row, edit) in (2u32..).zip(edits) {
        let when = clock::local(edit.written_at_ms).strftime("%Y-%m-%d %H:%M").to_string();
        let texts = [
            &(row - 1).to_string(),
            &edit.ledger,
            &edit.unit,
            &edit.record,
            &edit.column,
            edit.before.as_ref().unwrap_or(&String::new()),
            &edit.after,
            &edit.who,
            changes::means(edit.how),
            &when,
        ]
        .map(str::to_owned);
        for (column, text) in (0u16..).zip(texts) {
            page.put(row, column, &Out::Text(text), Style::Wrapped)?;
        }
    }
    if all > edits.len() {
        let row = 2 + u32::try_from(edits.len()).unwrap_or(u32::MAX);
        let text = format!("其余 {} 处从略，可用 taizhang changes 列出全部", all - edits.len());
        page.merge((row, 0), (row, 9), &text, Style::Note)?;
    }
    page.freeze(2, 0)?;
    Ok(page.print(Print { landscape: true, repeat_rows: (0, 1), pages_wide: 1, repeat_columns: None })?)
}

/// What the indicators count, and what the county has decided.
fn definitions(server: &Server, unreviewed: &[(String, i64)], book: &mut Book) -> Result<(), ReturnError> {
    let mut page = book.sheet("口径说明")?;
    page.merge((0, 0), (0, 3), "口径说明", Style::Title)?;
    for (column, (header, width)) in (0u16..).zip([("指标", 28.0), ("分子", 46.0), ("分母", 46.0), ("目标", 10.0)])
    {
        page.put(1, column, &Out::Text(header.into()), Style::Header)?;
        page.width(column, width)?;
    }
    let titles = |terms: &[sync_protocol::catalogue::Term]| {
        let titles = terms.iter().filter_map(|term| server.catalogue.measure(&term.measure));
        titles.map(|measure| measure.title.clone()).collect::<Vec<_>>().join("＋")
    };
    let mut row = 2;
    for indicator in server.catalogue.indicators() {
        let target = indicator.target_percent.map_or("—".to_owned(), |percent| format!("{percent}%"));
        let name = format!("{} {}", indicator.id, indicator.title);
        let texts = [name, titles(&indicator.numerator), titles(&indicator.denominator), target];
        for (column, text) in (0u16..).zip(texts) {
            page.put(row, column, &Out::Text(text), Style::Wrapped)?;
        }
        row += 1;
    }
    page.merge((row, 0), (row, 3), "县级参数", Style::Header)?;
    for (name, value) in server.catalogue.variables(server.campaign_year, None) {
        row += 1;
        page.put(row, 0, &Out::Text(name), Style::Wrapped)?;
        page.merge((row, 1), (row, 3), &value.to_string(), Style::Wrapped)?;
    }
    row += 1;
    let all: i64 = unreviewed.iter().map(|(_, count)| count).sum();
    page.merge((row, 0), (row, 3), &format!("未审核的记录（草稿、退回）{all} 条，未计入"), Style::Header)?;
    for (title, count) in unreviewed {
        row += 1;
        page.put(row, 0, &Out::Text(title.clone()), Style::Wrapped)?;
        page.merge((row, 1), (row, 3), &format!("{count} 条"), Style::Wrapped)?;
    }
    page.freeze(2, 0)?;
    Ok(page.print(Print { landscape: true, repeat_rows: (0, 1), pages_wide: 1, repeat_columns: None })?)
}
