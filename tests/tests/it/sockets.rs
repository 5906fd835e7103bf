//! What strangers and broken programs send over the sockets; and what an honest device gets there.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use futures_util::{FutureExt, SinkExt, StreamExt, TryStreamExt};
use minicbor::Encoder;
use samod::{BackoffConfig, DialError, Dialer, Transport};
use server::{Server, clock};
use sync_protocol::{
    Book, Document, DocumentId,
    client::{Around, Device},
    document::SyncState,
    live::{LiveFrame, pack, unpack},
    message::{self, ExchangeRequest, PROTOCOL},
    repo::{Answer, Frame},
};
use tests::{
    bombs, county,
    repo::{self, Made, Peer},
    roster,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message},
};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn socket(url: &str, path: &str, token: &str) -> Result<Socket> {
    let address = url.replacen("http", "ws", 1);
    Ok(connect_async(format!("{address}{path}?access_token={token}")).await?.0)
}

/// The next frame; none at the end, with the code of the close.
async fn frame(socket: &mut Socket) -> Result<Result<Vec<u8>, Option<u16>>> {
    loop {
        match tokio::time::timeout(Duration::from_secs(20), socket.next()).await.context("an answer")? {
            Some(Ok(Message::Binary(bytes))) => return Ok(Ok(bytes.to_vec())),
            Some(Ok(Message::Close(close))) => return Ok(Err(close.map(|close| close.code.into()))),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Ok(Err(None)),
        }
    }
}

fn join(peer: &str) -> Vec<u8> {
    let mut e = Encoder::new(Vec::new());
    let map = e.map(3).expect("map").str("type").expect("key").str("join").expect("value");
    map.str("senderId").expect("key").str(peer).expect("value");
    map.str("supportedProtocolVersions").expect("key").array(1).expect("list").str("1").expect("value");
    e.into_writer()
}

async fn joined(url: &str, token: &str, peer: &str) -> Result<Socket> {
    let mut socket = socket(url, "/sync/repo", token).await?;
    socket.send(Message::binary(join(peer))).await?;
    assert!(frame(&mut socket).await?.is_ok(), "it is welcome");
    Ok(socket)
}

fn sync(peer: &str, document: DocumentId, data: &[u8]) -> Message {
    Message::binary(Answer::Sync { document, data }.encode(peer, "server"))
}

