//! What the server does not take is kept for a supervisor, and holds up nothing else.

use anyhow::{Context, Result};
use server::{clock, console::device::Which, store::QuarantineState, sync::AdmitError};
use sync_protocol::{
    ActorId, Book, ChangeHash, Identity, RowId,
    client::{Device, DeviceConfig, Trust},
    document::RefusalCode,
    message::{ExchangeRequest, PROTOCOL},
};
use tests::county;

#[tokio::test(flavor = "multi_thread")]
async fn work_that_is_refused_waits_for_a_supervisor_and_the_rest_goes_on() -> Result<()> {
    let (folder, server) = county::with_branches(2).await?;
    let url = county::serve(&server).await?;
    let unit = |branch: usize| county::branch(&server, branch);
    let of = |branch: usize| Identity { unit: unit(branch), book: Book::Unit, period: server.period() };
    let phone = county::device(&server, folder.path(), &url, "phone", unit(0), &[Book::Unit]).await?;
    let neighbour = county::device(&server, folder.path(), &url, "neighbour", unit(1), &[Book::Unit]).await?;
    let row = RowId::random([1; 10]);
    // A cadre who was moved writes two forms for the village they came from, and one for their own.
    for (branch, post) in [(1, "会计"), (1, "出纳"), (0, "文书")] {
        phone.save(&of(branch), "members", row, &[("work_post", post.into())], 0).await?;
    }
    let done = phone.exchange(clock::now_ms()).await?;
    assert_eq!((done.receipts.len(), done.refusals.len()), (1, 2));
    assert!(done.refusals.iter().all(|refusal| refusal.quarantined), "{:?}", done.refusals);
    assert_eq!((phone.unsent().await?, phone.refused().await?.len()), (0, 2), "shown, and not sent for ever");
    assert!(phone.rows(&of(1), "members").await?.is_empty(), "it does not look as if it had arrived");

    // Their own village goes on, and the same again changes nothing.
    phone.save(&of(0), "members", row, &[("work_post", "主任".into())], 0).await?;
    let done = phone.exchange(clock::now_ms()).await?;
    assert_eq!((done.receipts.len(), done.refusals.len(), done.requests), (1, 0, 1));
    let held = server.store.quarantined().await?;
    assert_eq!(held.iter().map(|held| held.state).collect::<Vec<_>>(), [QuarantineState::Waiting; 2]);

    // Admitting the later form brings in the one that it builds upon.
    let last = held.last().context("two")?.hash;
    let admitted = server.sync.admit_quarantined(last, "县", clock::now_ms()).await?;
    assert_eq!(admitted.len(), 2);
    assert!(matches!(server.sync.admit_quarantined(last, "县", 0).await, Err(AdmitError::Unknown)));
    assert!(matches!(server.sync.admit_quarantined(ChangeHash([7; 32]), "县", 0).await, Err(AdmitError::Unknown)));
    neighbour.exchange(clock::now_ms()).await?;
    let rows = neighbour.rows(&of(1), "members").await?;
    assert_eq!(rows.iter().map(|row| row.text("work_post")).collect::<Vec<_>>(), ["出纳"]);
    assert!(server::doctor::diagnose(&server, &|_, _| {}).await?.wrong.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_phone_hands_over_its_work_and_keeps_nothing() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    let url = county::serve(&server).await?;
    let unit = county::branch(&server, 0);
    let identity = Identity { unit, book: Book::Unit, period: server.period() };
    let device = county::device(&server, folder.path(), &url, "phone", unit, &[Book::Unit]).await?;
    let write = async |row: u8, text: &str| {
        device
            .save(&identity, "members", RowId::random([row; 10]), &[("work_post", text.into())], clock::now_ms())
            .await
    };
    write(1, "秘密会计").await?;
    device.exchange(clock::now_ms()).await?;
    write(2, "秘密出纳").await?;
    assert!(server::console::device::revoke(&server, &Which::named("phone")).await?);
    assert!(
        server::console::device::revoke(&server, &Which::named("phone")).await.is_err(),
        "it is not in use any more"
    );
    let import =
        Trust::new(None)?.client()?.post(format!("{url}/api/imports?file=a.csv")).bearer_auth("phone").body("a");
    assert_eq!(import.send().await?.status(), reqwest::StatusCode::FORBIDDEN);
    let last = device.exchange(clock::now_ms()).await?;
    assert_eq!(last.refusals.iter().map(|refusal| refusal.quarantined).collect::<Vec<_>>(), [true]);
    assert_eq!(server.store.quarantined().await?.len(), 1, "the work was real");
    assert!(device.documents().await?.is_empty());
    assert_eq!((device.unsent().await?, device.refused().await?.len()), (0, 0));
    device.close().await;
    for entry in std::fs::read_dir(folder.path())? {
        let path = entry?.path();
        if path.to_string_lossy().contains("phone.sqlite") {
            let bytes = std::fs::read(&path)?;
            let secret = "秘密".as_bytes();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{} still holds it", path.display());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_in_another_devices_name() -> Result<()> {
    let (folder, server) = county::with_branches(2).await?;
    let url = county::serve(&server).await?;
    let unit = |branch: usize| county::branch(&server, branch);
    let of = |branch: usize| Identity { unit: unit(branch), book: Book::Unit, period: server.period() };
    county::device(&server, folder.path(), &url, "honest", unit(0), &[Book::Unit]).await?.close().await;
    county::device(&server, folder.path(), &url, "forger", unit(1), &[Book::Unit]).await?.close().await;
    let actor = ActorId([9; 16]);
    let open = |name: &'static str| {
        let config = DeviceConfig {
            path: folder.path().join(format!("{name}.sqlite")),
            server: url.clone(),
            token: name.to_owned(),
            who: "张三".into(),
            server_key: None,
            certificate: None,
            secret: None,
            actor,
        };
        Device::open(config, server.catalogue.clone())
    };
    let (honest, forger) = (open("honest").await?, open("forger").await?);
    let row = RowId::random([1; 10]);
    honest.save(&of(0), "members", row, &[("work_post", "会计".into())], 0).await?;
    assert_eq!(honest.exchange(clock::now_ms()).await?.receipts.len(), 1);
    forger.save(&of(1), "members", row, &[("work_post", "出纳".into())], 0).await?;
    let done = forger.exchange(clock::now_ms()).await?;
    assert_eq!((done.receipts.len(), done.refusals.len()), (0, 1));
    assert_eq!(done.refusals[0].code, RefusalCode::ForeignActor);
    assert!(done.refusals[0].quarantined, "somebody may know better");
    // A cursor of its own making proves nothing.
    let row = RowId::random([2; 10]);
    let exchange = ExchangeRequest {
        protocol: PROTOCOL,
        cursor: Some(vec![0x7f; 64].into()),
        push: Vec::new(),
        device_time_ms: 0,
        asks: Vec::new(),
        held: Vec::new(),
    };
    let record = server.store.device_by_token(&server::store::token_hash("forger")).await?.context("enrolled")?;
    let reply = server.sync.exchange(&record, exchange, clock::now_ms()).await?;
    assert!(reply.restart, "it starts anew");
    honest.save(&of(0), "members", row, &[("work_post", "文书".into())], 0).await?;
    assert_eq!(honest.exchange(clock::now_ms()).await?.receipts.len(), 1, "the honest one goes on");
    Ok(())
}
