//! Looking over what is stored, and putting right what can be.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use sync_protocol::{ChangeHash, Identity, RowId, Tenant, UnitId};

use super::{
    SqliteStore, codec,
    document_key::Place,
    document_keys::DocumentKeys,
    group, read,
    sealing::{self, Sealing},
    successors, tallies,
};
use crate::store::{
    ProjectedRow, StoreError,
    examine::{
        ExamineStore, FeedLine, KeysSeen, Orphans, Packed, RawChange, RawContent, RawDocument, RawUnit, Repair,
        UnboundActor,
    },
};

/// The migration that marked the feed, and the first one.
const MARKS: i64 = 7;

fn unpacked(keys: &DocumentKeys, place: Place<'_>, bytes: &[u8]) -> Packed {
    keys.open_any(place, bytes).map_err(|error| match error {
        StoreError::Damaged(what) => what,
        error => error.to_string(),
    })
}

fn raw_document(row: &SqliteRow) -> Result<RawDocument, StoreError> {
    Ok(RawDocument {
        number: row.try_get("number")?,
        id: row.try_get("id")?,
        unit: row.try_get("unit")?,
        book: row.try_get("book")?,
        period: row.try_get("period")?,
        heads: row.try_get("heads")?,
        seq: row.try_get("seq")?,
        is_stray: row.try_get("is_stray")?,
        is_successor: row.try_get("is_successor")?,
    })
}

/// What a document's line says that it is of, if it says it.
fn identity(document: &RawDocument) -> Option<Identity> {
    let unit = UnitId::from_bytes(document.unit.clone().try_into().ok()?);
    Some(Identity { unit, book: document.book.parse().ok()?, period: document.period.clone() })
}

#[async_trait]
impl ExamineStore for SqliteStore {
    async fn integrity(&self) -> Result<Vec<String>, StoreError> {
        read::check(&self.readers).await
    }

    async fn raw_documents(&self) -> Result<Vec<RawDocument>, StoreError> {
        let sql = "SELECT number, id, unit, book, period, heads, seq, is_stray, root IS NOT NULL AS is_successor
                   FROM documents ORDER BY number";
        sqlx::query(sql).fetch_all(&self.readers).await?.iter().map(raw_document).collect()
    }

    async fn content(&self, number: i64) -> Result<Option<(RawDocument, RawContent)>, StoreError> {
        let mut tx = self.readers.begin().await?;
        let sql = "SELECT number, id, unit, book, period, heads, seq, is_stray, root IS NOT NULL AS is_successor
                   FROM documents WHERE number = $1";
        let Some(document) = sqlx::query(sql).bind(number).fetch_optional(&mut *tx).await? else { return Ok(None) };
        let document = raw_document(&document)?;
        let snapshot = sqlx::query("SELECT upto_seq, bytes FROM snapshots WHERE document = $1").bind(number);
        let snapshot = snapshot.fetch_optional(&mut *tx).await?;
        let open = |place, bytes: &[u8]| unpacked(&self.keys, place, bytes);
        let snapshot = snapshot.map(|row| {
            let bytes = open(Place::Snapshot, row.try_get("bytes")?);
            Ok::<_, StoreError>((row.try_get("upto_seq")?, bytes))
        });
        let changes = sqlx::query("SELECT seq, hash, bytes FROM changes WHERE document = $1 ORDER BY seq").bind(number);
        let change = |row: &SqliteRow| {
            let bytes: Option<&[u8]> = row.try_get("bytes")?;
            let bytes = bytes.map(|bytes| open(Place::Change, bytes));
            Ok(RawChange { seq: row.try_get("seq")?, hash: row.try_get("hash")?, bytes })
        };
        let changes = changes.fetch_all(&mut *tx).await?.iter().map(change).collect::<Result<_, StoreError>>()?;
        let rows = sqlx::query("SELECT ledger, row, cells, conflicts, removed FROM rows WHERE document = $1");
        let row = |row: &SqliteRow| {
            let id: Vec<u8> = row.try_get("row")?;
            let known = RowId::random(id.clone().try_into().unwrap_or_default());
            let (ledger, conflicts): (String, Option<String>) = (row.try_get("ledger")?, row.try_get("conflicts")?);
            // What cannot be opened is not what the document says.
            let open = |place, text| self.keys.open_any_text(place, text).unwrap_or_default();
            let projected = ProjectedRow {
                row: known,
                cells: open(Place::Cells(&ledger, known), row.try_get("cells")?),
                conflicts: conflicts.map(|text| open(Place::Conflicts(&ledger, known), text)),
                removed: row.try_get("removed")?,
                ledger,
            };
            Ok((id, projected))
        };
        let rows = rows.bind(number).fetch_all(&mut *tx).await?.iter().map(row).collect::<Result<_, StoreError>>()?;
        tx.commit().await?;
        Ok(Some((document, RawContent { snapshot: snapshot.transpose()?, changes, rows })))
    }

