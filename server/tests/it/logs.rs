//! A full run of the server with its log at `debug`: no password, token, code, cookie or personal datum is in it.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, RequestBuilder, Response, header};
use serde_json::{Value, json};
use sync_protocol::{
    Book, Identity, RowId,
    bundle::Keys,
    client::{Device, DeviceConfig, Trust},
};
use tests::{county, roster, sheet};

/// Runs a command that prints a secret.
fn secret(data: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_taizhang")).arg("--data").arg(data).args(arguments).output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// The server, with everything it logs in a file.
struct Running {
    process: Child,
    url: String,
    client: Client,
}

impl Running {
    fn start(data: &Path, log: &Path) -> Result<Self> {
        let mut process = Command::new(env!("CARGO_BIN_EXE_taizhang"))
            .arg("--data")
            .arg(data)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("RUST_LOG", "debug")
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("its output")?).read_line(&mut line)?;
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).context("an address")?;
        Ok(Self { process, url: url.trim_end_matches('/').to_owned(), client: Trust::new(None)?.client()? })
    }

    fn request(&self, method: Method, path: &str, cookie: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).header(header::COOKIE, cookie)
    }

    async fn sign_in(&self, name: &str, password: &str) -> Result<Response> {
        let body = json!({ "name": name, "password": password });
        Ok(self.client.post(format!("{}/api/session", self.url)).json(&body).send().await?)
    }

    /// Signs in with a first password, and with the next one from then on.
    async fn enter(&self, name: &str, first: &str, next: &str) -> Result<String> {
        let cookie = cookie(&self.sign_in(name, first).await?)?;
        let request = self.request(Method::PUT, "/api/session/password", &cookie);
        request.json(&json!({ "old": first, "new": next })).send().await?.error_for_status()?;
        cookie_of(self.sign_in(name, next).await?)
    }
}

fn cookie(response: &Response) -> Result<String> {
    let cookie = response.headers().get(header::SET_COOKIE).context("a cookie")?.to_str()?;
    Ok(cookie.split(';').next().context("a cookie")?.to_owned())
}

