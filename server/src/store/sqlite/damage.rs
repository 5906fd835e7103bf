//! Damage of every kind, done with SQL: `doctor` finds it, goes on, and puts right what follows from the rest.

use std::{path::Path, sync::Arc};

use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::{
    Server,
    audit::{self, Event},
    config::{Config, File},
    demo,
    doctor::{self, Mend, Weight},
    import::import_file,
    installation, keyring,
    store::{AttachmentPart, sqlite::DOCUMENT_KEYS},
    undo,
};

/// What is done, by SQL; the kind of what is found; whether it is put right.
type Damage = (&'static str, &'static str, &'static str, Mend);

/// A document that has a snapshot, and changes behind it.
const CHOSEN: &str = "(SELECT document FROM changes WHERE bytes IS NOT NULL ORDER BY seq LIMIT 1)";

const DAMAGES: [Damage; 33] = [
    ("tallies deleted", "DELETE FROM tallies", "tally", Mend::Possible),
    ("tallies changed", "UPDATE tallies SET value = value + 100", "tally", Mend::Possible),
    (
        "a tally of nothing",
        "INSERT INTO tallies (measure, period, unit, by, value) VALUES ('x', '1999', x'00', '', 1)",
        "tally",
        Mend::Possible,
    ),
    (
        "one mark of the feed altered",
        "UPDATE changes SET chain = chain + 1 WHERE seq = (SELECT max(seq) / 2 FROM changes)",
        "feed",
        Mend::Possible,
    ),
    ("all marks of the feed deleted", "UPDATE changes SET chain = 0", "feed", Mend::Possible),
    (
        "a change deleted",
        "DELETE FROM changes WHERE seq = (SELECT max(seq) - 1 FROM changes)",
        "feed",
        Mend::Impossible,
    ),
    (
        "the last change deleted",
        "DELETE FROM changes WHERE seq = (SELECT max(seq) FROM changes)",
        "feed",
        Mend::Impossible,
    ),
    ("a hash cut off", "UPDATE changes SET hash = x'01' WHERE seq = 5", "feed", Mend::Impossible),
    ("paths cut", "UPDATE units SET path = substr(path, 38) WHERE level = 'organisation'", "unit-path", Mend::Possible),
    (
        "an organisation deleted",
        "DELETE FROM units WHERE id = (SELECT d.unit FROM documents d JOIN units u ON u.id = d.unit
                                       WHERE u.level = 'organisation' LIMIT 1)",
        "unit",
        Mend::Impossible,
    ),
    (
        "a reporting unit deleted",
        "DELETE FROM units WHERE id = (SELECT d.unit FROM documents d JOIN units u ON u.id = d.unit
                                       WHERE u.level = 'reporting_unit' LIMIT 1)",
        "unit",
        Mend::Possible,
    ),
    ("the county deleted", "DELETE FROM units WHERE level = 'county'", "unit", Mend::Possible),
    (
        "another county",
        "INSERT INTO units (id, level, name, sort_order, path) VALUES (zeroblob(16), 'county', '另一县', 0,
         '00000000-0000-0000-0000-000000000000/')",
        "unit",
        Mend::Possible,
    ),
    (
        "a unit below itself",
        "UPDATE units SET parent = id WHERE id = (SELECT id FROM units WHERE level = 'organisation' LIMIT 1)",
        "unit",
        Mend::Impossible,
    ),
    (
        "a unit renamed",
        "UPDATE units SET name = '某某支部' WHERE id = (SELECT d.unit FROM documents d JOIN units u ON u.id = d.unit
                                                   WHERE u.level = 'organisation' LIMIT 1)",
        "unit-name",
        Mend::Possible,
    ),
    ("last numbers of documents", "UPDATE documents SET seq = 0", "document-seq", Mend::Possible),
    ("actors deleted", "DELETE FROM actors", "actor", Mend::Possible),
    ("other keys", "UPDATE meta SET value = randomblob(32) WHERE key = 'keys_mark'", "key", Mend::Impossible),
    ("what its keys are forgotten", "DELETE FROM meta WHERE key = 'keys_mark'", "key", Mend::Impossible),
    (
        "the audit log altered",
        "DROP TRIGGER audit_is_not_changed; UPDATE audit SET who = '另一人' WHERE number = 2",
        "audit",
        Mend::Impossible,
    ),
    (
        "a projected value changed",
        "UPDATE rows SET cells = replace(cells, '1', '2') WHERE document = CHOSEN",
        "projection",
        Mend::Possible,
    ),
    ("projected rows deleted", "DELETE FROM rows WHERE document = CHOSEN", "projection", Mend::Possible),
    (
        "a projected row that is no JSON",
        "UPDATE rows SET cells = '{' WHERE document = CHOSEN",
        "projection",
        Mend::Possible,
    ),
    (
        "a snapshot cut off",
        "UPDATE snapshots SET bytes = substr(bytes, 1, length(bytes) / 2) WHERE document = CHOSEN",
        "snapshot",
        Mend::Impossible,
    ),
    (
        "bytes of a change flipped",
        "UPDATE changes SET bytes = CAST(substr(bytes, 1, 40) || x'ff' || substr(bytes, 42) AS BLOB)
         WHERE seq = (SELECT max(seq) FROM changes)",
        "change",
        Mend::Impossible,
    ),
    ("other heads", "UPDATE documents SET heads = randomblob(32) WHERE number = CHOSEN", "heads", Mend::Possible),
    ("heads that are none", "UPDATE documents SET heads = x'01' WHERE number = CHOSEN", "heads", Mend::Possible),
    ("a snapshot said to be older", "UPDATE snapshots SET upto_seq = 0", "snapshot", Mend::Possible),
    ("a snapshot said to be newer", "UPDATE snapshots SET upto_seq = 999999", "snapshot", Mend::Possible),
    (
        "a document with another id",
        "UPDATE documents SET id = randomblob(16) WHERE number = CHOSEN",
        "document",
        Mend::Possible,
    ),
    (
        "a document of another book",
        "UPDATE documents SET book = 'nonsense' WHERE number = CHOSEN",
        "document",
        Mend::Possible,
    ),
    (
        "a document of another year",
        "UPDATE documents SET period = '1999' WHERE number = CHOSEN",
        "document",
        Mend::Possible,
    ),
    ("bytes of a photo", "UPDATE attachments SET bytes = zeroblob(length(bytes))", "attachment", Mend::Impossible),
];

