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
    let recover = async |code: &str, sealed: &[u8]| devices::recover(&desk.server, code, sealed).await;

    assert!(matches!(recover("NOBODYSCODE", &kept).await, Err(EnrolError::Unknown)));
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
    assert_eq!(devices::recover(&desk.server, &again, &kept).await?, KEY);
    devices::enrol(&desk.server, &hers, stranger.public(), &token()).await?;

    // Whoever has found a phone that was revoked opens nothing.
    let late = devices::invite(&desk.server, &wang, "手机甲", "test").await?.code;
    devices::revoke(&desk.server, &device, "test").await?;
    assert!(matches!(devices::recover(&desk.server, &late, &kept).await, Err(EnrolError::Revoked)));
    Ok(())
}
