//! `siege`: fifty devices sync edits against a real server while strangers and a clerk do their worst. Prints how long a plain
//! edit takes until its receipt, and the most memory that the server has held.
//!
//! `cargo run --release -p tests --bin siege -- --seconds 60`

use std::{
    io::{Cursor, Write},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Parser;
use server::{
    auth::Role,
    clock,
    import::import_file,
    returns::{self, ReturnRequest},
    store::DeviceRecord,
};
use sync_protocol::{
    ActorId, Address, Book, DeviceId, Document, Identity,
    bundle::{self, BundleRequest, Keys},
    conflict::{Means, Provenance},
    document::{Author, Edit},
    message::{ExchangeRequest, PROTOCOL, decode, encode},
    session::{DeviceSession, Outgoing},
};
use tests::{
    county, people, process,
    raw::{Raw, connect},
    repo, roster,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    task::JoinSet,
};

/// Lays siege to a server.
#[derive(Parser)]
struct Arguments {
    /// The server's program; the one beside this one, if it is left out.
    #[arg(long)]
    server: Option<PathBuf>,
    /// How long the siege lasts; a quarter of it is measured in peace before.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Devices that write.
    #[arg(long, default_value_t = 50)]
    devices: usize,
    /// Members of each branch: how much there is to draw.
    #[arg(long, default_value_t = 100)]
    members: usize,
    /// Milliseconds between two edits of a device.
    #[arg(long, default_value_t = 2000)]
    pause: u64,
    /// Connections that strangers hold.
    #[arg(long, default_value_t = 3000)]
    idle: usize,
}

/// Longest time that 99 of 100 edits may take, and the most memory: with a release build.
const P99_MAX: Duration = Duration::from_secs(1);
const PEAK_MIB_MAX: f64 = 256.0;

/// What everybody needs to know.
struct Field {
    to: SocketAddr,
    cookie: String,
    /// Workbooks of strangers: a sealed return, a dense one, a nest.
    workbooks: Vec<Vec<u8>>,
    bundle: Vec<u8>,
    newest: i64,
    stops: AtomicBool,
    pause: Duration,
    /// What became of what the besiegers sent, by status; 0 where they were cut off.
    answers: Mutex<std::collections::BTreeMap<(&'static str, u16), usize>>,
}

impl Field {
    fn goes_on(&self) -> bool {
        !self.stops.load(Ordering::Relaxed)
    }

    fn count(&self, what: &'static str, status: u16) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner).entry((what, status)).or_default() += 1;
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    // Both ends of three thousand connections are open files.
    note_open_files(arguments.idle);
    let folder = tempfile::tempdir()?;
    let program = match &arguments.server {
        Some(program) => program.canonicalize()?,
        None => std::env::current_exe()?.with_file_name("taizhang"),
    };
    anyhow::ensure!(program.is_file(), "build the server first: no {}", program.display());
    let (field, identities) = prepare(folder.path(), &arguments).await?;
    let server = Box::pin(start(&program, folder.path(), field.to)).await?;
    let pid = server.id().unwrap_or_default().to_string();
    let cpu = || process::cpu_seconds_of(&pid).unwrap_or(f64::NAN);
    let memory = || process::peak_memory_mib_of(&pid).unwrap_or(f64::NAN);
    let field = Arc::new(field);
    let times: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let failed = Arc::new(AtomicUsize::new(0));
    let mut devices = JoinSet::new();
    for (number, identity) in identities.into_iter().enumerate() {
        devices.spawn(honest(field.clone(), identity, number, times.clone(), failed.clone()));
    }
    println!("{} with {} members", program.display(), arguments.devices * arguments.members);
    println!(
        "| | edits | p50 ms | p99 ms | slowest ms | failed | peak MiB |\n| --- | --- | --- | --- | --- | --- | --- |"
    );
    tokio::time::sleep(Duration::from_secs(arguments.seconds.div_ceil(4))).await;
    line("in peace", &times, &failed, memory());
    let before = cpu();
    let mut besiegers = besiege(&field, arguments.idle);
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let (p99, failures) = line("besieged", &times, &failed, memory());
    println!("processor time of the server while it was besieged: {:.1} s", cpu() - before);
    field.stops.store(true, Ordering::Relaxed);
    besiegers.shutdown().await;
    while let Some(device) = devices.join_next().await {
        device??;
    }
    for ((what, status), times) in field.answers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        println!("{what}: {times} × {}", if *status == 0 { "cut off".to_owned() } else { status.to_string() });
    }
    let holds = failures == 0 && p99 < P99_MAX && memory() < PEAK_MIB_MAX;
    println!("aims (p99 < {} s, peak < {PEAK_MIB_MAX} MiB, none failed): {holds}", P99_MAX.as_secs());
    drop(server);
    Ok(ExitCode::from(u8::from(!holds)))
}

fn note_open_files(idle: usize) {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)).and_then(|soft| soft.parse().ok());
    if soft.is_some_and(|soft: usize| soft < idle + 1000) {
        println!("note: open files are limited to {}: run `ulimit -n {}` before", soft.unwrap_or(0), idle + 1000);
    }
}

