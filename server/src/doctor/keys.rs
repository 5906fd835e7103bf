//! The keys of the installation, and what they have signed.

use super::{Finding, Round};
use crate::returns::verify;

const PLACE: &str = "密钥 keys";

pub(super) async fn look(round: &mut Round<'_>) {
    match round.server.keyring.fault() {
        Some(fault) => round.findings.push(Finding::impossible("key", PLACE, fault.to_string())),
        None => seals(round).await,
    }
}

/// The newest return that was submitted bears a seal of this installation.
async fn seals(round: &mut Round<'_>) {
    let store = round.server.store.as_ref();
    let submissions = store.submissions().await;
    let Some(newest) = round.read("submission", "报送件 submitted returns", submissions).and_then(|mut all| all.pop())
    else {
        return;
    };
    let place = format!("报送件 submitted return {} {}", newest.number, newest.file);
    let workbook = store.submitted_workbook(newest.number).await;
    let Some(workbook) = round.read("submission", &place, workbook) else { return };
    let verdict = match workbook {
        Some(workbook) => verify::verify(round.server, workbook).await.map(|verified| verified.verdict),
        None => Ok("gone"),
    };
    let what = match verdict {
        Ok("valid" | "outdated") => return,
        Ok("gone") => "工作簿不见了 its workbook is gone".to_owned(),
        Ok(_) => "签章与本机密钥或内容不符 its seal is not of these keys, or not of what it says".to_owned(),
        Err(error) => format!("无法读取 cannot be read: {error}"),
    };
    round.findings.push(Finding::impossible("submission", place, what));
}
