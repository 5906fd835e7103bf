//! The contract of [`Store`]: every backend runs the same cases.

use std::sync::Arc;

use server::{
    store::{
        Act, Committed, Deed, DeviceRecord, DocumentWrite, NewChange, Performed, ProjectedRow, QuarantineState,
        Quarantined, Store, sqlite::SqliteStore, token_hash,
    },
    tallies::Tallies,
};
use sync_protocol::{
    Book, ChangeHash, DeviceId, Document, DocumentId, Identity, RowId, Tenant, UnitId, Value,
    catalogue::Catalogue,
    conflict::{Means, Provenance},
    document::{Author, Edit, RefusalCode},
    session::{FeedPage, FeedQuery, Position, Scope},
    unit::{Unit, UnitLevel},
};

const BYTES_MAX: usize = 1 << 20;

async fn sqlite() -> (tempfile::TempDir, Arc<dyn Store>) {
    let folder = tempfile::tempdir().expect("folder");
    let store = SqliteStore::create(&folder.path().join("store.sqlite"), Tallies::new(&Catalogue::builtin()))
        .await
        .expect("store");
    (folder, Arc::new(store))
}

/// One test per case and backend.
macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $case() {
                let (_folder, store) = super::sqlite().await;
                super::$case(store).await;
            })*
        }
    };
}

contract!(
    a_write_is_whole_or_stale,
    the_same_change_twice_is_one_change,
    a_device_takes_documents_and_then_only_news,
    pages_are_cut_and_resume,
    a_scope_is_a_subtree_and_its_books,
    changes_inside_a_snapshot_reach_devices_that_are_behind,
    a_snapshot_without_a_new_change_still_holds_all_before_it,
    a_cursor_beyond_the_feed_starts_anew,
    a_feed_with_the_same_change_at_the_same_number_is_not_the_same_feed,
    the_projection_follows_the_documents,
    secrets_and_devices_stay,
    a_unit_that_moves_is_below_its_new_place_and_nowhere_else,
    many_writers_at_once_lose_nothing,
    a_quarantined_change_waits_for_a_decision_and_has_its_room,
);

fn tenant() -> Tenant {
    Tenant::new("340099")
}

fn unit_id(code: &str) -> UnitId {
    UnitId::derive(&tenant(), None, code)
}

/// county → town a, town b → two villages each.
async fn register(store: &Arc<dyn Store>) {
    let unit = |code: &str, parent: Option<&str>, level| Unit {
        id: unit_id(code),
        parent: parent.map(unit_id),
        level,
        code: Some(code.into()),
        name: code.into(),
        short_name: None,
        sort_order: 0,
    };
    let mut units = vec![unit("county", None, UnitLevel::County)];
    for town in ["a", "b"] {
        units.push(unit(town, Some("county"), UnitLevel::ReportingUnit));
        for village in ["1", "2"] {
            units.push(unit(&format!("{town}{village}"), Some(town), UnitLevel::Organisation));
        }
    }
    store.put_units(&units).await.expect("units");
}

fn identity(unit: &str, book: Book) -> Identity {
    Identity { unit: unit_id(unit), book, period: "2012".into() }
}

fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 16])
}

fn scope(unit: &str, books: &[Book]) -> Scope {
    Scope { unit: unit_id(unit), books: books.to_vec(), version: 1 }
}

/// A document that grows, and the writes that bring it into a store.
struct Writer {
    identity: Identity,
    document: Document,
    number: u8,
}

impl Writer {
    fn new(unit: &str, book: Book) -> Self {
        Self { identity: identity(unit, book), document: Document::new(), number: 0 }
    }

    fn id(&self) -> DocumentId {
        self.identity.document(&tenant())
    }

