//! What of a sheet is a record and what is not; and that whatever is not taken is named.

use crate::{
    raw::{RawSheet, xlsx},
    taken::{Taken, take},
};

pub const TITLE: &str = "青山镇党员花名册\n填报单位：中共青山镇委员会\n";
pub const HEADER: &str =
    "序号|所属党支部|姓名|性别|民族|身份证号码|出生年月|文化程度|人员类别|入党时间|手机号码|家庭住址|备注";
pub const ROWS: [&str; 3] = [
    "#1|青石村党支部|欧阳试一|男|汉族|340099197001010115|1970.01|高中|正式党员|1995-07-01|13900090001|青石村1组|",
    "#2|青石村党支部|司马试二|男|汉族|340099197001010211|1970.01|高中|正式党员|1995-07-01|13900090002|青石村1组|",
    "#3|青石村党支部|上官试三|男|汉族|340099197001010318|1970.01|高中|正式党员|1995-07-01|13900090003|青石村1组|",
];
pub const THREE: [&str; 3] = ["青石村党支部:欧阳试一", "青石村党支部:司马试二", "青石村党支部:上官试三"];

pub fn roster(header: &str, rows: &[&str]) -> String {
    format!("{TITLE}{header}\n{}", rows.join("\n"))
}

pub fn sheet(text: &str) -> Taken {
    take(&xlsx(&[RawSheet::new("青山镇", text)]))
}

/// The roster with lines below it.
fn with_end(end: &str) -> Taken {
    sheet(&format!("{}\n{end}", roster(HEADER, &ROWS)))
}

#[test]
fn signatures_notes_and_totals_below_a_table_are_no_records() {
    for end in [
        "填报人：张三|||||||审核人：李四",
        "填报人：|张三||审核人：|李四||填报日期：|2012年4月25日",
        "单位负责人：|||填表人：|||联系电话：0551-2345678||填报日期：2012.4.25",
        "|||||||||（盖章）",
        "||||||||书记（签字）：||2012年4月25日",
        "\n注意事项：\n1.本表由各党支部填写，每月25日前报送。\n2.身份证号码须与身份证原件一致。",
        "说明：一、本表一式两份；二、统计截止4月25日。",
        "|备注：预备党员须注明。",
        "||注：正式党员不填转正时间",
        "||1、预备党员须在备注栏注明。\n||2、逐级上报。",
        "||以下空白",
        "#4",
        "#4|青石村党支部",
        "||||||||||||第1页共1页",
    ] {
        let taken = with_end(end);
        assert_eq!(taken.names(), THREE, "{end}: {:?}", taken.findings);
        let quiet = end.starts_with('#') && !end.contains('|');
        assert_eq!(taken.codes(), if quiet { vec![] } else { vec!["rows-left-out"] }, "{end}: {:?}", taken.findings);
    }
    for end in [
        "合计：3人",
        "合计||3人",
        "|合计：3人",
        "共3人",
        "||共3人",
        "总计（3人）",
        "本页合计：3人|||||\n累计：3人",
        "|青石村党支部小计|3人\n|全镇合计|3人",
    ] {
        let taken = with_end(end);
        assert_eq!(taken.names(), THREE, "{end}: {:?}", taken.findings);
        assert_eq!(taken.codes(), ["rows-left-out"], "{end}: {:?}", taken.findings);
    }
    let which = with_end("合计：3人\n填报人：张三\n\n注意事项：\n1、按时报送，不得迟报。").said("rows-left-out");
    assert!(which.iter().any(|said| said.contains("第 8、10–11 行")), "{which:?}");
}

