//! Erasing a person's restricted data: nothing holds it any more, and nobody brings it back.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use importer::workbook::grid::Cell;
use serde_json::{Value, json};
use server::{
    Server,
    about::{self, Whom},
    auth::Role,
    bundle,
    erasure::{self, Extent},
    import::import_file,
    office,
    store::DeviceRecord,
};
use sync_protocol::{
    Book, DeviceId, Identity, UnitId,
    client::Trust,
    document::RowKey,
    repo::{RepoTurn, Turned},
};
use tempfile::TempDir;
use tests::{county, people, roster, sheet};

pub(super) const ID: &str = "340099198001010014";
pub(super) const OTHER: &str = "340099198102020013";

/// Whether a database file, or what is written ahead of it, says this somewhere: in plain, or compressed.
pub(super) fn says(database: &Path, text: &str) -> Result<bool> {
    let contains = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let mut ahead = database.as_os_str().to_owned();
    ahead.push("-wal");
    for file in [database.as_os_str(), &ahead] {
        let bytes = std::fs::read(file).unwrap_or_default();
        if contains(&bytes) {
            return Ok(true);
        }
        for at in (0..bytes.len().saturating_sub(4)).filter(|at| bytes[*at..].starts_with(&[0x28, 0xb5, 0x2f, 0xfd])) {
            let mut plain = Vec::new();
            // Whatever stands behind the frame ends the reading.
            let decoder = zstd::stream::read::Decoder::new(&bytes[at..])?.single_frame();
            drop(std::io::copy(&mut { decoder }, &mut plain));
            if contains(&plain) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// What a server says of a branch's restricted columns to whoever may read them.
pub(super) async fn all_restricted(server: &Server, unit: UnitId) -> Result<String> {
    let of = Identity { unit, book: Book::UnitRestricted, period: server.period() };
    let rows = server.store.projection(of.document(&server.tenant)).await?;
    let said = rows.into_iter().map(|row| row.cells + &row.conflicts.unwrap_or_default());
    Ok(said.collect::<Vec<_>>().concat())
}

fn members() -> Result<Vec<u8>> {
    let code = roster::branch_code(0);
    let header = "党组织编码|姓名|身份证号|出生日期|家庭住址|入党时间";
    let zhang = format!("{code}|张三|{ID}|1980-01-01|青石村7号|2001-05");
    let li = format!("{code}|李四|{OTHER}|1981-02-02|白水村9号|2001-06");
    sheet::workbook(&[("党员", &[header, &zhang, &li].join("\n"))])
}

/// A county whose first branch has both of them, and the file that they came from.
pub(super) async fn imported() -> Result<(TempDir, Server, PathBuf)> {
    let (folder, server) = county::with_branches(2).await?;
    let file = folder.path().join("members.xlsx");
    std::fs::write(&file, members()?)?;
    import_file(&server, &file, "县", &|_, _| {}).await?;
    Ok((folder, server, file))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_is_nowhere_and_nobody_brings_it_back() -> Result<()> {
    let (folder, server, file) = imported().await?;
    let database = folder.path().join("data/taizhang.sqlite");
    let url = county::serve(&server).await?;
    let unit = county::branch(&server, 0);
    // Two offices of the branch hold it; one is offline when it is erased, and has gone on writing.
    let books = [Book::Unit, Book::UnitRestricted];
    let here = county::device(&server, folder.path(), &url, "here", unit, &books).await?;
    let away = county::device(&server, folder.path(), &url, "away", unit, &books).await?;
    let open = Identity { unit, book: Book::Unit, period: server.period() };
    let restricted = open.in_book(Book::UnitRestricted);
    here.exchange(0).await?;
    away.exchange(0).await?;
    let rows = away.rows(&open, "members").await?;
    let row = |name: &str| rows.iter().find(|row| row.text("name") == name).map(|row| row.id).context("imported");
    let (zhang, li) = (row("张三")?, row("李四")?);
    here.save(&open, "members", zhang, &[("address", "搬到红旗路".into())], 0).await?;
    here.exchange(0).await?;
    away.save(&open, "members", zhang, &[("address", "离线改的住址".into())], 0).await?;
    away.save(&open, "members", li, &[("address", "李四的新住址".into())], 0).await?;
    assert!(says(&database, "张三")?, "the test finds what is there");
    for text in [ID, "青石村7号", "搬到红旗路"] {
        assert!(all_restricted(&server, unit).await?.contains(text) || text == "青石村7号", "it is kept: {text}");
        assert!(!says(&database, text)?, "nothing restricted is in the file in clear: {text}");
    }

    let head =
        people::add(&server, "head", Role::TownshipOfficer, server.county, true, "correct horse battery").await?;
    let client = Trust::new(None)?.client()?;
    let cookie = people::cookie(&server, &head).await?;
    let list = client.get(format!("{url}/api/erasures?unit={unit}&name=张")).header("cookie", &cookie);
    let list: Value = list.send().await?.json().await?;
    assert_eq!(list[0]["name"], "张三");
    assert_eq!(list[0]["columns"], json!(["现居住地", "公民身份号码"]), "which columns, not what stands there: {list}");
    let wanted = json!({ "unit": unit.to_string(), "ledger": "members", "row": list[0]["row"], "reason": "保存期满" });
    let erase = || client.post(format!("{url}/api/erasures")).header("cookie", &cookie).json(&wanted).send();
    let erased = erase().await?;
    assert_eq!(erased.status(), 200);
    let erased: Value = erased.json().await?;
    assert_eq!(erased["documents"][0]["book"], "unit-restricted");
    assert_eq!(erased["devices"], json!(["away", "here"]));
    assert_eq!(erase().await?.status(), 404, "there is nothing left to erase");

    for text in [ID, "青石村7号", "搬到红旗路"] {
        assert!(!says(&database, text)?, "{text} is still in the server's file");
    }
    assert!(all_restricted(&server, unit).await?.contains(OTHER), "nobody else lost anything");
    let log = server.store.people().audit(0, 100).await?;
    let events: Vec<_> = log.iter().map(|line| line.entry.event.as_str()).filter(|e| e.starts_with("eras")).collect();
    assert_eq!(events, ["erasure-ordered", "erased", "erasure-ordered"]);
    assert!(log.iter().all(|line| !line.entry.detail.contains("红旗路") && !line.entry.detail.contains(ID)));

    // Everybody follows, and what was unsent arrives but for the record that is gone.
    for device in [&away, &here, &away] {
        device.exchange(0).await?;
        assert_eq!((device.unsent().await?, device.refused().await?.len()), (0, 0));
    }
    here.exchange(0).await?;
    for (name, device) in [("here", here), ("away", away)] {
        let document = device.document(&restricted).await?;
        assert!(!document.mentions(&RowKey { ledger: "members".into(), row: zhang }));
        assert!(device.conflicts().await?.is_empty());
        let known = device.rows(&restricted, "members").await?;
        let li = known.iter().find(|row| row.id == li).context("the other")?;
        assert_eq!((li.text("address"), li.text("id_card")), ("李四的新住址", OTHER));
        device.close().await;
        for text in [ID, "青石村7号", "搬到红旗路", "离线改的住址"] {
            assert!(!says(&folder.path().join(format!("{name}.sqlite")), text)?, "{text} is still on {name}");
        }
    }
    assert!(!says(&database, "离线改的住址")? && all_restricted(&server, unit).await?.contains("李四的新住址"));
    assert!(server::doctor::diagnose(&server, &|_, _| {}).await?.wrong.is_empty());
    // The same ledger imported again is a new act of somebody: it says what it says.
    assert!(import_file(&server, &file, "县", &|_, _| {}).await?.already_imported);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_record_goes_with_its_open_columns() -> Result<()> {
    let (folder, server, _) = imported().await?;
    let database = folder.path().join("data/taizhang.sqlite");
    let url = county::serve(&server).await?;
    let unit = county::branch(&server, 0);
    // A phone that holds no restricted book has written to the record, and to another, without a network.
    let open = Identity { unit, book: Book::Unit, period: server.period() };
    let phone = county::device(&server, folder.path(), &url, "phone", unit, &[Book::Unit]).await?;
    phone.exchange(0).await?;
    let rows = phone.rows(&open, "members").await?;
    let row = |name: &str| rows.iter().find(|row| row.text("name") == name).map(|row| row.id).context("imported");
    let (zhang, li) = (row("张三")?, row("李四")?);
    for (record, post) in [(zhang, "会计"), (li, "文书")] {
        let cell = [("work_post", sync_protocol::Value::from(post))];
        phone.save(&open, "members", record, &cell, 0).await?;
    }
    let key = RowKey { ledger: "members".into(), row: zhang };
    let listed = erasure::records(&server, unit, "张三", Extent::Whole).await?;
    assert_eq!(listed.len(), 2, "the open book and its twin: {listed:?}");
    let order = || erasure::Order { by: "县".into(), reason: "本人要求", extent: Extent::Whole };
    let erased = erasure::erase(&server, unit, &key, order()).await?;
    assert_eq!((erased.documents.len(), erased.devices.as_slice()), (2, ["phone".to_owned()].as_slice()));
    assert!(matches!(erasure::erase(&server, unit, &key, order()).await, Err(erasure::ErasureError::Before)));

    for text in ["张三", ID, "青石村7号", "1980-01-01"] {
        assert!(!says(&database, text)?, "{text} is still in the server's file");
    }
    let others = all_restricted(&server, unit).await?;
    assert!(says(&database, "李四")? && others.contains(OTHER), "nobody else lost anything");
    let whom = |name: &str| Whom { name: name.into(), id_card: None };
    assert!(about::records(&server, server.county, &whom("张三")).await?.is_empty());
    for _ in 0..2 {
        phone.exchange(0).await?;
        assert_eq!((phone.unsent().await?, phone.refused().await?.len()), (0, 0));
    }
    let left = phone.rows(&open, "members").await?;
    assert_eq!(left.iter().map(|row| (row.id, row.text("work_post"))).collect::<Vec<_>>(), [(li, "文书")]);
    let device = server.store.devices().await?.pop().context("a device")?.device;
    phone.close().await;
    assert!(!says(&folder.path().join("phone.sqlite"), "张三")?, "it is still on the phone");
    // What merges and never forgets is not told of it any more.
    let turn = RepoTurn { document: open.document(&server.tenant), state: None, message: None };
    assert!(matches!(server.sync.turn_of(&device, turn, 0).await?, Turned::Unavailable));
    assert!(server::doctor::diagnose(&server, &|_, _| {}).await?.wrong.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_everything_that_is_kept_about_them_and_nothing_of_others() -> Result<()> {
    let (folder, server) = county::with_branches(2).await?;
    let unit = county::branch(&server, 0);
    let (code, other) = (roster::branch_code(0), roster::branch_code(1));
    let header = "党组织编码|姓名|身份证号|出生日期|家庭住址|入党时间";
    let zhang = format!("{code}|张三|{ID}|1980-01-01|青石村7号|2001-05");
    let of_that_name = format!("{other}|张三|{OTHER}|1981-02-02|白水村9号|2001-06");
    let file = folder.path().join("members.xlsx");
    std::fs::write(&file, sheet::workbook(&[("党员", &[header, &zhang, &of_that_name].join("\n"))])?)?;
    import_file(&server, &file, "县", &|_, _| {}).await?;
    let url = county::serve(&server).await?;
    let books = [Book::Unit, Book::UnitRestricted];
    let device = county::device(&server, folder.path(), &url, "office", unit, &books).await?;
    device.exchange(0).await?;
    let open = Identity { unit, book: Book::Unit, period: server.period() };
    let row = device.rows(&open, "members").await?.pop().context("a record")?.id;
    device.save(&open, "members", row, &[("address", "搬到红旗路".into())], 0).await?;
    device.exchange(0).await?;

    let whom = |id: Option<&str>| Whom { name: "张三".into(), id_card: id.map(ToOwned::to_owned) };
    let by_name = about::records(&server, server.county, &whom(None)).await?;
    assert_eq!((by_name.len(), by_name.iter().filter(|record| record.is_certain).count()), (2, 0));
    let own = about::records(&server, server.county, &whom(Some(ID))).await?;
    assert_eq!(own.iter().map(|record| (record.row.id, record.is_certain)).collect::<Vec<_>>(), [(row, true)]);
    let (bytes, values) = about::workbook(&server, &whom(Some(ID)), &own).await?;
    assert!(values >= 5, "{values}");
    let book = importer::read(&bytes, &importer::ReadLimits::default())?;
    let texts: Vec<&str> = book.texts.iter().collect();
    for text in ["张三", ID, "搬到红旗路", "青石村7号", "members.xlsx", "office"] {
        assert!(texts.contains(&text), "{text}: {texts:?}");
    }
    for text in [OTHER, "白水村9号"] {
        assert!(!texts.contains(&text), "{text} is somebody else's");
    }

    // Of a set each member has its history.
    let hardship =
        format!("党组织编码|姓名|认定年度|主要困难原因|困难原因|组织认定\n{code}|张三|2012|因病|因病、因灾|已认定");
    let file = folder.path().join("hardship.xlsx");
    std::fs::write(&file, sheet::workbook(&[("困难", &hardship)])?)?;
    import_file(&server, &file, "县", &|_, _| {}).await?;
    let mut records = about::records(&server, server.county, &whom(None)).await?;
    records.retain(|record| record.ledger == "hardship-members");
    assert_eq!(records.len(), 1);
    let (bytes, _) = about::workbook(&server, &whom(None), &records).await?;
    let book = importer::read(&bytes, &importer::ReadLimits::default())?;
    let written = book.sheets.iter().find(|sheet| sheet.name == "填写经过").context("a sheet")?;
    let is_cause = |cell: &Cell| matches!(cell, Cell::Text(id) if book.texts.get(*id) == "困难原因");
    assert!((0..written.row_count()).any(|row| written.row(row).iter().any(|(_, cell)| is_cause(cell))));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_without_a_network_follows_with_its_next_bundle() -> Result<()> {
    let (folder, county) = county::with_branches(2).await?;
    let unit = county::branch(&county, 0);
    let town = UnitId::derive(&county.tenant, None, "340099100");
    let books = [Book::Unit, Book::UnitRestricted];
    let record = DeviceRecord::new(DeviceId::from_bytes([5; 16]), ("办公室", "李干事"), "office", town, &books);
    county.store.put_device(&record, 0).await?;
    let data = folder.path().join("office");
    let office = county::open(&data, None).await?;
    office::join(&office, "office", &county.keys.public()).await?;
    let exchange = async || {
        let answer = bundle::answer(&county, &office::write(&office).await?.0).await?;
        anyhow::Ok(office::take(&office, &answer.bytes).await?)
    };
    exchange().await?;
    let file = folder.path().join("members.xlsx");
    std::fs::write(&file, members()?)?;
    import_file(&office, &file, "镇", &|_, _| {}).await?;
    exchange().await?;
    let zhang = erasure::records(&county, unit, "张三", Extent::Restricted).await?.pop().context("it is there")?;
    let key = RowKey { ledger: zhang.ledger, row: zhang.row };
    let order = erasure::Order { by: "县".into(), reason: "保存期满", extent: Extent::Restricted };
    erasure::erase(&county, unit, &key, order).await?;
    // Written meanwhile in the office: another record, after the bundle that the county has answered.
    let code = roster::branch_code(0);
    let text = format!(
        "党组织编码|姓名|身份证号|出生日期|家庭住址|入党时间\n{code}|王五|340099198203030012|1982-03-03|黑山村3号|2003-05"
    );
    let more = folder.path().join("more.xlsx");
    let answer = bundle::answer(&county, &office::write(&office).await?.0).await?;
    std::fs::write(&more, sheet::workbook(&[("党员", &text)])?)?;
    import_file(&office, &more, "镇", &|_, _| {}).await?;
    office::take(&office, &answer.bytes).await?;
    let database = data.join("taizhang.sqlite");
    assert!(!says(&database, ID)? && !says(&database, "青石村7号")?, "it is still in the office's file");
    let kept = all_restricted(&office, unit).await?;
    assert!(kept.contains(OTHER) && kept.contains("黑山村3号"), "what it wrote itself is kept");
    let taken = exchange().await?;
    assert!(taken.refusals.is_empty(), "{:?}", taken.refusals);
    for server in [&county, &office] {
        let names = erasure::records(server, unit, "", Extent::Restricted).await?.into_iter().map(|record| record.name);
        assert_eq!(names.collect::<std::collections::BTreeSet<_>>(), ["李四".to_owned(), "王五".to_owned()].into());
        assert!(server::doctor::diagnose(server, &|_, _| {}).await?.wrong.is_empty());
    }
    Ok(())
}
