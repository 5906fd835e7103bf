//! What a quiet exchange costs.

use std::sync::atomic::Ordering;

use anyhow::Result;
use server::{Server, clock, import::import_file, indicators::indicators};
use sync_protocol::{
    ActorId, Book, Identity, RowId, UnitId, Value,
    bundle::{Keys, is_signed_by},
    client::{Device, DeviceConfig},
    message::receipt_statement,
    row::STATE,
};
use tests::{county, roster};

const BRANCHES: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_nothing_new_costs_one_small_request_whatever_it_holds() -> Result<()> {
    let (folder, server) = county::with_branches(BRANCHES).await?;
    let file = folder.path().join("roster.xlsx");
    std::fs::write(&file, roster::workbook(BRANCHES, 1)?)?;
    let done = import_file(&server, &file, "县委组织部", &|_, _| {}).await?;
    assert_eq!(done.documents, 2 * BRANCHES);
    let url = county::serve(&server).await?;
    let books = [Book::Unit, Book::UnitRestricted];
    let device = county::device(&server, folder.path(), &url, "supervisor", server.county, &books).await?;
    let first = device.exchange(clock::now_ms()).await?;
    assert_eq!(first.documents, 2 * BRANCHES);
    assert_eq!(device.documents().await?.len(), 2 * BRANCHES);
    assert!(first.requests > 1, "the first sync is cut into pages");

    let loaded = || server.sync.counters.documents_loaded.load(Ordering::Relaxed);
    let before = loaded();
    let quiet = device.exchange(clock::now_ms()).await?;
    assert_eq!((quiet.requests, quiet.documents), (1, 0));
    assert!(quiet.bytes_sent + quiet.bytes_received < 1024, "{quiet:?}");
    assert_eq!(loaded(), before, "nothing was loaded to answer");

    // The counter does count: one edit of one document loads one.
    let unit = county::branch(&server, 7);
    let book = Identity { unit, book: Book::Unit, period: server.period() };
    let row = device.rows(&book, "members").await?[0].id;
    device.save(&book, "members", row, &[("remark", Value::from("在外务工"))], clock::now_ms()).await?;
    let edited = device.exchange(clock::now_ms()).await?;
    assert_eq!((edited.requests, edited.receipts.len()), (1, 1));
    assert!(edited.bytes_sent + edited.bytes_received < 1024, "{edited:?}");
    assert_eq!(loaded(), before + 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_writes_only_where_it_may() -> Result<()> {
    let (folder, server) = county::with_branches(2).await?;
    let url = county::serve(&server).await?;
    let own = county::branch(&server, 0);
    let other = county::branch(&server, 1);
    let device = county::device(&server, folder.path(), &url, "cadre", own, &[Book::Unit]).await?;
    for (unit, book, allowed) in [
        (own, Book::Unit, true),
        (other, Book::Unit, false),
        (own, Book::Township, false),
        (own, Book::UnitRestricted, false),
    ] {
        let ledger = if book == Book::Township { "grading" } else { "members" };
        let column = if book == Book::UnitRestricted { "address" } else { "remark" };
        let identity = Identity { unit, book, period: server.period() };
        let row = device.new_row(ledger, &[], clock::random());
        device.save(&identity, ledger, row, &[(column, "x".into())], 0).await?;
        let done = device.exchange(clock::now_ms()).await?;
        assert_eq!(done.refusals.is_empty(), allowed, "{book} of {unit}: {:?}", done.refusals);
    }
    assert_eq!(device.unsent().await?, 0, "refused changes are not sent for ever");
    assert_eq!(server.store.totals().await?.documents, 1);

    let stranger = raw_post(&url, "nobody").await?;
    assert!(stranger.contains("401"), "{stranger}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_out_of_order_made_offline_is_written_and_shown_to_the_supervisor() -> Result<()> {
    let Branch { folder, server, url, unit } = branch().await?;
    let device = county::device(&server, folder.path(), &url, "cadre", unit, &[Book::Unit]).await?;
    let book = Identity { unit, book: Book::Unit, period: server.period() };
    let row = device.new_row("rectification-items", &[("item_no", 1.into())], clock::random());
    let ledger = "rectification-items";
    let steps = [
        ("open", None),
        ("doing", None),
        // Without the date that it needs; by the branch instead of the township, which writes nothing; and a step that there
        // is not.
        ("done", Some("unmet")),
        ("verified", None),
        ("open", Some("no_such_step")),
    ];
    let mut expected = Vec::new();
    for (status, fault) in steps {
        device.save(&book, ledger, row, &[("item_no", Value::Int(1)), ("status", status.into())], 0).await?;
        let done = device.exchange(clock::now_ms()).await?;
        assert!(done.refusals.is_empty(), "the work is never refused: {:?}", done.refusals);
        expected.extend(fault.map(str::to_owned));
        let mut found: Vec<_> = server.store.wrong_steps().await?.into_iter().map(|s| s.step.fault).collect();
        found.reverse();
        assert_eq!(found, expected, "after {status}");
    }
    let stored = server.store.wrong_steps().await?;
    assert_eq!((stored[0].who.as_str(), stored[0].unit), ("cadre", unit));
    assert_eq!(stored[0].step.before.as_deref(), Some("done"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_and_void_records_do_not_count() -> Result<()> {
    let Branch { folder, server, url, unit } = branch().await?;
    let device = county::device(&server, folder.path(), &url, "cadre", unit, &[Book::Unit]).await?;
    let book = Identity { unit, book: Book::Unit, period: server.period() };
    let row = device.new_row("citizen-requests", &[("request_no", "1".into())], clock::random());
    let date = jiff::civil::date(2012, 12, 31);
    for (state, counted, fault) in [
        (None, 1, None),
        (Some("draft"), 0, None),
        (Some("submitted"), 1, None),
        // That is the township's to say.
        (Some("confirmed"), 1, None),
        (Some("void"), 0, Some("unmet")),
    ] {
        let mut cells =
            vec![("request_no", "1".into()), ("content", "修路".into()), ("collected_on", "2012-03-01".into())];
        cells.extend(state.map(|state| (STATE, Value::text(state))));
        device.save(&book, "citizen-requests", row, &cells, 0).await?;
        assert!(device.exchange(clock::now_ms()).await?.refusals.is_empty());
        let figures = indicators(&server, server.county, date, &["I-39".to_owned()]).await?;
        assert_eq!(figures[0].figure.denominator, Some(counted), "{state:?}");
        let newest = server.store.wrong_steps().await?.into_iter().next().map(|stored| stored.step.fault);
        assert_eq!(newest.as_deref(), fault, "{state:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_devices_writing_one_document_at_once_all_get_their_receipts() -> Result<()> {
    let Branch { folder, server, url, unit } = branch().await?;
    let book = Identity { unit, book: Book::Unit, period: server.period() };
    let mut devices = Vec::new();
    for number in 0..40 {
        let name = format!("device-{number}");
        devices.push((county::device(&server, folder.path(), &url, &name, unit, &[Book::Unit]).await?, name));
    }
    let tasks = devices.into_iter().map(|(device, name)| {
        let book = book.clone();
        tokio::spawn(async move {
            for edit in 0..5 {
                let cells = [("name", Value::from("张三")), ("remark", Value::text(format!("{name} {edit}")))];
                let row = device.new_row("members", &cells, [7; 10]);
                device.save(&book, "members", row, &cells, 0).await?;
                let done = device.exchange(clock::now_ms()).await?;
                anyhow::ensure!(done.receipts.len() == 1, "{name}: {done:?}");
            }
            Ok::<_, anyhow::Error>(device)
        })
    });
    let mut done = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        done.push(task.await??);
    }
    let mut heads = std::collections::BTreeSet::new();
    for device in done {
        device.exchange(clock::now_ms()).await?;
        heads.insert(device.document(&book).await?.heads());
    }
    assert_eq!(heads.len(), 1, "all of them hold the same document");
    assert_eq!(server.store.totals().await?.changes, 200);
    Ok(())
}

/// A server with one branch.
struct Branch {
    folder: tempfile::TempDir,
    server: Server,
    url: String,
    unit: UnitId,
}

async fn branch() -> Result<Branch> {
    let (folder, server) = county::with_branches(1).await?;
    let url = county::serve(&server).await?;
    let unit = county::branch(&server, 0);
    Ok(Branch { folder, server, url, unit })
}

/// A request with a token that nobody has, without the client's help.
async fn raw_post(url: &str, token: &str) -> Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = url.trim_start_matches("http://");
    let mut socket = tokio::net::TcpStream::connect(address).await?;
    let request = format!(
        "POST /sync/exchange HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    socket.read_to_string(&mut reply).await?;
    Ok(reply.lines().next().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_signed_by_the_county_and_others_are_not_believed() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    let url = county::serve(&server).await?;
    let unit = county::branch(&server, 0);
    let identity = Identity { unit, book: Book::Unit, period: server.period() };
    let device = county::device(&server, folder.path(), &url, "phone", unit, &[Book::Unit]).await?;
    let post = [("work_post", Value::from("会计"))];
    device.save(&identity, "members", RowId::random([1; 10]), &post, clock::now_ms()).await?;
    let sent = device.outbox().await?;
    device.exchange(clock::now_ms()).await?;
    let receipts = device.receipts().await?;
    assert_eq!(receipts.iter().map(|receipt| receipt.changes.clone()).collect::<Vec<_>>(), [sent]);
    let statement = receipt_statement(&receipts[0].changes, receipts[0].server_time_ms);
    let key = server.keys.public().signing;
    assert!(is_signed_by(&key, &statement, &receipts[0].signature));
    assert!(!is_signed_by(&key, &statement[1..], &receipts[0].signature), "of another statement");
    device.close().await;

    // The same phone, which knows another county: this server's word is worth nothing to it.
    let config = DeviceConfig {
        path: folder.path().join("phone.sqlite"),
        server: url.clone(),
        token: "phone".into(),
        who: "phone".into(),
        server_key: Some(Keys::of(b"another county").public().signing),
        certificate: None,
        secret: None,
        actor: ActorId(clock::random()),
    };
    let misled = Device::open(config, server.catalogue.clone()).await?;
    misled.save(&identity, "members", RowId::random([2; 10]), &post, clock::now_ms()).await?;
    let error = misled.exchange(clock::now_ms()).await.expect_err("it is not that county's");
    assert!(error.to_string().contains("签发"), "{error}");
    assert_eq!((misled.unsent().await?, misled.receipts().await?.len()), (1, 1), "it keeps its work");
    Ok(())
}
