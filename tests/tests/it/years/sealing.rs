//! A sealed year: no way in, what waits, and returns that stay as they are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use server::{
    Server,
    audit::{self, By, Event},
    auth::Role,
    bundle, clock,
    import::{import_file, preview_file},
    periods::{self, PeriodError},
    proposals::{self, Decider},
    returns::{self, ReturnRequest, verify},
    store::{NewProposal, ProposalQuery, ProposalState, QuarantineState},
    submissions::{self, Wanted},
    undo::undo,
};
use sync_protocol::{
    Book, Identity, RowId,
    catalogue::{Actor, Sensitivity},
    client::Trust,
    document::{RefusalCode, RowKey},
};
use tests::{county, people, sheet, worked::synthetic};

use super::{open_2013, rows, unit_book};

const RETURNS: [&str; 7] = ["R01", "R03", "R04", "R16", "R24", "collection", "organisations"];

/// The bytes of returns of a year as the command line draws them, and their names.
async fn drawn(server: &Server, folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    for name in RETURNS {
        let top = returns::county(server).await?;
        let request = ReturnRequest::new(name, top, server.statistics_date(), folder.join("drawn"));
        let path = Box::pin(returns::draw(server, &request)).await?.path;
        all.push((path.file_name().context("a name")?.to_string_lossy().into_owned(), std::fs::read(&path)?));
    }
    Ok(all)
}

