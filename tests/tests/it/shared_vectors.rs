//! What the field app must do as this program does: cases and results in one file, `server/web/vectors.json`. Here it is checked
//! that they are what Rust says; the app's own code is then run on the same file.
//!
//! After a change that is meant: `TAIZHANG_RENEW=1 cargo test -p tests --test it -- shared_vectors`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context, Result};
use data_encoding::HEXLOWER;
use importer::{
    values::{Normalised, Normaliser},
    workbook::grid::{Cell, Texts},
};
use minicbor::bytes::ByteVec;
use serde_json::{Value as Json, json};
use sync_protocol::{
    ActorId, Address, Book, ChangeHash, Document, Identity, Row, RowId, UnitId, Value,
    bundle::{self, Heading, Keys, Purpose},
    catalogue::{Catalogue, Column, ColumnType, Ledger, Place, Requirement, Rule, Sensitivity, UnitRows},
    conflict::{Means, Provenance},
    document::{Author, Edit, RefusalCode},
    message::{
        Ask, DocumentPull, DocumentPush, ExchangeReply, ExchangeRequest, PROTOCOL, PushedChange, RefusedChange,
        Successor, encode, receipt_statement,
    },
};
use tests::node;

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn identity() -> Identity {
    Identity { unit: UnitId::from_bytes([0x5a; 16]), book: Book::Unit, period: "2012".into() }
}

fn row_ids(catalogue: &Catalogue) -> Json {
    let cases: [(&str, &[(&str, Value)]); 11] = [
        ("grading", &[("round", "initial".into())]),
        ("mechanisms", &[("mechanism_kind", "M01".into()), ("name", "三会 一课".into())]),
        ("rectification-items", &[("item_no", 12.into())]),
        ("return-submissions", &[("return_no", "Ｒ０３".into()), ("period", "2012-04".into())]),
        ("members", &[("name", "张　三".into()), ("birth_date", "1980-01".into())]),
        (
            "members",
            &[("name", "张三".into()), ("birth_date", "1980-01".into()), ("id_card", "340099198001010013".into())],
        ),
        ("members", &[("sex", "1".into())]),
        ("members", &[("name", "待补".into()), ("birth_date", "1980-01".into())]),
        ("units", &[("uscc", "91340099MA00000A9Y".into()), ("unit_name", "青山茶叶".into())]),
        ("units", &[("uscc", "91340099MA00000A90".into()), ("unit_name", "青山茶叶".into())]),
        ("units", &[("uscc", "000000000000000000".into())]),
    ];
    let line = |(ledger, cells): &(&str, &[(&str, Value)])| {
        let declared = catalogue.ledger(ledger).expect("a ledger");
        let value_of = |column: &str| cells.iter().find(|(key, _)| *key == column).map(|(_, value)| value);
        let row = declared.row_id(catalogue.public_key(), None, value_of).map(|row| row.to_string());
        let cells: BTreeMap<&str, &Value> = cells.iter().map(|(key, value)| (*key, value)).collect();
        json!({ "ledger": ledger, "cells": cells, "row": row })
    };
    cases.iter().map(line).collect()
}

/// The ledgers of these rows, as the app gets them.
fn ledgers(catalogue: &Catalogue, rows: &Json) -> Result<Vec<Json>> {
    let all = serde_json::to_value(catalogue.field(2012))?;
    let of_rows =
        |ledger: &&Json| rows.as_array().is_some_and(|rows| rows.iter().any(|row| row["ledger"] == ledger["id"]));
    Ok(all["ledgers"].as_array().context("ledgers")?.iter().filter(of_rows).cloned().collect())
}

fn addresses() -> Json {
    let row = "0123456789abcdef";
    let long = "x".repeat(65);
    let keys = [
        format!("members/{row}/name"),
        format!("members/{row}/@removed"),
        format!("rectification/{row}/problem_kinds/petition"),
        format!("members/{row}/@extra/特长 (一)"),
        format!("members/{row}/@extra/"),
        format!("members/{row}/name/特长"),
        format!("members/{row}/{long}"),
        format!("members/{row}/a/b/c"),
        "members/0123456789abcdei/name".into(),
        "members/0123456789ABCDEF/name".into(),
        "members/short/name".into(),
        "@unit".into(),
        format!("/{row}/name"),
    ];
    let line = |key: &String| {
        let parsed = Address::parse(key)
            .map(|address| json!([address.ledger.as_str(), address.row.to_string(), address.cell()]));
        json!({ "key": key, "parsed": parsed })
    };
    keys.iter().map(line).collect()
}