/// Prints what was measured since the last line.
fn line(what: &str, times: &Mutex<Vec<Duration>>, failed: &AtomicUsize, peak: f64) -> (Duration, usize) {
    let mut times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
    let failed = failed.swap(0, Ordering::Relaxed);
    times.sort();
    let at = |part: usize| times.get((times.len() * part / 100).min(times.len().saturating_sub(1))).copied();
    let ms = |part| at(part).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    println!("| {what} | {} | {:.1} | {:.1} | {:.1} | {failed} | {peak:.0} |", times.len(), ms(50), ms(99), ms(100));
    (at(99).unwrap_or(Duration::MAX), failed)
}

async fn prepare(folder: &Path, arguments: &Arguments) -> Result<(Field, Vec<Identity>)> {
    let server = county::open(&folder.join("data"), None).await?;
    server.store.put_units(&roster::units(&server.tenant, server.county, arguments.devices)).await?;
    let path = folder.join("members.xlsx");
    std::fs::write(&path, roster::workbook(arguments.devices, arguments.members)?)?;
    import_file(&server, &path, "siege", &|_, _| {}).await?;
    let mut identities = Vec::new();
    for number in 0..arguments.devices {
        let unit = county::branch(&server, number);
        let (id, token) = (DeviceId::from_bytes([u8::try_from(number)? + 1; 16]), format!("phone-{number}"));
        let record = DeviceRecord::new(id, (&token, &token), &token, unit, &[Book::Unit]);
        server.store.put_device(&record, 0).await?;
        identities.push(Identity { unit, book: Book::Unit, period: server.period() });
    }
    let carrier = DeviceRecord::new(DeviceId::from_bytes([0; 16]), ("x", "x"), "carrier", server.county, &[Book::Unit]);
    server.store.put_device(&carrier, 0).await?;
    let clerk = people::add(&server, "clerk", Role::OfficeClerk, server.county, false, "correct horse battery").await?;
    let cookie = people::cookie(&server, &clerk).await?;
    let request =
        ReturnRequest::new("R02", returns::county(&server).await?, server::clock::today(), folder.join("returns"));
    let sealed = std::fs::read(returns::draw(&server, &request).await?.path)?;
    let workbooks = vec![sealed, dense()?, nest()];
    // Sound, encrypted to this server, of somebody whom it does not know, and large.
    let request = ExchangeRequest {
        protocol: PROTOCOL,
        cursor: None,
        push: vec![],
        device_time_ms: 0,
        asks: vec![],
        held: vec![],
    };
    let noise: Vec<u8> = (0..1_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let content = BundleRequest { request, units: noise.into(), answer_bytes_max: None };
    let (bundle, _) = bundle::seal(&content, None, &Keys::of(b"stranger"), &server.keys.public())?;
    let newest = server.store.newest().await?;
    server.store.close().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let (to, stops) = (listener.local_addr()?, AtomicBool::new(false));
    let pause = Duration::from_millis(arguments.pause);
    Ok((Field { to, cookie, workbooks, bundle, newest, stops, pause, answers: Mutex::default() }, identities))
}

/// As much of a table as fits into what strangers may send.
fn dense() -> Result<Vec<u8>> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut put = |name: &str, text: &str| -> Result<()> {
        archive.start_file(name, zip::write::SimpleFileOptions::default())?;
        Ok(archive.write_all(text.as_bytes())?)
    };
    put(
        "[Content_Types].xml",
        r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/worksheets/sheet1.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>"#,
    )?;
    put(
        "_rels/.rels",
        r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
    )?;
    put(
        "xl/workbook.xml",
        r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="a" sheetId="1" r:id="rId1"/></sheets></workbook>"#,
    )?;
    put(
        "xl/_rels/workbook.xml.rels",
        r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
    )?;
    let row = format!("<row>{}</row>", "<c><v>1</v></c>".repeat(500));
    put(
        "xl/worksheets/sheet1.xml",
        &format!(
            r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>"#,
            row.repeat(4000)
        ),
    )?;
    Ok(archive.finish()?.into_inner())
}

