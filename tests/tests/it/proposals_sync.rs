//! What a device sends that its carrier may not decide: the change is kept, and decides nothing.

use anyhow::{Context, Result};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use server::{
    Server, bundle, clock,
    store::{sqlite::DOCUMENT_KEYS, token_hash},
};
use sync_protocol::{
    Address, Book, Identity, RowId, Value,
    catalogue::Actor,
    client::Device,
    conflict::Means,
    document::RowKey,
    row::{REMOVED, STATE},
};
use tests::{
    county,
    repo::{Peer, texts},
};

use super::proposals::{ACTORS, CASES, TOWNSHIP, document, import_as, row, unit_of, waiting, waiting_cells};

fn township(server: &Server) -> Identity {
    Identity { unit: county::branch(server, 0), book: Book::Township, period: server.period() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_and_a_bundle_decide_nothing_that_their_sender_does_not() -> Result<()> {
    for by_bundle in [false, true] {
        for actor in ACTORS {
            for (ledger, before, _, column, old, new) in CASES {
                let case = format!("{ledger} by {actor:?}, from `{old}`, {by_bundle}");
                let (folder, server) = county::with_branches(1).await?;
                if !before.is_empty() {
                    import_as(&server, None, "before.xlsx", before).await?;
                }
                let (url, identity) = (county::serve(&server).await?, township(&server));
                let unit = unit_of(&server, actor);
                let device = county::device(&server, folder.path(), &url, "phone", unit, &TOWNSHIP).await?;
                let exchange = async || -> Result<()> {
                    if by_bundle {
                        let keys = server.keys.public();
                        let sent = device.write_bundle(&keys, None, clock::now_ms()).await?;
                        let answer = bundle::answer(&server, &sent).await?;
                        device.read_bundle(&answer.bytes, &keys).await?;
                    } else {
                        assert!(device.exchange(clock::now_ms()).await?.refusals.is_empty(), "{case}");
                    }
                    Ok(())
                };
                exchange().await?;
                let known = device.rows(&identity, ledger).await?.first().map(|row| row.id);
                let id = known.unwrap_or(RowId::random([9; 10]));
                let cells = [(column, Value::text(new)), ("remark", "另注".into())];
                device.save(&identity, ledger, id, &cells, 0).await?;
                exchange().await?;
                assert_eq!(device.unsent().await?, 0, "{case}: it has its receipt");
                let is_county = actor == Actor::County;
                let expected = if is_county { new } else { old };
                let stored = row(&server, Book::Township, ledger, |_| true).await?;
                assert_eq!((stored.text(column), stored.text("remark")), (expected, "另注"), "{case}");
                assert_eq!(projected(&server, ledger, column).await?, expected, "{case}");
                let here = device.rows(&identity, ledger).await?;
                assert_eq!(here[0].text(column), expected, "{case}: the phone knows");
                let proposals: Vec<String> = (!is_county).then(|| format!("{column}={new}")).into_iter().collect();
                assert_eq!(waiting_cells(&server).await?, proposals, "{case}");
                // Once more what was never seen to be taken back: it waits once.
                if !is_county {
                    device.save(&identity, ledger, id, &[(column, new.into())], 0).await?;
                    exchange().await?;
                    assert_eq!(waiting_cells(&server).await?, proposals, "{case}");
                    assert_eq!(projected(&server, ledger, column).await?, expected, "{case}");
                    let said = &waiting(&server).await?[0];
                    assert_eq!((said.proposed.who.as_str(), said.device.is_some()), ("phone", true), "{case}");
                }
                assert!(document(&server, Book::Township).await?.conflicts().is_empty(), "{case}");
                assert!(server::doctor::diagnose(&server, &|_, _| {}).await?.wrong.is_empty(), "{case}");
            }
        }
    }
    Ok(())
}

/// What returns read.
async fn projected(server: &Server, ledger: &str, column: &str) -> Result<String> {
    let rows = server.store.rows(ledger, &server.period(), &[county::branch(server, 0)]).await?;
    let row = rows.into_iter().find(|row| row.book == Book::Township).context("a row")?;
    Ok(server::projection::row(row.row, &row.cells, row.removed)?.text(column).to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_official_client_decides_nothing_either() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    import_as(&server, None, "m.xlsx", "党组织编码|姓名|出生日期|入党时间|党员状态\nCODE|张三|1980-01-01|2001-05|正常")
        .await?;
    let (url, unit) = (county::serve(&server).await?, county::branch(&server, 0));
    county::device(&server, folder.path(), &url, "peer", unit, &[Book::Unit]).await?.close().await;
    let identity = Identity { unit, book: Book::Unit, period: server.period() };
    let id = identity.document(&server.tenant);
    let member = row(&server, Book::Unit, "members", |_| true).await?.id;
    let mut peer = Peer::of_device(&url, "peer")?;
    peer.fetch(&[id]).await?;
    let edit = |key: &str, value: &str| serde_json::json!({ "edit": { "ids": texts(&[id]), "key": key, "value": value, "rows": [member.to_string()] } });
    peer.ask(edit("membership_state", "expelled")).await?;
    peer.ask(edit("work_post", "会计")).await?;
    for _ in 0..600 {
        peer.fetch(&[id]).await?;
        if row(&server, Book::Unit, "members", |_| true).await?.text("work_post") == "会计" {
            break;
        }
    }
    let found = row(&server, Book::Unit, "members", |_| true).await?;
    assert_eq!((found.text("work_post"), found.text("membership_state")), ("会计", "normal"));
    assert_eq!(waiting_cells(&server).await?, ["membership_state=expelled"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_has_decided_is_neither_emptied_nor_hidden() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    let text =
        "党组织编码|姓名|公民身份号码|认定年度|组织认定|认定日期\nCODE|张三|340099198001010014|2012|已认定|2012-05-01";
    import_as(&server, None, "h.xlsx", text).await?;
    let (url, unit) = (county::serve(&server).await?, county::branch(&server, 0));
    let books = [Book::Unit, Book::UnitRestricted];
    let device = county::device(&server, folder.path(), &url, "phone", unit, &books).await?;
    device.exchange(0).await?;
    let open = Identity { unit, book: Book::Unit, period: server.period() };
    let twin = Identity { book: Book::UnitRestricted, ..open.clone() };
    let before = row(&server, Book::Unit, "hardship-members", |_| true).await?;
    for (book, column, value) in [
        (&open, "recognised", Value::Null),
        (&open, "recognised", "pending".into()),
        (&open, "recognised_on", "2012-06-01".into()),
        (&open, "year", "2011".into()),
        (&open, REMOVED, true.into()),
        (&open, STATE, "void".into()),
        (&open, STATE, "draft".into()),
        (&twin, REMOVED, true.into()),
        (&twin, STATE, "draft".into()),
    ] {
        device.save(book, "hardship-members", before.id, &[(column, value.clone())], 0).await?;
        let done = device.exchange(0).await?;
        assert!(done.refusals.is_empty(), "{column} {value}: {:?}", done.refusals);
        let now = row(&server, Book::Unit, "hardship-members", |_| true).await?;
        let filled = |row: &sync_protocol::Row| row.cells.iter().filter(|(_, v)| !v.is_null()).count();
        assert_eq!((now.counts(), filled(&now)), (true, filled(&before)), "{column} {value}: {now:?}");
        for column in ["recognised", "recognised_on"] {
            assert_eq!(now.text(column), before.text(column), "{column} {value}");
        }
        let rows = server.store.rows("hardship-members", &server.period(), &[unit]).await?;
        assert!(rows.iter().all(|row| !row.removed), "{column} {value}");
    }
    assert_eq!(waiting(&server).await?.len(), 9);
    // The township cannot either; whoever has decided can.
    let town = unit_of(&server, Actor::Township);
    let town = county::device(&server, folder.path(), &url, "town", town, &books).await?;
    town.exchange(0).await?;
    town.save(&open, "hardship-members", before.id, &[(REMOVED, true.into())], 0).await?;
    town.exchange(0).await?;
    assert!(row(&server, Book::Unit, "hardship-members", |_| true).await?.counts());
    let county = county::device(&server, folder.path(), &url, "county", server.county, &books).await?;
    county.exchange(0).await?;
    county.save(&open, "hardship-members", before.id, &[(REMOVED, true.into())], 0).await?;
    county.exchange(0).await?;
    assert!(!row(&server, Book::Unit, "hardship-members", |_| true).await?.counts());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cadre_in_the_field_is_not_the_county() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    import_as(
        &server,
        None,
        "h.xlsx",
        "党组织编码|姓名|公民身份号码|认定年度|组织认定\nCODE|张三|340099198001010014|2012|待认定",
    )
    .await?;
    let url = county::serve(&server).await?;
    // Enrolled at the county, without restricted books: somebody's phone, and no office.
    let device = county::device(&server, folder.path(), &url, "phone", server.county, &[Book::Unit]).await?;
    device.exchange(0).await?;
    let identity = Identity { unit: county::branch(&server, 0), book: Book::Unit, period: server.period() };
    let id = device.rows(&identity, "hardship-members").await?[0].id;
    device.save(&identity, "hardship-members", id, &[("recognised", "recognised".into())], 0).await?;
    device.exchange(0).await?;
    assert_eq!(row(&server, Book::Unit, "hardship-members", |_| true).await?.text("recognised"), "pending");
    assert_eq!(waiting_cells(&server).await?, ["recognised=recognised"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn admitting_a_change_does_not_decide_what_its_sender_could_not() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    import_as(&server, None, "g.xlsx", CASES[0].1).await?;
    let (url, identity) = (county::serve(&server).await?, township(&server));
    // It may read the township's book, and not write to it.
    let unit = unit_of(&server, Actor::Township);
    let device = county::device(&server, folder.path(), &url, "clerk", unit, &TOWNSHIP).await?;
    let mut record = server.store.device_by_token(&token_hash("clerk")).await?.context("enrolled")?;
    record.writes = vec![Book::Unit];
    server.store.put_device(&record, 0).await?;
    device.exchange(0).await?;
    let id = device.rows(&identity, "grading").await?[0].id;
    device.save(&identity, "grading", id, &[("final_grade", "advanced".into()), ("remark", "甲".into())], 0).await?;
    device.exchange(0).await?;
    let held = server.store.quarantined().await?;
    server.sync.admit_quarantined(held[0].hash, "县", 0).await?;
    let found = row(&server, Book::Township, "grading", |_| true).await?;
    assert_eq!((found.text("final_grade"), found.text("remark")), ("average", "甲"));
    assert_eq!(waiting_cells(&server).await?, ["final_grade=advanced"]);
    Ok(())
}

struct Side {
    device: Device,
    /// What it has written last.
    last: Option<&'static str>,
}

/// However the county's decisions and a clerk's come in, and whatever each has seen, the clerk's value stands nowhere and the
/// county's last one does.
#[tokio::test(flavor = "multi_thread")]
async fn no_order_of_arrival_lets_a_clerks_value_stand() -> Result<()> {
    for seed in 0..24 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (folder, server) = county::with_branches(1).await?;
        import_as(&server, None, "g.xlsx", CASES[0].1).await?;
        let (url, identity) = (county::serve(&server).await?, township(&server));
        let mut sides = Vec::new();
        for (name, actor) in [("county", Actor::County), ("clerk", Actor::Township), ("branch", Actor::Branch)] {
            let unit = unit_of(&server, actor);
            let device = county::device(&server, folder.path(), &url, name, unit, &TOWNSHIP).await?;
            device.exchange(0).await?;
            sides.push(Side { device, last: None });
        }
        let id = sides[0].device.rows(&identity, "grading").await?[0].id;
        let address = Address::new("grading", id, "final_grade");
        for step in 0..14 {
            let at = rng.random_range(0..3usize);
            let side = &mut sides[at];
            if rng.random_bool(0.5) {
                let grade = match at {
                    0 => ["average", "backward"][rng.random_range(0..2usize)],
                    _ => "advanced",
                };
                side.device.save(&identity, "grading", id, &[("final_grade", grade.into())], 0).await?;
                side.last = Some(grade);
            } else {
                side.device.exchange(0).await?;
            }
            let values = document(&server, Book::Township).await?.values(&address);
            assert!(values.iter().all(|v| v.value != "advanced".into()), "seed {seed}, step {step}: {values:?}");
            assert_ne!(projected(&server, "grading", "final_grade").await?, "advanced", "seed {seed}, step {step}");
        }
        for _ in 0..2 {
            for side in &sides {
                side.device.exchange(0).await?;
            }
        }
        let values = document(&server, Book::Township).await?.values(&address);
        let expected = sides[0].last.unwrap_or("average");
        let said: Vec<String> = values.iter().map(|value| value.value.to_string()).collect();
        assert_eq!(said, [expected], "seed {seed}: what the county said last, and nothing else: {values:?}");
        for side in &sides {
            let row = side.device.document(&identity).await?.row_state(&RowKey::from(&address)).row;
            assert_eq!(row.text("final_grade"), expected, "seed {seed}: every replica agrees");
        }
        assert_eq!(sides[1].last.or(sides[2].last).is_some(), !waiting(&server).await?.is_empty(), "seed {seed}");
        assert!(server::doctor::diagnose(&server, &|_, _| {}).await?.wrong.is_empty(), "seed {seed}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_county_had_decided_comes_back_to_a_server_that_was_set_back() -> Result<()> {
    let (folder, server) = county::with_branches(1).await?;
    import_as(&server, None, "g.xlsx", CASES[0].1).await?;
    let (url, identity) = (county::serve(&server).await?, township(&server));
    let (town, top) = (unit_of(&server, Actor::Township), server.county);
    let clerk = county::device(&server, folder.path(), &url, "clerk", town, &TOWNSHIP).await?;
    let chief = county::device(&server, folder.path(), &url, "chief", top, &TOWNSHIP).await?;
    for device in [&clerk, &chief] {
        device.exchange(clock::now_ms()).await?;
    }
    let data = folder.path().join("data");
    server.store.close().await;
    let kept = folder.path().join("kept");
    std::fs::create_dir_all(&kept)?;
    for file in ["taizhang.sqlite", "keys.json", DOCUMENT_KEYS] {
        std::fs::copy(data.join(file), kept.join(file))?;
    }

    let server = county::open(&data, None).await?;
    let url = county::serve(&server).await?;
    for device in [clerk, chief] {
        device.close().await;
    }
    let clerk = county::open_device(&server, folder.path(), &url, "clerk").await?;
    let chief = county::open_device(&server, folder.path(), &url, "chief").await?;
    let id = chief.rows(&identity, "grading").await?[0].id;
    chief.save(&identity, "grading", id, &[("final_grade", "backward".into())], 0).await?;
    chief.exchange(clock::now_ms()).await?;
    clerk.exchange(clock::now_ms()).await?;
    clerk.save(&identity, "grading", id, &[("final_grade", "advanced".into())], 0).await?;
    clerk.exchange(clock::now_ms()).await?;
    assert_eq!(projected(&server, "grading", "final_grade").await?, "backward");
    clerk.close().await;

    // A backup of before is put in its place; the clerk's device alone brings back what it holds, and something new.
    let server = county::open(&kept, None).await?;
    let url = county::serve(&server).await?;
    let clerk = county::open_device(&server, folder.path(), &url, "clerk").await?;
    clerk.save(&identity, "grading", id, &[("final_grade", "advanced".into())], 0).await?;
    for _ in 0..3 {
        clerk.exchange(clock::now_ms()).await?;
    }
    assert_eq!(projected(&server, "grading", "final_grade").await?, "backward", "the county's decision is here again");
    assert_eq!(waiting_cells(&server).await?, ["final_grade=advanced"]);
    let address = Address::new("grading", id, "final_grade");
    let by = document(&server, Book::Township).await?.provenance(&address).context("written")?;
    assert_eq!((by.who.as_str(), by.how), ("chief", Means::Keep));
    Ok(())
}