fn author(actor: u8, who: &str, how: Means, time_s: i64) -> Author {
    Author { actor: ActorId([actor; 16]), provenance: Provenance { who: who.into(), how, source: None }, time_s }
}

fn edit(row: u8, column: &str, value: impl Into<Value>) -> Edit {
    Edit { address: Address::new("members", RowId::random([row; 10]), column), value: value.into() }
}

fn described(document: &Document) -> Json {
    let mut rows = BTreeMap::new();
    for (id, row) in document.rows("members") {
        rows.insert(id.to_string(), json!({ "cells": row.cells, "removed": row.removed }));
    }
    let side = |value: &sync_protocol::conflict::ConflictValue| {
        json!([value.value, value.change.to_string(), value.provenance.as_ref().map(|p| &p.who), value.written_at_s])
    };
    let conflicts: Vec<Json> = document
        .conflicts()
        .iter()
        .map(|conflict| json!({ "key": conflict.address.key(), "values": conflict.values.iter().map(side).collect::<Vec<_>>() }))
        .collect();
    let history: Vec<Json> = document.history(&edit(1, "phone", 0).address).iter().map(side).collect();
    let heads: Vec<String> = document.heads().iter().map(ChangeHash::to_string).collect();
    json!({ "rows": rows, "conflicts": conflicts, "history": history, "heads": heads })
}

/// Two replicas that wrote apart, merged; a conflict settled; and a change that another replica is to write as well.
fn documents() -> Result<Json> {
    let mut base = Document::new();
    let first = [edit(1, "name", "张三"), edit(1, "phone", "1"), edit(2, "name", "李四"), edit(1, "is_lost", false)];
    base.write(&identity(), &first, &author(1, "县", Means::Import, 1_335_744_000))?;
    let (mut a, mut b) = (base.clone(), base.clone());
    a.write(
        &identity(),
        &[edit(1, "phone", "2"), edit(1, "employer", "一中")],
        &author(2, "甲", Means::Form, 1_335_750_000),
    )?;
    let cleared = [edit(1, "phone", Value::Null), edit(1, "employer", " 一中 "), edit(2, "@removed", true)];
    b.write(&identity(), &cleared, &author(3, "乙", Means::Form, 1_335_760_000))?;
    b.write(
        &identity(),
        &[edit(3, "party_years", 12), edit(3, "name", "王五")],
        &author(3, "乙", Means::Form, 1_335_770_000),
    )?;
    let changes: Vec<String> =
        a.changes_since(&[]).into_iter().chain(b.changes_since(&base.heads())).map(|(_, bytes)| hex(&bytes)).collect();
    a.merge(&b)?;
    let merged = described(&a);
    let before = a.save();
    let edits = [edit(2, "phone", "13900000000"), edit(1, "is_lost", true), edit(3, "party_years", 13)];
    let written =
        a.clone().write(&identity(), &edits, &author(9, "丙", Means::Form, 1_335_780_000))?.context("a change")?;
    let phone = a.conflicts().first().context("a conflict")?.clone();
    let winner = phone.values[0].value.clone();
    let settled =
        a.settle(&phone.address, &winner, &author(9, "丙", Means::Resolve, 1_335_790_000))?.context("a change")?;
    let edits: Vec<Json> = edits.iter().map(|edit| json!([edit.address.key(), edit.value])).collect();
    Ok(json!({
        "changes": changes,
        "merged": merged,
        "snapshot": hex(&before),
        "edits": edits,
        "written": written.hash.to_string(),
        "settle": phone.address.key(),
        "winner": winner,
        "settled": settled.hash.to_string(),
        "settled_change": hex(&settled.bytes),
        "after": described(&a),
    }))
}

