//! Rows of a table that are no records: totals, signatures, notes, examples.

use sync_protocol::{
    catalogue::{Catalogue, ColumnType, Ledger, Requirement},
    checks,
};

use crate::{
    date,
    mapping::{MappedColumn, Target},
    text::compact,
    workbook::grid::{Cell, Texts},
};

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// A record.
    Record,
    /// A total of rows.
    Total,
    /// Signatures, notes, and other words around the table.
    Words,
    /// An example, or hints on how to fill in.
    Example,
    /// Nothing that anybody would look for: numbered lines that nobody filled in, the numbers of the columns.
    Blank,
}

/// Labels of signatures; those of the first list also without anything behind them.
const SIGNED: [&str; 34] = [
    "填报人",
    "填表人",
    "制表人",
    "制表",
    "审核人",
    "审批人",
    "复核人",
    "校对人",
    "经办人",
    "录入人",
    "统计人",
    "报送人",
    "上报人",
    "填写人",
    "核对人",
    "签字人",
    "签发人",
    "单位负责人",
    "主要负责人",
    "党组织负责人",
    "分管领导",
    "分管负责人",
    "填报日期",
    "填表日期",
    "填报时间",
    "填表时间",
    "制表日期",
    "制表时间",
    "报送日期",
    "报送时间",
    "上报时间",
    "填报单位",
    "填表单位",
    "报送单位",
];
const SIGNED_WITH_COLON: [&str; 18] = [
    "负责人",
    "审核",
    "审批",
    "复核",
    "经办",
    "书记",
    "支部书记",
    "党支部书记",
    "党委书记",
    "联系人",
    "联系电话",
    "电话",
    "日期",
    "时间",
    "单位",
    "签字",
    "签名",
    "校对",
];
/// How notes begin.
const NOTES: [&str; 14] = [
    "注:",
    "注1",
    "注意",
    "备注:",
    "说明:",
    "附注",
    "附:",
    "填表说明",
    "填报说明",
    "填写说明",
    "填报要求",
    "要求:",
    "提示:",
    "温馨提示",
];
/// What stands alone on a line of its own.
const PHRASES: [&str; 14] = [
    "以下空白",
    "以下无正文",
    "此页无正文",
    "续表",
    "续下页",
    "接下页",
    "接上页",
    "转下页",
    "承前页",
    "过次页",
    "完",
    "结束",
    "年月日",
    "注",
];
/// How examples begin.
const EXAMPLES: [&str; 8] = ["必填", "选填", "示例", "样例", "范例", "例:", "例如", "填写示例"];
/// What counts things.
const COUNTED: [char; 14] = ['人', '名', '个', '户', '条', '件', '项', '元', '次', '行', '位', '岁', '%', '份'];

