//! Texts, and whether they can say who or what something is: the field app decides the same.

use serde_json::{Value as Json, json};
use sync_protocol::catalogue::ColumnType;

/// What can say who or what something is, and what cannot.
pub fn shapes() -> Json {
    let person = [
        "张三",
        "张*三",
        "张**",
        "*王某某",
        "欧阳*",
        "王X",
        "李×明",
        "赵○○",
        "Max Li",
        "待补",
        "xxx",
        "阿依古丽·买买提",
    ];
    let text = [
        "***",
        "＊＊",
        "●●●",
        "xxxx",
        "XXX路5号",
        "王XX",
        "第X组",
        "XXL",
        "www.xxx.com",
        "2*3米",
        "5*8 楼",
        "2**10",
        "1200*800",
        "长*宽*高",
        "*注",
        "党员*",
        "幸福路**号",
        "138****5678",
        "1980-01*",
        "1980年1月*",
        "2012*",
        "340099198001*",
        "×",
        "●",
        "一、学习\n***\n二、讨论",
        "青石村\n***",
        "○○○",
        "二○○八年",
        "待补",
        "待岗职工党支部",
        "（待补充）",
        "不详",
        "？？？",
        "3.40099E+17",
        "1.39e10",
        "1E+2",
        "001",
        "",
    ];
    let code = [
        (ColumnType::Uscc, "91340099MA00000A9Y"),
        (ColumnType::Uscc, "办理中"),
        (ColumnType::Uscc, "000000000000000000"),
        (ColumnType::Division, "340099100200"),
        (ColumnType::Division, "000000"),
        (ColumnType::Phone, "13900090001"),
        (ColumnType::Phone, "88888888"),
        (ColumnType::PDate, "1980-01"),
        (ColumnType::PDate, "1980-01*"),
    ];
    let line = |(column_type, text): (ColumnType, &str)| {
        let name = match column_type {
            ColumnType::Person => "person",
            ColumnType::Uscc => "uscc",
            ColumnType::Division => "division",
            ColumnType::Phone => "phone",
            ColumnType::PDate => "pdate",
            _ => "text",
        };
        json!({ "type": name, "text": text, "identifies": sync_protocol::shape::identifies(&column_type, text) })
    };
    let person = person.map(|text| (ColumnType::Person, text));
    let text = text.map(|text| (ColumnType::Text, text));
    person.into_iter().chain(text).chain(code).map(line).collect()
}