fn frames() -> Json {
    let hash = |n: u8| ChangeHash([n; 32]);
    let bytes = |text: &str| ByteVec::from(text.as_bytes().to_vec());
    let other = identity().in_book(Book::Township);
    let request = ExchangeRequest {
        protocol: PROTOCOL,
        cursor: Some(bytes("cursor")),
        push: vec![DocumentPush {
            identity: identity(),
            changes: vec![
                PushedChange { hash: hash(1), bytes: bytes("one") },
                PushedChange { hash: hash(2), bytes: bytes("two") },
            ],
        }],
        device_time_ms: 1_335_744_000_123,
        asks: vec![Ask { identity: other.clone(), heads: vec![hash(3)], held: vec![hash(4)] }],
        held: vec![hash(5)],
    };
    let empty = ExchangeRequest {
        cursor: None,
        push: vec![],
        asks: vec![],
        held: vec![],
        device_time_ms: 0,
        ..request.clone()
    };
    let pull = DocumentPull {
        identity: identity(),
        snapshot: Some(bytes("snapshot")),
        changes: vec![bytes("a"), bytes("b")],
        whole: true,
        successor: Some(Successor { root: hash(6), covers: vec![hash(7)], erased: vec!["members/x".into()] }),
    };
    let news = DocumentPull { snapshot: None, successor: None, whole: false, ..pull.clone() };
    let refused = RefusedChange {
        hash: hash(8),
        code: RefusalCode::MissingDependencies,
        sentence: "缺".into(),
        quarantined: true,
    };
    let reply = ExchangeReply {
        protocol: PROTOCOL,
        receipts: vec![hash(1)],
        refusals: vec![refused],
        documents: vec![pull, news],
        cursor: bytes("next"),
        more: true,
        server_time_ms: 1_335_744_000_456,
        restart: true,
        dropped: vec![other.clone()],
        unknown: vec![hash(9)],
        wanted: vec![identity()],
        signature: Some(bytes("signed")),
        erase: true,
        checkpoint: Some("taizhang/340099/00\n1\n…".into()),
    };
    let plain = ExchangeReply {
        receipts: vec![],
        refusals: vec![],
        documents: vec![],
        more: false,
        restart: false,
        dropped: vec![],
        unknown: vec![],
        wanted: vec![],
        signature: None,
        erase: false,
        checkpoint: None,
        ..reply.clone()
    };
    json!({
        "request": hex(&encode(&request)),
        "empty": hex(&encode(&empty)),
        "reply": hex(&encode(&reply)),
        "plain": hex(&encode(&plain)),
        "statement": hex(&receipt_statement(&[hash(1), hash(2)], 1_335_744_000_456)),
    })
}

/// What stands inside the encryption of bundles: a request as both write it, its answer, and what is no answer for this device.
fn bundles() -> Result<Json> {
    let secret = [7; 32];
    let (device, county, other) = (Keys::with_signing_key(&secret), Keys::of(b"county"), Keys::of(b"other"));
    let (own, server) = (device.public().signing, county.public().signing);
    let payload = b"payload".as_slice();
    let (request, digest) = bundle::signed(payload, (Purpose::Request, None), &device, &server)?;
    let (reply, _) = bundle::signed(payload, (Purpose::Reply, Some(&digest)), &county, &own)?;
    let checkpoints = ["newest", "first"].map(str::to_owned);
    let heading = |purpose, regarding| Heading { purpose, regarding, checkpoints: &checkpoints };
    let (noted, _) = bundle::headed(payload, heading(Purpose::Request, None), &device, &server)?;
    let (noted_reply, _) = bundle::headed(payload, heading(Purpose::Reply, Some(&digest)), &county, &own)?;
    let (misdirected, _) = bundle::signed(payload, (Purpose::Reply, Some(&digest)), &county, &other.public().signing)?;
    let (mixed_up, _) = bundle::signed(payload, (Purpose::Request, Some(&digest)), &county, &own)?;
    let mut older = reply.clone();
    older[3] = 1;
    let mut altered = reply.clone();
    *altered.last_mut().context("a payload")? ^= 1;
    let others = [misdirected, mixed_up, older, altered].map(|plain| hex(&plain));
    Ok(json!({
        "secret": hex(&secret),
        "county": hex(&server),
        "own": hex(&own),
        "payload": hex(payload),
        "request": hex(&request),
        "digest": hex(&digest),
        "reply": hex(&reply),
        "checkpoints": checkpoints,
        "noted": hex(&noted),
        "noted_reply": hex(&noted_reply),
        "others": others,
    }))
}

