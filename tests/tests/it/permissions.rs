//! Every route, by everybody, within their units and outside. The table says who may; the rules themselves are not asked.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, Result};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use server::{
    Server,
    auth::{Role, table},
    store::{DeviceRecord, Person},
};
use sync_protocol::{
    Book, ChangeHash, DeviceId, Identity, RowId, Tenant, UnitId,
    client::Trust,
    message::{ExchangeRequest, PROTOCOL, encode},
    unit::{Unit, UnitLevel},
};
use tests::{county, people, waiting};

/// What a route takes of a unit: one within the caller's, then one outside.
struct Side {
    unit: UnitId,
    person: Person,
    device: DeviceId,
    row: RowId,
    held: ChangeHash,
    proposal: i64,
}

/// Everybody who asks.
const CALLERS: [&str; 13] = [
    "nobody",
    "cadre",
    "clerk",
    "handler",
    "officer",
    "head",
    "supervisor",
    "auditor",
    "administrator",
    "phone",
    "office",
    "revoked",
    "fresh",
];

const SIGNED_IN: &str = "cadre clerk handler officer head supervisor auditor administrator";
const READERS: &str = "clerk handler officer head supervisor";
const IMPORTERS: &str = "handler head office";
const DEVICES: &str = "phone office";

/// Method, path, who may, what they get, and whether it is about a unit.
type Line = (&'static str, &'static str, String, u16, bool);

#[rustfmt::skip]
fn lines() -> Vec<Line> {
    let everybody = CALLERS.join(" ");
    let known = format!("{SIGNED_IN} {DEVICES} revoked fresh");
    let own_way_in = format!("{SIGNED_IN} fresh");
    [
        ("get", "/", &*everybody, 200, false),
        ("get", "/status", &everybody, 200, false),
        ("get", "/api/status", &everybody, 200, false),
        // The body names nobody: whoever asks learns only that.
        ("post", "/api/session", &everybody, 401, false),
        ("post", "/api/enrol", &everybody, 404, false),
        ("post", "/api/enrol/recovery", &everybody, 404, false),
        ("get", "/api/session", &known, 200, false),
        ("delete", "/api/session", &own_way_in, 204, false),
        // The new password is the old one.
        ("put", "/api/session/password", &own_way_in, 400, false),
        ("post", "/api/session/totp", SIGNED_IN, 200, false),
        // A code that is wrong.
        ("put", "/api/session/totp", SIGNED_IN, 401, false),
        ("delete", "/api/session/totp", SIGNED_IN, 401, false),
        // Nobody's device.
        ("put", "/api/session/devices/{id}", SIGNED_IN, 404, false),
        ("get", "/api/people", "administrator", 200, false),
        ("post", "/api/people", "administrator", 201, false),
        ("put", "/api/people/{id}", "administrator", 200, false),
        ("post", "/api/people/{id}/password", "administrator", 200, false),
        ("get", "/api/devices", "officer head administrator", 200, false),
        ("post", "/api/devices/invitations", "officer head administrator", 201, true),
        ("post", "/api/devices/{id}/revoke", "officer head administrator", 204, true),
        ("put", "/api/device/token", DEVICES, 204, false),
        ("get", "/api/device/keys", &format!("{DEVICES} revoked"), 200, false),
        ("get", "/api/units", &format!("{SIGNED_IN} {DEVICES}"), 200, false),
        ("get", "/api/catalogue", &format!("{SIGNED_IN} {DEVICES}"), 200, false),
        ("put", "/api/units/{unit}/attachments/{hash}", DEVICES, 200, true),
        // It is not whole yet.
        ("get", "/api/units/{unit}/attachments/{hash}", &format!("{READERS} phone office revoked"), 404, true),
        ("get", "/api/conflicts", READERS, 200, true),
        ("get", "/api/indicators", READERS, 200, true),
        ("get", "/api/changes", READERS, 200, true),
        ("get", "/api/history", READERS, 200, true),
        ("get", "/api/quarantine", "officer head supervisor", 200, false),
        // What waits is no change at all: it cannot be admitted.
        ("post", "/api/quarantine/{hash}/admit", "officer head supervisor", 409, true),
        ("post", "/api/quarantine/{hash}/reject", "officer head supervisor", 204, true),
        ("get", "/api/proposals", READERS, 200, false),
        // The cell says something else by now; and a reason is missing.
        ("post", "/api/proposals/{id}/accept", "clerk handler officer head", 409, true),
        ("post", "/api/proposals/{id}/reject", "clerk handler officer head", 400, true),
        ("get", "/api/erasures", "head", 200, true),
        // A record of which nothing restricted is kept.
        ("post", "/api/erasures", "head", 404, true),
        ("post", "/api/returns", READERS, 200, true),
        // A village has no lines.
        ("post", "/api/returns/rows", READERS, 400, true),
        ("get", "/api/submissions", READERS, 200, false),
        // A village submits nothing.
        ("post", "/api/submissions", "clerk handler officer head", 400, true),
        // No submitted return has this number.
        ("post", "/api/submissions/{number}/steps", "officer head supervisor", 404, false),
        ("get", "/api/submissions/{number}/differences", READERS, 404, false),
        ("get", "/api/submissions/{number}/workbook", READERS, 404, false),
        // Bytes that bear no seal.
        ("post", "/api/returns/verify", &everybody, 200, false),
        // No code at all.
        ("get", "/api/returns/codes/{code}", &everybody, 400, false),
        ("get", "/verify", &everybody, 200, false),
        ("get", "/verify.js", &everybody, 200, false),
        ("get", "/api/periods", &format!("{SIGNED_IN} {DEVICES}"), 200, false),
        // From a year that is later; and one that nobody has opened.
        ("post", "/api/periods", "administrator", 400, false),
        ("post", "/api/periods/{period}/seal", "administrator", 400, false),
        ("post", "/api/periods/{period}/unseal", "administrator", 400, false),
        ("get", "/api/audit", "auditor administrator", 200, false),
        ("get", "/api/audit/checkpoint", "auditor administrator", 200, false),
        // Bytes that are no bundle.
        ("post", "/api/bundles", "cadre clerk handler officer head administrator phone office", 400, false),
        ("post", "/api/imports", IMPORTERS, 202, false),
        ("get", "/api/imports", IMPORTERS, 200, false),
        // No upload has this id.
        ("get", "/api/imports/{id}", IMPORTERS, 404, false),
        ("get", "/api/imports/{id}/plan", IMPORTERS, 404, false),
        ("post", "/api/imports/{id}/apply", IMPORTERS, 404, false),
        ("get", "/api/imports/{id}/report", IMPORTERS, 404, false),
        ("get", "/api/imports/{id}/findings", IMPORTERS, 404, false),
        // What a revoked phone brings is still taken.
        ("post", "/sync/exchange", "phone office revoked", 200, false),
        // No request for a socket.
        ("get", "/sync/live", "phone office revoked", 400, false),
        ("get", "/sync/repo", "phone office revoked", 400, false),
    ]
    .map(|(method, path, may, status, is_at_unit)| (method, path, may.to_owned(), status, is_at_unit))
    .into()
}

