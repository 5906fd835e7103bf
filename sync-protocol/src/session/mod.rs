//! The exchange as two pure state machines: events in, effects out. Whoever runs them owns the
//! socket, the disk and the clock.

mod backoff;
mod device;
mod server;

pub use backoff::Backoff;
pub use device::{DeviceSession, Outgoing, Persist, SessionError};
pub use server::{
    Effect, FeedPage, FeedQuery, Judged, NotTaken, Position, Scope, ServerSession, StoreOutcome, position_of,
};
