//! Rows that wait for a person to say whether they are records that exist.

use std::collections::BTreeMap;

use importer::memory::Decision;
use sync_protocol::RowId;

use crate::{
    Server, clock,
    import::{ImportError, ImportReport, Source, import_decided},
    store::StoredDoubt,
    twins,
};

/// What a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// It is the record that exists; which one, where there are several.
    Same(Option<RowId>),
    /// It is a record of its own.
    New,
    /// It is not wanted: it waits no longer, and nothing is written.
    Drop,
}

/// What became of the question.
#[derive(Debug)]
pub enum Decided {
    /// No row waits under this id.
    Unknown,
    /// There are several records: one has to be named.
    Several(StoredDoubt),
    /// The row was written as decided.
    Written(ImportReport),
    /// The row was dropped.
    Dropped,
}

/// Everything that waits for a person: rows of files, and stored records that may be one.
pub async fn waiting(server: &Server) -> Result<Vec<StoredDoubt>, ImportError> {
    let mut waiting = server.store.doubts().await?;
    // A stored record is of no file.
    let stored =
        |(twin, _): (importer::twins::Twin, _)| StoredDoubt { doubt: twin.doubt, file: String::new(), digest: [0; 32] };
    waiting.extend(twins::find(server).await?.into_iter().map(stored));
    Ok(waiting)
}

/// Follows a person's decision on a waiting row.
pub async fn decide(server: &Server, id: RowId, choice: Choice, who: &str) -> Result<Decided, ImportError> {
    let waiting = server.store.doubts().await?.into_iter().find(|stored| stored.doubt.id == id);
    let Some(stored) = waiting else { return twins::decide(server, id, choice, who).await };
    let decision = match choice {
        Choice::Drop => {
            server.store.settle_doubts(&[id]).await?;
            return Ok(Decided::Dropped);
        }
        Choice::New => Decision::New,
        Choice::Same(named) => {
            let fits = |row: RowId| stored.doubt.candidates.iter().any(|candidate| candidate.row == row);
            match (named.filter(|row| fits(*row)), stored.doubt.candidates.as_slice()) {
                (Some(row), _) => Decision::Same(row),
                (None, [only]) if named.is_none() => Decision::Same(only.row),
                _ => return Ok(Decided::Several(stored)),
            }
        }
    };
    server.store.learn(server.county, &[], &[(id, decision)], who, clock::now_ms()).await?;
    let file = server.store.waiting_file(&stored.digest).await?;
    let Some(file) = file else { return Ok(Decided::Unknown) };
    let decisions = BTreeMap::from([(id, decision)]);
    let source = Source { name: stored.file, bytes: file.into(), scope: None };
    // The row belongs to the year that its file was imported into, whichever is asked about.
    let year = server.store.batches().await?.into_iter().find(|known| known.batch.digest == stored.digest);
    let year = year.and_then(|known| known.batch.period?.parse().ok()).unwrap_or(server.campaign_year);
    let report = import_decided(&server.at(year), (source, stored.digest), decisions, who).await?;
    server.store.settle_doubts(&[id]).await?;
    Ok(Decided::Written(report))
}
