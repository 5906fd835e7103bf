//! What somebody can do with bundles who has the keys of one device: each of it is built here, and refused.

use std::{io::Write as _, path::Path, time::Duration};

use anyhow::{Context, Result};
use server::{
    Server,
    bundle::{self as bundles, AnswerError},
    clock,
    office::{self, OfficeError},
    store::DeviceRecord,
};
use sync_protocol::{
    Book, DeviceId, Identity, RowId, UnitId,
    bundle::{
        self, Asked, BundleError, BundleReply, BundleRequest, Digest, Keys, Purpose, RefusedUnit, encrypted, signed,
    },
    client::DeviceError,
    message::{ExchangeRequest, PROTOCOL},
    unit::{Unit, UnitLevel},
};
use tests::county;

pub const OFFICE: [Book; 4] = [Book::Unit, Book::UnitRestricted, Book::Township, Book::TownshipRestricted];
const NOBODY: &str = "http://127.0.0.1:9";

/// Three towns, with two branches each: `T1` and `T1-1`, `T1-2`.
pub async fn county_of_towns(folder: &Path) -> Result<Server> {
    let server = county::open(&folder.join("county"), None).await?;
    let mut units = Vec::new();
    for town in ["T1", "T2", "T3"] {
        units.push(unit(&server, town, UnitLevel::ReportingUnit, server.county));
        let branch = |number| {
            let code = format!("{town}-{number}");
            unit(&server, &code, UnitLevel::Organisation, id(&server, town))
        };
        units.extend([1, 2].map(branch));
    }
    server.store.put_units(&units).await?;
    Ok(server)
}

pub fn id(server: &Server, code: &str) -> UnitId {
    UnitId::derive(&server.tenant, None, code)
}

pub fn unit(server: &Server, code: &str, level: UnitLevel, parent: UnitId) -> Unit {
    let (id, code, name) = (id(server, code), Some(code.to_owned()), format!("单位{code}"));
    Unit { id, parent: Some(parent), level, code, name, short_name: None, sort_order: 0 }
}

pub async fn stored(server: &Server, code: &str) -> Result<Unit> {
    server.store.unit(id(server, code)).await?.context("a unit")
}

/// Enrols a device whose token is its name.
pub async fn enrol(server: &Server, name: &str, unit: &str, books: &[Book]) -> Result<DeviceRecord> {
    let mut number = [0; 16];
    number.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    let device = DeviceRecord::new(DeviceId::from_bytes(number), (name, name), name, id(server, unit), books);
    server.store.put_device(&device, 0).await?;
    Ok(device)
}

pub fn request() -> ExchangeRequest {
    let (cursor, push, asks, held) = (None, vec![], vec![], vec![]);
    ExchangeRequest { protocol: PROTOCOL, cursor, push, device_time_ms: clock::now_ms(), asks, held }
}

/// A bundle as somebody writes it who has a device's token and a program of their own.
pub fn with_units(server: &Server, token: &str, units: &[Unit]) -> Result<(Vec<u8>, Digest)> {
    let units = serde_json::to_vec(units)?.into();
    let content = BundleRequest { request: request(), units, answer_bytes_max: None };
    Ok(bundle::seal(&content, None, &Keys::of(token.as_bytes()), &server.keys.public())?)
}

/// What the answer to that bundle says of its units.
pub fn refused(server: &Server, token: &str, answer: &[u8], digest: Digest) -> Result<Vec<RefusedUnit>> {
    let mut asked = Asked::default();
    asked.add(digest);
    let keys = Keys::of(token.as_bytes());
    Ok(bundle::open_reply(answer, &keys, &server.keys.public(), &asked)?.0.refused_units)
}

