//! The life of a return: submitted, frozen, returned, submitted anew, approved, merged; and what has changed since.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use server::{
    Server,
    auth::Role,
    import::import_file,
    returns::{self, AsOf, ReturnRequest},
    submissions,
};
use sync_protocol::{UnitId, client::Trust};
use tests::{
    county, people, sheet,
    worked::{Printed, synthetic},
};

struct Asker<'a> {
    url: &'a str,
    client: reqwest::Client,
    cookie: String,
}

impl Asker<'_> {
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<(u16, Value)> {
        let request =
            self.client.request(method.parse()?, format!("{}{path}", self.url)).header("cookie", &self.cookie);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let response = request.send().await?;
        Ok((response.status().as_u16(), response.json().await?))
    }
}

async fn unit(server: &Server, code: &str) -> Result<UnitId> {
    let units = server.store.units().await?;
    Ok(units.iter().find(|unit| unit.code.as_deref() == Some(code)).context("a unit")?.id)
}

async fn import(server: &Server, folder: &std::path::Path, text: &str) -> Result<()> {
    let path = folder.join("change.xlsx");
    std::fs::write(&path, sheet::workbook(&[("定级", text)])?)?;
    let done = import_file(server, &path, "县委组织部", &|_, _| {}).await?;
    assert!(done.counts.changed + done.counts.added > 0, "{:?}", done.findings);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_unit_submits_stays_as_it_was_until_it_submits_anew() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let url = county::serve(&server).await?;
    let (town, other) = (unit(&server, "T1").await?, unit(&server, "T2").await?);
    let password = "correct horse battery";
    let asker = async |name: &str, role, unit| -> Result<Asker<'_>> {
        let person = people::add(&server, name, role, unit, false, password).await?;
        Ok(Asker { url: &url, client: Trust::new(None)?.client()?, cookie: people::cookie(&server, &person).await? })
    };
    let clerk = asker("clerk", Role::OfficeClerk, town).await?;
    let stranger = asker("stranger", Role::OfficeClerk, other).await?;
    let officer = asker("officer", Role::TownshipOfficer, town).await?;
    let supervisor = asker("supervisor", Role::CountySupervisor, server.county).await?;

    let wanted = json!({ "name": "R03", "choices": { "round": "final" }, "period": "2012-11", "date": "2012-11-10",
                         "due_on": "2012-11-15" });
    let (status, refused) = clerk.ask("POST", "/api/submissions", Some(wanted.clone())).await?;
    assert_eq!(status, 409, "mandatory columns are empty, and nobody says why: {refused}");
    let mut wanted = wanted;
    wanted["explanation"] = "镇里正在补填".into();
    let (status, first) = clerk.ask("POST", "/api/submissions", Some(wanted.clone())).await?;
    assert_eq!((status, &first["state"]), (201, &json!("submitted")), "{first}");
    let (status, again) = clerk.ask("POST", "/api/submissions", Some(wanted.clone())).await?;
    assert_eq!(status, 409, "it stands until it is returned: {again}");
    let number = first["number"].as_i64().context("a number")?;
    let steps = format!("/api/submissions/{number}/steps");

    // Nobody approves their own, nobody else's is seen, and what is sent back says why.
    assert_eq!(officer.ask("POST", &steps, Some(json!({ "to": "approved" }))).await?.0, 404);
    assert_eq!(stranger.ask("GET", "/api/submissions", None).await?.1, json!([]));
    assert_eq!(stranger.ask("GET", &format!("/api/submissions/{number}/differences"), None).await?.0, 404);
    assert_eq!(supervisor.ask("POST", &steps, Some(json!({ "to": "returned" }))).await?.0, 409);
    assert_eq!(supervisor.ask("POST", &steps, Some(json!({ "to": "archived" }))).await?.0, 409);
    let back = json!({ "to": "returned", "reason": "A3 等次有误" });
    let (status, returned) = supervisor.ask("POST", &steps, Some(back)).await?;
    assert_eq!((status, &returned["state"]), (200, &json!("returned")), "{returned}");

    // The ledger is put right, and the return submitted anew: the first copy is still there.
    import(&server, folder.path(), "党组织编码|定级轮次|审定等次\nA3|年终|后进").await?;
    let (_, differences) = clerk.ask("GET", &format!("/api/submissions/{number}/differences"), None).await?;
    let cells: Vec<_> =
        differences.as_array().context("cells")?.iter().filter(|d| d["submitted"] != d["today"]).collect();
    assert!(cells.iter().any(|d| d["submitted"] == "4" && d["today"] == "3"), "{differences}");
    let (status, second) = clerk.ask("POST", "/api/submissions", Some(wanted)).await?;
    assert_eq!(status, 201, "{second}");
    let number = second["number"].as_i64().context("a number")?;
    assert_eq!(clerk.ask("GET", &format!("/api/submissions/{number}/differences"), None).await?.1, json!([]));
    let steps = format!("/api/submissions/{number}/steps");
    assert_eq!(supervisor.ask("POST", &steps, Some(json!({ "to": "approved" }))).await?.0, 200);

    // The register knows, and the return of returns counts it.
    let (top, into) = (returns::county(&server).await?, folder.path().join("r25"));
    let as_of_then = Printed::draw(&server, &into, "R25", &[]).await?;
    as_of_then.says("按填报单位", 2, "青山镇 0 0 0 — 0 0\n 白水镇 未建台账 未建台账 未建台账")?;
    let status = ReturnRequest::new("R25", top, server::clock::today(), folder.path().join("r25 of today"));
    let status = Printed { path: returns::draw(&server, &status).await?.path };
    status.says("按填报单位", 2, "青山镇 1 1 0 0.0% 1 0\n 白水镇 未建台账 未建台账 未建台账")?;

    // What changes afterwards is not in the merged return, which says of which copies it is.
    import(&server, folder.path(), "党组织编码|定级轮次|审定等次\nA1|年终|后进").await?;
    let top = returns::county(&server).await?;
    let request = ReturnRequest {
        variables: vec![("round".into(), "final".into())],
        as_of: Some(AsOf::Copies("2012-11".into())),
        ..ReturnRequest::new("R03", top, jiff::civil::date(2012, 11, 10), folder.path().join("merged"))
    };
    let merged = Printed { path: returns::draw(&server, &request).await?.path };
    merged.says(
        "按填报单位",
        2,
        "青山镇 6 6 100.0% 2 33.3% 3 50.0% 1 16.7%\n 白水镇 未报 未报 未报\n 合计 6 6 100.0% 2 33.3%",
    )?;
    let figures = importer::seal::figures(&std::fs::read(&merged.path)?, &importer::ReadLimits::default())?;
    let titles: Vec<&String> = figures.iter().filter(|((_, row, _), _)| *row == 1).map(|(_, text)| text).collect();
    assert!(!titles.is_empty() && titles.iter().all(|title| title.ends_with("（不完整汇总）")), "{titles:?}");
    let live = Printed::draw(&server, &folder.path().join("live"), "R03", &[("round", "final")]).await?;
    live.says("按填报单位", 2, "青山镇 6 6 100.0% 1 16.7% 3 50.0% 2 33.3%")?;
    let copy = submissions::submission(&server, number).await?;
    let (_, changes) = supervisor.ask("GET", &format!("/api/changes?since_seq={}", copy.seq), None).await?;
    let grade = changes["latest"].as_array().context("changes")?.iter().find(|c| c["column"] == "审定等次");
    let grade = grade.with_context(|| changes.to_string())?;
    assert_eq!(
        (&grade["before"], &grade["after"], &grade["who"]),
        (&json!("先进"), &json!("后进"), &json!("县委组织部"))
    );
    assert_eq!(
        changes["latest"].as_array().map(|all| all.iter().filter(|c| c["column"] == "审定等次").count()),
        Some(1)
    );

    // The frozen copy is what was submitted.
    let response = supervisor.client.get(format!("{url}/api/submissions/{number}/workbook"));
    let response = response.header("cookie", &supervisor.cookie).send().await?;
    assert!(response.content_length().is_some(), "a browser can tell how far the download is");
    let verified = returns::verify::verify(&server, response.bytes().await?.to_vec()).await?;
    assert_eq!((verified.verdict, verified.code.as_deref()), ("valid", second["code"].as_str()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_with_errors_are_not_submitted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let wanted = submissions::Wanted {
        unit: server.store.unit(unit(&server, "T1").await?).await?.context("the town")?,
        return_no: "R04".into(),
        period: None,
        choices: Vec::new(),
        date: jiff::civil::date(2012, 11, 10),
        due_on: None,
        explanation: None,
    };
    let village = server.store.unit(unit(&server, "A1").await?).await?.context("a village")?;
    for (wrong, said) in [
        (submissions::Wanted { unit: village, ..wanted.clone() }, "只有填报单位"),
        (submissions::Wanted { period: Some("四月".into()), ..wanted.clone() }, "报送期应为"),
        (submissions::Wanted { return_no: "R99".into(), ..wanted.clone() }, "没有这张报表"),
        (submissions::Wanted { choices: vec![("x".into(), "y".into())], ..wanted.clone() }, "应为"),
    ] {
        let error = submissions::submit(&server, &wrong, "青山镇").await.err().context("refused")?;
        assert!(error.to_string().contains(said), "{error}");
    }
    // Converted before the plan was approved: a rule of weight E.
    let text = "党组织编码|定级轮次|方案审定日期|转化日期\nA3|首次|2012-05-10|2012-05-01";
    import(&server, folder.path(), text).await?;
    let error = submissions::submit(&server, &wanted, "青山镇").await.err().context("blocked")?;
    assert!(error.to_string().contains("请更正"), "{error}");
    assert!(server.store.submissions().await?.is_empty(), "nothing half-submitted");
    Ok(())
}
