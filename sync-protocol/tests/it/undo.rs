//! Taking an import back: each cell says what it would say had that import never been.

use std::collections::{BTreeMap, BTreeSet};

use automerge::{ActorId as JsActor, AutoCommit, ObjType, ROOT, ReadDoc, transaction::Transactable};
use proptest::prelude::*;
use sync_protocol::{
    ActorId, Address, Book, Document, RowId, Value,
    catalogue::Catalogue,
    conflict::{Means, Provenance},
    document::{Author, Edit, GateLimits, Kept, TakenBack, Taking, admit},
    row::REMOVED,
};

use crate::document::{author, edit, identity};

const REPLICAS: usize = 3;
const IMPORTS: usize = 3;

/// What happens, one after the other. Replica 0 is the server.
#[derive(Debug, Clone)]
enum Step {
    Import {
        import: usize,
        cells: Vec<(u8, u8, u8)>,
    },
    /// A merged ledger that was drawn so many steps before.
    Returned {
        import: usize,
        drawn: usize,
        cells: Vec<(u8, u8, u8)>,
    },
    Form {
        replica: usize,
        cells: Vec<(u8, u8, u8)>,
    },
    Settle {
        replica: usize,
        conflict: usize,
        value: usize,
    },
    Sync {
        replica: usize,
    },
    Undo {
        import: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cells = || prop::collection::vec((prop_oneof![3 => Just(0u8), 1 => Just(1u8)], 0..5u8, 0..4u8), 1..6);
    let step = prop_oneof![
        3 => (0..IMPORTS, cells()).prop_map(|(import, cells)| Step::Import { import, cells }),
        2 => (0..IMPORTS, 0..6usize, cells()).prop_map(|(import, drawn, cells)| Step::Returned { import, drawn, cells }),
        4 => (0..REPLICAS, cells()).prop_map(|(replica, cells)| Step::Form { replica, cells }),
        2 => (0..REPLICAS, 0..4usize, 0..3usize)
            .prop_map(|(replica, conflict, value)| Step::Settle { replica, conflict, value }),
        4 => (1..REPLICAS).prop_map(|replica| Step::Sync { replica }),
        2 => (0..IMPORTS).prop_map(|import| Step::Undo { import }),
    ];
    prop::collection::vec(step, 1..18)
}

/// Few values, so that people say the same.
fn cell((row, column, value): (u8, u8, u8)) -> Edit {
    let text = || Value::text(format!("v{value}"));
    match column {
        0 => edit(row, "name", text()),
        1 => edit(row, "phone", if value == 3 { Value::Null } else { text() }),
        2 => edit(row, "employer", text()),
        3 => edit(row, REMOVED, value % 2 == 0),
        _ => {
            let row = RowId::random([row; 10]);
            Edit { address: Address::new("members", row, "kinds").member("one"), value: (value % 2 == 0).into() }
        }
    }
}

fn actor_of(import: usize, step: usize) -> ActorId {
    let mut bytes = [0; 16];
    bytes[0] = 100 + u8::try_from(import).expect("few");
    bytes[1] = u8::try_from(step).expect("few");
    ActorId(bytes)
}

fn by(actor: ActorId, how: Means) -> Author {
    Author { actor, provenance: Provenance { who: "县".into(), how, source: None }, time_s: 0 }
}

/// What a step wrote when it happened, and what an import said that stood there already.
type Done = BTreeMap<usize, (Vec<Edit>, Vec<Edit>)>;

struct World {
    replicas: Vec<Document>,
    /// The server's document at the beginning of each step.
    drawn: Vec<Document>,
    /// The steps of each import in the order in which they came, its cells that said so already, and whether it stands.
    imports: Vec<(ActorId, BTreeSet<Address>, bool)>,
    kept: BTreeMap<Address, Kept>,
}

fn differing(document: &Document, edits: Vec<Edit>) -> (Vec<Edit>, BTreeSet<Address>) {
    let (same, other): (Vec<Edit>, Vec<Edit>) =
        edits.into_iter().partition(|edit| document.get(&edit.address).as_ref() == Some(&edit.value));
    (other, same.into_iter().map(|edit| edit.address).collect())
}

/// The last word on each cell.
fn edits(cells: &[(u8, u8, u8)]) -> Vec<Edit> {
    let last: BTreeMap<Address, Value> =
        cells.iter().map(|one| cell(*one)).map(|edit| (edit.address, edit.value)).collect();
    last.into_iter().map(|(address, value)| Edit { address, value }).collect()
}

/// Runs a history. `without`: the imports that never happen, and what each step wrote where they had.
fn run(steps: &[Step], without: Option<(&BTreeSet<usize>, &Done)>) -> (World, Done, BTreeSet<usize>) {
    let mut base = Document::new();
    base.write(&identity(), &[edit(0, "name", "甲"), edit(0, "phone", "1")], &author(1, "县", Means::Import))
        .expect("written");
    let mut world =
        World { replicas: vec![base; REPLICAS], drawn: Vec::new(), imports: Vec::new(), kept: BTreeMap::new() };
    let (mut done, mut undone) = (Done::new(), BTreeSet::new());
    // Steps stand for imports of their own: an import is named by the last step that was one of its number.
    let mut latest: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        world.drawn.push(world.replicas[0].clone());
        let author = |actor: u8| {
            let mut author = author(actor, "某人", Means::Form);
            author.actor.0[1] = u8::try_from(at).expect("few steps");
            author
        };
        // Written even where it says so already: there it had replaced something.
        let force = |document: &mut Document, edits: &[Edit], author: &Author| {
            for edit in edits {
                let other = Edit { value: "~".into(), ..edit.clone() };
                for edit in [&other, edit] {
                    document.write(&identity(), std::slice::from_ref(edit), author).expect("written");
                }
            }
        };
        match step {
            Step::Import { import, cells } | Step::Returned { import, cells, .. } => {
                let (number, actor) = (world.imports.len(), actor_of(*import, at));
                let author = by(actor, Means::Import);
                let drawn = match step {
                    Step::Returned { drawn, .. } => world.drawn[at.saturating_sub(*drawn)].clone(),
                    _ => world.replicas[0].clone(),
                };
                latest.insert(*import, number);
                let mut edits = edits(cells);
                if matches!(step, Step::Returned { .. }) {
                    // What it says as it was drawn, nobody says.
                    edits.retain(|edit| drawn.get(&edit.address).as_ref() != Some(&edit.value));
                }
                let (other, same) = differing(&world.replicas[0], edits.clone());
                world.imports.push((actor, same, true));
                let mut fork = drawn;
                match without {
                    Some((never, _)) if never.contains(&number) => {}
                    Some((_, done)) => {
                        let (written, said) = &done[&at];
                        force(&mut fork, written, &author);
                        // What it only found, it would have written, unless it stood there, too.
                        let stands = values(&world.replicas[0]);
                        let other: Vec<Edit> =
                            said.iter().filter(|edit| !stands[&edit.address].contains(&edit.value)).cloned().collect();
                        let mut author = author.clone();
                        author.actor.0[3] = 1;
                        fork.write(&identity(), &other, &author).expect("written");
                        world.replicas[0].merge(&fork).expect("merged");
                    }
                    None => {
                        fork.write(&identity(), &other, &author).expect("written");
                        let said = edits.into_iter().filter(|edit| !other.contains(edit)).collect();
                        done.insert(at, (other, said));
                        world.replicas[0].merge(&fork).expect("merged");
                    }
                }
            }
            Step::Form { replica, cells } => {
                let document = &mut world.replicas[*replica];
                if let Some((_, done)) = without {
                    force(document, &done[&at].0, &author(2));
                } else {
                    let (other, _) = differing(document, edits(cells));
                    document.write(&identity(), &other, &author(2)).expect("written");
                    done.insert(at, (other, Vec::new()));
                }
            }
            Step::Settle { replica, conflict, value } => {
                let document = &mut world.replicas[*replica];
                let decision =
                    without.map_or_else(|| decision(document, *conflict, *value), |(_, done)| done[&at].0.clone());
                force(document, &decision, &author(3));
                done.insert(at, (decision, Vec::new()));
            }
            Step::Sync { replica } => sync(&mut world.replicas, *replica),
            Step::Undo { import } => {
                let Some(number) = latest.get(import).copied() else { continue };
                undone.insert(number);
                if without.is_none() {
                    take_back(&mut world, number, at);
                }
            }
        }
    }
    (1..REPLICAS).for_each(|replica| sync(&mut world.replicas, replica));
    (1..REPLICAS).for_each(|replica| sync(&mut world.replicas, replica));
    (world, done, undone)
}

