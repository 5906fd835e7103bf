//! Attacks on the way in: each is made as an attacker makes it, and comes to nothing.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header};
use serde_json::{Value, json};
use server::{
    Server, audit,
    auth::Role,
    clock,
    config::{Config, File},
    devices, photos,
    store::{DeviceRecord, Person, token_hash},
    tls::Tls,
};
use sha2::{Digest, Sha256};
use sync_protocol::{
    Book, DeviceId, Identity, RowId, UnitId,
    bundle::Keys,
    client::Trust,
    message::{ExchangeRequest, PROTOCOL, encode},
};
use tests::{county, people, roster};

const PASSWORD: &str = "correct horse battery";
const TOKEN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A server behind a proxy on this machine: tests are that proxy, and say whom they ask for.
struct Desk {
    folder: tempfile::TempDir,
    server: Server,
    url: String,
    client: Client,
}

impl Desk {
    async fn open(branches: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let tls: Tls = serde_json::from_value(json!({ "mode": "proxy" }))?;
        let config = Config::check(File { data_dir: folder.path().join("data"), tls, ..File::default() })?;
        let server = Server::create_embedded(&config).await?;
        server.store.put_units(&roster::units(&server.tenant, server.county, branches)).await?;
        let url = county::serve(&server).await?;
        Ok(Self { folder, server, url, client: Trust::new(None)?.client()? })
    }

    fn township(&self) -> UnitId {
        UnitId::derive(&self.server.tenant, None, "340099100")
    }

    async fn person(&self, name: &str, role: Role) -> Result<Person> {
        let unit = if role.is_of_county() { self.server.county } else { self.township() };
        people::add(&self.server, name, role, unit, false, PASSWORD).await
    }

    async fn sign_in(&self, from: &str, name: &str, password: &str) -> Result<Response> {
        let body = json!({ "name": name, "password": password });
        let request = self.client.post(format!("{}/api/session", self.url)).header("x-forwarded-for", from);
        Ok(request.json(&body).send().await?)
    }

