//! All of a use case is done and noted, or nothing is; what an earlier version has left half done is completed.

use anyhow::{Context, Result, ensure};
use server::{
    audit,
    auth::{self, Role, SignInError},
    clock, devices, erasure,
    people::{self, Profile},
    proposals::{self, Decider},
    store::{Act, CodeTaken, Deed, NewProposal, Performed, Submission},
    submissions::{self, SubmissionError},
    units::{self, Right},
};
use sync_protocol::{
    Book, ChangeHash, Identity, UnitId, Value,
    bundle::Keys,
    catalogue::{Actor, Sensitivity},
    document::RowKey,
    unit::{Unit, UnitLevel},
};

use super::{ANOTHER, Desk, PASSWORD, token};

const SECRET: &[u8] = b"a secret of 20 bytes";

/// What each use case writes to, and its event. Each begins from what those before it have left.
const DEEDS: [(&str, &[&str], &str); 20] = [
    ("add", &["people", "audit"], "person-added"),
    ("change password", &["people", "audit"], "password-changed"),
    ("sign in", &["people", "sessions", "attempts", "audit"], "signed-in"),
    ("invite", &["invitations", "audit"], "device-invited"),
    ("enrol", &["invitations", "devices", "audit"], "device-enrolled"),
    ("change", &["people", "devices", "audit"], "person-changed"),
    ("rotate", &["devices", "audit"], "token-rotated"),
    ("confirm code", &["people", "audit"], "totp-confirmed"),
    ("lock out", &["attempts", "audit"], "locked-out"),
    ("reset", &["people", "sessions", "audit"], "password-reset"),
    ("revoke", &["devices", "audit"], "device-revoked"),
    ("disable", &["people", "devices", "audit"], "person-changed"),
    ("admit", &["quarantine", "changes", "documents", "rows", "audit"], "quarantine-admitted"),
    ("reject", &["quarantine", "audit"], "quarantine-rejected"),
    ("accept", &["proposals", "changes", "documents", "rows", "audit"], "proposal-accepted"),
    ("refuse", &["proposals", "audit"], "proposal-rejected"),
    ("submit", &["submissions", "changes", "documents", "rows", "audit"], "return-submitted"),
    ("step", &["submissions", "changes", "documents", "rows", "audit"], "return-stepped"),
    ("units", &["units", "audit"], "units-changed"),
    (
        "erase",
        &["snapshots", "changes", "documents", "rows", "erased_rows", "document_keys", "meta", "audit"],
        "erased",
    ),
];

/// What the use cases go on with.
struct Given {
    code: String,
    token: String,
    next: String,
    held: Vec<ChangeHash>,
    record: RowKey,
}

fn county() -> Decider {
    Decider { by: "test".into(), actor: Actor::County, clearance: Sensitivity::S2 }
}

/// What a township has proposed and the county decides.
async fn propose(desk: &Desk) -> Result<()> {
    let identity = Identity { unit: desk.unit("A1").await?.id, book: Book::Township, period: desk.server.period() };
    let rows = desk.server.store.rows("grading", &identity.period, &[identity.unit]).await?;
    let row = RowKey { ledger: "grading".into(), row: rows.first().context("a grade")?.row };
    let new = ["average", "backward"].map(|value| NewProposal {
        row: row.clone(),
        column: "final_grade".into(),
        before: Some(Value::text("advanced")),
        value: Value::text(value),
        who: "青山镇".into(),
        import: None,
    });
    Ok(desk.server.store.proposals().propose(&identity, &new, 0).await?)
}

