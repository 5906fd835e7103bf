//! The official automerge-repo client (JavaScript, WebSocket adapter) against `/sync/repo`.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use serde_json::json;
use server::{Server, clock, store::DeviceRecord};
use sync_protocol::{Address, Book, Document, DocumentId, client::Device, document::RefusalCode};
use tests::{
    county,
    repo::{self, Made, Peer, texts},
    roster,
};

/// A county of so many branches.
async fn open(folder: &std::path::Path, branches: usize) -> Result<(Server, String)> {
    let server = county::open(&folder.join("data"), None).await?;
    server.store.put_units(&roster::units(&server.tenant, server.county, branches)).await?;
    let url = county::serve(&server).await?;
    Ok((server, url))
}

async fn record(server: &Server, token: &str) -> Result<DeviceRecord> {
    server.store.device_by_token(&server::store::token_hash(token)).await?.context("an enrolled device")
}

async fn server_heads(server: &Server, documents: &[Made]) -> Result<Vec<Vec<String>>> {
    let heads = server.store.all_identities().await?;
    let heads: BTreeMap<DocumentId, Vec<String>> = heads
        .into_iter()
        .map(|(identity, heads)| (identity.document(&server.tenant), heads.iter().map(ToString::to_string).collect()))
        .collect();
    Ok(documents.iter().map(|made| heads.get(&made.id).cloned().unwrap_or_default()).collect())
}

