//! What was erased is forgotten by copies of the database, too: backups, replicas, archives of its log. Nothing of anybody else is.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use server::{
    Server,
    config::{Config, File},
    doctor,
    erasure::{self, Erased, Extent},
    import::import_file,
    installation, keyring,
    store::{StoreError, sqlite::DOCUMENT_KEYS},
};
use sync_protocol::{Book, Identity, document::RowKey};
use tests::{county, roster, sheet};

use super::erasure::{ID, OTHER, all_restricted, imported, says};

const DATABASE: &str = "taizhang.sqlite";
const SUCCESSORS: &str = "successors";

/// A copy of a database with its log, and with nothing else.
fn backup(data: &Path, to: PathBuf) -> Result<PathBuf> {
    std::fs::create_dir_all(&to)?;
    for ending in ["", "-wal"] {
        let name = format!("{DATABASE}{ending}");
        if data.join(&name).exists() {
            std::fs::copy(data.join(&name), to.join(&name))?;
        }
    }
    Ok(to)
}

/// Puts beside a database what stands outside of it now.
fn beside(data: &Path, to: &Path) -> Result<()> {
    for name in [keyring::FILE, DOCUMENT_KEYS] {
        std::fs::copy(data.join(name), to.join(name))?;
    }
    let kept = data.join(SUCCESSORS);
    if kept.exists() {
        std::fs::create_dir_all(to.join(SUCCESSORS))?;
        for file in std::fs::read_dir(kept)? {
            let file = file?;
            std::fs::copy(file.path(), to.join(SUCCESSORS).join(file.file_name()))?;
        }
    }
    Ok(())
}

fn config(data: &Path) -> Result<Config> {
    Config::check(File { data_dir: data.to_owned(), ..File::default() })
}

async fn erase(server: &Server, name: &str) -> Result<Erased> {
    let unit = county::branch(server, 0);
    let found = erasure::records(server, unit, name, Extent::Restricted).await?.pop().context("it is there")?;
    let order = erasure::Order { by: "县".into(), reason: "保存期满", extent: Extent::Restricted };
    Ok(erasure::erase(server, unit, &RowKey { ledger: found.ledger, row: found.row }, order).await?)
}

