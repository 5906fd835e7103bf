//! People and their devices: signing in, being locked out, one-time codes, enrolment, other rights while offline.

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Response, StatusCode, header};
use serde_json::{Value, json};
use server::{
    Server, audit,
    auth::Role,
    people::{self as registry, Profile},
    store::Person,
};
use sync_protocol::{
    ActorId, Book, Identity, UnitId,
    client::{Device, DeviceConfig, DeviceError, Trust, enrol},
    message::{ExchangeReply, ExchangeRequest, PROTOCOL, decode, encode},
    unit::Unit,
};
use tests::{county, people};

const PASSWORD: &str = "correct horse battery";

/// What a device draws for itself.
fn token() -> String {
    let half = || u128::from_be_bytes(server::clock::random());
    format!("{:032x}{:032x}", half(), half())
}

struct Desk {
    folder: tempfile::TempDir,
    server: Server,
    url: String,
    client: Client,
}

impl Desk {
    async fn open(branches: usize) -> Result<Self> {
        let (folder, server) = county::with_branches(branches).await?;
        let url = county::serve(&server).await?;
        Ok(Self { folder, server, url, client: Trust::new(None)?.client()? })
    }

    fn branch(&self, index: usize) -> UnitId {
        county::branch(&self.server, index)
    }

    fn township(&self) -> UnitId {
        UnitId::derive(&self.server.tenant, None, "340099100")
    }

    async fn sign_in(&self, name: &str, password: &str, code: Option<&str>) -> Result<Response> {
        let body = json!({ "name": name, "password": password, "code": code });
        Ok(self.client.post(format!("{}/api/session", self.url)).json(&body).send().await?)
    }

    async fn post(&self, path: &str, cookie: &str, body: Value) -> Result<Response> {
        let request = self.client.post(format!("{}{path}", self.url)).header(header::COOKIE, cookie);
        Ok(request.json(&body).send().await?)
    }

    /// A phone of this person, enrolled by a one-time code with keys of its own.
    async fn enrol(&self, officer: &str, person: &Person, name: &str) -> Result<Device> {
        let invited =
            self.post("/api/devices/invitations", officer, json!({ "person": person.id.to_string(), "name": name }));
        let invited: Value = invited.await?.error_for_status()?.json().await?;
        ensure!(invited["link"].as_str().is_some_and(|link| link.starts_with(&format!("{}/#enrol=", self.url))));
        ensure!(invited["qr"].as_str().is_some_and(|qr| qr.contains("<svg")), "a QR code");
        let (code, trust) = (invited["code"].as_str().context("a code")?, Trust::new(None)?);
        let token = token();
        enrol(&self.url, &trust, code, (name, &token)).await?;
        // Its answer was lost.
        let enrolled = enrol(&self.url, &trust, code, (name, &token)).await?;
        let again = enrol(&self.url, &trust, code, ("another secret", &self::token())).await;
        ensure!(matches!(again, Err(DeviceError::Refused { status: 404, .. })), "a code is used once: {again:?}");
        let again = enrol(&self.url, &trust, code, ("another secret", &token)).await;
        ensure!(matches!(again, Err(DeviceError::Refused { status: 409, .. })), "a token is one device's: {again:?}");
        let config = DeviceConfig {
            path: self.folder.path().join(format!("{name}.sqlite")),
            server: self.url.clone(),
            server_key: Some(enrolled.server_keys()?.signing),
            token,
            who: enrolled.owner,
            certificate: None,
            secret: Some(name.to_owned()),
            actor: ActorId(server::clock::random()),
        };
        Ok(Device::open(config, self.server.catalogue.clone()).await?)
    }