    /// One more change; `snapshot` keeps it only inside a snapshot.
    fn write(&mut self, text: &str, from: Option<DeviceId>, snapshot: bool) -> DocumentWrite {
        self.number += 1;
        let expected_heads = self.document.heads();
        let row = RowId::random([self.number % 3; 10]);
        let edit = Edit { address: sync_protocol::Address::new("members", row, "name"), value: Value::text(text) };
        let author = Author {
            actor: sync_protocol::ActorId([1; 16]),
            provenance: Provenance { who: "x".into(), how: Means::Form, source: None },
            time_s: 0,
        };
        let change = self.document.write(&self.identity, &[edit], &author).expect("written").expect("new");
        DocumentWrite {
            document: self.id(),
            identity: self.identity.clone(),
            expected_heads,
            heads: self.document.heads(),
            changes: vec![NewChange {
                hash: change.hash,
                actor: vec![1; 16],
                bytes: (!snapshot).then_some(change.bytes),
            }],
            snapshot: snapshot.then(|| self.document.save()),
            rows: server::projection::project_all(&self.document),
            wrong_steps: Vec::new(),
            device: from,
            received_at_ms: 1,
            binds: true,
            proposals: server::store::ProposalWrites::default(),
        }
    }
}

async fn commit(store: &Arc<dyn Store>, write: DocumentWrite) {
    assert_eq!(store.commit(vec![write]).await.expect("committed"), [Committed::Durable]);
}

async fn feed(store: &Arc<dyn Store>, scope: &Scope, position: Option<Position>) -> FeedPage {
    let query = FeedQuery { position, bytes_max: BYTES_MAX, pushed: Vec::new() };
    store.feed(scope, &query).await.expect("read")
}

/// The heads that a page leads to, for a document that the device did not have.
fn heads(page: &FeedPage, identity: &Identity) -> Vec<ChangeHash> {
    let mut document = Document::new();
    for pull in page.documents.iter().filter(|pull| pull.identity == *identity) {
        let changes: Vec<Vec<u8>> = pull.changes.iter().map(|bytes| bytes.to_vec()).collect();
        document.take(pull.snapshot.as_ref().map(|b| b.as_slice()), &changes).expect("sound");
    }
    document.heads()
}

async fn a_write_is_whole_or_stale(store: Arc<dyn Store>) {
    register(&store).await;
    let mut writer = Writer::new("a1", Book::Unit);
    commit(&store, writer.write("1", None, false)).await;
    let mut other = Writer { identity: writer.identity.clone(), document: Document::new(), number: 5 };
    let stale = other.write("other", None, false);
    let fresh = writer.write("2", None, false);
    let outcomes = store.commit(vec![stale.clone(), fresh]).await.expect("committed");
    assert_eq!(outcomes, [Committed::Stale, Committed::Durable]);
    let stored = store.document(writer.id()).await.expect("read").expect("there");
    assert_eq!(stored.heads, writer.document.heads());
    assert_eq!(Document::load(stored.snapshot.as_deref(), &stored.changes).expect("loads").heads(), stored.heads);
    assert!(store.known_changes(&[stale.changes[0].hash]).await.expect("read").is_empty(), "nothing of it is there");
}

async fn the_same_change_twice_is_one_change(store: Arc<dyn Store>) {
    register(&store).await;
    let mut writer = Writer::new("a1", Book::Unit);
    let write = writer.write("1", Some(device(1)), false);
    let hash = write.changes[0].hash;
    commit(&store, write.clone()).await;
    assert_eq!(store.commit(vec![write]).await.expect("committed"), [Committed::Stale]);
    assert!(store.known_changes(&[hash, ChangeHash([9; 32])]).await.expect("read").iter().eq([&hash]));
    assert_eq!(store.totals().await.expect("totals").changes, 1);
}

async fn a_device_takes_documents_and_then_only_news(store: Arc<dyn Store>) {
    register(&store).await;
    let mut writer = Writer::new("a1", Book::Unit);
    commit(&store, writer.write("1", None, true)).await;
    let scope = scope("a", &[Book::Unit]);
    let first = feed(&store, &scope, None).await;
    assert_eq!(heads(&first, &writer.identity), writer.document.heads());
    let quiet = feed(&store, &scope, Some(first.position.clone())).await;
    assert!(quiet.documents.is_empty() && !quiet.more);
    assert!(first.restart && first.documents.iter().all(|pull| pull.whole) && !quiet.restart);
    let own = writer.write("2", Some(device(1)), false);
    let pushed = vec![own.changes[0].hash];
    commit(&store, own).await;
    commit(&store, writer.write("3", Some(device(2)), false)).await;
    let query = FeedQuery { position: Some(quiet.position.clone()), bytes_max: BYTES_MAX, pushed };
    let news = store.feed(&scope, &query).await.expect("read");
    assert_eq!(news.documents.len(), 1);
    assert_eq!(news.documents[0].changes.len(), 1, "what it has just handed over does not come back");
    assert!(news.documents[0].snapshot.is_none() && !news.documents[0].whole);
    // A device that was set back has lost what it had handed over before: it gets that, too.
    let news = feed(&store, &scope, Some(quiet.position)).await;
    assert_eq!(news.documents[0].changes.len(), 2);
}

