//! The keys of an installation: where they are, what happens without them, and what becomes of what they have signed.

use std::path::Path;

use anyhow::{Context, Result};
use data_encoding::HEXLOWER;
use server::{
    Server,
    audit::Event,
    auth, bundle as bundles, clock,
    config::{Config, File},
    installation::DATABASE,
    keyring,
    returns::verify,
    store::StoreError,
};
use sha2::{Digest, Sha256};
use sync_protocol::{
    Book, Identity, RowId,
    bundle::{Keys, is_signed_by},
    client::Trust,
    message::receipt_statement,
};
use tests::{
    county, people,
    worked::{Printed, synthetic},
};

use super::attacks_bundles::{county_of_towns, id};

fn config(data: &Path) -> Result<Config> {
    Config::check(File { data_dir: data.to_owned(), ..File::default() })
}

/// Every secret of a file of keys.
fn secrets(data: &Path) -> Result<Vec<[u8; 32]>> {
    let text = std::fs::read_to_string(data.join(keyring::FILE))?;
    let texts = text.split('"').filter(|text| text.len() == 64);
    texts.map(|text| HEXLOWER.decode(text.as_bytes())?.try_into().ok().context("32 bytes")).collect()
}

/// Whether the database, or its log, holds these bytes, or their text.
fn holds(data: &Path, secret: &[u8]) -> bool {
    let text = HEXLOWER.encode(secret);
    for file in [DATABASE.to_owned(), format!("{DATABASE}-wal")] {
        let Ok(bytes) = std::fs::read(data.join(file)) else { continue };
        let has = |part: &[u8]| bytes.windows(part.len()).any(|bytes| bytes == part);
        if has(secret) || has(text.as_bytes()) {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn no_copy_of_the_database_holds_a_key() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = county::open(&data, None).await?;
    let person =
        people::add(&server, "li", auth::Role::CountySupervisor, server.county, false, "correct horse battery").await?;
    let url = auth::new_totp(&server, &person).await?.context("a secret")?;
    let code = totp_rs::Totp::from_url(&url)?;
    server.store.close().await;
    let secrets = secrets(&data)?;
    assert_eq!(secrets.len(), 4);
    for secret in &secrets {
        assert!(!holds(&data, secret));
    }
    assert!(!holds(&data, code.secret()), "the secret of somebody's one-time codes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_an_earlier_version_kept_in_the_database_move_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = county::open(&data, None).await?;
    let person =
        people::add(&server, "li", auth::Role::CountySupervisor, server.county, false, "correct horse battery").await?;
    // As it was: keys and a mark of them, a secret in clear, no file.
    let keys: [[u8; 32]; 3] = [clock::random(), clock::random(), clock::random()];
    let mut mark = Sha256::new_with_prefix("taizhang keys");
    for (name, key) in ["county_key", "bundle_key", "cursor_key"].into_iter().zip(&keys) {
        server.store.put_secret(name, key).await?;
        mark.update(Sha256::digest(key));
    }
    server.store.put_secret("keys_mark", &mark.finalize()).await?;
    let secret = clock::random::<{ auth::TOTP_BYTES }>();
    assert!(server.store.people().begin_totp(person.id, &secret).await?);
    server.store.close().await;
    std::fs::remove_file(data.join(keyring::FILE))?;

    let server = Server::open_embedded(&config(&data)?).await?;
    assert_eq!(server.keyring.county(), keys[0]);
    assert_eq!(server.keys.public(), Keys::of(&keys[1]).public(), "what it has signed still counts");
    let (_, credentials) = server.store.people().person_by_name("li").await?.context("somebody")?;
    let kept = credentials.totp.context("a secret")?;
    assert_eq!(server.keyring.open(&kept).as_deref(), Some(secret.as_slice()));
    assert!(server.store.sweep().await?, "what stood there is still in the file until then");
    server.store.close().await;
    for key in keys {
        assert!(!holds(&data, &key));
    }
    assert!(!holds(&data, &secret));
    // It is the same the next time.
    let server = Server::open_embedded(&config(&data)?).await?;
    assert_eq!(server.keyring.county(), keys[0]);
    server.store.close().await;

    // One of them is another than the database began with: it is not taken for right by being moved.
    let server = Server::open_embedded(&config(&data)?).await?;
    for (name, key) in ["county_key", "bundle_key", "cursor_key"].into_iter().zip(&keys) {
        server.store.put_secret(name, if name == "county_key" { &[7; 32] } else { key }).await?;
    }
    server.store.close().await;
    std::fs::remove_file(data.join(keyring::FILE))?;
    let refused = Server::open_embedded(&config(&data)?).await.err().context("refused")?;
    assert!(refused.to_string().contains("不是这个数据库的"), "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_keys_a_database_is_not_opened() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, other) = (folder.path().join("data"), folder.path().join("other"));
    for data in [&data, &other] {
        county::open(data, None).await?.store.close().await;
    }
    let file = data.join(keyring::FILE);
    let (own, of_other) = (std::fs::read(&file)?, std::fs::read(other.join(keyring::FILE))?);
    let cut = own[..own.len() / 2].to_vec();
    let none = String::from_utf8(own.clone())?;
    let start = none.find("\"signing\"").context("signing keys")?;
    let none = format!("{}\"signing\": []}}", &none[..start]).into_bytes();
    for (content, told) in [
        (None, "keys.json 不见了"),
        (Some(of_other), "不是这个数据库的"),
        (Some(cut), "无法读取"),
        (Some(none), "无法读取"),
        (Some(Vec::new()), "无法读取"),
    ] {
        match &content {
            Some(content) => std::fs::write(&file, content)?,
            None => std::fs::remove_file(&file)?,
        }
        let refused = Server::open_embedded(&config(&data)?).await.err().context("refused")?;
        assert!(matches!(refused, StoreError::Refused(_)) && refused.to_string().contains(told), "{told}: {refused}");
        let examined = server::installation::examine(&config(&data)?).await?;
        let server = std::sync::Arc::new(examined.server);
        let diagnosis = server::doctor::diagnose(&server, &|_, _| {}).await?;
        let finding = diagnosis.findings.iter().find(|finding| finding.kind == "key").context("a finding")?;
        assert!(finding.what.contains(told), "{}", finding.what);
        server.store.close().await;
        assert_eq!(std::fs::read(&file).ok(), content, "nothing is made or changed");
    }
    std::fs::write(&file, own)?;
    Server::open_embedded(&config(&data)?).await?.store.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_that_is_broken_off_while_it_takes_the_countys_key_goes_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = county::open(&data, None).await?;
    let mark = server.store.get_secret("keys_mark").await?.context("a mark")?;
    server.keyring.with_county(&[7; 32]).context("a key")?.keep(server.store.as_ref()).await?;
    server.store.put_secret("keys_mark", &mark).await?;
    server.store.close().await;
    for _ in 0..2 {
        let server = Server::open_embedded(&config(&data)?).await?;
        assert_eq!(server.keyring.county(), [7; 32]);
        server.store.close().await;
    }
    Ok(())
}

/// The same county with other keys from now on, as after `taizhang keys rotate`.
async fn rotated(server: Server, data: &Path, is_leaked: bool) -> Result<Server> {
    server.keyring.rotated(is_leaked).keep(server.store.as_ref()).await?;
    server.store.close().await;
    Ok(Server::open_embedded(&config(data)?).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sealed_counts_until_the_key_is_known_to_others() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let sealed = std::fs::read(Printed::draw(&server, folder.path(), "R03", &[]).await?.path)?;
    let data = server.keyring.file().parent().context("a folder")?.to_owned();
    let first = server.keyring.current().id();

    let server = rotated(server, &data, false).await?;
    assert_ne!(server.keyring.current().id(), first);
    let verified = verify::verify(&server, sealed.clone()).await?;
    assert_eq!((verified.verdict, verified.redrawn), ("valid", "same"));
    let second = std::fs::read(Printed::draw(&server, folder.path(), "R03", &[]).await?.path)?;

    let server = rotated(server, &data, true).await?;
    for old in [sealed, second] {
        let verified = verify::verify(&server, old).await?;
        assert_eq!(verified.verdict, "outdated");
        assert!(verified.sentence.contains("泄露"), "{}", verified.sentence);
    }
    let third = std::fs::read(Printed::draw(&server, folder.path(), "R03", &[]).await?.path)?;
    assert_eq!(verify::verify(&server, third).await?.verdict, "valid");
    server.store.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_without_a_network_go_on_with_the_keys_that_they_know() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = county_of_towns(folder.path()).await?;
    let before = server.keys.public();
    let of = Identity { unit: id(&server, "T1-1"), book: Book::Unit, period: server.period() };
    let phone = county::device(&server, folder.path(), "http://127.0.0.1:9", "phone", of.unit, &[Book::Unit]).await?;
    let data = server.keyring.file().parent().context("a folder")?.to_owned();
    let mut server = rotated(server, &data, false).await?;
    for (number, is_leaked) in [(1, true), (2, false)] {
        // What somebody typed is never lost, whatever became of the key that it was shut with.
        phone.save(&of, "members", RowId::random([number; 10]), &[("name", "张三".into())], 0).await?;
        let file = phone.write_bundle(&before, None, 0).await?;
        let answer = bundles::answer(&server, &file).await?;
        assert_eq!((answer.taken, answer.refused), (1, 0));
        phone.read_bundle(&answer.bytes, &before).await?;
        assert_eq!(phone.unsent().await?, 0, "its work has arrived, and it knows");
        server = rotated(server, &data, is_leaked).await?;
    }
    // Over the network receipts are signed with the newest, and a device asks for it.
    let url = county::serve(&server).await?;
    let online = county::device(&server, folder.path(), &url, "online", of.unit, &[Book::Unit]).await?;
    online.save(&of, "members", RowId::random([9; 10]), &[("name", "李四".into())], 0).await?;
    online.exchange(clock::now_ms()).await?;
    let receipt = online.receipts().await?.pop().context("a receipt")?;
    let statement = receipt_statement(&receipt.changes, receipt.server_time_ms);
    assert!(is_signed_by(&server.keys.public().signing, &statement, &receipt.signature));
    let asked = Trust::new(None)?.client()?.get(format!("{url}/api/device/keys")).bearer_auth("online");
    let answer: serde_json::Value = asked.send().await?.json().await?;
    assert_eq!(answer["server_keys"], server.keys.public().to_string());
    assert_ne!(server.keys.public(), before);
    Ok(())
}

#[test]
fn an_administrator_rotates_keys_while_the_server_is_stopped() -> Result<()> {
    use super::attacks_console::said;

    let folder = tempfile::tempdir()?;
    said(&folder, &["init"], 0)?;
    let first = said(&folder, &["keys"], 0)?;
    assert!(said(&folder, &["keys", "list"], 0)?.contains("使用中"));
    {
        let _lock = server::installation::lock(&folder.path().join("data"))?;
        assert!(said(&folder, &["keys", "rotate"], 2)?.contains("请先停止服务"));
    }
    assert_eq!(said(&folder, &["keys"], 0)?, first);
    assert!(said(&folder, &["keys", "rotate"], 0)?.contains("已更换"));
    assert_ne!(said(&folder, &["keys"], 0)?, first);
    assert!(said(&folder, &["keys", "rotate", "--leaked"], 0)?.contains("作废"));
    let list = said(&folder, &["keys", "list"], 0)?;
    assert_eq!(list.matches("泄露").count(), 2, "{list}");
    let lines = said(&folder, &["audit", "list"], 0)?;
    assert_eq!(lines.matches(Event::KeysRotated.as_str()).count(), 2, "{lines}");
    said(&folder, &["doctor"], 0)?;
    Ok(())
}