fn config(data: &Path) -> Config {
    Config::check(File { data_dir: data.to_owned(), ..File::default() }).expect("configuration")
}

/// A county of one township, with an import taken back, a photo and an audit log.
async fn county(folder: &Path) {
    let server = Server::create_embedded(&config(&folder.join("whole"))).await.expect("server");
    let mut files = demo::generate(7, folder).expect("ledgers");
    let name = |file: &Path| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files.retain(|file| name(file).starts_with("00_") || name(file).starts_with("01_"));
    files.sort_by_key(|file| !name(file).contains("名录") && !name(file).contains("党组织台账"));
    for file in &files {
        import_file(&server, file, "县委组织部", &|_, _| {}).await.expect("imported");
    }
    let last = server.store.batches().await.expect("batches").into_iter().next().expect("an import");
    let undone = undo::undo(&server, &last.batch.id, "县委组织部").await.expect("undone").expect("an import");
    assert!(undone.documents > 1, "changes behind snapshots");
    let bytes = b"photo".to_vec();
    let part = AttachmentPart {
        unit: server.county,
        hash: Sha256::digest(&bytes).into(),
        size: 5,
        offset: 0,
        bytes,
        device: None,
        received_at_ms: 0,
        unit_bytes_max: 1 << 20,
        device_bytes_max: 1 << 20,
        is_it: |hash, whole| *hash == <[u8; 32]>::from(Sha256::digest(whole)),
    };
    server.store.append_attachment(&part).await.expect("a photo");
    for line in 0..3 {
        audit::note_console(&server, "某", Event::Imported, None, json!({ "line": line })).await.expect("noted");
    }
    server.store.close().await;
}

