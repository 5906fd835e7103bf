//! The keys of the installation, and what they have signed.

use sync_protocol::Identity;

use super::{Finding, Mend, Round};
use crate::{returns::verify, store::examine::KeysSeen};

const PLACE: &str = "密钥 keys";

pub(super) async fn look(round: &mut Round<'_>) {
    match round.server.keyring.fault() {
        Some(fault) => round.findings.push(Finding::impossible("key", PLACE, fault.to_string())),
        None => seals(round).await,
    }
    documents(round).await;
}

/// What is stored of restricted documents can be opened.
async fn documents(round: &mut Round<'_>) {
    const PLACE: &str = "敏感信息的密钥 document-keys.bin";
    let examine = round.server.store.examine();
    let seen = examine.document_keys().await;
    let Some(KeysSeen { fault, keyless }) = round.read("document-key", PLACE, seen) else { return };
    if let Some(fault) = fault {
        round.findings.push(Finding::impossible("document-key", PLACE, fault.to_string()));
        return;
    }
    let (kept, lost): (Vec<_>, Vec<_>) = keyless.into_iter().partition(|(_, is_kept)| *is_kept);
    for (of, _) in lost {
        let what = "密钥不在文件中，读不出敏感信息 its key is not in the file, and nothing of it can be read";
        let advice = "请放回最新另存的 document-keys.bin（连同 successors 文件夹）；若没有，各设备或原工作簿中的内容须重新录入 | put the newest copy of document-keys.bin back, and the folder successors with it; without it, what devices or workbooks hold has to be entered anew";
        let place = format!("文档 document (unit {}, {} {})", of.unit, of.book, of.period);
        round.findings.push(Finding::new("document-key", place, what, advice, Mend::Impossible));
    }
    let finding = |(of, _): &(Identity, bool)| {
        let place = format!("文档 document (unit {}, {} {})", of.unit, of.book, of.period);
        let what = "数据库早于一次清除，其密钥已销毁；清除时留存的一份可以代替 | the database is older than an erasure, its key is destroyed: the document that was kept then can take its place";
        Finding::possible("document-key", place, what)
    };
    let findings = kept.iter().map(finding).collect();
    round.mend(findings, async { examine.take_successors().await.map(drop) }).await;
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
