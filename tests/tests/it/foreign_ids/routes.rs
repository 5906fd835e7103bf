//! The routes that take an id, from what is written down about them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

/// What an id is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Unit,
    Person,
    Device,
    Row,
    Held,
    Proposal,
    Import,
    Submission,
    Photo,
}

/// Names of parameters that say no id.
const NO_IDS: [&str; 38] = [
    "access_token",
    "after",
    "anyway",
    "as_of_ms",
    "as_of_seq",
    "cell",
    "choices",
    "column",
    "copies",
    "date",
    "due_on",
    "explanation",
    "file",
    "from",
    "full_name",
    "is_disabled",
    "is_handler",
    "is_mine",
    "keys",
    "ledger",
    "limit",
    "name",
    "new",
    "nonce",
    "offset",
    "old",
    "password",
    "period",
    "reason",
    "role",
    // What a device keeps of its key, signed by itself.
    "sealed",
    "since_seq",
    "size",
    "state",
    "to",
    "token",
    // One-time codes; and the code of a return, of which anybody may ask whether it was drawn here.
    "code",
    "whole",
];

/// What an id of this name is of; none, if it is no id.
fn kind(method: &str, path: &str, name: &str) -> Result<Option<Kind>> {
    let of_path = [
        ("/api/people/", Kind::Person),
        ("/api/devices/", Kind::Device),
        ("/api/session/devices/", Kind::Device),
        ("/api/proposals/", Kind::Proposal),
        ("/api/imports/", Kind::Import),
    ];
    Ok(match name {
        "unit" => Some(Kind::Unit),
        "person" => Some(Kind::Person),
        "row" => Some(Kind::Row),
        "number" if path.starts_with("/api/submissions/") => Some(Kind::Submission),
        "hash" if path.starts_with("/api/quarantine/") => Some(Kind::Held),
        // Whoever hands a photo over names it by what it is.
        "hash" if path.contains("/attachments/") => (method == "get").then_some(Kind::Photo),
        "id" => {
            let found = of_path.iter().find(|(start, _)| path.starts_with(start));
            Some(found.with_context(|| format!("{method} {path}: whose id is `id`? Say it in `kind`"))?.1)
        }
        name if NO_IDS.contains(&name) => None,
        other => {
            anyhow::bail!("{method} {path}: is `{other}` an id? Say of what in `kind`, or that it is none in `NO_IDS`")
        }
    })
}

/// A value that makes sense where no id stands.
fn sample(path: &str, name: &str) -> Option<Value> {
    Some(match name {
        "name" if path == "/api/returns" => json!("members"),
        "name" if path == "/api/submissions" || path == "/api/returns/rows" => json!("R03"),
        "cell" => json!("C8"),
        "name" | "full_name" => json!("某人"),
        "ledger" => json!("members"),
        "column" => json!("name"),
        "role" => json!("field-cadre"),
        "reason" => json!("期满"),
        "to" => json!("approved"),
        "is_handler" | "is_disabled" => json!(false),
        "is_mine" | "anyway" => json!(true),
        "offset" => json!(0),
        "size" => json!(9),
        "hash" => json!("07".repeat(32)),
        _ => return None,
    })
}

/// A route with ids: where each of them stands, and what stands besides.
#[derive(Debug)]
pub struct Route {
    pub method: String,
    pub path: String,
    pub ids: Vec<(String, Kind)>,
    pub in_path: BTreeMap<String, Value>,
    pub in_query: BTreeMap<String, Option<Value>>,
    /// A body of JSON.
    pub in_body: Option<Map<String, Value>>,
    pub has_bytes: bool,
}

/// Every route that takes an id, from what is written down.
pub fn routes() -> Result<Vec<Route>> {
    let described: Value = serde_json::from_str(&server::http::document())?;
    let mut routes = Vec::new();
    for (path, methods) in described["paths"].as_object().context("paths")? {
        for (method, operation) in methods.as_object().context("methods")? {
            let mut route = Route {
                method: method.clone(),
                path: path.clone(),
                ids: Vec::new(),
                in_path: BTreeMap::new(),
                in_query: BTreeMap::new(),
                in_body: None,
                has_bytes: false,
            };
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().context("a name")?;
                let value = match kind(method, path, name)? {
                    Some(kind) => {
                        route.ids.push((name.to_owned(), kind));
                        None
                    }
                    None => sample(path, name),
                };
                if parameter["in"] == "path" {
                    route.in_path.extend(value.map(|value| (name.to_owned(), value)));
                } else {
                    route.in_query.insert(name.to_owned(), value);
                }
            }
            let content = &operation["requestBody"]["content"];
            if let Some(name) = content["application/json"]["schema"]["$ref"].as_str() {
                let schema = &described["components"]["schemas"][name.rsplit('/').next().context("a name")?];
                let mut body = Map::new();
                for name in schema["properties"].as_object().context("properties")?.keys() {
                    let is_required =
                        schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
                    if let Some(kind) = kind(method, path, name)? {
                        route.ids.push((name.clone(), kind));
                    } else if let Some(value) = sample(path, name) {
                        body.insert(name.clone(), value);
                    } else if is_required {
                        body.insert(name.clone(), json!("?"));
                    }
                }
                route.in_body = Some(body);
            } else {
                route.has_bytes = !content.is_null();
            }
            if !route.ids.is_empty() {
                routes.push(route);
            }
        }
    }
    Ok(routes)
}
