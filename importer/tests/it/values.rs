//! Cells into canonical values, one case a line.

use importer::{
    header::Scale,
    values::{Normalised, Normaliser},
    workbook::grid::{Cell, Texts},
};
use sync_protocol::{Value, catalogue::Catalogue};

/// What a cell of this ledger and column becomes: the value, or the finding's code, or both.
fn becomes(ledger: &str, column: &str, scale: Option<Scale>, cell: impl FnOnce(&mut Texts) -> Cell) -> String {
    let catalogue = Catalogue::builtin();
    let normaliser = Normaliser::new(&catalogue, 2012);
    let mut texts = Texts::default();
    let cell = cell(&mut texts);
    let column = catalogue.ledger(ledger).and_then(|l| l.column(column)).expect("a column");
    let json = |value: &Value| serde_json::to_string(value).expect("value");
    match normaliser.normalise(cell, &texts, column, scale) {
        Normalised::Empty => "—".into(),
        Normalised::One(value) => json(&value),
        Normalised::Set(codes) => codes.join("+"),
        Normalised::Doubtful(value, kind) => format!("{} {}", json(&value), kind.code()),
        Normalised::First(value, rest, kind) => format!("{} {} ({rest})", json(&value), kind.code()),
        Normalised::Bad(kind) => kind.code().to_owned(),
    }
}

#[test]
fn texts() {
    for (ledger, column, text, expected) in [
        ("members", "name", "张　三", "\"张三\""),
        ("members", "name", "阿依古丽•买买提", "\"阿依古丽·买买提\""),
        ("members", "sex", "男性", "\"1\""),
        ("members", "sex", "1", "\"1\""),
        ("members", "sex", "M", "\"M\" unknown-code"),
        ("members", "ethnic", "汉", "\"01\""),
        ("members", "ethnic", "毛难族", "\"36\""),
        ("members", "education", "党校本科", "\"20\""),
        ("members", "id_card", "34009919801231002x", "\"34009919801231002X\""),
        ("members", "id_card", "'340099198001010013", "\"340099198001010013\""),
        ("members", "id_card", "340099800101001", "\"340099198001010013\" upgraded"),
        ("members", "id_card", "340099198001010014", "\"340099198001010014\" bad-id-card"),
        ("members", "id_card", "340099********0013", "masked"),
        ("members", "phone", "１３８００００００００", "\"13800000000\""),
        ("members", "phone", "+86 138-0000-0000", "\"13800000000\""),
        ("members", "phone", "138 0000 0000/0551-1234567", "\"13800000000\" several-phones (05511234567)"),
        ("members", "phone", "0551-1234567；13800000000", "\"13800000000\" several-phones (05511234567)"),
        ("members", "phone", "李四转", "\"李四转\" bad-phone"),
        ("members", "in_service", "√", "true"),
        ("members", "in_service", "无", "false"),
        ("members", "in_service", "不清楚", "bad-bool"),
        ("members", "birth_date", "1985年6月", "\"1985-06\""),
        ("members", "birth_date", "1998-07", "\"1998-07\""),
        ("members", "native_place", "无", "—"),
        ("members", "native_place", "不详", "unknown-value"),
        ("members", "native_place", "#REF!", "error-value"),
        ("rectification", "due_on", "3月底前", "\"2012-03-31\" doubtful-date"),
        ("rectification", "problem_kinds", "信访矛盾突出、集体经济薄弱", "petition+economy"),
        ("rectification", "problem_kinds", "①信访矛盾突出", "petition"),
        ("rectification", "problem_kinds", "班子不健全、书记缺职", "team_incomplete"),
        ("rectification", "problem_kinds", "天气不好", "unknown-code"),
        ("grading", "final_grade", "软弱涣散", "\"backward\""),
        ("grading", "final_grade", "较好", "\"average\""),
        ("grading", "satisfaction_rate", "85%", "\"85.00\""),
        ("grading", "satisfaction_rate", "0.85", "doubtful-percent"),
        ("grading", "score_total", "93.25", "\"93.3\""),
        ("organisations", "formal_members", "31人", "31"),
        ("organisations", "formal_members", "三十一", "31"),
        ("organisations", "formal_members", "很多", "bad-number"),
        ("organisations", "division_code", "340099100200", "\"340099100200\""),
        ("organisations", "division_code", "3400", "\"3400\" bad-division"),
        ("organisations", "host_uscc", "91340099MA00000A90", "\"91340099MA00000A90\" bad-uscc"),
        ("organisations", "host_uscc", " 91340099ma00000a9y ", "\"91340099MA00000A9Y\""),
    ] {
        let found = becomes(ledger, column, None, |texts| Cell::Text(texts.intern(text)));
        assert_eq!(found, expected, "{ledger}.{column}: {text}");
    }
}

#[test]
fn amounts() {
    use Scale::{Wan, Yuan};

    for (ledger, column, scale, text, expected) in [
        ("funds", "amount_yuan", None, "1.5", "\"1.50\""),
        ("funds", "amount_yuan", Some(Wan), "1.5", "\"15000.00\""),
        ("funds", "amount_yuan", Some(Wan), "0.2万", "\"2000.00\""),
        ("funds", "amount_yuan", Some(Wan), "12000元", "\"12000.00\""),
        ("funds", "amount_yuan", Some(Yuan), "1.5万元", "\"15000.00\""),
        ("paired-support", "funds_wan", None, "1.5", "\"15000.00\""),
        ("paired-support", "funds_wan", Some(Yuan), "15000", "\"15000.00\""),
    ] {
        let found = becomes(ledger, column, scale, |texts| Cell::Text(texts.intern(text)));
        assert_eq!(found, expected, "{ledger}.{column} {scale:?}: {text}");
    }
}

#[test]
fn numbers() {
    for (ledger, column, value, percent, expected) in [
        ("members", "id_card", 340_099_198_001_010_000.0, false, "precision-lost"),
        ("members", "phone", 13_800_000_000.0, false, "\"13800000000\""),
        ("members", "birth_date", 1969.1, false, "\"1969-01\" doubtful-date"),
        ("members", "birth_date", 19_690_101.0, false, "\"1969-01-01\""),
        ("members", "employer", 3.0, false, "\"3\""),
        ("members", "in_service", 1.0, false, "true"),
        ("grading", "satisfaction_rate", 0.95, true, "\"95.00\""),
        ("grading", "satisfaction_rate", 95.0, false, "\"95.00\""),
        ("organisations", "division_code", 340_099_100_200.0, false, "\"340099100200\""),
    ] {
        let found = becomes(ledger, column, None, |_| Cell::Number { value, percent });
        assert_eq!(found, expected, "{ledger}.{column}: {value}");
    }
}
