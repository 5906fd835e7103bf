//! Findings: what the importer noticed, where, and what to do about it.

mod words;

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
    /// Cells that somebody else has changed, too, since the ledger was drawn: both values stay.
    Disputed {
        /// How many.
        count: usize,
        /// Some of them: record and column.
        cells: Vec<String>,
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
    /// A formula whose result the file does not hold.
    NoResult,
    /// The cell that should name the row's unit is blank.
    BlankUnit {
        /// What the row above says.
        above: Option<String>,
    },
    /// The sender may not change the unit, or the tree would be none any more: the register stays as it is.
    UnitKept {
        /// Why, in Chinese.
        why: String,
        /// Why, in English.
        why_en: String,
    },
    /// The unit was named in nearly these words.
    UnitTaken {
        /// The unit.
        unit: String,
    },
    /// The unit stands above the table or on the sheet's tab.
    UnitFromTitle {
        /// The unit.
        unit: String,
    },
    /// Rows that were taken for totals, signatures, notes or examples.
    RowsLeftOut {
        /// Which rows, in words.
        rows: String,
        /// What they were taken for.
        what: &'static str,
    },
    /// A sheet with a ledger that is not taken unasked.
    SheetLeftOut {
        /// Why not.
        why: &'static str,
    },
    /// Labels beside values instead of rows under a header.
    NotATable {
        /// A form about one record, rather than a table that stands on its side.
        form: bool,
    },
    /// Text that is struck through.
    StruckThrough,
    /// A header that seems to be a column without which the table cannot be taken.
    KeyUnread {
        /// The column's title.
        column: String,
        /// How many rows the table has.
        rows: usize,
    },
    /// The table lacks a column without which it cannot be taken.
    KeyMissing {
        /// The column's title.
        column: String,
        /// How many rows the table has.
        rows: usize,
    },
    /// A second column of the name that tells people apart.
    KeyTwice {
        /// The column's title.
        column: String,
        /// How many rows the table has.
        rows: usize,
    },
    /// Somebody else decides on it: it is kept as a proposal, and not written.
    Proposed {
        /// Who does.
        by: String,
    },
    /// A note behind a name: the name is taken without it, and the note is kept beside the row.
    NameNote {
        /// The name.
        name: String,
        /// The note.
        note: String,
    },
    /// An identity number of 15 digits, which has no check character.
    Upgraded,
    /// A valid number whose last digits a spreadsheet may have made.
    RoundNumber,
    /// A row that is known by columns which are masked or damaged in the file.
    HiddenKey,
    /// A bad value that would have taken the place of a good one: the good one stays.
    KeptValid,
    /// A key that names a record of somebody else: it waits for a person.
    OtherPerson {
        /// The records with this key.
        others: Vec<String>,
        /// The columns in which they differ.
        differing: Vec<String>,
    },
    /// Cells of a row that cannot all be true: they are taken.
    Contradiction {
        /// What is wrong.
        text: String,
        /// The same in English.
        text_en: String,
    },
    /// A date that has not come yet, in a column that says what happened: it is taken.
    FutureDate {
        /// The year that is imported for.
        year: i16,
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
            // Two sentences about one thing.
            K::NoUnit | K::BlankUnit { .. } => "no-unit",
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
            K::Disputed { .. } => "disputed",
            K::StampOutdated => "stamp-outdated",
            K::SettledAlready => "settled-already",
            K::KeptEdit { .. } => "kept-edit",
            K::TotalDiffers { .. } => "total-differs",
            K::NoResult => "no-result",
            K::UnitKept { .. } => "unit-kept",
            K::UnitTaken { .. } => "unit-taken",
            K::UnitFromTitle { .. } => "unit-from-title",
            K::RowsLeftOut { .. } => "rows-left-out",
            K::SheetLeftOut { .. } => "sheet-left-out",
            K::NotATable { .. } => "not-a-table",
            K::StruckThrough => "struck-through",
            K::KeyUnread { .. } => "key-unread",
            K::KeyMissing { .. } => "key-missing",
            K::KeyTwice { .. } => "key-twice",
            K::Proposed { .. } => "proposed",
            K::NameNote { .. } => "name-note",
            K::Upgraded => "upgraded",
            K::RoundNumber => "round-number",
            K::HiddenKey => "hidden-key",
            K::KeptValid => "kept-valid",
            K::OtherPerson { .. } => "other-person",
            K::Contradiction { .. } => "contradiction",
            K::FutureDate { .. } => "future-date",
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
            | K::NoResult
            | K::BlankUnit { .. }
            | K::NotATable { .. }
            | K::KeyUnread { .. }
            | K::KeyMissing { .. }
            | K::KeyTwice { .. }
            | K::OtherPerson { .. }
            | K::HiddenKey
            | K::KeptValid
            | K::HeadRenamed { .. }
            | K::SideBySide { .. } => Severity::Error,
            K::RowsAbsent { .. }
            | K::SettledAlready
            | K::NoTable
            | K::Remembered
            | K::UnitFromTitle { .. }
            | K::UnknownValue => Severity::Info,
            _ => Severity::Warning,
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
                FindingKind::RowsAbsent { count } | FindingKind::Disputed { count, .. } => *count,
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