#[test]
fn a_total_that_states_another_number_of_people_is_noticed() {
    for (end, cells) in
        [("合计：4人", vec!["A7"]), ("|全镇合计|2人", vec!["C7"]), ("|青石村党支部小计|3人\n|全镇合计|5人", vec!["C8"])]
    {
        let taken = with_end(end);
        let found: Vec<&str> =
            taken.findings.iter().filter(|f| f.code == "total-differs").map(|f| f.cell.as_str()).collect();
        assert_eq!(found, cells, "{end}: {:?}", taken.findings);
    }
    // Subtotals between the rows, then a grand total.
    let rows = [ROWS[0], ROWS[1], "|小计|2人", ROWS[2], "|小计|1人", "|合计|3人"];
    let taken = sheet(&roster(HEADER, &rows));
    assert_eq!((taken.names(), taken.codes()), (THREE.map(str::to_owned).to_vec(), vec!["rows-left-out"]), "{taken:?}");
}

#[test]
fn a_new_page_goes_on_with_what_stands_above_the_first() {
    // 河口村 is in another town than the sheet's name says.
    let row = |row: &str| row.replacen("青石村党支部", "河口村党支部", 1);
    let pages = |between: &str| {
        let first = format!("青山镇党员花名册\n填报单位：中共白水镇委员会\n{HEADER}\n{}", row(ROWS[0]));
        format!("{first}\n{between}\n{HEADER}\n{}\n{}\n|本页合计|2人\n|累计|3人", row(ROWS[1]), row(ROWS[2]))
    };
    for between in ["|本页合计|1人\n|累计|1人", "第1页，共2页", "填报人：张三||审核人：李四"] {
        let taken = sheet(&pages(between));
        assert_eq!(
            taken.names(),
            THREE.map(|name| name.replace("青石村", "河口村")),
            "{between}: {:?}",
            taken.findings
        );
        assert!(taken.codes().iter().all(|code| *code == "rows-left-out"), "{between}: {:?}", taken.findings);
    }
    // Another unit above the header is another table's.
    let taken = sheet(&pages("青山镇党员花名册\n填报单位：中共青山镇委员会"));
    assert_eq!((taken.records.len(), taken.said("unknown-unit").len()), (1, 2), "{taken:?}");
}

#[test]
fn words_below_a_table_whose_first_column_is_the_name_are_no_people() {
    let text = "党员花名册\n填报单位：青山镇\n姓名|性别|民族|身份证号码|出生年月|人员类别|入党时间|备注|所属党支部\n\
        欧阳试一|男|汉族|340099197001010115|1970.01|正式党员|1995-07-01||青石村党支部\n\
        司马试二|男|汉族||1970.01|正式党员|1995-07-01||青石村党支部\n\
        注意事项：\n1、预备党员须在备注栏注明。\n填报人：张三\n审核人：李四|||||联系电话：13900090009\n共2人";
    let taken = sheet(text);
    assert_eq!(taken.names(), ["青石村党支部:欧阳试一", "青石村党支部:司马试二"], "{:?}", taken.findings);
    assert_eq!(taken.said("rows-left-out").len(), 2, "{:?}", taken.findings);
}

#[test]
fn a_record_is_one_whatever_words_it_holds() {
    for (row, name) in [
        ("#4|青石村党支部|共青|男|汉族|340099197001010414|1970.01|高中|正式党员|1995-07-01|||", "共青"),
        ("#4|青石村党支部|诸葛试四|男|汉族||1970.01|高中|正式党员|1995-07-01|||注：已外出", "诸葛试四"),
        ("注：|青石村党支部|诸葛试四|男|汉族||1970.01|高中|正式党员|1995-07-01|||", "诸葛试四"),
        ("|青石村党支部|诸葛试四||||||||||", "诸葛试四"),
        ("|青石村党支部|阿依古丽·买买提|女|维吾尔族||||||||", "阿依古丽·买买提"),
    ] {
        let taken = with_end(row);
        assert!(taken.names().contains(&format!("青石村党支部:{name}")), "{row}: {taken:?}");
    }
}

