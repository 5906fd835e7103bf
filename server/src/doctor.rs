//! `taizhang doctor`: is what is stored what was stored? Everything that can be computed from something else is computed anew and
//! compared; what differs is one finding, and never keeps the rest from being looked at.

mod documents;
mod feed;
mod keys;
mod register;

use serde::Serialize;

use crate::{
    Server, audit,
    import::Progress,
    store::{StoreError, Totals},
};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// For whoever wonders; nothing is wrong.
    Notice,
    /// Something is not as it was stored.
    Wrong,
}

/// Whether it can be put right from what else is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mend {
    /// It can, by `--repair`.
    Possible,
    /// It cannot.
    Impossible,
    /// It was.
    Done,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing it is, for programs.
    pub kind: &'static str,
    /// Where.
    pub place: String,
    /// What it is: Chinese, then English.
    pub what: String,
    /// What to do about it.
    pub advice: String,
    /// How bad it is.
    pub weight: Weight,
    /// Whether it can be put right.
    pub mend: Mend,
}

/// What to do about what can be put right.
const REPAIR: &str = "可用 doctor --repair 修复 | `doctor --repair` puts it right";
/// What to do about what cannot.
const RESTORE: &str = "无法由其他内容推算，请从备份恢复 | it does not follow from anything else: restore a backup";

impl Finding {
    /// Something that follows from what else is stored.
    fn possible(kind: &'static str, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(kind, place, what, REPAIR, Mend::Possible)
    }

    /// Something that does not.
    fn impossible(kind: &'static str, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::new(kind, place, what, RESTORE, Mend::Impossible)
    }

    fn new(kind: &'static str, place: impl Into<String>, what: impl Into<String>, advice: &str, mend: Mend) -> Self {
        let (place, what, advice) = (place.into(), what.into(), advice.to_owned());
        Self { kind, place, what, advice, weight: Weight::Wrong, mend }
    }

    fn sentence(&self) -> String {
        format!("{}: {}（{}）", self.place, self.what, self.advice)
    }
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnosis {
    /// Sizes, if they can be counted.
    pub totals: Totals,
    /// Documents that were read and compared.
    pub documents_checked: usize,
    /// What is wrong, one sentence each; empty when all is well.
    pub wrong: Vec<String>,
    /// The same and what is only to be noticed, for programs.
    pub findings: Vec<Finding>,
    /// What was put right.
    pub repaired: Vec<Finding>,
}

impl Diagnosis {
    /// Adds something that was found elsewhere.
    pub fn add(&mut self, finding: Finding) {
        if finding.weight == Weight::Wrong {
            self.wrong.push(finding.sentence());
        }
        self.findings.push(finding);
    }
}

/// Looks over everything that is stored.
pub async fn diagnose(server: &Server, progress: Progress<'_>) -> Result<Diagnosis, StoreError> {
    let mut round = Round { server, repairs: false, findings: Vec::new() };
    let documents_checked = round.everything(progress).await;
    Ok(diagnosis(server, documents_checked, round.findings, Vec::new()).await)
}

/// Puts right what can be, and looks over everything again.
pub async fn repair(server: &Server, progress: Progress<'_>) -> Result<Diagnosis, StoreError> {
    let mut round = Round { server, repairs: true, findings: Vec::new() };
    round.everything(&|_, _| {}).await;
    let repaired = round.findings.into_iter().filter(|finding| finding.mend == Mend::Done).collect();
    let mut round = Round { server, repairs: false, findings: Vec::new() };
    let documents_checked = round.everything(progress).await;
    Ok(diagnosis(server, documents_checked, round.findings, repaired).await)
}

async fn diagnosis(
    server: &Server,
    documents_checked: usize,
    findings: Vec<Finding>,
    repaired: Vec<Finding>,
) -> Diagnosis {
    let wrong = findings.iter().filter(|finding| finding.weight == Weight::Wrong).map(Finding::sentence).collect();
    // What keeps them from being counted is among the findings.
    let totals = server.store.totals().await.unwrap_or_default();
    Diagnosis { totals, documents_checked, wrong, findings, repaired }
}

/// One look over everything.
struct Round<'a> {
    server: &'a Server,
    /// Whether what can be put right is.
    repairs: bool,
    findings: Vec<Finding>,
}

