//! The county's ledgers as its offices would have kept them: the same facts in many shapes.

use super::{
    county::{Branch, County, Grade, Member, Town},
    messy::{MessyCell, MessySheet},
};

/// A workbook of the demonstration.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) file: String,
    pub(super) sheets: Vec<MessySheet>,
}

type Day = (i16, i8, i8);

/// Every workbook, in the order in which an office would send them.
pub(super) fn ledgers(county: &County) -> Vec<Ledger> {
    let mut all = vec![reporting_units(county)];
    for (index, town) in county.towns.iter().enumerate() {
        all.push(organisations(index, town));
    }
    for (index, town) in county.towns.iter().enumerate() {
        all.push(members(index, town));
        all.push(assessments(index, town));
        all.push(grading(index, town));
        all.extend(rectification(index, town));
    }
    all
}

/// Old offices send .xls.
pub(super) fn is_xls(file: &str) -> bool {
    std::path::Path::new(file).extension().is_some_and(|extension| extension == "xls")
}

/// A table that is being laid out.
struct Table {
    sheet: MessySheet,
    width: u16,
}

impl Table {
    /// Title and 填报单位 lines, merged over all columns as people do.
    fn new(sheet: &str, title: &str, unit: &str, width: usize, annex: bool) -> Self {
        let width = u16::try_from(width).unwrap_or(u16::MAX);
        let mut table = Self { sheet: MessySheet { name: sheet.to_owned(), ..MessySheet::default() }, width };
        if annex {
            table.line("附件3");
        }
        table.line(title);
        table.line(&format!("填报单位\u{ff1a}{unit}      填报时间\u{ff1a}2012.4.25"));
        table
    }

    fn line(&mut self, text: &str) {
        let row = self.row_number();
        self.sheet.rows.push(vec![text.into()]);
        self.sheet.merges.push(((row, 0), (row, self.width - 1)));
    }

    fn row_number(&self) -> u32 {
        u32::try_from(self.sheet.rows.len()).unwrap_or(u32::MAX)
    }

    fn header(&mut self, headers: &[&str]) {
        self.sheet.rows.push(headers.iter().map(|header| (*header).into()).collect());
    }

    fn row(&mut self, cells: Vec<MessyCell>) {
        self.sheet.rows.push(cells);
    }

    /// Merges a group cell down the rows since `first`.
    fn group(&mut self, first: u32, column: u16) {
        let last = self.row_number() - 1;
        if last > first {
            for row in first + 1..=last {
                self.sheet.rows[row as usize][usize::from(column)] = MessyCell::Blank;
            }
            self.sheet.merges.push(((first, column), (last, column)));
        }
    }

    fn foot(&mut self) {
        self.row(vec!["注\u{ff1a}本表一式两份。".into()]);
        self.row(vec!["单位负责人\u{ff1a}".into(), MessyCell::Blank, "填表人\u{ff1a}".into()]);
    }
}

fn reporting_units(county: &County) -> Ledger {
    let headers = ["排序", "单位代码", "单位名称", "单位简称", "单位类别", "区划代码", "是否启用"];
    let mut table = Table::new("名录", "填报单位名录", "示范县委组织部", headers.len(), false);
    table.header(&headers);
    for (index, town) in county.towns.iter().enumerate() {
        table.row(vec![
            MessyCell::Number(index as f64 + 1.0),
            town.code.clone().into(),
            town.name.clone().into(),
            town.short_name.clone().into(),
            "镇党委".into(),
            format!("{}000", town.code).into(),
            "√".into(),
        ]);
    }
    Ledger { file: "00_填报单位名录.xlsx".into(), sheets: vec![table.sheet] }
}