#[test]
fn a_blank_branch_is_filled_from_above_only_where_somebody_says_so() {
    let blank = ROWS[1].replacen("青石村党支部", "", 1);
    let taken = sheet(&roster(HEADER, &[ROWS[0], &blank, ROWS[2]]));
    assert_eq!(taken.names(), ["青石村党支部:欧阳试一", "青石村党支部:上官试三"]);
    let said = taken.said("no-unit");
    assert!(said.len() == 1 && said[0].starts_with("青山镇!B5") && said[0].contains("青石村党支部"), "{said:?}");

    for ditto in ["同上", "〃", "″"] {
        let same = ROWS[1].replacen("青石村党支部", ditto, 1);
        let taken = sheet(&roster(HEADER, &[ROWS[0], &same, ROWS[2]]));
        assert_eq!((taken.names(), taken.codes()), (THREE.map(str::to_owned).to_vec(), vec![]), "{ditto}");
        // Of a blank cell it repeats nothing.
        let taken = sheet(&roster(HEADER, &[ROWS[0], &blank, &same.replace("司马试二", "诸葛试四")]));
        assert_eq!(taken.names(), ["青石村党支部:欧阳试一"], "{ditto}");
    }

    let merged = crate::support::workbook(&[("青山镇", &roster(HEADER, &[ROWS[0], &blank, ROWS[2]]), &[(3, 1, 4, 1)])]);
    assert_eq!(take(&merged).names(), THREE);
}

#[test]
fn hidden_and_sample_sheets_are_not_taken_unasked() {
    let this_year = roster(HEADER, &ROWS);
    let last_year = this_year.replace("13900090001", "13900099999").replace("1995-07-01", "1999-07-01");
    let people = this_year.replace("欧阳试一", "张三").replace("340099197001010115", "340099197001010414");
    for (name, state, title) in [
        ("去年", "hidden", ""),
        ("去年", "veryHidden", ""),
        ("示例", "visible", ""),
        ("样表", "visible", ""),
        ("填写说明", "visible", ""),
        ("模板", "visible", ""),
        ("Sheet9", "visible", "党员花名册（示例）"),
    ] {
        for other in [&last_year, &people] {
            let other = if title.is_empty() { other.clone() } else { other.replace("青山镇党员花名册", title) };
            let odd = || RawSheet::new(name, &other).state(state);
            let own = || RawSheet::new("青山镇", &this_year);
            for (book, order) in [([odd(), own()], "first"), ([own(), odd()], "last")] {
                let taken = take(&xlsx(&book));
                assert_eq!(taken.names(), THREE, "{name} {state} {order}: {:?}", taken.findings);
                assert_eq!(taken.value("欧阳试一", "phone"), Some("13900090001"));
                assert_eq!(taken.codes(), ["sheet-left-out"], "{name} {state} {order}");
            }
        }
    }
    // Nothing but a hidden or a sample sheet: nothing is taken, and that is an error.
    for (name, state) in [("青山镇", "hidden"), ("示例", "visible")] {
        let taken = take(&xlsx(&[RawSheet::new(name, &this_year).state(state)]));
        assert!(taken.records.is_empty());
        assert_eq!(taken.codes(), ["no-ledger", "sheet-left-out"]);
    }
    // A template that was filled in is a ledger; so is one about 示范点.
    for name in ["模板", "示范点"] {
        assert_eq!(take(&xlsx(&[RawSheet::new(name, &this_year)])).names(), THREE, "{name}");
    }
}

#[test]
fn rows_that_a_filter_hides_are_data() {
    let text = roster(HEADER, &ROWS);
    let taken = take(&xlsx(&[RawSheet { hidden_rows: &[4, 5], ..RawSheet::new("青山镇", &text) }]));
    assert_eq!((taken.names(), taken.codes()), (THREE.map(str::to_owned).to_vec(), vec![]));
}

