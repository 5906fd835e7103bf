//! What it costs the server to refuse what attackers send, while fifty devices go on syncing. The server is a process of
//! its own.
//!
//! `cargo bench -p tests --bench hostile`

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use minicbor::Encoder;
use server::store::DeviceRecord;
use sync_protocol::{
    ActorId, Address, Book, ChangeHash, DeviceId, Document, DocumentId, Identity, UnitId,
    client::{Http, Transport, Trust},
    conflict::{Means, Provenance},
    document::{Author, Edit, SyncState},
    message::{DocumentPush, ExchangeRequest, PROTOCOL, PushedChange, encode},
    repo::Answer,
    session::{DeviceSession, Outgoing},
};
use tests::{
    bombs, county, repo, roster,
    running::{self, Running},
};
use tokio_tungstenite::{connect_async, tungstenite::Message};

const DEVICES: usize = 50;
/// How often each of them is sent.
const TIMES: usize = 20;

fn main() -> anyhow::Result<()> {
    running::main(prepare, run())
}

/// The server that is measured, with everybody enrolled.
async fn prepare(folder: &Path) -> anyhow::Result<server::Server> {
    let server = county::open(folder, None).await?;
    server.store.put_units(&roster::units(&server.tenant, server.county, DEVICES)).await?;
    for number in 0..DEVICES {
        let unit = county::branch(&server, number);
        let (id, token) = (DeviceId::from_bytes([u8::try_from(number)? + 1; 16]), format!("phone-{number}"));
        let record = DeviceRecord::new(id, (&token, &token), &token, unit, &[Book::Unit]);
        server.store.put_device(&record, 0).await?;
    }
    let record =
        DeviceRecord::new(DeviceId::from_bytes([99; 16]), ("x", "x"), "attacker", server.county, &[Book::Unit]);
    server.store.put_device(&record, 0).await?;
    Ok(server)
}

