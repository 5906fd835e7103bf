//! Bundles at the server: a file with what a device or an office wrote comes in, a file with everything new goes out.

use importer::Register;
use minicbor::bytes::ByteVec;
use sync_protocol::{
    Book,
    bundle::{self, BundleError, BundleReply, BundleRequest},
    message::{ExchangeReply, ExchangeRequest, encode},
    unit::Unit,
};

use crate::{
    Server, clock,
    store::{DeviceRecord, StoreError},
    sync::ExchangeError,
};

/// Bytes of an answer: what is beyond them, the next bundle brings.
const ANSWER_BYTES_MAX: usize = 128 << 20;

/// Why a bundle was not answered.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It cannot be opened, or the answer not be closed.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Nobody here has its sender's key.
    #[error("数据包的发送设备未登记，请先登记 | the bundle's sender is not enrolled: enrol it first")]
    Stranger,
    /// Its request makes no sense.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was done with a bundle.
#[derive(Debug)]
pub struct Answer {
    /// Whose it was.
    pub device: DeviceRecord,
    /// Its changes that are stored for good.
    pub taken: usize,
    /// Its changes that were not taken.
    pub refused: usize,
    /// Units that were new.
    pub units: usize,
    /// The file that goes back.
    pub bytes: Vec<u8>,
}

/// Takes a bundle and writes its answer; the same bundle twice changes nothing.
pub async fn answer(server: &Server, bytes: &[u8]) -> Result<Answer, AnswerError> {
    let (BundleRequest { mut request, units, answer_bytes_max }, sender) = bundle::open(bytes, &server.keys)?;
    let device = server.store.device_by_signing_key(&sender).await?.ok_or(AnswerError::Stranger)?;
    let recipient = device.keys.clone().ok_or(AnswerError::Stranger)?;
    // What a revoked device has written is taken like over the network; it learns nothing any more.
    let is_revoked = device.is_revoked;
    let units = if !is_revoked && !device.writes.is_empty() { take_units(server, &device, &units).await? } else { 0 };
    let asked = request.asks.iter().map(|ask| ask.identity.clone()).collect();
    let held_until = request.cursor.clone();
    let bytes_max = answer_bytes_max.map_or(ANSWER_BYTES_MAX, |max| max as usize);
    let (mut replies, mut size): (Vec<ExchangeReply>, _) = (Vec::new(), 0);
    loop {
        let (protocol, device_time_ms) = (request.protocol, request.device_time_ms);
        let reply = server.sync.exchange(&device, request, clock::now_ms()).await?;
        size += encode(&reply).len();
        let (more, cursor) = (reply.more, Some(reply.cursor.clone()));
        replies.push(reply);
        if !more || size > bytes_max {
            break;
        }
        let (push, asks, held) = (Vec::new(), Vec::new(), Vec::new());
        request = ExchangeRequest { protocol, cursor, push, device_time_ms, asks, held };
    }
    let taken = replies.iter().map(|reply| reply.receipts.len()).sum();
    let refused = replies.iter().map(|reply| reply.refusals.len()).sum();
    let may_see = !is_revoked && device.books.iter().copied().any(Book::is_restricted);
    let is_narrow = answer_bytes_max.is_some();
    let known = if is_revoked || is_narrow { Vec::new() } else { known_to(server, &device).await? };
    let mut reply = BundleReply {
        replies,
        units: json(&known)?.into(),
        county_key: (may_see && !is_narrow).then(|| server.county_key.clone().into()),
        asked,
    };
    let mut bytes = bundle::seal(&reply, &server.keys, &recipient)?;
    if is_narrow && bytes.len() > bytes_max {
        without_news(&mut reply, held_until);
        bytes = bundle::seal(&reply, &server.keys, &recipient)?;
    }
    Ok(Answer { device, taken, refused, units, bytes })
}

/// Leaves what became of the sender's changes, and nothing else: the rest comes another way, since the cursor stays where it was.
fn without_news(reply: &mut BundleReply, cursor: Option<ByteVec>) {
    reply.replies.truncate(1);
    if let (Some(first), Some(cursor)) = (reply.replies.first_mut(), cursor) {
        (first.documents, first.dropped, first.restart) = (Vec::new(), Vec::new(), false);
        (first.cursor, first.more) = (cursor, true);
    }
}

/// New units below the sender's own, and what is new about them.
async fn take_units(server: &Server, device: &DeviceRecord, json: &[u8]) -> Result<usize, AnswerError> {
    let mut sent: Vec<Unit> = serde_json::from_slice(json).map_err(|error| BundleError::Content(error.to_string()))?;
    sent.sort_by_key(|unit| unit.level as u8);
    let mut register = Register::new(server.store.units().await?);
    let mut new = Vec::new();
    for unit in sent {
        let known = register.unit(unit.id);
        let was_its_own = known.is_none() || unit.id != device.unit && register.is_below(unit.id, device.unit);
        let is_its_own = unit.parent.is_some_and(|parent| register.is_below(parent, device.unit));
        if known != Some(&unit) && was_its_own && is_its_own {
            register.insert(unit.clone());
            new.push(unit);
        }
    }
    server.store.put_units(&new).await?;
    Ok(new.len())
}

/// The units of a device's scope, and those above it.
async fn known_to(server: &Server, device: &DeviceRecord) -> Result<Vec<Unit>, StoreError> {
    let units = server.store.units().await?;
    let register = Register::new(units.clone());
    let is_seen = |unit: &Unit| register.is_below(unit.id, device.unit) || register.is_below(device.unit, unit.id);
    Ok(units.into_iter().filter(is_seen).collect())
}

pub(crate) fn json(units: &[Unit]) -> Result<Vec<u8>, BundleError> {
    serde_json::to_vec(units).map_err(|error| BundleError::Content(error.to_string()))
}
