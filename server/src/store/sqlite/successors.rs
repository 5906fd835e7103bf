//! What is kept outside of the database of a restricted document that was erased from: its successor, sealed with the key that is
//! its own since. Where an older database is put back, what is stored of the document there cannot be opened any more, and the
//! successor takes its place: nobody else's record goes with the one that was erased.

use std::{collections::BTreeSet, sync::Arc};

use minicbor::bytes::ByteVec;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use sync_protocol::{ChangeHash, DocumentId, Identity, RowId};

use super::{
    codec,
    document_key::{DocumentKey, KeyId, Place, sealed_with, text_sealed_with},
    document_keys::DocumentKeys,
    group, sealing, tallies,
    tx::Writer,
};
use crate::{
    aside::aside,
    clock,
    store::{DocumentWrite, NewChange, ProjectedRow, ProposalWrites, StoreError, Tally},
    whole,
};

#[derive(Debug, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
struct Kept {
    #[n(0)]
    of: Identity,
    #[n(1)]
    document: ByteVec,
    #[n(2)]
    heads: ByteVec,
    #[n(3)]
    root: Option<ByteVec>,
    #[n(4)]
    snapshot: ByteVec,
    /// In the order of the feed.
    #[n(5)]
    changes: Vec<KeptChange>,
    #[n(6)]
    rows: Vec<KeptRow>,
    #[n(7)]
    erased: Vec<(String, ByteVec)>,
    #[n(8)]
    held: Vec<KeptHeld>,
    /// By import.
    #[n(9)]
    affirmed: Vec<(String, ByteVec)>,
    /// By number: before, and what was proposed.
    #[n(10)]
    proposals: Vec<(i64, Option<String>, String)>,
}

#[derive(Debug, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
struct KeptChange {
    #[n(0)]
    hash: ByteVec,
    #[n(1)]
    actor: ByteVec,
    #[n(2)]
    device: Option<ByteVec>,
    #[n(3)]
    received_at_ms: i64,
    #[n(4)]
    bytes: Option<ByteVec>,
}

#[derive(Debug, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
struct KeptRow {
    #[n(0)]
    ledger: String,
    #[n(1)]
    row: ByteVec,
    #[n(2)]
    cells: String,
    #[n(3)]
    conflicts: Option<String>,
    #[n(4)]
    removed: bool,
}

#[derive(Debug, minicbor::Encode, minicbor::Decode)]
#[cbor(map)]
struct KeptHeld {
    #[n(0)]
    hash: ByteVec,
    #[n(1)]
    state: String,
    #[n(2)]
    bytes: ByteVec,
    #[n(3)]
    decided_by: Option<String>,
    #[n(4)]
    decided_at_ms: Option<i64>,
}

fn damaged() -> StoreError {
    StoreError::Damaged("a successor that was kept".into())
}

fn bytes(row: &SqliteRow, column: &str) -> Result<ByteVec, StoreError> {
    Ok(row.try_get::<Vec<u8>, _>(column)?.into())
}

fn some_bytes(row: &SqliteRow, column: &str) -> Result<Option<ByteVec>, StoreError> {
    Ok(row.try_get::<Option<Vec<u8>>, _>(column)?.map(ByteVec::from))
}

/// Keeps the successor that was just put in a document's place; on the disk when this returns, and before the key is destroyed that
/// the document was sealed with.
pub(super) async fn keep(
    tx: &mut SqliteConnection,
    keys: &Arc<DocumentKeys>,
    (of, number): (&Identity, i64),
    key: &Arc<DocumentKey>,
) -> Result<(), StoreError> {
    let kept = read(tx, keys, of, number).await?;
    let content = minicbor::to_vec(&kept).map_err(|_| damaged())?;
    let (keys, key) = (keys.clone(), key.clone());
    let written = aside(move || {
        let sealed = key.shut(Place::Successor, &content)?;
        let path = sealing::kept(&keys, &key.id);
        let write = || {
            if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
                std::fs::create_dir_all(folder)?;
                whole::sync_folder(folder)?;
            }
            whole::write(&path, &sealed, true)
        };
        write().map_err(|error| match error.kind() {
            std::io::ErrorKind::StorageFull => StoreError::Full,
            _ => StoreError::Disk(format!("{}: {error}", path.display())),
        })
    });
    written.await?
}

