//! What a reply's documents make of those that the device holds.

use super::{
    DeviceError,
    store::{DeviceStore, Stored, THERE, UNSENT, about, insert, register},
};
use crate::{
    document::{Document, change_hash, change_rows},
    ids::{ActorId, ChangeHash, Identity},
    message::{DocumentPull, Successor},
    session::Persist,
};

/// More changes than this behind a snapshot are folded into it.
const CHANGES_MAX: usize = 64;

impl DeviceStore {
    /// What a reply's news make of the documents; and whether anything must be unreadable from now on. `actors` gives actors
    /// that nobody has used yet.
    pub(super) async fn news<'p>(
        &self,
        step: &'p Persist,
        actors: &mut (dyn FnMut() -> ActorId + Send),
    ) -> Result<(Vec<News<'p>>, bool), DeviceError> {
        let (mut news, mut is_any_replaced) = (Vec::new(), false);
        for pull in &step.documents {
            if let Some(successor) = self.replacing(pull).await? {
                is_any_replaced = true;
                news.push(self.replace(pull, successor, &step.receipts, actors).await?);
            } else {
                news.push(self.merge(pull, &step.receipts).await?);
            }
        }
        // What has news at the same time is asked about once more.
        let has_news = |of: &Identity| step.documents.iter().any(|pull| pull.identity == *of);
        for of in step.wanted.iter().filter(|of| !has_news(of)) {
            let (gone, lost) = (Vec::new(), self.document(of).await?.changes_since(&[]));
            news.push(News { of, base: Base::Nothing, gone, there: Vec::new(), lost });
        }
        Ok((news, is_any_replaced))
    }

    /// The successor that the server has put in the place of what this device holds of a document.
    async fn replacing<'p>(&self, pull: &'p DocumentPull) -> Result<Option<&'p Successor>, DeviceError> {
        let Some(successor) = pull.successor.as_ref().filter(|_| pull.whole) else { return Ok(None) };
        Ok((!self.document(&pull.identity).await?.contains(successor.root)).then_some(successor))
    }

    /// Puts a document's successor in its place. What the server does not know is written anew; what was refused stays,
    /// unless it says something of rows that were erased.
    async fn replace<'p>(
        &self,
        pull: &'p DocumentPull,
        successor: &Successor,
        receipts: &[ChangeHash],
        actors: &mut (dyn FnMut() -> ActorId + Send),
    ) -> Result<News<'p>, DeviceError> {
        let of = &pull.identity;
        let changes: Vec<Vec<u8>> = pull.changes.iter().map(|bytes| bytes.to_vec()).collect();
        let theirs = Document::load(pull.snapshot.as_ref().map(|bytes| bytes.as_slice()), &changes)?;
        let erased = successor.erased_rows();
        let mut gone = Vec::new();
        for change in self.changes(of).await? {
            if !change.is_refused() || !change_rows(&change.bytes)?.is_disjoint(&erased) {
                gone.push(change.hash);
            }
        }
        let covers = successor.covers.iter().chain(receipts).copied().collect();
        let written = theirs.clone().carry_over(&self.document(of).await?, &covers, &erased, actors)?;
        let lost = written.into_iter().map(|change| (change.hash, change.bytes)).collect();
        Ok(News { of, base: Base::Snapshot(theirs.save()), gone, there: Vec::new(), lost })
    }

    /// What the news about a document make of it.
    async fn merge<'p>(&self, pull: &'p DocumentPull, receipts: &[ChangeHash]) -> Result<News<'p>, DeviceError> {
        let of = &pull.identity;
        let changes: Vec<Vec<u8>> = pull.changes.iter().map(|bytes| bytes.to_vec()).collect();
        let stored = self.changes(of).await?;
        if pull.whole {
            let snapshot = pull.snapshot.as_ref().map(|bytes| bytes.as_slice());
            let theirs = Document::load(snapshot, &changes)?;
            let mut ours = self.document(of).await?;
            ours.merge(&theirs)?;
            let lost = ours.changes_since(&theirs.heads());
            return Ok(News::folded(of, &theirs, &stored, lost));
        }
        if stored.len() + changes.len() <= CHANGES_MAX {
            return Ok(News { of, base: Base::Kept, gone: Vec::new(), there: changes, lost: Vec::new() });
        }
        // Only what the server has goes into the snapshot: the rest may still be refused.
        let news = changes.iter().map(|bytes| change_hash(bytes)).collect::<Result<Vec<_>, _>>()?;
        let is_there =
            |change: &Stored| change.state == THERE || receipts.contains(&change.hash) || news.contains(&change.hash);
        let there = stored.iter().filter(|change| is_there(change)).map(|change| change.bytes.clone()).collect();
        let mut document = self.load(of, there).await?;
        document.take(None, &changes)?;
        Ok(News::folded(of, &document, &stored, Vec::new()))
    }
}

/// What the changes of a document stand on.
enum Base {
    /// What they stood on before.
    Kept,
    /// This, in place of everything that the server has.
    Snapshot(Vec<u8>),
    /// Nothing: the server has nothing.
    Nothing,
}

/// What is to be stored of one document.
pub(super) struct News<'p> {
    of: &'p Identity,
    base: Base,
    /// Changes that the snapshot holds.
    gone: Vec<ChangeHash>,
    /// Changes that the server has.
    there: Vec<Vec<u8>>,
    /// Changes that it does not have, each behind what it builds upon.
    lost: Vec<(ChangeHash, Vec<u8>)>,
}

impl<'p> News<'p> {
    /// Everything that the server has in one snapshot.
    fn folded(of: &'p Identity, theirs: &Document, stored: &[Stored], lost: Vec<(ChangeHash, Vec<u8>)>) -> Self {
        let gone = stored.iter().map(|change| change.hash).filter(|hash| theirs.contains(*hash)).collect();
        Self { of, base: Base::Snapshot(theirs.save()), gone, there: Vec::new(), lost }
    }

    pub(super) async fn write(self, tx: &mut sqlx::SqliteConnection) -> Result<(), DeviceError> {
        let Self { of, base, gone, there, lost } = self;
        register(tx, of).await?;
        let snapshot = match base {
            Base::Kept => None,
            Base::Snapshot(bytes) => Some(Some(bytes)),
            Base::Nothing => Some(None),
        };
        if let Some(snapshot) = snapshot {
            about(
                "UPDATE documents SET snapshot = $4, confirmed = 1 WHERE unit = $1 AND book = $2 AND period = $3",
                of,
            )
            .bind(snapshot)
            .execute(&mut *tx)
            .await?;
            about("DELETE FROM changes WHERE unit = $1 AND book = $2 AND period = $3 AND state = $4", of)
                .bind(THERE)
                .execute(&mut *tx)
                .await?;
        }
        for hash in gone.iter().chain(lost.iter().map(|(hash, _)| hash)) {
            sqlx::query("DELETE FROM changes WHERE hash = $1").bind(hash.0.as_slice()).execute(&mut *tx).await?;
        }
        for bytes in &there {
            insert(tx, of, change_hash(bytes)?, bytes, THERE).await?;
        }
        // In their order behind one another, whenever they were written.
        for (hash, bytes) in &lost {
            insert(tx, of, *hash, bytes, UNSENT).await?;
        }
        Ok(())
    }
}
