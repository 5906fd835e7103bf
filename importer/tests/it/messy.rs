//! Records rendered as offices write them, then read back.

use std::collections::{BTreeMap, BTreeSet};

use importer::{Importer, UnitDocuments};
use proptest::prelude::*;
use sync_protocol::{
    Tenant, UnitId, Value,
    catalogue::{Catalogue, Column, ColumnType, Ledger},
    checks::id_card_check,
};

use crate::support::{Merge, branch_register, read, workbook};

/// Ledgers whose columns have every kind of value.
const LEDGERS: [&str; 5] = ["members", "hardship-members", "village-officials", "citizen-requests", "funds"];
const BRANCH: &str = "青石村党支部";
const WORDS: [&str; 8] = ["道路硬化", "低保申请", "送学上门", "务农", "东风组", "县农业局", "工作扎实", "第三产业"];

/// A choice of many that a seed makes.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).expect("small")
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }
}

/// A value, and one of the ways to write it. Rows are told apart by `number`.
fn cell(dice: &mut Dice, catalogue: &Catalogue, column: &Column, number: usize) -> (Value, String) {
    use ColumnType as T;
    let (year, month, day) = (1960 + dice.below(50), 1 + dice.below(12), 1 + dice.below(28));
    let of_day = [
        format!("{year}-{month:02}-{day:02}"),
        format!("{year}.{month}.{day}"),
        format!("{year}年{month}月{day}日"),
        format!("{year}/{month}/{day}"),
        format!("{year}{month:02}{day:02}"),
    ];
    let of_month = [format!("{year}.{month:02}"), format!("{year}年{month}月"), format!("{year}-{month:02}")];
    let amount = 100 + dice.below(90_000);
    let (value, written) = match &column.column_type {
        T::Person => {
            let name =
                format!("{}{}", dice.pick(&["王", "李", "张", "欧阳"]), dice.pick(&["伟", "芳", "建国", "志强"]));
            let wide = format!("{}　{}", &name[..3], &name[3..]);
            (name.clone(), if name.chars().count() == 2 { dice.pick(&[name, wide]) } else { name })
        }
        T::Int => {
            return (
                Value::Int(i64::try_from(amount).expect("small")),
                dice.pick(&[amount.to_string(), format!("#{amount}")]),
            );
        }
        T::Bool => {
            let yes = dice.one_in(2);
            let words: &[&str] = if yes { &["是", "√", "有"] } else { &["否", "×"] };
            return (Value::Bool(yes), dice.pick(words).to_owned());
        }
        T::PDate if dice.one_in(2) => (format!("{year}-{month:02}"), dice.pick(&of_month)),
        T::Date | T::PDate => (format!("{year}-{month:02}-{day:02}"), dice.pick(&of_day)),
        T::Year => (year.to_string(), dice.pick(&[year.to_string(), format!("{year}年"), format!("#{year}")])),
        T::MoneyYuan => (
            format!("{amount}.50"),
            dice.pick(&[format!("{amount}.5"), format!("#{amount}.5"), format!("{amount}.50元")]),
        ),
        T::Percent => ("85.00".to_owned(), dice.pick(&["85%".to_owned(), "%0.85".to_owned()])),
        T::Phone => {
            let digits = format!("139{number:08}");
            let spaced = format!("{} {} {}", &digits[..3], &digits[3..7], &digits[7..]);
            (digits.clone(), dice.pick(&[digits.clone(), spaced, format!("+86{digits}"), format!("#{digits}")]))
        }
        T::IdCard => {
            let body = format!("340099{year}{month:02}{day:02}{number:03}");
            let card = format!("{body}{}", id_card_check(&body).expect("17 digits"));
            (card.clone(), dice.pick(&[card.clone(), card.to_lowercase(), format!("{} {}", &card[..6], &card[6..])]))
        }
        T::Enum(list) => {
            let code = dice.pick(&catalogue.list(list).expect("loading checks this").codes);
            (code.code, code.label)
        }
        // What tells rows apart in ledgers without people.
        T::Text if ["request_no", "entry_no"].contains(&column.key.as_str()) => {
            (format!("2012-{number:04}"), format!("2012-{number:04}"))
        }
        _ => (dice.pick(&WORDS).to_owned(), String::new()),
    };
    let written = if written.is_empty() { value.clone() } else { written };
    let plain = !written.starts_with(['#', '%']);
    let space = if plain && dice.one_in(4) { dice.pick(&[" ", "　", "\u{a0}"]) } else { "" };
    (Value::Text(value), format!("{space}{written}{space}"))
}