async fn carry_out(desk: &Desk, deed: &str, given: &Given) -> Result<()> {
    let server = &desk.server;
    match deed {
        "add" => drop(people::add(server, "lina", &desk.profile(Role::FieldCadre).await?, "test").await?),
        "change password" => {
            let (person, _) = server.store.people().person_by_name("wang").await?.context("wang")?;
            auth::change_password(server, &person, PASSWORD, ANOTHER).await?;
        }
        "sign in" => drop(auth::sign_in(server, "wang", ANOTHER, None).await?),
        "invite" => drop(devices::invite(server, &desk.named("lina").await?, "手机", "test").await?),
        "enrol" => {
            let keys = Keys::of(b"phone").public();
            drop(devices::enrol(server, &given.code, keys, &given.token).await?);
        }
        "change" => {
            let profile = Profile { full_name: "李娜".into(), ..desk.profile(Role::OfficeClerk).await? };
            drop(people::change(server, desk.named("lina").await?, &profile, false, "test").await?);
        }
        "rotate" => devices::rotate(server, &desk.device("手机甲").await?, &given.next).await?,
        "confirm code" => {
            let code = CodeTaken { secret: SECRET.to_vec(), step: 1 };
            let note = audit::By::from("test").notes(audit::Event::TotpConfirmed, None, &serde_json::json!({}));
            let deed = Deed::new(Act::ConfirmTotp(desk.named("zhao").await?.id, code), note);
            ensure!(server.store.perform(&deed).await? == Performed::Done(None), "not confirmed");
        }
        // The four before it were counted already.
        "lock out" => match auth::sign_in(server, "qian", "a wrong guess", None).await {
            Err(SignInError::Wrong) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => anyhow::bail!("let in"),
        },
        "reset" => drop(people::reset(server, &desk.named("wang").await?, "test").await?),
        "revoke" => ensure!(devices::revoke(server, &desk.device("手机甲").await?, "test").await?, "revoked before"),
        "disable" => ensure!(people::disable(server, &desk.named("lina").await?, "test").await?, "disabled before"),
        "admit" => drop(server.sync.admit_quarantined(given.held[0], "test", 0).await?),
        "reject" => drop(server.sync.reject_quarantined(given.held[1], "test", 0).await?),
        "accept" => drop(Box::pin(proposals::accept(server, 1, &county(), true)).await?),
        "refuse" => drop(proposals::reject(server, 2, &county(), "不符合条件").await?),
        "submit" => drop(Box::pin(submissions::submit(server, &desk.wanted().await?, "test")).await?),
        "step" => {
            let submission = submissions::submission(server, 1).await?;
            submissions::step(server, &submission, ("approved", None), ("test", UnitLevel::County)).await?;
        }
        "units" => {
            let above = desk.unit("T1").await?.id;
            let branch = desk.unit("A1").await?;
            let id = UnitId::derive(&server.tenant, None, "A9");
            let new = Unit { id, parent: Some(above), code: Some("A9".into()), name: "新支部".into(), ..branch };
            units::keep(server, &[new], Right::All, &"test".into(), &serde_json::json!({ "file": "test" })).await?;
        }
        "erase" => {
            let order =
                erasure::Order { by: "test".into(), reason: "保存期满", extent: erasure::Extent::Restricted };
            Box::pin(erasure::erase(server, desk.unit("A1").await?.id, &given.record, order)).await?;
        }
        other => anyhow::bail!("{other}"),
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_or_noted_whole_is_not_done() -> Result<()> {
    let desk = Desk::open().await?;
    let server = &desk.server;
    desk.person("admin", Role::Administrator).await?;
    for name in ["wang", "zhao", "qian"] {
        let person = desk.person(name, Role::OfficeClerk).await?;
        tests::people::set_password(server, person.id, auth::hash(name, PASSWORD).await?, false).await?;
    }
    assert!(server.store.people().begin_totp(desk.named("zhao").await?.id, SECRET).await?);
    for _ in 0..4 {
        assert!(matches!(auth::sign_in(server, "qian", "a wrong guess", None).await, Err(SignInError::Wrong)));
    }
    let held = desk.held(2).await?;
    propose(&desk).await?;
    let mut given = Given { code: String::new(), token: token(), next: token(), held, record: desk.record().await? };
    for (deed, tables, event) in DEEDS {
        if deed == "enrol" {
            given.code = devices::invite(server, &desk.named("lina").await?, "手机甲", "test").await?.code;
        }
        for table in tables {
            let before = desk.hand.content().await?;
            desk.hand.shut(table, true).await?;
            let failed = carry_out(&desk, deed, &given).await;
            desk.hand.shut(table, false).await?;
            let error = failed.err().with_context(|| format!("{deed} was done although {table} was shut"))?;
            assert!(format!("{error:#}").contains("shut"), "{deed}, {table}: {error:#}");
            for (table_after, rows) in desk.hand.content().await? {
                // A return that was drawn keeps its code, whether or not it was submitted then.
                if table_after == "seals" {
                    continue;
                }
                assert_eq!(before[&table_after], rows, "{deed}, {table} was shut: {table_after} is not what it was");
            }
        }
        let events = desk.events().await?;
        carry_out(&desk, deed, &given).await.with_context(|| deed.to_owned())?;
        let new = desk.events().await?.split_off(events.len());
        assert_eq!(new.iter().filter(|new| *new == event).count(), 1, "{deed}: {new:?}");
    }
    assert_eq!(desk.registered().await?, ["approved"]);
    assert!(audit::verify(server.store.as_ref(), None).await?.broken.is_none());
    assert!(server::doctor::diagnose(server, &|_, _| {}).await?.wrong.is_empty());
    Ok(())
}

/// What an earlier version has left half done is completed by whoever tries again.
#[tokio::test(flavor = "multi_thread")]
async fn a_submission_without_its_row_in_the_register_is_completed() -> Result<()> {
    let desk = Desk::open().await?;
    let (server, wanted) = (&desk.server, desk.wanted().await?);
    let half = Submission {
        number: 0,
        unit: wanted.unit.id,
        return_no: wanted.return_no.clone(),
        period: "2012-11".into(),
        choices: wanted.choices.clone(),
        date: wanted.date,
        seq: 1,
        code: "1234".into(),
        file: "R03.xlsx".into(),
        submitted_by: "镇经办人".into(),
        submitted_at_ms: clock::now_ms(),
        state: "submitted".into(),
        reason: None,
        decided_by: None,
        decided_at_ms: None,
    };
    let act = Act::Submit { submission: Box::new(half), workbook: b"workbook".to_vec() };
    let deed = Deed { act, documents: Vec::new(), notes: Vec::new() };
    assert_eq!(server.store.perform(&deed).await?, Performed::Done(Some(1)));
    assert!(desk.registered().await?.is_empty() && !desk.events().await?.contains(&"return-submitted".to_owned()));
    let completed = Box::pin(submissions::submit(server, &wanted, "test")).await?;
    assert_eq!((completed.number, completed.submitted_by.as_str()), (1, "镇经办人"), "the copy that was frozen stands");
    assert_eq!(desk.registered().await?, ["submitted"]);
    assert!(server.store.people().is_noted("return-submitted", 1).await?);
    let again = Box::pin(submissions::submit(server, &wanted, "test")).await;
    assert!(matches!(again, Err(SubmissionError::Stands { number: 1, .. })), "{again:?}");

    // A step that only the copy knows of.
    desk.hand.approve().await?;
    let half = submissions::submission(server, 1).await?;
    let approve = || submissions::step(server, &half, ("approved", None), ("test", UnitLevel::County));
    assert_eq!(approve().await?.state, "approved");
    assert_eq!(desk.registered().await?, ["approved"]);
    assert!(approve().await.is_err(), "it is complete");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_was_interrupted_before_the_sweep_is_completed() -> Result<()> {
    let desk = Desk::open().await?;
    let server = &desk.server;
    let (unit, record) = (desk.unit("A1").await?.id, desk.record().await?);
    let erase = || {
        let order = erasure::Order { by: "test".into(), reason: "保存期满", extent: erasure::Extent::Restricted };
        Box::pin(erasure::erase(server, unit, &record, order))
    };
    assert_eq!(erase().await?.documents.len(), 1);
    assert!(!desk.hand.is_unswept().await?);
    assert!(matches!(erase().await, Err(erasure::ErasureError::Before)), "there is nothing left to do");
    desk.hand.unsweep().await?;
    assert!(erase().await?.places_read > 0, "completed");
    desk.hand.unsweep().await?;
    erasure::finish(server).await;
    assert!(!desk.hand.is_unswept().await?);
    assert_eq!(desk.events().await?.iter().filter(|event| *event == "erased").count(), 1, "it was erased once");
    Ok(())
}
