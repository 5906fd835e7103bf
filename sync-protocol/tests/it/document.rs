use std::collections::BTreeMap;

use proptest::prelude::*;
use sync_protocol::{
    ActorId, Address, Book, Document, Identity, RowId, Tenant, UnitId, Value,
    catalogue::Catalogue,
    conflict::{Means, Provenance},
    document::{Author, Edit, GateLimits, RowKey, admit},
    row::REMOVED,
};

pub fn identity() -> Identity {
    let unit = UnitId::derive(&Tenant::new("340099"), None, "001-001");
    Identity { unit, book: Book::Unit, period: "2012".into() }
}

pub fn author(actor: u8, who: &str, how: Means) -> Author {
    Author {
        actor: ActorId([actor; 16]),
        provenance: Provenance { who: who.into(), how, source: None },
        time_s: 1_335_744_000,
    }
}

pub fn edit(row: u8, column: &str, value: impl Into<Value>) -> Edit {
    Edit { address: Address::new("members", RowId::random([row; 10]), column), value: value.into() }
}

fn write(document: &mut Document, author: &Author, edits: &[Edit]) {
    document.write(&identity(), edits, author).expect("written");
}

fn get(document: &Document, row: u8, column: &str) -> Option<Value> {
    document.get(&Address::new("members", RowId::random([row; 10]), column))
}

#[test]
fn different_cells_of_one_row_both_survive_and_one_cell_is_a_listed_conflict() {
    let mut base = Document::new();
    write(&mut base, &author(1, "县委组织部", Means::Import), &[edit(1, "name", "张三"), edit(1, "phone", "1")]);
    let (mut a, mut b) = (base.clone(), base);
    write(&mut a, &author(2, "甲", Means::Form), &[edit(1, "employer", "一中"), edit(1, "phone", "2")]);
    write(&mut b, &author(3, "乙", Means::Form), &[edit(1, "work_post", "教师"), edit(1, "phone", "3")]);
    let (from_a, from_b) = (a.clone(), b.clone());
    a.merge(&from_b).expect("merged");
    b.merge(&from_a).expect("merged");
    for document in [&a, &b] {
        assert_eq!(get(document, 1, "employer"), Some("一中".into()));
        assert_eq!(get(document, 1, "work_post"), Some("教师".into()));
    }
    assert_eq!(get(&a, 1, "phone"), get(&b, 1, "phone"), "one wins everywhere alike");
    assert_eq!(a.conflicts(), b.conflicts());
    let [conflict] = &a.conflicts()[..] else { panic!("one conflict") };
    let who: Vec<_> = conflict.values.iter().filter_map(|v| v.provenance.as_ref()).map(|p| p.who.as_str()).collect();
    assert_eq!(conflict.address, Address::new("members", RowId::random([1; 10]), "phone"));
    assert_eq!(Some(&conflict.values[0].value), get(&a, 1, "phone").as_ref(), "the winner comes first");
    assert!(who.contains(&"甲") && who.contains(&"乙"), "{who:?}");

    // Settling it on one replica, even with the value that wins anyway, ends it on both.
    let winner = conflict.values[0].value.clone();
    let settled = a.settle(&conflict.address, &winner, &author(4, "镇组织办", Means::Resolve)).expect("settled");
    let bytes = settled.expect("a change").bytes;
    admit(&bytes, Book::Unit, &Catalogue::builtin(), &GateLimits::default()).expect("as a device hands it over");
    let last = a.history(&conflict.address).pop().expect("a decision");
    assert_eq!((last.value, last.provenance.map(|p| p.who)), (winner, Some("镇组织办".to_owned())));
    b.merge(&a).expect("merged");
    assert!(b.conflicts().is_empty());
}

#[test]
fn equal_values_are_no_conflict_and_clearing_against_editing_is_one() {
    let mut base = Document::new();
    write(&mut base, &author(1, "县", Means::Import), &[edit(1, "phone", "1"), edit(1, "employer", "一中")]);
    let (mut a, mut b) = (base.clone(), base);
    write(&mut a, &author(2, "甲", Means::Form), &[edit(1, "phone", "2"), edit(1, "employer", Value::Null)]);
    write(&mut b, &author(3, "乙", Means::Form), &[edit(1, "phone", "2"), edit(1, "employer", "二中")]);
    a.merge(&b).expect("merged");
    let columns: Vec<_> = a.conflicts().into_iter().map(|c| c.address.column.to_string()).collect();
    assert_eq!(columns, ["employer"]);
}

#[test]
fn an_edit_of_a_removed_row_stays_visible() {
    let mut base = Document::new();
    write(&mut base, &author(1, "县", Means::Import), &[edit(1, "phone", "1")]);
    let (mut a, mut b) = (base.clone(), base);
    write(&mut a, &author(2, "甲", Means::Form), &[edit(1, REMOVED, true)]);
    write(&mut b, &author(3, "乙", Means::Form), &[edit(1, "phone", "2")]);
    a.merge(&b).expect("merged");
    let row = &a.rows("members")[&RowId::random([1; 10])];
    assert!(row.removed);
    assert_eq!(row.text("phone"), "2");
}

