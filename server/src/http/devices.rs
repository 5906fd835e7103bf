//! `/api/devices`: inviting, enrolling and revoking devices, and when each was last here.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sync_protocol::DeviceId;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Asker, Body, Path, Sender},
};
use crate::{
    Server,
    audit::{self, By, Event},
    auth::{Caller, Denied, Permission},
    devices::{self, EnrolError},
    store::{PersonId, SeenDevice},
};

/// Bytes of a sealed key: it is some hundreds of bytes.
const SEALED_BYTES_MAX: usize = 4096;

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(invite))
        .routes(routes!(revoke))
        .routes(routes!(rotate))
        .routes(routes!(keys))
}

/// Apart from the others, since how often it may be asked is limited.
pub(super) fn open_routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(enrol)).routes(routes!(recover))
}

/// A device, for whoever looks after it.
#[derive(Serialize, ToSchema)]
struct KnownDevice {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// Who carries it.
    owner: String,
    /// Id of the unit at the top of what it holds.
    unit: String,
    /// Whether it was revoked.
    is_revoked: bool,
    /// When it last handed something over, in milliseconds since 1970.
    last_seen_ms: Option<i64>,
    /// How far its clock was ahead of the server's then, in milliseconds.
    clock_ahead_ms: Option<i64>,
    /// How old the oldest change was that it handed over then, in milliseconds by its own clock.
    oldest_unsent_ms: Option<i64>,
    /// Who has invited it, if that is known.
    invited_by: Option<String>,
    /// Whether somebody else has invited it, and the person whose it is has not said yet that it is theirs.
    is_unconfirmed: bool,
}

impl From<SeenDevice> for KnownDevice {
    fn from(seen: SeenDevice) -> Self {
        let SeenDevice { device, last_seen_ms, clock_ahead_ms, oldest_unsent_ms, invited_by, is_unconfirmed } = seen;
        Self {
            id: device.id.to_string(),
            name: device.name,
            owner: device.owner,
            unit: device.unit.to_string(),
            is_revoked: device.is_revoked,
            last_seen_ms,
            clock_ahead_ms,
            oldest_unsent_ms,
            invited_by,
            is_unconfirmed,
        }
    }
}

/// The devices of one's units.
#[utoipa::path(get, path = "/api/devices", tag = "devices", responses((status = 200, body = Vec<KnownDevice>)))]
async fn list(State(server): State<Arc<Server>>, Asker(caller): Asker) -> Result<Json<Vec<KnownDevice>>, ApiError> {
    caller.may(Permission::ManageDevices)?;
    let mut known = Vec::new();
    for seen in server.store.devices().await? {
        if server.store.is_below(seen.device.unit, caller.grant.unit).await? {
            known.push(KnownDevice::from(seen));
        }
    }
    Ok(Json(known))
}

#[derive(Deserialize, ToSchema)]
struct NewDevice {
    /// Id of the person who will carry it.
    person: String,
    /// Its name in lists.
    name: String,
}

/// A one-time code, shown once.
#[derive(Serialize, ToSchema)]
struct Invited {
    /// The code.
    code: String,
    /// A link with the server's address and the code.
    link: String,
    /// The same as a QR code, an SVG image.
    qr: String,
    /// From when it is worth nothing, in milliseconds since 1970.
    expires_at_ms: i64,
}

/// Invite a person's device: a link and a QR code with a one-time code.
#[utoipa::path(post, path = "/api/devices/invitations", tag = "devices", request_body = NewDevice,
    responses((status = 201, body = Invited)))]
async fn invite(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    headers: HeaderMap,
    Body(NewDevice { person, name }): Body<NewDevice>,
) -> Result<(StatusCode, Json<Invited>), ApiError> {
    caller.may(Permission::ManageDevices)?;
    let id: PersonId = person.parse().map_err(|_| ApiError::NotFound)?;
    let person = server.store.people().person(id).await?.ok_or(ApiError::NotFound)?;
    caller.may_at(server.store.as_ref(), Permission::ManageDevices, person.unit).await?;
    let invited = devices::invite(&server, &person, &name, &caller).await?;
    // What the caller has reached the server by, the phone will reach it by, too.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let scheme = if server.is_secure { "https" } else { "http" };
    let link = format!("{scheme}://{host}/#enrol={}", invited.code);
    let qr = super::qr(&link)?;
    let invited = Invited { code: invited.code, link, qr, expires_at_ms: invited.expires_at_ms };
    Ok((StatusCode::CREATED, Json(invited)))
}

#[derive(Deserialize, ToSchema)]
struct Enrol {
    /// The one-time code.
    code: String,
    /// The device's public keys, as `taizhang keys` prints them: its Ed25519 key, and the age recipient for bundles.
    keys: String,
    /// 64 random hexadecimal digits that the device has drawn: what it shows in `Authorization: Bearer` from now on. Only
    /// their hash is kept here; whoever got no answer asks again with the same.
    token: String,
}

/// What a device knows from now on.
#[derive(Serialize, ToSchema)]
struct Enrolled {
    /// Its id.
    device: String,
    /// The county's public keys: the first signs receipts and bundles.
    server_keys: String,
    /// Whom its changes name.
    owner: String,
    /// Id of the unit at the top of what it holds.
    unit: String,
    /// The books it holds.
    books: Vec<String>,
    /// Those it may write to.
    writes: Vec<String>,
    /// The campaign year: the period of its documents.
    period: String,
}

