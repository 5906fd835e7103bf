//! `POST /api/imports`: an office sends a workbook in over HTTP.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;
use server::Server;
use sync_protocol::{Book, UnitId, client::Trust};
use tests::{county, roster, sheet};

struct Office {
    client: Client,
    url: String,
    token: &'static str,
}

impl Office {
    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Response> {
        let request = self.client.request(method, format!("{}/api/imports{path}", self.url)).bearer_auth(self.token);
        Ok(request.body(body).send().await?)
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, Value)> {
        let response = self.send(Method::GET, path, Vec::new()).await?;
        Ok((response.status(), response.json().await?))
    }

    async fn upload(&self, name: &str, bytes: Vec<u8>) -> Result<String> {
        let response = self.send(Method::POST, &format!("?file={name}"), bytes).await?;
        ensure!(response.status() == StatusCode::ACCEPTED, "{}", response.text().await?);
        Ok(response.json::<Value>().await?["id"].as_str().context("an id")?.to_owned())
    }

    async fn apply(&self, id: &str) -> Result<StatusCode> {
        Ok(self.send(Method::POST, &format!("/{id}/apply"), Vec::new()).await?.status())
    }

    /// Waits until nothing is being done with an upload.
    async fn settled(&self, id: &str) -> Result<Value> {
        for _ in 0..500 {
            let (_, status) = self.get(&format!("/{id}")).await?;
            if !matches!(status["state"].as_str(), Some("planning" | "applying")) {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("{id} is never done")
    }
}

async fn office(server: &Server, url: &str, name: &'static str, unit: UnitId, books: &[Book]) -> Result<Office> {
    let folder = tempfile::tempdir()?;
    county::device(server, folder.path(), url, name, unit, books).await?;
    Ok(Office { client: Trust::new(None)?.client()?, url: url.to_owned(), token: name })
}

const TOWNSHIP: [Book; 4] = [Book::Unit, Book::UnitRestricted, Book::Township, Book::TownshipRestricted];

#[tokio::test(flavor = "multi_thread")]
async fn an_office_sends_a_workbook_looks_at_the_plan_and_has_it_applied() -> Result<()> {
    let (_folder, server) = county::with_branches(2).await?;
    let unit = |branch: usize| county::branch(&server, branch);
    let url = county::serve(&server).await?;
    let own = office(&server, &url, "own", unit(0), &TOWNSHIP).await?;
    let other = office(&server, &url, "other", unit(1), &TOWNSHIP).await?;

    let text = format!(
        "党组织编码|姓名|出生日期|党员类别|入党时间\n{0}|张三|1980-01-01|正式|2001-05\n{1}|李四|1981-01-01|正式|2002-05\n{0}|王五|1982-01-01|正式|2003.2.30",
        roster::branch_code(0),
        roster::branch_code(1),
    );
    let file = sheet::workbook(&[("党员", &text)])?;
    let id = own.upload("%E5%85%9A%E5%91%98.xlsx", file.clone()).await?;
    let status = own.settled(&id).await?;
    assert_eq!((status["state"].as_str(), status["file"].as_str()), (Some("planned"), Some("党员.xlsx")), "{status}");
    let (_, plan) = own.get(&format!("/{id}/plan")).await?;
    assert_eq!((plan["counts"]["added"].as_u64(), plan["counts"]["refused"].as_u64()), (Some(2), Some(1)), "{plan}");
    let codes: Vec<&str> =
        plan["findings"].as_array().context("findings")?.iter().filter_map(|f| f["code"].as_str()).collect();
    assert!(codes.contains(&"out-of-scope") && codes.contains(&"bad-date"), "{codes:?}");
    assert_eq!(server.store.totals().await?.rows, 0, "nothing is written before it is applied");
    assert_eq!(own.get(&format!("/{id}/report")).await?.0, StatusCode::CONFLICT);

    assert_eq!(own.apply(&id).await?, StatusCode::ACCEPTED);
    let status = own.settled(&id).await?;
    assert_eq!((status["state"].as_str(), status["units_done"].as_u64()), (Some("done"), Some(1)), "{status}");
    let (_, report) = own.get(&format!("/{id}/report")).await?;
    assert_eq!(report["counts"], plan["counts"], "the import does what the plan said");
    assert_eq!(server.store.totals().await?.rows, 2);
    assert_eq!(own.apply(&id).await?, StatusCode::CONFLICT, "once is enough");
    let marked = own.send(Method::GET, &format!("/{id}/findings"), Vec::new()).await?.bytes().await?;
    let marked = importer::read(&marked, &importer::ReadLimits::default())?;
    assert!(marked.sheets.iter().any(|sheet| sheet.name == "问题清单"));

    // It is nobody else's; the other office imports the rest of the very same file.
    assert_eq!(other.get(&format!("/{id}/plan")).await?.0, StatusCode::NOT_FOUND);
    assert_eq!(other.get("").await?.1, serde_json::json!([]));
    assert_eq!(own.get("").await?.1.as_array().map(Vec::len), Some(1));
    let id = other.upload("again.xlsx", file).await?;
    other.settled(&id).await?;
    other.apply(&id).await?;
    other.settled(&id).await?;
    assert_eq!(server.store.totals().await?.rows, 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_imported_is_answered_in_words() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    let unit = county::branch(&server, 0);
    let url = county::serve(&server).await?;
    let phone = office(&server, &url, "phone", unit, &[Book::Unit]).await?;
    let stranger = Office { token: "stranger", ..office(&server, &url, "known", unit, &TOWNSHIP).await? };
    assert_eq!(stranger.get("").await?.0, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger.send(Method::POST, "?file=a.xlsx", vec![1]).await?.status(), StatusCode::UNAUTHORIZED);
    // A ledger file holds restricted data: a phone does not send any in.
    assert_eq!(phone.send(Method::POST, "?file=a.xlsx", vec![1]).await?.status(), StatusCode::FORBIDDEN);
    let phone = office(&server, &url, "office", unit, &TOWNSHIP).await?;
    for query in ["", "?file=", "?file=a/"] {
        assert_eq!(phone.send(Method::POST, query, vec![1]).await?.status(), StatusCode::BAD_REQUEST, "{query}");
    }
    assert_eq!(phone.get("/00000000-0000-0000-0000-000000000000").await?.0, StatusCode::NOT_FOUND);

    let id = phone.upload("..%2Fsecret.xlsx", b"no workbook \0\0\0".to_vec()).await?;
    let status = phone.settled(&id).await?;
    assert_eq!(status["file"], "secret.xlsx");
    assert!(status["problem"].as_str().is_some_and(|text| text.contains("另存为 .xlsx")), "{status}");
    assert_eq!(phone.apply(&id).await?, StatusCode::CONFLICT);

    // An office that may only write half of a row writes none.
    let half = office(&server, &url, "half", unit, &[Book::UnitRestricted, Book::Township]).await?;
    let text = format!("党组织编码|姓名|出生日期|党员类别\n{}|张三|1980-01-01|正式", roster::branch_code(0));
    let id = half.upload("members.xlsx", sheet::workbook(&[("党员", &text)])?).await?;
    half.settled(&id).await?;
    let (_, plan) = half.get(&format!("/{id}/plan")).await?;
    assert_eq!((plan["counts"]["added"].as_u64(), plan["counts"]["refused"].as_u64()), (Some(0), Some(1)), "{plan}");

    // The oldest give way: nobody fills the disk.
    for _ in 0..10 {
        let id = phone.upload("members.xlsx", sheet::workbook(&[("党员", &text)])?).await?;
        phone.settled(&id).await?;
    }
    assert_eq!(phone.get("").await?.1.as_array().map(Vec::len), Some(8));
    // Each has its file, and another that says what became of it.
    assert_eq!(std::fs::read_dir(folder.path().join("data/uploads"))?.count(), 2 * 9);
    Ok(())
}

/// The same data under another server, as after a restart.
async fn restarted(data: &std::path::Path, office: &Office) -> Result<(Server, Office)> {
    let server = county::open(data, None).await?;
    let url = county::serve(&server).await?;
    Ok((server, Office { client: office.client.clone(), url, token: office.token }))
}

fn members(rows: &[&str]) -> Result<Vec<u8>> {
    let rows: Vec<String> = rows.iter().map(|row| format!("{}|{row}", roster::branch_code(0))).collect();
    let text = format!("党组织编码|姓名|出生日期|党员类别|入党时间\n{}", rows.join("\n"));
    sheet::workbook(&[("党员", &text)])
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_outlive_the_server_and_what_runs_beside_it() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    let (data, unit) = (folder.path().join("data"), county::branch(&server, 0));
    let url = county::serve(&server).await?;
    let own = office(&server, &url, "own", unit, &TOWNSHIP).await?;
    let planned = own.upload("planned.xlsx", members(&["张三|1980-01-01|正式|2001-05"])?).await?;
    let done = own.upload("done.xlsx", members(&["李四|1981-01-01|正式|2003.2.30"])?).await?;
    let interrupted = own.upload("interrupted.xlsx", members(&["王五|1982-01-01|正式|2004-05"])?).await?;
    let old = own.upload("old.xlsx", members(&["赵六|1983-01-01|正式|2005-05"])?).await?;
    let broken = own.upload("broken.xlsx", b"no workbook \0\0\0".to_vec()).await?;
    for id in [&planned, &done, &interrupted, &old, &broken] {
        own.settled(id).await?;
    }
    own.apply(&done).await?;
    own.settled(&done).await?;
    let (_, report) = own.get(&format!("/{done}/report")).await?;

    // A command beside the server opens the same data, and leaves everything as it is.
    let beside = county::open(&data, None).await?;
    beside.store.close().await;
    assert_eq!(own.settled(&planned).await?["state"], "planned");
    assert!(data.join("uploads").join(&planned).is_file());

    // The server is killed while it writes one, and one is a week old by then.
    let kept = |id: &str| data.join("uploads").join(format!("{id}.json"));
    let change = |id: &str, key: &str, value: Value| -> Result<()> {
        let mut text: Value = serde_json::from_slice(&std::fs::read(kept(id))?)?;
        text[key] = value;
        Ok(std::fs::write(kept(id), text.to_string())?)
    };
    change(&interrupted, "state", "applying".into())?;
    change(&old, "received_ms", 1.into())?;
    std::fs::write(data.join("uploads/stray.part"), "half a file")?;
    let (server, own) = restarted(&data, &own).await?;

    assert_eq!(own.settled(&planned).await?["state"], "planned");
    let (_, plan) = own.get(&format!("/{planned}/plan")).await?;
    assert_eq!(plan["counts"]["added"], 1, "{plan}");
    assert_eq!(own.apply(&planned).await?, StatusCode::ACCEPTED);
    assert_eq!(own.settled(&planned).await?["state"], "done");

    let status = own.settled(&interrupted).await?;
    assert_eq!(status["state"], "failed");
    assert!(status["problem"].as_str().is_some_and(|text| text.contains("再次写入")), "{status}");
    assert_eq!(own.apply(&interrupted).await?, StatusCode::ACCEPTED, "it is written once more");
    assert_eq!(own.settled(&interrupted).await?["state"], "done");
    assert_eq!(own.apply(&broken).await?, StatusCode::CONFLICT, "what could not be read still cannot");

    assert_eq!(own.get(&format!("/{done}/report")).await?.1, report, "what was written is still told");
    let marked = own.send(Method::GET, &format!("/{done}/findings"), Vec::new()).await?;
    assert_eq!(marked.status(), StatusCode::OK);
    assert_eq!(own.apply(&done).await?, StatusCode::CONFLICT, "once is enough");
    assert_eq!(own.get(&format!("/{old}")).await?.0, StatusCode::NOT_FOUND);
    for gone in [data.join("uploads").join(&old), kept(&old), data.join("uploads/stray.part")] {
        assert!(!gone.exists(), "{}", gone.display());
    }
    assert_eq!(server.store.totals().await?.rows, 3);

    // An erasure on the command line must not leave a copy of the data in a file.
    let beside = county::open(&data, None).await?;
    assert!(beside.uploads.forget_all());
    assert_eq!(own.get(&format!("/{done}")).await?.0, StatusCode::NOT_FOUND);
    Ok(())
}