/// One of the values of one of the conflicts.
fn decision(document: &Document, conflict: usize, value: usize) -> Vec<Edit> {
    let open = document.conflicts();
    let chosen = (!open.is_empty()).then(|| &open[conflict % open.len()]);
    let edit = chosen.map(|conflict| Edit {
        address: conflict.address.clone(),
        value: conflict.values[value % conflict.values.len()].value.clone(),
    });
    edit.into_iter().collect()
}

fn take_back(world: &mut World, number: usize, at: usize) {
    world.imports[number].2 = false;
    let (actor, affirms, _) = world.imports[number].clone();
    let before: Vec<ActorId> =
        world.imports.iter().filter(|(_, _, stands)| !stands).map(|(actor, _, _)| *actor).collect();
    let imports = &world.imports;
    let is_affirmed = |address: &Address, of: ActorId| {
        let since = imports.iter().position(|(actor, _, _)| *actor == of).unwrap_or(usize::MAX);
        imports.iter().enumerate().any(|(n, (_, same, stands))| n > since && *stands && same.contains(address))
    };
    let taking = Taking { actor, before: &before, is_affirmed: &is_affirmed, affirms: &affirms };
    let mut author = by(ActorId([9; 16]), Means::Undo);
    author.actor.0[1] = u8::try_from(at).expect("few steps");
    let mut document = world.replicas[0].clone();
    let taken = document.take_back(&taking, &author).expect("taken back");
    pass_the_gate(&world.replicas[0], &taken, &document);
    let again = document.clone().take_back(&taking, &by(ActorId([10; 16]), Means::Undo)).expect("taken back");
    assert!(again.changes.is_empty(), "a second time there is nothing to take back: {again:?}");
    for cell in &taken.cells {
        world.kept.remove(&cell.address);
    }
    world.kept.extend(taken.kept().map(|(address, kept)| (address.clone(), kept)));
    world.replicas[0] = document;
}

