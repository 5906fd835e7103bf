//! `GET /status` and `GET /api/status`: that the server runs, and how much it holds. No personal data.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Html};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::ApiError;
use crate::{Server, store::Totals};

pub(super) fn routes() -> OpenApiRouter<Arc<Server>> {
    OpenApiRouter::new().routes(routes!(page)).routes(routes!(json))
}

/// Whether the server can save, and how much it holds.
#[derive(Serialize, ToSchema)]
struct Status {
    version: &'static str,
    county: String,
    campaign_year: i16,
    totals: Totals,
    /// Whether what is sent in now is saved. If not, the answer's status is 503.
    can_save: bool,
    /// Why not, and what to do: Chinese, then English.
    problem: Option<String>,
}

impl Status {
    fn code(&self) -> StatusCode {
        if self.can_save { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    }
}

/// That the server runs, and how much it holds. No personal data; open to everybody.
#[utoipa::path(get, path = "/api/status", tag = "status", responses((status = 200, body = Status), (status = 503, body = Status)))]
async fn json(State(server): State<Arc<Server>>) -> Result<(StatusCode, Json<Status>), ApiError> {
    let status = status(&server).await?;
    Ok((status.code(), Json(status)))
}

/// The same as a page.
#[utoipa::path(get, path = "/status", tag = "status", responses((status = 200, content_type = "text/html", body = String)))]
async fn page(State(server): State<Arc<Server>>) -> Result<(StatusCode, Html<String>), ApiError> {
    let status = status(&server).await?;
    let code = status.code();
    let problem =
        status.problem.as_deref().map(|problem| format!("<p role=alert>现在无法保存任何内容：{}</p>", escape(problem)));
    let problem = problem.unwrap_or_default();
    let totals = status.totals;
    let rows = [
        ("单位", totals.units),
        ("文档", totals.documents),
        ("记录", totals.rows),
        ("修改", totals.changes),
        ("有冲突的记录", totals.conflicts),
    ];
    let rows: Vec<String> = rows.iter().map(|(name, count)| format!("<tr><th scope=row>{name}<td>{count}")).collect();
    let rows = rows.concat();
    let county = escape(&status.county);
    let html = Html(format!(
        "<!doctype html><html lang=zh-CN><meta charset=utf-8><meta name=viewport content='width=device-width'>
<title>台账通 · {county}</title>
<style>body{{font:18px/1.6 system-ui,'Microsoft YaHei',sans-serif;max-width:32em;margin:2em auto;padding:0 1em;color:#222}}
h1{{font-size:1.4em}}table{{border-collapse:collapse;width:100%}}th{{text-align:left;font-weight:400}}
td{{text-align:right;font-variant-numeric:tabular-nums}}th,td{{border-bottom:1px solid #ddd;padding:.4em 0}}p{{color:#555}}
[role=alert]{{color:#fff;background:#b00020;padding:.6em;border-radius:.3em}}</style>
<h1>台账通正在运行 <small>{county} · {year} 年</small></h1>{problem}<table>{rows}</table>
<p>手机端同步地址:<code>/sync/exchange</code>。报表和导入在服务器上用命令完成:<code>taizhang return</code>、<code>taizhang import</code>。</p>
<p lang=en>Taizhang {version} is running. Devices sync at <code>/sync/exchange</code>; returns and imports are made with <code>taizhang return</code> and <code>taizhang import</code>.</p>",
        year = status.campaign_year,
        version = status.version,
    ));
    Ok((code, html))
}

async fn status(server: &Server) -> Result<Status, ApiError> {
    let problem = server.store.can_write().await.err();
    Ok(Status {
        version: env!("CARGO_PKG_VERSION"),
        county: server.county_name.clone(),
        campaign_year: server.campaign_year,
        totals: server.store.totals().await?,
        can_save: problem.is_none(),
        problem: problem.map(|problem| problem.to_string()),
    })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
