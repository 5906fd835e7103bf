//! One error type for all routes: RFC 9457 problem details.

use axum::{
    extract::{
        rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection},
        ws::rejection::WebSocketUpgradeRejection,
    },
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::pace::{TooSlow, is_too_slow};
use crate::{
    auth::{Denied, SignInError},
    heavy::Queued,
    origin,
    store::StoreError,
    sync::ExchangeError,
};

/// What a route can answer instead of its result.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: the request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// 401: no token, or one that nobody has.
    #[error("未登录，或设备令牌无效 | not signed in, or an unknown device token")]
    Unauthorized,
    /// 401: the wrong password, or nobody of that name.
    #[error("{0}")]
    SignIn(String),
    /// 403: not with this role.
    #[error("{0}")]
    Forbidden(String),
    /// 404: nothing there, or nothing of this device's.
    #[error("没有这项内容 | no such thing")]
    NotFound,
    /// 408: more slowly than anybody's line is.
    #[error("{TooSlow}")]
    TooSlow,
    /// 409: not now.
    #[error("{0}")]
    Conflict(String),
    /// 413: more than is read.
    #[error("内容过大 | the request is too large")]
    TooLarge,
    /// 415: another media type.
    #[error("{0}")]
    MediaType(String),
    /// 429: too often.
    #[error("请求过于频繁，请 {0} 秒后再试 | too many requests: try again in {0} seconds")]
    TooMany(u64),
    /// 429: somebody has one such thing under way and another waiting.
    #[error(
        "您已有同类操作正在进行或排队，请约 {0} 秒后再试 | you have others of these under way or waiting: try again in about {0} seconds"
    )]
    Waiting(u64),
    /// 503: too many others wait.
    #[error("排队的人较多，请约 {0} 秒后再试 | many others are waiting: try again in about {0} seconds")]
    Crowded(u64),
    /// 503: nothing can be saved now, for a reason that the administrator can mend.
    #[error("{0}")]
    Unavailable(String),
    /// 500: our fault; the cause is logged, not sent.
    #[error("服务器内部错误，数据未丢失，请稍后重试 | internal error: nothing is lost, try again later")]
    Internal,
}

/// RFC 9457 problem details.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: the status says what kind it is.
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened and what to do: Chinese, then English.
    detail: String,
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Sealed(_)) {
            return ApiError::Conflict(error.to_string());
        }
        tracing::error!(?error, "request failed");
        // Whoever asks can have a register of units mended that is no tree.
        if let StoreError::Unit(fault) = &error {
            return ApiError::Conflict(fault.to_string());
        }
        // What is outside of this program is told: whoever asks can have it mended.
        if error.is_outside() { ApiError::Unavailable(error.to_string()) } else { ApiError::Internal }
    }
}

impl From<ExchangeError> for ApiError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Refused(refusal) => ApiError::BadRequest(refusal.sentence),
            ExchangeError::Store(error) => error.into(),
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            // The answer does not say so, the audit log does.
            Denied::Outside => {
                origin::refused();
                ApiError::NotFound
            }
            Denied::Store(error) => error.into(),
            Denied::Role(..) | Denied::MustChange | Denied::Revoked => ApiError::Forbidden(denied.to_string()),
        }
    }
}

impl From<Queued> for ApiError {
    fn from(queued: Queued) -> Self {
        match queued {
            Queued::OfOne(wait_s) => ApiError::Waiting(wait_s),
            Queued::OfAll(wait_s) => ApiError::Crowded(wait_s),
        }
    }
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Wrong => ApiError::SignIn(error.to_string()),
            SignInError::Locked(wait_s) => ApiError::TooMany(wait_s),
            SignInError::Weak(weak) => ApiError::BadRequest(weak.to_string()),
            SignInError::Store(error) => error.into(),
        }
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection.status() {
            _ if is_too_slow(&rejection) => ApiError::TooSlow,
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => ApiError::MediaType(rejection.body_text()),
            _ => ApiError::BadRequest(rejection.body_text()),
        }
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            _ if is_too_slow(&rejection) => ApiError::TooSlow,
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge,
            _ => ApiError::BadRequest(rejection.body_text()),
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        ApiError::BadRequest(rejection.body_text())
    }
}

impl From<WebSocketUpgradeRejection> for ApiError {
    fn from(rejection: WebSocketUpgradeRejection) -> Self {
        ApiError::BadRequest(rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(_: PathRejection) -> Self {
        // A path that cannot be read names nothing.
        ApiError::NotFound
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let wait_s = match self {
            ApiError::TooMany(wait_s) | ApiError::Waiting(wait_s) | ApiError::Crowded(wait_s) => Some(wait_s),
            _ => None,
        };
        let (status, title) = match self {
            ApiError::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad request"),
            ApiError::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            ApiError::SignIn(_) => (StatusCode::UNAUTHORIZED, "not signed in"),
            ApiError::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            ApiError::NotFound => (StatusCode::NOT_FOUND, "not found"),
            ApiError::TooSlow => (StatusCode::REQUEST_TIMEOUT, "request timeout"),
            ApiError::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            ApiError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too large"),
            ApiError::MediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported media type"),
            ApiError::TooMany(_) | ApiError::Waiting(_) => (StatusCode::TOO_MANY_REQUESTS, "too many requests"),
            ApiError::Crowded(_) | ApiError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "service unavailable"),
            ApiError::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
        };
        let problem = Problem { r#type: "about:blank", title, status: status.as_u16(), detail: self.to_string() };
        let body = serde_json::to_string(&problem).expect("a problem has only texts and a number");
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(wait_s) = wait_s {
            response.headers_mut().insert(header::RETRY_AFTER, wait_s.into());
        }
        response
    }
}
