//! Sync side by side in one run: the official JavaScript client against the official Node sync server and against this
//! one, and this project's own exchange; then five hundred devices at once. Servers are processes of their own.
//!
//! `cargo bench -p tests --bench sync`

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use server::store::DeviceRecord;
use sync_protocol::{
    ActorId, Address, Book, DeviceId, Document, Identity,
    client::{Http, Transport, Trust},
    conflict::{Means, Provenance},
    document::{Author, Edit},
    message::{decode, encode},
    session::{DeviceSession, Outgoing},
    value::Value,
};
use tests::{
    county,
    repo::{self, CELLS, Made, Peer, ROWS},
    roster,
    running::{self, Running},
};

const DOCUMENTS: usize = 1000;
const DEVICES: usize = 500;
const EDITS: usize = 20;

fn main() -> anyhow::Result<()> {
    running::main(prepare, run())
}

/// The server that is measured, with everybody enrolled.
async fn prepare(folder: &Path) -> anyhow::Result<server::Server> {
    let server = county::open(folder, None).await?;
    server.store.put_units(&roster::units(&server.tenant, server.county, DOCUMENTS)).await?;
    for (number, token) in ["js", "fetch", "device", "late"].into_iter().enumerate() {
        let id = DeviceId::from_bytes([u8::try_from(number)? + 1; 16]);
        let record = DeviceRecord::new(id, (token, token), token, server.county, &[Book::Unit]);
        server.store.put_device(&record, 0).await?;
    }
    for number in 0..DEVICES {
        let (token, unit) = (format!("phone-{number}"), county::branch(&server, number));
        let mut id = [9; 16];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let record = DeviceRecord::new(DeviceId::from_bytes(id), (&token, &token), &token, unit, &[Book::Unit]);
        server.store.put_device(&record, 0).await?;
    }
    Ok(server)
}

/// Seconds, those of the server's processor, messages both ways, bytes both ways.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    seconds: f64,
    cpu_seconds: f64,
    messages: f64,
    bytes: f64,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seconds, cpu_seconds, messages, bytes } = self;
        write!(f, "{seconds:.2} s (server's CPU {cpu_seconds:.2} s), {messages} messages, {:.4} MB", bytes / 1e6)
    }
}

async fn cost(peer: &mut Peer, ms: f64) -> anyhow::Result<Cost> {
    let traffic = peer.ask(serde_json::json!({ "traffic": 1 })).await?;
    let of = |key: &str| traffic[key].as_f64().unwrap_or(f64::NAN);
    let (messages, bytes) = (of("sent") + of("received"), of("sentBytes") + of("receivedBytes"));
    Ok(Cost { seconds: ms / 1e3, cpu_seconds: 0.0, messages, bytes })
}

/// Upload, fetch by another, reconnect of that one.
async fn official(server: &Running, upload: &str, fetch: &str, documents: &[Made]) -> anyhow::Result<[Cost; 3]> {
    let mut cpu = server.cpu_seconds();
    let mut with_cpu = |cost: Cost| {
        let before = std::mem::replace(&mut cpu, server.cpu_seconds());
        Cost { cpu_seconds: cpu - before, ..cost }
    };
    let ids: Vec<_> = documents.iter().map(|made| made.id).collect();
    let mut first = Peer::connect(upload)?;
    let ms = first.create(documents).await?;
    let uploaded = with_cpu(cost(&mut first, ms).await?);
    drop(first);
    let mut second = Peer::connect(fetch)?;
    let (ms, unavailable) = second.fetch(&ids).await?;
    ensure!(unavailable.is_empty(), "{} documents are not there", unavailable.len());
    let fetched = with_cpu(cost(&mut second, ms).await?);
    let ms = second.ask(serde_json::json!({ "reconnect": 1 })).await?["ms"].as_f64().context("milliseconds")?;
    Ok([uploaded, fetched, with_cpu(cost(&mut second, ms).await?)])
}

/// One exchange to its end.
async fn exchange(
    server: Option<&Running>,
    transport: &Http,
    cursor: Option<Vec<u8>>,
    outbox: Vec<Outgoing>,
) -> anyhow::Result<(Cost, Option<Vec<u8>>, usize)> {
    let (begun, cpu) = (Instant::now(), server.map(Running::cpu_seconds));
    let mut session = DeviceSession::new(cursor.clone(), outbox, Vec::new());
    let (mut cost, mut cursor, mut documents) = (Cost::default(), cursor, 0);
    while let Some(request) = session.next_request(0) {
        let delivery = transport.send(encode(&request)).await?;
        cost.messages += 2.0;
        cost.bytes += (delivery.bytes_sent + delivery.bytes_received) as f64;
        let step = session.receive(decode(&delivery.reply)?)?;
        ensure!(step.refusals.is_empty(), "{:?}", step.refusals.first());
        documents += step.documents.len();
        cursor = Some(step.cursor);
    }
    cost.seconds = begun.elapsed().as_secs_f64();
    cost.cpu_seconds = server.zip(cpu).map_or(0.0, |(server, before)| server.cpu_seconds() - before);
    Ok((cost, cursor, documents))
}

