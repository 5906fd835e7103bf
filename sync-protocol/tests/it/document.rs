use std::collections::BTreeMap;

use proptest::prelude::*;
use sync_protocol::{
    ActorId, Address, Book, Document, Identity, RowId, Tenant, UnitId, Value,
    conflict::{Means, Provenance},
    document::{Author, Edit},
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
    a.settle(&conflict.address, &winner, &author(4, "镇组织办", Means::Resolve)).expect("settled");
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
