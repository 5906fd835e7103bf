//! The field app in a real browser, at the size of a phone.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use server::{auth::Role, import::import_file};
use tests::{browser, county, node, people, sheet, worked::synthetic};

const MEMBERS: &str = "党组织编码|姓名|性别|民族|出生日期|人员类别|入党日期|联系电话
     A1|张三|男|汉族|1950-11-10|正式党员|1980-01-01|13900000001
     A1|李四|女|回族|1980-03|正式党员|2001-11-01|13900000002";

/// Where pictures of the screens go: a folder that is kept, if somebody wants to look at them.
fn shots(folder: &Path) -> PathBuf {
    std::env::var_os("TAIZHANG_SHOTS").map_or_else(|| folder.join("shots"), PathBuf::from)
}

/// What a script finds in the browser, of a county with two records and two cadres; nothing where there is no browser.
async fn found(script: &'static str, more: impl Fn(&Path) -> Value) -> Result<Option<Value>> {
    let Some(executable) = browser::chromium()? else { return Ok(None) };
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let path = folder.path().join("members.xlsx");
    std::fs::write(&path, sheet::workbook(&[("党员", MEMBERS)])?)?;
    let done = import_file(&server, &path, "县委组织部", &|_, _| {}).await?;
    assert_eq!(done.counts.added, 2, "{:?}", done.findings);
    let url = county::serve(&server).await?;
    let town = county::unit(&server, "T1").await?;
    let password = "correct horse battery";
    let officer = people::add(&server, "officer", Role::TownshipOfficer, town, false, password).await?;
    let mut cadres = Vec::new();
    for name in ["one", "two"] {
        cadres.push(people::add(&server, name, Role::FieldCadre, town, false, password).await?.id.to_string());
    }
    let mut parameters = more(folder.path());
    parameters["cookie"] = people::cookie(&server, &officer).await?.into();
    parameters["cadres"] = cadres.into();
    parameters["shots"] = json!(shots(folder.path()));
    parameters["executable"] = json!(executable);
    let file = folder.path().join("parameters.json");
    std::fs::write(&file, parameters.to_string())?;
    let found = tokio::task::spawn_blocking(move || node::json(script, &[Path::new(&url), &file])).await??;
    Ok(Some(found))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cadres_work_for_days_without_a_signal() -> Result<()> {
    let secrets = json!({ "secrets": ["张三", "李四", "王小明", "139000", "A1党组织", "青山镇"] });
    let Some(found) = found("field-app.mjs", |_| secrets.clone()).await? else { return Ok(()) };
    assert_eq!(found["errors"], json!([]));
    assert_eq!(found["violations"], json!([]), "axe");
    for (what, expected) in [
        ("isCodeInAddress", json!(false)),
        ("unsentRows", json!(1)),
        ("isKeptOverDeath", json!(true)),
        ("isKeptOverUpdate", json!(true)),
        ("isOpenFormSafe", json!(true)),
        ("travelled", json!("1990-05")),
        ("typedInConflict", json!("1390000")),
        ("isDisputedSeen", json!(true)),
        ("settled", json!("13900003333")),
        ("carried", json!("13900007777")),
        ("scanned", json!("13900001234")),
        ("photoWidth", json!(600)),
        ("told", json!([])),
        ("isControlSound", json!(true)),
        ("left", json!(0)),
        ("held", json!(1)),
        ("isRefusalSaid", json!(true)),
    ] {
        assert_eq!(found[what], expected, "{what}: {found}");
    }
    assert!(found["history"].as_u64().context("versions")? >= 3, "{found}");
    assert!(found["parts"].as_u64().context("parts")? > 4, "{found}");
    assert!(found["storedValues"].as_u64().context("values")? > 10, "{found}");
    assert_eq!(found["screens"].as_array().map_or(0, Vec::len), 28);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_looks_before_it_saves_and_outlives_what_interrupts_it() -> Result<()> {
    let profile = |folder: &Path| json!({ "profile": folder.join("profile") });
    let Some(found) = found("field-form.mjs", profile).await? else { return Ok(()) };
    for (what, expected) in [
        // One row, what was typed is still there after a look at the dialog, and only what was chosen has changed.
        ("overExisting", json!(["组长", "组长", "何娟 组长 · 否 待上传"])),
        ("overRemoved", json!(["张洋 否 待上传"])),
        ("incompleteOver", json!(["赵刚 是 待上传"])),
        ("duplicate", json!(2)),
        ("keyChanged", json!([1, 1])),
        ("overReload", json!(["王小明", 0])),
        ("overLock", json!("王小花")),
        ("overLeaving", json!(2)),
        ("overUpdate", json!("王小强")),
        ("overKill", json!("王小军")),
        ("movedMeanwhile", json!("13900002222")),
        ("twoPhones", json!(1)),
        ("photo", json!([0, 1])),
    ] {
        assert_eq!(found[what], expected, "{what}: {found}");
    }
    assert_eq!(found["errors"], json!([]));
    assert_eq!(found["violations"], json!([]), "axe");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_pin_costs_nobody_what_they_typed() -> Result<()> {
    let Some(found) = found("field-pin.mjs", |_| json!({})).await? else { return Ok(()) };
    for (what, expected) in [
        // A copy of the browser's files has all that a PIN is mixed with: each try takes memory and time.
        ("vault", json!({ "memory": 65_536, "rounds": 1, "hasSecret": false })),
        ("isCodeInAddress", json!(false)),
        ("foreign", json!({ "isSeen": true, "isAtCode": true, "isEnglish": false })),
        ("lost", json!(200)),
        ("isUnsentKept", json!(true)),
        ("number", json!("13900001111")),
        ("isNewPin", json!(true)),
        ("anew", json!("13900001111")),
    ] {
        assert_eq!(found[what], expected, "{what}: {found}");
    }
    assert_eq!(found["errors"], json!([]));
    assert_eq!(found["violations"], json!([]), "axe");
    Ok(())
}

/// What the app decides without a screen: whose record it is, what differs, what is kept of a form, which day it is.
#[test]
fn the_apps_own_tests_pass() -> Result<()> {
    node::web_tests()
}
