//! The feed: its numbers, what marks it, and whose actors are.

use super::{Finding, Round, Weight};

/// Lines that are read at once.
const PAGE: i64 = 10_000;
const PLACE: &str = "修改序列 feed";

pub(super) async fn look(round: &mut Round<'_>) {
    marks(round).await;
    actors(round).await;
}

/// Each mark follows from the one before it and the change: whoever holds one knows the whole feed up to it.
async fn marks(round: &mut Round<'_>) {
    let examine = round.server.store.examine();
    let unmarked = examine.may_begin_unmarked().await;
    let mut may_be_unmarked = round.read("feed", PLACE, unmarked).unwrap_or(false);
    // Asked first: a server may write meanwhile.
    let given = examine.newest_given().await;
    let given = round.read("feed", PLACE, given);
    let (mut seq, mut chain) = (0, 0);
    let (mut wrong, mut gaps) = (Vec::new(), Vec::new());
    loop {
        let page = examine.feed_lines(seq, PAGE).await;
        let Some(page) = round.read("feed", PLACE, page) else { break };
        if page.is_empty() {
            break;
        }
        for line in page {
            let before = std::mem::replace(&mut seq, line.seq);
            may_be_unmarked &= line.chain == 0;
            if may_be_unmarked {
                continue;
            }
            let Some(expected) = examine.chained(chain, &line.hash) else {
                let what = format!("修改 {seq} 号没有完整的校验值 change {seq} has no whole hash");
                round.findings.push(Finding::impossible("feed", PLACE, what));
                chain = line.chain;
                continue;
            };
            chain = expected;
            if line.chain != expected {
                wrong.push((seq, expected));
                if line.seq != before + 1 {
                    gaps.push((before + 1, seq - 1));
                }
            }
        }
    }
    if let Some(given) = given.filter(|given| *given > seq) {
        gaps.push((seq + 1, given));
    }
    for (first, last) in &gaps {
        let what = format!("修改 {first} 至 {last} 号不见了 changes {first} to {last} are gone");
        round.findings.push(Finding::impossible("feed", PLACE, what));
    }
    let (Some((first, _)), Some((last, _))) = (wrong.first(), wrong.last()) else { return };
    let what = format!(
        "修改 {first} 至 {last} 号中有 {} 处衔接标记不符：设备会从头同步 | {} mark(s) between changes {first} and {last} do not follow: devices would start anew",
        wrong.len(),
        wrong.len()
    );
    let mut finding = Finding::possible("feed", PLACE, what);
    if !gaps.is_empty() {
        // Devices that start anew bring back what is gone: marks that follow would keep them from it.
        finding = Finding::impossible("feed", PLACE, finding.what);
    }
    round.mend(vec![finding], examine.repair_marks(&wrong)).await;
}

/// An actor is bound to whoever first wrote with it. What a device brought back to a server that had been set back is nobody's
/// until its own device writes again; what the server itself wrote is always bound.
async fn actors(round: &mut Round<'_>) {
    const PLACE: &str = "写入者 actors";
    let examine = round.server.store.examine();
    let unbound = examine.unbound_actors().await;
    let unbound = round.read("actor", PLACE, unbound).unwrap_or_default();
    let own = unbound.iter().filter(|actor| !actor.by_device).count();
    let changes: i64 = unbound.iter().map(|actor| actor.changes).sum();
    if unbound.is_empty() {
        return;
    }
    let what = format!(
        "{} 个写入者（修改 {changes} 处）没有登记归属 | {} actor(s) with {changes} change(s) belong to nobody",
        unbound.len(),
        unbound.len()
    );
    if own > 0 {
        round.mend(vec![Finding::possible("actor", PLACE, what)], examine.bind_actors()).await;
    } else {
        let mut notice = Finding::possible("actor", PLACE, what);
        notice.advice = "服务器恢复旧备份后，由手机补回的修改会这样；手机再次写入时自动登记 | so are changes that devices brought back to a server that was set back: their next change binds them".into();
        (notice.weight, notice.mend) = (Weight::Notice, super::Mend::Impossible);
        round.findings.push(notice);
    }
}
