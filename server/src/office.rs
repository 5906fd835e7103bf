//! An office without a network: its own store is a device of the county, and bundles carry both ways.

use std::collections::BTreeSet;

use sync_protocol::{
    ActorId, ChangeHash, DeviceId, Document,
    bundle::{self, Asked, BundleError, BundleReply, BundleRequest, Keys, PublicKeys, RefusedUnit},
    checkpoint::Kept,
    document::{DocumentError, LocalChange, RowKey, change_actor},
    message::{DocumentPull, DocumentPush, ExchangeRequest, PROTOCOL, PushedChange, RefusedChange, Successor},
    unit::Unit,
};

use crate::{
    Server,
    audit::By,
    bundle::to_json,
    clock, erasure, projection,
    store::{Committed, DocumentWrite, NewChange, ProposalWrites, Replacement, StoreError},
    units::{self, Right},
};

const TOKEN: &str = "office_token";
const COUNTY: &str = "office_county";
const CURSOR: &str = "office_cursor";
/// The bundles that were written last.
const ASKED: &str = "office_asked";
/// The checkpoints of the county's audit log that it has sent.
const CHECKPOINTS: &str = "office_checkpoints";
/// The units as the county has sent them.
const UNITS: &str = "office_units";
/// Whoever wrote what comes from the county: not this office.
const THE_COUNTY: DeviceId = DeviceId::from_bytes([0; 16]);
/// How often a document is tried that somebody else is writing to.
const ROUNDS_MAX: usize = 16;

/// Why an office has no bundle, or does not take one.
#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    /// It belongs to no county yet.
    #[error(
        "本机尚未加入，请先用 join 登记县里给的令牌和公钥 | not joined yet: use `join` with the county's token and keys"
    )]
    NotJoined,
    /// The county has revoked it.
    #[error(
        "本机已被县里停用，县里不再向它发送内容；如属误停，请联系系统管理员重新加入（join）；否则请把数据文件夹交系统管理员清除 | the county has revoked this office and sends it nothing any more: if that is a mistake, ask the administrator and `join` anew; else hand the data folder over to be erased"
    )]
    Revoked,
    /// Its configuration is of another county.
    #[error(
        "数据包来自另一个县：区划代码与本机建库时的 county_code 不一致；请在 taizhang.toml 中改正，换一个空的数据目录重新 join，再重新导入 | of another county: the county_code that this store was made with is not the county's; correct it in taizhang.toml, join anew in an empty data folder, and import again"
    )]
    OtherCounty,
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a bundle from the county brought.
#[derive(Debug, Default)]
pub struct Taken {
    /// Documents with news.
    pub documents: usize,
    /// Units that are known now.
    pub units: usize,
    /// Own changes that the county has for good.
    pub receipts: usize,
    /// Own changes that it did not take.
    pub refusals: Vec<RefusedChange>,
    /// Own units that it did not take.
    pub refused_units: Vec<RefusedUnit>,
}

/// Joins a county: its token for this office, and its public keys.
pub async fn join(server: &Server, token: &str, county: &PublicKeys) -> Result<(), StoreError> {
    server.store.put_secret(TOKEN, token.trim().as_bytes()).await?;
    server.store.put_secret(COUNTY, county.to_string().as_bytes()).await
}

/// The keys of this office and those of its county.
async fn keys(server: &Server) -> Result<(Keys, PublicKeys), OfficeError> {
    let token = server.store.get_secret(TOKEN).await?.ok_or(OfficeError::NotJoined)?;
    let county = server.store.get_secret(COUNTY).await?.ok_or(OfficeError::NotJoined)?;
    Ok((Keys::of(&token), String::from_utf8_lossy(&county).parse()?))
}

/// Everything that this office has imported, for the county; and how many changes that is.
pub async fn write(server: &Server) -> Result<(Vec<u8>, usize), OfficeError> {
    let (keys, county) = keys(server).await?;
    let (mut push, mut count) = (Vec::new(), 0);
    for (identity, own) in server.store.own_changes().await? {
        let Some(stored) = server.store.document(identity.document(&server.tenant)).await? else { continue };
        let document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
        let changes = document.changes_since(&[]).into_iter().filter(|(hash, _)| own.contains(hash));
        let changes: Vec<_> = changes.map(|(hash, bytes)| PushedChange { hash, bytes: bytes.into() }).collect();
        count += changes.len();
        push.push(DocumentPush { identity, changes });
    }
    let request = ExchangeRequest {
        protocol: PROTOCOL,
        cursor: server.store.get_secret(CURSOR).await?.map(Into::into),
        push,
        device_time_ms: clock::now_ms(),
        asks: Vec::new(),
        held: Vec::new(),
    };
    let units = to_json(&own_units(server).await?)?.into();
    let content = BundleRequest { request, units, answer_bytes_max: None };
    let seen = checkpoints(server).await?.spread();
    let (bytes, digest) = bundle::seal_with(&content, (None, &seen), &keys, &county)?;
    // Known before the file is out of this office: its answer is taken, and no other.
    let mut asked = asked(server).await?;
    asked.add(digest);
    server.store.put_secret(ASKED, &asked.to_bytes()).await?;
    Ok((bytes, count))
}

