//! Documents: their bytes, their lines, and their projection.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use sync_protocol::{ChangeHash, Document, Identity, Row, Tenant, UnitId, catalogue::Catalogue, document::change_hash};

use super::{Finding, Mend, Round, id};
use crate::{
    aside::aside,
    import::Progress,
    projection,
    store::{
        ProjectedRow,
        examine::{RawContent, RawDocument, Repair},
    },
};

/// A record of a register: what makes a unit.
pub(super) struct Record {
    /// The unit that it makes.
    pub(super) unit: UnitId,
    /// Where its ledger stands in the catalogue.
    pub(super) ledger: usize,
    /// It.
    pub(super) row: Row,
}

/// What was seen of documents.
#[derive(Default)]
pub(super) struct Seen {
    /// How many there are.
    pub(super) documents: usize,
    /// Records of registers.
    pub(super) records: Vec<Record>,
}

pub(super) async fn look(round: &mut Round<'_>, progress: Progress<'_>) -> Seen {
    let examine = round.server.store.examine();
    let documents = examine.raw_documents().await;
    let documents = round.read("document", "文档 documents", documents).unwrap_or_default();
    let mut seen = Seen { documents: documents.len(), ..Seen::default() };
    let ids: Arc<BTreeSet<Vec<u8>>> = Arc::new(documents.iter().map(|document| document.id.clone()).collect());
    for (done, document) in documents.into_iter().enumerate() {
        let name = name(&document);
        let content = examine.content(document.number).await;
        let number = document.number;
        if let Some(Some((document, content))) = round.read("document", &name, content) {
            let (tenant, catalogue, ids) = (round.server.tenant.clone(), round.server.catalogue.clone(), ids.clone());
            let looked = aside(move || Look::over(&tenant, &catalogue, &ids, &document, &content)).await;
            if let Some(Look { findings, repair, records, .. }) = round.read("document", &name, looked) {
                seen.records.extend(records);
                round.mend(findings, examine.repair_document(number, &repair)).await;
            }
        }
        progress(done + 1, seen.documents);
    }
    seen
}

fn name(document: &RawDocument) -> String {
    let RawDocument { unit, book, period, number, .. } = document;
    format!("文档 document {number} (unit {}, {book} {period})", id(unit))
}

/// Automerge panics on some absurd bytes: those are damaged, too.
fn guarded<T>(read: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok().flatten()
}

fn load(snapshot: Option<&[u8]>, changes: &[Vec<u8>]) -> Option<Document> {
    guarded(|| Document::load(snapshot, changes).ok())
}

/// What was found of one document.
struct Look {
    place: String,
    findings: Vec<Finding>,
    repair: Repair,
    records: Vec<Record>,
}

impl Look {
    fn over(
        tenant: &Tenant,
        catalogue: &Catalogue,
        ids: &BTreeSet<Vec<u8>>,
        document: &RawDocument,
        content: &RawContent,
    ) -> Self {
        let place = name(document);
        let mut look = Self { place, findings: Vec::new(), repair: Repair::default(), records: Vec::new() };
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for change in &content.changes {
            match &change.bytes {
                Some(Ok(bytes))
                    if guarded(|| change_hash(bytes).ok()).is_some_and(|hash| hash.0[..] == change.hash) =>
                {
                    good.push(bytes.clone());
                }
                Some(_) => bad.push(change),
                None => {}
            }
        }
        let stored = content.snapshot.as_ref().map(|(upto, bytes)| (*upto, bytes.as_deref().unwrap_or_default()));
        let base = match stored {
            Some((_, bytes)) => load(Some(bytes), &[]),
            None => Some(Document::new()),
        };
        let snapshot = stored.filter(|_| base.is_some()).map(|(_, bytes)| bytes);
        // Whatever the number says up to which the snapshot stands: a change that is in it already is taken once.
        let best = load(snapshot, &good).or_else(|| load(snapshot, &[])).unwrap_or_default();
        let held: BTreeMap<Vec<u8>, Vec<u8>> =
            best.changes_since(&[]).into_iter().map(|(hash, bytes)| (hash.0.to_vec(), bytes)).collect();
        // What a successor stands for is kept by hash alone.
        let missing: Vec<i64> = content
            .changes
            .iter()
            .filter(|change| !held.contains_key(&change.hash))
            .filter(|change| !document.is_successor || change.bytes.is_some())
            .map(|change| change.seq)
            .collect();
        let is_whole = missing.is_empty() && (base.is_some() || !document.is_successor);
        let mend = if is_whole { Mend::Possible } else { Mend::Impossible };

        for change in bad {
            let what = format!("修改 {} 号的内容已损坏 the bytes of change {} are damaged", change.seq, change.seq);
            match held.get(&change.hash) {
                Some(bytes) => {
                    look.repair.changes.push((change.seq, bytes.clone()));
                    look.add("change", what, Mend::Possible);
                }
                None => look.add("change", what, Mend::Impossible),
            }
        }
        let last = content.changes.last().map_or(0, |change| change.seq);
        if base.is_none() {
            look.add("snapshot", "快照已损坏 its snapshot is damaged", mend);
            look.repair.snapshot = Some((last, best.save()));
        }
        if !missing.is_empty() {
            let what = format!(
                "{} 处修改的内容已丢失（如 {} 号） | what {} change(s) wrote is lost",
                missing.len(),
                missing[0],
                missing.len()
            );
            look.add("document", what, Mend::Impossible);
        }
        let recorded: BTreeSet<&Vec<u8>> = content.changes.iter().map(|change| &change.hash).collect();
        let unknown = held.keys().filter(|hash| !recorded.contains(hash)).count();
        if unknown > 0 {
            let what = format!("{unknown} 处修改不在修改序列中 | {unknown} change(s) of it are not in the feed");
            look.add("document", what, Mend::Impossible);
        }
        if let (Some((upto, _)), Some(base)) = (stored, &base) {
            look.upto(upto, base, document, content, mend);
        }
        look.line(document, &best, last, mend);
        look.identity(tenant, ids, document, &best);
        if is_whole {
            look.projection(&best, content);
        }
        look.registers(catalogue, document, &best);
        if !is_whole {
            let Repair { identity, seq, changes, .. } = std::mem::take(&mut look.repair);
            look.repair = Repair { identity, seq, changes, ..Repair::default() };
        }
        look
    }