#[test]
fn example_rows_are_no_records() {
    for row in [
        "示例|青石村党支部|张三|男|汉族|340099197001010414|1970.01|高中|正式党员|1995-07-01|13900090004||",
        "例|青石村党支部|张三|男|汉族||1970.01|高中|正式党员|1995-07-01|||",
        "#0|青石村党支部|张三（示例）|男|汉族||1970.01|高中|正式党员|1995-07-01|||",
        "必填|必填|必填|必填|选填|必填|选填",
    ] {
        let taken = sheet(&roster(HEADER, &[row, ROWS[0], ROWS[1], ROWS[2]]));
        assert_eq!(taken.names(), THREE, "{row}");
        assert_eq!(taken.codes(), ["rows-left-out"], "{row}");
    }
}

#[test]
fn tables_side_by_side_are_tables_of_their_own() {
    let header = "所属党支部|序号|姓名|性别|身份证号码|人员类别|入党时间";
    let left = [
        "青石村党支部|#1|欧阳试一|男|340099197001010115|正式党员|1995-07-01",
        "青石村党支部|#2|司马试二|男|340099197001010211|正式党员|1995-07-01",
    ];
    let right = [
        "李湾村党支部|#3|上官试三|女|340099197001010326|正式党员|1995-07-01",
        "李湾村党支部|#4|诸葛试四|女|340099197001010422|正式党员|1995-07-01",
    ];
    let expected = ["青石村党支部:欧阳试一", "青石村党支部:司马试二", "李湾村党支部:上官试三", "李湾村党支部:诸葛试四"];
    for gap in ["|", "||", "|||"] {
        let lines = [
            format!("{header}{gap}{header}"),
            format!("{}{gap}{}", left[0], right[0]),
            format!("{}{gap}{}", left[1], right[1]),
        ];
        let taken = sheet(&format!("{TITLE}{}\n填报人：张三", lines.join("\n")));
        let mut names = taken.names();
        names.sort();
        let mut all = expected.map(str::to_owned);
        all.sort();
        assert_eq!(names, all, "{gap}: {:?}", taken.findings);
        assert!(
            !taken.records.iter().any(|(_, record)| record.keys().any(|cell| cell.starts_with("@extra"))),
            "{taken:?}"
        );
    }
    // One is longer than the other.
    let taken = sheet(&format!("{TITLE}{header}||{header}\n{}||{}\n{}\n", left[0], right[0], left[1]));
    assert_eq!(taken.records.len(), 3, "{taken:?}");
    // One of another ledger, behind an empty column.
    let taken = sheet(&format!(
        "{TITLE}{header}||党组织名称|受理编号|收集日期|收集渠道|民情内容|办理时限\n{}||李湾村党支部|2012-1|2012.3.1|走访|修路|2012.4.1",
        left[0]
    ));
    let ledgers = taken.records.iter().filter(|(_, record)| record.contains_key("request_no")).count();
    assert_eq!((taken.records.len() > ledgers, ledgers > 0), (true, true), "{taken:?}");
    // One ledger with an empty column behind each, as some programs write it.
    let sparse = |line: &str| line.split('|').collect::<Vec<_>>().join("||");
    let lines: Vec<String> = [header].iter().chain(&left).map(|line| sparse(line)).collect();
    assert_eq!(sheet(&format!("{TITLE}{}", lines.join("\n"))).records.len(), 2);
    // Too narrow to be told apart: the table stops rather than take one person's cells for another's.
    let taken =
        sheet(&format!("{TITLE}所属党支部|姓名|入党时间|姓名|入党日期\n青石村党支部|欧阳试一|1995.7|司马试二|1996.7"));
    assert!(taken.records.is_empty() && taken.codes().contains(&"key-twice"), "{taken:?}");
}