    fn ask(&self, method: Method, path: &str, cookie: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url)).header(header::COOKIE, cookie);
        request.header("x-forwarded-for", "203.0.113.77")
    }

    async fn lines(&self, event: &str) -> Result<Vec<(Option<String>, Value)>> {
        let lines = self.server.store.people().audit(0, 100_000).await?;
        let of = lines.into_iter().filter(|line| line.entry.event == event);
        of.map(|line| Ok((line.entry.address, serde_json::from_str(&line.entry.detail)?))).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_another_address_each_time_is_limited_all_the_same() -> Result<()> {
    let desk = Desk::open(1).await?;
    let mut taken = 0;
    for attempt in 0..200 {
        // All but the last address is what the client has written itself.
        let from = format!("198.51.100.{attempt}, 203.0.113.9");
        let response = desk.sign_in(&from, &format!("nobody{attempt}"), "guess").await?;
        taken += usize::from(response.status() != StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(taken < 80, "{taken} of 200 attempts were taken");
    // Nor is it any use to have a whole network of addresses.
    let mut taken = 0;
    for attempt in 0..100 {
        let from = format!("2001:db8:1:2::{attempt:x}");
        let response = desk.sign_in(&from, &format!("nobody{attempt}"), "guess").await?;
        taken += usize::from(response.status() != StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(taken < 60, "{taken} of 100 attempts were taken");
    let other = desk.sign_in("203.0.113.10", "nobody", "guess").await?;
    assert_eq!(other.status(), StatusCode::UNAUTHORIZED, "others are not limited with them");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_has_is_answered_like_any_other() -> Result<()> {
    let desk = Desk::open(1).await?;
    desk.person("lina", Role::OfficeClerk).await?;
    let mut answers = Vec::new();
    for (from, name) in [("203.0.113.1", "lina"), ("203.0.113.2", "nobody")] {
        let mut answered = Vec::new();
        for attempt in 0..8 {
            let response = desk.sign_in(from, name, &format!("wrong guess {attempt}")).await?;
            let (status, waits) = (response.status(), response.headers().contains_key(header::RETRY_AFTER));
            let told: Value = response.json().await?;
            answered.push((status, waits, told["title"].to_string()));
        }
        answers.push(answered);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0][7].0, StatusCode::TOO_MANY_REQUESTS);
    // The right password is worth nothing there for a while, and everything from elsewhere.
    assert_eq!(desk.sign_in("203.0.113.1", "lina", PASSWORD).await?.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(desk.sign_in("203.0.113.3", "lina", PASSWORD).await?.status(), StatusCode::OK);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_shuts_the_only_administrator_out_from_where_they_sign_in() -> Result<()> {
    let desk = Desk::open(1).await?;
    desk.person("admin", Role::Administrator).await?;
    assert_eq!(desk.sign_in("192.0.2.1", "admin", PASSWORD).await?.status(), StatusCode::OK);
    let mut wrong = 0;
    for attempt in 0..70 {
        let from = format!("203.0.113.{}", attempt / 4);
        wrong += usize::from(desk.sign_in(&from, "admin", "a wrong guess").await?.status() == StatusCode::UNAUTHORIZED);
    }
    assert_eq!(wrong, 50, "so many guesses at one name are taken from all addresses together");
    assert_eq!(desk.sign_in("198.51.100.1", "admin", PASSWORD).await?.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        desk.sign_in("192.0.2.1", "admin", PASSWORD).await?.status(),
        StatusCode::OK,
        "from where they were let in"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_has_stolen_a_session_guesses_neither_its_code_nor_its_password() -> Result<()> {
    let desk = Desk::open(1).await?;
    let lina = desk.person("lina", Role::OfficeClerk).await?;
    let cookie = people::cookie(&desk.server, &lina).await?;
    let begun: Value = desk.ask(Method::POST, "/api/session/totp", &cookie).send().await?.json().await?;
    let codes = totp_rs::Totp::from_url(begun["url"].as_str().context("a URL")?)?;
    let now_s = u64::try_from(clock::now_ms() / 1000)?;
    let confirm =
        |code: String| desk.ask(Method::PUT, "/api/session/totp", &cookie).json(&json!({ "code": code })).send();
    assert_eq!(confirm(codes.generate(now_s).to_string()).await?.status(), StatusCode::NO_CONTENT);
    // Many at once: no more of them count than one after the other.
    let guesses: Vec<_> = (0..60)
        .map(|guess| {
            let body = json!({ "code": format!("{guess:06}") });
            tokio::spawn(desk.ask(Method::DELETE, "/api/session/totp", &cookie).json(&body).send())
        })
        .collect();
    let mut looked_at = 0;
    for guess in guesses {
        let status = guess.await??.status();
        ensure!([401, 429].contains(&status.as_u16()), "{status}");
        looked_at += usize::from(status == StatusCode::UNAUTHORIZED);
    }
    assert!(looked_at <= 5, "{looked_at} guesses were looked at");
    let right = codes.generate(now_s + 30).to_string();
    let body = json!({ "code": right });
    let late = desk.ask(Method::DELETE, "/api/session/totp", &cookie).json(&body).send().await?;
    assert_eq!(late.status(), StatusCode::TOO_MANY_REQUESTS, "even the right one is not looked at for a while");

    let wang = desk.person("wang", Role::OfficeClerk).await?;
    let cookie = people::cookie(&desk.server, &wang).await?;
    let mut looked_at = 0;
    for guess in 0..20 {
        let body = json!({ "old": format!("a wrong guess {guess}"), "new": "another horse battery" });
        let response = desk.ask(Method::PUT, "/api/session/password", &cookie).json(&body).send().await?;
        looked_at += usize::from(response.status() == StatusCode::UNAUTHORIZED);
    }
    assert_eq!(looked_at, 5);
    let body = json!({ "old": PASSWORD, "new": "another horse battery" });
    let late = desk.ask(Method::PUT, "/api/session/password", &cookie).json(&body).send().await?;
    assert_eq!(late.status(), StatusCode::TOO_MANY_REQUESTS);
    // All of it is noted, in few lines.
    assert_eq!(desk.lines("locked-out").await?.len(), 2);
    let noted = desk.lines("confirm-failed").await?;
    assert_eq!(noted.len(), 2, "{noted:?}");
    audit::note_counted(&desk.server, true).await;
    let noted = desk.lines("confirm-failed").await?;
    let counted: u64 = noted.iter().filter_map(|(_, detail)| detail["times"].as_u64()).sum();
    assert_eq!((noted.len(), counted), (4, 60 + 20), "{noted:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_that_are_tried_first_and_earlier_ones_are_not_taken() -> Result<()> {
    let desk = Desk::open(1).await?;
    let lina = desk.person("lina", Role::OfficeClerk).await?;
    let change = async |old: &str, new: &str| -> Result<u16> {
        let cookie = people::cookie(&desk.server, &lina).await?;
        let body = json!({ "old": old, "new": new });
        let request = desk.ask(Method::PUT, "/api/session/password", &cookie).json(&body);
        Ok(request.send().await?.status().as_u16())
    };
    for new in [
        "1234567890",
        "password12",
        "Aa123456789",
        "qwertyuiop",
        "admin12345",
        "abcdeabcde",
        "办公室经办人lina",
        "办公室经办人办公室",
        "x-340099100-y-z",
        "我爱示范县的山水",
    ] {
        assert_eq!(change(PASSWORD, new).await?, 400, "{new}");
    }
    let (second, third) = ("seven grey umbrellas", "村口的老槐树又开花了");
    assert_eq!(change(PASSWORD, second).await?, 204);
    assert_eq!(change(second, PASSWORD).await?, 400, "the one before");
    assert_eq!(change(second, second).await?, 400, "the one of now");
    // An administrator resets it: what somebody else has chosen in between changes nothing.
    let first = server::people::reset(&desk.server, &lina, "test").await?;
    assert_eq!(change(&first, second).await?, 400, "the last one of their own");
    assert_eq!(change(&first, third).await?, 204);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_what_was_read_and_refused_and_from_where_and_fills_no_disk() -> Result<()> {
    let desk = Desk::open(1).await?;
    let officer = desk.person("officer", Role::TownshipOfficer).await?;
    let cadre = desk.person("cadre", Role::FieldCadre).await?;
    let before = desk.server.store.people().audit(0, 100_000).await?.len();
    // Without an address, as an earlier version has written them.
    assert!(desk.server.store.people().audit(0, 100).await?.iter().all(|line| line.entry.address.is_none()));

    let cookie = people::cookie(&desk.server, &officer).await?;
    let branch = county::branch(&desk.server, 0);
    desk.ask(Method::GET, "/api/conflicts", &cookie).send().await?.error_for_status()?;
    for (method, path) in [
        (Method::GET, "/api/people".to_owned()),
        (Method::GET, "/api/audit".to_owned()),
        // Outside: the answer is that of what does not exist.
        (Method::GET, format!("/api/conflicts?unit={}", desk.server.county)),
    ] {
        let status = desk.ask(method, &path, &cookie).send().await?.status();
        ensure!(status == 403 || status == 404, "{path}: {status}");
    }
    let cadres = people::cookie(&desk.server, &cadre).await?;
    for _ in 0..300 {
        desk.ask(Method::GET, "/api/people", &cadres).send().await?;
    }
    desk.ask(Method::DELETE, "/api/session", &cookie).send().await?.error_for_status()?;
    for name in ["officer", "officer", "a password typed for a name"] {
        desk.sign_in("203.0.113.5", name, "a wrong guess").await?;
    }
    // A phone without anything, and one that goes on.
    let phone = DeviceRecord::new(DeviceId::from_bytes([7; 16]), ("手机", "张三"), "phone", branch, &[Book::Unit]);
    desk.server.store.put_device(&phone, 0).await?;
    for _ in 0..3 {
        let (push, asks, held) = (Vec::new(), Vec::new(), Vec::new());
        let request = ExchangeRequest { protocol: PROTOCOL, cursor: None, push, device_time_ms: 0, asks, held };
        let post = desk.client.post(format!("{}/sync/exchange", desk.url)).bearer_auth("phone");
        post.header("x-forwarded-for", "203.0.113.6").body(encode(&request)).send().await?.error_for_status()?;
    }

    let here = || Some("203.0.113.77".to_owned());
    assert_eq!(desk.lines("conflicts-read").await?, [(here(), json!({ "cells": 0 }))]);
    assert_eq!(desk.lines("signed-out").await?, [(here(), json!({}))]);
    let filled = desk.lines("device-filled").await?;
    assert_eq!(filled, [(Some("203.0.113.6".into()), json!({ "device": "手机", "owner": "张三" }))]);
    let failed = desk.lines("sign-in-failed").await?;
    let names: Vec<&Value> = failed.iter().map(|(_, detail)| &detail["name"]).collect();
    assert_eq!(names, [&json!("officer"), &Value::Null], "what may be a password is written down nowhere");
    assert!(failed.iter().all(|(address, _)| address.as_deref() == Some("203.0.113.5")), "{failed:?}");
    assert_eq!(desk.lines("denied").await?.len(), 2, "one for each of them");
    audit::note_counted(&desk.server, true).await;
    let denied = desk.lines("denied").await?;
    let times: Vec<u64> = denied.iter().filter_map(|(_, detail)| detail["times"].as_u64()).collect();
    assert_eq!(times.iter().collect::<BTreeSet<_>>(), [2, 299].iter().collect(), "{denied:?}");
    let lines = desk.server.store.people().audit(0, 100_000).await?.len();
    assert!(lines - before < 20, "{} lines", lines - before);
    assert!(audit::verify(desk.server.store.as_ref(), None).await?.broken.is_none());
    // Whoever alters an address is found out like whoever alters anything else: it is in the hash.
    let line = desk.server.store.people().audit(0, 100_000).await?.pop().context("a line")?;
    let (mut other, mut none) = (line.entry.clone(), line.entry.clone());
    (other.address, none.address) = (Some("203.0.113.8".into()), None);
    let hash = |entry: &server::store::AuditEntry| entry.chained(&[0; 32], line.number);
    assert_eq!(BTreeSet::from([hash(&line.entry), hash(&other), hash(&none)]).len(), 3);
    Ok(())
}

/// Lines of a time when no address was noted still have the hashes that they had then.
#[test]
fn a_line_without_an_address_has_the_hash_that_it_always_had() {
    let entry = server::store::AuditEntry {
        at_ms: 0,
        who: "张三".into(),
        person: None,
        device: None,
        event: "signed-in".into(),
        unit: None,
        detail: "{}".into(),
        address: None,
    };
    let hash = data_encoding::HEXLOWER.encode(&entry.chained(&[0; 32], 1));
    assert_eq!(hash, "26284d009bb53acba1599ed4dc8221aea4af4403f6cb3b7257008645651a57df");
}

fn jpeg(number: u32, bytes: usize) -> (Vec<u8>, String) {
    let mut photo = vec![0xff, 0xd8, 0xff];
    photo.extend(number.to_be_bytes());
    photo.resize(bytes.max(7), 7);
    let name = data_encoding::HEXLOWER.encode(&Sha256::digest(&photo));
    (photo, name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_phone_and_a_greedy_one_fill_no_disk_with_photos() -> Result<()> {
    let desk = Desk::open(2).await?;
    let units = [0, 1].map(|branch| county::branch(&desk.server, branch));
    let phone =
        DeviceRecord::new(DeviceId::from_bytes([7; 16]), ("手机", "张三"), "phone", desk.township(), &[Book::Unit]);
    desk.server.store.put_device(&phone, 0).await?;
    let put = async |unit: UnitId, name: &str, size: usize, bytes: Vec<u8>| -> Result<u16> {
        let url = format!("{}/api/units/{unit}/attachments/{name}?offset=0&size={size}", desk.url);
        Ok(desk.client.put(url).bearer_auth("phone").body(bytes).send().await?.status().as_u16())
    };
    let (whole, name) = jpeg(0, 100);
    let (other, unnamed) = jpeg(1, 100);
    assert_eq!(put(units[0], &name, 100, whole.clone()).await?, 200);
    assert_eq!(put(units[0], &unnamed, 100, other).await?, 200);
    // Begun, and never ended: in one unit or another, a device has so much in all.
    let mut begun = 0;
    for number in 2..300 {
        let (_, name) = jpeg(number, 100);
        match put(units[number as usize % 2], &name, 2 << 20, vec![0xff]).await? {
            200 => begun += 1,
            413 => {}
            status => anyhow::bail!("{status}"),
        }
    }
    assert_eq!(begun, 255, "512 MiB without the two that are whole");
    // A record names the first.
    let device = county::device(&desk.server, desk.folder.path(), &desk.url, "writer", units[0], &[Book::Unit]).await?;
    let book = Identity { unit: units[0], book: Book::Unit, period: desk.server.period() };
    device.save(&book, "members", RowId::random([1; 10]), &[(&format!("@photo/{name}"), true.into())], 0).await?;
    device.exchange(0).await?;
    let now_ms = clock::now_ms();
    assert_eq!(photos::sweep(&desk.server, now_ms).await?, 0, "a phone may be without a network for weeks");
    assert_eq!(photos::sweep(&desk.server, now_ms + photos::KEPT_MS + 60_000).await?, 256);
    let hash = |photo: &[u8]| <[u8; 32]>::from(Sha256::digest(photo));
    assert!(desk.server.store.attachment(units[0], &hash(&whole)).await?.is_some(), "a record names it");
    assert_eq!(desk.lines("photos-expired").await?, [(None, json!({ "number": 256 }))]);
    assert_eq!(put(units[0], &unnamed, 100, Vec::new()).await?, 200, "there is room again");

    devices::revoke(&desk.server, &phone, "test").await?;
    let (photo, name) = jpeg(999, 100);
    assert_eq!(put(units[0], &name, 100, photo).await?, 403);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_enrols_a_device_as_somebody_else_is_told_on() -> Result<()> {
    let desk = Desk::open(1).await?;
    let officer = desk.person("officer", Role::TownshipOfficer).await?;
    let cadre = desk.person("cadre", Role::FieldCadre).await?;
    let cookie = people::cookie(&desk.server, &officer).await?;
    let enrol = async |person: &Person, token: &str, secret: &[u8]| -> Result<()> {
        let body = json!({ "person": person.id.to_string(), "name": "手机" });
        let invited = desk.ask(Method::POST, "/api/devices/invitations", &cookie).json(&body).send().await?;
        let code = invited.json::<Value>().await?["code"].as_str().context("a code")?.to_owned();
        let body = json!({ "code": code, "keys": Keys::of(secret).public().to_string(), "token": token });
        desk.client.post(format!("{}/api/enrol", desk.url)).json(&body).send().await?.error_for_status()?;
        Ok(())
    };
    // The officer reads the code, and is the cadre from now on.
    enrol(&cadre, TOKEN, b"one").await?;
    let own = TOKEN.replace("00", "ab");
    enrol(&officer, &own, b"two").await?;
    let listed: Value = desk.ask(Method::GET, "/api/devices", &cookie).send().await?.json().await?;
    let seen: Vec<_> = listed
        .as_array()
        .context("a list")?
        .iter()
        .map(|d| (&d["owner"], &d["invited_by"], &d["is_unconfirmed"]))
        .collect();
    let (by, of) = (json!(officer.full_name), json!(cadre.full_name));
    assert_eq!(seen.len(), 2);
    assert!(seen.contains(&(&of, &by, &json!(true))) && seen.contains(&(&by, &by, &json!(false))), "{seen:?}");
    // The cadre is asked at the next sign-in.
    let who: Value = desk.sign_in("203.0.113.9", "cadre", PASSWORD).await?.json().await?;
    let asked = &who["unconfirmed"][0];
    assert_eq!((&asked["name"], &asked["invited_by"]), (&json!("手机"), &by), "{who}");
    let path = format!("/api/session/devices/{}", asked["id"].as_str().context("an id")?);
    let answer = async |person: &Person, is_mine: bool| -> Result<u16> {
        let cookie = people::cookie(&desk.server, person).await?;
        let request = desk.ask(Method::PUT, &path, &cookie).json(&json!({ "is_mine": is_mine }));
        Ok(request.send().await?.status().as_u16())
    };
    assert_eq!(answer(&officer, true).await?, 404, "nobody else says so");
    assert_eq!(answer(&cadre, false).await?, 204);
    let device = desk.server.store.device_by_token(&token_hash(TOKEN)).await?.context("the phone")?;
    assert!(device.is_revoked);
    // One that is theirs.
    let (third, secret) = (TOKEN.replace("11", "cd"), b"three");
    enrol(&cadre, &third, secret).await?;
    let device = desk.server.store.device_by_token(&token_hash(&third)).await?.context("the phone")?;
    assert!(devices::confirm(&desk.server, &cadre, device.id, true).await?);
    assert!(devices::unconfirmed(&desk.server, &cadre).await?.is_empty());
    assert_eq!(desk.lines("device-confirmed").await?.len(), 1);
    Ok(())
}
