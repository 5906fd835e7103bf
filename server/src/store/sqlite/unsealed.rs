//! A database that an earlier version has written: what is restricted stands in it in clear, and is sealed when it is opened.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use sqlx::Row;
use sync_protocol::{Book, ChangeHash, DeviceId, Identity, Value, document::RefusalCode, document::RowKey};

use super::{
    DOCUMENT_KEYS, SqliteStore, codec,
    document_key::{Place, sealed_with},
    sealing,
};
use crate::{
    Server,
    config::{Config, File},
    demo, doctor,
    import::import_file,
    installation::DATABASE,
    store::{NewProposal, QuarantineState, Quarantined, Store, blob},
    tallies::Tallies,
};

const HELD: &[u8] = b"a change about 340099198001010014";
const PROPOSED: &str = "340099198103030013";

fn config(data: &Path) -> Config {
    Config::check(File { data_dir: data.to_owned(), ..File::default() }).expect("configuration")
}

/// Everything that is stored of restricted documents, opened.
async fn content(server: &Server) -> BTreeSet<String> {
    let mut content = BTreeSet::new();
    for (of, heads) in server.store.all_identities().await.expect("documents") {
        let id = of.document(&server.tenant);
        let stored = server.store.document(id).await.expect("read").expect("there");
        content.insert(format!("{of:?} {heads:?} {:?} {:?}", stored.snapshot, stored.changes));
        for row in server.store.projection(id).await.expect("rows") {
            content.insert(format!("{of:?} {row:?}"));
        }
        content.insert(format!("{of:?} {:?}", server.store.affirmed(id).await.expect("cells")));
    }
    content.insert(format!("{:?}", server.store.quarantined().await.expect("changes")));
    content.insert(format!("{:?}", server.store.proposals().one(1).await.expect("proposals")));
    content
}

/// What may stand in no file in clear: every identity number of the restricted books.
async fn secrets(server: &Server) -> BTreeSet<String> {
    let mut secrets = BTreeSet::from(["340099198001010014".to_owned(), PROPOSED.to_owned()]);
    for (of, _) in server.store.all_identities().await.expect("documents") {
        if of.book.is_restricted() {
            for row in server.store.projection(of.document(&server.tenant)).await.expect("rows") {
                let cells: BTreeMap<String, serde_json::Value> = serde_json::from_str(&row.cells).expect("JSON");
                let number = cells.get("id_card").and_then(|value| value.as_str());
                let number = number.filter(|number| number.len() == 18 && number.starts_with("340099"));
                secrets.extend(number.map(ToOwned::to_owned));
            }
        }
    }
    secrets
}

/// How many of them stand in the database, in clear or compressed as blobs are.
fn told(data: &Path, secrets: &BTreeSet<String>) -> usize {
    let mut bytes = std::fs::read(data.join(DATABASE)).expect("there");
    bytes.extend(std::fs::read(data.join(format!("{DATABASE}-wal"))).unwrap_or_default());
    let numbers: BTreeSet<&[u8]> = bytes.windows(18).filter(|window| window.starts_with(b"340099")).collect();
    secrets.iter().filter(|secret| numbers.contains(secret.as_bytes())).count()
}

/// Opens everything again, as if it had never been sealed.
async fn unseal(data: &Path) {
    let store = SqliteStore::open(&data.join(DATABASE), Tallies::new(&config(data).catalogue)).await.expect("store");
    let keys = store.keys.clone();
    let mut tx = store.writer.begin().await.expect("begun");
    for (table, column, place) in [
        ("changes", "bytes", Place::Change),
        ("snapshots", "bytes", Place::Snapshot),
        ("quarantine", "bytes", Place::Quarantine),
    ] {
        let sql = format!("SELECT rowid AS id, {column} AS stored FROM {table} WHERE {column} IS NOT NULL");
        for row in sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut *tx).await.expect("read") {
            let stored: Vec<u8> = row.get("stored");
            if sealed_with(&stored).is_some() {
                let plain = blob::pack(&keys.open_any(place, &stored).expect("opened"));
                let sql = format!("UPDATE {table} SET {column} = $2 WHERE rowid = $1");
                let update = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(row.get::<i64, _>("id")).bind(plain);
                update.execute(&mut *tx).await.expect("written");
            }
        }
    }
    for row in sqlx::query("SELECT batch, document, cells FROM affirmed").fetch_all(&mut *tx).await.expect("read") {
        let plain = blob::pack(&keys.open_any(Place::Affirmed, row.get("cells")).expect("opened"));
        let update = sqlx::query("UPDATE affirmed SET cells = $3 WHERE batch = $1 AND document = $2");
        let update = update.bind(row.get::<String, _>("batch")).bind(row.get::<i64, _>("document")).bind(plain);
        update.execute(&mut *tx).await.expect("written");
    }
    let rows = sqlx::query("SELECT ledger, document, row, cells, conflicts FROM rows WHERE cells LIKE '~%'");
    let rows = rows.fetch_all(&mut *tx).await.expect("read");
    assert!(!rows.is_empty(), "rows of restricted books are sealed");
    for row in rows {
        let (ledger, id): (String, _) = (row.get("ledger"), codec::row_id(&row, "row").expect("an id"));
        let conflicts: Option<String> = row.get("conflicts");
        let open = |place, text| keys.open_any_text(place, text).expect("opened");
        sqlx::query("UPDATE rows SET cells = $4, conflicts = $5 WHERE ledger = $1 AND document = $2 AND row = $3")
            .bind(&ledger)
            .bind(row.get::<i64, _>("document"))
            .bind(id.as_bytes().as_slice())
            .bind(open(Place::Cells(&ledger, id), row.get("cells")))
            .bind(conflicts.map(|text| open(Place::Conflicts(&ledger, id), text)))
            .execute(&mut *tx)
            .await
            .expect("written");
    }
    for row in sqlx::query("SELECT number, before, value FROM proposals").fetch_all(&mut *tx).await.expect("read") {
        let before: Option<String> = row.get("before");
        sqlx::query("UPDATE proposals SET before = $2, value = $3 WHERE number = $1")
            .bind(row.get::<i64, _>("number"))
            .bind(before.map(|text| keys.open_any_text(Place::Before, text).expect("opened")))
            .bind(keys.open_any_text(Place::Proposed, row.get("value")).expect("opened"))
            .execute(&mut *tx)
            .await
            .expect("written");
    }
    for sql in ["DELETE FROM document_keys", "DELETE FROM meta WHERE key IN ('document_keys', 'unswept')"] {
        sqlx::query(sql).execute(&mut *tx).await.expect("written");
    }
    tx.commit().await.expect("committed");
    store.close().await;
    std::fs::remove_file(data.join(DOCUMENT_KEYS)).expect("there");
}