fn organisations(index: usize, town: &Town) -> Ledger {
    let headers = [
        "序号",
        "党组织全称",
        "党支部编码",
        "领域",
        "组织性质",
        "党组织类型",
        "所在村(社区)代码",
        "成立时间",
        "支部书记",
        "联系方式",
        "正式党员",
        "预备党员",
        "党员总数",
        "组织状态",
        "备注",
    ];
    let title = format!("{}党组织基本情况台帐", town.short_name);
    let mut table = Table::new("Sheet1", &title, &town.name, headers.len(), index.is_multiple_of(4));
    table.header(&headers);
    let (mut formal, mut total) = (0, 0);
    for (number, branch) in town.branches.iter().enumerate() {
        let own = branch.members.iter().filter(|m| m.formal).count();
        formal += own;
        total += branch.members.len();
        table.row(vec![
            MessyCell::Number(number as f64 + 1.0),
            full_name(index, town, branch).into(),
            branch.code.clone().into(),
            branch.field.into(),
            branch.two_new_kind.into(),
            branch.kind.into(),
            branch.division.clone().into(),
            date(branch.established, index + number),
            padded(&branch.secretary, index).into(),
            phone(&branch.phone, number),
            MessyCell::Number(own as f64),
            MessyCell::Number((branch.members.len() - own) as f64),
            if index.is_multiple_of(2) {
                MessyCell::Number(branch.members.len() as f64)
            } else {
                format!("{}人", branch.members.len()).into()
            },
            "正常".into(),
            if number == 3 { "2009年由两个支部合并".into() } else { MessyCell::Blank },
        ]);
    }
    let mut sums = vec!["合计".into()];
    sums.resize(10, MessyCell::Blank);
    sums.extend([formal, total - formal, total].map(|n| MessyCell::Number(n as f64)));
    table.row(sums);
    table.foot();
    Ledger { file: format!("{:02}_{}_党组织台账.xlsx", index + 1, town.short_name), sheets: vec![table.sheet] }
}

/// Offices write the same branch in long and short forms.
fn full_name(index: usize, town: &Town, branch: &Branch) -> String {
    match index % 3 {
        0 => format!("中共{}{}", town.short_name, branch.name.replace("党支部", "支部委员会")),
        1 => format!("{}{}", town.short_name, branch.name),
        _ => branch.name.clone(),
    }
}

fn members(index: usize, town: &Town) -> Ledger {
    // Every other town numbers its columns another way, and one in three leaves codes out.
    let coded = index % 3 != 2;
    let mut headers = vec!["序号", "所属党支部"];
    if coded {
        headers.push("党组织编码");
    }
    headers.extend(["姓  名", "性别", "民族", "*身份证号码(必填)", "出生\n年月", "文化程度"]);
    headers.push(if index.is_multiple_of(2) { "党籍状态" } else { "党员类别" });
    headers.extend(["入党时间", "转正时间", "工作单位", "是否在职", "生活困难党员", "手机号码", "家庭住址", "特长"]);
    let title = format!("{}党员花名册", town.short_name);
    let mut table = Table::new(&town.short_name, &title, &town.name, headers.len(), false);
    table.header(&headers);
    let mut number = 0;
    for branch in &town.branches {
        let first = table.row_number();
        for (at, member) in branch.members.iter().enumerate() {
            number += 1;
            let mut cells = vec![MessyCell::Number(f64::from(number)), branch.name.clone().into()];
            if coded {
                cells.push(branch.code.clone().into());
            }
            cells.extend(member_cells(index, at, branch, member));
            table.row(cells);
        }
        // Group cells are merged down in half of the towns.
        if index.is_multiple_of(2) {
            table.group(first, 1);
        }
    }
    table.row(vec!["合计".into(), format!("{number}人").into()]);
    table.foot();
    let extension = if index % 2 == 1 { "xls" } else { "xlsx" };
    Ledger {
        file: format!("{:02}_{}_党员花名册.{extension}", index + 1, town.short_name), sheets: vec![table.sheet]
    }
}

fn member_cells(index: usize, at: usize, branch: &Branch, member: &Member) -> Vec<MessyCell> {
    let category = match (member.formal, index.is_multiple_of(2)) {
        (true, true) => "正式",
        (false, true) => "预备",
        (true, false) => "正式党员",
        (false, false) => "预备党员",
    };
    // One number in a thousand was typed as a number and has lost its last digits.
    let id_card = if at == 7 && branch.code.ends_with("-004") && index.is_multiple_of(5) {
        MessyCell::Number(member.id_card.replace('X', "0").parse().unwrap_or_default())
    } else {
        member.id_card.clone().into()
    };
    vec![
        padded(&member.name, at).into(),
        if member.female { "女" } else { "男" }.into(),
        if index.is_multiple_of(2) { member.ethnic.trim_end_matches('族') } else { member.ethnic }.into(),
        id_card,
        date(member.birth, index + at),
        member.education.into(),
        category.into(),
        date(member.joined, index + at / 10),
        member.formal_on.map_or(MessyCell::Blank, |day| date(day, index + at / 10)),
        if at.is_multiple_of(5) { "务农".into() } else { "—".into() },
        if member.in_service { "√".into() } else { MessyCell::Blank },
        if member.hardship { "是".into() } else { MessyCell::Blank },
        phone(&member.phone, at),
        if at.is_multiple_of(3) {
            "同上".into()
        } else {
            format!("{}{}组", branch.name.replace("党支部", ""), at % 8 + 1).into()
        },
        if at.is_multiple_of(11) { "水电维修".into() } else { MessyCell::Blank },
    ]
}