/// Everything that is stored of a document.
async fn read(
    tx: &mut SqliteConnection,
    keys: &Arc<DocumentKeys>,
    of: &Identity,
    number: i64,
) -> Result<Kept, StoreError> {
    let line = sqlx::query("SELECT id, heads, root FROM documents WHERE number = $1").bind(number);
    let line = line.fetch_one(&mut *tx).await?;
    let snapshot = sqlx::query_scalar("SELECT bytes FROM snapshots WHERE document = $1").bind(number);
    let snapshot: Vec<u8> = snapshot.fetch_one(&mut *tx).await?;
    let open = |place, stored: &[u8]| keys.open_blob(of, place, stored).map(ByteVec::from);
    let sql = "SELECT hash, actor, device, received_at_ms, bytes FROM changes WHERE document = $1 ORDER BY seq";
    let change = |row: &SqliteRow| {
        let stored: Option<&[u8]> = row.try_get("bytes")?;
        Ok(KeptChange {
            hash: bytes(row, "hash")?,
            actor: bytes(row, "actor")?,
            device: some_bytes(row, "device")?,
            received_at_ms: row.try_get("received_at_ms")?,
            bytes: stored.map(|stored| open(Place::Change, stored)).transpose()?,
        })
    };
    let changes = sqlx::query(sql).bind(number).fetch_all(&mut *tx).await?;
    let sql = "SELECT ledger, row, cells, conflicts, removed FROM rows WHERE document = $1";
    let row = |row: &SqliteRow| {
        let (ledger, id): (String, _) = (row.try_get("ledger")?, codec::row_id(row, "row")?);
        let conflicts: Option<String> = row.try_get("conflicts")?;
        Ok(KeptRow {
            cells: keys.open_text(of, Place::Cells(&ledger, id), row.try_get("cells")?)?,
            conflicts: conflicts.map(|text| keys.open_text(of, Place::Conflicts(&ledger, id), text)).transpose()?,
            row: id.as_bytes().to_vec().into(),
            removed: row.try_get("removed")?,
            ledger,
        })
    };
    let rows = sqlx::query(sql).bind(number).fetch_all(&mut *tx).await?;
    let erased = sqlx::query("SELECT ledger, row FROM erased_rows WHERE document = $1").bind(number);
    let erased = erased.fetch_all(&mut *tx).await?;
    let affirmed = sqlx::query("SELECT batch, cells FROM affirmed WHERE document = $1").bind(number);
    let affirmed = affirmed.fetch_all(&mut *tx).await?;
    let sql = "SELECT hash, state, bytes, decided_by, decided_at_ms FROM quarantine
               WHERE unit = $1 AND book = $2 AND period = $3";
    let held = by_identity(tx, sql, of).await?;
    let waiting = |row: &SqliteRow| {
        Ok(KeptHeld {
            hash: bytes(row, "hash")?,
            state: row.try_get("state")?,
            bytes: open(Place::Quarantine, row.try_get("bytes")?)?,
            decided_by: row.try_get("decided_by")?,
            decided_at_ms: row.try_get("decided_at_ms")?,
        })
    };
    let sql = "SELECT number, before, value FROM proposals WHERE unit = $1 AND book = $2 AND period = $3";
    let proposal = |row: &SqliteRow| {
        let before: Option<String> = row.try_get("before")?;
        let before = before.map(|text| keys.open_text(of, Place::Before, text)).transpose()?;
        Ok((row.try_get("number")?, before, keys.open_text(of, Place::Proposed, row.try_get("value")?)?))
    };
    Ok(Kept {
        of: of.clone(),
        document: bytes(&line, "id")?,
        heads: bytes(&line, "heads")?,
        root: some_bytes(&line, "root")?,
        snapshot: open(Place::Snapshot, &snapshot)?,
        changes: changes.iter().map(change).collect::<Result<_, StoreError>>()?,
        rows: rows.iter().map(row).collect::<Result<_, StoreError>>()?,
        erased: erased
            .iter()
            .map(|row| Ok((row.try_get("ledger")?, bytes(row, "row")?)))
            .collect::<Result<_, StoreError>>()?,
        held: held.iter().map(waiting).collect::<Result<_, StoreError>>()?,
        affirmed: affirmed
            .iter()
            .map(|row| Ok((row.try_get("batch")?, open(Place::Affirmed, row.try_get("cells")?)?)))
            .collect::<Result<_, StoreError>>()?,
        proposals: by_identity(tx, sql, of).await?.iter().map(proposal).collect::<Result<_, StoreError>>()?,
    })
}

async fn by_identity(
    tx: &mut SqliteConnection,
    sql: &'static str,
    of: &Identity,
) -> Result<Vec<SqliteRow>, StoreError> {
    let query = sqlx::query(sql).bind(of.unit.as_bytes().as_slice()).bind(of.book.as_str()).bind(&of.period);
    Ok(query.fetch_all(tx).await?)
}