fn unit(tenant: &Tenant, parent: UnitId, level: UnitLevel, code: &str) -> Unit {
    let id = UnitId::derive(tenant, None, code);
    let (code, name) = (Some(code.to_owned()), format!("单位{code}"));
    Unit { id, parent: Some(parent), level, code, name, short_name: None, sort_order: 0 }
}

struct County {
    server: Server,
    url: String,
    client: Client,
    people: Vec<(&'static str, Person)>,
    sides: [Side; 2],
    folder: tempfile::TempDir,
}

/// A one-time code that nobody was given.
const NO_CODE: &str = "NOBODYSCODENOBOD";
const TOKEN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const PASSWORD: &str = "correct horse battery";

async fn county() -> Result<County> {
    let folder = tempfile::tempdir()?;
    let server = county::open(&folder.path().join("data"), None).await?;
    let (tenant, top) = (server.tenant.clone(), server.county);
    let towns = ["A", "B"].map(|code| unit(&tenant, top, UnitLevel::ReportingUnit, code));
    let villages = [0, 1].map(|i| unit(&tenant, towns[i].id, UnitLevel::Organisation, ["A1", "B1"][i]));
    server.store.put_units(&towns).await?;
    server.store.put_units(&villages).await?;
    let url = county::serve(&server).await?;
    let town = towns[0].id;
    let mut known = Vec::new();
    for (name, role, unit, is_handler) in [
        ("cadre", Role::FieldCadre, town, false),
        ("clerk", Role::OfficeClerk, town, false),
        ("handler", Role::OfficeClerk, town, true),
        ("officer", Role::TownshipOfficer, town, false),
        ("head", Role::TownshipOfficer, town, true),
        ("supervisor", Role::CountySupervisor, town, false),
        ("auditor", Role::Auditor, top, false),
        ("administrator", Role::Administrator, top, false),
        ("fresh", Role::Administrator, top, false),
    ] {
        let person = people::add(&server, name, role, unit, is_handler, PASSWORD).await?;
        known.push((name, person));
    }
    let fresh = &known.last().context("fresh")?.1;
    let hash = server::auth::hash("fresh", PASSWORD).await?;
    people::set_password(&server, fresh.id, hash, true).await?;
    let mut sides = Vec::new();
    for (index, village) in villages.iter().enumerate() {
        let name = ["inside", "outside"][index];
        let device = county::device(&server, folder.path(), &url, name, village.id, &[Book::Unit]).await?;
        let identity = Identity { unit: village.id, book: Book::Unit, period: server.period() };
        let row = RowId::random([u8::try_from(index)?; 10]);
        device.save(&identity, "members", row, &[("name", "张三".into())], 0).await?;
        device.exchange(0).await?;
        let enrolled = server.store.device_by_token(&server::store::token_hash(name)).await?.context("enrolled")?;
        let held = waiting::held(u8::try_from(index)?, &identity, enrolled.id);
        server.store.quarantine(std::slice::from_ref(&held), 1 << 20).await?;
        server.store.proposals().propose(&identity, &[waiting::proposed(row)], 0).await?;
        let proposal = i64::try_from(index)? + 1;
        let person = people::add(&server, name, Role::FieldCadre, village.id, false, PASSWORD).await?;
        sides.push(Side { unit: village.id, person, device: enrolled.id, row, held: held.hash, proposal });
    }
    let sides = <[Side; 2]>::try_from(sides).ok().context("two")?;
    Ok(County { server, url, client: Trust::new(None)?.client()?, people: known, sides, folder })
}

impl County {
    /// The devices as they are at the beginning of each case: their names are their tokens.
    async fn enrol(&self) -> Result<()> {
        let town = self.server.store.unit(self.people[0].1.unit).await?.context("the town")?;
        for (index, name) in ["phone", "office", "revoked"].into_iter().enumerate() {
            let (role, is_handler) =
                if name == "office" { (Role::OfficeClerk, true) } else { (Role::FieldCadre, false) };
            let books = role.books(town.level, is_handler);
            let id = DeviceId::from_bytes([u8::try_from(index)?; 16]);
            let device = DeviceRecord::new(id, (name, name), name, town.id, &books.reads);
            let device = DeviceRecord { role, writes: books.writes, is_revoked: name == "revoked", ..device };
            self.server.store.put_device(&device, 0).await?;
        }
        Ok(())
    }