/// Looks at the rows of one table.
pub(crate) struct Judge<'a> {
    catalogue: &'a Catalogue,
    ledger: &'a Ledger,
    columns: &'a [MappedColumn],
    texts: &'a Texts,
    /// Columns that have a header.
    width: usize,
    /// Set once notes have begun: what follows them in single cells are notes, too.
    in_notes: bool,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        (catalogue, ledger): (&'a Catalogue, &'a Ledger),
        columns: &'a [MappedColumn],
        texts: &'a Texts,
        width: usize,
    ) -> Self {
        Self { catalogue, ledger, columns, texts, width, in_notes: false }
    }

    /// What the next row is.
    pub(crate) fn kind(&mut self, cells: &[(u16, Cell)]) -> RowKind {
        if cells.is_empty() {
            return RowKind::Blank;
        }
        let texts: Vec<(u16, String)> = cells
            .iter()
            .filter_map(|(column, cell)| match cell {
                Cell::Text(id) if self.texts.get(*id).len() <= 900 => {
                    Some((*column, compact(self.texts.get(*id)).into_owned()))
                }
                _ => None,
            })
            .take(8)
            .collect();
        let words = self.catalogue.words();
        let is_total = |text: &str| words.totals.iter().any(|w| text == w || text.strip_suffix(':') == Some(w));
        // 小计 may stand behind a group cell.
        if texts.iter().take(2).any(|(_, text)| is_total(text)) {
            return RowKind::Total;
        }
        if is_numbering(cells, self.texts) {
            return RowKind::Blank;
        }
        let first = texts.first().map_or("", |(_, text)| text.as_str());
        let is_hint = |text: &str| EXAMPLES.iter().any(|hint| text.starts_with(hint));
        let is_example = |text: &str| {
            matches!(text, "示例" | "样例" | "范例" | "例")
                || text.contains("(示例)")
                || text.contains("(样例)")
                || text.contains("(例)")
        };
        if !texts.is_empty() && texts.iter().all(|(_, t)| is_hint(t))
            || texts.iter().take(3).any(|(_, t)| is_example(t))
        {
            return RowKind::Example;
        }
        let has_record = cells.iter().any(|(column, _)| self.columns.iter().any(|c| c.column == *column));
        let few = cells.len() * 3 <= self.width.max(6);
        let kind = if texts.iter().take(2).any(|(_, text)| is_total_of(text, &words.totals)) {
            RowKind::Total
        } else if is_signed(first) || texts.len() > 1 && texts.iter().all(|(_, text)| is_signed(text)) {
            RowKind::Words
        } else if few && NOTES.iter().any(|note| first.starts_with(note)) {
            self.in_notes = true;
            RowKind::Words
        } else if !has_record {
            return if texts.is_empty() { RowKind::Blank } else { RowKind::Words };
        } else if self.is_alone(cells, &texts) {
            RowKind::Words
        } else {
            return RowKind::Record;
        };
        // Whatever its label, a row that says of a person what a roster asks for is a record.
        if self.is_surely_a_record(cells) { RowKind::Record } else { kind }
    }

    /// A row of one cell that says nothing a record would say there.
    fn is_alone(&self, cells: &[(u16, Cell)], texts: &[(u16, String)]) -> bool {
        if let [(_, Cell::Number { .. })] = cells {
            return true;
        }
        let ([(column, text)], true) = (texts, cells.len() <= 2 && texts.len() + 1 >= cells.len()) else {
            return false;
        };
        let is_page = text.starts_with('第') && text.contains('页');
        if is_page
            || PHRASES.contains(&text.as_str())
            || is_numbered(text) && (self.in_notes || text.chars().count() > 8)
            || is_written_date(text)
        {
            return true;
        }
        let Some(mapped) = self.columns.iter().find(|mapped| mapped.column == *column) else { return true };
        let Target::Column { index, .. } = mapped.target else { return self.in_notes };
        let column = &self.ledger.columns[index];
        match &column.column_type {
            // The name of a group above its rows.
            _ if self.ledger.unit.names_unit(&column.key) => true,
            ColumnType::Text | ColumnType::LongText | ColumnType::Ref(_) => self.in_notes || is_sentence(text),
            _ => !self
                .fits(&column.column_type, cells.iter().find(|(at, _)| *at == mapped.column).map(|(_, cell)| *cell)),
        }
    }

    /// Whether so many cells say what their columns ask for that no label can make the row anything but a record.
    fn is_surely_a_record(&self, cells: &[(u16, Cell)]) -> bool {
        let (mut fitting, mut needed) = (0, 0);
        for mapped in self.columns {
            let Target::Column { index, .. } = mapped.target else { continue };
            let column = &self.ledger.columns[index];
            let cell = cells.iter().find(|(at, _)| *at == mapped.column).map(|(_, cell)| *cell);
            // A total has numbers where a record has them.
            let tells =
                matches!(cell, Some(Cell::Text(_) | Cell::Date(_)) | None) && tells_records(&column.column_type);
            if tells && column.required == Requirement::Mandatory {
                needed += 1;
            }
            if tells && self.fits(&column.column_type, cell) {
                if column.column_type == ColumnType::IdCard {
                    return true;
                }
                fitting += 1;
            }
        }
        fitting >= 3 && fitting * 2 >= needed
    }

    /// Whether a cell says what this kind of column asks for.
    fn fits(&self, kind: &ColumnType, cell: Option<Cell>) -> bool {
        use ColumnType as T;
        let Some(cell) = cell else { return false };
        let Cell::Text(id) = cell else {
            return match kind {
                T::Person | T::Enum(_) | T::Multi(_) | T::IdCard => false,
                T::Date | T::PDate | T::Year | T::DateTime | T::Period => !matches!(cell, Cell::Bool(_) | Cell::Error),
                _ => matches!(cell, Cell::Number { .. } | Cell::Uncomputed),
            };
        };
        let text = compact(self.texts.get(id));
        match kind {
            T::Person => is_name(&text),
            T::IdCard => checks::id_card(text.trim_start_matches('\'')).is_ok(),
            T::Phone => text.chars().filter(char::is_ascii_digit).count() >= 7 && !text.contains(':'),
            T::Date | T::PDate | T::Year | T::DateTime | T::Period => date::parse(&text, 2000).is_some(),
            T::Enum(list) | T::Multi(list) => self.catalogue.list(list).is_some_and(|list| {
                let same = |word: &String| compact(word) == text;
                list.codes.iter().any(|code| same(&code.label) || same(&code.code) || code.aliases.iter().any(same))
            }),
            _ => text.starts_with(|c: char| c.is_ascii_digit()),
        }
    }
}