impl Round<'_> {
    async fn everything(&mut self, progress: Progress<'_>) -> usize {
        let integrity = self.server.store.examine().integrity().await;
        for line in self.read("database", "数据库 database", integrity).unwrap_or_default() {
            self.findings.push(Finding::impossible("database", "数据库 database", line));
        }
        keys::look(self).await;
        let seen = documents::look(self, progress).await;
        register::look(self, &seen.records).await;
        feed::look(self).await;
        self.tallies().await;
        self.attachments().await;
        self.audit().await;
        seen.documents
    }

    /// What was read, or nothing and a finding.
    fn read<T>(&mut self, kind: &'static str, place: &str, read: Result<T, StoreError>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(error) => {
                self.findings.push(Finding::impossible(
                    kind,
                    place,
                    format!("无法读取 cannot be read: {}", words(&error)),
                ));
                None
            }
        }
    }

    /// Adds findings that one repair puts right, and repairs them, if that is wanted.
    async fn mend(&mut self, mut findings: Vec<Finding>, repair: impl Future<Output = Result<(), StoreError>>) {
        if self.repairs && findings.iter().any(|finding| finding.mend == Mend::Possible) {
            let repaired = repair.await;
            for finding in findings.iter_mut().filter(|finding| finding.mend == Mend::Possible) {
                match &repaired {
                    Ok(()) => finding.mend = Mend::Done,
                    Err(error) => finding.advice = format!("修复失败 not repaired: {}", words(error)),
                }
            }
        }
        self.findings.extend(findings);
    }

    async fn tallies(&mut self) {
        const PLACE: &str = "统计数 tallies";
        let examine = self.server.store.examine();
        let wrong = examine.wrong_tallies().await;
        let wrong = self.read("tally", PLACE, wrong).unwrap_or_default();
        let Some((unit, period, _)) = wrong.first() else { return };
        let count: usize = wrong.iter().map(|(_, _, count)| count).sum();
        let what = format!(
            "{} 个单位共 {count} 项与记录不符（如 {unit} {period}），报表数字会错 | {count} of {} unit(s) are not what the records give: returns would be wrong",
            wrong.len(),
            wrong.len()
        );
        self.mend(vec![Finding::possible("tally", PLACE, what)], examine.recount()).await;
    }

    async fn attachments(&mut self) {
        const PLACE: &str = "照片 photos";
        let wrong = self.server.store.examine().wrong_attachments().await;
        for (unit, hash) in self.read("attachment", PLACE, wrong).unwrap_or_default() {
            let hash = data_encoding::HEXLOWER.encode(&hash);
            let place = format!("{PLACE} {hash} (unit {})", id(&unit));
            self.findings.push(Finding::impossible(
                "attachment",
                place,
                "内容与编号不符 its bytes are not what it is named by",
            ));
        }
    }

    async fn audit(&mut self) {
        const PLACE: &str = "审计日志 audit log";
        let verified = audit::verify(self.server.store.as_ref(), None).await;
        let Some(verified) = self.read("audit", PLACE, verified) else { return };
        if let Some(line) = verified.broken {
            let what = format!("第 {line} 行起与写入时不符 from line {line} on it is not what was written");
            self.findings.push(Finding::impossible("audit", PLACE, what));
        }
    }
}

/// An error without the advice to run this very command.
fn words(error: &StoreError) -> String {
    match error {
        StoreError::Damaged(what) => what.clone(),
        error => error.to_string(),
    }
}

/// An id as people write it.
fn id(bytes: &[u8]) -> String {
    match <[u8; 16]>::try_from(bytes) {
        Ok(bytes) => sync_protocol::UnitId::from_bytes(bytes).to_string(),
        Err(_) => data_encoding::HEXLOWER.encode(bytes),
    }
}