async fn asked(server: &Server) -> Result<Asked, StoreError> {
    let bytes = server.store.get_secret(ASKED).await?;
    Ok(bytes.map(|bytes| Asked::from_bytes(&bytes)).unwrap_or_default())
}

/// The checkpoints of the county's audit log that this office has seen.
async fn checkpoints(server: &Server) -> Result<Kept, StoreError> {
    let bytes = server.store.get_secret(CHECKPOINTS).await?;
    Ok(bytes.map(|bytes| Kept::from_bytes(&bytes)).unwrap_or_default())
}

/// Keeps those that an answer brought, whatever they say.
async fn keep_checkpoints<'a>(server: &Server, seen: impl Iterator<Item = &'a String>) -> Result<(), StoreError> {
    let mut kept = checkpoints(server).await?;
    let mut is_new = false;
    for text in seen {
        is_new |= kept.add(text);
    }
    if is_new { server.store.put_secret(CHECKPOINTS, &kept.to_bytes()).await } else { Ok(()) }
}

/// The units that this office has added or changed since the county has sent its own: what the county has changed meanwhile is not
/// taken back.
async fn own_units(server: &Server) -> Result<Vec<Unit>, OfficeError> {
    let sent = server.store.get_secret(UNITS).await?.unwrap_or_else(|| b"[]".to_vec());
    let sent: Vec<Unit> = serde_json::from_slice(&sent).map_err(|error| StoreError::Damaged(error.to_string()))?;
    let mut units = server.store.units().await?;
    units.retain(|unit| unit.id != server.county && !sent.contains(unit));
    Ok(units)
}

/// What the county says of units. Where one of this office's own has a code that the county has given to another, that counts.
async fn take_units(server: &Server, json: &[u8]) -> Result<usize, OfficeError> {
    let mut units: Vec<Unit> = serde_json::from_slice(json).map_err(|error| BundleError::Content(error.to_string()))?;
    let is_root = |unit: &&Unit| unit.parent.is_none();
    if units.iter().find(is_root).map(|unit| unit.id) != Some(server.county) {
        return Err(OfficeError::OtherCounty);
    }
    let count = units.len();
    let own = server.store.units().await?.into_iter().filter(|own| !units.iter().any(|unit| unit.id == own.id));
    let is_taken = |own: &Unit| own.code.is_some() && units.iter().any(|unit| unit.code == own.code);
    let without: Vec<Unit> = own.filter(is_taken).map(|own| Unit { code: None, ..own }).collect();
    units.extend(without);
    let source = serde_json::json!({ "answer_of": server.county_name });
    units::keep(server, &units, Right::All, &By::from("taizhang-import"), &source).await?;
    server.store.put_secret(UNITS, json).await?;
    Ok(count)
}

/// Takes what the county sends: units, the key of restricted natural keys, documents. As often as one likes.
pub async fn take(server: &Server, bytes: &[u8]) -> Result<Taken, OfficeError> {
    let (keys, county) = keys(server).await?;
    let file = bytes.to_vec();
    let known = asked(server).await?;
    let opened = tokio::task::spawn_blocking(move || bundle::open_reply(&file, &keys, &county, &known)).await;
    let (BundleReply { replies, units, county_key, refused_units, .. }, head) =
        opened.map_err(|error| StoreError::Database(error.to_string()))??;
    let seen = head.checkpoints.iter().rev().chain(replies.iter().filter_map(|reply| reply.checkpoint.as_ref()));
    keep_checkpoints(server, seen).await?;
    if replies.iter().any(|reply| reply.erase) {
        return Err(OfficeError::Revoked);
    }
    let mut taken = Taken { units: take_units(server, &units).await?, refused_units, ..Taken::default() };
    if let Some(key) = county_key {
        let ring = server.keyring.with_county(&key);
        let ring = ring.ok_or_else(|| BundleError::Content("the county's key is not one".into()))?;
        ring.keep(server.store.as_ref()).await?;
    }
    let receipts: BTreeSet<ChangeHash> = replies.iter().flat_map(|reply| reply.receipts.iter().copied()).collect();
    for reply in replies {
        for pull in &reply.documents {
            taken.documents += usize::from(take_document(server, pull, &receipts).await?);
        }
        taken.receipts += reply.receipts.len();
        taken.refusals.extend(reply.refusals);
        // Behind the documents that it leads past.
        server.store.put_secret(CURSOR, &reply.cursor).await?;
    }
    Ok(taken)
}