/// A device that writes and exchanges until it is told to stop.
async fn honest(url: String, identity: Identity, number: usize, stop: Arc<AtomicBool>) -> anyhow::Result<usize> {
    let transport = Http::new(&url, &Trust::new(None)?, &format!("phone-{number}"))?;
    let (mut document, mut cursor, mut edits) = (Document::new(), None, 0);
    let provenance = Provenance { who: "bench".into(), how: Means::Form, source: None };
    let author = Author { actor: ActorId([u8::try_from(number)? + 1; 16]), provenance, time_s: 0 };
    while !stop.load(Ordering::Relaxed) {
        let address = Address::new("members", repo::row(edits), "work_post");
        let edit = [Edit { address, value: format!("岗位{edits}").as_str().into() }];
        let change = document.write(&identity, &edit, &author)?.context("a change")?;
        let outbox = vec![Outgoing { identity: identity.clone(), hash: change.hash, bytes: change.bytes }];
        let mut session = DeviceSession::new(cursor, outbox, Vec::new());
        cursor = None;
        while let Some(request) = session.next_request(0) {
            let delivery = transport.send(encode(&request)).await?;
            let received = session.receive(sync_protocol::message::decode(&delivery.reply)?)?;
            anyhow::ensure!(received.refusals.is_empty(), "an honest change was refused");
            cursor = Some(received.cursor);
        }
        edits += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(edits)
}

fn request(push: Vec<DocumentPush>, held: Vec<ChangeHash>) -> Vec<u8> {
    encode(&ExchangeRequest { protocol: PROTOCOL, cursor: None, push, device_time_ms: 0, asks: Vec::new(), held })
}

async fn run() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let names = county::open(&folder.path().join("names"), None).await?;
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data)?;
    let server = Running::ours(&data).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let identity = |number: usize| Identity {
        unit: UnitId::derive(&names.tenant, None, &roster::branch_code(number)),
        book: Book::Unit,
        period: names.period(),
    };
    let mut devices = tokio::task::JoinSet::new();
    for number in 0..DEVICES {
        devices.spawn(honest(server.url(), identity(number), number, stop.clone()));
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("peak MiB with {DEVICES} honest devices: {:.0}", server.peak_mib());
    println!("| input | slowest ms to its refusal | peak MiB of the server so far |\n| --- | --- | --- |");
    let bomb = bombs::deflated(64 << 20)?;
    let push = |changes| request(vec![DocumentPush { identity: identity(0), changes }], Vec::new());
    let change = |bytes: Vec<u8>| push(vec![PushedChange { hash: ChangeHash([1; 32]), bytes: bytes.into() }]);
    let crowd = (0..40_000).map(|number| bombs::runs(60, 3000 + number)).collect();
    let over_http: Vec<(&str, Option<&str>, Vec<u8>)> = vec![
        ("noise", None, vec![0xff; 4096]),
        ("a nest of a million arrays", None, vec![0x81; 1 << 20]),
        ("a map of four billion entries", None, [vec![0xba, 0xff, 0xff, 0xff, 0xff], vec![0; 64]].concat()),
        ("9 MiB", None, vec![0; 9 << 20]),
        ("64 MiB in 64 KiB of zstd", Some("zstd"), zstd_bomb()?),
        ("a change that inflates to 64 MiB", None, change(bomb.clone())),
        ("a hundred bytes that are billions of operations", None, push(vec![bombs::runs(1 << 33, 0)])),
        ("a hundred bytes that replace billions", None, push(vec![bombs::runs(1, 1 << 33)])),
        ("forty thousand changes of 180,000 each", None, push(crowd)),
        ("five thousand questions too many", None, request(Vec::new(), vec![ChangeHash([2; 32]); 5001])),
    ];
    let client = Trust::new(None)?.client()?;
    for (what, encoding, body) in over_http {
        let mut slowest = Duration::ZERO;
        for _ in 0..TIMES {
            let mut post =
                client.post(format!("{}/sync/exchange", server.url())).bearer_auth("attacker").body(body.clone());
            if let Some(encoding) = encoding {
                post = post.header("content-encoding", encoding);
            }
            let begun = Instant::now();
            // Some are cut off while they are still sending.
            drop(post.send().await);
            slowest = slowest.max(begun.elapsed());
        }
        println!("| {what} | {:.1} | {:.0} |", slowest.as_secs_f64() * 1e3, server.peak_mib());
    }
    let id = identity(0).document(&names.tenant);
    let poison: Vec<(&str, Vec<u8>)> = vec![
        ("a Bloom filter that divides by zero", vec![0x42, 0, 0, 1, 0, 3, 1, 0, 7, 0]),
        ("400 million probes", vec![0x42, 0, 0, 1, 0, 9, 1, 10, 0x80, 0x84, 0xaf, 0xbe, 0x01, 0, 0, 0]),
        ("a whole document", bombs::message_with(&[0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 0, 1, 0])),
        ("a change that inflates to 64 MiB, by /sync/repo", bombs::message_with(&bomb)),
        ("billions of operations, by /sync/repo", bombs::message_with(&bombs::runs(1 << 33, 0).bytes)),
    ];
    let (mut socket, _) = connect_async(server.socket("/sync/repo?access_token=attacker")).await?;
    let mut join = Encoder::new(Vec::new());
    join.map(2)?.str("type")?.str("join")?.str("senderId")?.str("x")?;
    socket.send(Message::binary(join.into_writer())).await?;
    socket.next().await.context("welcome")??;
    for (what, data) in poison {
        let mut slowest = Duration::ZERO;
        for _ in 0..TIMES {
            let begun = Instant::now();
            socket.send(Message::binary(Answer::Sync { document: id, data: &data }.encode("x", "server"))).await?;
            socket.next().await.context("an answer")??;
            slowest = slowest.max(begun.elapsed());
        }
        println!("| {what} | {:.1} | {:.0} |", slowest.as_secs_f64() * 1e3, server.peak_mib());
    }
    let hello = Document::new().generate_sync(&mut SyncState::new()).context("a first message")?;
    let begun = Instant::now();
    let flood = 20_000u128;
    for number in 0..flood {
        let document = DocumentId::from_bytes(number.to_be_bytes());
        socket.send(Message::binary(Answer::Sync { document, data: &hello }.encode("x", "server"))).await?;
        socket.next().await.context("an answer")??;
    }
    let each = begun.elapsed().as_secs_f64() * 1e3 / 20_000.0;
    println!("| {flood} documents that nobody has | {each:.2} each | {:.0} |", server.peak_mib());
    stop.store(true, Ordering::Relaxed);
    let edits = AtomicUsize::new(0);
    while let Some(device) = devices.join_next().await {
        edits.fetch_add(device??, Ordering::Relaxed);
    }
    println!("the honest devices meanwhile: {} edits with receipts, none refused", edits.load(Ordering::Relaxed));
    Ok(())
}

fn zstd_bomb() -> anyhow::Result<Vec<u8>> {
    Ok(sync_protocol::live::pack(vec![0; 64 << 20])?)
}