async fn device_heads(device: &Device, documents: &[Made]) -> Result<Vec<Vec<String>>> {
    let mut heads = Vec::new();
    for made in documents {
        heads.push(device.document(&made.identity).await?.heads().iter().map(ToString::to_string).collect());
    }
    Ok(heads)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_documents_of_two_official_clients_and_a_device_converge() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, url) = open(folder.path(), 1000).await?;
    let documents = repo::documents(&server, 0..1000);
    let ids: Vec<DocumentId> = documents.iter().map(|made| made.id).collect();
    let device = county::device(&server, folder.path(), &url, "phone", server.county, &[Book::Unit]).await?;
    for name in ["first", "second"] {
        county::device(&server, folder.path(), &url, name, server.county, &[Book::Unit]).await?.close().await;
    }
    let (mut first, mut second) = (Peer::of_device(&url, "first")?, Peer::of_device(&url, "second")?);
    first.create(&documents).await?;
    assert_eq!(server_heads(&server, &documents).await?, first.heads(&ids).await?);
    let (_, unavailable) = second.fetch(&ids).await?;
    assert_eq!(unavailable, [""; 0]);
    device.exchange(clock::now_ms()).await?;
    assert_eq!(device.documents().await?.len(), 1000);

    // All three write to the same rows at once, and to each other's too.
    let rows: Vec<String> = (0..5).map(|number| repo::row(number).to_string()).collect();
    let edit = |value: &str, ids: &[DocumentId]| json!({ "edit": { "ids": texts(ids), "key": "work_post", "value": value, "rows": rows } });
    let on_the_phone = async {
        for (number, made) in documents[..200].iter().enumerate() {
            let value = [("work_post", "手机".into())];
            device.save(&made.identity, "members", repo::row(number % 5), &value, clock::now_ms()).await?;
            if number % 20 == 19 {
                device.exchange(clock::now_ms()).await?;
            }
        }
        anyhow::Ok(())
    };
    tokio::try_join!(first.ask(edit("甲", &ids)), second.ask(edit("乙", &ids[..500])), on_the_phone)?;
    let mut last = String::new();
    for _ in 0..600 {
        device.exchange(clock::now_ms()).await?;
        let expected = server_heads(&server, &documents).await?;
        let sides = [
            ("first", first.heads(&ids).await?),
            ("second", second.heads(&ids).await?),
            ("device", device_heads(&device, &documents).await?),
        ];
        let apart = sides.iter().map(|(name, heads)| {
            (name, heads.iter().zip(&expected).filter(|(heads, expected)| heads != expected).count())
        });
        last = format!("{:?}", apart.clone().collect::<Vec<_>>());
        if apart.map(|(_, count)| count).sum::<usize>() == 0 {
            let written = expected.iter().filter(|heads| heads.len() > 1).count();
            assert!(written > 0, "nobody wrote at the same time");
            return settle(&server, &mut first, &ids, &rows).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("documents that are still apart: {last}");
}

/// Waits until it is so, or until so many tenths of a second have gone: what is expected is asserted afterwards.
async fn until(tenths: usize, is_so: impl AsyncFn() -> Result<bool>) -> Result<()> {
    for _ in 0..tenths {
        if is_so().await? {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// An official client decides every conflict for the value in force, which it writes as deletions of the others. A cell that it
/// deletes altogether stays, and its change waits for a supervisor.
async fn settle(server: &Server, client: &mut Peer, ids: &[DocumentId], rows: &[String]) -> Result<()> {
    assert!(!server.store.conflicts().await?.is_empty());
    client.ask(json!({ "settle": { "ids": texts(ids), "key": "work_post", "rows": rows } })).await?;
    // A change that shows nowhere it does not announce: it goes with the next one, or when it connects.
    client.ask(json!({ "reconnect": 1 })).await?;
    until(600, async || Ok(server.store.conflicts().await?.is_empty())).await?;
    assert_eq!((server.store.conflicts().await?.len(), server.store.quarantined().await?.len()), (0, 0));
    let cell = format!("members/{}/work_post", rows[0]);
    client.ask(json!({ "erase": { "id": ids[0].to_string(), "key": cell } })).await?;
    until(100, async || Ok(!server.store.quarantined().await?.is_empty())).await?;
    let held = server.store.quarantined().await?;
    assert_eq!(held.iter().map(|held| held.code).collect::<Vec<_>>(), [RefusalCode::ForeignOperation]);
    let stored = server.store.document(ids[0]).await?.context("the document")?;
    let document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
    assert!(document.get(&Address::parse(&cell).context("an address")?).is_some());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_sees_and_writes_what_its_device_may() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, url) = open(folder.path(), 3).await?;
    let documents = repo::documents(&server, 0..3);
    let ids: Vec<DocumentId> = documents.iter().map(|made| made.id).collect();
    let all = county::device(&server, folder.path(), &url, "all", server.county, &[Book::Unit]).await?;
    county::device(&server, folder.path(), &url, "one", documents[0].identity.unit, &[Book::Unit]).await?;
    county::device(&server, folder.path(), &url, "reader", server.county, &[Book::Unit]).await?;
    let reader = DeviceRecord { writes: Vec::new(), ..record(&server, "reader").await? };
    server.store.put_device(&reader, 0).await?;

    let mut writer = Peer::of_device(&url, "all")?;
    writer.create(&documents[..2]).await?;
    let mut one = Peer::of_device(&url, "one")?;
    let (_, unavailable) = one.fetch(&ids).await?;
    let mut others = texts(&ids[1..]);
    others.sort();
    assert_eq!(unavailable, others, "neither another unit's, nor one that nobody has made");

    // A reader gets everything and changes nothing.
    let mut reading = Peer::of_device(&url, "reader")?;
    assert_eq!(reading.fetch(&ids[..2]).await?.1, [""; 0]);
    let before = server_heads(&server, &documents[..2]).await?;
    let edit = |ids: &[DocumentId]| json!({ "edit": { "ids": texts(ids), "key": "work_post", "value": "改", "rows": [repo::row(0).to_string()] } });
    reading.ask(edit(&ids[..2])).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(server_heads(&server, &documents[..2]).await?, before);
    assert!(server.store.quarantined().await?.is_empty(), "its changes are not even looked at");

    // What one client writes reaches the others, whoever they are: also what a device hands over.
    one.ask(edit(&ids[..1])).await?;
    all.exchange(clock::now_ms()).await?;
    all.save(&documents[1].identity, "members", repo::row(3), &[("work_post", "会计".into())], 0).await?;
    all.exchange(clock::now_ms()).await?;
    let mut now = Vec::new();
    for _ in 0..100 {
        now = server_heads(&server, &documents[..2]).await?;
        if now[0] != before[0] && writer.heads(&ids[..2]).await? == now {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_ne!(now[0], before[0]);
    assert_eq!(writer.heads(&ids[..2]).await?, now);
    assert!(all.exchange(clock::now_ms()).await?.documents <= 1);
    assert_eq!(device_heads(&all, &documents[..2]).await?, now);

    // Passing messages reach who has the document open.
    one.ask(json!({ "say": { "id": ids[0].to_string(), "text": "在看" } })).await?;
    let mut heard = json!(null);
    for _ in 0..100 {
        heard = writer.ask(json!({ "heard": 1 })).await?;
        if heard.as_array().is_some_and(|heard| !heard.is_empty()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(heard[0]["message"]["text"], "在看");
    Ok(())
}