/// A bundle with any payload, well signed and sealed.
fn packed(server: &Server, token: &str, payload: &[u8]) -> Result<Vec<u8>> {
    let (keys, to) = (Keys::of(token.as_bytes()), server.keys.public());
    Ok(encrypted(&signed(payload, (Purpose::Request, None), &keys, &to.signing)?.0, &to)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_a_bundle_is_is_known_before_it_is_unpacked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = county_of_towns(folder.path()).await?;
    enrol(&server, "phone", "T1", &[Book::Unit]).await?;
    // A few kilobytes of 200 MiB.
    let mut encoder = zstd::Encoder::new(Vec::new(), 9)?;
    for _ in 0..200 {
        encoder.write_all(&vec![0; 1 << 20])?;
    }
    let bomb = encoder.finish()?;
    assert!(bomb.len() < 64 << 10, "{}", bomb.len());
    let answer = bundles::answer(&server, &packed(&server, "stranger", &bomb)?).await;
    assert!(matches!(answer, Err(AnswerError::Stranger)), "{answer:?}");
    let answer = bundles::answer(&server, &packed(&server, "phone", &bomb)?).await;
    assert!(matches!(answer, Err(AnswerError::Bundle(BundleError::TooLarge))), "{answer:?}");
    // Of a stranger's large file nothing behind its beginning is even decrypted; of a known sender's all is.
    let noise: Vec<u8> = (0..100_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    for (token, is_stranger) in [("stranger", true), ("phone", false)] {
        let mut file = packed(&server, token, &noise)?;
        *file.last_mut().context("a file")? ^= 1;
        match bundles::answer(&server, &file).await {
            Err(AnswerError::Stranger) => assert!(is_stranger),
            Err(AnswerError::Bundle(BundleError::Foreign(_))) => assert!(!is_stranger),
            other => anyhow::bail!("{token}: {other:?}"),
        }
    }
    // Whoever names a known sender without its key is none either.
    let (phone, other, to) = (Keys::of(b"phone"), Keys::of(b"other"), server.keys.public());
    let (mut plain, _) = signed(&bomb, (Purpose::Request, None), &other, &to.signing)?;
    let own = other.public().signing;
    let at = plain.windows(32).position(|bytes| bytes == own).context("its sender")?;
    plain[at..at + 32].copy_from_slice(&phone.public().signing);
    let answer = bundles::answer(&server, &encrypted(&plain, &to)?).await;
    assert!(matches!(answer, Err(AnswerError::Bundle(BundleError::Forged))), "{answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_bundles_are_worked_on_others_are_answered() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = county_of_towns(folder.path()).await?;
    let phone = enrol(&server, "phone", "T1", &[Book::Unit]).await?;
    let bomb = zstd::bulk::compress(&vec![0; 32 << 20], 9)?;
    let file = packed(&server, "phone", &bomb)?;
    // Whatever these cost, they cost it beside the threads that answer: one of them is enough for everybody else.
    let answers: Vec<_> = (0..8)
        .map(|_| {
            let (server, file) = (server.clone(), file.clone());
            tokio::spawn(async move { bundles::answer(&server, &file).await.map(drop) })
        })
        .collect();
    let asked = tokio::time::timeout(Duration::from_mins(1), server.sync.exchange(&phone, request(), clock::now_ms()));
    assert_eq!(asked.await??.documents.len(), 0);
    for answer in answers {
        assert!(matches!(answer.await?, Err(AnswerError::Bundle(BundleError::TooLarge))));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_for_the_office_that_asked_and_for_what_it_has_asked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let county = county_of_towns(folder.path()).await?;
    let county_keys = county.keys.public();
    for (token, unit) in [("office of all", "340099"), ("office of T2", "T2")] {
        enrol(&county, token, unit, &OFFICE).await?;
    }
    let of = Identity { unit: id(&county, "T1-1"), book: Book::Unit, period: county.period() };
    let phone = county::device(&county, folder.path(), NOBODY, "phone", of.unit, &[Book::Unit]).await?;
    phone.save(&of, "members", RowId::random([1; 10]), &[("name", "张三".into())], 0).await?;
    let file = phone.write_bundle(&county_keys, None, 0).await?;
    phone.read_bundle(&bundles::answer(&county, &file).await?.bytes, &county_keys).await?;

    let office = county::open(&folder.path().join("office"), None).await?;
    office::join(&office, "office of T2", &county_keys).await?;
    let (asked, _) = office::write(&office).await?;
    let digest = bundle::head::<BundleRequest>(&asked, &county.keys)?.digest;
    let own = Keys::of(b"office of T2").public();
    let other = Keys::of(b"office of all").public();
    let reply = BundleReply {
        replies: vec![county.sync.exchange(&enrolled(&county, "office of all").await?, request(), 0).await?],
        units: serde_json::to_vec(&county.store.units().await?)?.into(),
        county_key: None,
        asked: Vec::new(),
        refused_units: Vec::new(),
    };
    assert_eq!(reply.replies[0].documents.len(), 1, "it would be told what is not its own");
    let payload = zstd::bulk::compress(&sync_protocol::message::encode(&reply), 9)?;
    let passed_on = |regarding: Option<&Digest>, made_for: &[u8; 32], purpose| -> Result<Vec<u8>> {
        Ok(encrypted(&signed(&payload, (purpose, regarding), &county.keys, made_for)?.0, &own)?)
    };
    // Another office has decrypted its answer, and encrypted it to this one.
    let answer = passed_on(Some(&digest), &other.signing, Purpose::Reply)?;
    let taken = office::take(&office, &answer).await;
    assert!(matches!(taken, Err(OfficeError::Bundle(BundleError::Misdirected))), "{taken:?}");
    // An answer to something else, to nothing, or none at all; one that the county has not signed; one of an older version.
    for regarding in [Some(&[9; 32]), None] {
        let taken = office::take(&office, &passed_on(regarding, &own.signing, Purpose::Reply)?).await;
        assert!(matches!(taken, Err(OfficeError::Bundle(BundleError::Unasked))), "{taken:?}");
    }
    let taken = office::take(&office, &passed_on(Some(&digest), &own.signing, Purpose::Request)?).await;
    assert!(matches!(taken, Err(OfficeError::Bundle(BundleError::Purpose))), "{taken:?}");
    let (forged, _) = bundle::seal(&reply, Some(&digest), &Keys::of(b"another county"), &own)?;
    let taken = office::take(&office, &forged).await;
    assert!(matches!(taken, Err(OfficeError::Bundle(BundleError::Forged))), "{taken:?}");
    // As version 1 wrote it: a map of sender, payload and signature.
    let old = [&[0xa3, 0, 0x58, 32][..], &county_keys.signing, &[1, 0x40, 2, 0x40]].concat();
    let taken = office::take(&office, &encrypted(&old, &own)?).await.expect_err("an older version");
    assert!(taken.to_string().contains("旧版") && taken.to_string().contains("older version"), "{taken}");
    let answered = bundles::answer(&county, &encrypted(&old, &county_keys)?).await;
    assert!(matches!(answered, Err(AnswerError::Bundle(BundleError::Older))), "{answered:?}");
    assert_eq!(
        (office.store.totals().await?.documents, office.store.units().await?.len()),
        (0, 1),
        "nothing was taken"
    );

    // A request that was made for another county, and an answer for a phone that another has got.
    let elsewhere = Keys::of(b"another county").public();
    let strayed = phone.write_bundle(&elsewhere, None, 0).await?;
    assert!(bundles::answer(&county, &strayed).await.is_err());
    let second = county::device(&county, folder.path(), NOBODY, "second", of.unit, &[Book::Unit]).await?;
    let answer = bundles::answer(&county, &second.write_bundle(&county_keys, None, 0).await?).await?;
    let asked = bundle::head::<BundleRequest>(&second.write_bundle(&county_keys, None, 0).await?, &county.keys)?.digest;
    let phones = Keys::of(b"phone").public();
    let (plain, _) = signed(&payload, (Purpose::Reply, Some(&asked)), &county.keys, &phones.signing)?;
    let taken = second.read_bundle(&encrypted(&plain, &Keys::of(b"second").public())?, &county_keys).await;
    assert!(matches!(taken, Err(DeviceError::Bundle(BundleError::Misdirected))), "{taken:?}");
    assert!(second.documents().await?.is_empty());
    second.read_bundle(&answer.bytes, &county_keys).await?;

    // Its own answer is taken, and brings what is its own.
    let answer = bundles::answer(&county, &office::write(&office).await?.0).await?;
    let taken = office::take(&office, &answer.bytes).await?;
    assert_eq!(
        (taken.documents, taken.units, taken.refused_units.len()),
        (0, 4, 0),
        "the county, its town, two branches"
    );
    Ok(())
}

async fn enrolled(server: &Server, name: &str) -> Result<DeviceRecord> {
    let all = server.store.devices().await?;
    Ok(all.into_iter().find(|seen| seen.device.name == name).context("a device")?.device)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_does_not_take_back_what_the_county_has_changed_since() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let county = county_of_towns(folder.path()).await?;
    enrol(&county, "office", "T1", &OFFICE).await?;
    let office = county::open(&folder.path().join("office"), None).await?;
    office::join(&office, "office", &county.keys.public()).await?;
    let exchange = async || {
        let answer = bundles::answer(&county, &office::write(&office).await?.0).await?;
        let taken = office::take(&office, &answer.bytes).await?;
        anyhow::Ok((answer.units, taken))
    };
    exchange().await?;
    let renamed = Unit { name: "青石村党支部".into(), ..stored(&county, "T1-1").await? };
    county.store.put_units(std::slice::from_ref(&renamed)).await?;
    // The office has registered a branch that the county has registered by another name, and one that is all its own.
    let twice =
        Unit { name: "河口村党支部".into(), ..unit(&county, "T1-7", UnitLevel::Organisation, id(&county, "T1")) };
    county.store.put_units(std::slice::from_ref(&twice)).await?;
    let by_name = UnitId::derive(&county.tenant, Some(id(&county, "T1")), "河口党支部");
    let own = unit(&county, "T1-8", UnitLevel::Organisation, id(&county, "T1"));
    office.store.put_units(&[Unit { id: by_name, name: "河口党支部".into(), ..twice.clone() }, own.clone()]).await?;
    let (kept, taken) = exchange().await?;
    assert_eq!((kept.changed, kept.refused.len(), taken.refused_units.len()), (1, 1, 1), "{kept:?}");
    assert!(taken.refused_units[0].sentence.contains("T1-7"), "{taken:?}");
    assert_eq!(stored(&county, "T1-1").await?, renamed);
    assert_eq!(stored(&county, "T1-8").await?, own);
    assert_eq!(stored(&office, "T1-1").await?, renamed);
    assert_eq!(stored(&office, "T1-7").await?, twice);
    assert_eq!(office.store.unit(by_name).await?.context("its own")?.code, None, "the county's word on codes counts");
    Ok(())
}