/// A county of three branches with a document each, and their names.
async fn open(folder: &std::path::Path) -> Result<(Server, String, Vec<Made>)> {
    let server = county::open(&folder.join("data"), None).await?;
    server.store.put_units(&roster::units(&server.tenant, server.county, 3)).await?;
    let url = county::serve(&server).await?;
    let documents = repo::documents(&server, 0..3);
    for name in ["one", "two"] {
        let device = county::device(&server, folder, &url, name, server.county, &[Book::Unit]).await?;
        let (unit, row) = (county::branch(&server, 0), repo::row(0));
        assert_eq!(unit, documents[0].identity.unit);
        device.save(&documents[0].identity, "members", row, &[("work_post", name.into())], 0).await?;
        device.exchange(clock::now_ms()).await?;
        device.close().await;
    }
    Ok((server, url, documents))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_comes_in_under_a_false_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_server, url, documents) = open(folder.path()).await?;
    for path in ["/sync/repo", "/sync/live"] {
        let refused = socket(&url, path, "nobody").await.err().context("a stranger came in")?;
        assert!(refused.to_string().contains("401"), "{refused}");
    }
    // Under another's peer id, and with another's name in a message.
    let mut honest = joined(&url, "one", "laptop").await?;
    let mut thief = socket(&url, "/sync/repo", "two").await?;
    thief.send(Message::binary(join("laptop"))).await?;
    assert!(matches!(Frame::decode(&frame(&mut thief).await?.expect("words")), Ok(Frame::Other { .. })));
    assert_eq!(frame(&mut thief).await?, Err(Some(1008)));
    let mut liar = joined(&url, "two", "tablet").await?;
    let hello = Document::new().generate_sync(&mut SyncState::new()).context("a first message")?;
    liar.send(sync("laptop", documents[0].id, &hello)).await?;
    frame(&mut liar).await?.expect("words");
    assert_eq!(frame(&mut liar).await?, Err(Some(1008)));
    // The honest one was not disturbed; its own newer connection replaces it.
    honest.send(sync("laptop", documents[0].id, &hello)).await?;
    let answer = frame(&mut honest).await?.expect("an answer");
    assert!(matches!(Frame::decode(&answer), Ok(Frame::Sync { document, .. }) if document == documents[0].id));
    let _newer = joined(&url, "one", "laptop").await?;
    frame(&mut honest).await?.expect("words");
    assert_eq!(frame(&mut honest).await?, Err(Some(1001)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn poisoned_messages_are_refused_and_the_others_go_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, url, documents) = open(folder.path()).await?;
    let mut honest = joined(&url, "one", "honest").await?;
    let mut hostile = joined(&url, "two", "hostile").await?;
    let hello = Document::new().generate_sync(&mut SyncState::new()).context("a first message")?;
    let before = server.store.all_identities().await?;
    let whole = {
        let stored = server.store.document(documents[0].id).await?.context("the document")?;
        Document::load(stored.snapshot.as_deref(), &stored.changes)?.save()
    };
    let poison: Vec<(&str, Vec<u8>)> = vec![
        ("divides by zero", vec![0x42, 0, 0, 1, 0, 3, 1, 0, 7, 0]),
        ("probes for ever", vec![0x42, 0, 0, 1, 0, 9, 1, 10, 0x80, 0x84, 0xaf, 0xbe, 0x01, 0, 0, 0]),
        ("no message at all", vec![0xff; 40]),
        ("a whole document", bombs::message_with(&whole)),
        ("a change that is none", bombs::message_with(&[0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1, 1, 0])),
    ];
    for (what, data) in poison {
        hostile.send(sync("hostile", documents[0].id, &data)).await?;
        assert!(frame(&mut hostile).await?.is_ok(), "{what}: it is answered, and may go on");
        honest.send(sync("honest", documents[0].id, &hello)).await?;
        assert!(frame(&mut honest).await?.is_ok(), "after {what}");
    }
    // Documents that nobody has, one after the other.
    for number in 0..2000u128 {
        hostile.send(sync("hostile", DocumentId::from_bytes(number.to_be_bytes()), &hello)).await?;
        let answer = frame(&mut hostile).await?.expect("an answer");
        assert!(matches!(Frame::decode(&answer), Ok(Frame::Unavailable { .. })));
    }
    assert_eq!(server.store.all_identities().await?, before);
    assert!(server.store.quarantined().await?.is_empty(), "there is nobody's work in it");
    for (what, message) in [
        ("no frame", Message::binary(vec![0xff; 64])),
        ("a text", Message::text("hello")),
        ("nine mebibytes", Message::binary(vec![0; 9 << 20])),
    ] {
        let mut hostile = joined(&url, "two", "hostile").await?;
        // It may be cut off while it is still sending.
        let _ = hostile.send(message).await;
        let mut ended = frame(&mut hostile).await?;
        if ended.is_ok() {
            ended = frame(&mut hostile).await?;
        }
        assert!(ended.is_err(), "{what}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_online_is_poked_when_others_have_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, url, documents) = open(folder.path()).await?;
    let ask = |cursor| {
        let (push, asks, held) = (Vec::new(), Vec::new(), Vec::new());
        message::encode(&ExchangeRequest { protocol: PROTOCOL, cursor, push, device_time_ms: 0, asks, held })
    };
    let mut live = socket(&url, "/sync/live", "one").await?;
    let answer = async |live: &mut Socket| -> Result<LiveFrame> {
        let bytes = frame(live).await?.map_err(|code| anyhow::anyhow!("closed: {code:?}"))?;
        Ok(message::decode(&unpack(&bytes, 64 << 20)?)?)
    };
    live.send(Message::binary(pack(ask(None))?)).await?;
    let LiveFrame::Reply(first) = answer(&mut live).await? else { anyhow::bail!("no reply") };
    assert_eq!(first.documents.len(), 1);
    // Another device writes over HTTP.
    let other = county::open_device(&server, folder.path(), &url, "two").await?;
    other.save(&documents[1].identity, "members", repo::row(1), &[("work_post", "会计".into())], 0).await?;
    other.exchange(clock::now_ms()).await?;
    assert_eq!(answer(&mut live).await?, LiveFrame::Poke);
    live.send(Message::binary(ask(Some(first.cursor)))).await?;
    let LiveFrame::Reply(second) = answer(&mut live).await? else { anyhow::bail!("no reply") };
    assert_eq!(second.documents.len(), 1);
    // What is no frame ends it, in words.
    live.send(Message::binary(vec![0xff; 10])).await?;
    assert_eq!(frame(&mut live).await?, Err(Some(1008)));
    Ok(())
}

/// Connects samod to this server.
struct ToServer(String);

impl Dialer for ToServer {
    type Error = std::convert::Infallible;

    fn url(&self) -> samod::Url {
        samod::Url::parse(&self.0).expect("an address")
    }

    fn connect(&self) -> futures_util::future::BoxFuture<'static, Result<Transport, DialError<Self::Error>>> {
        let url = self.0.clone();
        async move {
            let (socket, _) = connect_async(url).await.map_err(DialError::transient)?;
            let (sink, stream) = socket.split();
            let frames = stream.try_filter_map(|message| async move {
                Ok(if let Message::Binary(bytes) = message { Some(bytes.to_vec()) } else { None })
            });
            Ok(Transport::new(
                frames.boxed(),
                sink.with(|bytes| futures_util::future::ok::<_, tungstenite::Error>(Message::binary(bytes))),
            ))
        }
        .boxed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn samod_and_the_javascript_client_see_each_others_edits() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, url, documents) = open(folder.path()).await?;
    let address = url.replacen("http", "ws", 1);
    let repo = samod::Repo::build_tokio().load().await;
    let dialer = Arc::new(ToServer(format!("{address}/sync/repo?access_token=one")));
    let connection = repo.dial(BackoffConfig::default(), dialer).map_err(|_| anyhow::anyhow!("samod has stopped"))?;
    connection.established().await.map_err(|_| anyhow::anyhow!("no connection"))?;
    let id: samod::DocumentId = documents[0].id.to_string().parse().map_err(|_| anyhow::anyhow!("an id"))?;
    let handle = repo.find(id).await.ok().flatten().context("the document is not there")?;
    let mut other = Peer::of_device(&url, "two")?;
    assert_eq!(other.fetch(&[documents[0].id]).await?.1, [""; 0]);
    let key = format!("members/{}/work_post", repo::row(2));
    repo::write_text(&handle, &key, "会计")?;
    let row = repo::row(3).to_string();
    other
        .ask(serde_json::json!({ "edit": { "ids": [documents[0].id.to_string()], "key": "work_post", "value": "出纳", "rows": [row] } }))
        .await?;
    for _ in 0..200 {
        let heads = server.store.head(documents[0].id).await?.context("the document")?.heads;
        let heads: Vec<String> = heads.iter().map(ToString::to_string).collect();
        if heads == repo::samod_heads(&handle) && heads == other.heads(&[documents[0].id]).await?[0] {
            let stored = server.store.document(documents[0].id).await?.context("the document")?;
            let rows = Document::load(stored.snapshot.as_deref(), &stored.changes)?.rows("members");
            if rows.len() == 3 {
                return Ok(());
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("they are still apart");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_that_stay_online_see_each_others_work_at_once_and_outlive_the_server() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, url, documents) = open(folder.path()).await?;
    let one = Arc::new(county::open_device(&server, folder.path(), &url, "one").await?);
    let two = Arc::new(county::open_device(&server, folder.path(), &url, "two").await?);
    let stay = |device: Arc<Device>| {
        tokio::spawn(async move {
            let around = Around { clock: &clock::now_ms, random: &|| 0, tell: &|_| {} };
            device.keep_in_sync(&around).await;
        })
    };
    let staying = [stay(one.clone()), stay(two.clone())];
    let identity = &documents[2].identity;
    let seen = async |device: &Device, count: usize| -> Result<()> {
        for _ in 0..400 {
            if device.rows(identity, "members").await?.len() == count && device.unsent().await? == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("{count} rows are not there")
    };
    one.save(identity, "members", repo::row(1), &[("work_post", "会计".into())], 0).await?;
    seen(&two, 1).await?;
    two.save(identity, "members", repo::row(2), &[("work_post", "出纳".into())], 0).await?;
    seen(&one, 2).await?;
    // Every socket is cut; both come back by themselves.
    let newer = [socket(&url, "/sync/live", "one").await?, socket(&url, "/sync/live", "two").await?];
    drop(newer);
    one.save(identity, "members", repo::row(3), &[("work_post", "文书".into())], 0).await?;
    seen(&one, 3).await?;
    two.save(identity, "members", repo::row(4), &[("work_post", "网格员".into())], 0).await?;
    seen(&one, 4).await?;
    staying.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(())
}
