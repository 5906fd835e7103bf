//! Whose request it is: the device token in `Authorization: Bearer`, or the session in a cookie, looked at before anything of
//! the body is read. A browser cannot send headers when it opens a socket: there the token may stand in the query as
//! `access_token` (RFC 6750 §2.3). Queries are logged nowhere.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
};
use axum_extra::extract::cookie::CookieJar;

use super::ApiError;
use crate::{
    Server,
    audit::By,
    auth::{Caller, Denied, Permission},
    clock, origin,
    store::{DeviceRecord, Person, token_hash},
};

/// The cookie of a session.
pub(super) const COOKIE: &str = "taizhang-session";

/// A body of JSON.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub(super) struct Body<T>(pub(super) T);

/// A body of bytes.
pub(super) struct Raw(pub(super) Bytes);

/// What stands behind the question mark.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub(super) struct Query<T>(pub(super) T);

/// What stands in the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub(super) struct Path<T>(pub(super) T);

/// Whoever sends a request: a person or a device. What they may do is asked of it.
pub(super) struct Asker(pub(super) Caller);

/// A person who has signed in, whatever they may do.
pub(super) struct SignedInPerson(pub(super) Person);

/// The device that syncs.
pub(super) struct Sender(pub(super) DeviceRecord);

/// The device that opens a socket.
pub(super) struct SocketSender(pub(super) DeviceRecord);

impl FromRequest<Arc<Server>> for Raw {
    type Rejection = ApiError;

    async fn from_request(request: Request, server: &Arc<Server>) -> Result<Self, ApiError> {
        Ok(Self(Bytes::from_request(request, server).await?))
    }
}

impl FromRequestParts<Arc<Server>> for Asker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, ApiError> {
        if let Some(token) = bearer(parts) {
            return Ok(Self(Caller::device(known(parts, server, Some(token)).await?)));
        }
        let person = signed_in(parts, server).await?;
        Ok(Self(Caller::person(server.store.as_ref(), person).await?))
    }
}

impl FromRequestParts<Arc<Server>> for SignedInPerson {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, ApiError> {
        signed_in(parts, server).await.map(Self)
    }
}

impl FromRequestParts<Arc<Server>> for Sender {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, ApiError> {
        syncing(parts, server, bearer(parts)).await.map(Self)
    }
}

impl FromRequestParts<Arc<Server>> for SocketSender {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Arc<Server>) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        let in_query = query.split('&').find_map(|pair| pair.strip_prefix("access_token="));
        syncing(parts, server, bearer(parts).or(in_query)).await.map(Self)
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// Notes who it is, with the request and with its connection.
fn met(parts: &Parts, server: &Server, by: By) {
    origin::met(by);
    if let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() {
        server.connections.meet(*peer);
    }
}

async fn known(parts: &Parts, server: &Server, token: Option<&str>) -> Result<DeviceRecord, ApiError> {
    let token = token.ok_or(ApiError::Unauthorized)?;
    let device = server.store.device_by_token(&token_hash(token)).await?.ok_or(ApiError::Unauthorized)?;
    met(parts, server, By::from(&Caller::device(device.clone())));
    Ok(device)
}

/// The device with this token, if it may sync; a revoked one may, since its work is still taken.
async fn syncing(parts: &Parts, server: &Server, token: Option<&str>) -> Result<DeviceRecord, ApiError> {
    let device = known(parts, server, token).await?;
    Caller::device(device.clone()).may(Permission::Sync)?;
    Ok(device)
}

async fn signed_in(parts: &Parts, server: &Server) -> Result<Person, ApiError> {
    let jar = CookieJar::from_headers(&parts.headers);
    let token = jar.get(COOKIE).ok_or(ApiError::Unauthorized)?;
    let person = server.store.people().session(&token_hash(token.value()), clock::now_ms()).await?;
    let person = person.ok_or(ApiError::Unauthorized)?;
    met(parts, server, By::from(&person));
    if !parts.method.is_safe() && !is_same_site(&parts.headers) {
        let sentence = "请求来自其他网站，已拒绝 | the request comes from another site";
        return Err(ApiError::Forbidden(sentence.into()));
    }
    Ok(person)
}

/// Whether a request with a cookie was made by our own page, or by no page at all. The cookie is `SameSite=Strict`
/// already; this holds for browsers that do not know that, too.
pub(super) fn is_same_site(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    match text(header::ORIGIN) {
        Some(origin) => origin.split_once("://").map(|(_, host)| host) == text(header::HOST),
        None => true,
    }
}

/// Keeps a person who may do nothing yet from doing it.
pub(super) fn ready(person: &Person) -> Result<(), ApiError> {
    if person.must_change { Err(Denied::MustChange.into()) } else { Ok(()) }
}
