//! Bundles at the server: a file with what a device or an office wrote comes in, a file with everything new goes out.

use std::sync::Arc;

use importer::Register;
use minicbor::bytes::ByteVec;
use serde_json::json;
use sync_protocol::{
    Book,
    bundle::{self, BundleError, BundleReply, BundleRequest, HEAD_BYTES_MAX, Keys},
    message::{ExchangeReply, ExchangeRequest, encode},
    unit::Unit,
};
use tokio::sync::Semaphore;

use crate::{
    Server,
    aside::aside,
    audit::By,
    auth::Caller,
    clock,
    store::{DeviceRecord, StoreError},
    sync::ExchangeError,
    units::{self, Kept, Right},
};

/// Bytes of an answer: what is beyond them, the next bundle brings.
const ANSWER_BYTES_MAX: usize = 128 << 20;
/// Units in one bundle.
const UNITS_MAX: usize = 20_000;
/// Bundles of known senders that are worked on at once: each takes memory and a processor.
static AT_ONCE: Semaphore = Semaphore::const_new(2);
/// Bundles of whomever that are looked at at once, to find out whose they are.
static LOOKED_AT_ONCE: Semaphore = Semaphore::const_new(2);

/// Why a bundle was not answered.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It cannot be opened, or the answer not be closed.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Nobody here has its sender's key.
    #[error("数据包的发送设备未登记，请先登记 | the bundle's sender is not enrolled: enrol it first")]
    Stranger,
    /// The server is being stopped.
    #[error("服务器正在停止，请稍后再试 | the server is being stopped: try again later ({0})")]
    Interrupted(String),
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
    /// Units that were new or changed, and those that were not taken.
    pub units: Kept,
    /// The file that goes back.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// What the audit log says of it.
    pub fn detail(&self) -> serde_json::Value {
        json!({
            "device": self.device.name,
            "taken": self.taken,
            "refused": self.refused,
            "units": self.units.changed,
            "units_refused": self.units.refused.len(),
        })
    }
}

/// Work that takes a processor, where it keeps nobody else waiting.
async fn work<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BundleError> + Send + 'static,
) -> Result<T, AnswerError> {
    Ok(aside(work).await.map_err(|error| AnswerError::Interrupted(error.to_string()))??)
}

/// Whose a bundle is, and the keys that it was written to: a device without a network knows no others. Nothing of it is unpacked,
/// and of a large one only the beginning is decrypted.
async fn sender(server: &Server, bytes: &[u8]) -> Result<(DeviceRecord, Arc<Keys>), AnswerError> {
    let _turn = LOOKED_AT_ONCE.acquire().await;
    let (ring, beginning) = (server.keyring.clone(), bytes.get(..HEAD_BYTES_MAX).unwrap_or(bytes).to_vec());
    let (head, keys) = work(move || ring.read_head(&beginning)).await?;
    let device = server.store.device_by_signing_key(&head.sender).await?.ok_or(AnswerError::Stranger)?;
    Ok((device, keys))
}

/// Takes a bundle and writes its answer; the same bundle twice changes nothing.
pub async fn answer(server: &Server, bytes: &[u8]) -> Result<Answer, AnswerError> {
    let (device, keys) = sender(server, bytes).await?;
    let recipient = device.keys.clone().ok_or(AnswerError::Stranger)?;
    let _turn = AT_ONCE.acquire().await;
    let (opens, whole) = (keys.clone(), bytes.to_vec());
    let (BundleRequest { mut request, units, answer_bytes_max }, head) =
        work(move || bundle::open(&whole, &opens)).await?;
    // What a revoked device has written is taken like over the network; it learns nothing any more.
    let is_revoked = device.is_revoked;
    let units = take_units(server, &device, &units).await?;
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
        let (push, asks) = (Vec::new(), Vec::new());
        request = ExchangeRequest { protocol, cursor, push, device_time_ms, asks, held: Vec::new() };
    }
    let taken = replies.iter().map(|reply| reply.receipts.len()).sum();
    let refused = replies.iter().map(|reply| reply.refusals.len()).sum();
    let may_see = !is_revoked && device.books.iter().copied().any(Book::is_restricted);
    let is_narrow = answer_bytes_max.is_some();
    let known = if is_revoked || is_narrow { Vec::new() } else { known_to(server, &device).await? };
    let mut reply = BundleReply {
        replies,
        units: to_json(&known)?.into(),
        county_key: (may_see && !is_narrow).then(|| server.keyring.county().to_vec().into()),
        asked,
        refused_units: units.refused.clone(),
    };
    // What comes back through a camera has its checkpoint where its receipts are.
    let noted: Vec<String> = if is_narrow { None } else { server.checkpoints.latest().await }.into_iter().collect();
    let seal = move || {
        let (bytes, _) = bundle::seal_with(&reply, (Some(&head.digest), &noted), &keys, &recipient)?;
        if !is_narrow || bytes.len() <= bytes_max {
            return Ok(bytes);
        }
        without_news(&mut reply, held_until);
        bundle::seal(&reply, Some(&head.digest), &keys, &recipient).map(|(bytes, _)| bytes)
    };
    let bytes = work(seal).await?;
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

/// The units that an office has registered below its own.
async fn take_units(server: &Server, device: &DeviceRecord, json: &[u8]) -> Result<Kept, AnswerError> {
    let sent: Vec<Unit> = serde_json::from_slice(json).map_err(|error| BundleError::Content(error.to_string()))?;
    if sent.len() > UNITS_MAX {
        return Err(BundleError::TooLarge.into());
    }
    let caller = Caller::device(device.clone());
    let rights = caller.unit_rights(&server.catalogue);
    let right = rights.as_ref().map_or(Right::None, Right::Some);
    let source = json!({ "bundle_of": device.name });
    Ok(units::keep(server, &sent, right, &By::from(&caller), &source).await?)
}

/// The units of a device's scope, and those above it.
async fn known_to(server: &Server, device: &DeviceRecord) -> Result<Vec<Unit>, StoreError> {
    let units = server.store.units().await?;
    let register = Register::new(units.clone());
    let is_seen = |unit: &Unit| register.is_below(unit.id, device.unit) || register.is_below(device.unit, unit.id);
    Ok(units.into_iter().filter(is_seen).collect())
}

pub(crate) fn to_json(units: &[Unit]) -> Result<Vec<u8>, BundleError> {
    serde_json::to_vec(units).map_err(|error| BundleError::Content(error.to_string()))
}