#[test]
fn a_unit_in_the_title_above_the_table_or_on_the_tab_is_that_of_the_rows() {
    let header = "序号|姓名|性别|身份证号码|人员类别|入党时间";
    let rows =
        "#1|欧阳试一|男|340099197001010115|正式党员|1995-07-01\n#2|司马试二|男|340099197001010211|正式党员|1995-07-01";
    for (tab, lines) in [
        ("Sheet1", "中共青山镇青石村支部委员会党员花名册"),
        ("Sheet1", "青山镇青石村党支部党员花名册"),
        ("Sheet1", "2012年度青石村党支部党员花名册"),
        ("Sheet1", "附件3\n青石村党支部党员名册"),
        ("Sheet1", "中共青山镇委员会青石村党支部党员花名册"),
        ("Sheet1", "党员花名册\n填报单位：青石村党支部   填报时间：2012.4.25"),
        ("Sheet1", "党员花名册\n填报单位（盖章）：中共青山镇青石村支部委员会"),
        ("青石村党支部", "党员花名册"),
        ("青石村", "党员花名册"),
        ("青石村支部", "青山镇党员花名册"),
        ("青石村党支部", "青石村党支部党员花名册"),
    ] {
        let taken = take(&xlsx(&[RawSheet::new(tab, &format!("{lines}\n{header}\n{rows}"))]));
        assert_eq!(taken.names(), &THREE[..2], "{tab} {lines}: {:?}", taken.findings);
        assert_eq!(taken.codes(), ["unit-from-title"], "{tab} {lines}: {:?}", taken.findings);
    }
    for (tab, lines, code) in [
        ("Sheet1", "青山镇党员花名册", "no-unit"),
        ("青山镇", "党员花名册\n填报单位：青山镇", "no-unit"),
        ("Sheet1", "石塘支部党员花名册", "unknown-unit"),
        ("李湾村党支部", "青石村党支部党员花名册", "unknown-unit"),
        ("青石村党支部", "党员花名册\n填报单位：林场党支部", "unknown-unit"),
    ] {
        let taken = take(&xlsx(&[RawSheet::new(tab, &format!("{lines}\n{header}\n{rows}"))]));
        assert!(taken.records.is_empty(), "{tab} {lines}: {taken:?}");
        assert_eq!(taken.codes(), [code, code], "{tab} {lines}: {:?}", taken.findings);
    }
    // A line of its own between the rows begins those of another branch.
    let (first, second) = rows.split_once('\n').expect("two rows");
    let text = format!("青石村党支部党员花名册\n{header}\n{first}\n李湾村党支部\n{second}");
    assert!(sheet(&text).records.is_empty(), "{:?}", sheet(&text));
    // A column that names the branch goes before what stands above it.
    let taken = take(&xlsx(&[RawSheet::new("李湾村党支部", &roster(HEADER, &ROWS))]));
    assert_eq!(taken.names(), THREE);
}

#[test]
fn a_branch_in_other_words_is_taken_if_it_can_be_no_other() {
    for (name, expected, code) in [
        ("中共青山镇青石村支部委员会", Some("青石村党支部"), None),
        ("青石村支部", Some("青石村党支部"), None),
        ("青石支部", Some("青石村党支部"), Some("unit-taken")),
        ("青石村", Some("青石村党支部"), Some("unit-taken")),
        ("青石村党总支", None, Some("unknown-unit")),
        ("石塘支部", None, Some("unknown-unit")),
        ("清石村党支部", None, Some("unknown-unit")),
    ] {
        let row = ROWS[0].replacen("青石村党支部", name, 1);
        let taken = sheet(&roster(HEADER, &[&row]));
        assert_eq!(taken.records.first().map(|(unit, _)| unit.as_str()), expected, "{name}: {:?}", taken.findings);
        assert_eq!(taken.codes(), Vec::from_iter(code), "{name}: {:?}", taken.findings);
        if expected.is_none() {
            let said = &taken.findings[0].message;
            let near = if name.contains("石塘") {
                ["石塘村党支部", "石塘社区党支部"]
            } else {
                ["青石村党支部"; 2]
            };
            assert!(near.iter().all(|name| said.contains(name)), "{said}");
        }
    }
}

