//! What has changed since: every cell that people have typed or an import has overwritten, with who and when.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sync_protocol::{
    ChangeHash, Document, UnitId,
    catalogue::Sensitivity,
    conflict::Means,
    document::RowKey,
    row::{EXTRA, PHOTO, REMOVED},
    unit::Unit,
};

use crate::{
    Server,
    aside::aside,
    returns::{record_name, said},
    store::StoreError,
};

/// A cell that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CellChange {
    /// Title of the ledger.
    pub ledger: String,
    /// Name of the unit.
    pub unit: String,
    /// What names the record.
    pub record: String,
    /// Title of the column.
    pub column: String,
    /// What the cell said before, masked by role; none, if nobody had written to it.
    pub before: Option<String>,
    /// What was written.
    pub after: String,
    /// Who wrote it.
    pub who: String,
    /// By what means.
    #[schema(value_type = Option<String>)]
    pub how: Option<Means>,
    /// When, by the writer's clock, in milliseconds since 1970.
    pub written_at_ms: i64,
}

/// A means in words.
pub fn means(how: Option<Means>) -> &'static str {
    match how {
        Some(Means::Form) => "填写",
        Some(Means::Import) => "导入",
        Some(Means::Return) => "表格交回",
        Some(Means::Resolve) => "处理冲突",
        Some(Means::Undo) => "撤销导入",
        Some(Means::Keep) => "保持原值",
        Some(Means::Carry) => "上年结转",
        None => "未知",
    }
}

/// The latest `max` changes since this number of the feed in the documents of these units, the latest first, and how many
/// there are.
pub async fn changes(
    server: &Server,
    units: &[Unit],
    since: i64,
    clearance: Sensitivity,
    max: usize,
) -> Result<(Vec<CellChange>, usize), StoreError> {
    let names: BTreeMap<UnitId, &str> = units.iter().map(|unit| (unit.id, unit.name.as_str())).collect();
    let owners: BTreeMap<_, _> =
        server.store.devices().await?.into_iter().map(|seen| (seen.device.id, seen.device.owner)).collect();
    let ids: Vec<UnitId> = units.iter().map(|unit| unit.id).collect();
    let (mut latest, mut all) = (Vec::new(), 0);
    for (identity, _) in server.store.identities(&ids).await? {
        let is_hidden = identity.book.is_restricted() && clearance < Sensitivity::S3;
        if is_hidden || identity.period != server.period() {
            continue;
        }
        let id = identity.document(&server.tenant);
        let known: BTreeSet<ChangeHash> = if since > 0 {
            server.store.changes_until(id, since).await?.into_iter().collect()
        } else {
            BTreeSet::new()
        };
        let Some(stored) = server.store.document(id).await? else { continue };
        let catalogue = server.catalogue.clone();
        let read = move || {
            let document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
            let edits = document.edits_beyond(&known);
            let rows: BTreeMap<_, _> = edits
                .iter()
                .map(|edit| (&edit.address).into())
                .map(|key: RowKey| {
                    let name = record_name(&catalogue, &key.ledger, &document.row_state(&key).row, clearance);
                    (key, name)
                })
                .collect();
            Ok::<_, sync_protocol::document::DocumentError>((edits, rows))
        };
        let read = aside(read).await?;
        let (edits, rows) = read.map_err(|e| StoreError::Damaged(e.to_string()))?;
        let hashes: Vec<ChangeHash> = edits.iter().map(|edit| edit.written.change).collect();
        let arrivals = server.store.arrivals(&hashes).await?;
        for edit in edits {
            let address = &edit.address;
            let ledger = server.catalogue.ledger(&address.ledger);
            let column = ledger.and_then(|ledger| ledger.column(&address.column));
            let title = match (column, address.column.as_str()) {
                (Some(column), _) => column.title.clone(),
                (None, REMOVED) => "删除".to_owned(),
                (None, PHOTO) => "照片".to_owned(),
                (None, EXTRA) => address.member.as_deref().unwrap_or(EXTRA).to_owned(),
                (None, other) => other.to_owned(),
            };
            let print = |value| match address.column.as_str() {
                REMOVED | PHOTO => if value == &true.into() { "是" } else { "否" }.to_owned(),
                _ => said(server, column, value, clearance),
            };
            let claimed = edit.written.provenance.as_ref();
            let writer = arrivals.get(&edit.written.change).and_then(|arrival| owners.get(&arrival.writer?));
            latest.push(CellChange {
                ledger: ledger.map_or_else(|| address.ledger.to_string(), |ledger| ledger.title.clone()),
                unit: names.get(&identity.unit).copied().unwrap_or_default().to_owned(),
                record: rows.get(&address.into()).cloned().unwrap_or_default(),
                column: title,
                before: edit.before.as_ref().map(print),
                after: print(&edit.written.value),
                who: writer.cloned().or(claimed.map(|claimed| claimed.who.clone())).unwrap_or_else(|| "未知".into()),
                how: claimed.map(|claimed| claimed.how),
                written_at_ms: edit.written.written_at_s.saturating_mul(1000),
            });
            all += 1;
        }
        if latest.len() > 2 * max {
            keep(&mut latest, max);
        }
    }
    keep(&mut latest, max);
    Ok((latest, all))
}

fn keep(latest: &mut Vec<CellChange>, max: usize) {
    latest.sort_by_key(|change| std::cmp::Reverse(change.written_at_ms));
    latest.truncate(max);
}