async fn pages_are_cut_and_resume(store: Arc<dyn Store>) {
    register(&store).await;
    let mut writers: Vec<Writer> =
        ["a1", "a2", "b1", "b2"].into_iter().map(|unit| Writer::new(unit, Book::Unit)).collect();
    for writer in &mut writers {
        commit(&store, writer.write(&"长".repeat(500), None, true)).await;
    }
    let scope = scope("county", &[Book::Unit]);
    let mut position = None;
    let mut taken = Vec::new();
    let mut pages = 0;
    loop {
        let query = FeedQuery { position, bytes_max: 1, pushed: Vec::new() };
        let page = store.feed(&scope, &query).await.expect("read");
        pages += 1;
        taken.extend(page.documents.iter().map(|pull| pull.identity.clone()));
        position = Some(page.position);
        if !page.more {
            break;
        }
    }
    assert_eq!((pages, taken.len()), (4, 4), "one document a page, none twice");
    for writer in &mut writers {
        for text in ["x", "y"] {
            commit(&store, writer.write(text, None, false)).await;
        }
    }
    let mut changes = 0;
    loop {
        let query = FeedQuery { position, bytes_max: 1, pushed: Vec::new() };
        let page = store.feed(&scope, &query).await.expect("read");
        changes += page.documents.iter().map(|pull| pull.changes.len()).sum::<usize>();
        position = Some(page.position);
        if !page.more {
            break;
        }
    }
    assert_eq!(changes, 8);
}

async fn a_scope_is_a_subtree_and_its_books(store: Arc<dyn Store>) {
    register(&store).await;
    for (unit, book) in [("a1", Book::Unit), ("a1", Book::UnitRestricted), ("a", Book::Township), ("b1", Book::Unit)] {
        commit(&store, Writer::new(unit, book).write("1", None, true)).await;
    }
    for (unit, books, expected) in [
        ("a1", vec![Book::Unit], 1),
        ("a", vec![Book::Unit, Book::Township], 2),
        ("a", vec![Book::Unit, Book::UnitRestricted, Book::Township], 3),
        ("county", vec![Book::Unit], 2),
        ("b2", vec![Book::Unit], 0),
        ("county", vec![], 0),
        ("nowhere", vec![Book::Unit], 0),
    ] {
        let page = feed(&store, &scope(unit, &books), None).await;
        assert_eq!(page.documents.len(), expected, "{unit} {books:?}");
    }
    assert!(store.is_below(unit_id("a1"), unit_id("a")).await.expect("read"));
    assert!(store.is_below(unit_id("a"), unit_id("a")).await.expect("read"));
    assert!(!store.is_below(unit_id("a1"), unit_id("b")).await.expect("read"));
    assert!(!store.is_below(unit_id("nowhere"), unit_id("county")).await.expect("read"));
}

async fn changes_inside_a_snapshot_reach_devices_that_are_behind(store: Arc<dyn Store>) {
    register(&store).await;
    let mut writer = Writer::new("a1", Book::Unit);
    commit(&store, writer.write("1", None, true)).await;
    let scope = scope("a", &[Book::Unit]);
    let position = feed(&store, &scope, None).await.position;
    for (text, snapshot) in [("2", false), ("3", true), ("4", false), ("5", true), ("6", false)] {
        commit(&store, writer.write(text, None, snapshot)).await;
    }
    let news = feed(&store, &scope, Some(position)).await;
    assert_eq!(heads(&news, &writer.identity), writer.document.heads());
    let stored = store.document(writer.id()).await.expect("read").expect("there");
    assert_eq!(stored.changes.len(), 1, "only what came after the last snapshot");
}

