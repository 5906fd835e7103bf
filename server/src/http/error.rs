//! One error type for all routes: RFC 9457 problem details.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{store::StoreError, sync::ExchangeError};

/// What a route can answer instead of its result.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: the request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// 401: no token, or one that nobody has.
    #[error("设备令牌无效，请重新登记设备 | unknown device token: enrol the device again")]
    Unauthorized,
    /// 403: a device that may only read, or was revoked.
    #[error("本设备只能查看，或已停用 | this device may only read, or was revoked")]
    Forbidden,
    /// 404: nothing there, or nothing of this device's.
    #[error("没有这项内容 | no such thing")]
    NotFound,
    /// 409: not now.
    #[error("{0}")]
    Conflict(String),
    /// 500: our fault; the cause is logged, not sent.
    #[error("服务器内部错误，数据未丢失，请稍后重试 | internal error: nothing is lost, try again later")]
    Internal,
}

#[derive(Serialize)]
struct Problem {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "request failed");
        ApiError::Internal
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

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, title) = match self {
            ApiError::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad request"),
            ApiError::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            ApiError::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            ApiError::NotFound => (StatusCode::NOT_FOUND, "not found"),
            ApiError::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            ApiError::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal error"),
        };
        let problem = Problem { r#type: "about:blank", title, status: status.as_u16(), detail: self.to_string() };
        let body = serde_json::to_string(&problem).expect("a problem has only texts and a number");
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}
