//! What lies between a device and the server: requests are lost, doubled and late.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use server::{
    Server,
    store::{DeviceRecord, StoreError},
    sync::ExchangeError,
};
use sync_protocol::{
    client::{Delivery, DeviceError, Transport},
    message::{self, ExchangeRequest},
};

use super::plan::Fate;

/// A lock whose holder may have failed: the scenario has then, too.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The line between one device and the server.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) server: Mutex<Option<Server>>,
    /// What the administrator wants the server to know of the device.
    pub(super) record: Mutex<DeviceRecord>,
    pub(super) fate: Mutex<Fate>,
    pub(super) late: Mutex<Vec<Vec<u8>>>,
    pub(super) now_ms: Mutex<i64>,
    pub(super) died: Mutex<bool>,
}

impl Line {
    /// What the server makes of a request; `None` when it is dead.
    pub(super) async fn serve(&self, request: &[u8]) -> Result<Option<Vec<u8>>, DeviceError> {
        let server = lock(&self.server).clone();
        let Some(server) = server else { return Ok(None) };
        let request: ExchangeRequest =
            message::decode(request).map_err(|error| DeviceError::Protocol(error.to_string()))?;
        let (id, now_ms) = (lock(&self.record).id, *lock(&self.now_ms));
        // What the server knows of the device counts, as it does where a request names it by its token.
        let known = server.store.device(id).await.map_err(|error| DeviceError::Protocol(error.to_string()))?;
        let Some(record) = known else { return Ok(None) };
        match server.sync.exchange(&record, request, now_ms).await {
            Ok(reply) => Ok(Some(message::encode(&reply))),
            Err(ExchangeError::Refused(refusal)) => Err(DeviceError::Refused { status: 400, text: refusal.sentence }),
            // The server lives, and says that it cannot save.
            Err(ExchangeError::Store(StoreError::Full)) => Ok(None),
            Err(ExchangeError::Store(_)) => {
                *lock(&self.died) = true;
                Ok(None)
            }
        }
    }
}

/// The device's end of it.
#[derive(Debug)]
pub(super) struct Wire(pub(super) Arc<Line>);

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Vec<u8>) -> Result<Delivery, DeviceError> {
        let fate = *lock(&self.0.fate);
        let offline = || DeviceError::Offline("made up".into());
        if fate == Fate::Lost {
            return Err(offline());
        }
        let mut reply = self.0.serve(&request).await?;
        match fate {
            Fate::Unanswered => return Err(offline()),
            Fate::Late => {
                lock(&self.0.late).push(request);
                return Err(offline());
            }
            Fate::Twice => reply = self.0.serve(&request).await?,
            Fate::Arrives | Fate::Lost => {}
        }
        let reply = reply.ok_or_else(offline)?;
        Ok(Delivery { bytes_sent: request.len(), bytes_received: reply.len(), reply })
    }
}
