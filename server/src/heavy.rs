//! Work that takes a core for seconds, such as drawing what was true last month: one such thing at a time, in the order in
//! which they were asked for. Of one person one may be under way and one wait.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sync_protocol::DeviceId;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{aside::behind, auth::Caller, store::PersonId};

/// What is under way or waits, of one person.
const OF_ONE_MAX: usize = 2;
/// The same of everybody.
const OF_ALL_MAX: usize = 16;
/// What one of them takes of a county's size, in seconds: for the word on when to come again.
const EACH_S: u64 = 5;

/// Who asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// A person, with whatever device.
    Person(PersonId),
    /// A device that nobody carries.
    Device(DeviceId),
    /// Those whom nobody knows, all together: they do not stand in anybody's way.
    Strangers,
}

impl From<&Caller> for Who {
    fn from(caller: &Caller) -> Self {
        let device = caller.device.as_ref().map(|device| Self::Device(device.id));
        caller.person_id().map(Self::Person).or(device).unwrap_or(Self::Strangers)
    }
}

/// Why it has to be asked for again, and in about how many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// They have one under way and one waiting.
    OfOne(u64),
    /// Too many others wait.
    OfAll(u64),
}

/// Who works and who waits.
#[derive(Debug)]
pub struct Heavy {
    turn: Semaphore,
    places: Mutex<HashMap<Who, usize>>,
}

/// A turn: it is over when this is dropped.
#[derive(Debug)]
struct Turn<'h> {
    /// Given back before the place is.
    _permit: Option<SemaphorePermit<'h>>,
    _place: Place<'h>,
}

#[derive(Debug)]
struct Place<'h> {
    heavy: &'h Heavy,
    who: Who,
}

impl Default for Heavy {
    fn default() -> Self {
        Self { turn: Semaphore::new(1), places: Mutex::default() }
    }
}

impl Heavy {
    /// Does somebody's work when it is their turn, if there is room to wait, and behind everything that is not heavy.
    pub async fn run<T: Send + 'static>(
        &self,
        who: impl Into<Who>,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Queued> {
        let _turn = self.turn(who).await?;
        Ok(behind(work).await)
    }

    /// Waits for somebody's turn, if there is room to wait.
    async fn turn(&self, who: impl Into<Who>) -> Result<Turn<'_>, Queued> {
        let place = self.place(who.into())?;
        // It is never closed.
        Ok(Turn { _permit: self.turn.acquire().await.ok(), _place: place })
    }

    fn place(&self, who: Who) -> Result<Place<'_>, Queued> {
        let mut places = self.places();
        let all: usize = places.values().sum();
        let own = places.get(&who).copied().unwrap_or(0);
        let wait_s = EACH_S * u64::try_from(all).unwrap_or(u64::MAX).max(1);
        if own >= OF_ONE_MAX {
            return Err(Queued::OfOne(wait_s));
        }
        if all >= OF_ALL_MAX {
            return Err(Queued::OfAll(wait_s));
        }
        places.insert(who, own + 1);
        Ok(Place { heavy: self, who })
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Who, usize>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.heavy.places();
        match places.get(&self.who).copied().unwrap_or(0).saturating_sub(1) {
            0 => places.remove(&self.who),
            left => places.insert(self.who, left),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    fn device(number: u8) -> Who {
        Who::Device(DeviceId::from_bytes([number; 16]))
    }

    #[tokio::test]
    async fn one_works_one_of_each_waits_and_the_next_is_told_when_to_come_again() {
        let heavy = Heavy::default();
        let working = heavy.turn(device(0)).await.expect("a turn");
        let mut waiting = Box::pin(heavy.turn(device(0)));
        assert!(waiting.as_mut().now_or_never().is_none(), "the second of the same person waits");
        assert_eq!(heavy.turn(device(0)).await.expect_err("a third"), Queued::OfOne(10));
        let mut others: Vec<_> = (1..15).map(|number| Box::pin(heavy.turn(device(number)))).collect();
        for other in &mut others {
            assert!(other.as_mut().now_or_never().is_none());
        }
        assert_eq!(heavy.turn(device(99)).await.expect_err("too many"), Queued::OfAll(80));
        // Who does not wait any more makes room, and the turns go on in their order.
        drop(others.remove(0));
        drop(working);
        let second = tokio::time::timeout(Duration::from_secs(1), waiting).await.expect("its turn").expect("a turn");
        assert!(others[0].as_mut().now_or_never().is_none());
        drop(second);
        assert!(others[0].as_mut().now_or_never().is_some());
        drop(others);
        assert!(heavy.places().is_empty(), "{heavy:?}");
        assert!(heavy.turn(Who::Strangers).await.is_ok());
    }
}