fn assessments(index: usize, town: &Town) -> Ledger {
    let headers = [
        "党支部名称",
        "轮次",
        "检查方式",
        "检查人",
        "评价日期",
        "组织设置",
        "班子健全",
        "制度完善",
        "保障落实",
        "作用发挥",
        "领导班子好",
        "党员队伍好",
        "工作机制好",
        "工作业绩好",
        "群众反映好",
        "总分",
        "发放测评票",
        "有效票",
        "满意票",
    ];
    let title = format!("{}“五好”评价打分台账", town.short_name);
    let mut table = Table::new("评价", &title, &town.name, headers.len(), false);
    table.header(&headers);
    for (number, branch) in town.branches.iter().enumerate() {
        for (mode, label, checker) in
            [(0, "自查", branch.name.clone()), (1, "督查", format!("{}督查组", town.short_name))]
        {
            if branch.initial.is_none() || (mode == 1 && number % 2 == 1) {
                continue;
            }
            let base = match branch.initial {
                Some(Grade::Advanced) => 19.0,
                Some(Grade::Average) => 15.0,
                _ => 11.0,
            };
            let mut cells: Vec<MessyCell> = vec![
                branch.name.clone().into(),
                "首次".into(),
                label.into(),
                checker.into(),
                date((2012, 4, 10 + mode), index),
            ];
            cells.extend(["合理", "健全", "完善", "落实", "明显"].map(MessyCell::from));
            cells.extend([base; 5].map(MessyCell::Number));
            cells.push(MessyCell::Number(base * 5.0));
            let (valid, satisfied) = branch.ballots;
            cells.extend([valid + 2, valid, satisfied].map(|n| MessyCell::Number(n as f64)));
            table.row(cells);
        }
    }
    table.foot();
    let extension = if index.is_multiple_of(3) { "xls" } else { "xlsx" };
    Ledger { file: format!("{:02}_{}_五好评价.{extension}", index + 1, town.short_name), sheets: vec![table.sheet] }
}

fn grading(index: usize, town: &Town) -> Ledger {
    let title = format!("{}基层党组织分类定级台账", town.short_name);
    let mut table = Table::new("定级", &title, &town.name, 10, index % 5 == 1);
    // A header of two levels: 定级情况 over four columns, the others reach down.
    let top = table.row_number();
    table.header(&["序号", "党组织名称", "所属领域", "轮次", "定级情况", "", "", "", "晋级情况", "公示时间"]);
    table.row(["", "", "", "", "自评", "党委初定", "评定等次", "原等次"].map(MessyCell::from).to_vec());
    table.sheet.merges.push(((top, 4), (top, 7)));
    for column in [0u16, 1, 2, 3, 8, 9] {
        table.sheet.merges.push(((top, column), (top + 1, column)));
    }
    let mut number = 0;
    for branch in &town.branches {
        for (round, grade, before) in [("年初", branch.initial, None), ("年终", Some(branch.last), branch.initial)]
        {
            let Some(grade) = grade else { continue };
            number += 1;
            let change = match before {
                _ if round == "年初" => "",
                None => "新定级",
                Some(before) if grade > before => "晋级",
                Some(before) if grade < before => "降级",
                Some(_) => "持平",
            };
            table.row(vec![
                MessyCell::Number(f64::from(number)),
                full_name(index + 1, town, branch).into(),
                branch.field.into(),
                round.into(),
                grade_word(grade, index + 1).into(),
                grade_word(grade, index).into(),
                grade_word(grade, index).into(),
                before.map_or("", |before| grade_word(before, index)).into(),
                change.into(),
                date(if round == "年初" { (2012, 4, 16) } else { (2012, 10, 22) }, index),
            ]);
        }
    }
    table.foot();
    Ledger { file: format!("{:02}_{}_分类定级.xlsx", index + 1, town.short_name), sheets: vec![table.sheet] }
}

fn grade_word(grade: Grade, index: usize) -> &'static str {
    match (grade, index % 3) {
        (Grade::Advanced, 0) => "先进",
        (Grade::Advanced, 1) => "好",
        (Grade::Advanced, _) => "先进党组织",
        (Grade::Average, 2) => "一般党组织",
        (Grade::Average, _) => "一般",
        (Grade::Backward, 0) => "后进",
        (Grade::Backward, 1) => "软弱涣散",
        (Grade::Backward, _) => "较差",
    }
}