/// Another replica gets the changes as it gets any others, from a device that hands them over.
fn pass_the_gate(before: &Document, taken: &TakenBack, after: &Document) {
    let (catalogue, limits) = (Catalogue::builtin(), GateLimits::default());
    let mut other = before.clone();
    for change in &taken.changes {
        let admitted = admit(&change.bytes, Book::Unit, &catalogue, &limits).expect("admitted");
        other.apply(vec![admitted]).expect("applied");
    }
    assert_eq!((other.heads(), other.row_states()), (after.heads(), after.row_states()));
}

fn sync(replicas: &mut [Document], replica: usize) {
    let (server, rest) = replicas.split_at_mut(1);
    server[0].merge(&rest[replica - 1]).expect("merged");
    rest[replica - 1].merge(&server[0]).expect("merged");
}

/// The cells that somebody writes or has written, not knowing of an undo, what comes after it.
fn late(steps: &[Step], done: &Done) -> BTreeSet<Address> {
    let mut undone: Option<usize> = None;
    let mut knows = [true; REPLICAS];
    let mut new: [Vec<usize>; REPLICAS] = Default::default();
    let mut late = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Undo { .. } => {
                undone = Some(at);
                late.extend(new[1..].iter().flatten().copied());
                knows[1..].fill(false);
            }
            Step::Returned { drawn, .. } if undone.is_some_and(|undone| at.saturating_sub(*drawn) <= undone) => {
                late.push(at);
            }
            Step::Form { replica, .. } | Step::Settle { replica, .. } => {
                new[*replica].push(at);
                late.extend((!knows[*replica]).then_some(at));
            }
            Step::Sync { replica } => {
                new[*replica].clear();
                knows[*replica] = true;
            }
            Step::Returned { .. } | Step::Import { .. } => {}
        }
    }
    late.iter()
        .filter_map(|at| done.get(at))
        .flat_map(|(written, _)| written)
        .map(|edit| edit.address.clone())
        .collect()
}

