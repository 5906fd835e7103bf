//! Of what sealed returns were drawn, by the codes that are printed on them.

use sqlx::SqlitePool;

use super::tx::Writer;
use crate::store::StoreError;

pub(super) async fn keep(writer: &Writer, code: &str, drawn: &str, at_ms: i64) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    // The same return of the same facts has the same code, however often it is drawn.
    sqlx::query("INSERT INTO seals (code, drawn, drawn_at_ms) VALUES ($1, $2, $3) ON CONFLICT (code) DO NOTHING")
        .bind(code)
        .bind(drawn)
        .bind(at_ms)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn of(pool: &SqlitePool, code: &str) -> Result<Option<String>, StoreError> {
    Ok(sqlx::query_scalar("SELECT drawn FROM seals WHERE code = $1").bind(code).fetch_optional(pool).await?)
}