#[test]
fn sets_merge_member_by_member() {
    let member = |code: &str, present: bool| Edit {
        address: Address::new("rectification", RowId::random([1; 10]), "problem_kinds").member(code),
        value: present.into(),
    };
    let mut base = Document::new();
    write(&mut base, &author(1, "县", Means::Import), &[member("support", true), member("economy", true)]);
    let (mut a, mut b) = (base.clone(), base);
    write(&mut a, &author(2, "甲", Means::Form), &[member("petition", true)]);
    write(&mut b, &author(3, "乙", Means::Form), &[member("support", false)]);
    a.merge(&b).expect("merged");
    let rows = a.rows("rectification");
    let row = &rows[&RowId::random([1; 10])];
    assert_eq!(row.members("problem_kinds").collect::<Vec<_>>(), ["economy", "petition"]);
    assert!(a.conflicts().is_empty());
}

#[test]
fn writing_what_is_there_makes_no_change() {
    let mut document = Document::new();
    write(&mut document, &author(1, "县", Means::Import), &[edit(1, "name", "张三")]);
    let again = document.write(&identity(), &[edit(1, "name", "张三")], &author(2, "县", Means::Import)).expect("ok");
    assert_eq!(again, None);
    assert_eq!(document.identity(), Some(identity()));
}

#[test]
fn a_row_created_twice_without_contact_is_one_row_without_hidden_objects() {
    let (mut a, mut b) = (Document::new(), Document::new());
    write(&mut a, &author(1, "甲", Means::Import), &[edit(1, "name", "张三"), edit(1, "phone", "1")]);
    write(&mut b, &author(2, "乙", Means::Import), &[edit(1, "name", "张三"), edit(1, "employer", "一中")]);
    a.merge(&b).expect("merged");
    let rows = a.rows("members");
    assert_eq!(rows.len(), 1);
    let row = &rows[&RowId::random([1; 10])];
    assert_eq!((row.text("name"), row.text("phone"), row.text("employer")), ("张三", "1", "一中"));
    assert!(a.conflicts().is_empty(), "equal cells written twice are no conflict");
}

#[test]
fn damaged_bytes_are_an_error() {
    let mut document = Document::new();
    write(&mut document, &author(1, "县", Means::Import), &[edit(1, "name", "张三")]);
    let saved = document.save();
    assert_eq!(Document::load(Some(&saved), &[]).expect("sound").heads(), document.heads());
    assert!(Document::load(Some(&saved[..saved.len() / 2]), &[]).is_err());
    let changes: Vec<_> = document.changes_since(&[]).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(Document::load(None, &changes).expect("sound").heads(), document.heads());
}