/// Merges one document; says whether it had news.
async fn take_document(
    server: &Server,
    pull: &DocumentPull,
    receipts: &BTreeSet<ChangeHash>,
) -> Result<bool, OfficeError> {
    let identity = &pull.identity;
    let id = identity.document(&server.tenant);
    let changes: Vec<Vec<u8>> = pull.changes.iter().map(|bytes| bytes.to_vec()).collect();
    for _ in 0..ROUNDS_MAX {
        let (mut document, expected_heads): (Document, Vec<ChangeHash>) = match server.store.document(id).await? {
            Some(stored) => (Document::load(stored.snapshot.as_deref(), &stored.changes)?, stored.heads),
            None => (Document::new(), Vec::new()),
        };
        let is_new = |successor: &&Successor| pull.whole && !document.contains(successor.root);
        if let Some(successor) = pull.successor.as_ref().filter(is_new).filter(|_| !expected_heads.is_empty()) {
            if replace(server, pull, successor, &document, receipts).await? == Committed::Durable {
                return Ok(true);
            }
            continue;
        }
        document.take(pull.snapshot.as_ref().map(|bytes| bytes.as_slice()), &changes)?;
        let new = document.changes_since(&expected_heads);
        if new.is_empty() {
            return Ok(false);
        }
        let touched: BTreeSet<RowKey> = document.row_states().into_keys().collect();
        let write = DocumentWrite {
            document: id,
            identity: identity.clone(),
            expected_heads,
            heads: document.heads(),
            changes: new
                .into_iter()
                .map(|(hash, bytes)| Ok(NewChange { hash, actor: change_actor(&bytes)?, bytes: Some(bytes) }))
                .collect::<Result<_, DocumentError>>()?,
            snapshot: Some(document.save()),
            rows: projection::project(&document, &touched),
            wrong_steps: Vec::new(),
            device: Some(THE_COUNTY),
            received_at_ms: clock::now_ms(),
            binds: true,
            proposals: ProposalWrites::default(),
        };
        if server.store.commit(vec![write]).await? == [Committed::Durable] {
            return Ok(true);
        }
    }
    Err(StoreError::Database(format!("document {id} is written to by too many at once")).into())
}

/// Puts the county's successor of a document in the place of this office's, and what this office has written and the
/// county does not have yet, into it.
async fn replace(
    server: &Server,
    pull: &DocumentPull,
    successor: &Successor,
    ours: &Document,
    receipts: &BTreeSet<ChangeHash>,
) -> Result<Committed, OfficeError> {
    let identity = &pull.identity;
    let changes: Vec<Vec<u8>> = pull.changes.iter().map(|bytes| bytes.to_vec()).collect();
    let mut document = Document::load(pull.snapshot.as_ref().map(|bytes| bytes.as_slice()), &changes)?;
    let erased = successor.erased_rows();
    let covers = successor.covers.iter().chain(receipts).copied().collect();
    let id = identity.document(&server.tenant);
    let write = erasure::replacing(identity, id, &document, ours.heads(), Some(THE_COUNTY))?;
    let theirs = document.heads();
    let own = document.carry_over(ours, &covers, &erased, &mut || ActorId(clock::random()))?;
    let new = |change: LocalChange| {
        Ok(NewChange { hash: change.hash, actor: change_actor(&change.bytes)?, bytes: Some(change.bytes) })
    };
    let carried = DocumentWrite {
        expected_heads: theirs,
        changes: own.into_iter().map(new).collect::<Result<_, DocumentError>>()?,
        snapshot: None,
        ..erasure::replacing(identity, id, &document, Vec::new(), None)?
    };
    let carried = (!carried.changes.is_empty()).then_some(carried);
    let replacement = Replacement { write, carried, root: successor.root, erased, quarantined: Vec::new() };
    let replaced = server.sync.replace(&replacement).await?;
    if replaced == Committed::Durable {
        server.store.sweep().await?;
    }
    Ok(replaced)
}