/// Puts the successors that are kept in the place of documents whose keys are destroyed: the database is older than they are. Of
/// which documents that was.
pub(super) async fn put_back(
    writer: &Writer,
    tally: &dyn Tally,
    keys: &Arc<DocumentKeys>,
) -> Result<Vec<Identity>, StoreError> {
    let mut put = Vec::new();
    for (of, _) in sealing::keyless(writer.outside(), keys).await? {
        let own = keys.clone();
        let found = {
            let of = of.clone();
            aside(move || newest_kept(&own, &of)).await??
        };
        let Some((key, kept)) = found else { continue };
        let mut tx = writer.begin().await?;
        sealing::set(&mut tx, &of, &key).await?;
        put_one(&mut tx, tally, keys, &kept).await?;
        tx.commit().await?;
        put.push(of);
    }
    Ok(put)
}

fn newest_kept(keys: &DocumentKeys, of: &Identity) -> Result<Option<(KeyId, Kept)>, StoreError> {
    for key in keys.all_of(of) {
        let path = sealing::kept(keys, &key);
        let sealed = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            sealed => sealed.map_err(|error| StoreError::Disk(format!("{}: {error}", path.display())))?,
        };
        let content = keys.open_blob(of, Place::Successor, &sealed)?;
        return Ok(Some((key, minicbor::decode(&content).map_err(|_| damaged())?)));
    }
    Ok(None)
}

async fn put_one(
    tx: &mut SqliteConnection,
    tally: &dyn Tally,
    keys: &Arc<DocumentKeys>,
    kept: &Kept,
) -> Result<(), StoreError> {
    let of = &kept.of;
    let document = DocumentId::from_bytes(kept.document.to_vec().try_into().map_err(|_| damaged())?);
    let heads = sqlx::query("SELECT heads FROM documents WHERE id = $1").bind(kept.document.as_slice());
    let heads = heads.fetch_optional(&mut *tx).await?.as_ref().map(codec::heads).transpose()?;
    let hash = |bytes: &ByteVec| <[u8; 32]>::try_from(bytes.as_slice()).map(ChangeHash).map_err(|_| damaged());
    let change =
        |change: &KeptChange| Ok(NewChange { hash: hash(&change.hash)?, actor: change.actor.to_vec(), bytes: None });
    let row = |row: &KeptRow| {
        Ok(ProjectedRow {
            ledger: row.ledger.clone(),
            row: row_id(&row.row)?,
            cells: row.cells.clone(),
            conflicts: row.conflicts.clone(),
            removed: row.removed,
        })
    };
    let write = DocumentWrite {
        document,
        identity: of.clone(),
        expected_heads: heads.unwrap_or_default(),
        heads: codec::split_heads(&kept.heads)?,
        changes: kept.changes.iter().map(change).collect::<Result<_, StoreError>>()?,
        snapshot: Some(kept.snapshot.to_vec()),
        rows: kept.rows.iter().map(row).collect::<Result<_, StoreError>>()?,
        wrong_steps: Vec::new(),
        device: None,
        received_at_ms: clock::now_ms(),
        binds: false,
        proposals: ProposalWrites::default(),
    };
    let (numbers, sealing) = group::documents(tx, keys, &[&write]).await?;
    let number = numbers.first().copied().flatten().ok_or_else(damaged)?;
    sqlx::query("UPDATE changes SET bytes = NULL WHERE document = $1").bind(number).execute(&mut *tx).await?;
    for change in &kept.changes {
        let stored = change.bytes.as_ref().map(|bytes| sealing.blob(number, Place::Change, bytes)).transpose()?;
        sqlx::query("UPDATE changes SET device = $2, received_at_ms = $3, bytes = $4 WHERE hash = $1")
            .bind(change.hash.as_slice())
            .bind(change.device.as_ref().map(|device| device.to_vec()))
            .bind(change.received_at_ms)
            .bind(stored)
            .execute(&mut *tx)
            .await?;
    }
    for sql in [
        "INSERT INTO actors (actor, device) SELECT actor, coalesce(device, x'') FROM changes
         WHERE seq IN (SELECT min(seq) FROM changes WHERE document = $1 GROUP BY actor) ON CONFLICT (actor) DO NOTHING",
        "UPDATE snapshots SET upto_seq = coalesce((SELECT max(seq) FROM changes WHERE document = $1 AND bytes IS NULL), 0)
         WHERE document = $1",
        "DELETE FROM rows WHERE document = $1",
    ] {
        sqlx::query(sql).bind(number).execute(&mut *tx).await?;
    }
    sqlx::query("UPDATE documents SET root = $2 WHERE number = $1")
        .bind(number)
        .bind(kept.root.as_ref().map(|root| root.to_vec()))
        .execute(&mut *tx)
        .await?;
    let rows: Vec<_> = write.rows.iter().map(|row| (number, row)).collect();
    group::project(tx, &sealing, &rows).await?;
    for (ledger, row) in &kept.erased {
        for sql in [
            "INSERT INTO erased_rows (document, ledger, row) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            "DELETE FROM wrong_steps WHERE document = $1 AND ledger = $2 AND row = $3",
        ] {
            sqlx::query(sql).bind(number).bind(ledger).bind(row.as_slice()).execute(&mut *tx).await?;
        }
    }
    beside(tx, keys, kept, number).await?;
    tallies::count(tx, tally, keys, (of.unit, &of.period), &tally.concerned(None)).await
}

