//! Opening a year for a county of 60,000 members in 600 branches, beside the import that brought them; opening it once more, when
//! nothing has changed, and when one branch in ten has; and sealing the old one.
//!
//! `cargo bench -p tests --bench years`

use std::time::Instant;

use anyhow::Context;
use server::{
    Server,
    audit::By,
    config::{Config, File},
    import::import_file,
    periods::{self, Opened},
};
use sync_protocol::{ActorId, Document, Identity, conflict::Means, conflict::Provenance, document::Author};
use tests::{county, process::peak_memory_mib, roster};

const BRANCHES: usize = 600;
const MEMBERS_PER_BRANCH: usize = 100;

fn main() -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("roster.xlsx");
    std::fs::write(&file, roster::workbook(BRANCHES, MEMBERS_PER_BRANCH)?)?;
    let config = Config::check(File { data_dir: folder.path().join("data"), ..File::default() })?;
    let server = Server::create_embedded(&config).await?;
    server.store.put_units(&roster::units(&server.tenant, server.county, BRANCHES)).await?;
    let size = || std::fs::metadata(folder.path().join("data/taizhang.sqlite")).map_or(0.0, |m| m.len() as f64 / 1e6);
    println!("| what | seconds | documents written | database MB |\n| --- | --- | --- | --- |");
    let begun = Instant::now();
    let done = import_file(&server, &file, "bench", &|_, _| {}).await?;
    anyhow::ensure!(done.counts.added == BRANCHES * MEMBERS_PER_BRANCH, "{:?}", done.counts);
    let imported = begun.elapsed().as_secs_f64();
    println!("| import of 60,000 members | {imported:.2} | {} | {:.0} |", done.documents, size());
    let (opened, seconds) = open(&server).await?;
    anyhow::ensure!(opened.ledgers["members"].carried == BRANCHES * MEMBERS_PER_BRANCH, "{:?}", opened.ledgers);
    println!("| open 2013 | {seconds:.2} | {} | {:.0} |", opened.documents, size());
    let ratio = seconds / imported;
    let (opened, seconds) = open(&server).await?;
    println!("| open it again, nothing new | {seconds:.2} | {} | {:.0} |", opened.documents, size());
    for index in (0..BRANCHES).step_by(10) {
        edit(&server, index).await?;
    }
    let (opened, seconds) = open(&server).await?;
    println!("| open it again, 60 branches have changed | {seconds:.2} | {} | {:.0} |", opened.documents, size());
    let begun = Instant::now();
    periods::seal(&server, "2012", &By::from("bench")).await?;
    println!("| seal 2012 | {:.2} | 0 | {:.0} |", begun.elapsed().as_secs_f64(), size());
    println!("ratio of opening to importing: {ratio:.2}; peak memory {:.0} MiB", peak_memory_mib().unwrap_or(0.0));
    server.store.close().await;
    Ok(())
}

async fn open(server: &Server) -> anyhow::Result<(Opened, f64)> {
    let begun = Instant::now();
    let opened = periods::open(server, "2013", "2012", &By::from("bench"), &|_, _| {}).await?;
    Ok((opened, begun.elapsed().as_secs_f64()))
}

/// Somebody corrects a telephone number in a branch.
async fn edit(server: &Server, index: usize) -> anyhow::Result<()> {
    use server::{projection, store};
    use sync_protocol::{Address, Book, document::Edit};
    let identity = Identity { unit: county::branch(server, index), book: Book::Unit, period: server.period() };
    let id = identity.document(&server.tenant);
    let stored = server.store.document(id).await?.context("a document")?;
    let mut document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
    let row = *document.rows("members").keys().next().context("a member")?;
    let edit = Edit { address: Address::new("members", row, "phone"), value: "13900000000".into() };
    let author = Author {
        actor: ActorId(server::clock::random()),
        provenance: Provenance { who: "bench".into(), how: Means::Form, source: None },
        time_s: 0,
    };
    let expected_heads = document.heads();
    let change = document.write(&identity, std::slice::from_ref(&edit), &author)?.context("a change")?;
    let rows = projection::project(&document, &[(&edit.address).into()]);
    let write = store::DocumentWrite {
        expected_heads,
        changes: vec![store::NewChange {
            hash: change.hash,
            actor: author.actor.0.to_vec(),
            bytes: Some(change.bytes),
        }],
        snapshot: None,
        rows,
        ..projection::whole(&identity, id, &document)?
    };
    anyhow::ensure!(server.store.commit(vec![write]).await? == [store::Committed::Durable], "written");
    Ok(())
}