fn author(actor: u8) -> Author {
    let provenance = Provenance { who: "bench".into(), how: Means::Form, source: None };
    Author { actor: ActorId([actor; 16]), provenance, time_s: 0 }
}

/// The same documents as the official client makes, each one change.
fn changes(documents: &[Made]) -> anyhow::Result<Vec<Outgoing>> {
    let outgoing = documents.iter().map(|made| {
        let cells = made.cells.as_object().context("cells")?;
        let edits = cells.iter().filter_map(|(key, value)| {
            Some(Edit { address: Address::parse(key)?, value: Value::from(value.as_str()?) })
        });
        let edits: Vec<Edit> = edits.collect();
        ensure!(edits.len() == ROWS * CELLS, "{} cells", edits.len());
        let change = Document::new().write(&made.identity, &edits, &author(1))?.context("a change")?;
        Ok(Outgoing { identity: made.identity.clone(), hash: change.hash, bytes: change.bytes })
    });
    outgoing.collect()
}

async fn run() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let place = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(&path).map(|()| path)
    };
    let here = county::open(&place("names")?, None).await?;
    let documents = repo::documents(&here, 0..DOCUMENTS);

    let mut of_node = None;
    for attempt in 0..5 {
        // Now and then it loses a message of a thousand and never answers it.
        let node = Running::node(&place(&format!("node-{attempt}"))?).await?;
        match official(&node, &node.socket("/"), &node.socket("/"), &documents).await {
            Ok(costs) => {
                of_node = Some((costs, node.peak_mib()));
                break;
            }
            Err(error) => println!("the official server, attempt {attempt}: {error}"),
        }
    }
    let (of_node, node_mib) = of_node.context("the official server never came to an end")?;

    let ours = Running::ours(&place("repo")?).await?;
    let socket = |token: &str| ours.socket(&format!("/sync/repo?access_token={token}"));
    let of_ours = official(&ours, &socket("js"), &socket("fetch"), &documents).await?;
    let repo_mib = ours.peak_mib();
    drop(ours);

    let ours = Running::ours(&place("exchange")?).await?;
    let transport = |token: &str| Http::new(&ours.url(), &Trust::new(None)?, token);
    let (uploaded, ..) = exchange(Some(&ours), &transport("device")?, None, changes(&documents)?).await?;
    let (fetched, cursor, count) = exchange(Some(&ours), &transport("late")?, None, Vec::new()).await?;
    ensure!(count == DOCUMENTS, "{count} documents");
    let (again, ..) = exchange(Some(&ours), &transport("late")?, cursor, Vec::new()).await?;
    let exchange_mib = ours.peak_mib();

    println!("| {DOCUMENTS} documents of {ROWS} × {CELLS} | official server | /sync/repo | exchange |");
    println!("| --- | --- | --- | --- |");
    let own = [uploaded, fetched, again];
    for (row, what) in ["upload", "fetch", "reconnect"].into_iter().enumerate() {
        println!("| {what} | {} | {} | {} |", of_node[row], of_ours[row], own[row]);
    }
    println!("| peak MiB | {node_mib:.0} | {repo_mib:.0} | {exchange_mib:.0} |");
    many(&ours.url(), &here).await?;
    println!("peak MiB after that: {:.0}", ours.peak_mib());
    Ok(())
}

/// Five hundred devices, each with an edit after the other, all at once.
async fn many(url: &str, here: &server::Server) -> anyhow::Result<()> {
    let begun = Instant::now();
    let here =
        Arc::new((url.to_owned(), here.period(), (0..DEVICES).map(|n| county::branch(here, n)).collect::<Vec<_>>()));
    let mut devices = tokio::task::JoinSet::new();
    for number in 0..DEVICES {
        let here = here.clone();
        devices.spawn(async move {
            let (url, period, units) = here.as_ref();
            let identity = Identity { unit: units[number], book: Book::Unit, period: period.clone() };
            let transport = Http::new(url, &Trust::new(None)?, &format!("phone-{number}"))?;
            // It does not hold what is there: its changes stand beside it.
            let (mut document, mut cursor, mut took) = (Document::new(), None, Vec::new());
            let mut author = author(2);
            author.actor.0[..8].copy_from_slice(&(number as u64).to_be_bytes());
            for edit in 0..EDITS {
                let address = Address::new("members", repo::row(edit), "work_post");
                let edits = [Edit { address, value: format!("岗位{edit}").as_str().into() }];
                let change = document.write(&identity, &edits, &author)?.context("a change")?;
                let outbox = vec![Outgoing { identity: identity.clone(), hash: change.hash, bytes: change.bytes }];
                let (cost, next, _) = exchange(None, &transport, cursor, outbox).await?;
                cursor = next;
                took.push(cost.seconds);
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(device) = devices.join_next().await {
        took.extend(device??);
    }
    took.sort_by(f64::total_cmp);
    let (count, elapsed) = (took.len(), begun.elapsed());
    let percentile = |percent: usize| Duration::from_secs_f64(took[(count - 1) * percent / 100]);
    println!(
        "{DEVICES} devices × {EDITS} edits: {:.0} durable changes/s, to receipt p50 {:.0?}, p99 {:.0?}",
        count as f64 / elapsed.as_secs_f64(),
        percentile(50),
        percentile(99),
    );
    Ok(())
}