#[test]
fn headers_in_the_words_of_offices_are_understood() {
    let plain: Vec<&str> = HEADER.split('|').collect();
    let numbered: Vec<String> = (1..).zip(&plain).map(|(number, text)| format!("{number}.{text}")).collect();
    for header in [
        "序号|所属组织|姓名|性别|民族|公民身份证号码|出生年月日|学历学位|党员性质|加入中国共产党时间|电话号码|详细住址|备注说明".to_owned(),
        "序号 No.|所属党支部 Branch|姓名 Name|性别 Sex|民族|身份证号码 ID|出生年月|文化程度|人员类别|入党时间|手机号码 Tel|家庭住址|备注".to_owned(),
        numbered.join("|"),
        numbered.iter().map(|text| format!("（{}", text.replacen('.', "）", 1))).collect::<Vec<_>>().join("|"),
        "序号|所属党支部|*姓名（必填）|【必填】性别|民族|公民身份证号码（18位）|出生年月（如1970.01）|文化程度|人员类别|入党时间|电话号码|身份证上的家庭住址|备注".to_owned(),
        HEADER.replace("姓名", "姓\u{a0}\u{200b} 名").replace("性别", "\u{feff}性别").replace("入党时间", "入党_x000D_时间"),
    ] {
        let taken = sheet(&roster(&header, &ROWS));
        assert_eq!((taken.names(), taken.codes()), (THREE.map(str::to_owned).to_vec(), vec![]), "{header} {:?}", taken.findings);
        for (column, expected) in [("sex", "1"), ("id_card", "340099197001010115"), ("phone", "13900090001"), ("address", "青石村1组"), ("birth_date", "1970-01"), ("joined_on", "1995-07-01")] {
            assert_eq!(taken.value("欧阳试一", column), Some(expected), "{header}");
        }
    }
}

#[test]
fn a_header_in_two_rows_needs_no_merged_cells() {
    for (upper, lower) in [
        (
            "序号|所属党支部|基本情况||||||党内情况||联系方式||",
            "||姓名|性别|民族|身份证号码|出生年月|文化程度|人员类别|入党时间|手机号码|家庭住址|备注",
        ),
        (
            "序号|所属党支部|姓名|性别|民族|身份证号码|出生年月|文化程度|党内情况||联系方式||备注",
            "||||||||人员类别|入党时间|手机号码|家庭住址|",
        ),
    ] {
        let text = format!("{TITLE}{upper}\n{lower}\n{}", ROWS.join("\n"));
        let taken = sheet(&text);
        assert_eq!(
            (taken.names(), taken.codes()),
            (THREE.map(str::to_owned).to_vec(), vec![]),
            "{upper}: {:?}",
            taken.findings
        );
        assert_eq!(taken.value("欧阳试一", "phone"), Some("13900090001"));
        assert_eq!(taken.value("欧阳试一", "joined_on"), Some("1995-07-01"));
    }
}

#[test]
fn a_key_or_mandatory_column_that_is_not_understood_stops_the_table() {
    for (from, to, code, cell) in [
        ("姓名", "党员的名称姓名栏", "key-unread", "C3"),
        ("姓名", "人物", "key-missing", "A3"),
        ("身份证号码", "证号", "key-unread", "F3"),
        ("所属党支部", "所属的党支部全称", "key-unread", "B3"),
        ("入党时间", "加入共产党组织的具体时间", "key-unread", "J3"),
        ("民族", "属于哪个民族", "key-unread", "E3"),
    ] {
        let taken = sheet(&roster(&HEADER.replacen(from, to, 1), &ROWS));
        assert!(taken.records.is_empty(), "{to}: {taken:?}");
        let said = taken.said(code);
        assert!(
            said.len() == 1 && said[0].starts_with(&format!("青山镇!{cell} ")) && said[0].contains("3 行"),
            "{to}: {:?}",
            taken.findings
        );
    }
    // Any other column is kept beside the rows, and named.
    let taken = sheet(&roster(&HEADER.replacen("备注", "本人银行卡号", 1), &ROWS));
    assert_eq!((taken.names(), taken.codes()), (THREE.map(str::to_owned).to_vec(), vec!["unknown-header"]));
    assert_eq!(taken.findings[0].cell, "M3");
}
