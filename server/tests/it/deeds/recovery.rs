//! A forgotten PIN: the key to what a phone has stored goes back to whoever has a new code of the person whose phone it is, and to
//! nobody else.

use anyhow::{Context, Result};
use server::{
    auth::Role,
    devices::{self, EnrolError},
};
use sync_protocol::bundle::{self, Keys, RecoveryKey};
use tests::people;

use super::{Desk, PASSWORD, token};

const KEY: [u8; 32] = [7; 32];

/// What a phone keeps: its key, for the county alone.
fn sealed(desk: &Desk, phone: &Keys) -> Result<Vec<u8>> {
    let key = RecoveryKey { key: KEY.to_vec().into() };
    Ok(bundle::seal(&key, None, phone, &desk.server.keys.public())?.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_goes_back_to_nobody_but_the_person_whose_phone_it_is() -> Result<()> {
    let mut desk = Desk::open().await?;
    let township = desk.unit("T1").await?.id;
    let officer = people::add(&desk.server, "officer", Role::TownshipOfficer, township, false, PASSWORD).await?;
    let (wang, lina) = (desk.person("wang", Role::FieldCadre).await?, desk.person("lina", Role::FieldCadre).await?);
    let (phone, stranger) = (Keys::of(b"phone"), Keys::of(b"stranger"));
    let first = devices::invite(&desk.server, &wang, "手机甲", "test").await?.code;
    let device = devices::enrol(&desk.server, &first, phone.public(), &token()).await?;
    let (kept, strange) = (sealed(&desk, &phone)?, sealed(&desk, &stranger)?);
    let hers = devices::invite(&desk.server, &lina, "手机乙", "test").await?.code;
    let his = devices::invite(&desk.server, &wang, "手机甲", &officer).await?.code;
    let recover = async |code: &str, sealed: &[u8]| devices::recover(&desk.server, code, sealed, None).await;

    assert!(matches!(recover("NOBODYSCODENOBOD", &kept).await, Err(EnrolError::Unknown)));
    assert!(matches!(recover(&first, &kept).await, Err(EnrolError::Unknown)), "the code that it was enrolled with");
    assert!(matches!(recover(&hers, &kept).await, Err(EnrolError::Another)), "somebody else's code");
    assert!(matches!(recover(&his, &strange).await, Err(EnrolError::Another)), "a phone that nobody has enrolled");
    for broken in [&b""[..], b"what is this", kept.get(..40).context("a beginning")?] {
        assert!(matches!(recover(&his, broken).await, Err(EnrolError::Recovery(_))));
    }
    assert!(!desk.events().await?.contains(&"device-recovered".to_owned()));

    // Nobody's attempt has used his code up; somebody else has given it, and he is asked.
    assert_eq!(recover(&his.to_lowercase(), &kept).await?, KEY);
    assert!(matches!(recover(&his, &kept).await, Err(EnrolError::Unknown)), "a code is used once");
    assert_eq!(desk.events().await?.last().map(String::as_str), Some("device-recovered"));
    let asked = devices::unconfirmed(&desk.server, &wang).await?;
    assert_eq!(asked.first().map(|seen| seen.device.id), Some(device.id));
    assert!(devices::enrol(&desk.server, &his, stranger.public(), &token()).await.is_err());

    // The county's keys are others by now, and hers still enrols a phone.
    let keyring = desk.server.keyring.rotated(false);
    keyring.keep(desk.server.store.as_ref()).await?;
    desk.server.keyring = keyring.into();
    let again = devices::invite(&desk.server, &wang, "手机甲", "test").await?.code;
    assert_eq!(devices::recover(&desk.server, &again, &kept, None).await?, KEY);
    devices::enrol(&desk.server, &hers, stranger.public(), &token()).await?;

    // Whoever has found a phone that was revoked opens nothing.
    let late = devices::invite(&desk.server, &wang, "手机甲", "test").await?.code;
    devices::revoke(&desk.server, &device, "test").await?;
    assert!(matches!(devices::recover(&desk.server, &late, &kept, None).await, Err(EnrolError::Revoked)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_given_again_to_the_same_phone_alone() -> Result<()> {
    let desk = Desk::open().await?;
    let wang = desk.person("wang", Role::FieldCadre).await?;
    let (phone, other) = (Keys::of(b"phone"), Keys::of(b"other"));
    for keys in [&phone, &other] {
        let code = devices::invite(&desk.server, &wang, "手机", "test").await?.code;
        devices::enrol(&desk.server, &code, keys.public(), &token()).await?;
    }
    let (kept, others) = (sealed(&desk, &phone)?, sealed(&desk, &other)?);
    let code = devices::invite(&desk.server, &wang, "手机", "test").await?.code;
    let (nonce, guess) = (token(), token());
    let recover = async |sealed: &[u8], nonce: Option<&str>| devices::recover(&desk.server, &code, sealed, nonce).await;

    assert!(matches!(recover(&kept, Some("0000")).await, Err(EnrolError::Token)), "a nonce that could be guessed");
    assert_eq!(recover(&kept, Some(&nonce)).await?, KEY);
    assert_eq!(recover(&kept, Some(&nonce)).await?, KEY, "the same phone, once more");
    for nonce in [None, Some(guess.as_str())] {
        assert!(matches!(recover(&kept, nonce).await, Err(EnrolError::Unknown)), "whoever has found the code");
    }
    assert!(
        matches!(recover(&others, Some(&nonce)).await, Err(EnrolError::Another)),
        "another phone of the same person"
    );
    let events = desk.events().await?;
    assert_eq!(events.iter().filter(|event| *event == "device-recovered").count(), 1, "{events:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_taken_however_it_is_written_and_one_too_short_is_said_to_be() -> Result<()> {
    let desk = Desk::open().await?;
    let wang = desk.person("wang", Role::FieldCadre).await?;
    let in_groups = |code: &str| {
        let groups: Vec<&str> = [0, 4, 8, 12].iter().filter_map(|&at| code.get(at..at + 4)).collect();
        groups.join("-").to_lowercase()
    };
    let written: [&dyn Fn(&str) -> String; 3] =
        [&in_groups, &|code| format!(" {}\n", in_groups(code).replace('-', " ")), &|code| {
            format!("https://h/#enrol={code}")
        }];
    for (at, written) in written.iter().enumerate() {
        let code = devices::invite(&desk.server, &wang, "手机", "test").await?.code;
        let keys = Keys::of(format!("phone {at}").as_bytes()).public();
        devices::enrol(&desk.server, &written(&code), keys, &token()).await?;
    }
    let short = devices::enrol(&desk.server, "FB6L-Q", Keys::of(b"short").public(), &token()).await;
    let said = short.err().context("refused")?.to_string();
    assert_eq!(said, "登记码应为16位，现在是5位 | a code has 16 characters, this one has 5");
    Ok(())
}