async fn a_snapshot_without_a_new_change_still_holds_all_before_it(store: Arc<dyn Store>) {
    register(&store).await;
    let mut writer = Writer::new("a1", Book::Unit);
    commit(&store, writer.write("1", None, true)).await;
    let write = writer.write("2", None, true);
    commit(&store, write.clone()).await;
    // Two deliveries of one change that passed each other: the second finds it stored.
    commit(&store, DocumentWrite { expected_heads: write.heads.clone(), ..write }).await;
    let stored = store.document(writer.id()).await.expect("read").expect("there");
    assert!(stored.changes.is_empty());
    assert_eq!(Document::load(stored.snapshot.as_deref(), &[]).expect("loads").heads(), writer.document.heads());
}

async fn a_cursor_beyond_the_feed_starts_anew(store: Arc<dyn Store>) {
    register(&store).await;
    let mut writer = Writer::new("a1", Book::Unit);
    commit(&store, writer.write("1", None, true)).await;
    let after = DocumentId::from_bytes([0xff; 16]);
    // Beyond its end, and where another change stands by now.
    for position in [
        Position::Feed { seq: 999, mark: 7 },
        Position::Feed { seq: 1, mark: 7 },
        Position::Bootstrap { upto_seq: 999, after, mark: 7 },
        Position::Bootstrap { upto_seq: 1, after, mark: 7 },
    ] {
        let page = feed(&store, &scope("a", &[Book::Unit]), Some(position)).await;
        assert_eq!(heads(&page, &writer.identity), writer.document.heads(), "a restored server starts devices anew");
    }
}

async fn a_feed_with_the_same_change_at_the_same_number_is_not_the_same_feed(store: Arc<dyn Store>) {
    register(&store).await;
    // Another server, or this one before it was set back: a1 first, then b1. Here a2 comes first, then b1.
    let (_folder, other) = sqlite().await;
    register(&other).await;
    let mut last = Writer::new("b1", Book::Unit);
    let last = last.write("last", None, true);
    for (store, first) in [(&other, "a1"), (&store, "a2")] {
        commit(store, Writer::new(first, Book::Unit).write("1", None, true)).await;
        commit(store, last.clone()).await;
    }
    let scope = scope("county", &[Book::Unit]);
    let position = feed(&other, &scope, None).await.position;
    assert!(matches!(position, Position::Feed { seq: 2, .. }), "{position:?}");
    let page = feed(&store, &scope, Some(position)).await;
    assert!(page.restart, "what came before is not what the device has");
    assert_eq!(page.documents.len(), 2);
}

async fn the_projection_follows_the_documents(store: Arc<dyn Store>) {
    register(&store).await;
    let mut writer = Writer::new("a1", Book::Unit);
    for text in ["1", "2", "3", "4"] {
        commit(&store, writer.write(text, None, false)).await;
    }
    let mut found: Vec<ProjectedRow> = store.projection(writer.id()).await.expect("read");
    found.sort_by_key(|row| row.row);
    assert_eq!(found, server::projection::project_all(&writer.document));
    let rows = store.rows("members", "2012", &[unit_id("a1"), unit_id("a2")]).await.expect("read");
    assert_eq!(rows.len(), 3);
    assert!(store.rows("members", "2013", &[unit_id("a1")]).await.expect("read").is_empty());
    assert!(store.check().await.expect("checked").is_empty());
}

async fn secrets_and_devices_stay(store: Arc<dyn Store>) {
    register(&store).await;
    assert_eq!(store.secret("key", b"first").await.expect("secret"), b"first");
    assert_eq!(store.secret("key", b"second").await.expect("secret"), b"first");
    let mut record =
        DeviceRecord::new(device(1), ("手机", "张三"), "token", unit_id("a"), &[Book::Unit, Book::Township]);
    store.put_device(&record, 1).await.expect("enrolled");
    assert_eq!(store.device_by_token(&token_hash("token")).await.expect("read"), Some(record.clone()));
    record.token_hash = [2; 32];
    store.put_device(&record, 2).await.expect("enrolled again");
    assert_eq!(
        store.device_by_token(&token_hash("token")).await.expect("read"),
        None,
        "the old token is worth nothing"
    );
    assert_eq!(store.device_by_token(&[2; 32]).await.expect("read"), Some(record.clone()));
    let key = record.keys.as_ref().expect("keys").signing;
    assert_eq!(store.device_by_signing_key(&key).await.expect("read"), Some(record.clone()));
    assert_eq!(store.device(record.id).await.expect("read"), Some(record));
    assert_eq!(store.get_secret("none").await.expect("read"), None);
    store.put_secret("key", b"third").await.expect("put");
    assert_eq!(store.get_secret("key").await.expect("read").as_deref(), Some(b"third".as_slice()));
}

