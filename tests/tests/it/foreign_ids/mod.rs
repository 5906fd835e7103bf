//! Ids of others, on every route that takes one: what exists elsewhere is answered like what does not exist anywhere, and
//! nothing happens. The requests are made from what is written down about the routes, so that a new one cannot be forgotten.

mod routes;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result};
use reqwest::{Client, Method};
use serde_json::Value;
use server::{
    Server,
    auth::Role,
    store::{AttachmentPart, DeviceRecord, Person, ProposalQuery, token_hash},
    submissions::{self, Wanted},
};
use sync_protocol::{
    Book, ChangeHash, DeviceId, Identity, RowId, UnitId,
    client::Trust,
    unit::{Unit, UnitLevel},
};
use tests::{county, people, sheet, waiting};

use routes::{Kind, Route, routes};

/// Whose it is: what is asked for within one's own units, and four that are not to be had.
const OWN: usize = 0;
const OTHERS: [&str; 4] = ["another town's", "the county's", "nobody's", "nonsense"];

/// Routes of those who see the whole county: to nobody else do they answer anything but that.
const OF_THE_COUNTY: [(&str, &str); 3] =
    [("post", "/api/people"), ("put", "/api/people/{id}"), ("post", "/api/people/{id}/password")];

/// Routes that have nothing for what is one's own here: nobody reviews what their own unit submits, and of this record nothing
/// restricted is kept.
const NOTHING_OWN: [(&str, &str); 2] = [("post", "/api/submissions/{number}/steps"), ("post", "/api/erasures")];

/// What there is of each kind: one's own, then [`OTHERS`].
type Ids = BTreeMap<Kind, [String; 5]>;