fn cookie_of(response: Response) -> Result<String> {
    cookie(&response.error_for_status()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_or_personal_reaches_the_log() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, log) = (folder.path().join("data"), folder.path().join("log"));
    let server = county::open(&data, None).await?;
    server.store.put_units(&roster::units(&server.tenant, server.county, 1)).await?;
    let (town, branch) = ("340099100", roster::branch_code(0));
    let admin = secret(&data, &["person", "add", "boss", "--full-name", "系统管理员", "--role", "administrator"])?;
    let clerk =
        ["person", "add", "clerk", "--full-name", "李经办", "--role", "office-clerk", "--handler", "--unit", town];
    let clerk = secret(&data, &clerk)?;
    secret(&data, &["person", "add", "cadre", "--full-name", "张包村", "--role", "field-cadre", "--unit", &branch])?;
    let code = secret(&data, &["person", "invite", "cadre"])?;
    let mut secrets = vec![admin.clone(), clerk.clone(), code.clone()];

    let mut running = Running::start(&data, &log)?;
    let (mine, theirs) = ("一个很长的管理员密码2012", "another long password");
    let boss = running.enter("boss", &admin, mine).await?;
    let office = running.enter("clerk", &clerk, theirs).await?;
    secrets.extend([mine.into(), theirs.into(), boss.clone(), office.clone()]);
    running.sign_in("clerk", "a wrong guess at it").await?;
    secrets.push("a wrong guess at it".into());
    running.request(Method::GET, "/api/people", &boss).send().await?.error_for_status()?;
    let totp = running.request(Method::POST, "/api/session/totp", &office).send().await?.error_for_status()?;
    let totp: Value = totp.json().await?;
    secrets.push(totp["url"].as_str().context("a URL")?.split("secret=").nth(1).context("a secret")?[..16].to_owned());

    // A workbook with everything that must not be seen, good and bad.
    let personal = ["340099198001010013", "340099198001010014", "13812345678", "青山镇青石村七组", "赵钱孙"];
    let text = format!(
        "党组织编码|姓名|身份证号|党员类别|手机号码|家庭住址\n{branch}|赵钱孙|340099198001010013|正式|13812345678|青山镇青石村七组\n{branch}|赵钱孙|340099198001010014|正式|13812345678|青山镇青石村七组",
    );
    let upload = running.request(Method::POST, "/api/imports?file=a.xlsx", &office);
    let status = upload.body(sheet::workbook(&[("党员", &text)])?).send().await?.error_for_status()?;
    let id = status.json::<Value>().await?["id"].as_str().context("an id")?.to_owned();
    for step in ["planned", "done"] {
        loop {
            let request = running.request(Method::GET, &format!("/api/imports/{id}"), &office);
            let status: Value = request.send().await?.json().await?;
            ensure!(status["state"] != "failed", "{status}");
            if status["state"] == step {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if step == "planned" {
            running
                .request(Method::GET, &format!("/api/imports/{id}/plan"), &office)
                .send()
                .await?
                .error_for_status()?;
            let apply = running.request(Method::POST, &format!("/api/imports/{id}/apply"), &office);
            apply.send().await?.error_for_status()?;
        }
    }
    for path in ["report", "findings"] {
        running.request(Method::GET, &format!("/api/imports/{id}/{path}"), &office).send().await?.error_for_status()?;
    }
    let drawn = running.request(Method::POST, "/api/returns", &office).json(&json!({ "name": "members" }));
    ensure!(drawn.send().await?.error_for_status()?.bytes().await?.len() > 4000);

    let token = "0123456789abcdef".repeat(4);
    let keys = Keys::of(b"phone").public().to_string();
    let enrol = running
        .client
        .post(format!("{}/api/enrol", running.url))
        .json(&json!({ "code": code, "keys": keys, "token": token }));
    enrol.send().await?.error_for_status()?;
    secrets.push(token.clone());
    let config = DeviceConfig {
        path: folder.path().join("phone.sqlite"),
        server: running.url.clone(),
        token,
        who: "张包村".into(),
        server_key: Some(server.keys.public().signing),
        certificate: None,
        secret: None,
        actor: sync_protocol::ActorId(server::clock::random()),
    };
    let phone = Device::open(config, server.catalogue.clone()).await?;
    let unit = county::unit(&server, &branch).await?;
    let book = Identity { unit, book: Book::Unit, period: server.period() };
    phone.save(&book, "members", RowId::random([1; 10]), &[("phone", "13812345678".into())], 0).await?;
    // Not its to write: it goes to quarantine.
    let township = book.in_book(Book::Township);
    phone.save(&township, "grading", RowId::random([1; 10]), &[("remark", personal[3].into())], 0).await?;
    let done = phone.exchange(server::clock::now_ms()).await?;
    ensure!(done.receipts.len() == 1 && done.refusals.len() == 1, "{done:?}");
    let stranger = running.client.post(format!("{}/sync/exchange", running.url)).bearer_auth("a-token-of-nobody");
    ensure!(stranger.send().await?.status() == 401);
    secrets.push("a-token-of-nobody".into());

    running.process.kill()?;
    running.process.wait()?;
    let log = std::fs::read_to_string(&log)?;
    ensure!(log.contains("DEBUG"), "the log is there: {log}");
    secrets.extend(personal.map(str::to_owned));
    for secret in &secrets {
        ensure!(!log.contains(secret.as_str()), "the log holds `{secret}`");
    }
    // Nor does the audit log hold more than who has done what.
    for line in server.store.people().audit(0, 1000).await? {
        for secret in &secrets {
            ensure!(!line.entry.detail.contains(secret.as_str()), "the audit log holds `{secret}`");
        }
    }
    Ok(())
}
