//! Proposals.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row, SqliteConnection, query::Query, sqlite::SqliteArguments, sqlite::SqliteRow};
use sync_protocol::{Identity, Value, catalogue::Actor, document::RowKey};

use super::{
    SqliteStore,
    codec::{self, placeholders},
    document_key::Place,
    document_keys::DocumentKeys,
    group::for_rows,
    registry, sealing,
};
use crate::store::{
    DocumentWrite, NewProposal, Proposal, ProposalDecision, ProposalQuery, ProposalState, ProposalStore, StoreError,
};

/// What writes make of proposals.
pub(super) async fn write(
    tx: &mut SqliteConnection,
    keys: &Arc<DocumentKeys>,
    taken: &[&DocumentWrite],
) -> Result<(), StoreError> {
    for write in taken {
        let device = write.device.map(|id| id.as_bytes().to_vec());
        insert(tx, keys, &write.identity, (&write.proposals.new, device.as_deref()), write.received_at_ms).await?;
        if let Some(decision) = &write.proposals.decided {
            decide(tx, decision).await?;
        }
    }
    Ok(())
}

/// Those of the proposals that these writes decide on that nobody has decided on yet.
pub(super) async fn waiting(tx: &mut SqliteConnection, writes: &[&DocumentWrite]) -> Result<BTreeSet<i64>, StoreError> {
    let mut waiting = BTreeSet::new();
    for decision in writes.iter().filter_map(|write| write.proposals.decided.as_ref()) {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT number FROM proposals WHERE number = $1 AND state = 'waiting'")
                .bind(decision.number)
                .fetch_optional(&mut *tx)
                .await?;
        waiting.extend(found);
    }
    Ok(waiting)
}

async fn insert(
    tx: &mut SqliteConnection,
    keys: &Arc<DocumentKeys>,
    of: &Identity,
    (new, device): (&[NewProposal], Option<&[u8]>),
    now_ms: i64,
) -> Result<(), StoreError> {
    let insert = |values: &str| {
        format!(
            "INSERT INTO proposals (unit, book, period, ledger, row, \"column\", before, value, who, device, import,
                 received_at_ms) VALUES {values}
             ON CONFLICT (unit, book, period, ledger, row, \"column\", value) WHERE state = 'waiting' DO NOTHING"
        )
    };
    if new.is_empty() {
        return Ok(());
    }
    let key = sealing::key_of(tx, keys, of).await?;
    let stored = |place, value: &Value| match &key {
        Some(key) => key.shut_same(place, &json(value)?),
        None => json(value),
    };
    let mut rows = Vec::with_capacity(new.len());
    for proposed in new {
        let before = proposed.before.as_ref().map(|value| stored(Place::Before, value)).transpose()?;
        // One that waits already is known by its row and column, too.
        rows.push((proposed, before, stored(Place::Proposed, &proposed.value)?));
    }
    for_rows(tx, &rows, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", insert, |query, (proposed, before, value)| {
        let query = query.bind(of.unit.as_bytes().to_vec()).bind(of.book.as_str()).bind(of.period.clone());
        let query = query.bind(&proposed.row.ledger).bind(proposed.row.row.as_bytes().as_slice());
        let query = query.bind(&proposed.column).bind(before).bind(value).bind(&proposed.who);
        query.bind(device.map(<[u8]>::to_vec)).bind(&proposed.import).bind(now_ms)
    })
    .await
}

pub(super) async fn decide(tx: &mut SqliteConnection, decision: &ProposalDecision) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE proposals SET state = $2, decided_by = $3, decided_at_ms = $4, reason = $5
         WHERE number = $1 AND state = 'waiting'",
    )
    .bind(decision.number)
    .bind(decision.state.as_str())
    .bind(&decision.who)
    .bind(decision.at_ms)
    .bind(&decision.reason)
    .execute(tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets what was proposed for a row that was erased.
pub(super) async fn forget(tx: &mut SqliteConnection, of: &Identity, row: &RowKey) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM proposals WHERE unit = $1 AND book = $2 AND period = $3 AND ledger = $4 AND row = $5")
        .bind(of.unit.as_bytes().as_slice())
        .bind(of.book.as_str())
        .bind(&of.period)
        .bind(&row.ledger)
        .bind(row.row.as_bytes().as_slice())
        .execute(tx)
        .await?;
    Ok(())
}

type Bound<'q> = Query<'q, sqlx::Sqlite, SqliteArguments>;

/// A statement over the proposals of a query: `$1` and `$2` are the subtree, `$3` the number, then the books, then the state and the year.
fn statement(select: &str, query: &ProposalQuery, rest: &str) -> String {
    let books = placeholders(4, query.books.len());
    let mut next = 4 + query.books.len();
    let mut also = |is_asked: bool, column: &str| {
        let condition = if is_asked { format!("AND p.{column} = ${next}") } else { String::new() };
        next += usize::from(is_asked);
        condition
    };
    let (state, period) = (also(query.state.is_some(), "state"), also(query.period.is_some(), "period"));
    format!(
        "{select} FROM proposals p JOIN units u ON u.id = p.unit LEFT JOIN import_batches b ON b.id = p.import
         WHERE u.path >= $1 AND u.path < $2 AND p.number > $3 AND p.book IN ({books}) {state} {period} {rest}"
    )
}