/// Columns that hold one value that this test can write.
fn columns<'a>(dice: &mut Dice, ledger: &'a Ledger) -> Vec<&'a Column> {
    let is_key = |column: &Column| ledger.keys[0].contains(&column.key);
    let fits = |column: &&Column| {
        let odd = matches!(
            column.column_type,
            ColumnType::Multi(_)
                | ColumnType::DateTime
                | ColumnType::Period
                | ColumnType::Decimal
                | ColumnType::Division
        );
        !odd && !ledger.unit.names_unit(&column.key)
    };
    let mut columns: Vec<&Column> = ledger.columns.iter().filter(fits).collect();
    columns.retain(|column| is_key(column) || column.key == "name" || !dice.one_in(5));
    for index in (1..columns.len()).rev() {
        columns.swap(index, dice.below(index + 1));
    }
    columns
}

type Records = BTreeSet<BTreeMap<String, Value>>;

/// A sheet, its merged ranges, and the records in it.
fn sheet(dice: &mut Dice, catalogue: &Catalogue) -> (String, Vec<Merge>, Records) {
    let ledger = catalogue.ledger(dice.pick(&LEDGERS)).expect("a ledger");
    let columns = columns(dice, ledger);
    let width = u16::try_from(columns.len() + 2).expect("small");
    let (mut lines, mut merges) = (Vec::new(), Vec::new());
    if dice.one_in(2) {
        lines.push("附件3".to_owned());
    }
    let row = u32::try_from(lines.len()).expect("small");
    lines.push(format!("青山镇{}", ledger.title));
    if dice.one_in(2) {
        merges.push((row, 0, row, width - 1));
    }
    if dice.one_in(2) {
        lines.push("填报单位：中共青山镇委员会   填报时间：2012.4.25".to_owned());
    }
    let unit = ledger.unit.name.as_deref().and_then(|key| ledger.column(key)).expect("a column with the unit's name");
    let headers: Vec<String> = columns
        .iter()
        .map(|column| {
            let star = if dice.one_in(4) { "*" } else { "" };
            let mut title = column.title.clone();
            if let Some((at, _)) = title.char_indices().nth(2).filter(|_| dice.one_in(4)) {
                title.insert_str(at, dice.pick(&["⏎", "  ", "　"]));
            }
            format!("{star}{title}")
        })
        .collect();
    let header = format!("序号|{}|{}", unit.title, headers.join("|"));
    lines.push(header.clone());
    let mut records = Records::new();
    for number in 1..=3 + dice.below(12) {
        if number > 3 && dice.one_in(12) {
            // The header again, as after a page break.
            lines.push(header.clone());
        }
        let mut record = BTreeMap::new();
        let mut line = vec![format!("#{number}"), BRANCH.to_owned()];
        for column in &columns {
            let needed = ledger.keys.iter().flatten().any(|key| *key == column.key);
            if !needed && dice.one_in(8) {
                line.push(dice.pick(&["", "—", "/"]).to_owned());
                continue;
            }
            let (value, written) = cell(dice, catalogue, column, number);
            record.insert(column.key.clone(), value);
            line.push(written);
        }
        records.insert(record);
        lines.push(line.join("|"));
    }
    if dice.one_in(2) {
        lines.push(format!("|合计|{}条", records.len()));
    }
    lines.extend(std::iter::repeat_n(String::new(), dice.below(3)));
    if dice.one_in(2) {
        lines.push("注：本表一式两份。".to_owned());
    }
    (lines.join("\n"), merges, records)
}

/// The records that an import finds, and what it has to say.
fn found(catalogue: &Catalogue, text: &str, merges: &[Merge]) -> (Records, Vec<String>) {
    let tenant = Tenant::new("340099");
    let county = UnitId::derive(&tenant, None, "340099");
    let register = branch_register(&tenant, county, "中共青山镇委员会", BRANCH);
    let importer = Importer::new(catalogue, tenant, county, 2012, Some(vec![1; 32]));
    let book = read(&workbook(&[("Sheet1", text, merges)]));
    let (tables, mut findings) = importer.detect(&book);
    let grouped = importer.group(&book, &tables, &register);
    findings.extend(grouped.findings);
    let mut records = Records::new();
    for rows in grouped.units.values() {
        let plan = importer.plan(&book, &tables, rows, &UnitDocuments::none(county));
        findings.extend(plan.findings);
        let mut by_row: BTreeMap<_, BTreeMap<String, Value>> = BTreeMap::new();
        for edit in plan.edits.into_values().flatten() {
            by_row.entry(edit.address.row).or_default().insert(edit.address.cell().into_owned(), edit.value);
        }
        records.extend(by_row.into_values());
    }
    (records, findings.iter().map(|f| format!("{} {}「{}」{}", f.cell, f.column, f.read, f.message)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn messy_sheets_give_their_records_back(seed in any::<u64>()) {
        let catalogue = Catalogue::builtin();
        let (text, merges, records) = sheet(&mut Dice(seed), &catalogue);
        let (found, findings) = found(&catalogue, &text, &merges);
        prop_assert_eq!(&found, &records, "{}\n{:#?}", text, findings);
    }
}