/// 整改台账 and 整改事项 as two sheets of one workbook; towns without backward branches send nothing.
fn rectification(index: usize, town: &Town) -> Option<Ledger> {
    let backward: Vec<&Branch> = town.branches.iter().filter(|b| b.initial == Some(Grade::Backward)).collect();
    if backward.is_empty() {
        return None;
    }
    let plan_headers = [
        "党支部名称",
        "定级轮次",
        "后进类型",
        "存在问题",
        "整改对策",
        "联系领导",
        "第一书记",
        "方案批准时间",
        "转化时限",
        "转化情况",
        "转化等次",
        "转化时间",
    ];
    let mut plans = Table::new(
        "整改台账",
        &format!("{}后进党组织整改台账", town.short_name),
        &town.name,
        plan_headers.len(),
        false,
    );
    plans.header(&plan_headers);
    let item_headers = [
        "党支部名称",
        "问题序号",
        "问题内容",
        "类别",
        "措施",
        "整改责任人",
        "时限",
        "完成情况",
        "完成时间",
        "销号时间",
        "验收人",
    ];
    let mut items =
        Table::new("整改事项", &format!("{}整改事项销号台账", town.short_name), &town.name, item_headers.len(), false);
    items.header(&item_headers);
    for branch in backward {
        let converted = branch.last > Grade::Backward;
        plans.row(vec![
            branch.name.clone().into(),
            "首次".into(),
            "作用发挥不明显、集体经济薄弱".into(),
            "组织生活不正常,群众意见较多".into(),
            format!("{}:选派干部驻村,限期整改", branch.name).into(),
            padded("周建国", index).into(),
            "李志强".into(),
            date((2012, 5, 4), index),
            "10月20日".into(),
            if converted { "验收合格" } else { "整改中" }.into(),
            if converted { "一般" } else { "" }.into(),
            if converted { date((2012, 10, 15), index) } else { MessyCell::Blank },
        ]);
        let first = items.row_number();
        for (number, done) in branch.items.iter().enumerate() {
            items.row(vec![
                branch.name.clone().into(),
                MessyCell::Number(number as f64 + 1.0),
                ["会议记录不全", "党员活动室被占用", "村务公开不及时", "后备力量不足", "党费收缴不规范"][number % 5]
                    .into(),
                [
                    "制度不落实、形同虚设",
                    "经费场所无保障",
                    "村务财务不公开、民主管理混乱",
                    "班子不健全、书记缺职",
                    "党员教育管理松散",
                ][number % 5]
                    .into(),
                "限期整改".into(),
                branch.secretary.clone().into(),
                date((2012, 9, 30), index),
                if *done { "已销号" } else { "整改中" }.into(),
                if *done { date((2012, 9, 20), index) } else { MessyCell::Blank },
                if *done { date((2012, 9, 28), index) } else { MessyCell::Blank },
                if *done { "镇组织办".into() } else { MessyCell::Blank },
            ]);
        }
        items.group(first, 0);
    }
    Some(Ledger {
        file: format!("{:02}_{}_整改台账.xlsx", index + 1, town.short_name),
        sheets: vec![plans.sheet, items.sheet],
    })
}

/// Two-character names are padded to three, with full-width or plain blanks.
fn padded(name: &str, variant: usize) -> String {
    let chars: Vec<char> = name.chars().collect();
    match (chars.as_slice(), variant % 3) {
        ([first, last], 0) => format!("{first}\u{3000}{last}"),
        ([first, last], 1) => format!("{first}  {last}"),
        _ => name.to_owned(),
    }
}

/// A day in one of the notations of real ledgers.
fn date((year, month, day): Day, variant: usize) -> MessyCell {
    match variant % 6 {
        0 => MessyCell::Date(serial((year, month, day))),
        1 => format!("{year}.{month}.{day}").into(),
        2 => format!("{year}年{month}月{day}日").into(),
        3 => MessyCell::Number(f64::from(year) * 10_000.0 + f64::from(month) * 100.0 + f64::from(day)),
        4 => format!("{year}-{month:02}-{day:02}").into(),
        _ => format!("{year}/{month}/{day} 00:00:00").into(),
    }
}

fn serial((year, month, day): Day) -> f64 {
    let date = jiff::civil::date(year, month, day);
    date.since(jiff::civil::date(1899, 12, 30)).map_or(0.0, |span| f64::from(span.get_days()))
}

fn phone(number: &str, variant: usize) -> MessyCell {
    match variant % 4 {
        0 => MessyCell::Number(number.parse().unwrap_or_default()),
        1 => format!("{} {} {}", &number[..3], &number[3..7], &number[7..]).into(),
        _ => number.into(),
    }
}