/// Tables in tables in tables.
fn nest() -> Vec<u8> {
    let mut text = String::from("<html><body>");
    text.push_str(&"<table><tr><td>".repeat(200_000));
    text.into_bytes()
}

async fn start(program: &Path, folder: &Path, at: SocketAddr) -> Result<Child> {
    let mut command = Command::new(program);
    command.current_dir(folder).arg("--data").arg(folder.join("data")).args(["serve", "--listen", &at.to_string()]);
    let server = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    let begun = Instant::now();
    loop {
        if let Ok(mut raw) = Raw::connect(Ipv4Addr::LOCALHOST, at).await
            && raw.ask("GET /api/status", "", b"").await.is_ok_and(|answer| answer.status == 200)
        {
            return Ok(server);
        }
        anyhow::ensure!(begun.elapsed() < Duration::from_mins(1), "the server does not start");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A device that writes one cell after the other and waits for each receipt. Devices have one address, as behind a carrier's.
async fn honest(
    field: Arc<Field>,
    identity: Identity,
    number: usize,
    times: Arc<Mutex<Vec<Duration>>>,
    failed: Arc<AtomicUsize>,
) -> Result<()> {
    let headers = format!("authorization: Bearer phone-{number}\r\n");
    let (mut document, mut cursor, mut line) = (Document::new(), None, None);
    let provenance = Provenance { who: "siege".into(), how: Means::Form, source: None };
    let author = Author { actor: ActorId([u8::try_from(number)? + 1; 16]), provenance, time_s: clock::now_ms() / 1000 };
    let mut edits = 0;
    while field.goes_on() {
        let address = Address::new("members", repo::row(edits), "work_post");
        let edit = [Edit { address, value: format!("岗位{edits}").as_str().into() }];
        let change = document.write(&identity, &edit, &author)?.context("a change")?;
        let outbox = vec![Outgoing { identity: identity.clone(), hash: change.hash, bytes: change.bytes }];
        let mut session = DeviceSession::new(cursor.clone(), outbox, Vec::new());
        let begun = Instant::now();
        while let Some(request) = session.next_request(0) {
            let body = encode(&request);
            let reply =
                tokio::time::timeout(Duration::from_secs(30), exchange(&field, &mut line, &headers, &body)).await;
            let Ok(Ok(reply)) = reply else {
                failed.fetch_add(1, Ordering::Relaxed);
                line = None;
                break;
            };
            let received = session.receive(decode(&reply)?)?;
            anyhow::ensure!(received.refusals.is_empty(), "an honest change was refused");
            cursor = Some(received.cursor);
        }
        times.lock().unwrap_or_else(PoisonError::into_inner).push(begun.elapsed());
        edits += 1;
        tokio::time::sleep(field.pause).await;
    }
    Ok(())
}

/// On the connection that is open; on a new one where it was closed meanwhile, as every client does.
async fn exchange(field: &Field, line: &mut Option<Raw>, headers: &str, body: &[u8]) -> Result<Vec<u8>> {
    if let Some(open) = line
        && let Ok(answer) = open.ask("POST /sync/exchange", headers, body).await
    {
        anyhow::ensure!(answer.status == 200, "{}", answer.status);
        return Ok(answer.body);
    }
    let mut new = Raw::connect(Ipv4Addr::new(127, 0, 0, 2), field.to).await?;
    let answer = new.ask("POST /sync/exchange", headers, body).await?;
    anyhow::ensure!(answer.status == 200, "{}", answer.status);
    *line = Some(new);
    Ok(answer.body)
}

fn besiege(field: &Arc<Field>, idle: usize) -> JoinSet<()> {
    let mut besiegers = JoinSet::new();
    for number in 0..idle {
        besiegers.spawn(keeps_open(field.clone(), address(1, number / 100)));
    }
    for number in 0..500 {
        besiegers.spawn(drips(field.clone(), address(2, number / 50), number % 2 == 0));
    }
    for number in 0..8 {
        besiegers.spawn(asks(field.clone(), address(3, number), "a workbook of a stranger", number));
    }
    for number in 0..4 {
        besiegers.spawn(asks(field.clone(), address(4, number), "a bundle of a stranger", number));
    }
    for number in 0..8 {
        besiegers.spawn(asks(field.clone(), address(5, 0), "a state of the past", number));
    }
    besiegers
}

fn address(kind: u8, number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, kind, u8::try_from(number + 1).unwrap_or(u8::MAX))
}

/// Opens a connection and says nothing; opens another when it is closed.
async fn keeps_open(field: Arc<Field>, from: Ipv4Addr) {
    while field.goes_on() {
        if let Ok(mut stream) = connect(from, field.to).await {
            let _ = stream.read(&mut [0; 64]).await;
            field.count("an idle connection", 0);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Sends a byte a second of what it says is much.
async fn drips(field: Arc<Field>, from: Ipv4Addr, is_workbook: bool) {
    let (path, length) = if is_workbook { ("/api/returns/verify", 4 << 20) } else { ("/api/session", 60_000) };
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    while field.goes_on() {
        if let Ok(mut stream) = connect(from, field.to).await
            && stream.write_all(head.as_bytes()).await.is_ok()
        {
            let mut answer = [0; 16];
            let read = loop {
                tokio::select! {
                    read = stream.read(&mut answer) => break read.unwrap_or(0),
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
                if stream.write_all(b" ").await.is_err() {
                    break 0;
                }
            };
            let status = answer.get(9..12.min(read)).and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
            field.count("a body that drips", status.unwrap_or(0));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Asks for the same again and again.
async fn asks(field: Arc<Field>, from: Ipv4Addr, what: &'static str, number: usize) {
    let cookie = format!("cookie: {}\r\ncontent-type: application/json\r\n", field.cookie);
    let past = format!(r#"{{"name":"R02","as_of_seq":{}}}"#, field.newest);
    let (request, headers, body) = match what {
        "a state of the past" => ("POST /api/returns", &*cookie, past.as_bytes()),
        "a bundle of a stranger" => ("POST /api/bundles", "authorization: Bearer carrier\r\n", &*field.bundle),
        _ => ("POST /api/returns/verify", "", &*field.workbooks[number % field.workbooks.len()]),
    };
    while field.goes_on() {
        let answer = async {
            let mut raw = Raw::connect(from, field.to).await?;
            raw.ask(request, headers, body).await
        };
        let answer = answer.await;
        field.count(what, answer.as_ref().map_or(0, |answer| answer.status));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
