//! The documents behind `/sync/repo`: a peer's turn with one of them. What it brings goes the way of every delivery, and
//! is durable before anything is answered.

use sync_protocol::{
    Document, DocumentId, Identity,
    document::{Chunk, SyncMessage, SyncState, identity_of},
    message::{DocumentPush, PushedChange},
    repo::{RepoTurn, Turned},
    session::Scope,
};

use super::{
    Sync,
    push::{Loaded, Sender},
    scope,
};
use crate::store::{DeviceRecord, StoreError};

impl Sync {
    /// Takes a peer's turn.
    pub async fn turn_of(&self, device: &DeviceRecord, turn: RepoTurn, now_ms: i64) -> Result<Turned, StoreError> {
        // What it may do can have changed since it has connected.
        let Some(device) = self.store.device(device.id).await? else { return Ok(Turned::Unavailable) };
        let RepoTurn { document, state, mut message } = turn;
        let changes = message.as_mut().map(SyncMessage::take_changes).unwrap_or_default();
        let (identity, heads, is_successor) = match self.store.head(document).await? {
            Some(head) => (head.identity, head.heads, head.is_successor),
            None if changes.is_empty() => return Ok(ask_for(&device, message)),
            None => match self.identity_of(document, &changes) {
                Some(identity) => (identity, Vec::new(), false),
                None => return Ok(Turned::Unavailable),
            },
        };
        let mut scope = scope(&device, self.store.moves(device.unit).await?);
        // What an official client has merged it never forgets: it gets nothing that may have to be erased.
        scope.books.retain(|book| !book.is_restricted());
        let brings = !changes.is_empty() && (device.is_revoked || device.may_write(identity.book));
        let mut outcome = Taken::default();
        if brings {
            outcome = self.take_from_peer(&device, &scope, &identity, changes, now_ms).await?;
        }
        let may = self.is_in_scope(&scope, &identity).await?;
        // Of a document from which something was erased a peer that merges would keep what was before.
        if !may || device.is_revoked || is_successor {
            return Ok(Turned::Unavailable);
        }
        let may_write = device.may_write(identity.book);
        let fresh = || if may_write { SyncState::new() } else { SyncState::read_only() };
        let mut state = state.unwrap_or_else(fresh);
        if outcome.is_unmet {
            // A Bloom filter has hidden something that it builds upon.
            let data = Document::ask_for_all(&mut state);
            return Ok(Turned::Here { state, data, is_progress: outcome.is_news });
        }
        if !brings
            && let Some(message) = &message
            && let Some(data) = state.meet(message, &heads)
        {
            return Ok(Turned::Here { state, data, is_progress: true });
        }
        let _turn = self.turn(document).lock().await;
        let base = self.base(document).await?;
        if base.heads.is_empty() {
            // Nothing of what it brought was taken.
            return Ok(Turned::Unavailable);
        }
        let was_cached = matches!(base.document, Loaded::Cached(_));
        let speak = move || {
            let mut cached = base.document.load()?;
            if let Some(message) = message {
                let received = cached.document.receive_sync(&mut state, message);
                received.map_err(|e| StoreError::Damaged(e.to_string()))?;
            }
            let data = cached.document.generate_sync(&mut state);
            Ok::<_, StoreError>((cached, state, data))
        };
        let (cached, state, data) = self.workers.work(speak).await??;
        // Whoever only reads a thousand documents leaves those in memory that others write to.
        if was_cached || outcome.is_news {
            self.cache.put(document, cached);
        }
        Ok(Turned::Here { state, data, is_progress: outcome.is_news })
    }

    /// What a new document is of: it says so itself, and its id follows from it.
    fn identity_of(&self, document: DocumentId, changes: &[Vec<u8>]) -> Option<Identity> {
        let identity = identity_of(changes, &self.limits).ok().flatten();
        let identity = identity.filter(|identity| identity.document(&self.tenant) == document);
        if identity.is_none() {
            tracing::warn!(%document, "a peer has sent a document that does not say what it is of, or has another's id");
        }
        identity
    }

    /// Stores what a peer brings.
    async fn take_from_peer(
        &self,
        device: &DeviceRecord,
        scope: &Scope,
        identity: &Identity,
        changes: Vec<Vec<u8>>,
        now_ms: i64,
    ) -> Result<Taken, StoreError> {
        let mut pushed = Vec::new();
        for bytes in changes {
            match Chunk::open(&bytes, &self.limits) {
                Ok(chunk) => pushed.push(PushedChange { hash: chunk.hash(), bytes: bytes.into() }),
                Err(refusal) => tracing::warn!(code = refusal.code.as_str(), "a peer's change was refused"),
            }
        }
        let mut taken = Taken::default();
        let push = DocumentPush { identity: identity.clone(), changes: pushed };
        let sender = Sender { device, scope, may_heal: false };
        for (hash, outcome) in self.take(sender, vec![push], now_ms).await?.outcomes {
            match outcome {
                Ok(()) => taken.is_news = true,
                Err(refused) if refused.is_unmet() => taken.is_unmet = true,
                Err(refused) => {
                    let code = refused.refusal.code.as_str();
                    tracing::warn!(%hash, code, quarantined = refused.quarantined, "a peer's change was refused");
                }
            }
        }
        Ok(taken)
    }
}

/// What to say about a document that is not here.
fn ask_for(device: &DeviceRecord, message: Option<SyncMessage>) -> Turned {
    let may_bring =
        !device.is_revoked && !device.writes.is_empty() && message.is_some_and(|message| message.has_heads());
    match Document::ask_for_all(&mut SyncState::new()) {
        Some(data) if may_bring => Turned::Wanted { data },
        _ => Turned::Unavailable,
    }
}

/// What became of what a peer brought.
#[derive(Debug, Default)]
struct Taken {
    is_news: bool,
    /// Something builds upon what is not here.
    is_unmet: bool,
}
