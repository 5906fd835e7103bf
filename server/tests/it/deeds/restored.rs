//! A backup that is put back does not bring back what was revoked, disabled or erased since.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use server::{
    Server, audit,
    auth::{self, Role},
    devices, doctor, erasure, lasting,
    people::{self, Profile},
};
use sync_protocol::{UnitId, bundle::Keys};
use tests::county;

use super::{Desk, PASSWORD, token};

const DATABASE: &str = "taizhang.sqlite";

/// Runs `taizhang`: its exit code, and everything that it says.
fn run(folder: &Path, arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_taizhang")).args(arguments).current_dir(folder).output()?;
    Ok((
        output.status.code(),
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
    ))
}

/// Puts a backup back: the database alone, beside what stands outside of it.
fn put_back(data: &Path, backup: &Path) -> Result<()> {
    for ending in ["-wal", "-shm"] {
        drop(std::fs::remove_file(data.join(format!("{DATABASE}{ending}"))));
    }
    std::fs::copy(backup, data.join(DATABASE))?;
    Ok(())
}

async fn events(server: &Server) -> Result<Vec<String>> {
    let lines = server.store.people().audit(0, 10_000).await?;
    Ok(lines.into_iter().map(|line| line.entry.event).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_brings_nothing_back_that_was_taken_away() -> Result<()> {
    let desk = Desk::open().await?;
    desk.person("admin", Role::Administrator).await?;
    for name in ["wang", "lina", "qian"] {
        let person = desk.person(name, Role::OfficeClerk).await?;
        tests::people::set_password(&desk.server, person.id, auth::hash(name, PASSWORD).await?, false).await?;
    }
    let zhao = desk.person("zhao", Role::FieldCadre).await?;
    let code = devices::invite(&desk.server, &zhao, "手机甲", "test").await?.code;
    let phone = devices::enrol(&desk.server, &code, Keys::of(b"phone").public(), &token()).await?;
    let record = desk.record().await?;
    let unit = desk.unit("A1").await?.id;
    auth::sign_in(&desk.server, "wang", PASSWORD, None).await?;
    let township = desk.unit("T1").await?;
    let Desk { folder, server, hand } = desk;
    hand.close().await;
    server.store.close().await;
    let data = folder.path().join("data");
    let backup = folder.path().join("backup.sqlite");
    std::fs::copy(data.join(DATABASE), &backup)?;

    // Meanwhile all of that is taken away; one is disabled and enabled again.
    let server = county::open(&data, None).await?;
    ensure!(devices::revoke(&server, &phone, "test").await?, "revoked before");
    let named = async |name: &str| anyhow::Ok(server.store.people().person_by_name(name).await?.context("a person")?.0);
    let narrow = Profile { full_name: "张三".into(), role: Role::FieldCadre, unit: township, is_handler: false };
    ensure!(people::disable(&server, &named("wang").await?, "test").await?, "disabled before");
    people::change(&server, named("lina").await?, &narrow, false, "test").await?;
    people::disable(&server, &named("qian").await?, "test").await?;
    let clerk = Profile { role: Role::OfficeClerk, ..narrow };
    people::change(&server, named("qian").await?, &clerk, false, "test").await?;
    let order = erasure::Order { by: "test".into(), reason: "保存期满", extent: erasure::Extent::Restricted };
    Box::pin(erasure::erase(&server, unit, &record, order)).await?;
    let lines = audit::verify(server.store.as_ref(), None).await?.lines;
    server.store.close().await;
    let kept = std::fs::read(data.join(lasting::FILE))?;
    assert_eq!(String::from_utf8_lossy(&kept).lines().count(), 6);

    put_back(&data, &backup)?;
    let (code, said) = run(folder.path(), &["doctor"])?;
    assert!(code == Some(1) && said.contains("doctor --accept-older"), "{said}");
    let (code, said) = run(folder.path(), &["doctor", "--accept-older"])?;
    assert_eq!(code, Some(0), "{said}");
    for told in [
        "停用设备 device revoked again: 手机甲",
        "停用人员 person disabled again: wang",
        "lina",
        "换上清除时留存的一份",
        "重新登录",
    ] {
        assert!(said.contains(told), "`{told}` is not told: {said}");
    }
    assert!(!said.contains("qian"), "what stands is not told: {said}");
    let server = county::open(&data, None).await?;
    is_taken_away(&server, (&phone, unit, &record)).await?;
    let verified = audit::verify(server.store.as_ref(), None).await?;
    assert!(verified.broken.is_none() && verified.lines < lines + 6, "{verified:?}");
    let new = events(&server).await?;
    let from = new.iter().position(|event| event == "older-accepted").context("it is noted")?;
    let again = ["older-accepted", "device-revoked", "person-changed", "person-changed"];
    assert_eq!(new[from..from + again.len()], again);
    assert!(doctor::diagnose(&server, &|_, _| {}).await?.wrong.is_empty());
    server.store.close().await;
    drop(server);

    // Where nobody knows what was taken away, going on is the administrator's decision.
    put_back(&data, &backup)?;
    let before = std::fs::read(data.join(DATABASE))?;
    let file = std::fs::read_to_string(data.join(lasting::FILE))?;
    for (damaged, told) in [
        (Some(file.replacen("revoked", "revoken", 1)), "第 1 行已损坏"),
        (Some(file[..200].to_owned()), "lasting.jsonl"),
        (None, "不见了"),
    ] {
        match damaged {
            Some(text) => std::fs::write(data.join(lasting::FILE), text)?,
            None => std::fs::remove_file(data.join(lasting::FILE))?,
        }
        let (code, said) = run(folder.path(), &["doctor", "--accept-older"])?;
        assert!(
            code == Some(2) && said.contains(told) && said.contains("--accept-forgotten"),
            "{told}: {code:?} {said}"
        );
        let (code, said) = run(folder.path(), &["doctor"])?;
        assert!(code == Some(1) && said.contains("lasting.jsonl"), "{said}");
    }
    put_back(&data, &backup)?;
    assert_eq!(std::fs::read(data.join(DATABASE))?, before);
    let (code, said) = run(folder.path(), &["doctor", "--accept-older", "--accept-forgotten"])?;
    assert!(code == Some(1) && said.contains("逐一核对"), "{code:?} {said}");
    let server = county::open(&data, None).await?;
    assert!(!server.store.device(phone.id).await?.context("a phone")?.is_revoked, "nobody knows any more");
    let left = erasure::records(&server, unit, "李四", erasure::Extent::Restricted).await?;
    assert!(left.is_empty(), "what was erased has no key any more, whatever is forgotten: {left:?}");
    // From now on it is kept again.
    ensure!(devices::revoke(&server, &phone, "test").await?, "revoked before");
    server.store.close().await;
    put_back(&data, &backup)?;
    let (code, said) = run(folder.path(), &["doctor", "--accept-older"])?;
    assert!(code == Some(0) && said.contains("手机甲"), "{code:?} {said}");
    Ok(())
}

async fn is_taken_away(
    server: &Server,
    (phone, unit, record): (&server::store::DeviceRecord, UnitId, &sync_protocol::document::RowKey),
) -> Result<()> {
    assert!(server.store.device(phone.id).await?.context("a phone")?.is_revoked);
    assert!(auth::sign_in(server, "wang", PASSWORD, None).await.is_err(), "a person who was disabled");
    auth::sign_in(server, "qian", PASSWORD, None).await?;
    let (lina, _) = server.store.people().person_by_name("lina").await?.context("a person")?;
    assert_eq!((lina.role, lina.is_disabled), (Role::FieldCadre, false));
    assert!(erasure::records(server, unit, "李四", erasure::Extent::Restricted).await?.is_empty());
    assert!(!server.store.erased_from(unit, record).await?.is_empty());
    Ok(())
}