#[derive(Debug, Clone)]
enum Step {
    Write { replica: usize, row: u8, column: usize, value: u8 },
    Merge { from: usize, into: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (0..3usize, 0..3u8, 0..3usize, 0..4u8).prop_map(|(replica, row, column, value)| Step::Write {
        replica,
        row,
        column,
        value,
    });
    let merge = (0..3usize, 0..3usize).prop_map(|(from, into)| Step::Merge { from, into });
    prop::collection::vec(prop_oneof![3 => write, 1 => merge], 1..40)
}

proptest! {
    /// Whatever three replicas write and whenever they meet: in the end they agree, and of every cell the last value
    /// each of them wrote without knowing of a later one is either the winner, or listed, or was knowingly replaced.
    #[test]
    fn replicas_converge_and_nothing_vanishes(steps in steps()) {
        const COLUMNS: [&str; 3] = ["name", "phone", "employer"];
        let mut replicas = vec![Document::new(), Document::new(), Document::new()];
        let mut written: BTreeMap<(u8, usize), Vec<Value>> = BTreeMap::new();
        for step in &steps {
            match *step {
                Step::Write { replica, row, column, value } => {
                    let value = Value::text(format!("v{value}"));
                    written.entry((row, column)).or_default().push(value.clone());
                    let author = author(u8::try_from(replica).expect("small") + 1, "x", Means::Form);
                    write(&mut replicas[replica], &author, &[edit(row, COLUMNS[column], value)]);
                }
                Step::Merge { from, into } => {
                    let other = replicas[from].clone();
                    replicas[into].merge(&other).expect("merged");
                }
            }
        }
        let before = replicas.clone();
        for _ in 0..2 {
            for into in 0..3 {
                for from in 0..3 {
                    let other = replicas[from].clone();
                    replicas[into].merge(&other).expect("merged");
                }
            }
        }
        prop_assert_eq!(replicas[0].heads(), replicas[1].heads());
        prop_assert_eq!(replicas[0].row_states(), replicas[1].row_states());
        prop_assert_eq!(replicas[0].row_states(), replicas[2].row_states());
        for (row, column) in written.keys() {
            let winner = get(&replicas[0], *row, COLUMNS[*column]).expect("a written cell has a value");
            let address = Address::new("members", RowId::random([*row; 10]), COLUMNS[*column]);
            let listed: Vec<Value> = replicas[0]
                .conflicts()
                .into_iter()
                .filter(|c| c.address == address)
                .flat_map(|c| c.values.into_iter().map(|v| v.value))
                .collect();
            // What each replica showed before they met must still be seen somewhere, unless another replica had
            // taken it in and replaced it.
            let shown: Vec<Value> = before.iter().filter_map(|d| get(d, *row, COLUMNS[*column])).collect();
            prop_assert!(shown.contains(&winner), "the winner is somebody's value");
            for value in &listed {
                prop_assert!(written[&(*row, *column)].contains(value));
            }
        }
        let saved = Document::load(Some(&replicas[0].save()), &[]).expect("loads");
        prop_assert_eq!(saved.row_states(), replicas[0].row_states());
    }
}

/// Actors that nobody has used.
fn fresh() -> impl FnMut() -> ActorId {
    let mut next = 99;
    move || {
        next += 1;
        ActorId([next; 16])
    }
}

#[test]
fn a_successor_forgets_rows_and_history_and_keeps_the_rest_with_its_authors() {
    let mut base = Document::new();
    write(
        &mut base,
        &author(1, "县", Means::Import),
        &[edit(1, "id_card", "甲的号码"), edit(2, "id_card", "乙的旧号码")],
    );
    let (mut a, mut b) = (base.clone(), base);
    write(&mut a, &author(2, "甲", Means::Form), &[edit(2, "id_card", "乙的号码"), edit(2, "address", "青石村")]);
    write(&mut b, &author(3, "乙", Means::Form), &[edit(2, "address", "白水村"), edit(1, "address", "甲的住址")]);
    a.merge(&b).expect("merged");
    let row = |row: u8| RowKey::from(&edit(row, "name", "").address);
    let (successor, root) = a.successor(&identity(), &[row(1)].into(), &mut fresh()).expect("a successor");
    assert!(successor.contains(root) && !a.contains(root));
    assert_eq!(successor.identity(), Some(identity()));
    for text in ["甲的号码", "甲的住址", "乙的旧号码"] {
        let saved = successor.save();
        assert!(!saved.windows(text.len()).any(|bytes| bytes == text.as_bytes()), "{text} is still there");
    }
    assert!(a.mentions(&row(1)) && !successor.mentions(&row(1)));
    let (before, after) = (a.row_state(&row(2)), successor.row_state(&row(2)));
    assert_eq!(before.row, after.row, "the same values win");
    let says = |conflicts: &[sync_protocol::conflict::Conflict]| -> Vec<_> {
        let values = conflicts.iter().flat_map(|conflict| &conflict.values);
        values.map(|v| (v.value.clone(), v.provenance.as_ref().map(|p| p.who.clone()), v.written_at_s)).collect()
    };
    assert_eq!(says(&before.conflicts), says(&after.conflicts), "and what lost is listed with who wrote it");
    assert_eq!(successor.provenance(&edit(2, "id_card", "").address).map(|p| p.who).as_deref(), Some("甲"));
}

#[test]
fn what_was_unsent_is_carried_over_but_for_rows_that_are_gone() {
    let mut sent = Document::new();
    let cells = [edit(1, "id_card", "一"), edit(2, "id_card", "二"), edit(2, "address", "旧址"), edit(2, "phone", "0")];
    write(&mut sent, &author(1, "县", Means::Import), &cells);
    let mut phone = sent.clone();
    write(&mut phone, &author(2, "甲", Means::Form), &[edit(1, "id_card", "不应再现"), edit(2, "address", "新址")]);
    write(&mut phone, &author(2, "甲", Means::Form), &[edit(2, "phone", "1"), edit(3, "id_card", "新人")]);
    write(&mut phone, &author(2, "甲", Means::Form), &[edit(2, "address", "更新的住址")]);
    // Meanwhile somebody else has changed the telephone.
    write(&mut sent, &author(3, "乙", Means::Form), &[edit(2, "phone", "2")]);
    let row = RowKey::from(&edit(1, "name", "").address);
    let (mut successor, _) = sent.successor(&identity(), &[row.clone()].into(), &mut fresh()).expect("a successor");
    let covers = sent.changes_since(&[]).into_iter().map(|(hash, _)| hash).collect();
    let mut more = 200;
    let mut actors = || {
        more += 1;
        ActorId([more; 16])
    };
    let carried = successor.carry_over(&phone, &covers, &[row.clone()].into(), &mut actors).expect("carried over");
    assert!(!carried.is_empty() && !successor.mentions(&row));
    assert_eq!(get(&successor, 2, "address"), Some("更新的住址".into()), "in place of what its writer saw");
    assert_eq!(get(&successor, 3, "id_card"), Some("新人".into()), "a new row is no erased one");
    let conflicts = successor.conflicts();
    let [conflict] = &conflicts[..] else { panic!("one conflict: {conflicts:?}") };
    let values: Vec<_> = conflict.values.iter().map(|value| value.value.clone()).collect();
    assert_eq!(values, ["2".into(), "1".into()], "both stay where two have written");
    let who = |address: &Address| successor.provenance(address).map(|p| p.who);
    assert_eq!(who(&edit(2, "address", "").address).as_deref(), Some("甲"));
}
