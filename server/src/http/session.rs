//! `/api/session`: signing in and out, and what a person changes about their own way in.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    ApiError,
    caller::{Asker, Body, COOKIE, Path, SignedInPerson, ready},
};
use crate::{
    Server,
    auth::{self, Caller, Permission, Role},
    devices,
    store::SeenDevice,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new()
        .routes(routes!(who, sign_out))
        .routes(routes!(change_password))
        .routes(routes!(confirm_device))
        .routes(routes!(begin_totp, confirm_totp, remove_totp))
}

/// Apart from the others, since how often it may be asked is limited.
pub(super) fn open_routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(sign_in))
}

#[derive(Deserialize, ToSchema)]
struct SignIn {
    /// Sign-in name.
    name: String,
    /// Password.
    password: String,
    /// One-time code, where the person has one.
    code: Option<String>,
}

/// Who has signed in.
#[derive(Serialize, ToSchema)]
struct Who {
    /// As changes name them.
    full_name: String,
    /// What they are.
    role: Role,
    /// The unit at the top of what they see.
    unit: String,
    /// Whether they handle restricted data.
    is_handler: bool,
    /// Whether they have to change their password before anything else.
    must_change: bool,
    /// Whether a one-time code is asked for.
    has_totp: bool,
    /// What they may do.
    may: Vec<String>,
    /// Devices that somebody else has invited in their name: they say whether these are theirs.
    unconfirmed: Vec<Unconfirmed>,
}

/// A device that somebody else has invited in one's name.
#[derive(Serialize, ToSchema)]
struct Unconfirmed {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// Who has invited it.
    invited_by: Option<String>,
    /// When it last handed something over, in milliseconds since 1970.
    last_seen_ms: Option<i64>,
}

impl From<SeenDevice> for Unconfirmed {
    fn from(seen: SeenDevice) -> Self {
        let SeenDevice { device, last_seen_ms, invited_by, .. } = seen;
        Self { id: device.id.to_string(), name: device.name, invited_by, last_seen_ms }
    }
}

impl Who {
    async fn of(server: &Server, caller: &Caller) -> Result<Self, ApiError> {
        let unconfirmed = match &caller.person {
            Some(person) => devices::unconfirmed(server, person).await?,
            None => Vec::new(),
        };
        let may = Permission::ALL.into_iter().filter(|permission| caller.may(*permission).is_ok());
        Ok(Self {
            full_name: caller.name.clone(),
            role: caller.grant.role,
            unit: caller.grant.unit.to_string(),
            is_handler: caller.grant.is_handler,
            must_change: caller.person.as_ref().is_some_and(|person| person.must_change),
            has_totp: caller.person.as_ref().is_some_and(|person| person.has_totp),
            may: may.map(|permission| format!("{permission:?}")).collect(),
            unconfirmed: unconfirmed.into_iter().map(Unconfirmed::from).collect(),
        })
    }
}

/// Sign in; the session is a cookie.
#[utoipa::path(post, path = "/api/session", tag = "session", request_body = SignIn,
    responses((status = 200, body = Who), (status = 401, description = "wrong name, password or code")))]
async fn sign_in(
    State(server): State<Arc<Server>>,
    jar: CookieJar,
    Body(SignIn { name, password, code }): Body<SignIn>,
) -> Result<(CookieJar, Json<Who>), ApiError> {
    let signed_in = auth::sign_in(&server, &name, &password, code.as_deref()).await?;
    let caller = Caller::person(server.store.as_ref(), signed_in.person).await?;
    let cookie = Cookie::build((COOKIE, signed_in.token))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(server.is_secure);
    Ok((jar.add(cookie), Json(Who::of(&server, &caller).await?)))
}

/// Who has signed in.
#[utoipa::path(get, path = "/api/session", tag = "session", responses((status = 200, body = Who)))]
async fn who(State(server): State<Arc<Server>>, Asker(caller): Asker) -> Result<Json<Who>, ApiError> {
    Ok(Json(Who::of(&server, &caller).await?))
}