/// All values of each cell.
fn values(document: &Document) -> BTreeMap<Address, BTreeSet<Value>> {
    let mut values: BTreeMap<Address, BTreeSet<Value>> = BTreeMap::new();
    let columns = (0..2u8).flat_map(|row| (0..5u8).map(move |column| cell((row, column, 0)).address));
    for address in columns {
        values.entry(address.clone()).or_default().extend(document.get(&address));
    }
    for conflict in document.conflicts() {
        values.entry(conflict.address).or_default().extend(conflict.values.into_iter().map(|value| value.value));
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, ..ProptestConfig::default() })]

    #[test]
    fn each_cell_says_what_it_would_say_had_the_import_never_been(steps in steps()) {
        let (with, done, undone) = run(&steps, None);
        let (without, _, _) = run(&steps, Some((&undone, &done)));
        let late = late(&steps, &done);
        // A merged ledger speaks of the state that it was drawn from: what came between, it has not seen.
        let of_ledgers = done.iter().filter(|(at, _)| matches!(steps[**at], Step::Returned { .. }));
        let cells = of_ledgers.flat_map(|(_, (written, said))| written.iter().chain(said));
        let seen_earlier: BTreeSet<&Address> = cells.map(|edit| &edit.address).collect();
        // What another file found there: it would have said so itself, over what it then would have found.
        let said = done.values().flat_map(|(_, said)| said);
        let affirmed: BTreeSet<(&Address, &Value)> = said.map(|edit| (&edit.address, &edit.value)).collect();
        let (with_values, without_values) = (values(&with.replicas[0]), values(&without.replicas[0]));
        for (address, wanted) in without_values {
            let found = &with_values[&address];
            match with.kept.get(&address) {
                // Another file says the same: nothing of what stands is missing.
                Some(Kept::Affirmed) if late.contains(&address) || seen_earlier.contains(&address) => prop_assert!(!found.is_empty() || wanted.is_empty(), "{address}"),
                Some(Kept::Affirmed) => {
                    let is_said = !found.is_empty() && found.iter().all(|value| affirmed.contains(&(&address, value)));
                    prop_assert!(is_said || found.is_superset(&wanted), "{address}: {found:?} {wanted:?}");
                }
                // Nothing is missing; what was put back, or was in dispute with that, may stand beside it.
                _ if late.contains(&address) => prop_assert!(found.is_superset(&wanted), "{address}: {found:?} {wanted:?}"),
                Some(Kept::Edited) | None => prop_assert_eq!(found, &wanted, "{} {:?}", address, with.kept),
            }
        }
    }
}

fn nothing_affirmed(_: &Address, _: ActorId) -> bool {
    false
}

fn taking(actor: ActorId) -> Taking<'static> {
    static NO_CELLS: BTreeSet<Address> = BTreeSet::new();
    Taking { actor, before: &[], is_affirmed: &nothing_affirmed, affirms: &NO_CELLS }
}

fn phone() -> Address {
    edit(1, "phone", 0).address
}

