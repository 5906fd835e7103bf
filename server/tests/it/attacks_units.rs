//! What somebody can do to the register of units who has the keys of one device, or a file: each of it is built here, and refused.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use serde_json::Value;
use server::{
    Server, bundle as bundles, clock, doctor,
    import::{Source, import, import_file},
    quality,
    store::{Act, Deed, DeviceRecord, Performed, StoreError, UnitChange, UnitFault},
    submissions::{self, Wanted},
};
use sync_protocol::{
    Book, DeviceId, Identity, RowId, UnitId,
    client::Trust,
    message::ExchangeRequest,
    session::Scope,
    unit::{Unit, UnitLevel},
};
use tests::{county, sheet, worked::synthetic};

use crate::{
    attacks_bundles::{OFFICE, county_of_towns, enrol, id, refused, request, stored, unit, with_units},
    deeds::hand::Hand,
};

const ORGANISATIONS: &str = "党组织台账\n填报单位|党组织编码|党组织名称|组织类别";

/// What the audit log says of changes of the register.
async fn audited(server: &Server) -> Result<Vec<(String, Value)>> {
    let lines = server.store.people().audit(0, 10_000).await?;
    let of_units = lines.into_iter().filter(|line| line.entry.event == "units-changed");
    of_units.map(|line| Ok((line.entry.who, serde_json::from_str(&line.entry.detail)?))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_changes_no_unit() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = county_of_towns(folder.path()).await?;
    enrol(&server, "phone", "T1", &[Book::Unit]).await?;
    let url = county::serve(&server).await?;
    let before = server.store.units().await?;
    let branch = stored(&server, "T1-1").await?;
    let attacks = [
        // Invented, as a county below a town.
        Unit { level: UnitLevel::County, ..unit(&server, "X", UnitLevel::County, id(&server, "T1")) },
        unit(&server, "Y", UnitLevel::Organisation, id(&server, "T1")),
        // Renamed, and two under one another.
        Unit { name: "某某支部".into(), parent: Some(id(&server, "T1-2")), ..branch.clone() },
        Unit { parent: Some(branch.id), ..stored(&server, "T1-2").await? },
    ];
    let (file, digest) = with_units(&server, "phone", &attacks)?;
    let client = Trust::new(None)?.client()?;
    let post = client.post(format!("{url}/api/bundles")).bearer_auth("phone").body(file);
    let answer = post.header("content-type", "application/octet-stream").send().await?;
    assert_eq!(answer.status(), 200);
    let said = refused(&server, "phone", &answer.bytes().await?, digest)?;
    assert_eq!(said.len(), attacks.len(), "each is named: {said:?}");
    assert!(said.iter().all(|unit| unit.sentence.contains("不是办公室")), "{said:?}");
    assert_eq!(server.store.units().await?, before);
    assert_eq!(audited(&server).await?, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_registers_branches_of_its_own_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = county_of_towns(folder.path()).await?;
    let town = id(&server, "T1");
    enrol(&server, "office", "T1", &OFFICE).await?;
    let new = unit(&server, "T1-3", UnitLevel::Organisation, town);
    let renamed = Unit { name: "青石村党支部".into(), ..stored(&server, "T1-1").await? };
    let under = |unit: Unit, parent: &str| Unit { parent: Some(id(&server, parent)), ..unit };
    let attacks = [
        (unit(&server, "X", UnitLevel::County, town), "这一级"),
        (unit(&server, "X", UnitLevel::ReportingUnit, town), "这一级"),
        (unit(&server, "X", UnitLevel::Organisation, id(&server, "T2")), "不在本单位之内"),
        (unit(&server, "X", UnitLevel::Organisation, id(&server, "nowhere")), "不在本单位之内"),
        (Unit { parent: None, ..unit(&server, "X", UnitLevel::Organisation, town) }, "不在本单位之内"),
        (unit(&server, "X", UnitLevel::Organisation, id(&server, "T1-2")), "级别不低于"),
        (Unit { id: UnitId::from_bytes([7; 16]), ..unit(&server, "X", UnitLevel::Organisation, town) }, "编号"),
        (Unit { name: " ".into(), ..unit(&server, "X", UnitLevel::Organisation, town) }, "字符"),
        (Unit { name: "长".repeat(201), ..unit(&server, "X", UnitLevel::Organisation, town) }, "字符"),
        // Its own unit, the county, and another's branch, which it would take for itself or rename.
        (Unit { name: "另名".into(), ..stored(&server, "T1").await? }, "本单位及上级"),
        (Unit { name: "另名".into(), ..server.store.unit(server.county).await?.context("it")? }, "本单位及上级"),
        (under(stored(&server, "T2-1").await?, "T1"), "不在本单位之内"),
        (Unit { name: "另名".into(), ..stored(&server, "T2-1").await? }, "不在本单位之内"),
        (under(stored(&server, "T1-2").await?, "T2"), "不在本单位之内"),
        // A circle, a code that another has, another level.
        (under(stored(&server, "T1-2").await?, "T1-2"), "级别不低于"),
        (Unit { code: Some("T2-1".into()), ..stored(&server, "T1-2").await? }, "已是"),
        (Unit { level: UnitLevel::ReportingUnit, ..stored(&server, "T1-2").await? }, "这一级"),
    ];
    for (attack, why) in attacks {
        let before = server.store.units().await?;
        let (file, digest) = with_units(&server, "office", std::slice::from_ref(&attack))?;
        let answer = bundles::answer(&server, &file).await?;
        let said = refused(&server, "office", &answer.bytes, digest)?;
        assert_eq!((answer.units.changed, said.len()), (0, 1), "{attack:?}");
        assert!(said[0].unit == attack.id && said[0].sentence.contains(why), "{attack:?}: {said:?}");
        assert_eq!(server.store.units().await?, before, "{attack:?}");
    }
    assert_eq!(audited(&server).await?, []);

    // What is refused does not keep the rest out, and what is taken is noted: who, whence, what.
    let circle = [under(stored(&server, "T1-2").await?, "T1-1"), under(renamed.clone(), "T1-2")];
    let by_name = "河口村党支部";
    let named = Unit {
        id: UnitId::derive(&server.tenant, Some(town), by_name),
        code: None,
        name: by_name.into(),
        ..new.clone()
    };
    let sent = [vec![new.clone(), renamed.clone(), named.clone()], circle[..1].to_vec()].concat();
    let (file, _) = with_units(&server, "office", &sent)?;
    let answer = bundles::answer(&server, &file).await?;
    assert_eq!((answer.units.changed, answer.units.refused.len()), (3, 1), "{:?}", answer.units);
    for unit in [&new, &renamed, &named] {
        assert_eq!(server.store.unit(unit.id).await?.as_ref(), Some(unit));
    }
    let (file, _) = with_units(&server, "office", &circle)?;
    assert_eq!(bundles::answer(&server, &file).await?.units.changed, 0, "nor both of a circle at once");
    let lines = audited(&server).await?;
    let [(who, detail)] = lines.as_slice() else { anyhow::bail!("{lines:?}") };
    assert_eq!((who.as_str(), detail["bundle_of"].as_str()), ("office", Some("office")));
    assert_eq!(detail["added"].as_array().map(Vec::len), Some(2), "{detail}");
    assert_eq!((&detail["renamed"][0]["from"], &detail["renamed"][0]["to"]), (&"单位T1-1".into(), &by(&renamed)));
    // One that may only read writes no unit either.
    let reader = DeviceRecord { writes: Vec::new(), ..enrol(&server, "reader", "T1", &OFFICE).await? };
    server.store.put_device(&reader, 0).await?;
    let (file, _) = with_units(&server, "reader", &[unit(&server, "T1-4", UnitLevel::Organisation, town)])?;
    assert_eq!(bundles::answer(&server, &file).await?.units.changed, 0);
    Ok(())
}

fn by(unit: &Unit) -> Value {
    unit.name.clone().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_register_is_checked_and_noted_as_well() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = county_of_towns(folder.path()).await?;
    let file = |name: &str, lines: &str| -> Result<std::path::PathBuf> {
        let path = folder.path().join(name);
        let lines = lines.replace(' ', "|");
        std::fs::write(&path, sheet::workbook(&[("党组织", &format!("{ORGANISATIONS}\n{lines}"))])?)?;
        Ok(path)
    };
    // An office takes a branch of another town for its own, and gives its own town another name: neither the register nor
    // anything of the other town's is written.
    let scope = Scope { unit: id(&server, "T1"), books: OFFICE.to_vec(), version: 0 };
    let sent = file("office.xlsx", "单位T1 T2-1 抢来的党支部 党支部\n单位T1 T1-3 新村党支部 党支部")?;
    let source = Source { scope: Some(scope), ..Source::open(&sent).await? };
    let report = import(&server, source, "镇", &|_, _| {}).await?;
    assert_eq!((report.units, report.counts.added, report.counts.refused), (1, 1, 1), "{:?}", report.findings);
    assert_eq!(stored(&server, "T2-1").await?, unit(&server, "T2-1", UnitLevel::Organisation, id(&server, "T2")));
    let rows = server.store.rows("organisations", &server.period(), &[id(&server, "T2-1")]).await?;
    assert!(rows.is_empty(), "nothing is written to another's branch: {rows:?}");

    // A committee's own row among its branches makes no branch of a town.
    let own = file("own.xlsx", "单位T1 T1 单位T1 党委\n单位T2 T2-1 单位T2-1 党支部")?;
    import_file(&server, &own, "县", &|_, _| {}).await?;
    assert_eq!(stored(&server, "T1").await?.level, UnitLevel::ReportingUnit);
    // The county moves a branch, and that is noted.
    let moved = file("moved.xlsx", "单位T3 T2-1 单位T2-1 党支部")?;
    import_file(&server, &moved, "县", &|_, _| {}).await?;
    assert_eq!(stored(&server, "T2-1").await?.parent, Some(id(&server, "T3")));
    let lines = audited(&server).await?;
    let of = |name: &str| lines.iter().find(|(_, detail)| detail["file"] == name).context(name.to_owned());
    let added = &of("office.xlsx")?.1["added"];
    assert_eq!((&added[0]["code"], &added[0]["under"]), (&"T1-3".into(), &"单位T1".into()), "{added}");
    let (who, detail) = of("moved.xlsx")?;
    assert!(who.starts_with('县'), "{who}");
    let moved = &detail["moved"][0];
    assert_eq!((&moved["from"], &moved["to"]), (&"单位T2".into(), &"单位T3".into()), "{detail}");
    assert!(doctor::diagnose(&server, &|_, _| {}).await?.wrong.iter().all(|wrong| !wrong.contains("级别")));
    Ok(())
}

/// What a device is told, page by page, from where it was; and whether it begins anew.
async fn asks(
    server: &Server,
    device: &DeviceRecord,
    cursors: &mut BTreeMap<DeviceId, Vec<u8>>,
) -> Result<(bool, usize)> {
    let (mut is_anew, mut documents) = (false, 0);
    loop {
        let cursor = cursors.get(&device.id).cloned().map(Into::into);
        let reply = server.sync.exchange(device, ExchangeRequest { cursor, ..request() }, clock::now_ms()).await?;
        is_anew |= reply.restart;
        documents += reply.documents.len();
        cursors.insert(device.id, reply.cursor.to_vec());
        if !reply.more {
            return Ok((is_anew, documents));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_makes_only_those_begin_anew_whose_units_it_changes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = county_of_towns(folder.path()).await?;
    let url = county::serve(&server).await?;
    for code in ["T1-1", "T1-2", "T2-1", "T2-2", "T3-1", "T3-2"] {
        let of = Identity { unit: id(&server, code), book: Book::Unit, period: server.period() };
        let phone = county::device(&server, folder.path(), &url, code, of.unit, &[Book::Unit]).await?;
        phone.save(&of, "members", RowId::random([1; 10]), &[("name", "张三".into())], 0).await?;
        phone.exchange(0).await?;
    }
    let mut devices = vec![enrol(&server, "county", "340099", &[Book::Unit]).await?];
    for code in ["T1", "T2", "T3"] {
        devices.push(enrol(&server, code, code, &[Book::Unit]).await?);
    }
    for code in ["T1-1", "T1-2", "T2-1"] {
        devices.push(enrol(&server, &format!("of {code}"), code, &[Book::Unit]).await?);
    }
    let third = county::device(&server, folder.path(), &url, "third", id(&server, "T3"), &[Book::Unit]).await?;
    third.exchange(0).await?;
    let idle = third.exchange(0).await?.bytes_received;
    let mut cursors = BTreeMap::new();
    for device in &devices {
        asks(&server, device, &mut cursors).await?;
        assert_eq!(asks(&server, device, &mut cursors).await?, (false, 0), "{}", device.name);
    }
    server.store.put_units(&[Unit { parent: Some(id(&server, "T2")), ..stored(&server, "T1-1").await? }]).await?;
    let mut anew = Vec::new();
    for device in &devices {
        match asks(&server, device, &mut cursors).await? {
            (true, documents) => anew.push((device.name.as_str(), documents)),
            (false, documents) => assert_eq!(documents, 0, "{}", device.name),
        }
    }
    assert_eq!(anew, [("T1", 1), ("T2", 3)], "the old place and the new one");
    let after = third.exchange(0).await?;
    assert_eq!((after.bytes_received, after.documents), (idle, 0), "an idle exchange stays one");
    assert!(idle < 200, "{idle}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_that_is_there_ends_with_a_message_and_can_be_mended() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = synthetic(folder.path(), None).await?;
    let town = server.store.unit(id(&server, "T1")).await?.context("a town")?;
    let wanted = Wanted {
        unit: town.clone(),
        return_no: "R03".into(),
        period: Some("2012-11".into()),
        choices: vec![("round".into(), "final".into())],
        date: jiff::civil::date(2012, 11, 10),
        due_on: None,
        explanation: Some("正在补填".into()),
    };
    let hand = Hand::on(&folder.path().join("data/taizhang.sqlite")).await?;
    hand.circle("A1", "A2").await?;
    let soon = Duration::from_mins(1);
    let submitted = tokio::time::timeout(soon, submissions::submit(&server, &wanted, "test")).await;
    let said = submitted.context("it ends")?.expect_err("a circle").to_string();
    assert!(said.contains("成环") && said.contains("taizhang doctor"), "{said}");
    let units = server.store.units().await?;
    let checked =
        tokio::time::timeout(soon, quality::quality(&server, &units, wanted.date)).await.context("it ends")?;
    assert!(checked.is_err());
    let found = tokio::time::timeout(soon, doctor::diagnose(&server, &|_, _| {})).await.context("it ends")??;
    assert_eq!(found.wrong.iter().filter(|wrong| wrong.contains("成环")).count(), 2, "{:?}", found.wrong);
    // Nothing more is put under it, and what does not concern it goes on.
    let unit = unit(&server, "A9", UnitLevel::Organisation, id(&server, "A1"));
    assert!(server.store.put_units(&[unit]).await.is_err());
    // The register, imported again, says where they belong.
    let lines = ["青山镇|A1|A1党组织|党支部", "青山镇|A2|A2党组织|党支部"].join("\n");
    let path = folder.path().join("again.xlsx");
    std::fs::write(&path, sheet::workbook(&[("党组织", &format!("{ORGANISATIONS}\n{lines}"))])?)?;
    import_file(&server, &path, "县", &|_, _| {}).await?;
    submissions::submit(&server, &wanted, "test").await?;
    let found = doctor::diagnose(&server, &|_, _| {}).await?;
    assert!(found.wrong.iter().all(|wrong| !wrong.contains("路径") && !wrong.contains("成环")), "{:?}", found.wrong);
    let under_itself = UnitFault::Circle("x".into()).to_string();
    assert!(under_itself.contains(" | "), "both languages");
    Ok(())
}

/// Whether a fault is the one that is expected.
type Is = fn(&UnitFault) -> bool;

#[tokio::test]
async fn what_would_be_no_tree_is_not_written() {
    let folder = tempfile::tempdir().expect("folder");
    let server = county_of_towns(folder.path()).await.expect("a county");
    let store = server.store.clone();
    let before = store.units().await.expect("units");
    let known = |code: &str| before.iter().find(|unit| unit.id == id(&server, code)).expect("a unit").clone();
    let new = |code: &str, parent: &str, level| Unit {
        id: id(&server, code),
        parent: Some(id(&server, parent)),
        level,
        code: Some(code.into()),
        name: code.into(),
        ..known("T1-1")
    };
    let under = |code: &str, parent: &str| Unit { parent: Some(id(&server, parent)), ..known(code) };
    let good = new("T1-3", "T1", UnitLevel::Organisation);
    let organisation = UnitLevel::Organisation;
    let cases: [(Unit, Is); 11] = [
        (Unit { name: " ".into(), ..good.clone() }, |fault| matches!(fault, UnitFault::Name(_))),
        (new("T1-4", "nowhere", organisation), |fault| matches!(fault, UnitFault::NoParent(_))),
        (new("T1-4", "T1-1", organisation), |fault| matches!(fault, UnitFault::Level { .. })),
        (new("T1-4", "T1", UnitLevel::ReportingUnit), |fault| matches!(fault, UnitFault::Level { .. })),
        (new("T1-4", "T1", UnitLevel::County), |fault| matches!(fault, UnitFault::Top(_))),
        (Unit { parent: None, ..known("T1-1") }, |fault| matches!(fault, UnitFault::Top(_))),
        (under("T1", "T1"), |fault| matches!(fault, UnitFault::Circle(_))),
        (under("T1", "T1-1"), |fault| matches!(fault, UnitFault::Level { .. } | UnitFault::Circle(_))),
        (under("T1-1", "T1-2"), |fault| matches!(fault, UnitFault::Level { .. })),
        (Unit { level: organisation, ..known("T1") }, |fault| matches!(fault, UnitFault::Level { .. })),
        (Unit { code: Some("T2-1".into()), ..known("T1-1") }, |fault| matches!(fault, UnitFault::Code { .. })),
    ];
    for (unit, is_expected) in cases {
        let refused = store.put_units(&[good.clone(), unit.clone()]).await;
        assert!(matches!(&refused, Err(StoreError::Unit(fault)) if is_expected(fault)), "{unit:?}: {refused:?}");
        assert_eq!(store.units().await.expect("units"), before, "nothing of it is written: {unit:?}");
        let changes = [good.clone(), unit]
            .map(|after| UnitChange { before: before.iter().find(|unit| unit.id == after.id).cloned(), after });
        let deed = Deed { act: Act::KeepUnits(changes.into()), documents: Vec::new(), notes: Vec::new() };
        assert!(matches!(store.perform(&deed).await, Err(StoreError::Unit(_))));
        assert_eq!(store.units().await.expect("units"), before);
    }
    // Two that change places are no circle, and what was read before somebody else wrote is read again.
    let swapped = [("T1-1", "T2-1"), ("T2-1", "T1-1")].map(|(one, other)| Unit {
        code: Some(other.into()),
        name: other.into(),
        ..known(one)
    });
    store.put_units(&swapped).await.expect("written");
    let change = UnitChange { before: Some(known("T1-1")), after: Unit { name: "另名".into(), ..known("T1-1") } };
    let deed = Deed { act: Act::KeepUnits(vec![change]), documents: Vec::new(), notes: Vec::new() };
    assert_eq!(store.perform(&deed).await.expect("answered"), Performed::Stale);
}
