//! Strangers who open connections and keep them, bodies that drip, and people who ask for more than a core can draw: whoever
//! is known goes on.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use reqwest::StatusCode;
use serde_json::{Value, json};
use server::{
    Server, audit,
    auth::Role,
    config::{Config, File},
    heavy::Who,
};
use sync_protocol::{Book, Identity, RowId, client::Trust};
use tests::{county, people, roster};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    time::{Instant, timeout},
};

const SOON: Duration = Duration::from_secs(10);

async fn open(folder: &Path, connections_max: usize, strangers_max: usize) -> Result<Server> {
    let file = File { data_dir: folder.join("data"), connections_max, strangers_max, ..File::default() };
    let server = Server::create_embedded(&Config::check(file)?).await?;
    server.store.put_units(&roster::units(&server.tenant, server.county, 1)).await?;
    Ok(server)
}

async fn connect(url: &str) -> Result<TcpStream> {
    Ok(TcpStream::connect(url.strip_prefix("http://").context("an address")?).await?)
}

/// Asks on a connection that stays open; the head of the answer.
async fn ask(stream: &mut TcpStream, token: &str) -> Result<String> {
    let request = format!("GET /api/catalogue HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // Until the last chunk or the whole length has come.
    loop {
        let mut part = vec![0; 16 << 10];
        let read = timeout(SOON, stream.read(&mut part)).await??;
        answer.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            anyhow::ensure!(read > 0, "closed after: {text}");
            continue;
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let is_whole = match length {
            Some(length) => body.len() >= length.parse()?,
            None => body.ends_with("0\r\n\r\n"),
        };
        if is_whole || read == 0 {
            return Ok(head.to_owned());
        }
    }
}

/// Whether the other end has closed it.
async fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(timeout(Duration::from_secs(1), stream.read(&mut [0; 64])).await, Ok(Ok(0) | Err(_)))
}