    fn add(&mut self, kind: &'static str, what: impl Into<String>, mend: Mend) {
        let finding = match mend {
            Mend::Impossible => Finding::impossible(kind, self.place.clone(), what),
            Mend::Possible | Mend::Done => Finding::possible(kind, self.place.clone(), what),
        };
        self.findings.push(finding);
    }

    /// Every change up to the number is in the snapshot, and the one behind it is not.
    fn upto(&mut self, upto: i64, base: &Document, document: &RawDocument, content: &RawContent, mend: Mend) {
        let is_inside = |hash: &[u8]| hash.try_into().is_ok_and(|hash| base.contains(ChangeHash(hash)));
        let inside = content
            .changes
            .iter()
            .take_while(|change| is_inside(&change.hash) || document.is_successor && change.bytes.is_none());
        let expected = inside.last().map_or(0, |change| change.seq);
        if upto != expected {
            let what = format!(
                "快照截止号应为 {expected}，不是 {upto} | its snapshot stands up to {expected}, not {upto}: changes would be passed over"
            );
            self.add("snapshot", what, mend);
            self.repair.upto = Some(expected);
        }
    }

    /// What its line says of it.
    fn line(&mut self, document: &RawDocument, best: &Document, last: i64, mend: Mend) {
        let heads = best.heads();
        if heads.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>() != document.heads {
            self.add("heads", "与登记的版本不符 its heads are not the recorded ones", mend);
            self.repair.heads = Some(heads);
        }
        if document.seq != last {
            let what = format!(
                "最后修改应为 {last} 号，不是 {} | its last change is {last}, not {}",
                document.seq, document.seq
            );
            self.add("document-seq", what, Mend::Possible);
            self.repair.seq = Some(last);
        }
    }

    /// What it is of, by its line and by what it says itself; its id follows.
    fn identity(&mut self, tenant: &Tenant, ids: &BTreeSet<Vec<u8>>, document: &RawDocument, best: &Document) {
        let unit = <[u8; 16]>::try_from(document.unit.clone()).ok().map(UnitId::from_bytes);
        let (period, book) = (document.period.clone(), document.book.parse().ok());
        let by_line = unit.zip(book).map(|(unit, book)| Identity { unit, book, period });
        let own = best.identity().or_else(|| by_line.clone());
        let right = own.clone().map(|identity| (*identity.document(tenant).as_bytes(), identity));
        match right {
            Some((right, own)) if right[..] == document.id => {
                if by_line.as_ref() != Some(&own) {
                    let what = format!(
                        "登记的单位、册或年度与文档不符 its unit, book or period are not its own: {} {} {}",
                        own.unit, own.book, own.period
                    );
                    self.add("document", what, Mend::Possible);
                    self.repair.identity = Some((own, right));
                }
            }
            Some((right, own)) if !ids.contains(&right[..]) && by_line.as_ref() == Some(&own) => {
                self.add("document", "编号与内容不符 its id does not follow from what it is of", Mend::Possible);
                self.repair.identity = Some((own, right));
            }
            Some(_) if document.is_stray => {
                self.add("stray", "同一单位、册、年度另有一份：区划代码配错时导入所致 | there is another of this unit, book and period: it was imported under another county's code", Mend::Impossible);
                if let Some(finding) = self.findings.last_mut() {
                    finding.advice = "记录按编号只计一次；如其中有另一份没有的内容，请用正确的区划代码重新导入原工作簿 | a record counts once by its id; if it holds what the other lacks, import the workbook again under the right code".into();
                }
            }
            _ => self.add("document", "编号与内容不符 its id does not follow from what it is of", Mend::Impossible),
        }
    }

    /// What returns read.
    fn projection(&mut self, best: &Document, content: &RawContent) {
        let mut expected = projection::project_all(best);
        let key = |row: &ProjectedRow| (row.ledger.clone(), row.row);
        expected.sort_by_key(key);
        let mut found: Vec<&ProjectedRow> = content.rows.iter().map(|(_, row)| row).collect();
        found.sort_by_key(|row| key(row));
        let is_right = content.rows.iter().all(|(id, row)| *id == row.row.as_bytes());
        if !is_right || !expected.iter().eq(found) {
            self.add("projection", "报表数据与文档不符 the projection differs from the document", Mend::Possible);
            self.repair.rows = Some(expected);
        }
    }

    fn registers(&mut self, catalogue: &Catalogue, document: &RawDocument, best: &Document) {
        let Ok(unit) = <[u8; 16]>::try_from(document.unit.clone()) else { return };
        for (ledger, defining) in catalogue.ledgers().iter().enumerate().filter(|(_, ledger)| ledger.unit.defines) {
            let rows = best.rows(&defining.id).into_values().filter(|row| !row.removed);
            self.records.extend(rows.map(|row| Record { unit: UnitId::from_bytes(unit), ledger, row }));
        }
    }
}
