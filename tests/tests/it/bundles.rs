//! No network at all: everything travels in files.

use anyhow::{Context, Result};
use server::{
    Server,
    bundle::{self, AnswerError},
    clock,
    import::import_file,
    office,
    store::DeviceRecord,
};
use sync_protocol::{
    Book, DeviceId, Identity, RowId, UnitId,
    bundle::{Keys, PublicKeys},
    client::{Device, DeviceError},
};
use tests::{county, roster, sheet};

const NOBODY: &str = "http://127.0.0.1:9";

async fn county_server(folder: &std::path::Path) -> Result<(Server, PublicKeys)> {
    let server = county::open(&folder.join("county"), None).await?;
    server.store.put_units(&roster::units(&server.tenant, server.county, 2)).await?;
    let keys = server.keys.public();
    Ok((server, keys))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_without_a_network_hands_over_a_file_and_takes_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, keys) = county_server(folder.path()).await?;
    let unit = county::branch(&server, 0);
    let books = [Book::Unit, Book::UnitRestricted];
    let first = county::device(&server, folder.path(), NOBODY, "first", unit, &books).await?;
    let second = county::device(&server, folder.path(), NOBODY, "second", unit, &books).await?;
    let identity = Identity { unit, book: Book::Unit, period: server.period() };
    let row = RowId::random([1; 10]);
    let address = [("name", "张三".into()), ("address", "青石村".into())];
    first.save(&identity, "members", row, &address, 0).await?;
    let outgoing = first.write_bundle(&keys, None, clock::now_ms()).await?;
    let plain = outgoing.windows(6).any(|bytes| bytes == "张三".as_bytes());
    assert!(!plain, "a lost stick tells nobody anything");
    let answer = bundle::answer(&server, &outgoing).await?;
    assert_eq!((answer.taken, answer.refused, answer.device.name.as_str()), (2, 0, "first"));
    // The same file twice is the same as once.
    let again = bundle::answer(&server, &outgoing).await?;
    assert_eq!((again.taken, server.store.totals().await?.changes), (2, 2));

    let other = second.write_bundle(&keys, None, 0).await?;
    let for_second = bundle::answer(&server, &other).await?.bytes;
    assert!(matches!(first.read_bundle(&for_second, &keys).await, Err(DeviceError::Bundle(_))), "it is not for it");
    let stranger = Keys::of(b"stranger").public();
    assert!(matches!(second.read_bundle(&for_second, &stranger).await, Err(DeviceError::Bundle(_))));
    for _ in 0..2 {
        second.read_bundle(&for_second, &keys).await?;
        first.read_bundle(&answer.bytes, &keys).await?;
    }
    assert_eq!(first.unsent().await?, 0, "the receipts have come");
    let rows = second.rows(&identity, "members").await?;
    assert_eq!(rows.iter().map(|row| row.text("name")).collect::<Vec<_>>(), ["张三"]);

    let unknown = county::open_device(&server, folder.path(), NOBODY, "unknown").await?;
    let refused = bundle::answer(&server, &unknown.write_bundle(&keys, None, 0).await?).await;
    assert!(matches!(refused, Err(AnswerError::Stranger)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_must_be_short_brings_receipts_and_the_news_come_another_way() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, keys) = county_server(folder.path()).await?;
    let unit = county::branch(&server, 0);
    let first = county::device(&server, folder.path(), NOBODY, "first", unit, &[Book::Unit]).await?;
    let second = county::device(&server, folder.path(), NOBODY, "second", unit, &[Book::Unit]).await?;
    let identity = Identity { unit, book: Book::Unit, period: server.period() };
    let hand_over = async |device: &Device, answer_bytes_max| {
        let answer = bundle::answer(&server, &device.write_bundle(&keys, answer_bytes_max, 0).await?).await?;
        device.read_bundle(&answer.bytes, &keys).await?;
        anyhow::Ok(answer.bytes.len())
    };
    for device in [&first, &second] {
        hand_over(device, None).await?;
    }
    // More than goes through a few codes: letters that do not pack.
    let words = (0..400_u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect::<Vec<_>>().concat();
    second.save(&identity, "members", RowId::random([2; 10]), &[("remark", words.as_str().into())], 0).await?;
    hand_over(&second, None).await?;
    first.save(&identity, "members", RowId::random([1; 10]), &[("name", "张三".into())], 0).await?;
    let short = hand_over(&first, Some(1500)).await?;
    assert!(short <= 1500, "{short}");
    assert_eq!(
        (first.unsent().await?, first.rows(&identity, "members").await?.len()),
        (0, 1),
        "a receipt, and no news"
    );
    let whole = hand_over(&first, Some(100_000)).await?;
    assert_eq!((whole > 1500, first.rows(&identity, "members").await?.len()), (true, 2), "{whole}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_without_a_network_imports_and_hands_over_a_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (county, keys) = county_server(folder.path()).await?;
    let town = UnitId::derive(&county.tenant, None, "340099100");
    let record = DeviceRecord::new(
        DeviceId::from_bytes([5; 16]),
        ("青山镇办公室", "李干事"),
        "office",
        town,
        &[Book::Unit, Book::UnitRestricted, Book::Township, Book::TownshipRestricted],
    );
    county.store.put_device(&record, 0).await?;

    let data = folder.path().join("office");
    let server = county::open(&data, None).await?;
    assert!(matches!(office::write(&server).await, Err(office::OfficeError::NotJoined)));
    office::join(&server, "office", &keys).await?;
    let answer = bundle::answer(&county, &office::write(&server).await?.0).await?;
    let taken = office::take(&server, &answer.bytes).await?;
    assert_eq!((taken.documents, taken.units), (0, 4), "the county, the town and its two branches");
    server.store.close().await;

    // With the county's units and key it imports as the county would: a member, and a branch that is new.
    let server = county::open(&data, None).await?;
    assert_eq!(server.keyring.county(), county.keyring.county());
    let code = roster::branch_code(0);
    let members = format!(
        "党组织编码|姓名|身份证号|出生日期|党员类别|入党时间\n{code}|张三|340099198001010014|1980-01-01|正式|2001-05"
    );
    let file = folder.path().join("members.xlsx");
    std::fs::write(&file, sheet::workbook(&[("党员", &members)])?)?;
    assert_eq!(import_file(&server, &file, "镇", &|_, _| {}).await?.counts.added, 1);
    let branches = "党组织台账\n填报单位|党组织编码|党组织名称|组织类别\n青山镇|0001-009|新村党支部|党支部";
    let other = folder.path().join("branches.xlsx");
    std::fs::write(&other, sheet::workbook(&[("党组织", branches)])?)?;
    assert_eq!(import_file(&server, &other, "镇", &|_, _| {}).await?.counts.added, 1);
    let (bytes, changes) = office::write(&server).await?;
    for _ in 0..2 {
        let answer = bundle::answer(&county, &bytes).await?;
        assert_eq!((answer.taken, answer.refused), (changes, 0));
        assert_eq!(office::take(&server, &answer.bytes).await?.receipts, changes);
    }
    let totals = county.store.totals().await?;
    assert_eq!((totals.units, totals.rows), (5, 2));
    // The same record by construction: the county's own import of the same file finds it.
    let own = import_file(&county, &file, "县", &|_, _| {}).await?;
    assert_eq!((own.counts.added, own.counts.unchanged), (0, 1), "{own:?}");

    // What the county knows beside that comes with the next answer.
    let more = members.replace("张三", "李四").replace("340099198001010014", "340099198102020013");
    let third = folder.path().join("more.xlsx");
    std::fs::write(&third, sheet::workbook(&[("党员", &more)])?)?;
    import_file(&county, &third, "县", &|_, _| {}).await?;
    let answer = bundle::answer(&county, &office::write(&server).await?.0).await?;
    assert!(office::take(&server, &answer.bytes).await?.documents > 0);
    let unit = UnitId::derive(&server.tenant, None, &code);
    let rows = server.store.rows("members", &server.period(), &[unit]).await?;
    assert_eq!(rows.iter().filter(|row| row.book == Book::Unit).count(), 2);
    server::doctor::diagnose(&server, &|_, _| {})
        .await?
        .wrong
        .is_empty()
        .then_some(())
        .context("the office is sound")?;
    Ok(())
}
