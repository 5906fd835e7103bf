//! Sheets as offices make them.

use crate::support::{Merge, dry_run, workbook};

const TOWN: &str = "单位代码|单位名称|单位简称|排序\n340099100|中共青山镇委员会|青山镇|#1\n";
const BRANCHES: &str = "填报单位|党组织名称|党组织编码|组织类别|成立时间\n青山镇|中共青山镇青石村支部委员会|001-001|党支部|1998.7\n青山镇|大塘村党支部|001-002|支部|2001年\n";

/// A workbook with the registers and one more sheet.
fn with(name: &str, text: &str, merges: &[Merge]) -> String {
    dry_run(&workbook(&[("名录", TOWN, &[]), ("党组织", BRANCHES, &[]), (name, text, merges)]))
}

#[test]
fn a_roster_with_everything_that_real_rosters_have() {
    let text = "\
附件3
青山镇党员花名册
填报单位：中共青山镇委员会   填报时间：2012.4.25
序号|所属党支部|姓  名|*身份证号码（必填）|出生⏎年月|党籍状态|入党时间|手机号码|是否在职|特长|年龄
甲|乙|#1|#2|#3|#4|#5|#6|#7|#8|#9
#1|青石村党支部|张　三|34009919801231002x|@29586|正式|1998.07|138 0000 0001|√|水电|#31
#2||李四|#340099198001010013|1980.1.1|预备|二〇一一年三月|13800000002/0551-1234567|否|—|#32
#3||王五|340099198001010014|同上|同上|2012.2.30|12345|或许||#33
#4|大塘村党支部|赵六|340099********0013|85年6月|正式|3月底前|#13800000004|无|/|#26
|合计|4人
注：本表一式两份。
单位负责人：||填表人：";
    let merges = [(0, 0, 0, 10), (1, 0, 1, 10), (2, 0, 2, 10), (5, 1, 7, 1)];
    insta::assert_snapshot!(with("花名册", text, &merges));
}

#[test]
fn two_levels_of_header_and_a_unit_written_in_its_long_form() {
    let text = "\
青山镇分类定级台账
党组织名称|轮次|定级情况||晋级情况
||党委初定|评定等次|
中共青山镇青石村支部委员会|年初|好|软弱涣散|
大塘村支部委员会|首次|一般|较好|持平";
    let merges = [(1, 0, 2, 0), (1, 1, 2, 1), (1, 2, 1, 3), (1, 4, 2, 4)];
    insta::assert_snapshot!(with("定级", text, &merges));
}

#[test]
fn sets_items_totals_and_two_tables_on_one_sheet() {
    let text = "\
后进党组织整改台账
党支部名称|定级轮次|后进类型|存在问题|整改对策|联系领导|转化时限
青石村党支部|首次|班子不健全、书记缺职|无人|选派干部|周　平|10月20日
大塘村党支部|首次|作用发挥不明显；集体经济薄弱|散|限期整改|吴刚|2012/9/30
石塘村党支部|首次|其他|x|y|z|2012.9.30

整改事项清单
党支部名称|问题序号|问题内容|类别|措施|整改责任人|时限|完成情况
青石村党支部|#1|记录不全|信访矛盾突出|整改|李四|2012.6.1|已销号
青石村党支部|#1|重复|其他|整改|李四|2012.6.1|整改中";
    insta::assert_snapshot!(with("整改", text, &[]));
}

#[test]
fn a_total_that_does_not_add_up_is_noticed() {
    let text = "\
党组织名称|党组织编码|成立时间|正式党员|预备党员|党员总数
青石村党支部|001-001|1998.7|#30|1人|#31
大塘村党支部|001-002|2001|二十|#0|#20
合计|||#50|#2|#51";
    let bytes = workbook(&[("青山镇", text, &[]), ("名录", TOWN, &[])]);
    let said = dry_run(&bytes);
    let totals: Vec<&str> = said.lines().filter(|line| line.contains("total-differs")).collect();
    assert_eq!(totals.len(), 1, "{said}");
    assert!(totals[0].contains("青山镇!E4") && totals[0].contains("各行之和（1）"), "{totals:?}");
    assert!(said.contains("unit 青石村党支部 (001-001)"), "the sheet's name says which town: {said}");
}

#[test]
fn rows_without_any_key_are_all_kept_and_imported_once() {
    let text = "党支部名称|轮次|检查方式|评价日期|特别说明\n青石村党支部|年初|自查|2012.4.1|甲\n青石村党支部|年初|自查|2012.4.1|乙\n青石村党支部|年初|自查|2012.4.1|乙";
    let said = with("评价", text, &[]);
    assert_eq!(said.matches("row five-good-assessment of").count(), 6, "three rows in two books: {said}");
    assert!(!said.contains("duplicate-row"), "{said}");
    assert_eq!(said, with("评价", text, &[]), "the same file names the same rows");
}
