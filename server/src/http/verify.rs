//! `/verify`: whoever holds a return has it checked, or its code looked up. Open to everybody, and says nothing to a stranger but
//! what stands on the return.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json,
    extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request, State},
    http::{header, request::Parts},
    response::{Html, IntoResponse},
};
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Asker, Path, Raw},
};
use crate::{
    Server,
    audit::{self, Event},
    origin,
    returns::{
        codes::{self, Known},
        verify::{self, Verified, VerifyError},
    },
};

/// Bytes of a workbook that anybody may send.
const WORKBOOK_BYTES_MAX: usize = 4 << 20;
/// Workbooks of strangers that are read at once.
const TURNS_MAX: usize = 2;

static TURNS: Semaphore = Semaphore::const_new(TURNS_MAX);
/// Those that still come in, however slowly: they take nobody's place in the queue.
static COMING: Places = Places::new(32);
/// Those that are read or wait for it.
static WAITING: Places = Places::new(12);

/// Places of which one address cannot take all.
struct Places {
    all_max: usize,
    taken: Mutex<BTreeMap<Option<IpAddr>, usize>>,
}

/// It is free again when this is dropped.
struct Place {
    places: &'static Places,
    of: Option<IpAddr>,
}

impl Places {
    /// Those of one address.
    const OF_ONE_MAX: usize = 2;

    const fn new(all_max: usize) -> Self {
        Self { all_max, taken: Mutex::new(BTreeMap::new()) }
    }

    /// Takes one for whoever asks.
    fn take(&'static self) -> Result<Place, ApiError> {
        let of = origin::address().map(origin::network);
        let mut taken = self.taken();
        let all: usize = taken.values().sum();
        let own = taken.get(&of).copied().unwrap_or(0);
        if all >= self.all_max || own >= Self::OF_ONE_MAX {
            return Err(ApiError::TooMany(5));
        }
        taken.insert(of, own + 1);
        Ok(Place { places: self, of })
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<Option<IpAddr>, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        let left = taken.get(&self.of).copied().unwrap_or(0).saturating_sub(1);
        match left {
            0 => taken.remove(&self.of),
            left => taken.insert(self.of, left),
        };
    }
}

/// Takes a place in the queue and waits for its turn: both last until they are dropped.
async fn turn() -> Result<(Place, Option<SemaphorePermit<'static>>), ApiError> {
    let place = WAITING.take()?;
    // It is never closed.
    Ok((place, TURNS.acquire().await.ok()))
}

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(check)).routes(routes!(code)).layer(DefaultBodyLimit::max(WORKBOOK_BYTES_MAX))
}

pub(super) fn page_routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(page)).routes(routes!(script))
}

/// Check a return: is it as it was drawn here, and is what it was drawn of still so. The body is the workbook.
#[utoipa::path(post, path = "/api/returns/verify", tag = "returns", request_body(content = Vec<u8>,
    content_type = "application/octet-stream"), responses((status = 200, body = Verified)))]
async fn check(State(server): State<Arc<Server>>, request: Request) -> Result<Json<Verified>, ApiError> {
    // Before anything is read: what comes in slowly is kept meanwhile.
    let coming = COMING.take()?;
    let Raw(bytes) = Raw::from_request(request, &server).await?;
    drop(coming);
    let _turn = turn().await?;
    Ok(Json(verify::verify_for_stranger(&server, bytes.to_vec()).await?))
}

/// Look up the code that is printed on a return. Whoever has signed in and may draw returns of its unit is shown what it said;
/// everybody else is told whether there is such a return.
#[utoipa::path(get, path = "/api/returns/codes/{code}", tag = "returns", params(("code" = String, Path,
    description = "As it is printed; blanks, dashes and small letters do not matter")),
    responses((status = 200, body = Known)))]
async fn code(
    State(server): State<Arc<Server>>,
    Path(typed): Path<String>,
    mut parts: Parts,
) -> Result<Json<Known>, ApiError> {
    let caller = Asker::from_request_parts(&mut parts, &server).await.ok().map(|Asker(caller)| caller);
    // Whoever may see what it said has it drawn again; to a stranger it is only said whether there is one.
    let known = if let Some(caller) = &caller {
        let (drawer, by) = (server.clone(), caller.clone());
        server.heavy.run(caller, async move { codes::look_up(&drawer, &typed, Some(&by)).await }).await??
    } else {
        let _turn = turn().await?;
        codes::look_up(&server, &typed, None).await?
    };
    let sentence = "校验码为 16 位字母和数字 2–7，见报表下方 | a code has 16 letters and digits from 2 to 7: it stands below the return";
    let known = known.ok_or_else(|| ApiError::BadRequest(sentence.into()))?;
    if let (Some(caller), Some(drawn)) = (&caller, &known.drawn) {
        let detail = json!({ "return": drawn.number, "code": known.code, "class": drawn.class, "date": drawn.date });
        audit::note(&server, caller, Event::ReturnDrawn, drawn.unit.parse().ok(), detail).await?;
    }
    Ok(Json(known))
}

/// A page on which anybody has a return checked.
#[utoipa::path(get, path = "/verify", tag = "returns",
    responses((status = 200, content_type = "text/html", body = String)))]
async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("verify.html")))
}

/// What that page does.
#[utoipa::path(get, path = "/verify.js", tag = "returns",
    responses((status = 200, content_type = "text/javascript", body = String)))]
async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("verify.js"))
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Read(error) => ApiError::BadRequest(error.to_string()),
            VerifyError::Store(error) => error.into(),
        }
    }
}
