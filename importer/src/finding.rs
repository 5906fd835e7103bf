//! Findings: what the importer noticed, where, and what to do about it.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For information.
    Info,
    /// Taken, but worth a look.
    Warning,
    /// Not taken.
    Error,
}

/// What was noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FindingKind {
    /// No ledger fits the sheet.
    NoTable,
    /// A workbook without any ledger.
    NoLedger,
    /// A header that no column claims: its values are kept beside the row.
    UnknownHeader,
    /// A column was decided by its values.
    DecidedByValues {
        /// The column's title.
        column: String,
    },
    /// The row names a unit that the register does not have.
    UnknownUnit {
        /// Names that come close.
        suggestions: Vec<String>,
    },
    /// The row names no unit at all.
    NoUnit,
    /// The row is of a unit or a book that the sender may not write to.
    OutOfScope,
    /// A number with more digits than a spreadsheet keeps.
    PrecisionLost,
    /// An identity number that is not one.
    BadIdCard {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A unified social credit code that is not one: kept.
    BadUscc {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A division code that is not one: kept.
    BadDivision {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not a date.
    BadDate,
    /// A date that had to be completed or that may mean two things.
    DoubtfulDate {
        /// What it was taken for.
        taken: String,
    },
    /// Not a number.
    BadNumber,
    /// 0.85 may be 85 % or 0.85 %.
    DoubtfulPercent,
    /// Neither yes nor no.
    BadBool,
    /// Not in the code list: kept as text.
    UnknownCode {
        /// What is allowed.
        allowed: String,
    },
    /// Not a telephone number: kept as text.
    BadPhone,
    /// Two numbers in one cell: the first is used, the others are kept beside the row.
    SeveralPhones,
    /// `#REF!` and its like.
    ErrorValue,
    /// A masked value is never read back.
    Masked,
    /// Somebody knows that there is a value, but not which.
    UnknownValue,
    /// The row has no value in any column of its natural key.
    NoKey,
    /// The natural key stands twice in the file: only the first row was taken.
    DuplicateRow {
        /// The sheet and row of the first.
        first: String,
    },
    /// A row that may be the same record as another under a different key: it waits for a person.
    DoubtfulMatch {
        /// The records that it may be.
        others: Vec<String>,
    },
    /// The columns were read as a person has confirmed them before.
    Remembered,
    /// A sheet of decisions names something that there is not.
    BadDecision {
        /// What is expected there.
        expected: String,
    },
    /// A unit is not changed in a merged ledger.
    UnitNotMoved,
    /// The column was not printed in clear: what stands there now is not taken.
    NotInClear,
    /// Rows of a merged ledger that did not come back.
    RowsAbsent {
        /// How many.
        count: usize,
    },
    /// The state that a merged ledger was drawn from is not known here any more.
    StampOutdated,
    /// A conflict that was settled meanwhile.
    SettledAlready,
    /// The cell was edited by a person since: that edit stays.
    KeptEdit {
        /// Who.
        who: String,
        /// What it says now.
        value: String,
    },
    /// The sheet's total and the sum of its rows differ.
    TotalDiffers {
        /// Sum of the rows.
        sum: String,
    },
    /// A column of a merged ledger came back under another head: it is not taken.
    HeadRenamed {
        /// The head that was drawn.
        drawn: String,
        /// The head that stands there.
        found: String,
    },
    /// A second table beside the first: it is not taken.
    SideBySide {
        /// Rows that hold something of it.
        rows: usize,
    },
    /// A column with contents and without a head: it is not taken.
    NoHead {
        /// Cells that hold something.
        cells: usize,
    },
    /// A merged ledger whose hidden sheet cannot be verified, or is of another period.
    StampUnknown,
}

impl FindingKind {
    /// Stable code for programs.
    pub fn code(&self) -> &'static str {
        use FindingKind as K;
        match self {
            K::NoTable => "no-table",
            K::NoLedger => "no-ledger",
            K::UnknownHeader => "unknown-header",
            K::DecidedByValues { .. } => "decided-by-values",
            K::UnknownUnit { .. } => "unknown-unit",
            K::NoUnit => "no-unit",
            K::OutOfScope => "out-of-scope",
            K::PrecisionLost => "precision-lost",
            K::BadIdCard { .. } => "bad-id-card",
            K::BadUscc { .. } => "bad-uscc",
            K::BadDivision { .. } => "bad-division",
            K::BadDate => "bad-date",
            K::DoubtfulDate { .. } => "doubtful-date",
            K::BadNumber => "bad-number",
            K::DoubtfulPercent => "doubtful-percent",
            K::BadBool => "bad-bool",
            K::UnknownCode { .. } => "unknown-code",
            K::BadPhone => "bad-phone",
            K::SeveralPhones => "several-phones",
            K::ErrorValue => "error-value",
            K::Masked => "masked",
            K::UnknownValue => "unknown-value",
            K::NoKey => "no-key",
            K::DuplicateRow { .. } => "duplicate-row",
            K::DoubtfulMatch { .. } => "doubtful-match",
            K::Remembered => "remembered",
            K::BadDecision { .. } => "bad-decision",
            K::UnitNotMoved => "unit-not-moved",
            K::NotInClear => "not-in-clear",
            K::RowsAbsent { .. } => "rows-absent",
            K::StampOutdated => "stamp-outdated",
            K::SettledAlready => "settled-already",
            K::KeptEdit { .. } => "kept-edit",
            K::TotalDiffers { .. } => "total-differs",
            K::HeadRenamed { .. } => "head-renamed",
            K::SideBySide { .. } => "side-by-side",
            K::NoHead { .. } => "no-head",
            K::StampUnknown => "stamp-unknown",
        }
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        use FindingKind as K;
        match self {
            K::UnknownUnit { .. }
            | K::NoUnit
            | K::OutOfScope
            | K::NoLedger
            | K::PrecisionLost
            | K::BadIdCard { .. }
            | K::BadDate
            | K::BadNumber
            | K::DoubtfulPercent
            | K::BadBool
            | K::ErrorValue
            | K::DuplicateRow { .. }
            | K::DoubtfulMatch { .. }
            | K::BadDecision { .. }
            | K::HeadRenamed { .. }
            | K::SideBySide { .. } => Severity::Error,
            K::RowsAbsent { .. }
            | K::SettledAlready
            | K::NoTable
            | K::Remembered
            | K::UnknownHeader
            | K::UnknownValue => Severity::Info,
            _ => Severity::Warning,
        }
    }

    /// The sentence for people.
    pub fn chinese(&self) -> String {
        use FindingKind as K;
        match self {
            K::NoTable => "本表未识别出台账，未导入。如应导入，请核对表头".into(),
            K::NoLedger => "文件中没有识别出任何台账，未导入。请核对是否选对了文件，表头是否与台账一致".into(),
            K::UnknownHeader => "表头未对应到任何列，内容作为附加信息随行保留".into(),
            K::DecidedByValues { column } => format!("按内容判断，本列作为“{column}”导入"),
            K::UnknownUnit { suggestions } if suggestions.is_empty() => {
                "名录中没有这个党组织或填报单位，本行未导入。请先导入党组织台账或改正名称".into()
            }
            K::UnknownUnit { suggestions } => {
                format!("名录中没有这个名称，本行未导入。是否为：{}?", suggestions.join("、"))
            }
            K::NoUnit => "本行没有写明党组织或填报单位，未导入。请补填".into(),
            K::OutOfScope => "不在本单位权限内（其他单位的记录，或无权填写的台账），本行未导入".into(),
            K::PrecisionLost => "号码存成了数字，末几位已丢失，未导入。请改为文本格式重新填写".into(),
            K::BadIdCard { reason } => format!("身份证号有误（{reason}），已按原样保留。请核对"),
            K::BadUscc { reason } => format!("统一社会信用代码有误（{reason}），已按原样保留。请核对"),
            K::BadDivision { reason } => format!("区划代码有误（{reason}），已按原样保留。请核对"),
            K::BadDate => "不是有效日期，未导入。请按 2012.3.1 或 2012.3 填写".into(),
            K::DoubtfulDate { taken } => format!("日期不完整或有歧义，按 {taken} 导入。请核对"),
            K::BadNumber => "不是数字，未导入".into(),
            K::DoubtfulPercent => "不能确定是比例还是百分数，未导入。请写成 85% 的形式".into(),
            K::BadBool => "应填“是”或“否”，未导入".into(),
            K::UnknownCode { allowed } => format!("不在可选项内，已按原文保留。可选：{allowed}"),
            K::BadPhone => "电话号码格式不符，已按原样保留。请核对".into(),
            K::SeveralPhones => "一格内有多个号码，取第一个，其余作为附加信息随行保留".into(),
            K::ErrorValue => "公式错误值，未导入。请修正公式".into(),
            K::Masked => "内容已脱敏（含 *），未导入".into(),
            K::UnknownValue => "填为“不详”，作为空值处理".into(),
            K::NoKey => "缺少用于识别记录的列，每次导入都会新增一行。请补填".into(),
            K::DuplicateRow { first } => format!("与 {first} 是同一记录，本行未导入。请合并后再导入"),
            K::DoubtfulMatch { others } => format!(
                "可能是已有的记录（{}），未写入，等待确认：在“疑似重复”表中选择后再导入，或用 doubts、decide 命令处理",
                others.join("；")
            ),
            K::Remembered => "按以前确认的列对应导入".into(),
            K::BadDecision { expected } => format!("无法按此处理，未采用。请改为：{expected}"),
            K::UnitNotMoved => "在合并台账中不能改变记录所属的单位，此格修改未采用".into(),
            K::NotInClear => "本列打印时已脱敏，此格修改未采用。请在未脱敏的台账中修改".into(),
            K::RowsAbsent { count } => {
                format!("{count} 行不在表中，未删除；删除请在“删除”列填“是”")
            }
            K::StampOutdated => "本表所依据的内容已不在系统中，按普通台账导入".into(),
            K::SettledAlready => "该冲突已经处理，未再改动".into(),
            K::KeptEdit { who, value } => format!("{who} 已在系统中改为“{value}”，保留系统中的值"),
            K::TotalDiffers { sum } => format!("合计数与各行之和（{sum}）不一致。请核对"),
            K::HeadRenamed { drawn, found } if found.is_empty() => {
                format!("本列原表头为“{drawn}”，现表头为空，整列未导入。请恢复表头后再导入")
            }
            K::HeadRenamed { drawn, found } => {
                format!("本列原表头为“{drawn}”，现为“{found}”，整列未导入。请恢复表头；如是新列，请另插入一列填写")
            }
            K::SideBySide { rows } => {
                format!("本列起为并排的另一张表（{rows} 行有内容），未导入。请把它移到下方或另一工作表")
            }
            K::NoHead { cells } => format!("本列没有表头，{cells} 格内容未导入。请补写表头"),
            K::StampUnknown => "台账通回执无法核验（不是本系统生成、已改动或属于其他年度），按普通台账导入".into(),
        }
    }

    /// The sentence in English.
    pub fn english(&self) -> String {
        use FindingKind as K;
        match self {
            K::NoTable => "no ledger was recognised on this sheet; nothing imported: check its header".into(),
            K::NoLedger => {
                "no ledger was recognised in the file; nothing imported: is it the right file, with a ledger's header?"
                    .into()
            }
            K::UnknownHeader => "no column has this header; its values are kept beside each row".into(),
            K::DecidedByValues { column } => format!("imported as `{column}`, judging by its values"),
            K::UnknownUnit { suggestions } => format!(
                "no such organisation or reporting unit; row not imported: import the organisations first or correct the name{}",
                if suggestions.is_empty() { String::new() } else { format!(" (perhaps {})", suggestions.join(", ")) }
            ),
            K::NoUnit => "the row names no organisation or reporting unit; not imported: fill it in".into(),
            K::OutOfScope => "the row is of a unit or book that this sender may not write to; not imported".into(),
            K::PrecisionLost => {
                "the number was stored as a number and lost its last digits; not imported: type it as text".into()
            }
            K::BadIdCard { reason } => format!("not a valid identity number ({reason}); kept as it is: check it"),
            K::BadUscc { reason } => format!("not a valid social credit code ({reason}); kept as it is: check it"),
            K::BadDivision { reason } => format!("not a valid division code ({reason}); kept as it is: check it"),
            K::BadDate => "not a date; not imported: write 2012.3.1 or 2012.3".into(),
            K::DoubtfulDate { taken } => format!("incomplete or ambiguous date, taken for {taken}: check it"),
            K::BadNumber => "not a number; not imported".into(),
            K::DoubtfulPercent => "may be a share or a percentage; not imported: write 85%".into(),
            K::BadBool => "neither yes nor no; not imported".into(),
            K::UnknownCode { allowed } => format!("not in the list; kept as text. Allowed: {allowed}"),
            K::BadPhone => "not a telephone number; kept as it is: check it".into(),
            K::SeveralPhones => {
                "several numbers in one cell; the first is used, the others are kept beside the row".into()
            }
            K::ErrorValue => "a formula error; not imported: correct the formula".into(),
            K::Masked => "masked value; not imported".into(),
            K::UnknownValue => "marked as unknown; taken as empty".into(),
            K::NoKey => "no column that identifies the record is filled; every import adds a row: fill one in".into(),
            K::DuplicateRow { first } => format!("the same record as {first}; row not imported: join the two"),
            K::DoubtfulMatch { others } => format!(
                "may be a record that exists ({}); it waits: choose on the sheet 疑似重复 and import that, or use `doubts` and `decide`",
                others.join("; ")
            ),
            K::Remembered => "columns read as confirmed before".into(),
            K::BadDecision { expected } => format!("cannot be followed, nothing decided: write {expected}"),
            K::UnitNotMoved => "a merged ledger does not move records between units; this edit was not taken".into(),
            K::NotInClear => "the column was masked when it was printed; this edit was not taken".into(),
            K::RowsAbsent { count } => {
                format!(
                    "{count} row(s) did not come back; nothing was removed: write 是 in the column 删除 to remove a row"
                )
            }
            K::StampOutdated => {
                "the state it was drawn from is not known any more; imported as an ordinary ledger".into()
            }
            K::SettledAlready => "the conflict was settled already; nothing was changed".into(),
            K::KeptEdit { who, value } => format!("{who} has changed this to `{value}` since; that value stays"),
            K::TotalDiffers { sum } => format!("the total differs from the sum of the rows ({sum}): check it"),
            K::HeadRenamed { drawn, found } => format!(
                "this column was drawn under the head `{drawn}` and came back under `{found}`; it was not imported: restore the head, or put a new column beside it"
            ),
            K::SideBySide { rows } => format!(
                "another table begins here, beside the first ({rows} row(s) of it); not imported: move it below, or onto a sheet of its own"
            ),
            K::NoHead { cells } => format!("a column without a head; {cells} cell(s) not imported: write its head"),
            K::StampUnknown => {
                "the stamp cannot be verified, or is of another period; imported as an ordinary ledger".into()
            }
        }
    }
}

/// One finding with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable code.
    pub code: &'static str,
    /// The sheet.
    pub sheet: String,
    /// The cell, for example `F17`; empty when it is about the sheet.
    pub cell: String,
    /// The header of the column.
    pub column: String,
    /// What was read; masked in restricted columns.
    pub read: String,
    /// What happened and what to do, in Chinese.
    pub message: String,
    /// The same in English.
    pub message_en: String,
    /// How many rows, columns or cells it is about.
    #[serde(skip)]
    pub count: usize,
}

impl Finding {
    /// A finding at a place.
    pub fn new(kind: &FindingKind, sheet: &str, cell: String, column: &str, read: String) -> Self {
        Self {
            severity: kind.severity(),
            code: kind.code(),
            sheet: sheet.to_owned(),
            cell,
            column: column.to_owned(),
            read,
            message: kind.chinese(),
            message_en: kind.english(),
            count: match kind {
                FindingKind::RowsAbsent { count } => *count,
                _ => 1,
            },
        }
    }
}

/// In one line for people: where, what was read, what to do.
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sheet, cell, column, read, message, .. } = self;
        match (sheet.is_empty(), cell.is_empty()) {
            (true, _) => f.write_str(message),
            (false, true) => write!(f, "{sheet}：{message}"),
            (false, false) if read.is_empty() && column.is_empty() => write!(f, "{sheet}!{cell}：{message}"),
            (false, false) if read.is_empty() => write!(f, "{sheet}!{cell} {column}：{message}"),
            (false, false) => write!(f, "{sheet}!{cell} {column}「{read}」{message}"),
        }
    }
}
