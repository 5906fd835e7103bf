//! `server/openapi.json`: what every route takes and answers.

use utoipa::{
    OpenApi,
    openapi::{
        Content, Ref, RefOr, Response,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use super::{caller::COOKIE, error::Problem};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Taizhang 台账通",
        description = "Offline-first ledgers. Times are milliseconds since 1970 (`_ms`); errors are RFC 9457 problem details."
    ),
    components(schemas(Problem))
)]
struct Base;

/// Routes that anybody may ask.
pub(super) const OPEN: [(&str, &str); 9] = [
    ("get", "/"),
    ("get", "/api/status"),
    ("post", "/api/session"),
    ("post", "/api/enrol"),
    ("post", "/api/enrol/recovery"),
    ("post", "/api/returns/verify"),
    ("get", "/api/returns/codes/{code}"),
    ("get", "/verify"),
    ("get", "/verify.js"),
];

/// Routes at which somebody with a session may guess a password or a one-time code: not for ever.
const GUESSED: [(&str, &str); 4] = [
    ("put", "/api/session/password"),
    ("post", "/api/session/totp"),
    ("put", "/api/session/totp"),
    ("delete", "/api/session/totp"),
];

/// Routes that make the server work for seconds: one at a time.
const HEAVY: [(&str, &str); 5] = [
    ("post", "/api/returns"),
    ("get", "/api/changes"),
    ("post", "/api/submissions"),
    ("get", "/api/submissions/{number}/differences"),
    ("get", "/api/imports/{id}/findings"),
];

/// What any route may answer instead of its result.
const PROBLEMS: [(&str, &str); 10] = [
    ("400", "the request makes no sense"),
    ("401", "not signed in, or an unknown device token"),
    ("403", "not with this role"),
    ("404", "no such thing, or not within one's units"),
    ("408", "it took too long"),
    ("409", "not now"),
    ("413", "more than is read"),
    ("415", "another media type or encoding"),
    ("500", "our fault: nothing is lost"),
    ("503", "not now: too many others wait, or the disk is full or failing"),
];

/// The document, as JSON.
pub fn document() -> String {
    serde_json::to_string_pretty(&described()).expect("texts and numbers") + "\n"
}

fn described() -> utoipa::openapi::OpenApi {
    let super::Routes { requests, attempts, checks, sockets } = super::routes();
    let router = OpenApiRouter::with_openapi(Base::openapi());
    let router = router.merge(requests).merge(attempts).merge(checks).merge(sockets);
    let mut document = router.into_openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    let components = document.components.get_or_insert_default();
    let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE)));
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    components.add_security_scheme("session", cookie);
    components.add_security_scheme("device", bearer);
    for (path, item) in &mut document.paths.paths {
        let operations =
            [("get", &mut item.get), ("post", &mut item.post), ("put", &mut item.put), ("delete", &mut item.delete)];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            // Handlers of different resources have the same names.
            let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
            operation.operation_id = Some(std::iter::once(method).chain(words).collect::<Vec<_>>().join("_"));
            for (status, words) in PROBLEMS {
                let problem = || problem(words);
                operation.responses.responses.entry(status.to_owned()).or_insert_with(problem);
            }
            let is_open = OPEN.contains(&(method, path.as_str()));
            if is_open || [&GUESSED[..], &HEAVY].concat().contains(&(method, path.as_str())) {
                operation.responses.responses.insert("429".into(), problem("too often"));
            }
            if !is_open {
                let needs = |name: &str| SecurityRequirement::new::<_, [&str; 0], &str>(name, []);
                operation.security = Some(vec![needs("session"), needs("device")]);
            }
        }
    }
    document
}

fn problem(words: &str) -> RefOr<Response> {
    let schema = Ref::from_schema_name("Problem");
    let mut response = Response::new(words);
    response.content.insert("application/problem+json".into(), Content::new(Some(schema)).into());
    RefOr::T(response)
}
