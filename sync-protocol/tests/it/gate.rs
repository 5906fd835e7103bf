use automerge::{ActorId, AutoCommit, ObjType, ROOT, ScalarValue, transaction::Transactable};
use sync_protocol::{
    Book, Document, RowId, Value,
    catalogue::Catalogue,
    conflict::Means,
    document::{DocumentError, GateLimits, RefusalCode, admit},
};

use crate::document::{author, edit, identity};

/// The only change of a document that `write` made, as a hostile or foreign client would send it.
fn change(write: impl FnOnce(&mut AutoCommit)) -> Vec<u8> {
    let mut doc = AutoCommit::new().with_actor(ActorId::from([9; 16]));
    write(&mut doc);
    doc.commit();
    doc.get_changes(&[]).pop().expect("one change").bytes().into_owned()
}

fn key(column: &str) -> String {
    format!("members/{}/{column}", RowId::random([1; 10]))
}

#[test]
fn what_has_no_place_in_a_ledger_is_refused() {
    let catalogue = Catalogue::builtin();
    let limits = GateLimits::default();
    let put = |key: String, value: ScalarValue| change(|doc| doc.put(ROOT, key, value).expect("put"));
    let text = |text: &str| ScalarValue::Str(text.into());
    let mut whole = AutoCommit::new();
    whole.put(ROOT, key("name"), "张三").expect("put");
    let nested = change(|doc| {
        let map = doc.put_object(ROOT, key("name"), ObjType::Map).expect("map");
        doc.put(&map, "a", 1).expect("put");
    });
    let unmarked = {
        let mut doc = AutoCommit::new().with_actor(ActorId::from([9; 16]));
        doc.put(ROOT, "@unit", "x").expect("put");
        doc.commit();
        doc.delete(ROOT, "@unit").expect("delete");
        doc.commit();
        doc.get_changes(&[]).pop().expect("two changes").bytes().into_owned()
    };
    let mut flipped = put(key("name"), text("张三"));
    *flipped.last_mut().expect("bytes") ^= 0xff;
    let mut lying = put(key("name"), text(&"长".repeat(2000)));
    lying.truncate(lying.len() - 3);
    let cases: Vec<(&str, Vec<u8>, RefusalCode)> = vec![
        ("empty", vec![], RefusalCode::Malformed),
        ("noise", vec![0x85; 100], RefusalCode::Malformed),
        ("a whole document", whole.save(), RefusalCode::Malformed),
        ("a flipped byte", flipped, RefusalCode::Malformed),
        ("a wrong length", lying, RefusalCode::Malformed),
        ("too many bytes", vec![0; limits.change_bytes_max + 1], RefusalCode::TooLarge),
        ("a nested map", nested, RefusalCode::ForeignOperation),
        ("what the document is of, deleted", unmarked, RefusalCode::ForeignOperation),
        ("a number with decimals", put(key("name"), ScalarValue::F64(1.5)), RefusalCode::ForeignOperation),
        ("a counter", put(key("name"), ScalarValue::counter(1)), RefusalCode::ForeignOperation),
        ("a key of no cell", put("hello world".into(), text("x")), RefusalCode::ForeignOperation),
        ("a very long text", put(key("remark"), text(&"x".repeat(limits.text_bytes_max + 1))), RefusalCode::TooLarge),
        ("an identity number in the open book", put(key("id_card"), text("x")), RefusalCode::WrongBook),
        (
            "a township's decision in a unit's book",
            put(format!("grading/{}/final_grade", RowId::random([1; 10])), text("advanced")),
            RefusalCode::WrongBook,
        ),
        ("text where yes or no is meant", put(key("in_service"), text("是")), RefusalCode::WrongValue),
        ("a number where text is meant", put(key("name"), ScalarValue::Int(1)), RefusalCode::WrongValue),
        ("a removal that is no flag", put(key("@removed"), text("yes")), RefusalCode::WrongValue),
        ("a state that there is not", put(key("@state"), text("finished")), RefusalCode::WrongValue),
        ("a state that is a number", put(key("@state"), ScalarValue::Int(1)), RefusalCode::WrongValue),
    ];
    for (what, bytes, expected) in cases {
        let refusal = admit(&bytes, Book::Unit, &catalogue, &limits).expect_err(what);
        assert_eq!(refusal.code, expected, "{what}: {refusal}");
        assert!(!refusal.sentence.is_empty());
    }
}