/// A fixed sequence of numbers.
struct Draw(u64);

impl Draw {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % below
    }

    /// A row with every kind of value.
    fn row(&mut self, catalogue: &Catalogue, ledger: &Ledger) -> Row {
        let dates = ["2011", "2011-12-31", "2012-03", "2012-03-31", "2012-10-20", "2013-01-01"];
        let decimals = ["0", "1", "0.50", "12.5", "93.3", "100.00", "-3"];
        let mut row = Row::new(RowId::random([0; 10]));
        for column in ledger.columns.iter().filter(|column| column.sensitivity != Sensitivity::S3) {
            let value = match &column.column_type {
                _ if self.next(3) == 0 => continue,
                ColumnType::Int => Value::Int(i64::try_from(self.next(20)).unwrap_or_default()),
                ColumnType::Bool => Value::Bool(self.next(2) == 0),
                ColumnType::Enum(list) => {
                    let codes = &catalogue.list(list).expect("a list").codes;
                    Value::text(&*codes[self.next(codes.len())].code)
                }
                ColumnType::Multi(list) => {
                    let codes = &catalogue.list(list).expect("a list").codes;
                    let cell = format!("{}/{}", column.key, codes[self.next(codes.len())].code);
                    row.cells.insert(cell, Value::Bool(self.next(2) == 0));
                    continue;
                }
                ColumnType::Date | ColumnType::PDate | ColumnType::Year => Value::text(dates[self.next(dates.len())]),
                ColumnType::Division => Value::text("340099100200"),
                _ if self.next(2) == 0 => Value::text(decimals[self.next(decimals.len())]),
                _ => Value::text(["甲", "乙", "", "A1"][self.next(4)]),
            };
            row.cells.insert(column.key.clone(), value);
        }
        row
    }
}

/// Rules that look at other rows of the unit, as the app gets them; rows; and which of them break each.
fn besides(catalogue: &Catalogue) -> Result<Json> {
    let variables = catalogue.variables(2012, None);
    let all = serde_json::to_value(catalogue.field(2012))?;
    let is_beside = |rule: &&Json| rule.get("beside").is_some();
    let of_field: Vec<&Json> = all["rules"].as_array().context("rules")?.iter().filter(is_beside).collect();
    let unit = UnitId::from_bytes([1; 16]);
    let place = Place { unit, reporting_unit: unit };
    let mut draw = Draw(11);
    let mut cases = Vec::new();
    for of_field in of_field {
        let rule = catalogue.rules().iter().find(|rule| rule.id == of_field["id"]).context("the rule")?;
        // Each row is asked about, not only the first that breaks it.
        let rule = Rule { once: false, ..rule.clone() };
        let ledgers: BTreeSet<&str> = rule.beside.iter().map(|b| b.ledger.as_str()).chain([&*rule.ledger]).collect();
        let mut rows = UnitRows::new();
        for id in ledgers {
            let ledger = catalogue.ledger(id).context("a ledger")?;
            rows.insert(id.to_owned(), (0..12).map(|_| draw.row(catalogue, ledger)).collect());
        }
        let own = &rows[&rule.ledger];
        let is_broken =
            |row: &Row| rule.broken(place, &rows, &variables).iter().any(|broken| std::ptr::eq(*broken, row));
        let broken: Vec<bool> = own.iter().map(is_broken).collect();
        let cells: BTreeMap<&String, Vec<_>> =
            rows.iter().map(|(id, rows)| (id, rows.iter().map(|row| &row.cells).collect())).collect();
        cases.push(json!([of_field, cells, broken]));
    }
    Ok(cases.into())
}