/// Columns in which only a record has anything.
fn tells_records(kind: &ColumnType) -> bool {
    use ColumnType as T;
    matches!(
        kind,
        T::Person | T::IdCard | T::Phone | T::Enum(_) | T::Multi(_) | T::Date | T::PDate | T::DateTime | T::Period
    )
}

/// 青石村党支部小计, 全镇合计, 合计:3人, 共3人, 总人数:3.
fn is_total_of(text: &str, totals: &[String]) -> bool {
    if text.chars().count() > 40 {
        return false;
    }
    let Some(label) = without_count(text) else { return false };
    let has_count = label.len() < text.len();
    // 其中 begins a sentence as well.
    let ends = totals.iter().filter(|word| *word != "其中").any(|word| label.ends_with(word.as_str()));
    let counts = ["共", "共有", "计", "合共", "总人数", "总数", "人数", "党员总数", "全镇共", "全村共"];
    ends && (has_count || label.len() == text.trim_end_matches(':').len()) || has_count && counts.contains(&label)
}

/// A label without the number behind it; nothing if what is behind it is no number.
fn without_count(text: &str) -> Option<&str> {
    let end = text.trim_end_matches(['党', '员', ')', '。', '.']);
    let end = end.trim_end_matches(COUNTED);
    let end = end.trim_end_matches('万');
    let label = end.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ','));
    let label = if label.len() < end.len() { label } else { text };
    let label = label.trim_end_matches([':', '(', '为', '有']);
    (!label.is_empty()).then_some(label)
}

/// 填报人:张三, 审核人, (盖章), 单位(盖章):.
fn is_signed(text: &str) -> bool {
    let text = text.trim_start_matches(['(', '*', '、']);
    if ["盖章", "公章", "签字", "签章"].iter().any(|word| text.starts_with(word)) {
        return text.chars().count() <= 12;
    }
    let behind = |label: &&str| text.strip_prefix(*label);
    let is_end = |rest: &str| rest.is_empty() || rest.starts_with([':', '(', '_']);
    let colon = |rest: &str| rest.starts_with([':', '_']) || rest.starts_with("(签") || rest.starts_with("(盖");
    SIGNED.iter().filter_map(behind).any(is_end) || SIGNED_WITH_COLON.iter().filter_map(behind).any(colon)
}

/// Whether a line above a header is the end of what stands above, and no title.
pub(crate) fn is_signature(line: &str) -> bool {
    let text = compact(line);
    let names_unit = ["填报单位", "填表单位", "报送单位", "单位:", "单位("].iter().any(|label| text.starts_with(label));
    is_signed(&text) && !names_unit || text.starts_with('第') && text.contains('页') || PHRASES.contains(&text.as_ref())
}

/// 1.身份证号码须…, 2、…, (3)…, 一、….
fn is_numbered(text: &str) -> bool {
    let inside = text.strip_prefix('(').unwrap_or(text);
    let rest = inside.trim_start_matches(|c: char| c.is_ascii_digit() || "一二三四五六七八九十".contains(c));
    let length = inside.len() - rest.len();
    let sign = rest.chars().next();
    let words = rest.chars().nth(1).is_some_and(|c| !c.is_ascii_digit());
    (1..=6).contains(&length) && sign.is_some_and(|c| matches!(c, '.' | '、' | ')' | ',')) && words
}