/// What waits beside the document and was sealed with the key that is destroyed: as it was when the document was erased from. What
/// is not known since is forgotten; whoever has sent it has it.
async fn beside(
    tx: &mut SqliteConnection,
    keys: &Arc<DocumentKeys>,
    kept: &Kept,
    number: i64,
) -> Result<(), StoreError> {
    let of = &kept.of;
    let Some(key) = sealing::key_of(tx, keys, of).await? else { return Ok(()) };
    for held in &kept.held {
        sqlx::query(
            "UPDATE quarantine SET state = $2, bytes = $3, decided_by = $4, decided_at_ms = $5 WHERE hash = $1",
        )
        .bind(held.hash.as_slice())
        .bind(&held.state)
        .bind(key.shut(Place::Quarantine, &held.bytes)?)
        .bind(&held.decided_by)
        .bind(held.decided_at_ms)
        .execute(&mut *tx)
        .await?;
    }
    for (batch, cells) in &kept.affirmed {
        sqlx::query("UPDATE affirmed SET cells = $3 WHERE batch = $1 AND document = $2")
            .bind(batch)
            .bind(number)
            .bind(key.shut(Place::Affirmed, cells)?)
            .execute(&mut *tx)
            .await?;
    }
    for (proposal, before, value) in &kept.proposals {
        let before = before.as_ref().map(|text| key.shut_same(Place::Before, text)).transpose()?;
        sqlx::query(
            "UPDATE proposals SET before = $2, value = $3
             WHERE number = $1 AND unit = $4 AND book = $5 AND period = $6",
        )
        .bind(proposal)
        .bind(before)
        .bind(key.shut_same(Place::Proposed, value)?)
        .bind(of.unit.as_bytes().as_slice())
        .bind(of.book.as_str())
        .bind(&of.period)
        .execute(&mut *tx)
        .await?;
    }
    let is_gone = |id: Option<KeyId>| id.is_some_and(|id| id != key.id);
    let sql = "SELECT hash, bytes FROM quarantine WHERE unit = $1 AND book = $2 AND period = $3";
    for row in by_identity(tx, sql, of).await? {
        if is_gone(sealed_with(row.try_get("bytes")?)) {
            let hash: Vec<u8> = row.try_get("hash")?;
            sqlx::query("DELETE FROM quarantine WHERE hash = $1").bind(hash).execute(&mut *tx).await?;
        }
    }
    let sql = "SELECT number, value FROM proposals WHERE unit = $1 AND book = $2 AND period = $3";
    for row in by_identity(tx, sql, of).await? {
        if is_gone(text_sealed_with(row.try_get("value")?)) {
            let number: i64 = row.try_get("number")?;
            sqlx::query("DELETE FROM proposals WHERE number = $1").bind(number).execute(&mut *tx).await?;
        }
    }
    let affirmed = sqlx::query("SELECT batch, cells FROM affirmed WHERE document = $1").bind(number);
    let known: BTreeSet<&String> = kept.affirmed.iter().map(|(batch, _)| batch).collect();
    for row in affirmed.fetch_all(&mut *tx).await? {
        let batch: String = row.try_get("batch")?;
        if !known.contains(&batch) && is_gone(sealed_with(row.try_get("cells")?)) {
            let delete = sqlx::query("DELETE FROM affirmed WHERE batch = $1 AND document = $2");
            delete.bind(batch).bind(number).execute(&mut *tx).await?;
        }
    }
    Ok(())
}

fn row_id(bytes: &ByteVec) -> Result<RowId, StoreError> {
    bytes.to_vec().try_into().map(RowId::random).map_err(|_| damaged())
}
