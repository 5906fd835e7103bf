//! What the field app costs a cadre on 2G, on a whole line and on one that loses three requests of ten.
//!
//! `cargo bench -p tests --bench field_app`

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use server::{auth::Role, import::import_file};
use tests::{browser, county, node, people, roster};

const UNITS: usize = 60;
const MEMBERS: usize = 30;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let executable = browser::chromium()?.context("chromium is needed")?;
    let (folder, server) = county::with_branches(UNITS).await?;
    let path = folder.path().join("members.xlsx");
    std::fs::write(&path, roster::workbook(UNITS, MEMBERS)?)?;
    let done = import_file(&server, &path, "县委组织部", &|_, _| {}).await?;
    ensure!(done.counts.added == UNITS * MEMBERS, "{:?}", done.counts);
    let url = county::serve(&server).await?;
    let all = server.store.units().await?;
    let branch = all.iter().find(|unit| unit.id == county::branch(&server, 0)).context("a branch")?;
    let town = branch.parent.context("a township")?;
    let password = "correct horse battery";
    let officer = people::add(&server, "officer", Role::TownshipOfficer, town, false, password).await?;
    let mut cadres = Vec::new();
    for name in ["slow", "fast", "slow-lossy", "fast-lossy"] {
        cadres.push(people::add(&server, name, Role::FieldCadre, town, false, password).await?.id.to_string());
    }
    let units: Vec<&str> = all.iter().filter(|unit| unit.parent == Some(town)).map(|unit| unit.name.as_str()).collect();
    let cookie = people::cookie(&server, &officer).await?;
    let parameters = json!({ "cookie": cookie, "cadres": cadres, "executable": executable, "units": units });
    let file = folder.path().join("parameters.json");
    std::fs::write(&file, parameters.to_string())?;
    let found = tokio::task::spawn_blocking(move || node::json("slow-line.mjs", &[Path::new(&url), &file])).await??;
    for run in found.as_array().context("runs")? {
        ensure!(run["isSame"] == true && run["errors"] == json!([]), "{run}");
        println!("{} of 100 requests cut, {UNITS} documents of {MEMBERS} members:", run["loss"]);
        let kib = |bytes: &Value| bytes.as_f64().unwrap_or(f64::NAN) / 1024.0;
        println!("  the app itself: {:.0} KiB", kib(&run["app"]["bytes"]));
        for (name, what) in [
            ("first", "enrolment and first sync"),
            ("edit", "one edit until its receipt"),
            ("catchUp", "ten edits of others"),
            ("idle", "nothing new"),
        ] {
            let step = &run[name];
            let seconds = step["seconds"].as_f64().unwrap_or(f64::NAN);
            println!(
                "  {what}: {seconds:.1} s, {} requests ({} cut), {:.1} KiB",
                step["requests"],
                step["cuts"],
                kib(&step["bytes"])
            );
        }
    }
    Ok(())
}