/// Enrol a device with a one-time code and its public keys.
#[utoipa::path(post, path = "/api/enrol", tag = "devices", request_body = Enrol,
    responses((status = 201, body = Enrolled), (status = 404, description = "no such code, or it was used")))]
async fn enrol(
    State(server): State<Arc<Server>>,
    Body(Enrol { code, keys, token }): Body<Enrol>,
) -> Result<(StatusCode, Json<Enrolled>), ApiError> {
    let keys = keys.parse().map_err(|_| ApiError::BadRequest("设备公钥有误 | these are no public keys".into()))?;
    let enrolled = devices::enrol(&server, &code, keys, &token).await;
    if matches!(enrolled, Err(EnrolError::Unknown)) {
        audit::note_failed(&server, By::stranger(), Event::SignInFailed, &json!({ "what": "enrol" })).await;
    }
    let caller = Caller::device(enrolled?);
    let names = |books: &[sync_protocol::Book]| books.iter().map(|book| book.as_str().to_owned()).collect();
    let enrolled = Enrolled {
        device: caller.device.as_ref().map(|device| device.id.to_string()).unwrap_or_default(),
        server_keys: server.keys.public().to_string(),
        owner: caller.name.clone(),
        unit: caller.grant.unit.to_string(),
        books: names(&caller.books.reads),
        writes: names(&caller.books.writes),
        period: server.period(),
    };
    Ok((StatusCode::CREATED, Json(enrolled)))
}

#[derive(Deserialize, ToSchema)]
struct Recover {
    /// A one-time code of the person whose device it is.
    code: String,
    /// What the device keeps of its key, encrypted to this server and signed by the device, in base64.
    sealed: String,
    /// 64 random hexadecimal digits that the device has drawn for this: whoever got no answer asks again with the same.
    nonce: Option<String>,
}

/// The key to what a device has stored.
#[derive(Serialize, ToSchema)]
struct Recovered {
    /// The key, in hexadecimal digits.
    key: String,
}

/// Give back the key to what a device has stored, to whoever has forgotten its PIN and has a new one-time code.
#[utoipa::path(post, path = "/api/enrol/recovery", tag = "devices", request_body = Recover,
    responses((status = 200, body = Recovered), (status = 404, description = "no such code, or it was used")))]
async fn recover(
    State(server): State<Arc<Server>>,
    Body(Recover { code, sealed, nonce }): Body<Recover>,
) -> Result<impl IntoResponse, ApiError> {
    let sealed = BASE64.decode(sealed.as_bytes()).ok().filter(|sealed| sealed.len() <= SEALED_BYTES_MAX);
    let sealed = sealed.ok_or_else(|| ApiError::BadRequest("恢复信息有误 | this is no sealed key".into()))?;
    let recovered = devices::recover(&server, &code, &sealed, nonce.as_deref()).await;
    if matches!(recovered, Err(EnrolError::Unknown | EnrolError::Another | EnrolError::Recovery(_))) {
        audit::note_failed(&server, By::stranger(), Event::SignInFailed, &json!({ "what": "recovery" })).await;
    }
    let key = HEXLOWER.encode(&recovered?);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(Recovered { key })))
}

/// Revoke a device: it is told to erase itself, and what it still sends waits for a supervisor.
#[utoipa::path(post, path = "/api/devices/{id}/revoke", tag = "devices", params(("id" = String, Path)),
    responses((status = 204)))]
async fn revoke(
    State(server): State<Arc<Server>>,
    Asker(caller): Asker,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    caller.may(Permission::ManageDevices)?;
    let id: DeviceId = id.parse().map_err(|_| ApiError::NotFound)?;
    let device = server.store.device(id).await?.ok_or(ApiError::NotFound)?;
    caller.may_at(server.store.as_ref(), Permission::ManageDevices, device.unit).await?;
    devices::revoke(&server, &device, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
struct NewToken {
    /// 64 random hexadecimal digits that the device has drawn; it keeps the old ones until the new ones have worked.
    token: String,
}

/// A new token for the device that asks; the old one is worth nothing from now on.
#[utoipa::path(put, path = "/api/device/token", tag = "devices", request_body = NewToken, responses((status = 204)))]
async fn rotate(
    State(server): State<Arc<Server>>,
    Sender(device): Sender,
    Body(NewToken { token }): Body<NewToken>,
) -> Result<StatusCode, ApiError> {
    devices::rotate(&server, &device, &token).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
struct ServerKeys {
    /// The county's public keys: it signs receipts with one, bundles for it are encrypted to the other.
    server_keys: String,
}

/// The county's public keys as they are now, for a device that knows earlier ones.
#[utoipa::path(get, path = "/api/device/keys", tag = "devices", responses((status = 200, body = ServerKeys)))]
async fn keys(State(server): State<Arc<Server>>, _: Sender) -> Json<ServerKeys> {
    Json(ServerKeys { server_keys: server.keys.public().to_string() })
}

impl From<EnrolError> for ApiError {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::Unknown => ApiError::NotFound,
            EnrolError::Length(_) | EnrolError::Name | EnrolError::Token | EnrolError::Recovery(_) => {
                ApiError::BadRequest(error.to_string())
            }
            EnrolError::Disabled | EnrolError::Keys | EnrolError::Another => ApiError::Conflict(error.to_string()),
            EnrolError::Revoked => Denied::Revoked.into(),
            EnrolError::Rotated => ApiError::Unauthorized,
            EnrolError::Store(error) => error.into(),
        }
    }
}
