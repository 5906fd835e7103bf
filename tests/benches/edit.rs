//! One edit from a device to its receipt: on a document with ten times the changes, and in a store with ten times the
//! documents; all in one run.
//!
//! `cargo bench -p tests --bench edit`

use std::time::Instant;

use anyhow::Context;
use minicbor::bytes::ByteVec;
use server::{Server, clock, import::import_file, store::DeviceRecord};
use sync_protocol::{
    ActorId, Address, Book, DeviceId, Document, Identity, RowId,
    conflict::{Means, Provenance},
    document::{Author, Edit},
    message::{DocumentPush, ExchangeRequest, PROTOCOL, PushedChange},
};
use tests::{county, roster};

const EDITS: usize = 300;

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    println!("| store | document | median ms to receipt | against the first |\n| --- | --- | --- | --- |");
    let mut first = None;
    for (branches, changes) in [(100, 100), (100, 1_000), (1_000, 100)] {
        let median = measure(branches, changes).await?;
        let ratio = median / *first.get_or_insert(median);
        println!("| {} documents | {changes} changes | {:.2} | {ratio:.2} |", branches * 2, median * 1e3);
    }
    Ok(())
}

/// The median time of one edit, in seconds.
async fn measure(branches: usize, changes: usize) -> anyhow::Result<f64> {
    let (folder, server) = county::with_branches(branches).await?;
    let file = folder.path().join("roster.xlsx");
    std::fs::write(&file, roster::workbook(branches, 30)?)?;
    import_file(&server, &file, "bench", &|_, _| {}).await?;
    let unit = county::branch(&server, 0);
    let identity = Identity { unit, book: Book::Unit, period: server.period() };
    let record = DeviceRecord::new(DeviceId::from_bytes([1; 16]), ("bench", "bench"), "bench", unit, &[Book::Unit]);
    server.store.put_device(&record, 0).await?;
    let stored = server.store.document(identity.document(&server.tenant)).await?.context("the document")?;
    let mut document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
    let rows: Vec<RowId> = document.rows("members").into_keys().collect();
    let mut seconds = Vec::with_capacity(EDITS);
    let mut cursor = None;
    for number in 0..changes + EDITS {
        let row = rows[number % rows.len()];
        let took = edit(&server, &record, (&identity, &mut document), (row, number), &mut cursor).await?;
        if number >= changes {
            seconds.push(took);
        }
    }
    seconds.sort_by(f64::total_cmp);
    server.store.close().await;
    Ok(seconds[EDITS / 2])
}

/// Writes one cell and hands it over; the time from the request to the receipt.
async fn edit(
    server: &Server,
    device: &DeviceRecord,
    (identity, document): (&Identity, &mut Document),
    (row, number): (RowId, usize),
    cursor: &mut Option<ByteVec>,
) -> anyhow::Result<f64> {
    let provenance = Provenance { who: "bench".into(), how: Means::Form, source: None };
    let author = Author { actor: ActorId([7; 16]), provenance, time_s: 0 };
    let address = Address::new("members", row, "work_post");
    let edits = [Edit { address, value: format!("岗位{number}").as_str().into() }];
    let change = document.write(identity, &edits, &author)?.context("a change")?;
    let pushed = PushedChange { hash: change.hash, bytes: change.bytes.into() };
    let push = vec![DocumentPush { identity: identity.clone(), changes: vec![pushed] }];
    let (asks, held) = (Vec::new(), Vec::new());
    let request = ExchangeRequest { protocol: PROTOCOL, cursor: cursor.take(), push, device_time_ms: 0, asks, held };
    let begun = Instant::now();
    let reply = server.sync.exchange(device, request, clock::now_ms()).await?;
    let took = begun.elapsed().as_secs_f64();
    anyhow::ensure!(reply.receipts == [change.hash], "{:?}", reply.refusals);
    *cursor = Some(reply.cursor);
    Ok(took)
}