/// What each rule says of drawn rows.
fn rules(catalogue: &Catalogue) -> Json {
    let variables = catalogue.variables(2012, None);
    let mut draw = Draw(7);
    let mut lines = Vec::new();
    for (index, rule) in catalogue.rules().iter().enumerate().filter(|(_, rule)| rule.beside.is_empty()) {
        let ledger = catalogue.ledger(&rule.ledger).expect("a ledger");
        for _ in 0..5 {
            let row = draw.row(catalogue, ledger);
            let mut names_private = false;
            for expression in rule.when.iter().chain([&rule.check]) {
                let mut column = |name: &str| {
                    names_private |= ledger.column(name).is_some_and(|column| column.sensitivity == Sensitivity::S3);
                };
                expression.names(&mut column, &mut |_| {});
            }
            if !names_private {
                let when = rule.when.as_ref().is_none_or(|when| when.holds(&row, &variables));
                lines.push(json!([index, row.cells, when, rule.check.holds(&row, &variables)]));
            }
        }
    }
    let all: Vec<Json> = catalogue.rules().iter().map(|rule| json!([rule.when, rule.check])).collect();
    json!({ "variables": variables, "rules": all, "cases": lines })
}

/// What was typed, and what is stored: the same as if it had stood in a workbook.
fn entries(catalogue: &Catalogue) -> Json {
    let typed: [(ColumnType, &[&str]); 11] = [
        (ColumnType::Int, &["12", "0", "-3", "１２", "12.5", "十"]),
        (ColumnType::Decimal, &["12.50", "0.5", "1,234.5", "abc"]),
        (ColumnType::MoneyYuan, &["12", "1234.5", "1,234.50"]),
        (ColumnType::MoneyWan, &["12", "1.2345", "0.5", "0.00015"]),
        (ColumnType::Percent, &["85%", "85.5", "100"]),
        (ColumnType::Score, &["9", "93.3"]),
        (
            ColumnType::PDate,
            &["2012", "2012-3", "2012.3.5", "2012年3月", "2012/03/05", "20120305", "2012-02-30", "昨天"],
        ),
        (ColumnType::Year, &["2012", "12345"]),
        (ColumnType::Phone, &["139 0000 2222", "0551-1234567", "13900", "abc", "+8613900002222"]),
        (ColumnType::Uscc, &["91340099MA00000A9Y", "91340099ma00000a9y", "91340099MA00000A9X", "1"]),
        (ColumnType::Division, &["340099", "340099100", "340099100200", "34009"]),
    ];
    let normaliser = Normaliser::new(catalogue, 2012);
    let mut lines = Vec::new();
    for (column_type, cases) in typed {
        for text in cases {
            let column = Column {
                key: "x".into(),
                title: "x".into(),
                column_type: column_type.clone(),
                required: Requirement::Optional,
                default: None,
                allowed: String::new(),
                aliases: Vec::new(),
                sensitivity: Sensitivity::S1,
                future: true,
            };
            let mut texts = Texts::default();
            let cell = Cell::Text(texts.intern(text));
            let value = match normaliser.normalise(cell, &texts, &column, None) {
                Normalised::One(value) => Some(value),
                _ => None,
            };
            lines.push(json!([format!("{column_type:?}"), text, value]));
        }
    }
    lines.into()
}

#[test]
fn the_field_app_does_as_this_program_does() -> Result<()> {
    let catalogue = Catalogue::builtin();
    let rows = row_ids(&catalogue);
    let vectors = json!({
        "public_key": hex(catalogue.public_key()),
        "ledgers": ledgers(&catalogue, &rows)?,
        "rows": rows,
        "shapes": crate::shapes::shapes(),
        "addresses": addresses(),
        "documents": documents()?,
        "frames": frames(),
        "bundles": bundles()?,
        "rules": rules(&catalogue),
        "besides": besides(&catalogue)?,
        "entries": entries(&catalogue),
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/web/vectors.json");
    let text = serde_json::to_string(&vectors)? + "\n";
    if std::env::var_os("TAIZHANG_RENEW").is_some() {
        std::fs::write(&path, &text)?;
    }
    assert!(
        std::fs::read_to_string(&path)? == text,
        "server/web/vectors.json is not what Rust says: see the head of this file"
    );
    let said = node::web("vectors.ts", &[&path])?;
    assert_eq!(said["different"], json!([]));
    assert!(said["cases"].as_u64().context("cases")? > 500, "{said}");
    Ok(())
}
