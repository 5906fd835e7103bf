//! The keys of the installation, and what they have signed.

use super::{Finding, Round};
use crate::{installation, returns::verify};

const PLACE: &str = "密钥 keys";

pub(super) async fn look(round: &mut Round<'_>) {
    let store = round.server.store.as_ref();
    for name in installation::KEYS {
        let place = format!("密钥 key {name}");
        let key = store.get_secret(name).await;
        let Some(key) = round.read("key", &place, key) else { continue };
        let what = match key.map(|key| key.len()) {
            None => "不见了 it is gone".to_owned(),
            Some(installation::KEY_BYTES) => continue,
            Some(bytes) => format!("长度 {bytes} 不对 it has {bytes} bytes, not {}", installation::KEY_BYTES),
        };
        round.findings.push(Finding::impossible("key", place, what));
    }
    let right = installation::are_keys_right(store).await;
    if round.read("key", PLACE, right) == Some(false) {
        let what = "与建库时不同：新记录会得到别的编号，旧的签章和数据包不再有效 | they are not those that the database began with: new records get other ids, seals and bundles of before are not valid any more";
        round.findings.push(Finding::impossible("key", PLACE, what));
    }
    seals(round).await;
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