async fn county(folder: &Path) -> PathBuf {
    let data = folder.join("data");
    let server = Server::create_embedded(&config(&data)).await.expect("server");
    let mut files = demo::generate(7, folder).expect("ledgers");
    let name = |file: &Path| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files.retain(|file| name(file).starts_with("00_") || name(file).starts_with("01_"));
    files.sort_by_key(|file| !name(file).contains("名录") && !name(file).contains("党组织台账"));
    // Twice: the second finds what the first has written, and stands by it.
    for file in files.iter().chain(&files) {
        import_file(&server, file, "县", &|_, _| {}).await.expect("imported");
    }
    let restricted = server.store.all_identities().await.expect("documents").into_iter();
    let (of, _) = restricted.into_iter().find(|(of, _)| of.book == Book::UnitRestricted).expect("a document");
    let row = server.store.projection(of.document(&server.tenant)).await.expect("rows").remove(0);
    let held = Quarantined {
        hash: ChangeHash([7; 32]),
        identity: Identity { period: "2011".into(), ..of.clone() },
        device: DeviceId::from_bytes([7; 16]),
        code: RefusalCode::ALL[0],
        sentence: "…".into(),
        received_at_ms: 0,
        bytes: HELD.to_vec(),
        state: QuarantineState::Waiting,
        decided_by: None,
    };
    assert!(server.store.quarantine(&[held], 1 << 20).await.expect("held"));
    let proposed = NewProposal {
        row: RowKey { ledger: row.ledger, row: row.row },
        column: "id_card".into(),
        before: Some(Value::text("340099198001010014")),
        value: Value::text(PROPOSED),
        who: "青山镇".into(),
        import: None,
    };
    for _ in 0..2 {
        server.store.proposals().propose(&of, std::slice::from_ref(&proposed), 0).await.expect("proposed");
    }
    assert!(server.store.proposals().one(2).await.expect("read").is_none(), "the same waits once");
    server.store.close().await;
    data
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_version_has_stored_in_clear_is_sealed_when_it_is_opened() {
    let folder = tempfile::tempdir().expect("folder");
    let data = county(folder.path()).await;
    let server = Server::open_embedded(&config(&data)).await.expect("server");
    let (before, secrets) = (content(&server).await, secrets(&server).await);
    server.store.close().await;
    assert!(secrets.len() > 20, "{} secrets prove nothing", secrets.len());
    assert_eq!(told(&data, &secrets), 0, "a database that was made by this version");
    for is_interrupted in [false, true] {
        unseal(&data).await;
        assert_eq!(told(&data, &secrets), secrets.len(), "the test finds what is there");
        if is_interrupted {
            // A part of it was sealed and committed, another was not.
            let tally = Tallies::new(&config(&data).catalogue);
            let store = SqliteStore::open_without_keys(&data.join(DATABASE), tally).await.expect("store");
            let keys = sealing::open(&data.join(DATABASE), store.writer.outside()).await.expect("keys");
            let documents = store.all_identities().await.expect("documents");
            let mut tx = store.writer.begin().await.expect("begun");
            for (of, _) in documents.into_iter().filter(|(of, _)| of.book.is_restricted()).take(3) {
                let key = sealing::key_of(&mut tx, &keys, &of).await.expect("read").expect("a key");
                sealing::seal(&mut tx, &keys, &of, &key).await.expect("sealed");
            }
            tx.commit().await.expect("committed");
            store.close().await;
            assert!(told(&data, &secrets) > 0);
        }
        let server = Server::open_embedded(&config(&data)).await.expect("server");
        assert_eq!(content(&server).await, before);
        assert_eq!(doctor::diagnose(&server, &|_, _| {}).await.expect("diagnosed").wrong, Vec::<String>::new());
        assert!(server.store.sweep().await.expect("swept"), "what stood there is still in the file until then");
        server.store.close().await;
        assert_eq!(told(&data, &secrets), 0);
    }
}