/// Whoever asks: in a cookie, or by a token.
struct Asker {
    name: &'static str,
    header: (&'static str, String),
}

struct County {
    server: Server,
    url: String,
    client: Client,
    ids: Ids,
    askers: Vec<Asker>,
    _folder: tempfile::TempDir,
}

const PASSWORD: &str = "correct horse battery";

fn unit(server: &Server, code: &str, level: UnitLevel, parent: UnitId) -> Unit {
    let (id, code, name) = (UnitId::derive(&server.tenant, None, code), Some(code.to_owned()), format!("单位{code}"));
    Unit { id, parent: Some(parent), level, code, name, short_name: None, sort_order: 0 }
}

fn device(number: u8, name: &str, unit: UnitId, person: &Person) -> DeviceRecord {
    let record = DeviceRecord::new(DeviceId::from_bytes([number; 16]), (name, name), name, unit, &[Book::Unit]);
    DeviceRecord { person: Some(person.id), ..record }
}

/// Waits until a workbook is planned; its id.
async fn import(client: &Client, url: &str, cookie: &str) -> Result<String> {
    let file = sheet::workbook(&[("党员", "党组织编码|姓名\nA1|张三")])?;
    let request = client.post(format!("{url}/api/imports?file=a.xlsx")).header("cookie", cookie).body(file);
    let status: Value = request.send().await?.error_for_status()?.json().await?;
    let id = status["id"].as_str().context("an id")?.to_owned();
    for _ in 0..500 {
        let status = client.get(format!("{url}/api/imports/{id}")).header("cookie", cookie).send().await?;
        if status.json::<Value>().await?["state"] != "planning" {
            return Ok(id);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("{id} is never planned")
}

/// One of everything at a place; its number tells it apart.
struct Place {
    /// The unit of records.
    unit: UnitId,
    /// Where people are who work there.
    office: UnitId,
    number: u8,
}

async fn fill(server: &Server, url: &str, client: &Client, place: &Place) -> Result<BTreeMap<Kind, String>> {
    let Place { unit, office, number } = *place;
    let identity = Identity { unit, book: Book::Unit, period: server.period() };
    let name = |what: &str| format!("{what}{number}");
    let carrier = people::add(server, &name("carrier"), Role::FieldCadre, unit, false, PASSWORD).await?;
    let handler = people::add(server, &name("sender"), Role::OfficeClerk, office, true, PASSWORD).await?;
    let row = RowId::random([number; 10]);
    let enrolled = device(number, &name("device"), unit, &carrier);
    server.store.put_device(&enrolled, 0).await?;
    let folder = tempfile::tempdir()?;
    let phone = county::open_device(server, folder.path(), url, &name("device")).await?;
    phone.save(&identity, "members", row, &[("name", "张三".into())], 0).await?;
    phone.exchange(0).await?;
    let held = waiting::held(number, &identity, enrolled.id);
    server.store.quarantine(std::slice::from_ref(&held), 1 << 20).await?;
    server.store.proposals().propose(&identity, &[waiting::proposed(row)], 0).await?;
    let proposal = proposals(server).await?.last().context("a proposal")?.clone();
    let photo = AttachmentPart {
        unit,
        hash: [number; 32],
        size: 3,
        offset: 0,
        bytes: vec![0xff, 0xd8, 0xff],
        device: Some(enrolled.id),
        received_at_ms: 0,
        unit_bytes_max: 1 << 20,
        device_bytes_max: 1 << 20,
        is_it: |_, _| true,
    };
    server.store.append_attachment(&photo).await?;
    let cookie = people::cookie(server, &handler).await?;
    let mut ids = BTreeMap::from([
        (Kind::Unit, unit.to_string()),
        (Kind::Person, carrier.id.to_string()),
        (Kind::Device, enrolled.id.to_string()),
        (Kind::Row, row.to_string()),
        (Kind::Held, held.hash.to_string()),
        (Kind::Proposal, proposal.0.to_string()),
        (Kind::Import, import(client, url, &cookie).await?),
        (Kind::Photo, ChangeHash(photo.hash).to_string()),
    ]);
    let office = server.store.unit(office).await?.context("an office")?;
    if office.level == UnitLevel::ReportingUnit {
        let wanted = Wanted {
            unit: office,
            return_no: "R03".into(),
            period: None,
            choices: Vec::new(),
            date: jiff::civil::date(2012, 11, 10),
            due_on: None,
            explanation: Some("照报".into()),
        };
        let submission = Box::pin(submissions::submit(server, &wanted, "test")).await?;
        ids.insert(Kind::Submission, submission.number.to_string());
    }
    Ok(ids)
}

/// All proposals, as they stand.
async fn proposals(server: &Server) -> Result<Vec<(i64, String)>> {
    let query = ProposalQuery {
        top: server.county,
        books: vec![Book::Unit, Book::Township, Book::County],
        state: None,
        period: None,
        after: 0,
        limit: 1000,
    };
    let found = server.store.proposals().list(&query).await?;
    Ok(found.into_iter().map(|proposal| (proposal.number, format!("{proposal:?}"))).collect())
}

async fn county() -> Result<County> {
    let folder = tempfile::tempdir()?;
    let server = county::open(&folder.path().join("data"), None).await?;
    let top = server.county;
    let towns = ["A", "B", "C"].map(|code| unit(&server, code, UnitLevel::ReportingUnit, top));
    let villages = [0, 1, 2].map(|at| unit(&server, ["A1", "B1", "C1"][at], UnitLevel::Organisation, towns[at].id));
    server.store.put_units(&towns).await?;
    server.store.put_units(&villages).await?;
    let (url, client) = (county::serve(&server).await?, Trust::new(None)?.client()?);
    let places = [
        Place { unit: villages[0].id, office: towns[0].id, number: 1 },
        Place { unit: villages[1].id, office: towns[1].id, number: 2 },
        Place { unit: top, office: top, number: 3 },
        Place { unit: villages[2].id, office: towns[2].id, number: 4 },
    ];
    let mut of_places = Vec::new();
    for place in &places {
        of_places.push(fill(&server, &url, &client, place).await?);
    }
    // Nobody's are of the same shape.
    let nobodys = BTreeMap::from([
        (Kind::Unit, UnitId::derive(&server.tenant, None, "nowhere").to_string()),
        (Kind::Person, "00000000-0000-4000-8000-000000000009".to_owned()),
        (Kind::Device, DeviceId::from_bytes([99; 16]).to_string()),
        (Kind::Row, RowId::random([99; 10]).to_string()),
        (Kind::Held, ChangeHash([99; 32]).to_string()),
        (Kind::Proposal, "9999".to_owned()),
        (Kind::Import, of_places[0][&Kind::Import].chars().rev().collect()),
        (Kind::Submission, "9999".to_owned()),
        (Kind::Photo, ChangeHash([99; 32]).to_string()),
    ]);
    let mut ids = Ids::new();
    for (kind, nobodys) in nobodys {
        let of = |place: usize| of_places[place].get(&kind).cloned();
        // The county submits nothing: a third town does.
        let countys = of(2).or(of(3)).context("something")?;
        ids.insert(
            kind,
            [of(0).context("one's own")?, of(1).context("another's")?, countys, nobodys, "no-id".to_owned()],
        );
    }
    let mut askers = Vec::new();
    for (name, role, is_handler) in [
        ("cadre", Role::FieldCadre, false),
        ("clerk", Role::OfficeClerk, false),
        ("officer", Role::TownshipOfficer, false),
        ("head", Role::TownshipOfficer, true),
        ("supervisor", Role::CountySupervisor, false),
    ] {
        let person = people::add(&server, name, role, towns[0].id, is_handler, PASSWORD).await?;
        askers.push(Asker { name, header: ("cookie", people::cookie(&server, &person).await?) });
    }
    for name in ["carrier1", "sender1"] {
        let (person, _) = server.store.people().person_by_name(name).await?.context("known")?;
        askers.push(Asker { name, header: ("cookie", people::cookie(&server, &person).await?) });
    }
    for (number, name, role, is_handler) in
        [(11, "phone", Role::FieldCadre, false), (12, "office", Role::OfficeClerk, true)]
    {
        let books = role.books(UnitLevel::ReportingUnit, is_handler);
        let id = DeviceId::from_bytes([number; 16]);
        let record = DeviceRecord::new(id, (name, name), name, towns[0].id, &books.reads);
        server.store.put_device(&DeviceRecord { role, writes: books.writes, ..record }, 0).await?;
        askers.push(Asker { name, header: ("authorization", format!("Bearer {name}")) });
    }
    assert!(server.store.device_by_token(&token_hash("phone")).await?.is_some());
    Ok(County { server, url, client, ids, askers, _folder: folder })
}

/// An answer as far as it can tell anything.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    media: Option<String>,
    text: Vec<u8>,
}

impl County {
    /// `whose` says of each id of the route whose it is.
    async fn ask(&self, route: &Route, asker: &Asker, whose: &[usize]) -> Result<Answer> {
        let value = |name: &str| {
            let at = route.ids.iter().position(|(id, _)| id == name)?;
            Some(self.ids[&route.ids[at].1][whose[at]].clone())
        };
        let mut path = route.path.clone();
        for part in route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let set = route.in_path.get(part).and_then(Value::as_str).map(str::to_owned);
            let set = value(part).or(set).with_context(|| format!("{}: what is {part}?", route.path))?;
            path = path.replace(&format!("{{{part}}}"), &set);
        }
        let mut query = Vec::new();
        for (name, set) in &route.in_query {
            let set =
                value(name).or_else(|| set.as_ref().map(|set| set.as_str().map_or(set.to_string(), str::to_owned)));
            query.extend(set.map(|set| format!("{name}={set}")));
        }
        let address = format!("{}{path}?{}", self.url, query.join("&"));
        let mut request = self.client.request(Method::from_bytes(route.method.to_uppercase().as_bytes())?, address);
        request = request.header(asker.header.0, &asker.header.1);
        if let Some(body) = &route.in_body {
            let mut body = body.clone();
            for (name, _) in &route.ids {
                if !route.in_query.contains_key(name) && !route.path.contains(&format!("{{{name}}}")) {
                    body.insert(name.clone(), value(name).into());
                }
            }
            request = request.json(&body);
        } else if route.has_bytes {
            request = request.body("nonsense");
        }
        let response = request.send().await?;
        let media =
            response.headers().get("content-type").map(|media| media.to_str().map(str::to_owned)).transpose()?;
        Ok(Answer { status: response.status().as_u16(), media, text: response.bytes().await?.to_vec() })
    }

    /// Everything that is stored, as far as the store tells it.
    async fn everything(&self) -> Result<String> {
        let store = &self.server.store;
        let mut devices = store.devices().await?;
        for seen in &mut devices {
            (seen.last_seen_ms, seen.clock_ahead_ms, seen.oldest_unsent_ms) = Default::default();
        }
        let mut documents = Vec::new();
        for (identity, heads) in store.all_identities().await? {
            documents.push((store.projection(identity.document(&self.server.tenant)).await?, identity, heads));
        }
        let held = store.quarantined().await?;
        let people = store.people().everybody().await?;
        let (units, moves) = (store.units().await?, store.moves(self.server.county).await?);
        let others =
            (store.submissions().await?, store.doubts().await?, store.newest().await?, store.conflicts().await?);
        let (batches, proposals) = (store.batches().await?, proposals(&self.server).await?);
        Ok(format!("{devices:?}{documents:?}{held:?}{people:?}{units:?}{moves}{others:?}{batches:?}{proposals:?}"))
    }

    /// What was noted besides that somebody asked for what is not theirs: whatever is done has its line. Among what is one's own
    /// a cell's history may be asked for, of whatever row; and an order to erase is noted before it is known whether there is
    /// anything.
    async fn deeds(&self) -> Result<Vec<String>> {
        let lines = self.server.store.people().audit(0, 100_000).await?.into_iter();
        let told = lines.map(|line| format!("{} {} {}", line.entry.event, line.entry.who, line.entry.detail));
        let is_deed =
            |line: &String| !["denied ", "history-read ", "erasure-ordered "].iter().any(|e| line.starts_with(e));
        Ok(told.filter(is_deed).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_somebody_elses_is_answered_like_what_does_not_exist() -> Result<()> {
    let routes = routes()?;
    assert!(routes.len() > 20, "{} routes", routes.len());
    let county = county().await?;
    let (before, deeds) = (county.everything().await?, county.deeds().await?);
    let (mut wrong, mut cases, mut hidden) = (Vec::new(), 0, BTreeSet::new());
    for route in &routes {
        // All ids of one side; and each of them alone among one's own.
        let all = |side: usize| vec![side; route.ids.len()];
        let one = |at: usize, side: usize| {
            let mut whose = all(OWN);
            whose[at] = side;
            whose
        };
        let mut rounds: Vec<Vec<Vec<usize>>> = vec![(1..=OTHERS.len()).map(all).collect()];
        if route.ids.len() > 1 {
            // What is no id at all may be told from one.
            rounds.extend((0..route.ids.len()).map(|at| (1..OTHERS.len()).map(|side| one(at, side)).collect()));
        }
        for asker in &county.askers {
            for round in &rounds {
                let mut answers = Vec::new();
                for whose in round {
                    answers.push(county.ask(route, asker, whose).await?);
                    cases += 1;
                }
                if answers.iter().any(|answer| answer.status == 404) {
                    hidden.insert((&*route.method, &*route.path));
                }
                for (answer, what) in answers.iter().zip(OTHERS) {
                    let is_alone = answers.len() < OTHERS.len();
                    let is_nothing = matches!(answer.status, 401 | 403 | 404);
                    // What cannot be an id is told as soon as it is read: it says nothing about what there is.
                    let is_like = answer == &answers[2] || what == "nonsense";
                    if !is_like || !(is_alone || is_nothing) {
                        let says =
                            |answer: &Answer| format!("{} {}", answer.status, String::from_utf8_lossy(&answer.text));
                        let (got, expected) = (says(answer), says(&answers[2]));
                        let Route { method, path, .. } = route;
                        wrong.push(format!("{method} {path} by {}, {what}: {got}, not {expected}", asker.name));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "of {cases} cases:\n{}", wrong.join("\n"));
    assert!(cases > 500, "{cases}");
    let blind: Vec<_> =
        routes.iter().map(|route| (&*route.method, &*route.path)).filter(|r| !hidden.contains(r)).collect();
    assert_eq!(blind, OF_THE_COUNTY, "nobody got as far as being told that there is no such thing");
    assert_eq!(county.deeds().await?, deeds, "nothing was done");
    assert!(county.everything().await? == before, "nothing has changed");

    // The same requests with ids of one's own are something: so it was the ids.
    let mut nothing = Vec::new();
    for route in routes.iter().filter(|route| !OF_THE_COUNTY.contains(&(&*route.method, &*route.path))) {
        let mut statuses = BTreeSet::new();
        for asker in &county.askers {
            statuses.insert(county.ask(route, asker, &vec![OWN; route.ids.len()]).await?.status);
        }
        let is_something = statuses.iter().any(|status| !matches!(status, 401 | 403 | 404));
        if is_something == NOTHING_OWN.contains(&(&*route.method, &*route.path)) {
            nothing.push(format!("{} {}: {statuses:?}", route.method, route.path));
        }
    }
    assert!(nothing.is_empty(), "{}", nothing.join("\n"));
    assert!(county.everything().await? != before, "some of it was done");
    Ok(())
}