async fn is_sound(server: &Server) -> Result<()> {
    assert_eq!(doctor::diagnose(server, &|_, _| {}).await?.wrong, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_before_forgets_what_is_erased_and_nothing_else() -> Result<()> {
    let (folder, server, _) = imported().await?;
    let (data, unit) = (folder.path().join("data"), county::branch(&server, 0));
    let url = county::serve(&server).await?;
    let books = [Book::Unit, Book::UnitRestricted];
    let here = county::device(&server, folder.path(), &url, "here", unit, &books).await?;
    let away = county::device(&server, folder.path(), &url, "away", unit, &books).await?;
    let open = Identity { unit, book: Book::Unit, period: server.period() };
    for device in [&here, &away] {
        device.exchange(0).await?;
    }
    let rows = here.rows(&open, "members").await?;
    let row = |name: &str| rows.iter().find(|row| row.text("name") == name).map(|row| row.id).context("imported");
    let (zhang, li) = (row("张三")?, row("李四")?);
    here.save(&open, "members", zhang, &[("address", "搬到红旗路".into())], 0).await?;
    here.exchange(0).await?;

    let before = backup(&data, folder.path().join("before"))?;
    let without = backup(&data, folder.path().join("without"))?;
    let own = [ID, "青石村7号", "搬到红旗路"];
    // What others write between the backup and the erasure, and what nobody has sent yet.
    here.save(&open, "members", li, &[("address", "李四的新住址".into())], 0).await?;
    here.exchange(0).await?;
    away.save(&open, "members", li, &[("household_police", "青石派出所".into())], 0).await?;
    let keys = std::fs::read(data.join(DOCUMENT_KEYS))?;
    erase(&server, "张三").await?;
    here.exchange(0).await?;
    assert!(all_restricted(&server, unit).await?.contains("李四的新住址"));
    server.store.close().await;
    for to in [&before, &without] {
        beside(&data, to)?;
    }
    std::fs::remove_dir_all(without.join(SUCCESSORS))?;
    let destroyed = std::fs::read(data.join(DOCUMENT_KEYS))?;
    assert_ne!(destroyed[..keys.len()], keys, "the key is overwritten where it stood");

    // Nothing of it is in the copies in clear, nor can it be opened; everybody else's is there, as of the erasure.
    for text in own.into_iter().chain([OTHER, "白水村9号"]) {
        assert!(!says(&before.join(DATABASE), text)?, "{text} is in the copy in clear");
    }
    let again = county::open(&before, None).await?;
    let told = all_restricted(&again, unit).await?;
    for text in own {
        assert!(!told.contains(text), "{text}: {told}");
    }
    assert!(told.contains(OTHER) && told.contains("李四的新住址"), "nobody else lost anything: {told}");
    let stored = again.store.document(open.in_book(Book::UnitRestricted).document(&again.tenant)).await?;
    let stored = stored.context("a document")?;
    let document = sync_protocol::Document::load(stored.snapshot.as_deref(), &stored.changes)?;
    let key = RowKey { ledger: "members".into(), row: zhang };
    assert!(!document.mentions(&key) && stored.successor.is_some_and(|successor| !successor.covers.is_empty()));
    assert!(again.store.erased_from(unit, &key).await?.contains(&Book::UnitRestricted), "it knows that it was erased");
    is_sound(&again).await?;
    // Devices go on with it, whether they have heard of the erasure or not.
    let url = county::serve(&again).await?;
    for device in [here, away] {
        device.close().await;
    }
    let here = county::open_device(&again, folder.path(), &url, "here").await?;
    let away = county::open_device(&again, folder.path(), &url, "away").await?;
    for device in [&away, &here, &away] {
        device.exchange(0).await?;
        assert_eq!((device.unsent().await?, device.refused().await?.len()), (0, 0));
        assert!(!device.document(&open.in_book(Book::UnitRestricted)).await?.mentions(&key));
    }
    assert!(all_restricted(&again, unit).await?.contains("青石派出所"), "what was not sent yet arrives");
    is_sound(&again).await?;
    again.store.close().await;

    // Without what is kept, nobody reads anything of the document, and the doctor says so.
    let bare = county::open(&without, None).await?;
    assert!(matches!(
        all_restricted(&bare, unit).await.err().and_then(|e| e.downcast().ok()),
        Some(StoreError::KeyGone)
    ));
    let findings = doctor::diagnose(&bare, &|_, _| {}).await?.findings;
    assert!(findings.iter().any(|finding| finding.kind == "document-key"), "{findings:?}");
    bare.store.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn being_interrupted_between_the_commit_and_the_key_is_finished_at_the_next_start() -> Result<()> {
    let (folder, server, _) = imported().await?;
    let (data, unit) = (folder.path().join("data"), county::branch(&server, 0));
    server.store.close().await;
    let before = backup(&data, folder.path().join("before"))?;
    let old = std::fs::read(data.join(DOCUMENT_KEYS))?;
    let server = county::open(&data, None).await?;
    erase(&server, "张三").await?;
    server.store.close().await;
    let after = std::fs::read(data.join(DOCUMENT_KEYS))?;
    assert!(after.len() > old.len() && after[..old.len()] != old[..]);
    let undestroyed = [&old, &after[old.len()..]].concat();

    // After the commit: the old key is destroyed at the next start.
    std::fs::write(data.join(DOCUMENT_KEYS), &undestroyed)?;
    let server = county::open(&data, None).await?;
    assert_eq!(std::fs::read(data.join(DOCUMENT_KEYS))?, after);
    let told = all_restricted(&server, unit).await?;
    assert!(!told.contains(ID) && told.contains(OTHER));
    is_sound(&server).await?;
    server.store.close().await;

    // Before the commit: the new key, and the successor that was kept, belong to nothing yet.
    beside(&data, &before)?;
    std::fs::write(before.join(DOCUMENT_KEYS), &undestroyed)?;
    let server = county::open(&before, None).await?;
    assert_eq!(std::fs::read(before.join(DOCUMENT_KEYS))?, undestroyed, "no key goes that is used, or may be");
    let told = all_restricted(&server, unit).await?;
    assert!(told.contains(ID) && told.contains(OTHER));
    is_sound(&server).await?;
    // The next attempt takes the key that was made for it.
    erase(&server, "张三").await?;
    assert_eq!(std::fs::read(before.join(DOCUMENT_KEYS))?, after);
    let told = all_restricted(&server, unit).await?;
    assert!(!told.contains(ID) && told.contains(OTHER));
    is_sound(&server).await?;
    server.store.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_erasures_the_last_is_what_an_older_backup_gets() -> Result<()> {
    let (folder, server, _) = imported().await?;
    let (data, unit) = (folder.path().join("data"), county::branch(&server, 0));
    let code = roster::branch_code(0);
    let more = format!(
        "党组织编码|姓名|身份证号|出生日期|家庭住址|入党时间\n{code}|王五|340099198203030012|1982-03-03|黑山村3号|2003-05"
    );
    let first = backup(&data, folder.path().join("first"))?;
    erase(&server, "张三").await?;
    let file = folder.path().join("more.xlsx");
    std::fs::write(&file, sheet::workbook(&[("党员", &more)])?)?;
    import_file(&server, &file, "县", &|_, _| {}).await?;
    let second = backup(&data, folder.path().join("second"))?;
    erase(&server, "李四").await?;
    server.store.close().await;
    assert_eq!(std::fs::read_dir(data.join(SUCCESSORS))?.count(), 1, "what was kept before is kept no more");
    for data in [first, second] {
        beside(&folder.path().join("data"), &data)?;
        let server = county::open(&data, None).await?;
        let told = all_restricted(&server, unit).await?;
        assert!(!told.contains(ID) && !told.contains(OTHER) && told.contains("黑山村3号"), "{told}");
        is_sound(&server).await?;
        // From now on it is written to as ever.
        assert!(!says(&data.join(DATABASE), "黑山村3号")?);
        // Its open columns may be newer than the backup: then it is found without its name.
        erase(&server, "").await?;
        assert_eq!(all_restricted(&server, unit).await?, "");
        server.store.close().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_keys_of_its_documents_a_database_is_not_opened() -> Result<()> {
    let (folder, server, _) = imported().await?;
    let (data, unit) = (folder.path().join("data"), county::branch(&server, 0));
    // Keys are read once: what is stored is opened without looking into the file for every row.
    let file = data.join(DOCUMENT_KEYS);
    let aside = folder.path().join("aside");
    std::fs::rename(&file, &aside)?;
    assert!(all_restricted(&server, unit).await?.contains(ID));
    server.store.close().await;

    let other = folder.path().join("other");
    county::open(&other, None).await?.store.close().await;
    let of_other = std::fs::read(other.join(DOCUMENT_KEYS))?;
    for (content, told) in
        [(None, "document-keys.bin 不见了"), (Some(of_other), "不是这个数据库的"), (Some(vec![7; 300]), "无法读取")]
    {
        match &content {
            Some(content) => std::fs::write(&file, content)?,
            None => assert!(!file.exists()),
        }
        let refused = Server::open_embedded(&config(&data)?).await.err().context("refused")?;
        assert!(matches!(refused, StoreError::Refused(_)) && refused.to_string().contains(told), "{told}: {refused}");
        let examined = installation::examine(&config(&data)?).await?;
        let diagnosis = doctor::diagnose(&examined.server, &|_, _| {}).await?;
        let finding = diagnosis.findings.iter().find(|finding| finding.kind == "document-key").context("a finding")?;
        assert!(finding.what.contains(told), "{}", finding.what);
        examined.server.store.close().await;
        assert_eq!(std::fs::read(&file).ok(), content, "nothing is made or changed");
    }
    std::fs::rename(&aside, &file)?;
    let server = Server::open_embedded(&config(&data)?).await?;
    assert!(all_restricted(&server, unit).await?.contains(ID));
    is_sound(&server).await?;
    server.store.close().await;
    Ok(())
}
