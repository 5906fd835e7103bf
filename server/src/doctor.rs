//! `taizhang doctor`: is what is stored what was stored?

use serde::Serialize;
use sync_protocol::Document;

use crate::{
    Server,
    import::Progress,
    projection,
    store::{StoreError, Totals},
};

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnosis {
    /// Sizes.
    pub totals: Totals,
    /// Documents that were read and compared.
    pub documents_checked: usize,
    /// What is wrong, one sentence each; empty when all is well.
    pub wrong: Vec<String>,
}

/// Checks the database, every document, and the projection against the documents.
pub async fn diagnose(server: &Server, progress: Progress<'_>) -> Result<Diagnosis, StoreError> {
    let mut wrong = server.store.check().await?;
    let all = server.store.all_identities().await?;
    let total = all.len();
    for (done, (identity, heads)) in all.iter().enumerate() {
        let id = identity.document(&server.tenant);
        let name = format!("文档 document {id} (unit {}, {} {})", identity.unit, identity.book, identity.period);
        let Some(stored) = server.store.document(id).await? else {
            wrong.push(format!("{name}: 编号与内容不符 its id does not follow from what it is of"));
            continue;
        };
        match Document::load(stored.snapshot.as_deref(), &stored.changes) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(document) if document.heads() != *heads => {
                wrong.push(format!("{name}: 与登记的版本不符 its heads are not the recorded ones"));
            }
            Ok(document) => {
                let mut expected = projection::project_all(&document);
                let mut found = server.store.projection(id).await?;
                expected.sort_by(|a, b| (&a.ledger, a.row).cmp(&(&b.ledger, b.row)));
                found.sort_by(|a, b| (&a.ledger, a.row).cmp(&(&b.ledger, b.row)));
                if expected != found {
                    wrong.push(format!("{name}: 报表数据与文档不符 the projection differs from the document"));
                }
            }
        }
        progress(done + 1, total);
    }
    Ok(Diagnosis { totals: server.store.totals().await?, documents_checked: total, wrong })
}