fn bound<'q>(sql: String, top: &'q str, query: &'q ProposalQuery, after: i64) -> Bound<'q> {
    let mut bound = sqlx::query(AssertSqlSafe(sql)).bind(top).bind(registry::subtree_end(top)).bind(after);
    for book in &query.books {
        bound = bound.bind(book.as_str());
    }
    if let Some(state) = query.state {
        bound = bound.bind(state.as_str());
    }
    if let Some(period) = &query.period {
        bound = bound.bind(period);
    }
    bound
}

const SELECT: &str = "SELECT p.*, b.file";

#[async_trait]
impl ProposalStore for SqliteStore {
    async fn propose(&self, identity: &Identity, new: &[NewProposal], now_ms: i64) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        insert(&mut tx, &self.keys, identity, (new, None), now_ms).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn list(&self, query: &ProposalQuery) -> Result<Vec<Proposal>, StoreError> {
        let Some(top) = registry::path(&self.readers, query.top).await? else { return Ok(Vec::new()) };
        let sql = statement(SELECT, query, &format!("ORDER BY p.number LIMIT {}", query.limit.max(0)));
        let rows = bound(sql, &top, query, query.after).fetch_all(&self.readers).await?;
        rows.iter().map(|row| read(&self.keys, row)).collect()
    }

    async fn count(&self, query: &ProposalQuery) -> Result<i64, StoreError> {
        let Some(top) = registry::path(&self.readers, query.top).await? else { return Ok(0) };
        let row = bound(statement("SELECT count(*)", query, ""), &top, query, 0).fetch_one(&self.readers).await?;
        Ok(row.try_get(0)?)
    }

    async fn one(&self, number: i64) -> Result<Option<Proposal>, StoreError> {
        let sql =
            "SELECT p.*, b.file FROM proposals p LEFT JOIN import_batches b ON b.id = p.import WHERE p.number = $1";
        let row = sqlx::query(sql).bind(number).fetch_optional(&self.readers).await?;
        row.as_ref().map(|row| read(&self.keys, row)).transpose()
    }

    async fn note_sender(&self, digest: &[u8; 32], actor: Actor) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        let known = sender(&mut tx, digest).await?;
        let level = |actor: Actor| Actor::ALL.iter().position(|known| *known == actor);
        if known.is_none_or(|known| level(actor) < level(known)) {
            sqlx::query(
                "INSERT INTO senders (digest, actor) VALUES ($1, $2) ON CONFLICT (digest) DO UPDATE SET actor = $2",
            )
            .bind(digest.as_slice())
            .bind(actor.as_str())
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn sender(&self, digest: &[u8; 32]) -> Result<Option<Actor>, StoreError> {
        sender(&mut *self.readers.acquire().await?, digest).await
    }
}

async fn sender(tx: &mut SqliteConnection, digest: &[u8; 32]) -> Result<Option<Actor>, StoreError> {
    let name: Option<String> = sqlx::query_scalar("SELECT actor FROM senders WHERE digest = $1")
        .bind(digest.as_slice())
        .fetch_optional(tx)
        .await?;
    let actor = |name: String| Actor::ALL.into_iter().find(|actor| actor.as_str() == name).ok_or_else(damaged);
    name.map(actor).transpose()
}

fn json(value: &Value) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Database(e.to_string()))
}

fn damaged() -> StoreError {
    StoreError::Damaged("proposals".into())
}

fn read(keys: &DocumentKeys, row: &SqliteRow) -> Result<Proposal, StoreError> {
    let of = codec::identity(row)?;
    let value =
        |place, text: String| serde_json::from_str::<Value>(&keys.open_text(&of, place, text)?).map_err(|_| damaged());
    let before: Option<String> = row.try_get("before")?;
    let device: Option<Vec<u8>> = row.try_get("device")?;
    let state: &str = row.try_get("state")?;
    let import: Option<String> = row.try_get("import")?;
    Ok(Proposal {
        number: row.try_get("number")?,
        proposed: NewProposal {
            row: RowKey { ledger: row.try_get("ledger")?, row: codec::row_id(row, "row")? },
            column: row.try_get("column")?,
            before: before.map(|text| value(Place::Before, text)).transpose()?,
            value: value(Place::Proposed, row.try_get("value")?)?,
            who: row.try_get("who")?,
            import,
        },
        device: device.map(|_| codec::device_id(row, "device")).transpose()?,
        file: row.try_get("file")?,
        received_at_ms: row.try_get("received_at_ms")?,
        state: ProposalState::ALL.into_iter().find(|known| known.as_str() == state).ok_or_else(damaged)?,
        decided_by: row.try_get("decided_by")?,
        decided_at_ms: row.try_get("decided_at_ms")?,
        reason: row.try_get("reason")?,
        identity: of,
    })
}