/// What the audit log says of connections.
async fn noted(server: &Server) -> Result<Vec<(Option<String>, Value)>> {
    let lines = server.store.people().audit(0, 1000).await?.into_iter();
    let lines = lines.map(|line| Ok((line.entry.address, serde_json::from_str::<Value>(&line.entry.detail)?)));
    let lines = lines.collect::<Result<Vec<_>>>()?;
    Ok(lines.into_iter().filter(|(_, detail)| detail["name"] == "connections").collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_crowd_each_other_out_and_nobody_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = open(folder.path(), 60, 8).await?;
    let url = county::serve(&server).await?;
    let unit = county::branch(&server, 0);
    let device = county::device(&server, folder.path(), &url, "phone", unit, &[Book::Unit]).await?;
    let mut known = connect(&url).await?;
    assert!(ask(&mut known, "phone").await?.starts_with("HTTP/1.1 200"));
    let mut crowd = Vec::new();
    for _ in 0..40 {
        crowd.push(connect(&url).await?);
    }
    // The last of them has been let in once it is answered.
    let mut last = connect(&url).await?;
    assert!(ask(&mut last, "nobody").await?.starts_with("HTTP/1.1 401"));
    let mut closed = 0;
    for stream in &mut crowd {
        closed += usize::from(is_closed(stream).await);
    }
    assert_eq!(closed, 33, "eight stay, the last among them");
    assert!(ask(&mut known, "phone").await?.starts_with("HTTP/1.1 200"), "whoever is known stays");
    let identity = Identity { unit, book: Book::Unit, period: server.period() };
    device.save(&identity, "members", RowId::random([1; 10]), &[("name", "张三".into())], 0).await?;
    assert_eq!(device.exchange(0).await?.receipts.len(), 1);
    // One line at once, another for all the rest.
    audit::note_counted(&server, true).await;
    let lines = noted(&server).await?;
    let times: Vec<Option<u64>> = lines.iter().map(|(_, detail)| detail["times"].as_u64()).collect();
    assert_eq!(times.len(), 2, "{lines:?}");
    assert!(times[0].is_none() && times[1].is_some_and(|times| times >= 30), "{lines:?}");
    assert!(lines.iter().all(|(address, _)| address.as_deref() == Some("127.0.0.1")), "{lines:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_places_are_taken_by_those_who_are_known_the_next_is_told_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = open(folder.path(), 3, 8).await?;
    let url = county::serve(&server).await?;
    county::device(&server, folder.path(), &url, "phone", county::branch(&server, 0), &[Book::Unit]).await?;
    let mut taken = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(&url).await?;
        assert!(ask(&mut stream, "phone").await?.starts_with("HTTP/1.1 200"));
        taken.push(stream);
    }
    let mut fourth = connect(&url).await?;
    fourth.write_all(b"GET /api/status HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    let mut answer = String::new();
    timeout(SOON, fourth.read_to_string(&mut answer)).await??;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 10"), "{answer}");
    assert!(answer.contains("连接过多") && answer.contains("too many connections"), "{answer}");
    drop(taken.pop());
    let begun = Instant::now();
    loop {
        let mut again = connect(&url).await?;
        if ask(&mut again, "phone").await?.starts_with("HTTP/1.1 200") {
            return Ok(());
        }
        anyhow::ensure!(begun.elapsed() < SOON, "a place that was given back is to be had");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_cut_off() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = open(folder.path(), 60, 8).await?;
    let url = county::serve(&server).await?;
    let mut stream = connect(&url).await?;
    let head =
        "POST /api/session HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let (mut reading, mut writing) = stream.into_split();
    let drips = tokio::spawn(async move {
        while writing.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let (begun, mut answer) = (Instant::now(), vec![0; 4096]);
    let read = timeout(Duration::from_secs(50), reading.read(&mut answer)).await??;
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("传得太慢"), "{answer}");
    assert!(begun.elapsed() >= Duration::from_secs(25), "a bad line has some time: {:?}", begun.elapsed());
    drips.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn states_of_the_past_are_drawn_one_at_a_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = open(folder.path(), 200, 100).await?;
    let url = county::serve(&server).await?;
    let unit = county::branch(&server, 0);
    let device = county::device(&server, folder.path(), &url, "phone", unit, &[Book::Unit]).await?;
    let identity = Identity { unit, book: Book::Unit, period: server.period() };
    device.save(&identity, "members", RowId::random([1; 10]), &[("name", "张三".into())], 0).await?;
    device.exchange(0).await?;
    let client = Trust::new(None)?.client()?;
    let mut cookies = Vec::new();
    for name in ["one", "other"] {
        let person =
            people::add(&server, name, Role::OfficeClerk, server.county, false, "correct horse battery").await?;
        cookies.push(people::cookie(&server, &person).await?);
    }
    let draw = |cookie: &str, body: Value| {
        let request = client.post(format!("{url}/api/returns")).header("cookie", cookie).json(&body);
        tokio::spawn(async move { anyhow::Ok(request.send().await?) })
    };
    let past = json!({ "name": "R03", "as_of_seq": 1 });
    // Somebody else is being drawn for.
    let ((begins, has_begun), (end, ended)) = (oneshot::channel(), oneshot::channel::<()>());
    let (heavy, long) = (server.heavy.clone(), async move { (begins.send(()).ok(), ended.await) });
    let drawn = tokio::spawn(async move { heavy.run(Who::Strangers, long).await.is_ok() });
    has_begun.await?;
    let mut own: Vec<_> = (0..4).map(|_| draw(&cookies[0], past.clone())).collect();
    let refused = async |drawing: &mut Vec<tokio::task::JoinHandle<Result<reqwest::Response>>>| -> Result<Value> {
        let begun = Instant::now();
        loop {
            if let Some(at) = drawing.iter().position(tokio::task::JoinHandle::is_finished) {
                let response = drawing.swap_remove(at).await??;
                assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
                let wait_s: u64 = response.headers()["retry-after"].to_str()?.parse()?;
                assert!((5..=80).contains(&wait_s), "{wait_s}");
                return Ok(serde_json::from_str(&response.text().await?)?);
            }
            anyhow::ensure!(begun.elapsed() < SOON, "an answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    for _ in 0..2 {
        let problem = refused(&mut own).await?;
        let detail = problem["detail"].as_str().context("words")?;
        assert!(detail.contains("排队") && detail.contains("try again in about"), "{detail}");
    }
    // Two wait, whoever else asks waits behind them; what is quick does not wait.
    let other = draw(&cookies[1], json!({ "name": "members" }));
    let quick = timeout(SOON, draw(&cookies[1], json!({ "name": "R03" }))).await???;
    assert_eq!(quick.status(), StatusCode::OK);
    assert!(own.iter().all(|drawing| !drawing.is_finished()) && !other.is_finished());
    drop(end);
    assert!(drawn.await?);
    for drawing in own.into_iter().chain([other]) {
        let response = timeout(Duration::from_mins(1), drawing).await???;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.bytes().await?.starts_with(b"PK"));
    }
    Ok(())
}
