use sync_protocol::{Address, Book, DocumentId, Identity, RowId, Tenant, UnitId};

/// Ids are shared with every other implementation: a change here loses every document there is.
#[test]
fn derived_ids_never_change() {
    let tenant = Tenant::new("340099");
    let county = UnitId::derive(&tenant, None, "340099");
    let village = UnitId::derive(&tenant, Some(county), "青石村党支部");
    let identity = Identity { unit: village, book: Book::Unit, period: "2012".into() };
    let document = identity.document(&tenant);
    let row = RowId::derive(b"key", "members", &["name+birth_date", "张三", "1980-01-01"]);
    let derived = [county.to_string(), village.to_string(), document.to_string(), row.to_string()];
    assert_eq!(
        derived,
        [
            "a67fc652-0262-57a7-ab10-54c8e4cb99f6",
            "dfd1701c-3518-5758-95e8-6f36cd087d1f",
            "ikh3qqgReKPkojF7WxMEye78pTN",
            "r3894c9vhvqtpaqk",
        ]
    );
    assert_eq!(document.to_string().parse::<DocumentId>(), Ok(document));
    assert_eq!(format!("automerge:{document}").parse::<DocumentId>(), Ok(document));
    assert_eq!(row.to_string().parse::<RowId>(), Ok(row));
    assert_ne!(identity.in_book(Book::UnitRestricted).document(&tenant), document);
}

#[test]
fn parts_of_a_key_do_not_run_together() {
    let row = |parts: &[&str]| RowId::derive(b"key", "members", parts);
    assert_ne!(row(&["ab", "c"]), row(&["a", "bc"]));
    assert_ne!(row(&["a"]), RowId::derive(b"other", "members", &["a"]));
}

#[test]
fn addresses_come_back_or_are_no_addresses() {
    let row = RowId::random([7; 10]);
    for address in [
        Address::new("members", row, "name"),
        Address::new("members", row, "@removed"),
        Address::new("rectification", row, "problem_kinds").member("petition"),
        Address::new("members", row, "@extra").member("备注2"),
    ] {
        assert_eq!(Address::parse(&address.key()), Some(address));
    }
    let long = format!("members/{row}/{}", "x".repeat(65));
    for key in [
        "@unit",
        "members",
        "members/short/name",
        &format!("members/{row}"),
        &format!("members/{row}/a/b/c"),
        &format!("成员/{row}/name"),
        &long,
    ] {
        assert_eq!(Address::parse(key), None, "{key}");
    }
}
