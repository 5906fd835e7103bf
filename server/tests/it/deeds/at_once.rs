//! What is done at once never undoes anything else, and whoever comes second is told.

use std::sync::Arc;

use anyhow::{Context, Result};
use server::{
    Server,
    audit::{By, Event},
    auth::{Role, SESSION_MS},
    clock, devices,
    people::{self, PeopleError, Profile},
    store::{Act, Deed, DeviceRecord, Hidden, Invitation, Performed, QuarantineState, token_hash},
    submissions::{self, SubmissionError},
};
use sync_protocol::{Book, DeviceId, bundle::Keys, unit::UnitLevel};

use super::{Desk, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_lost_phone_stays_revoked_while_it_asks_for_new_tokens() -> Result<()> {
    let desk = Desk::open().await?;
    let server = Arc::new(desk.server.clone());
    let unit = desk.unit("A1").await?.id;
    for round in 0..30u8 {
        let (id, first) = (DeviceId::from_bytes([round; 16]), token());
        let name = format!("phone {round}");
        let device = DeviceRecord::new(id, (&name, "张三"), &first, unit, &[Book::Unit]);
        server.store.put_device(&device, 0).await?;
        let phone = |server: Arc<Server>| async move {
            // Until it is told that it may not any more.
            while let Some(device) = server.store.device(id).await? {
                match devices::rotate(&server, &device, &token()).await {
                    Err(devices::EnrolError::Revoked) => break,
                    Ok(()) | Err(devices::EnrolError::Rotated) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            anyhow::Ok(())
        };
        let phones: Vec<_> = (0..6).map(|_| tokio::spawn(phone(server.clone()))).collect();
        let rotated = || async { Ok::<_, anyhow::Error>(server.store.device(id).await?.context("it")?.token_hash) };
        while rotated().await? == token_hash(&first) {
            tokio::task::yield_now().await;
        }
        assert!(devices::revoke(&server, &device, "test").await?);
        for phone in phones {
            phone.await??;
        }
        assert!(server.store.device(id).await?.context("it")?.is_revoked, "round {round}");
        assert!(!devices::revoke(&server, &device, "test").await?, "once");
    }
    // Nor does whoever puts what they have read before.
    let device = DeviceRecord { is_revoked: false, ..desk.device("phone 0").await? };
    server.store.put_device(&device, 0).await?;
    assert!(desk.device("phone 0").await?.is_revoked);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_is_disabled_stays_so_whatever_else_is_under_way() -> Result<()> {
    let desk = Desk::open().await?;
    let server = Arc::new(desk.server.clone());
    for round in 0..20 {
        let person = desk.person(&format!("cadre{round}"), Role::FieldCadre).await?;
        let code = devices::invite(&server, &person, "手机", "test").await?.code;
        let profile = desk.profile(Role::OfficeClerk).await?;
        let changes: Vec<_> = (0..4)
            .map(|change| {
                // Each has looked before, and knows of no other.
                let profile = Profile { full_name: format!("改{change}"), ..profile.clone() };
                let (server, person) = (server.clone(), person.clone());
                tokio::spawn(async move { people::change(&server, person, &profile, false, "test").await })
            })
            .collect();
        let (phone, key) = (server.clone(), token());
        let keys = Keys::of(key.as_bytes()).public();
        let enrolled = tokio::spawn(async move { devices::enrol(&phone, &code, keys, &key).await });
        assert!(people::disable(&server, &person, "test").await?);
        let mut done = 0;
        for change in changes {
            match change.await? {
                Ok(_) => done += 1,
                Err(PeopleError::Changed) => {}
                Err(error) => return Err(error.into()),
            }
        }
        assert!(done <= 1, "what one has changed, another has not seen");
        drop(enrolled.await?);
        assert!(desk.named(&person.name).await?.is_disabled, "round {round}");
        let seen = server.store.devices().await?.into_iter().map(|seen| seen.device);
        let in_use: Vec<_> = seen.filter(|device| device.person == Some(person.id) && !device.is_revoked).collect();
        assert!(in_use.is_empty(), "round {round}: {in_use:?}");
    }
    // Two administrators who disable each other: one is left.
    for round in 0..10 {
        let (one, other) = (format!("one{round}"), format!("other{round}"));
        let (one, other) =
            (desk.person(&one, Role::Administrator).await?, desk.person(&other, Role::Administrator).await?);
        let (a, b) = tokio::join!(people::disable(&server, &one, "test"), people::disable(&server, &other, "test"));
        let refused = [&a, &b].into_iter().filter(|done| matches!(done, Err(PeopleError::LastAdministrator))).count();
        assert_eq!(refused, 1, "{a:?} {b:?}");
        // The one who is left makes room for the next two.
        let left = if a.is_err() { one } else { other };
        desk.hand.demote(&left.name).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_do_the_same_one_is_told_that_it_was_done() -> Result<()> {
    let desk = Desk::open().await?;
    let server = &desk.server;
    let wanted = desk.wanted().await?;
    let submit = || Box::pin(submissions::submit(server, &wanted, "test"));
    let (a, b, c) = tokio::join!(submit(), submit(), submit());
    let (done, told): (Vec<_>, Vec<_>) = [a, b, c].into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    assert!(told.iter().all(|told| matches!(told, Err(SubmissionError::Stands { number: 1, .. }))), "{told:?}");
    assert_eq!((server.store.submissions().await?.len(), desk.registered().await?), (1, vec!["submitted".to_owned()]));
    let submission = submissions::submission(server, 1).await?;
    let step = |to| submissions::step(server, &submission, to, ("test", UnitLevel::County));
    let (approved, returned) = tokio::join!(step(("approved", None)), step(("returned", Some("有误"))));
    let taken = [&approved, &returned].into_iter().find_map(|step| step.as_ref().ok()).context("one")?;
    let refused = [&approved, &returned].into_iter().find_map(|step| step.as_ref().err()).context("the other")?;
    assert!(refused.to_string().contains("刚被他人办理"), "{refused}");
    assert_eq!(desk.registered().await?, std::slice::from_ref(&taken.state));

    let mut admissions = 0;
    let held = desk.held(10).await?;
    for hash in &held {
        let admit = server.sync.admit_quarantined(*hash, "王科长", 0);
        let reject = server.sync.reject_quarantined(*hash, "李科长", 0);
        let again = server.sync.reject_quarantined(*hash, "赵科长", 0);
        let (admitted, rejected, again) = tokio::join!(admit, reject, again);
        let state = server.store.quarantined_change(*hash).await?.context("it")?.state;
        assert_eq!(state == QuarantineState::Admitted, admitted.is_ok(), "{admitted:?}");
        admissions += usize::from(admitted.is_ok());
        for told in [rejected.as_ref().err(), again.as_ref().err()].into_iter().flatten() {
            let told = told.to_string();
            assert!(told.starts_with("已由 ") && told.contains("科长"), "{told}");
        }
    }
    let events = desk.events().await?;
    let count = |event: &str| events.iter().filter(|noted| *noted == event).count();
    let (admitted, rejected) = (count("quarantine-admitted"), count("quarantine-rejected"));
    // What was rejected may still be admitted, by somebody who has seen that, and with what builds upon it; nothing is admitted or
    // rejected twice.
    assert!((admissions..=held.len()).contains(&admitted), "{admitted} of {admissions}");
    assert!(rejected <= held.len() && admitted + rejected >= held.len(), "{admitted} and {rejected}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_does_not_begin_with_what_was_changed_while_it_was_checked() -> Result<()> {
    let desk = Desk::open().await?;
    let (server, person) = (&desk.server, desk.person("wang", Role::OfficeClerk).await?);
    let (_, checked) = server.store.people().person_by_name("wang").await?.context("wang")?;
    people::reset(server, &person, "test").await?;
    let sign_in = |password: String| {
        let at_ms = clock::now_ms();
        let act = Act::SignIn {
            person: person.id,
            password: Hidden(password),
            code: None,
            attempt: None,
            token_hash: [1; 32],
            at_ms,
            expires_at_ms: at_ms + SESSION_MS,
        };
        Deed::new(act, By::from(&person).notes(Event::SignedIn, None, &serde_json::json!({})))
    };
    assert_eq!(server.store.perform(&sign_in(checked.password)).await?, Performed::NotNow, "another password by now");
    let (_, now) = server.store.people().person_by_name("wang").await?.context("wang")?;
    desk.person("admin", Role::Administrator).await?;
    people::disable(server, &person, "test").await?;
    assert_eq!(server.store.perform(&sign_in(now.password)).await?, Performed::NotNow, "disabled by now");
    // A code for a device of theirs is worth nothing, and none is given.
    let invitation = Invitation {
        code_hash: [1; 32],
        person: person.id,
        device_name: "手机".into(),
        expires_at_ms: i64::MAX,
        invited_by: "test".into(),
        inviter: None,
    };
    let note = By::from("test").notes(Event::DeviceInvited, None, &serde_json::json!({}));
    let deed = Deed::new(Act::Invite { invitation, at_ms: clock::now_ms() }, note);
    assert_eq!(server.store.perform(&deed).await?, Performed::NotNow);
    Ok(())
}