/// A document with a telephone number, and what two offices have made of it on copies drawn at the same time.
fn two_offices() -> (Document, Author, Author) {
    let mut base = Document::new();
    base.write(&identity(), &[edit(1, "phone", "0"), edit(1, "name", "张三")], &author(1, "县", Means::Import))
        .expect("written");
    let (a, b) = (author(2, "甲", Means::Return), author(3, "乙", Means::Return));
    let (mut of_a, mut of_b) = (base.clone(), base.clone());
    of_a.write(&identity(), &[edit(1, "phone", "A")], &a).expect("written");
    of_b.write(&identity(), &[edit(1, "phone", "B")], &b).expect("written");
    base.merge(&of_a).expect("merged");
    base.merge(&of_b).expect("merged");
    assert_eq!(base.conflicts()[0].values.len(), 2);
    (base, a, b)
}

#[test]
fn what_another_has_written_beside_it_stands() {
    for undone in [2, 3] {
        let (mut document, a, b) = two_offices();
        let (own, stands) = if undone == 2 { (a, "B") } else { (b, "A") };
        let taken = document.take_back(&taking(own.actor), &author(9, "县", Means::Undo)).expect("taken back");
        assert_eq!((document.get(&phone()), document.conflicts()), (Some(stands.into()), vec![]));
        assert_eq!(taken.kept().count(), 0);
        assert_eq!(taken.cells[0].after, [Value::from(stands)]);
        assert_eq!(
            document.history(&phone()).last().and_then(|last| last.provenance.clone()).map(|by| by.how),
            Some(Means::Undo)
        );
    }
}

#[test]
fn a_conflict_that_it_had_settled_is_open_again_and_has_the_same_winner() {
    let (mut document, ..) = two_offices();
    let before: Vec<Value> = document.conflicts()[0].values.iter().map(|value| value.value.clone()).collect();
    let settled = author(4, "丙", Means::Return);
    document.settle(&phone(), &"C".into(), &settled).expect("settled");
    document.write(&identity(), &[edit(1, "name", "李四")], &settled).expect("written");
    assert!(document.conflicts().is_empty());
    let taken = document.take_back(&taking(settled.actor), &author(9, "县", Means::Undo)).expect("taken back");
    let after: Vec<Value> = document.conflicts()[0].values.iter().map(|value| value.value.clone()).collect();
    assert_eq!((after, taken.kept().count()), (before, 0));
}

#[test]
fn a_row_that_only_the_import_made_is_gone_and_an_edit_on_its_way_is_not() {
    let mut server = Document::new();
    server.write(&identity(), &[edit(1, "name", "张三")], &author(1, "县", Means::Import)).expect("written");
    let import = author(2, "甲", Means::Import);
    server.write(&identity(), &[edit(2, "name", "王五"), edit(2, "phone", "5")], &import).expect("written");
    let mut phone_of_cadre = server.clone();
    let typed = [edit(2, "phone", "6"), edit(2, "employer", "一中")];
    phone_of_cadre.write(&identity(), &typed, &author(3, "乙", Means::Form)).expect("written");
    let taken = server.take_back(&taking(import.actor), &author(9, "县", Means::Undo)).expect("taken back");
    assert_eq!((server.rows("members").len(), taken.touched.len()), (1, 1));
    server.merge(&phone_of_cadre).expect("merged");
    let row = &server.rows("members")[&RowId::random([2; 10])];
    assert_eq!((row.text("name"), row.text("phone"), row.text("employer"), row.removed), ("", "6", "一中", false));
    assert!(server.conflicts().is_empty());
    // Taken back once more, it is said that somebody has worked on the row.
    let taken = server.take_back(&taking(import.actor), &author(8, "县", Means::Undo)).expect("taken back");
    let kept: Vec<String> = taken.kept().map(|(address, _)| address.column.to_string()).collect();
    assert_eq!((kept, taken.changes.len()), (vec!["employer".to_owned(), "phone".to_owned()], 0));
}