    async fn feed_lines(&self, after: i64, count: i64) -> Result<Vec<FeedLine>, StoreError> {
        let lines = sqlx::query("SELECT seq, hash, chain FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2");
        let line = |row: &SqliteRow| {
            Ok(FeedLine { seq: row.try_get("seq")?, hash: row.try_get("hash")?, chain: row.try_get("chain")? })
        };
        lines.bind(after).bind(count).fetch_all(&self.readers).await?.iter().map(line).collect()
    }

    async fn may_begin_unmarked(&self) -> Result<bool, StoreError> {
        // A database that had its marks from the beginning made its whole schema in one go.
        let apart = "SELECT coalesce((SELECT unixepoch(m.installed_on) - unixepoch(f.installed_on) > 60
                     FROM _sqlx_migrations m, _sqlx_migrations f
                     WHERE m.version = $1 AND f.version = 1), 0)";
        Ok(sqlx::query_scalar(apart).bind(MARKS).fetch_one(&self.readers).await?)
    }

    async fn newest_given(&self) -> Result<i64, StoreError> {
        let given = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'changes'");
        Ok(given.fetch_one(&self.readers).await?)
    }

    fn chained(&self, chain: i64, hash: &[u8]) -> Option<i64> {
        Some(group::chained(chain, ChangeHash(hash.try_into().ok()?)))
    }

    async fn raw_units(&self) -> Result<Vec<RawUnit>, StoreError> {
        let unit = |row: &SqliteRow| {
            Ok(RawUnit {
                id: row.try_get("id")?,
                parent: row.try_get("parent")?,
                level: row.try_get("level")?,
                name: row.try_get("name")?,
                path: row.try_get("path")?,
            })
        };
        let units = sqlx::query("SELECT id, parent, level, name, path FROM units ORDER BY path, id");
        units.fetch_all(&self.readers).await?.iter().map(unit).collect()
    }

    async fn orphans(&self) -> Result<Vec<Orphans>, StoreError> {
        let mut orphans = Vec::new();
        for (table, sql) in ORPHANS {
            for row in sqlx::query(sql).fetch_all(&self.readers).await? {
                orphans.push(Orphans { unit: row.try_get("unit")?, table, count: row.try_get("count")? });
            }
        }
        Ok(orphans)
    }

    async fn unbound_actors(&self) -> Result<Vec<UnboundActor>, StoreError> {
        let sql = "SELECT u.changes, f.device IS NOT NULL AS by_device
                   FROM (SELECT min(c.seq) AS first, count(*) AS changes FROM changes c
                         LEFT JOIN actors a ON a.actor = c.actor WHERE a.actor IS NULL GROUP BY c.actor) u
                   JOIN changes f ON f.seq = u.first";
        let actor = |row: &SqliteRow| {
            Ok(UnboundActor { changes: row.try_get("changes")?, by_device: row.try_get("by_device")? })
        };
        sqlx::query(sql).fetch_all(&self.readers).await?.iter().map(actor).collect()
    }

    async fn wrong_tallies(&self) -> Result<Vec<(String, String, usize)>, StoreError> {
        let mut tx = self.readers.begin().await?;
        let mut found: BTreeMap<(Vec<u8>, String), BTreeSet<tallies::Counted>> = BTreeMap::new();
        for row in sqlx::query("SELECT unit, period, measure, by, value FROM tallies").fetch_all(&mut *tx).await? {
            let counted = (row.try_get("measure")?, row.try_get("by")?, row.try_get("value")?);
            found.entry((row.try_get("unit")?, row.try_get("period")?)).or_default().insert(counted);
        }
        let all = self.tally.concerned(None);
        let mut wrong = Vec::new();
        for row in sqlx::query("SELECT DISTINCT unit, period FROM documents").fetch_all(&mut *tx).await? {
            let of: (Vec<u8>, String) = (row.try_get("unit")?, row.try_get("period")?);
            let stored = sqlx::query(
                "SELECT d.unit, d.book, d.period, r.ledger, r.row, r.cells, r.removed FROM documents d
                 CROSS JOIN rows r ON r.document = d.number WHERE d.unit = $1 AND d.period = $2",
            );
            let stored = stored.bind(&of.0).bind(&of.1).fetch_all(&mut *tx).await?;
            let cells = stored.iter().map(|row| tallies::cells(&self.keys, row)).collect::<Result<Vec<_>, _>>();
            let expected = cells.and_then(|cells| {
                let rows = stored.iter().zip(&cells).map(|(row, cells)| tallies::counted(row, cells));
                self.tally.tally(&of.1, &rows.collect::<Result<Vec<_>, _>>()?, &all)
            });
            let found = found.remove(&of).unwrap_or_default();
            let differing = match expected {
                Ok(expected) => {
                    let expected: BTreeSet<_> = expected.into_iter().collect();
                    expected.symmetric_difference(&found).count()
                }
                // Rows that cannot be read: nobody can tell what they count.
                Err(_) => found.len().max(1),
            };
            if differing > 0 {
                wrong.push((hex(&of.0), of.1, differing));
            }
        }
        wrong.extend(found.into_iter().map(|((unit, period), counted)| (hex(&unit), period, counted.len())));
        tx.commit().await?;
        Ok(wrong)
    }

    async fn wrong_attachments(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let whole = sqlx::query("SELECT unit, hash FROM attachments WHERE length(bytes) >= size");
        let mut wrong = Vec::new();
        for row in whole.fetch_all(&self.readers).await? {
            let (unit, hash): (Vec<u8>, Vec<u8>) = (row.try_get("unit")?, row.try_get("hash")?);
            let bytes = sqlx::query_scalar("SELECT bytes FROM attachments WHERE unit = $1 AND hash = $2");
            let bytes: Vec<u8> = bytes.bind(&unit).bind(&hash).fetch_one(&self.readers).await?;
            if Sha256::digest(&bytes).as_slice() != hash {
                wrong.push((unit, hash));
            }
        }
        Ok(wrong)
    }

    async fn repair_document(&self, number: i64, repair: &Repair) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        if let Some((identity, id)) = &repair.identity {
            let sql = "UPDATE documents SET id = $2, unit = $3, book = $4, period = $5, is_stray = 0 WHERE number = $1";
            let set = sqlx::query(sql).bind(number).bind(id.as_slice()).bind(identity.unit.as_bytes().as_slice());
            set.bind(identity.book.as_str()).bind(&identity.period).execute(&mut *tx).await?;
            if let Some(key) = sealing::key_of(&mut tx, &self.keys, identity).await? {
                sealing::seal(&mut tx, &self.keys, identity, &key).await?;
            }
        }
        let line = sqlx::query("SELECT unit, book, period FROM documents WHERE number = $1").bind(number);
        let line = line.fetch_optional(&mut *tx).await?.and_then(|row| codec::identity(&row).ok());
        let sealing = Sealing::of(&mut tx, &self.keys, line.iter().map(|of| (number, of))).await?;
        if let Some(heads) = &repair.heads {
            let set = sqlx::query("UPDATE documents SET heads = $2 WHERE number = $1").bind(number);
            set.bind(codec::join_heads(heads)).execute(&mut *tx).await?;
        }
        if let Some(seq) = repair.seq {
            let set = sqlx::query("UPDATE documents SET seq = $2 WHERE number = $1").bind(number);
            set.bind(seq).execute(&mut *tx).await?;
        }
        if let Some(upto) = repair.upto {
            let set = sqlx::query("UPDATE snapshots SET upto_seq = $2 WHERE document = $1").bind(number);
            set.bind(upto).execute(&mut *tx).await?;
        }
        if let Some((upto, bytes)) = &repair.snapshot {
            let sql = "INSERT INTO snapshots (document, upto_seq, bytes) VALUES ($1, $2, $3)
                       ON CONFLICT (document) DO UPDATE SET upto_seq = $2, bytes = $3";
            let bytes = sealing.blob(number, Place::Snapshot, bytes)?;
            sqlx::query(sql).bind(number).bind(upto).bind(bytes).execute(&mut *tx).await?;
        }
        for (seq, bytes) in &repair.changes {
            let set = sqlx::query("UPDATE changes SET bytes = $2 WHERE seq = $1").bind(seq);
            set.bind(sealing.blob(number, Place::Change, bytes)?).execute(&mut *tx).await?;
        }
        if let Some(rows) = &repair.rows {
            sqlx::query("DELETE FROM rows WHERE document = $1").bind(number).execute(&mut *tx).await?;
            let rows: Vec<_> = rows.iter().map(|row| (number, row)).collect();
            group::project(&mut tx, &sealing, &rows).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn repair_paths(&self, paths: &[(Vec<u8>, String)]) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        for (id, path) in paths {
            sqlx::query("UPDATE units SET path = $2 WHERE id = $1").bind(id).bind(path).execute(&mut *tx).await?;
        }
        // What stands below a unit has changed for whoever asked meanwhile.
        sqlx::query("UPDATE moves SET count = count + 1").execute(&mut *tx).await?;
        sqlx::query("UPDATE units SET moved = (SELECT count FROM moves)").execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    async fn remove_units(&self, units: &[Vec<u8>]) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        for id in units {
            sqlx::query(
                "DELETE FROM units WHERE id = $1 AND id NOT IN (SELECT unit FROM documents)
                 AND id NOT IN (SELECT unit FROM people) AND id NOT IN (SELECT unit FROM devices)",
            )
            .bind(id)
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn repair_marks(&self, marks: &[(i64, i64)]) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        for (seq, chain) in marks {
            sqlx::query("UPDATE changes SET chain = $2 WHERE seq = $1").bind(seq).bind(chain).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn recount(&self) -> Result<(), StoreError> {
        tallies::rebuild(&self.writer, self.tally.as_ref(), &self.keys).await
    }

    async fn document_keys(&self) -> Result<KeysSeen, StoreError> {
        let fault = self.keys.fault().cloned().filter(|_| self.is_sealed);
        let keyless = sealing::keyless(&self.readers, &self.keys).await?;
        Ok(KeysSeen { fault, keyless })
    }

    async fn take_successors(&self) -> Result<Vec<Identity>, StoreError> {
        let put = successors::put_back(&self.writer, self.tally.as_ref(), &self.keys).await;
        self.kept(put).await
    }

    async fn bind_actors(&self) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        sqlx::query(
            "INSERT INTO actors (actor, device)
             SELECT actor, coalesce(device, x'') FROM changes WHERE seq IN (SELECT min(seq) FROM changes GROUP BY actor)
             ON CONFLICT (actor) DO NOTHING",
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn set_apart(&self, county: &Tenant) -> Result<(), StoreError> {
        let mut tx = self.writer.begin().await?;
        set_apart(&mut tx, county).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn set_apart(tx: &mut SqliteConnection, county: &Tenant) -> Result<(), StoreError> {
    let sql =
        "SELECT number, id, unit, book, period, heads, seq, is_stray, root IS NOT NULL AS is_successor FROM documents d
               WHERE EXISTS (SELECT 1 FROM documents o WHERE o.unit = d.unit AND o.book = d.book AND o.period = d.period
                                                             AND o.number != d.number)";
    let several = sqlx::query(sql).fetch_all(&mut *tx).await?;
    let several = several.iter().map(raw_document).collect::<Result<Vec<_>, _>>()?;
    let is_right = |document: &RawDocument| {
        identity(document).is_some_and(|identity| identity.document(county).as_bytes().as_slice() == document.id)
    };
    for right in several.iter().filter(|document| is_right(document)) {
        sqlx::query("UPDATE documents SET is_stray = 1 WHERE unit = $1 AND book = $2 AND period = $3 AND number != $4")
            .bind(&right.unit)
            .bind(&right.book)
            .bind(&right.period)
            .bind(right.number)
            .execute(&mut *tx)
            .await?;
        sqlx::query("UPDATE documents SET is_stray = 0 WHERE number = $1").bind(right.number).execute(&mut *tx).await?;
    }
    // Where a document is not of this county and none is yet, the place is kept for the one that will be.
    for row in sqlx::query(
        "SELECT number, id, unit, book, period, heads, seq, is_stray, root IS NOT NULL AS is_successor
                            FROM documents WHERE is_stray = 0",
    )
    .fetch_all(&mut *tx)
    .await?
    {
        let document = raw_document(&row)?;
        if !is_right(&document) {
            sqlx::query("UPDATE documents SET is_stray = 1 WHERE number = $1")
                .bind(document.number)
                .execute(&mut *tx)
                .await?;
        }
    }
    Ok(())
}

/// What belongs to units that are not there.
const ORPHANS: [(&str, &str); 5] = [
    (
        "documents",
        "SELECT unit, count(*) AS count FROM documents WHERE unit NOT IN (SELECT id FROM units) GROUP BY unit",
    ),
    (
        "units",
        "SELECT parent AS unit, count(*) AS count FROM units
               WHERE parent IS NOT NULL AND parent NOT IN (SELECT id FROM units) GROUP BY parent",
    ),
    ("people", "SELECT unit, count(*) AS count FROM people WHERE unit NOT IN (SELECT id FROM units) GROUP BY unit"),
    ("devices", "SELECT unit, count(*) AS count FROM devices WHERE unit NOT IN (SELECT id FROM units) GROUP BY unit"),
    (
        "submissions",
        "SELECT unit, count(*) AS count FROM submissions WHERE unit NOT IN (SELECT id FROM units) GROUP BY unit",
    ),
];

/// An id as people write it.
fn hex(id: &[u8]) -> String {
    match <[u8; 16]>::try_from(id) {
        Ok(id) => UnitId::from_bytes(id).to_string(),
        Err(_) => data_encoding::HEXLOWER.encode(id),
    }
}