#[test]
fn honest_changes_pass_compressed_or_not() {
    let catalogue = Catalogue::builtin();
    let limits = GateLimits::default();
    let long = "很长的说明".repeat(500);
    for bytes in [
        change(|doc| doc.put(ROOT, key("name"), "张三").expect("put")),
        change(|doc| doc.put(ROOT, key("remark"), long.as_str()).expect("put")),
        // JavaScript clients write Text where we write strings.
        change(|doc| {
            let text = doc.put_object(ROOT, key("remark"), ObjType::Text).expect("text");
            doc.splice_text(&text, 0, 0, "一起写").expect("splice");
        }),
        change(|doc| doc.put(ROOT, key("@state"), "draft").expect("put")),
        // A newer device's column is kept, not dropped.
        change(|doc| doc.put(ROOT, key("column_of_next_year"), "x").expect("put")),
    ] {
        let admitted = admit(&bytes, Book::Unit, &catalogue, &limits).expect("honest");
        let mut document = Document::new();
        let applied = document.apply(vec![admitted]).expect("applies");
        assert_eq!(applied.touched.len(), 1);
        assert!(applied.before.is_empty());
    }
}

/// A long text's letters do not say at which cell they stand.
#[test]
fn letters_of_a_long_text_touch_its_row_and_stand_in_its_history() {
    let (catalogue, limits) = (Catalogue::builtin(), GateLimits::default());
    let mut client = AutoCommit::new().with_actor(ActorId::from([9; 16]));
    let text = client.put_object(ROOT, key("remark"), ObjType::Text).expect("text");
    client.splice_text(&text, 0, 0, "一起写").expect("splice");
    client.commit();
    client.put(ROOT, format!("members/{}/name", RowId::random([2; 10])), "张三").expect("put");
    client.commit();
    client.splice_text(&text, 3, 0, "的话").expect("splice");
    client.commit();
    client.splice_text(&text, 0, 5, "").expect("splice");
    client.commit();
    let mut document = Document::new();
    let mut rows = Vec::new();
    for change in client.get_changes(&[]) {
        let before = document.heads();
        let admitted = admit(change.raw_bytes(), Book::Unit, &catalogue, &limits).expect("honest");
        let touched = document.apply(vec![admitted]).expect("applied").touched;
        assert_eq!(touched, document.rows_since(&before));
        rows.extend(touched.into_iter().map(|row| row.row));
    }
    let [first, second] = [1, 2].map(|number| RowId::random([number; 10]));
    assert_eq!(rows, [first, second, first, first]);
    let history = document.history(&edit(1, "remark", 0).address);
    let said: Vec<&str> = history.iter().filter_map(|written| written.value.as_text()).collect();
    assert_eq!(said, ["一起写", "一起写的话", ""], "each as its writer left it");
    let refused = admit(client.get_changes(&[])[0].raw_bytes(), Book::UnitRestricted, &catalogue, &limits);
    assert_eq!(refused.expect_err("nobody could erase it").code, RefusalCode::ForeignOperation);
}

#[test]
fn a_small_bomb_inflates_only_to_the_cap() {
    let catalogue = Catalogue::builtin();
    let limits = GateLimits { inflated_bytes_max: 100_000, ..GateLimits::default() };
    let bytes = change(|doc| doc.put(ROOT, key("remark"), "x".repeat(1_000_000)).expect("put"));
    assert!(bytes.len() < 10_000, "it is a bomb");
    let refusal = admit(&bytes, Book::Unit, &catalogue, &limits).expect_err("a bomb");
    assert_eq!(refusal.code, RefusalCode::TooLarge);
}

