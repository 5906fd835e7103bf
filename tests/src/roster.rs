//! Large synthetic member rosters. Nobody in them exists: area code 340099 is not allocated.

use anyhow::Context;
use importer::workbook::{
    grid::address,
    write::{Book, Created, Out, Style},
};
use sync_protocol::{
    Tenant, UnitId,
    checks::id_card_check,
    unit::{Unit, UnitLevel},
};

/// The twenty columns, as an office would head them.
pub const HEADERS: [&str; 20] = [
    "党组织编码",
    "姓名",
    "性别",
    "民族",
    "身份证号",
    "出生日期",
    "学历",
    "党员类别",
    "入党时间",
    "转正时间",
    "工作岗位",
    "工作单位",
    "是否在职",
    "党员状态",
    "手机号码",
    "家庭住址",
    "转入时间",
    "入党介绍人",
    "党内奖励",
    "备注",
];

/// Code of the `index`th branch.
pub fn branch_code(index: usize) -> String {
    format!("{:04}-{:03}", index / 100 + 1, index % 100 + 1)
}

/// A reporting unit and its branches, as the register knows them.
pub fn units(tenant: &Tenant, county: UnitId, branches: usize) -> Vec<Unit> {
    let town = Unit {
        id: UnitId::derive(tenant, None, "340099100"),
        parent: Some(county),
        level: UnitLevel::ReportingUnit,
        code: Some("340099100".into()),
        name: "中共青山镇委员会".into(),
        short_name: Some("青山镇".into()),
        sort_order: 1,
    };
    let parent = town.id;
    let branch = |index: usize| {
        let code = branch_code(index);
        Unit {
            id: UnitId::derive(tenant, None, &code),
            parent: Some(parent),
            level: UnitLevel::Organisation,
            name: format!("第{index}党支部"),
            short_name: None,
            sort_order: i64::try_from(index).unwrap_or(i64::MAX),
            code: Some(code),
        }
    };
    std::iter::once(town).chain((0..branches).map(branch)).collect()
}

/// A valid identity number of nobody, different for every `index` below 17,000,000.
pub fn id_card(index: usize) -> String {
    let (day, rest) = (index % 27 + 1, index / 27);
    let (month, rest) = (rest % 12 + 1, rest / 12);
    // A sequence of 000 is given to nobody.
    let (year, sequence) = (1935 + rest % 55, rest / 55 + 1);
    let body = format!("340099{year:04}{month:02}{day:02}{sequence:03}");
    let check = id_card_check(&body).expect("17 digits");
    format!("{body}{check}")
}

/// The cells of one member.
pub fn member(index: usize, branch: usize) -> [String; 20] {
    let id = id_card(index);
    let pick = |words: &[&str]| words[index % words.len()].to_owned();
    let birth = format!("{}-{}-{}", &id[6..10], &id[10..12], &id[12..14]);
    [
        branch_code(branch),
        format!(
            "{}{}",
            pick(&["王", "李", "张", "刘", "陈", "杨", "赵"]),
            pick(&["伟", "芳", "秀英", "敏", "建国", "志强", "玉兰", "德胜"])
        ),
        pick(&["男", "女"]),
        pick(&["汉族", "汉", "回族"]),
        id,
        birth,
        pick(&["初中", "高中", "大专", "本科"]),
        pick(&["正式党员", "预备党员"]),
        format!("19{}.{}.{}", 70 + index % 30, index % 12 + 1, index % 28 + 1),
        format!("19{}年{}月", 71 + index % 28, index % 12 + 1),
        pick(&["务农", "教师", "会计", "司机", "村干部"]),
        format!("第{}合作社", index % 500),
        pick(&["√", "否"]),
        "正常".to_owned(),
        format!("139{:08}", index % 100_000_000),
        format!("青石村{}组", index % 40 + 1),
        format!("20{:02}-{:02}", index % 12, index % 12 + 1),
        format!("{}、{}", pick(&["周平", "吴刚"]), pick(&["徐明", "孙超"])),
        pick(&["优秀共产党员", "—", "先进工作者"]),
        format!("档案{index}"),
    ]
}

/// A roster of `branches` × `per_branch` members as an .xlsx.
pub fn workbook(branches: usize, per_branch: usize) -> anyhow::Result<Vec<u8>> {
    edited(branches, per_branch, 0).map(|(bytes, _)| bytes)
}

/// The address and the new text of a cell.
pub type Edited = (String, String);

/// The same with this many cells changed, all over it; with the address and the new text of each, in order.
pub fn edited(branches: usize, per_branch: usize, edits: usize) -> anyhow::Result<(Vec<u8>, Vec<Edited>)> {
    // Columns without checks of their own: 工作岗位, 工作单位, 党内奖励, 备注.
    const FREE: [u16; 4] = [10, 11, 18, 19];
    let step = (branches * per_branch) / edits.max(1);
    let mut changed = Vec::new();
    let mut book = Book::new("党员花名册", Created { unix_s: 1_335_744_000 })?;
    {
        let mut page = book.long_sheet("党员花名册")?;
        let put = |page: &mut importer::workbook::write::Page<'_>, row: u32, cells: &[String]| -> anyhow::Result<()> {
            for (column, text) in (0u16..).zip(cells) {
                page.put(row, column, &Out::Text(text.clone()), Style::Plain)?;
            }
            Ok(())
        };
        put(&mut page, 0, &["青山镇党员花名册".to_owned()])?;
        put(&mut page, 1, &["填报单位：中共青山镇委员会".to_owned()])?;
        put(&mut page, 2, &HEADERS.map(str::to_owned))?;
        for index in 0..branches * per_branch {
            let row = u32::try_from(index + 3).context("too many rows")?;
            let mut cells = member(index, index / per_branch);
            if changed.len() < edits && index % step == step / 2 {
                let column = FREE[changed.len() % FREE.len()];
                let text = format!("改动{}", changed.len());
                cells[usize::from(column)].clone_from(&text);
                changed.push((address(row, column), text));
            }
            put(&mut page, row, &cells)?;
        }
    }
    Ok((book.bytes()?, changed))
}
