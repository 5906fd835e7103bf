//! `taizhang demo`: a county in one command, from messy ledgers to merged returns, with two devices offline in between.

mod county;
mod ledgers;
mod messy;
mod xls;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use data_encoding::HEXLOWER;
use indicatif::{ProgressBar, ProgressStyle};
use sync_protocol::{
    ActorId, Book, DeviceId, Identity, UnitId, Value,
    catalogue::Sensitivity,
    client::{Device, DeviceConfig},
    unit::UnitLevel,
};

use crate::{
    Server,
    auth::Role,
    clock,
    config::{Config, File},
    devices as enrolment, http,
    import::{ImportReport, import_file},
    installation,
    people::{self, Profile},
    returns::{self, ReturnRequest, conflicts},
    store::{DeviceRecord, token_hash},
};

/// How to run the demonstration.
#[derive(Debug, Clone)]
pub struct Options {
    /// Everything goes here.
    pub folder: PathBuf,
    /// Where to serve.
    pub listen: std::net::SocketAddr,
    /// Seed of the county.
    pub seed: u64,
    /// Whether to go on serving at the end.
    pub serve: bool,
}

/// Runs the whole story; may be run again in the same folder.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let folder = &options.folder;
    let ledgers = folder.join("ledgers");
    for part in [&ledgers, &folder.join("data"), &folder.join("devices"), &folder.join("returns")] {
        std::fs::create_dir_all(part).with_context(|| part.display().to_string())?;
    }
    // Before anything long: a port that is taken should be said at once.
    let listener = tokio::net::TcpListener::bind(options.listen).await.with_context(|| {
        format!("端口被占用，请用 --listen 换一个 cannot listen on {}; choose another with --listen", options.listen)
    })?;
    let address = listener.local_addr()?;
    let config = Config::check(File { data_dir: folder.join("data"), listen: options.listen, ..File::default() })?;
    let _lock = installation::lock(&config.data_dir)?;
    let server = Arc::new(Server::create_embedded(&config).await?);

    println!("一、生成示范县台账 Generate the ledgers of a synthetic county");
    let files = generate(options.seed, &ledgers)?;
    println!("    {} 个工作簿 workbooks → {}", files.len(), ledgers.display());

    println!("二、导入 Import");
    let reports = import(&server, &files).await?;
    summarise(&reports, &folder.join("findings.txt"))?;

    println!("三、两台手机离线填写，再同步 Two devices edit offline and come back");
    let stop = stop_switch();
    let serving = tokio::spawn(http::serve(server.clone(), listener, stop.1));
    devices(&server, folder, &format!("http://{address}")).await?;

    println!("四、报表 Returns");
    for path in draw(&server, &folder.join("returns")).await? {
        println!("    {}", path.display());
    }

    println!("五、冲突 Conflicts");
    print_conflicts(&server).await?;

    if options.serve {
        println!();
        println!("服务已启动 Serving on http://{address}/  (Ctrl+C 结束 to stop)");
        println!(
            "报表在 returns in {} ,导入问题清单 import findings in {}",
            folder.join("returns").display(),
            folder.join("findings.txt").display()
        );
        let code = invitation(&server).await?;
        println!("手机端：用浏览器打开（一次性）The field app, a link for one phone: http://{address}/#enrol={code}");
        tokio::signal::ctrl_c().await?;
    }
    let _ = stop.0.send(());
    serving.await??;
    Ok(())
}

/// A one-time code for the phone of a township's cadre.
async fn invitation(server: &Server) -> anyhow::Result<String> {
    const NAME: &str = "demo-cadre";
    let person = if let Some((person, _)) = server.store.people().person_by_name(NAME).await? {
        person
    } else {
        let units = server.store.units().await?;
        let town = units.into_iter().find(|unit| unit.level == UnitLevel::ReportingUnit).context("a township")?;
        let full_name = "包村干部 王芳".to_owned();
        let profile = Profile { full_name, role: Role::FieldCadre, unit: town, is_handler: false };
        people::add(server, NAME, &profile, "demo").await?.0
    };
    Ok(enrolment::invite(server, &person, "手机", "demo").await?.code)
}