    fn book(&self, unit: UnitId, book: Book) -> Identity {
        Identity { unit, book, period: self.server.period() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_and_changes_the_first_password() -> Result<()> {
    let desk = Desk::open(1).await?;
    let unit = desk.server.store.unit(desk.server.county).await?.context("the county")?;
    let profile = Profile { full_name: "王管理".into(), role: Role::Administrator, unit, is_handler: false };
    let (_, first) = registry::add(&desk.server, "admin", &profile, "test").await?;

    let response = desk.sign_in("admin", &first, None).await?;
    ensure!(response.status() == StatusCode::OK);
    let cookie = response.headers()[header::SET_COOKIE].to_str()?.to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        ensure!(cookie.contains(attribute), "{cookie} lacks {attribute}");
    }
    let cookie = cookie.split(';').next().context("a cookie")?;
    let who: Value = response.json().await?;
    assert_eq!((who["must_change"].as_bool(), who["may"].as_array().map(Vec::len)), (Some(true), Some(0)), "{who}");

    let listed = desk.client.get(format!("{}/api/people", desk.url)).header(header::COOKIE, cookie).send().await?;
    assert_eq!(listed.status(), StatusCode::FORBIDDEN, "nothing is done with a password that somebody else knows");
    for (new, status) in [("short", 400), (first.as_str(), 400), ("admin admin 2012", 400), (PASSWORD, 204)] {
        let request = desk.client.put(format!("{}/api/session/password", desk.url)).header(header::COOKIE, cookie);
        let changed = request.json(&json!({ "old": first, "new": new })).send().await?;
        assert_eq!(changed.status().as_u16(), status, "{new}");
    }
    let who = desk.client.get(format!("{}/api/session", desk.url)).header(header::COOKIE, cookie).send().await?;
    assert_eq!(who.status(), StatusCode::UNAUTHORIZED, "all sessions end with a new password");

    assert_eq!(desk.sign_in("admin", &first, None).await?.status(), StatusCode::UNAUTHORIZED);
    let response = desk.sign_in("admin", PASSWORD, None).await?;
    let cookie = response.headers()[header::SET_COOKIE].to_str()?.split(';').next().context("a cookie")?.to_owned();
    let post = |site: &'static str, name: &'static str| {
        let body = json!({ "name": name, "full_name": "某人", "role": "auditor", "unit": desk.server.county });
        let request = desk.client.post(format!("{}/api/people", desk.url)).header(header::COOKIE, &cookie);
        request.header("sec-fetch-site", site).json(&body).send()
    };
    assert_eq!(post("cross-site", "eve").await?.status(), StatusCode::FORBIDDEN, "another site's page");
    assert_eq!(post("same-origin", "anna").await?.status(), StatusCode::CREATED);
    assert_eq!(post("same-origin", "anna").await?.status(), StatusCode::CONFLICT, "a name is given once");
    let alone = registry::change(
        &desk.server,
        desk.server.store.people().person_by_name("admin").await?.context("admin")?.0,
        &profile,
        true,
        "test",
    );
    assert!(alone.await.is_err(), "the last administrator stays");

    let request = desk.client.delete(format!("{}/api/session", desk.url)).header(header::COOKIE, &cookie);
    assert_eq!(request.send().await?.status(), StatusCode::NO_CONTENT);
    assert_eq!(post("same-origin", "late").await?.status(), StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_is_locked_out_and_so_is_the_right_password_for_a_while() -> Result<()> {
    let desk = Desk::open(1).await?;
    people::add(&desk.server, "lina", Role::OfficeClerk, desk.township(), false, PASSWORD).await?;
    for attempt in 0..5 {
        let response = desk.sign_in("lina", &format!("wrong guess {attempt}"), None).await?;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
    let response = desk.sign_in("lina", PASSWORD, None).await?;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(desk.sign_in("nobody", PASSWORD, None).await?.status(), StatusCode::UNAUTHORIZED);
    // From one address so many attempts are answered, and no more: hashing is work.
    let mut refused = 0;
    for _ in 0..60 {
        let response = desk.sign_in("nobody", "x", None).await?;
        refused += usize::from(response.status() == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused > 10, "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_one_time_code_is_asked_for_once_it_was_confirmed_and_taken_once() -> Result<()> {
    let desk = Desk::open(1).await?;
    let person = people::add(&desk.server, "lina", Role::OfficeClerk, desk.township(), false, PASSWORD).await?;
    let cookie = people::cookie(&desk.server, &person).await?;
    let begun: Value = desk.post("/api/session/totp", &cookie, json!({})).await?.json().await?;
    let codes = totp_rs::Totp::from_url(begun["url"].as_str().context("a URL")?)?;
    assert_eq!(desk.sign_in("lina", PASSWORD, None).await?.status(), StatusCode::OK, "not before it is confirmed");
    let now_s = u64::try_from(server::clock::now_ms() / 1000)?;
    let (code, next) = (codes.generate(now_s).to_string(), codes.generate(now_s + 30).to_string());
    let request = desk.client.put(format!("{}/api/session/totp", desk.url)).header(header::COOKIE, &cookie);
    assert_eq!(request.json(&json!({ "code": code })).send().await?.status(), StatusCode::NO_CONTENT);
    for (given, status) in [(None, 401), (Some(code.as_str()), 401), (Some(next.as_str()), 200), (Some(&next), 401)] {
        assert_eq!(desk.sign_in("lina", PASSWORD, given).await?.status().as_u16(), status, "{given:?}");
    }
    // Whoever has lost what shows their codes gets a new password, and no code is asked for with it.
    let person = desk.server.store.people().person(person.id).await?.context("somebody")?;
    let first = server::people::reset(&desk.server, &person, "县").await?;
    assert_eq!(desk.sign_in("lina", &first, None).await?.status(), StatusCode::OK);
    assert!(!desk.server.store.people().person(person.id).await?.context("somebody")?.has_totp);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_phone_gets_no_byte_from_outside_its_scope_or_of_a_restricted_book() -> Result<()> {
    let desk = Desk::open(2).await?;
    let every = Book::ALL;
    let office =
        county::device(&desk.server, desk.folder.path(), &desk.url, "office", desk.server.county, &every).await?;
    let mut markers = Vec::new();
    for (index, unit) in [desk.branch(0), desk.branch(1), desk.township()].into_iter().enumerate() {
        let row = sync_protocol::RowId::random([u8::try_from(index)?; 10]);
        for (ledger, column, text) in
            [("members", "remark", "备注"), ("members", "address", "住址"), ("grading", "remark", "定级")]
        {
            let book = desk.server.catalogue.ledger(ledger).context(ledger)?.book;
            let marker = format!("标记{text}{index}");
            office.save(&desk.book(unit, book), ledger, row, &[(column, marker.as_str().into())], 0).await?;
            markers.push((index, text, marker));
        }
    }
    office.exchange(0).await?;
    let cadre = people::add(&desk.server, "cadre", Role::FieldCadre, desk.branch(0), false, PASSWORD).await?;
    let officer = people::add(&desk.server, "officer", Role::TownshipOfficer, desk.township(), true, PASSWORD).await?;
    let cookie = people::cookie(&desk.server, &officer).await?;
    desk.enrol(&cookie, &cadre, "phone").await?.close().await;
    // The frames themselves, without the client in between.
    let token = "wire";
    let record = desk.server.store.devices().await?.into_iter().find(|seen| seen.device.name == "phone");
    let record = record.context("the phone")?.device;
    let record = server::store::DeviceRecord { token_hash: server::store::token_hash(token), ..record };
    desk.server.store.put_device(&record, 0).await?;
    let (mut cursor, mut wire, mut more) = (None, Vec::new(), true);
    while more {
        let (push, asks, held) = (Vec::new(), Vec::new(), Vec::new());
        let request = ExchangeRequest { protocol: PROTOCOL, cursor, push, device_time_ms: 0, asks, held };
        let post = desk.client.post(format!("{}/sync/exchange", desk.url)).bearer_auth(token).body(encode(&request));
        let bytes = post.send().await?.error_for_status()?.bytes().await?;
        let reply: ExchangeReply = decode(&bytes)?;
        (cursor, more) = (Some(reply.cursor), reply.more);
        wire.extend_from_slice(&bytes);
    }
    let is_sent = |marker: &str| wire.windows(marker.len()).any(|window| window == marker.as_bytes());
    for (index, text, marker) in markers {
        let expected = index == 0 && text != "住址";
        assert_eq!(is_sent(&marker), expected, "{marker}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_role_or_village_while_offline_loses_nothing() -> Result<()> {
    let desk = Desk::open(2).await?;
    let officer = people::add(&desk.server, "officer", Role::TownshipOfficer, desk.township(), true, PASSWORD).await?;
    let cadre = people::add(&desk.server, "cadre", Role::FieldCadre, desk.branch(0), false, PASSWORD).await?;
    let cookie = people::cookie(&desk.server, &officer).await?;
    let phone = desk.enrol(&cookie, &cadre, "phone").await?;
    let (own, other) = (desk.book(desk.branch(0), Book::Unit), desk.book(desk.branch(1), Book::Unit));
    let office = county::device(&desk.server, desk.folder.path(), &desk.url, "office", desk.township(), &Book::ALL);
    let office = office.await?;
    let row = sync_protocol::RowId::random([7; 10]);
    office.save(&own, "members", row, &[("name", "张三".into())], 0).await?;
    office.save(&other, "members", row, &[("name", "李四".into())], 0).await?;
    office.exchange(0).await?;
    phone.exchange(0).await?;
    assert_eq!(phone.documents().await?, std::slice::from_ref(&own));

    // Typed without signal; meanwhile the cadre is given the other village.
    phone.save(&own, "members", row, &[("remark", "离线填写".into())], 0).await?;
    let unit = desk.server.store.unit(desk.branch(1)).await?.context("a unit")?;
    let profile =
        Profile { full_name: cadre.full_name.clone(), role: cadre.role, unit: unit.clone(), is_handler: false };
    let cadre = registry::change(&desk.server, cadre, &profile, false, "test").await?;
    phone.exchange(0).await?;
    phone.exchange(0).await?;
    assert_eq!(
        phone.documents().await?,
        std::slice::from_ref(&other),
        "the other village's is here, the old one's gone"
    );
    let waiting: Value = {
        let request = desk.client.get(format!("{}/api/quarantine", desk.url)).header(header::COOKIE, &cookie);
        request.send().await?.json().await?
    };
    let hash = waiting[0]["hash"].as_str().context("one change waits")?.to_owned();
    assert_eq!(waiting[0]["who"], cadre.full_name.as_str());
    let admitted = desk.post(&format!("/api/quarantine/{hash}/admit"), &cookie, json!({})).await?;
    assert_eq!(admitted.status(), StatusCode::NO_CONTENT);
    office.exchange(0).await?;
    let rows = office.rows(&own, "members").await?;
    assert_eq!(rows[0].text("remark"), "离线填写");

    // The history of that cell names who carries the phone, not whom the change names.
    let query = format!("unit={}&ledger=members&row={row}&column=remark", desk.branch(0));
    let request = desk.client.get(format!("{}/api/history?{query}", desk.url)).header(header::COOKIE, &cookie);
    let history: Value = request.send().await?.json().await?;
    assert_eq!(history[0]["value"], "离线填写", "{history}");
    assert_eq!((history[0]["who"].as_str(), history[0]["device"].as_str()), (Some(&*cadre.full_name), Some("phone")));

    // Now only to look on: what was typed waits, and can still be let in.
    phone.save(&other, "members", row, &[("remark", "调岗前填写".into())], 0).await?;
    let profile = Profile { role: Role::CountySupervisor, ..profile };
    let cadre = registry::change(&desk.server, cadre, &profile, false, "test").await?;
    phone.exchange(0).await?;
    assert_eq!(desk.server.store.quarantined().await?.len(), 2);

    // An auditor holds nothing: what was typed before still comes in, and the rest goes.
    phone.save(&other, "members", row, &[("remark", "任审计员前填写".into())], 0).await?;
    let county = desk.server.store.unit(desk.server.county).await?.context("the county")?;
    let profile = Profile { role: Role::Auditor, unit: county, ..profile };
    let cadre = registry::change(&desk.server, cadre, &profile, false, "test").await?;
    phone.exchange(0).await?;
    phone.exchange(0).await?;
    assert_eq!(desk.server.store.quarantined().await?.len(), 3);
    assert_eq!(phone.documents().await?, []);

    // Dismissed: signed out, and the phone keeps nothing.
    let cookie = people::cookie(&desk.server, &cadre).await?;
    registry::change(&desk.server, cadre, &profile, true, "test").await?;
    let who = desk.client.get(format!("{}/api/session", desk.url)).header(header::COOKIE, &cookie).send().await?;
    assert_eq!(who.status(), StatusCode::UNAUTHORIZED);
    phone.exchange(0).await?;
    phone.exchange(0).await?;
    assert_eq!(phone.documents().await?, []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_village_that_moves_while_everybody_is_offline_loses_nothing() -> Result<()> {
    let desk = Desk::open(2).await?;
    let cadre = people::add(&desk.server, "cadre", Role::FieldCadre, desk.branch(0), false, PASSWORD).await?;
    let officer = people::add(&desk.server, "officer", Role::TownshipOfficer, desk.township(), false, PASSWORD).await?;
    let cookie = people::cookie(&desk.server, &officer).await?;
    let (phone, office) = (desk.enrol(&cookie, &cadre, "phone").await?, desk.enrol(&cookie, &officer, "office").await?);
    let book = desk.book(desk.branch(0), Book::Unit);
    let row = sync_protocol::RowId::random([7; 10]);
    phone.save(&book, "members", row, &[("name", "张三".into())], 0).await?;
    phone.exchange(0).await?;
    office.exchange(0).await?;
    phone.save(&book, "members", row, &[("remark", "村里填写".into())], 0).await?;
    office.save(&book, "members", row, &[("work_post", "乡镇填写".into())], 0).await?;

    let town = desk.server.store.unit(desk.township()).await?.context("the town")?;
    let other = UnitId::derive(&desk.server.tenant, None, "340099200");
    let other = Unit { id: other, code: Some("340099200".into()), name: "中共绿水镇委员会".into(), ..town };
    let village = desk.server.store.unit(desk.branch(0)).await?.context("the village")?;
    let village = Unit { parent: Some(other.id), ..village };
    desk.server.store.put_units(&[other, village]).await?;
    for _ in 0..2 {
        phone.exchange(0).await?;
        office.exchange(0).await?;
    }
    // The village goes on; what its old township typed waits for the new one.
    assert_eq!((phone.unsent().await?, phone.refused().await?.len()), (0, 0));
    assert_eq!(office.documents().await?, []);
    let held = desk.server.store.quarantined().await?;
    assert_eq!(held.len(), 1);
    desk.server.sync.admit_quarantined(held[0].hash, "绿水镇", 0).await?;
    phone.exchange(0).await?;
    let rows = phone.rows(&book, "members").await?;
    assert_eq!((rows[0].text("remark"), rows[0].text("work_post")), ("村里填写", "乡镇填写"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_shows_when_a_line_was_altered_or_cut_off() -> Result<()> {
    let desk = Desk::open(1).await?;
    people::add(&desk.server, "lina", Role::OfficeClerk, desk.township(), false, PASSWORD).await?;
    let store = desk.server.store.clone();
    let before = audit::verify(store.as_ref(), None).await?.lines;
    for _ in 0..3 {
        assert_eq!(desk.sign_in("lina", PASSWORD, None).await?.status(), StatusCode::OK);
    }
    let verified = audit::verify(store.as_ref(), None).await?;
    assert_eq!((verified.lines - before, verified.broken), (3, None));
    assert!(audit::verify(store.as_ref(), Some(&verified.head)).await?.knows);
    assert!(!audit::verify(store.as_ref(), Some(&[1; 32])).await?.knows, "a line that was cut off");
    store.close().await;
    // Somebody alters the file itself.
    let path = desk.folder.path().join("data/taizhang.sqlite");
    let mut bytes = std::fs::read(&path)?;
    let word = b"signed-in";
    let at = bytes.windows(word.len()).rposition(|window| window == word).context("a line")?;
    bytes[at..at + word.len()].copy_from_slice(b"signed-up");
    std::fs::write(&path, bytes)?;
    let server = county::open(&desk.folder.path().join("data"), None).await?;
    assert!(audit::verify(server.store.as_ref(), None).await?.broken.is_some());
    Ok(())
}