/// 2012年4月25日, and the same left blank.
fn is_written_date(text: &str) -> bool {
    text.ends_with('日') && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '年' | '月' | '日' | '_'))
}

fn is_sentence(text: &str) -> bool {
    text.contains(['。', ';']) || text.chars().count() > 25 && text.contains([',', ':'])
}

/// What can be a person's name.
fn is_name(text: &str) -> bool {
    let letters = |c: char| !c.is_ascii() && c.is_alphabetic() || matches!(c, '·' | '•');
    let name = text.split('(').next().unwrap_or(text).trim_start_matches('*');
    let count = name.chars().count();
    let latin = name.len() >= 2 && name.chars().all(|c| c.is_ascii_alphabetic() || c == '.');
    let chinese = name.chars().all(letters) && (2..=4).contains(&count);
    let dotted = name.contains(['·', '•']) && name.chars().all(letters) && count <= 20;
    (chinese || dotted || latin) && !PHRASES.contains(&text)
}

/// 甲 乙 1 2 3: the numbers of the columns below a header.
fn is_numbering(cells: &[(u16, Cell)], texts: &Texts) -> bool {
    let letter = |id| matches!(texts.get(id).trim(), "甲" | "乙" | "丙" | "丁" | "戊" | "栏次");
    let number = |(_, cell): &(u16, Cell)| match cell {
        Cell::Number { value, .. } => value.fract() == 0.0 && (0.0..=100.0).contains(value),
        Cell::Text(id) => {
            let text = compact(texts.get(*id));
            let inside = text.trim_matches(['(', ')']);
            letter(*id) || !inside.is_empty() && inside.len() <= 2 && inside.bytes().all(|b| b.is_ascii_digit())
        }
        _ => false,
    };
    let has_letter = cells.iter().any(|(_, cell)| matches!(cell, Cell::Text(id) if letter(*id)));
    if has_letter {
        return cells.iter().all(number);
    }
    // 1 2 3 4 without a letter: each one more than the one before, from the very first.
    let value = |cell: &Cell| match cell {
        Cell::Number { value, .. } => value.to_string().parse::<u16>().ok(),
        Cell::Text(id) => compact(texts.get(*id)).trim_matches(['(', ')']).parse().ok(),
        _ => None,
    };
    let counts = (0u16..).zip(cells).all(|(at, (_, cell))| value(cell).is_some_and(|v| v == at || v == at + 1));
    cells.len() >= 4 && counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_end_tables() {
        let totals: Vec<String> = Catalogue::builtin().words().totals.clone();
        for text in [
            "合计:3人",
            "合计3人",
            "共3人",
            "共计3人",
            "共计:12名",
            "青石村党支部小计",
            "全镇合计",
            "本页合计",
            "本页小计:25人",
            "累计(28人)",
            "总计:3",
            "总人数:3",
            "共3名党员",
            "小计(3人)",
            "合计:1,200.50元",
        ] {
            assert!(is_total_of(text, &totals), "{text}");
        }
        for text in
            ["合计村党支部", "青石村党支部", "共青团员", "共产党员", "3人", "张共", "会计", "设计2班", "其中3人", ""]
        {
            assert!(!is_total_of(text, &totals), "{text}");
        }
        for text in [
            "填报人:张三",
            "审核人",
            "单位负责人:",
            "填报日期:2012年4月25日",
            "联系电话:0551-2345678",
            "(盖章)",
            "书记(签字):",
            "填表人____",
            "单位(盖章):",
        ] {
            assert!(is_signed(text), "{text}");
        }
        for text in ["张三", "审核通过", "单位", "电话", "书记", "负责人", "日期", "青石村党支部"]
        {
            assert!(!is_signed(text), "{text}");
        }
        for (text, expected) in [
            ("张三", true),
            ("欧阳娜娜", true),
            ("阿依古丽·买买提", true),
            ("张三(已故)", true),
            ("LiLei", true),
            ("注意事项:", false),
            ("填报人:张三", false),
            ("共3人", false),
            ("以下空白", false),
            ("1、预备党员须在备注栏注明。", false),
        ] {
            assert_eq!(is_name(text), expected, "{text}");
        }
    }
}
