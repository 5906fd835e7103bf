//! Cells that imports have found saying what their files say.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sqlx::{Row, SqlitePool};
use sync_protocol::{Address, DocumentId, Identity};

use super::{codec, document_key::Place, document_keys::DocumentKeys, sealing::Sealing, tx::Writer};
use crate::store::StoreError;

pub(super) async fn affirm(
    writer: &Writer,
    keys: &Arc<DocumentKeys>,
    batch: &str,
    cells: &[(DocumentId, &[Address])],
) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    for (document, cells) in cells {
        let lines: Vec<String> = cells.iter().map(Address::key).collect();
        let row = sqlx::query("SELECT number, unit, book, period FROM documents WHERE id = $1")
            .bind(document.as_bytes().as_slice())
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else { continue };
        let (number, of): (i64, _) = (row.try_get("number")?, codec::identity(&row)?);
        let sealing = Sealing::of(&mut tx, keys, std::iter::once((number, &of))).await?;
        sqlx::query(
            "INSERT INTO affirmed (batch, document, cells) VALUES ($1, $2, $3)
             ON CONFLICT (batch, document) DO UPDATE SET cells = excluded.cells",
        )
        .bind(batch)
        .bind(number)
        .bind(sealing.blob(number, Place::Affirmed, lines.join("\n").as_bytes())?)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

pub(super) async fn documents(pool: &SqlitePool, batch: &str) -> Result<Vec<Identity>, StoreError> {
    let rows = sqlx::query(
        "SELECT d.unit, d.book, d.period FROM affirmed a JOIN documents d ON d.number = a.document
             WHERE a.batch = $1 ORDER BY d.number",
    )
    .bind(batch)
    .fetch_all(pool)
    .await?;
    rows.iter().map(codec::identity).collect()
}

pub(super) async fn cells(
    pool: &SqlitePool,
    keys: &DocumentKeys,
    document: DocumentId,
) -> Result<BTreeMap<String, BTreeSet<Address>>, StoreError> {
    let rows = sqlx::query(
        "SELECT d.unit, d.book, d.period, a.batch, a.cells FROM affirmed a JOIN documents d ON d.number = a.document
         WHERE d.id = $1",
    )
    .bind(document.as_bytes().as_slice())
    .fetch_all(pool)
    .await?;
    let mut affirmed = BTreeMap::new();
    for row in rows {
        let bytes = keys.open_blob(&codec::identity(&row)?, Place::Affirmed, row.try_get("cells")?)?;
        let text = String::from_utf8(bytes).map_err(|e| StoreError::Damaged(e.to_string()))?;
        affirmed.insert(row.try_get("batch")?, text.lines().filter_map(Address::parse).collect());
    }
    Ok(affirmed)
}