#[test]
fn orphans_do_not_slip_in() {
    let catalogue = Catalogue::builtin();
    let mut document = Document::new();
    document.write(&identity(), &[edit(1, "name", "张三")], &author(1, "县", Means::Import)).expect("written");
    let second =
        document.write(&identity(), &[edit(1, "name", "李四")], &author(1, "县", Means::Import)).expect("written");
    let second = second.expect("a change");
    let admitted = admit(&second.bytes, Book::Unit, &catalogue, &GateLimits::default()).expect("honest");
    let mut empty = Document::new();
    assert!(empty.apply(vec![admitted]).is_err(), "its predecessor is missing");
    assert!(empty.is_empty(), "and the document is as it was");
}

/// automerge has no patch for a value that loses to two that are in conflict already: the row is touched all the same.
#[test]
fn a_third_value_of_a_disputed_cell_touches_its_row() {
    let catalogue = Catalogue::builtin();
    let mut document = Document::new();
    for actor in [9, 8, 7, 1, 2] {
        let mut own = Document::new();
        let value = format!("{actor}");
        own.write(&identity(), &[edit(1, "phone", value.as_str())], &author(actor, "甲", Means::Form))
            .expect("written");
        let (_, bytes) = own.changes_since(&[]).pop().expect("one change");
        let admitted = admit(&bytes, Book::Unit, &catalogue, &GateLimits::default()).expect("sound");
        let applied = document.apply(vec![admitted]).expect("applied");
        assert_eq!(applied.touched.len(), 1, "actor {actor}");
    }
    assert_eq!(document.conflicts()[0].values.len(), 5);
}

/// Official clients settle a conflict with the value in force by deleting the others.
#[test]
fn a_deletion_may_settle_a_conflict_and_never_empties_a_cell() {
    let (catalogue, limits) = (Catalogue::builtin(), GateLimits::default());
    let take = |document: &mut Document, bytes: &[u8]| {
        let admitted = admit(bytes, Book::Unit, &catalogue, &limits).expect("admitted");
        document.apply(vec![admitted])
    };
    let mut base = Document::new();
    let people = [author(1, "县", Means::Import), author(2, "甲", Means::Form), author(3, "乙", Means::Form)];
    base.write(&identity(), &[edit(1, "phone", "1"), edit(1, "name", "张三")], &people[0]).expect("written");
    let (mut merged, mut other) = (base.clone(), base);
    merged.write(&identity(), &[edit(1, "phone", "2")], &people[1]).expect("written");
    other.write(&identity(), &[edit(1, "phone", "3")], &people[2]).expect("written");
    merged.merge(&other).expect("merged");
    let winner = merged.conflicts()[0].values[0].value.clone();

    let mut client = AutoCommit::load(&merged.save()).expect("loaded").with_actor(ActorId::from([9; 16]));
    let Value::Text(text) = &winner else { panic!("a text") };
    client.put(ROOT, key("phone"), text.as_str()).expect("put");
    let settling = client.get_last_local_change().expect("a change").bytes().into_owned();
    let deletes = |op: &automerge::legacy::Op| op.action == automerge::legacy::OpType::Delete;
    let change = automerge::Change::from_bytes(settling.clone()).expect("a change");
    assert!(change.decode().operations.iter().all(deletes), "this is how they write it");
    let touched = take(&mut merged, &settling).expect("taken").touched;
    assert_eq!(
        (touched.len(), merged.conflicts(), merged.get(&edit(1, "phone", 0).address)),
        (1, vec![], Some(winner))
    );

    client.delete(ROOT, key("name")).expect("deleted");
    let emptying = client.get_last_local_change().expect("a change").bytes().into_owned();
    let before = merged.heads();
    let refused = take(&mut merged, &emptying).expect_err("refused");
    assert!(matches!(refused, DocumentError::Deleted(_)), "{refused}");
    assert_eq!((merged.heads(), merged.get(&edit(1, "name", 0).address)), (before, Some("张三".into())));
}