/// Official clients settle a conflict with the value in force by deleting the others.
#[test]
fn who_has_decided_for_its_value_keeps_it() {
    let (document, a, b) = two_offices();
    let winner = document.conflicts()[0].values[0].clone();
    let (own, Value::Text(text)) = (if winner.value == Value::from("A") { a } else { b }, &winner.value) else {
        panic!("a text")
    };
    let mut client = AutoCommit::load(&document.save()).expect("loaded").with_actor(JsActor::from([7; 16]));
    client.put(ROOT, phone().key(), text.as_str()).expect("put");
    let mut document = Document::load(Some(&client.save()), &[]).expect("loaded");
    let taken = document.take_back(&taking(own.actor), &author(9, "县", Means::Undo)).expect("taken back");
    assert_eq!((document.get(&phone()), taken.changes.len()), (Some(winner.value.clone()), 0));
    assert_eq!(taken.kept().map(|(_, kept)| kept).collect::<Vec<_>>(), [Kept::Edited]);
}

#[test]
fn of_a_long_text_only_its_own_letters_go() {
    let key = edit(1, "employer", "").address.key();
    let mut client =
        AutoCommit::new_with_encoding(automerge::TextEncoding::Utf16CodeUnit).with_actor(JsActor::from([7; 16]));
    let text = client.put_object(ROOT, &key, ObjType::Text).expect("put");
    client.splice_text(&text, 0, 0, "青山镇小学教师").expect("put");
    let base = Document::load(Some(&client.save()), &[]).expect("loaded");
    let import = author(2, "甲", Means::Import);
    let mut server = base.clone();
    server.write(&identity(), &[edit(1, "employer", "白水镇中学教师")], &import).expect("written");
    // Somebody else has written letters meanwhile.
    let mut other = base.clone();
    other
        .write(&identity(), &[edit(1, "employer", "青山镇小学教师兼校长")], &author(3, "乙", Means::Form))
        .expect("written");
    for (mut server, expected) in [
        (server.clone(), "青山镇小学教师"),
        (
            {
                server.merge(&other).expect("merged");
                server
            },
            "青山镇小学教师兼校长",
        ),
    ] {
        let taken = server.take_back(&taking(import.actor), &author(9, "县", Means::Undo)).expect("taken back");
        assert_eq!(server.get(&edit(1, "employer", "").address), Some(expected.into()));
        assert_eq!(taken.touched.len(), 1);
    }
    assert!(client.get(ROOT, &key).expect("read").is_some());
}

#[test]
fn only_what_imports_wrote_is_emptied() {
    let (catalogue, limits) = (Catalogue::builtin(), GateLimits::default());
    let mut document = Document::new();
    document.write(&identity(), &[edit(1, "name", "张三")], &author(1, "县", Means::Import)).expect("written");
    document.write(&identity(), &[edit(1, "phone", "1")], &author(2, "甲", Means::Form)).expect("written");
    let undo = serde_json::to_string(&Provenance { who: "某".into(), how: Means::Undo, source: None }).expect("a text");
    let emptying = |column: &str, message: Option<String>| {
        let mut client = AutoCommit::load(&document.save()).expect("loaded").with_actor(JsActor::from([7; 16]));
        client.delete(ROOT, edit(1, column, 0).address.key()).expect("deleted");
        let options = message.map(|message| automerge::transaction::CommitOptions::default().with_message(message));
        client.commit_with(options.unwrap_or_default());
        let bytes = client.get_last_local_change().expect("a change").bytes().into_owned();
        let admitted = admit(&bytes, Book::Unit, &catalogue, &limits).expect("admitted");
        document.clone().apply(vec![admitted]).is_ok()
    };
    assert!(emptying("name", Some(undo.clone())), "an undo empties what an import wrote");
    assert!(!emptying("phone", Some(undo)), "what a person typed it does not");
    assert!(!emptying("name", None), "and nothing else empties anything");
}