async fn run(data: &Path, sql: &str) {
    let options = SqliteConnectOptions::new().filename(data.join(installation::DATABASE)).foreign_keys(false);
    let mut connection = options.connect().await.expect("opens");
    let sql = sql.replace("CHOSEN", CHOSEN);
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect("runs");
    connection.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_is_found_and_put_right_where_it_can_be() {
    let folder = tempfile::tempdir().expect("folder");
    county(folder.path()).await;
    let mut sound = vec![("nothing", "SELECT 1", "", Mend::Done)];
    sound.extend(DAMAGES);
    for (name, sql, kind, mend) in sound {
        let data = folder.path().join("damaged");
        std::fs::create_dir(&data).expect("folder");
        for file in [installation::DATABASE, keyring::FILE, DOCUMENT_KEYS] {
            std::fs::copy(folder.path().join("whole").join(file), data.join(file)).expect("copied");
        }
        run(&data, sql).await;
        let examined = installation::examine(&config(&data)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let server = Arc::new(examined.server);
        let diagnosis = doctor::diagnose(&server, &|_, _| {}).await.expect("a diagnosis");
        assert!(diagnosis.documents_checked > 10, "{name}: it goes on");
        for finding in &diagnosis.findings {
            assert!(
                !finding.advice.is_empty() && !finding.what.contains("run `taizhang doctor`"),
                "{name}: {finding:?}"
            );
        }
        if kind.is_empty() {
            assert_eq!(diagnosis.findings, Vec::new(), "{name}");
        } else {
            let found = diagnosis.findings.iter().find(|finding| finding.kind == kind && finding.mend == mend);
            let found = found.unwrap_or_else(|| panic!("{name}: {:#?}", diagnosis.findings));
            assert_eq!(found.weight, Weight::Wrong, "{name}");
            let repaired = doctor::repair(&server, &|_, _| {}).await.expect("a diagnosis");
            let is_sound = repaired.wrong.is_empty();
            assert_eq!(is_sound, mend == Mend::Possible, "{name}: {:#?}", repaired.findings);
            assert_eq!(mend == Mend::Possible, repaired.repaired.iter().any(|finding| finding.kind == kind), "{name}");
        }
        server.store.close().await;
        std::fs::remove_dir_all(&data).expect("removed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_before_the_county_was_kept_is_taken_where_it_is_this_county() {
    let folder = tempfile::tempdir().expect("folder");
    let data = folder.path().join("data");
    let server = Server::create_embedded(&config(&data)).await.expect("server");
    let before = server.keyring.county().to_vec();
    server.store.close().await;
    std::fs::remove_file(data.join("high-water.json")).expect("there");
    let forget = "DELETE FROM meta WHERE key IN ('county', 'installation', 'keys_mark')";
    // A server that had another code once has left a county without units, and documents under other ids.
    let other =
        "INSERT INTO units (id, parent, level, name, sort_order, path) SELECT x'00000000000000000000000000000007', id,
                 'reporting_unit', '青山镇', 0, path || '07/' FROM units;
                 INSERT INTO units (id, level, code, name, sort_order, path)
                 VALUES (zeroblob(16), 'county', '340100', '另一县', 0, '0/');
                 INSERT INTO documents (id, unit, book, period, heads, seq)
                 VALUES (randomblob(16), x'00000000000000000000000000000007', 'unit', '2012', x'', 0)";
    run(&data, &format!("{forget}; {other}")).await;
    let wrong = Config { county_code: "340100".into(), ..config(&data) };
    let refused = Server::open_embedded(&wrong).await.expect_err("another county");
    assert!(refused.to_string().contains("340099"), "{refused}");
    let server = Server::open_embedded(&config(&data)).await.expect("this county");
    assert_eq!(server.keyring.county(), before, "its keys stay");
    let documents = server.store.examine().raw_documents().await.expect("read");
    assert!(documents.iter().all(|document| document.is_stray), "{documents:?}");
    server.store.close().await;
    // The place is free for the right one, and for one alone.
    let insert = "INSERT INTO documents (id, unit, book, period, heads, seq)
                  VALUES (randomblob(16), x'00000000000000000000000000000007', 'unit', '2012', x'', 0)";
    run(&data, insert).await;
    let options = SqliteConnectOptions::new().filename(data.join(installation::DATABASE));
    let mut connection = options.connect().await.expect("opens");
    let again = sqlx::raw_sql(insert).execute(&mut connection).await.expect_err("one is enough");
    assert!(again.to_string().contains("UNIQUE"), "{again}");
}