fn import_text(folder: &Path, text: &str) -> Result<PathBuf> {
    let path = folder.join(format!("{}.xlsx", u64::from_be_bytes(clock::random())));
    std::fs::write(&path, sheet::workbook(&[("定级", text)])?)?;
    Ok(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn returns_of_a_sealed_year_stay_byte_for_byte_whatever_happens_later() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    open_2013(&server).await?;
    let by = By::from("王主任");
    let line = periods::seal(&server, "2012", &by).await?;
    assert_eq!(line.sealed_by.as_deref(), Some("王主任"));
    let sealed = drawn(&server, folder.path()).await?;
    assert!(
        sealed.iter().all(|(name, _)| name.contains("2012")),
        "{:?}",
        sealed.iter().map(|s| &s.0).collect::<Vec<_>>()
    );

    // The new year goes on, units are renamed and moved, people do things that the audit log tells of.
    let new = server.at(2013);
    let text = "党组织编码|所属领域|定级轮次|初定等次|审定等次|审定日期\nA2|农村|首次|一般|一般|2013-04-20\nB3|农村|首次|一般|一般|2013-04-20";
    let done = import_file(&new, &import_text(folder.path(), text)?, "县", &|_, _| {}).await?;
    assert_eq!(done.counts.changed, 2, "{:?}", done.findings);
    let units = "单位代码|单位名称|简称|排序|单位类别|是否启用\nT1|中共青山镇委员会|青山镇|3|镇党委|是\nT2|中共白河镇委员会|白河镇|1|镇党委|是";
    let path = folder.path().join("units.xlsx");
    std::fs::write(&path, sheet::workbook(&[("名录", units)])?)?;
    import_file(&new, &path, "县", &|_, _| {}).await?;
    audit::note_console(&server, "taizhang", Event::AboutRead, None, json!({})).await?;
    anyhow::ensure!(server.store.units().await?.iter().any(|unit| unit.label() == "白河镇"), "renamed");

    let again = drawn(&server, folder.path()).await?;
    for ((name, before), (again, after)) in sealed.iter().zip(&again) {
        assert_eq!(name, again);
        assert!(before == after, "{name} is not what it was");
    }
    // One of them is what it says, and of its year, whichever year is asked.
    let verified = verify::verify(&new, sealed[1].1.clone()).await?;
    assert_eq!((verified.verdict, verified.is_stale, verified.redrawn), ("valid", false, "same"));
    let others = drawn(&new, folder.path()).await?;
    assert!(
        others.iter().all(|(name, _)| name.contains("2013")),
        "{:?}",
        others.iter().map(|o| &o.0).collect::<Vec<_>>()
    );
    assert!(others.iter().zip(&sealed).all(|(other, sealed)| other.1 != sealed.1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_gets_into_a_sealed_year_and_what_comes_late_waits() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let url = county::serve(&server).await?;
    let (unit, town) = (county::unit(&server, "A1").await?, county::unit(&server, "T1").await?);
    let text = "党组织编码|姓名|性别|出生日期|党员类别|入党时间\nA1|张三|男|1980-01-01|正式|2001-05";
    let late = folder.path().join("late.xlsx");
    std::fs::write(&late, sheet::workbook(&[("党员", text)])?)?;
    import_file(&server, &late, "县", &|_, _| {}).await?;
    let batch = server.store.batches().await?.first().context("an import")?.batch.id.clone();
    let ledger = {
        let (top, date) = (returns::county(&server).await?, jiff::civil::date(2012, 11, 10));
        let request = ReturnRequest::new("members", top, date, folder.path().join("merged"));
        returns::draw(&server, &request).await?.path
    };
    // Offline since before the seal.
    let phone = county::device(&server, folder.path(), &url, "phone", unit, &[Book::Unit]).await?;
    let carried = county::device(&server, folder.path(), &url, "carried", unit, &[Book::Unit]).await?;
    phone.exchange(0).await?;
    carried.exchange(0).await?;
    let identity = unit_book(unit, "2012");
    let row = RowId::random([1; 10]);
    phone.save(&identity, "members", row, &[("work_post", "会计".into())], 0).await?;
    carried.save(&identity, "members", RowId::random([2; 10]), &[("work_post", "出纳".into())], 0).await?;
    let proposal = NewProposal {
        row: RowKey { ledger: "grading".into(), row },
        column: "final_grade".into(),
        before: None,
        value: "advanced".into(),
        who: "李干事".into(),
        import: None,
    };
    let township = Identity { unit, book: Book::Township, period: "2012".into() };
    server.store.proposals().propose(&township, &[proposal], 0).await?;
    open_2013(&server).await?;
    periods::seal(&server, "2012", &By::from("王主任")).await?;
    let totals = server.store.totals().await?;

    let done = phone.exchange(0).await?;
    let refused: Vec<_> = done.refusals.iter().map(|refusal| (refusal.code, refusal.quarantined)).collect();
    assert_eq!((done.receipts.len(), refused), (0, vec![(RefusalCode::Sealed, true)]));
    assert!(done.refusals[0].sentence.contains("2012年度已封存"), "{}", done.refusals[0].sentence);
    let keys = server.keys.public();
    let answer = bundle::answer(&server, &carried.write_bundle(&keys, None, 0).await?).await;
    // A device without keys of its own makes no bundle: then it comes by the network.
    if answer.is_err() {
        carried.exchange(0).await?;
    }
    let sealed = |error: String| assert!(error.contains("2012年度已封存"), "{error}");
    let other = import_text(folder.path(), "党组织编码|所属领域|定级轮次|初定等次|审定等次\nA1|农村|中期|一般|一般")?;
    sealed(import_file(&server, &other, "县", &|_, _| {}).await.expect_err("an import").to_string());
    sealed(preview_file(&server, &other).await.expect_err("a preview").to_string());
    sealed(
        import_file(&server.at(2013), &ledger, "县", &|_, _| {})
            .await
            .expect_err("a merged ledger of 2012")
            .to_string(),
    );
    sealed(undo(&server, &batch, "县").await.expect_err("an undo").to_string());
    let query = ProposalQuery {
        top: server.county,
        books: Book::ALL.to_vec(),
        state: Some(ProposalState::Waiting),
        period: Some("2012".into()),
        after: 0,
        limit: 10,
    };
    let waiting = server.store.proposals().list(&query).await?;
    let decider = Decider { by: By::from("县"), actor: Actor::County, clearance: Sensitivity::S3 };
    sealed(proposals::accept(&server, waiting[0].number, &decider, true).await.expect_err("a proposal").to_string());
    let wanted = Wanted {
        unit: server.store.unit(town).await?.context("a town")?,
        return_no: "R03".into(),
        period: Some("2012-12".into()),
        choices: Vec::new(),
        date: jiff::civil::date(2012, 12, 31),
        due_on: None,
        explanation: Some("补报".into()),
    };
    sealed(submissions::submit(&server.at(2013), &wanted, "县").await.expect_err("a submission").to_string());
    let after = server.store.totals().await?;
    assert_eq!((after.changes, after.rows, after.documents), (totals.changes, totals.rows, totals.documents));

    // A supervisor has to have the seal taken off first, with a reason.
    let held = server.store.quarantined().await?;
    assert_eq!(
        held.iter().map(|h| (h.code, h.state)).collect::<Vec<_>>(),
        [(RefusalCode::Sealed, QuarantineState::Waiting); 2]
    );
    let hash = held.iter().find(|held| held.device == phone_id()).context("the phone's")?.hash;
    sealed(server.sync.admit_quarantined(hash, "县", 0).await.expect_err("sealed").to_string());
    let by = By::from("王主任");
    assert!(matches!(periods::unseal(&server, "2012", " ", &by).await, Err(PeriodError::NoReason)));
    periods::unseal(&server, "2012", "补录一名党员的岗位", &by).await?;
    server.sync.admit_quarantined(hash, "县", 0).await?;
    assert!(rows(&server, "members", "2012", unit).await?.contains_key(&row));
    periods::seal(&server, "2012", &by).await?;
    assert!(rows(&server, "members", "2013", unit).await?.contains_key(&row), "sealing has carried what came late");
    Ok(())
}

/// The id of the device of this name: see `county::device`.
fn phone_id() -> sync_protocol::DeviceId {
    let mut id = [0; 16];
    id.copy_from_slice(&server::store::token_hash("phone")[..16]);
    sync_protocol::DeviceId::from_bytes(id)
}

#[tokio::test(flavor = "multi_thread")]
async fn years_are_sealed_in_their_order() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let by = By::from("王主任");
    open_2013(&server).await?;
    let said = |result: Result<periods::PeriodLine, PeriodError>| result.err().map(|error| error.to_string());
    assert!(said(periods::seal(&server, "2013", &by).await).is_some_and(|said| said.contains("请先封存2012")));
    assert_eq!(said(periods::seal(&server, "2012", &by).await), None);
    assert!(said(periods::seal(&server, "2012", &by).await).is_some_and(|said| said.contains("已封存")));
    assert_eq!(said(periods::seal(&server, "2013", &by).await), None);
    assert!(
        said(periods::unseal(&server, "2012", "补录", &by).await).is_some_and(|said| said.contains("请先启封2013"))
    );
    assert_eq!(said(periods::unseal(&server, "2013", "补录", &by).await), None);
    assert!(said(periods::unseal(&server, "2013", "补录", &by).await).is_some_and(|said| said.contains("没有封存")));
    let lines = server.store.people().audit(0, 1000).await?;
    let told: Vec<_> = lines.iter().map(|l| l.entry.event.as_str()).filter(|e| e.starts_with("period-")).collect();
    let expected = [
        "period-opened",
        "period-carried",
        "period-opened",
        "period-carried",
        "period-sealed",
        "period-sealed",
        "period-unsealed",
    ];
    assert_eq!(told, expected, "sealing 2012 has carried to 2013 once more");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_administrator_opens_and_seals_years_and_everybody_sees_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let url = county::serve(&server).await?;
    let (client, password) = (Trust::new(None)?.client()?, "correct horse battery");
    let boss = people::add(&server, "boss", Role::Administrator, server.county, false, password).await?;
    let clerk = people::add(&server, "clerk", Role::OfficeClerk, server.county, true, password).await?;
    let (boss, clerk) = (people::cookie(&server, &boss).await?, people::cookie(&server, &clerk).await?);
    let post = async |who: &str, path: &str, body: serde_json::Value| -> Result<(u16, serde_json::Value)> {
        let response = client.post(format!("{url}{path}")).header("cookie", who).json(&body).send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    };
    let get = async |who: &str, path: &str| -> Result<(u16, serde_json::Value)> {
        let response = client.get(format!("{url}{path}")).header("cookie", who).send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    };
    let new = json!({ "period": "2013", "from": "2012" });
    assert_eq!(post(&clerk, "/api/periods", new.clone()).await?.0, 403);
    let (status, opened) = post(&boss, "/api/periods", new).await?;
    assert_eq!((status, &opened["ledgers"]["organisations"]["carried"]), (200, &json!(15)), "{opened}");
    assert_eq!(post(&boss, "/api/periods/2012/seal", json!({})).await?.0, 200);
    let (_, lines) = get(&clerk, "/api/periods").await?;
    let said: Vec<_> =
        lines.as_array().context("lines")?.iter().map(|l| (&l["period"], l["sealed_seq"].is_null())).collect();
    assert_eq!(said, [(&json!("2012"), false), (&json!("2013"), true)]);
    // Lists are of the year that is asked for; one that is not open is said so.
    let (_, old) = get(&clerk, "/api/indicators").await?;
    let (_, new) = get(&clerk, "/api/indicators?period=2013").await?;
    assert_ne!(old, new, "grades of 2013 begin empty");
    assert_eq!(get(&clerk, "/api/indicators?period=2019").await?.0, 400);
    let draw = json!({ "name": "R03", "period": "2013" });
    let response = client.post(format!("{url}/api/returns")).header("cookie", &clerk).json(&draw).send().await?;
    let name = response.headers()["content-disposition"].to_str()?.to_owned();
    assert!(name.contains("2013"), "{name}");
    assert_eq!(post(&boss, "/api/periods/2012/unseal", json!({ "reason": "" })).await?.0, 400);
    assert_eq!(post(&boss, "/api/periods/2012/unseal", json!({ "reason": "补录" })).await?.0, 200);
    Ok(())
}