async fn a_unit_that_moves_is_below_its_new_place_and_nowhere_else(store: Arc<dyn Store>) {
    register(&store).await;
    let moves = async |code: &str| store.moves(unit_id(code)).await.expect("read");
    let branch = store.unit(unit_id("a1")).await.expect("read").expect("a branch");
    let elsewhere = Unit { parent: Some(unit_id("b")), ..branch.clone() };
    store.put_units(std::slice::from_ref(&elsewhere)).await.expect("elsewhere");
    assert!(store.is_below(unit_id("a1"), unit_id("b")).await.expect("read"));
    assert!(store.is_below(unit_id("a1"), unit_id("county")).await.expect("read"));
    assert!(!store.is_below(unit_id("a1"), unit_id("a")).await.expect("read"));
    // What stands below the county, the other branches and the branch itself is what it was.
    let touched = [moves("a").await, moves("b").await];
    let others = [moves("county").await, moves("a1").await, moves("a2").await, moves("b1").await];
    assert_eq!((touched, others), ([1, 1], [0; 4]));
    store.put_units(std::slice::from_ref(&elsewhere)).await.expect("nothing new");
    store.put_units(&[branch]).await.expect("elsewhere back");
    assert_eq!([moves("a").await, moves("b").await, moves("county").await], [2, 2, 0]);
}

async fn a_quarantined_change_waits_for_a_decision_and_has_its_room(store: Arc<dyn Store>) {
    let held = |number: u8, size: usize| Quarantined {
        hash: ChangeHash([number; 32]),
        identity: Writer::new("a1", Book::Unit).identity,
        device: device(1),
        code: RefusalCode::Forbidden,
        sentence: "不是本单位".into(),
        received_at_ms: i64::from(number),
        bytes: (0..size).map(|at| u8::try_from(at * 7 % 251).expect("small")).collect(),
        state: QuarantineState::Waiting,
        decided_by: None,
    };
    assert!(store.quarantine(&[held(1, 100), held(2, 100)], 300).await.expect("kept"));
    assert!(store.quarantine(&[held(1, 50)], 300).await.expect("known already"));
    assert!(!store.quarantine(&[held(3, 200)], 300).await.expect("answered"), "there is no more room");
    assert_eq!(store.quarantined().await.expect("read"), [held(1, 100), held(2, 100)]);
    let (first, who) = (ChangeHash([1; 32]), "王科长");
    let settle = Act::Settle {
        held: vec![(first, QuarantineState::Waiting)],
        state: QuarantineState::Rejected,
        who: who.into(),
        at_ms: 9,
    };
    let deed = Deed { act: settle, documents: Vec::new(), notes: Vec::new() };
    assert_eq!(store.perform(&deed).await.expect("decided"), Performed::Done(None));
    assert_eq!(store.perform(&deed).await.expect("answered"), Performed::NotNow, "it is decided on once");
    let decided = store.quarantined_change(first).await.expect("read").expect("there");
    assert_eq!((decided.state, decided.decided_by.as_deref()), (QuarantineState::Rejected, Some(who)));
    assert!(store.quarantine(&[held(3, 150)], 300).await.expect("kept"), "what is decided takes no room");
    assert!(store.quarantined_change(ChangeHash([9; 32])).await.expect("read").is_none());
}

async fn many_writers_at_once_lose_nothing(store: Arc<dyn Store>) {
    register(&store).await;
    let tasks: Vec<_> = (0..20u8)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut writer =
                    Writer::new(["a1", "a2", "b1", "b2"][usize::from(number) % 4], Book::ALL[usize::from(number) / 4]);
                for text in ["1", "2", "3", "4", "5"] {
                    let write = writer.write(text, None, false);
                    assert_eq!(store.commit(vec![write]).await.expect("committed"), [Committed::Durable]);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a writer");
    }
    let totals = store.totals().await.expect("totals");
    assert_eq!((totals.documents, totals.changes), (20, 100));
}