    async fn ask(&self, caller: &str, (method, path, ..): &Line, side: &Side, number: usize) -> Result<StatusCode> {
        let path = path.replace("{hash}", &side.held.to_string()).replace(
            "{id}",
            &match *path {
                path if path.starts_with("/api/people") => side.person.id.to_string(),
                path if path.starts_with("/api/devices") => side.device.to_string(),
                path if path.starts_with("/api/proposals") => side.proposal.to_string(),
                _ => "00000000-0000-0000-0000-000000000000".to_owned(),
            },
        );
        let path = path.replace("{period}", "2199").replace("{number}", "7").replace("{unit}", &side.unit.to_string());
        let query: Vec<(&str, String)> = match path.as_str() {
            "/api/conflicts" | "/api/indicators" | "/api/changes" | "/api/erasures" => {
                vec![("unit", side.unit.to_string())]
            }
            "/api/history" => vec![
                ("unit", side.unit.to_string()),
                ("ledger", "members".into()),
                ("row", side.row.to_string()),
                ("column", "name".into()),
            ],
            "/api/imports" => vec![("file", "a.xlsx".into())],
            path if path.contains("/attachments/") => vec![("offset", "0".into()), ("size", "9".into())],
            _ => Vec::new(),
        };
        let unit = side.unit.to_string();
        let profile = json!({ "full_name": "某人", "role": "field-cadre", "unit": unit, "is_handler": false,
                              "is_disabled": false, "name": format!("somebody{number}") });
        let body: Option<Value> = match path.as_str() {
            // Another name each time: whoever tries one again and again is told to wait.
            "/api/session" if *method == "post" => Some(json!({ "name": format!("x{number}"), "password": "y" })),
            "/api/enrol" => {
                Some(json!({ "code": NO_CODE, "keys": self.server.keys.public().to_string(), "token": TOKEN }))
            }
            "/api/enrol/recovery" => Some(json!({ "code": NO_CODE, "sealed": "" })),
            "/api/device/token" => Some(json!({ "token": TOKEN })),
            "/api/session/password" => Some(json!({ "old": PASSWORD, "new": PASSWORD })),
            "/api/session/totp" if *method != "post" => Some(json!({ "code": "000000" })),
            path if path.starts_with("/api/session/devices/") => Some(json!({ "is_mine": true })),
            "/api/devices/invitations" => Some(json!({ "person": side.person.id.to_string(), "name": "手机" })),
            "/api/erasures" if *method == "post" => {
                Some(json!({ "unit": unit, "ledger": "members", "row": side.row.to_string(), "reason": "期满" }))
            }
            "/api/returns" => Some(json!({ "name": "members", "unit": unit })),
            "/api/returns/rows" => Some(json!({ "name": "R02", "unit": unit, "cell": "C8" })),
            "/api/submissions" if *method == "post" => Some(json!({ "name": "R03", "unit": unit })),
            path if path.starts_with("/api/proposals") && path.ends_with("/reject") => Some(json!({ "reason": " " })),
            path if path.starts_with("/api/proposals") && path.ends_with("/accept") => Some(json!({})),
            "/api/periods" => Some(json!({ "period": "2012", "from": "2013" })),
            path if path.ends_with("/unseal") => Some(json!({ "reason": "补录" })),
            path if path.ends_with("/steps") => Some(json!({ "to": "approved" })),
            path if path.starts_with("/api/people") && !path.ends_with("/password") => Some(profile),
            _ => None,
        };
        let method = Method::from_bytes(method.to_uppercase().as_bytes())?;
        let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut request = self.client.request(method.clone(), format!("{}{path}?{}", self.url, query.join("&")));
        if let Some(body) = body {
            request = request.json(&body);
        } else if path == "/sync/exchange" {
            let (push, asks, held) = (Vec::new(), Vec::new(), Vec::new());
            let empty = ExchangeRequest { protocol: PROTOCOL, cursor: None, push, device_time_ms: 0, asks, held };
            request = request.body(encode(&empty));
        } else if method != Method::GET {
            request = request.body("nonsense");
        }
        request = match self.people.iter().find(|(name, _)| *name == caller) {
            Some((_, person)) => request.header("cookie", people::cookie(&self.server, person).await?),
            None if caller == "nobody" => request,
            None => request.bearer_auth(caller),
        };
        Ok(request.send().await?.status())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_open_to_whom_the_table_says_and_to_nobody_else() -> Result<()> {
    let described: Value = serde_json::from_str(&server::http::document())?;
    let mut routes = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().context("paths")? {
        routes.extend(methods.as_object().context("methods")?.keys().map(|method| (method.clone(), path.clone())));
    }
    let lines = lines();
    let tabled: BTreeSet<_> =
        lines.iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
    assert_eq!(tabled, routes, "every route has its line, and every line its route");

    let county = county().await?;
    let (mut cases, mut wrong) = (0, Vec::new());
    for line in &lines {
        let (method, path, may, status, is_at_unit) = line;
        for caller in CALLERS {
            let may = may.split_whitespace().any(|name| name == caller);
            let sides = if *is_at_unit { &county.sides[..] } else { &county.sides[..1] };
            for (index, side) in sides.iter().enumerate() {
                county.enrol().await?;
                let is_device = ["phone", "office", "revoked"].contains(&caller);
                let needs_person = path.starts_with("/api/session");
                let needs_device = path.starts_with("/sync/") || path.starts_with("/api/device/");
                let is_stranger = caller == "nobody" || (needs_person && is_device) || (needs_device && !is_device);
                let sees_all = ["auditor", "administrator"].contains(&caller);
                let expected = match (may, index) {
                    (true, 1) if !sees_all => 404,
                    (true, _) => *status,
                    (false, _) if is_stranger => 401,
                    (false, _) => 403,
                };
                cases += 1;
                let mut got = county.ask(caller, line, side, cases).await?.as_u16();
                // All of them come from one address, which may try to get in thirty times, and then once a second.
                if got == 429 {
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    got = county.ask(caller, line, side, cases).await?.as_u16();
                }
                if got != expected {
                    wrong.push(format!("{method} {path} by {caller}, side {index}: {got}, not {expected}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "of {cases} cases:\n{}", wrong.join("\n"));
    assert!(cases > 500, "{cases}");
    drop(county.folder);
    Ok(())
}

#[test]
fn what_is_written_down_is_what_holds() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (path, expected, command) in
        [("docs/permissions.md", table(), "permissions"), ("server/openapi.json", server::http::document(), "openapi")]
    {
        let written = std::fs::read_to_string(root.join(path))?;
        assert!(written == expected, "{path} is not up to date: cargo run --bin taizhang -- {command} > {path}");
    }
    Ok(())
}
