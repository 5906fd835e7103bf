//! Attacks on what lies on the disk, and mistakes with devices: what is stored is its owner's alone, and no wrong phone is revoked.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tests::{county, roster};

fn taizhang(folder: &TempDir, arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(env!("CARGO_BIN_EXE_taizhang")).args(arguments).current_dir(folder.path()).output()?)
}

pub fn said(folder: &TempDir, arguments: &[&str], code: i32) -> Result<String> {
    let output = taizhang(folder, arguments)?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.code() == Some(code), "{arguments:?}: {:?} {text}", output.status);
    Ok(text)
}

/// Everything in a folder that others may read.
#[cfg(unix)]
fn open_to_others(folder: &std::path::Path) -> Result<Vec<String>> {
    use std::os::unix::fs::PermissionsExt;

    let mut open = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let mode = std::fs::metadata(&path)?.permissions().mode();
        if mode & 0o077 != 0 {
            open.push(format!("{} {mode:o}", path.display()));
        }
        if path.is_dir() {
            open.extend(open_to_others(&path)?);
        }
    }
    Ok(open)
}

#[cfg(unix)]
#[test]
fn whatever_is_written_is_its_owners_alone() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir()?;
    said(&folder, &["init"], 0)?;
    said(&folder, &["return", "R03", "--date", "2012-04-30"], 0)?;
    said(&folder, &["device", "手机", "--owner", "张三", "--unit", "340099"], 0)?;
    assert_eq!(open_to_others(folder.path())?, [""; 0]);
    // What an earlier version has left open, or a copy.
    let data = folder.path().join("data");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755))?;
    std::fs::set_permissions(data.join("taizhang.sqlite"), std::fs::Permissions::from_mode(0o644))?;
    said(&folder, &["device", "list"], 0)?;
    assert_eq!(open_to_others(folder.path())?, [""; 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_phones_of_one_name_none_is_revoked_by_mistake() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = county::open(&folder.path().join("data"), None).await?;
    server.store.put_units(&roster::units(&server.tenant, server.county, 1)).await?;
    server.store.close().await;
    let branch = roster::branch_code(0);
    for owner in ["张三", "李四", "王五", "王五"] {
        said(&folder, &["device", "手机", "--owner", owner, "--unit", &branch], 0)?;
    }
    let told = said(&folder, &["revoke", "手机"], 2)?;
    for part in ["有 4 台设备符合", "张三", "李四", "王五", "从未联网"] {
        assert!(told.contains(part), "{told}");
    }
    said(&folder, &["revoke"], 2)?;
    said(&folder, &["revoke", "手机", "--owner", "赵六"], 2)?;
    assert!(said(&folder, &["revoke", "--owner", "王五"], 2)?.contains("有 2 台设备符合"));
    said(&folder, &["revoke", "手机", "--owner", "张三"], 0)?;
    said(&folder, &["revoke", "--owner", "李四"], 0)?;
    let listed: serde_json::Value = serde_json::from_str(&said(&folder, &["device", "list", "--json"], 0)?)?;
    let listed = listed.as_array().context("a list")?;
    let of = |owner: &str| listed.iter().filter(|device| device["owner"] == owner).collect::<Vec<_>>();
    assert_eq!((listed.len(), &of("张三")[0]["revoked"], &of("李四")[0]["revoked"]), (4, &true.into(), &true.into()));
    let wang = of("王五");
    assert!(wang.iter().all(|device| device["revoked"] == false && device["unit"].is_string()), "{wang:?}");
    said(&folder, &["revoke", "--id", wang[0]["id"].as_str().context("an id")?], 0)?;
    let told = said(&folder, &["device", "list"], 0)?;
    assert_eq!((told.matches("已停用").count(), told.lines().count()), (3, 4), "{told}");
    Ok(())
}

/// What a program that ends badly would write of its memory holds personal data.
#[cfg(target_os = "linux")]
#[test]
fn the_server_leaves_no_memory_on_the_disk() -> Result<()> {
    use std::{
        io::{BufRead, BufReader},
        process::Stdio,
    };

    let folder = tempfile::tempdir()?;
    said(&folder, &["init"], 0)?;
    let mut server = Command::new(env!("CARGO_BIN_EXE_taizhang"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(server.stdout.take().context("its output")?).read_line(&mut line)?;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id()));
    server.kill()?;
    server.wait()?;
    let limits = limits?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).context("the limit")?;
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert_eq!(open_to_others(folder.path())?, [""; 0]);
    Ok(())
}
