//! What of a file was not taken, by reason. Here alone it is decided what counts as left out, and with it whether a command
//! says that there is something to look at.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::finding::{Finding, Severity};

/// Why something was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// No ledger in the whole file.
    File,
    /// A sheet that no ledger fits.
    Sheets,
    /// A sheet of this program that cannot be relied on.
    OwnSheets,
    /// A column that is read by nobody.
    Columns,
    /// Rows of units that are not known, or that name none.
    Units,
    /// Rows that the sender may not write.
    Scope,
    /// Rows that stand twice.
    Duplicates,
    /// Rows that wait for a person.
    Waiting,
    /// Cells whose values cannot be read.
    Cells,
    /// Cells that are not edited in this workbook: masked, or of a unit.
    Locked,
    /// Cells in which what a person has written since stays.
    KeptEdits,
    /// Decisions that cannot be followed.
    Decisions,
    /// Rows of a merged ledger that did not come back: they are not removed.
    Absent,
    /// Anything else that is an error.
    Other,
}

impl Reason {
    /// Why what this finding is about was not taken; none, if it was.
    pub fn of(finding: &Finding) -> Option<Self> {
        Some(match finding.code {
            "no-ledger" => Self::File,
            "no-table" => Self::Sheets,
            "stamp-unknown" => Self::OwnSheets,
            "head-renamed" | "side-by-side" | "no-head" => Self::Columns,
            "no-unit" | "unknown-unit" => Self::Units,
            "out-of-scope" => Self::Scope,
            "duplicate-row" => Self::Duplicates,
            "doubtful-match" => Self::Waiting,
            "precision-lost" | "bad-date" | "bad-number" | "doubtful-percent" | "bad-bool" | "error-value" => {
                Self::Cells
            }
            "masked" | "unit-not-moved" | "unit-kept" | "not-in-clear" => Self::Locked,
            "kept-edit" => Self::KeptEdits,
            "bad-decision" => Self::Decisions,
            // As somebody else has decided; where it was decided alike, nothing is left out.
            "settled-already" if finding.severity > Severity::Info => Self::Decisions,
            "rows-absent" => Self::Absent,
            // It is wrong, and kept as it is.
            "bad-id-card" => return None,
            _ if finding.severity == Severity::Error => Self::Other,
            _ => return None,
        })
    }

    /// In words, Chinese and English.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::File => ("未识别的文件", "files without a ledger"),
            Self::Sheets => ("未识别的工作表", "sheets without a ledger"),
            Self::OwnSheets => ("无法核验的回执", "stamps that cannot be verified"),
            Self::Columns => ("未导入的列", "columns"),
            Self::Units => ("单位不明的行", "rows without a known unit"),
            Self::Scope => ("超出权限的行", "rows beyond one's rights"),
            Self::Duplicates => ("重复的行", "rows that stand twice"),
            Self::Waiting => ("待确认的行", "rows that wait"),
            Self::Cells => ("无法识别的单元格", "cells that cannot be read"),
            Self::Locked => ("不能在此修改的单元格", "cells not to be edited here"),
            Self::KeptEdits => ("系统中已有人修改的单元格", "cells that somebody has edited since"),
            Self::Decisions => ("未采用的处理意见", "decisions"),
            Self::Absent => ("不在表中、未删除的行", "rows absent, not removed"),
            Self::Other => ("其他", "others"),
        }
    }
}

/// How much was not taken for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The reason.
    pub reason: Reason,
    /// How many.
    pub count: usize,
    /// In words.
    pub message: &'static str,
    /// In English.
    pub message_en: &'static str,
}

/// What was not taken, by reason.
pub fn summary(findings: &[Finding]) -> Vec<LeftOut> {
    let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
    for finding in findings {
        if let Some(reason) = Reason::of(finding) {
            *counts.entry(reason).or_default() += finding.count;
        }
    }
    let line = |(reason, count): (Reason, usize)| {
        let (message, message_en) = reason.words();
        LeftOut { reason, count, message, message_en }
    };
    counts.into_iter().map(line).collect()
}

/// Whether everything was taken, and nothing of it is wrong: what a command's exit code says.
pub fn is_complete(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| Reason::of(finding).is_none() && finding.severity < Severity::Error)
}