type Stop = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A switch that ends the server.
fn stop_switch() -> (tokio::sync::oneshot::Sender<()>, Stop) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    (sender, Box::pin(async move { receiver.await.unwrap_or(()) }))
}

/// Writes the county's workbooks; the same seed gives the same county.
pub fn generate(seed: u64, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let all = ledgers::ledgers(&county::county(seed));
    let bar = bar(all.len() as u64, "生成");
    let mut paths = Vec::new();
    for ledger in all {
        let path = folder.join(&ledger.file);
        let bytes = if ledgers::is_xls(&ledger.file) {
            xls::write(&ledger.sheets)?
        } else {
            messy::write_xlsx(&ledger.sheets)?
        };
        std::fs::write(&path, bytes).with_context(|| path.display().to_string())?;
        paths.push(path);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(paths)
}

async fn import(server: &Server, files: &[PathBuf]) -> anyhow::Result<Vec<ImportReport>> {
    let bar = bar(files.len() as u64, "导入");
    let mut reports = Vec::new();
    for file in files {
        bar.set_message(file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default());
        let report = import_file(server, file, "县委组织部", &|_, _| {}).await;
        reports.push(report.with_context(|| file.display().to_string())?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(reports)
}

fn summarise(reports: &[ImportReport], findings: &Path) -> anyhow::Result<()> {
    let already = reports.iter().filter(|r| r.already_imported).count();
    if already > 0 {
        println!("    {already} 个工作簿以前导入过，未改动 imported before, left alone");
    }
    let mut counts = importer::plan::Counts::default();
    let mut lines = Vec::new();
    for report in reports {
        counts += report.counts;
        lines.extend(
            report
                .findings
                .iter()
                .map(|f| format!("{}\t{}!{}\t{}\t{}\t{}\n", report.file, f.sheet, f.cell, f.column, f.read, f.message)),
        );
    }
    let documents: usize = reports.iter().map(|r| r.documents).sum();
    println!(
        "    新增 added {} 行，修改 changed {} 行，未变 unchanged {} 行，未导入 refused {} 行；写入 {} 份文档 documents",
        counts.added, counts.changed, counts.unchanged, counts.refused, documents
    );
    if already < reports.len() {
        std::fs::write(findings, lines.concat())?;
        println!("    {} 条提示 findings → {}", lines.len(), findings.display());
    }
    Ok(())
}

/// Two cadres of one village: they take its documents, lose the signal, edit, and come back.
async fn devices(server: &Arc<Server>, folder: &Path, url: &str) -> anyhow::Result<()> {
    let units = server.store.units().await?;
    let village = units
        .iter()
        .find(|unit| unit.code.as_deref() == Some("001-001"))
        .context("the demonstration's first village")?;
    let (a, a_is_new) = device(server, folder, url, "甲", "村干部 张明", village.id).await?;
    let (b, _) = device(server, folder, url, "乙", "包村干部 李芳", village.id).await?;
    for (name, device) in [("甲", &a), ("乙", &b)] {
        let done = device.exchange(clock::now_ms()).await?;
        println!(
            "    手机{name}：首次同步 {} 份文档，{} 个请求，收 {} 字节 took documents",
            done.documents, done.requests, done.bytes_received
        );
    }
    let book = Identity { unit: village.id, book: Book::Unit, period: server.period() };
    // Another member on every run: the conflicts of earlier runs stay for a person to settle.
    let members = a.rows(&book, "members").await?;
    let member = members.iter().find(|row| !row.text("phone").starts_with("1390000")).or(members.first());
    let member = member.context("the village has members")?;
    let now = clock::now_ms();
    // Different cells of one row, and one cell twice.
    a.save(&book, "members", member.id, &[("employer", "青山合作社".into()), ("phone", "13900001111".into())], now)
        .await?;
    b.save(&book, "members", member.id, &[("work_post", "护林员".into()), ("phone", "13900002222".into())], now)
        .await?;
    // The same new member on both phones.
    let new: [(&str, Value); 4] = [
        ("name", "陈晓东".into()),
        ("birth_date", "1990-05-04".into()),
        ("sex", "1".into()),
        ("member_category", "probationary".into()),
    ];
    for (device, employer) in [(&a, "县一中"), (&b, "县一中")] {
        let row = device.new_row("members", &new, clock::random());
        let mut cells = new.to_vec();
        cells.push(("employer", employer.into()));
        device.save(&book, "members", row, &cells, now).await?;
    }
    println!("    离线填写后，未送达 unsent: 甲 {} 处，乙 {} 处", a.unsent().await?, b.unsent().await?);
    for (name, device) in [("甲", &a), ("乙", &b), ("甲", &a)] {
        let done = device.exchange(clock::now_ms()).await?;
        println!(
            "    手机{name}：送达 receipts {}，收到 documents {}，共 {} 字节 bytes",
            done.receipts.len(),
            done.documents,
            done.bytes_sent + done.bytes_received
        );
    }
    let same = a.document(&book).await?.heads() == b.document(&book).await?.heads();
    anyhow::ensure!(same, "两台手机内容不一致 the devices did not converge");
    println!("    两台手机与服务器内容一致 all replicas agree{}", if a_is_new { "" } else { "(再次运行 run again)" });
    Ok(())
}

/// Enrols a device with a fresh token and opens its store.
async fn device(
    server: &Arc<Server>,
    folder: &Path,
    url: &str,
    name: &str,
    who: &str,
    unit: UnitId,
) -> anyhow::Result<(Device, bool)> {
    let token = HEXLOWER.encode(&clock::random::<32>());
    let id = DeviceId::from_bytes(stable_id(name));
    let books = Role::FieldCadre.books(UnitLevel::Organisation, false);
    let record = DeviceRecord::new(id, (&format!("手机{name}"), who), &token, unit, &books.reads);
    let record = DeviceRecord { writes: books.writes, ..record };
    server.store.put_device(&record, clock::now_ms()).await?;
    let path = folder.join("devices").join(format!("手机{name}.sqlite"));
    let is_new = !path.exists();
    let (server_key, actor) = (Some(server.keys.public().signing), ActorId(clock::random()));
    let config = DeviceConfig {
        path,
        server: url.to_owned(),
        certificate: None,
        token,
        secret: None,
        who: who.to_owned(),
        server_key,
        actor,
    };
    Ok((Device::open(config, server.catalogue.clone()).await?, is_new))
}

/// A stable id for a device of the demonstration, so that running it again enrols the same two.
fn stable_id(name: &str) -> [u8; 16] {
    let hash = token_hash(&format!("demo device {name}"));
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    id
}

async fn draw(server: &Server, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let top = returns::county(server).await?;
    let request = |name: &str, round: Option<&str>, date| ReturnRequest {
        variables: round.map(|round| ("round".to_owned(), round.to_owned())).into_iter().collect(),
        ..ReturnRequest::new(name, top.clone(), date, folder)
    };
    let mut paths = Vec::new();
    for request in [
        request("R03", Some("initial"), jiff::civil::date(2012, 4, 30)),
        request("R03", Some("final"), jiff::civil::date(2012, 11, 10)),
        request("members", None, jiff::civil::date(2012, 11, 10)),
    ] {
        let bar = spinner(&format!("写 {}", request.name));
        let drawn = returns::draw(server, &request).await?;
        bar.finish_and_clear();
        for failed in &drawn.failed_checks {
            println!("    审核关系 check relation: {failed}");
        }
        paths.push(drawn.path);
    }
    Ok(paths)
}

async fn print_conflicts(server: &Server) -> anyhow::Result<()> {
    let units = server.store.units().await?;
    let lines = conflicts::lines(server, &conflicts::of_year(server).await?, &units, Sensitivity::S2);
    for line in &lines {
        println!("    {} · {} · {}：", line.unit, line.record, line.column);
        for (index, side) in line.values.iter().enumerate() {
            let mark = if index == 0 { "采用" } else { "另有" };
            println!("        {mark}「{}」 {} {}", side.value, side.who, side.when);
        }
    }
    if lines.is_empty() {
        println!("    没有冲突 none");
    }
    Ok(())
}

/// A progress bar that stays silent when nobody watches.
fn bar(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("    {prefix} {bar:30} {pos}/{len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_prefix(what)
}

fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}