#[derive(Deserialize, ToSchema)]
struct IsMine {
    /// Whether the device is one's own; one that is not is revoked.
    is_mine: bool,
}

/// Say whether a device that somebody else has invited in one's name is one's own.
#[utoipa::path(put, path = "/api/session/devices/{id}", tag = "session", params(("id" = String, Path)),
    request_body = IsMine, responses((status = 204)))]
async fn confirm_device(
    State(server): State<Arc<Server>>,
    SignedInPerson(person): SignedInPerson,
    Path(id): Path<String>,
    Body(IsMine { is_mine }): Body<IsMine>,
) -> Result<StatusCode, ApiError> {
    ready(&person)?;
    let id = id.parse().map_err(|_| ApiError::NotFound)?;
    let is_theirs = devices::confirm(&server, &person, id, is_mine).await?;
    if is_theirs { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::NotFound) }
}

/// Sign out.
#[utoipa::path(delete, path = "/api/session", tag = "session", responses((status = 204)))]
async fn sign_out(
    State(server): State<Arc<Server>>,
    SignedInPerson(person): SignedInPerson,
    jar: CookieJar,
) -> Result<(CookieJar, StatusCode), ApiError> {
    if let Some(cookie) = jar.get(COOKIE) {
        auth::sign_out(&server, &person, cookie.value()).await?;
    }
    Ok((jar.remove(Cookie::build(COOKIE).path("/")), StatusCode::NO_CONTENT))
}

#[derive(Deserialize, ToSchema)]
struct NewPassword {
    /// The password of now.
    old: String,
    /// The password from now on.
    new: String,
}

/// Change one's own password; all one's sessions end.
#[utoipa::path(put, path = "/api/session/password", tag = "session", request_body = NewPassword,
    responses((status = 204)))]
async fn change_password(
    State(server): State<Arc<Server>>,
    SignedInPerson(person): SignedInPerson,
    Body(NewPassword { old, new }): Body<NewPassword>,
) -> Result<StatusCode, ApiError> {
    auth::change_password(&server, &person, &old, &new).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
struct NewTotp {
    /// `otpauth://` address for an authenticator app.
    url: String,
    /// The same as a QR code, an SVG image.
    qr: String,
}

/// Begin with one-time codes: they are asked for once the first was confirmed.
#[utoipa::path(post, path = "/api/session/totp", tag = "session", responses((status = 200, body = NewTotp)))]
async fn begin_totp(
    State(server): State<Arc<Server>>,
    SignedInPerson(person): SignedInPerson,
) -> Result<Json<NewTotp>, ApiError> {
    ready(&person)?;
    let in_use = || ApiError::Conflict("已启用验证码，请先停用 | one-time codes are in use: remove them first".into());
    let url = auth::new_totp(&server, &person).await?.ok_or_else(in_use)?;
    let qr = super::qr(&url)?;
    Ok(Json(NewTotp { url, qr }))
}

#[derive(Deserialize, ToSchema)]
struct Code {
    /// A one-time code.
    code: String,
}

/// Confirm one-time codes with a first one.
#[utoipa::path(put, path = "/api/session/totp", tag = "session", request_body = Code, responses((status = 204)))]
async fn confirm_totp(
    State(server): State<Arc<Server>>,
    SignedInPerson(person): SignedInPerson,
    Body(Code { code }): Body<Code>,
) -> Result<StatusCode, ApiError> {
    ready(&person)?;
    auth::confirm_totp(&server, &person, &code).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Do without one-time codes from now on.
#[utoipa::path(delete, path = "/api/session/totp", tag = "session", request_body = Code, responses((status = 204)))]
async fn remove_totp(
    State(server): State<Arc<Server>>,
    SignedInPerson(person): SignedInPerson,
    Body(Code { code }): Body<Code>,
) -> Result<StatusCode, ApiError> {
    ready(&person)?;
    auth::remove_totp(&server, &person, &code).await?;
    Ok(StatusCode::NO_CONTENT)
}
