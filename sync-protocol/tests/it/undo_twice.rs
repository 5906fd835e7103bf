//! One import after another taken back.

use std::collections::BTreeSet;

use sync_protocol::{
    ActorId, Address, Document,
    conflict::Means,
    document::{Kept, TakenBack, Taking},
};

use crate::document::{author, edit, identity};

fn take_back(
    document: &mut Document,
    actor: u8,
    before: &[u8],
    affirmed: &[(&str, u8)],
    affirms: &[&str],
) -> TakenBack {
    let before: Vec<ActorId> = before.iter().map(|actor| ActorId([*actor; 16])).collect();
    let affirms: BTreeSet<Address> = affirms.iter().map(|column| edit(1, column, 0).address).collect();
    let is_affirmed = |address: &Address, actor: ActorId| {
        affirmed.iter().any(|(column, of)| edit(1, column, 0).address == *address && actor.0 == [*of; 16])
    };
    let taking = Taking { actor: ActorId([actor; 16]), before: &before, is_affirmed: &is_affirmed, affirms: &affirms };
    document.take_back(&taking, &author(100 + actor, "县", Means::Undo)).expect("taken back")
}

#[test]
fn what_an_undo_has_taken_away_does_not_come_back_with_another() {
    let mut document = Document::new();
    document.write(&identity(), &[edit(1, "name", "张三")], &author(1, "县", Means::Import)).expect("written");
    document.write(&identity(), &[edit(1, "phone", "2")], &author(2, "县", Means::Import)).expect("written");
    take_back(&mut document, 2, &[], &[], &[]);
    // Somebody types another number, a third file says that one, and a fourth puts its own on top of it.
    document.write(&identity(), &[edit(1, "phone", "3")], &author(3, "甲", Means::Form)).expect("written");
    document.write(&identity(), &[edit(1, "phone", "4")], &author(4, "乙", Means::Return)).expect("written");
    take_back(&mut document, 4, &[2], &[("phone", 2)], &[]);
    assert_eq!(document.get(&edit(1, "phone", 0).address), Some("3".into()));
    assert!(document.conflicts().is_empty());
}

#[test]
fn what_two_files_say_goes_when_both_have_gone() {
    let mut document = Document::new();
    document.write(&identity(), &[edit(1, "name", "张三")], &author(1, "县", Means::Import)).expect("written");
    document.write(&identity(), &[edit(1, "phone", "2")], &author(2, "县", Means::Import)).expect("written");
    // A third file says the same of the telephone.
    let first = take_back(&mut document, 2, &[], &[("phone", 2)], &[]);
    assert_eq!(
        (first.changes.len(), first.kept().map(|(_, kept)| kept).collect::<Vec<_>>()),
        (0, vec![Kept::Affirmed])
    );
    let second = take_back(&mut document, 3, &[2], &[], &["phone"]);
    assert_eq!((second.changes.len(), document.get(&edit(1, "phone", 0).address)), (1, None));
}
