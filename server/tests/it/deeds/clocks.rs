//! A clock that was ten years ahead once.

use anyhow::Result;
use server::{
    auth::{self, LOCK_MS, Role, SESSION_MS, SignInError},
    clock,
    store::{Act, CodeTaken, Deed, INVITATION_MS, Performed},
};

use super::{Desk, PASSWORD};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_clock_that_was_wrong_has_made_does_not_hold() -> Result<()> {
    let desk = Desk::open().await?;
    let (server, person) = (&desk.server, desk.person("wang", Role::OfficeClerk).await?);
    tests::people::set_password(server, person.id, auth::hash("wang", PASSWORD).await?, false).await?;
    let now_ms = clock::now_ms();
    let ten_years = 10 * 365 * 86_400_000;
    // When it began, whether it holds now: sessions, then invitations.
    let mut number = 0;
    for (length_ms, is_session) in [(SESSION_MS, true), (INVITATION_MS, false)] {
        for (begun_ms, holds) in [
            (now_ms, true),
            (now_ms - length_ms + 1, true),
            (now_ms - length_ms, false),
            (now_ms + 1, false),
            (now_ms + ten_years, false),
            (now_ms - ten_years, false),
        ] {
            number += 1;
            let hash = [number; 32];
            // When it ends is what an even more wrong clock has said.
            let of = (hash.as_slice(), person.id.as_bytes().as_slice());
            desk.hand.begin(is_session, of, (begun_ms, now_ms + 2 * ten_years)).await?;
            let people = server.store.people();
            let found = if is_session {
                people.session(&hash, now_ms).await?.is_some()
            } else {
                people.invitation(&hash, now_ms).await?.is_some()
            };
            assert_eq!(found, holds, "session: {is_session}, begun {} ms from now", begun_ms - now_ms);
        }
    }
    // Nobody is locked out until then.
    assert!(matches!(auth::sign_in(server, "wang", "a wrong guess", None).await, Err(SignInError::Wrong)));
    let lock = |until_ms: i64| desk.hand.lock_out(until_ms);
    lock(now_ms + ten_years).await?;
    assert!(auth::sign_in(server, "wang", PASSWORD, None).await.is_ok());
    lock(clock::now_ms() + LOCK_MS / 2).await?;
    match auth::sign_in(server, "wang", PASSWORD, None).await {
        Err(SignInError::Locked(wait_s)) => assert!((440..=450).contains(&wait_s), "{wait_s}"),
        other => anyhow::bail!("{other:?}"),
    }
    lock(0).await?;
    // Nor are their one-time codes refused until then.
    assert!(server.store.people().begin_totp(person.id, b"a secret of 20 bytes").await?);
    for (last, step, is_taken) in [
        (0, 100, true),
        (99, 100, true),
        (100, 100, false),
        (102, 100, false),
        (103, 100, true),
        (1_000_000, 100, true),
    ] {
        desk.hand.last_step(last).await?;
        let code = CodeTaken { secret: b"a secret of 20 bytes".to_vec(), step };
        let deed = Deed { act: Act::ConfirmTotp(person.id, code), documents: Vec::new(), notes: Vec::new() };
        assert_eq!(server.store.perform(&deed).await? != Performed::NotNow, is_taken, "{step} after {last}");
    }
    Ok(())
}
