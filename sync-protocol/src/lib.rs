//! What every Taizhang replica agrees on: ids, the catalogue, the document model, conflicts, and
//! the exchange with both ends' state machines.
//!
//! Nothing in here reads a clock, a random source, a file or a socket: time, randomness and bytes
//! come in as arguments, so that a whole county of replicas can be simulated in one process. The
//! exceptions stand behind the optional `client` feature: the device client that field programs embed, and bundles, whose
//! encryption draws its own randomness.

#[cfg(feature = "client")]
pub mod bundle;
pub mod catalogue;
#[cfg(feature = "client")]
pub mod checkpoint;
pub mod checks;
#[cfg(feature = "client")]
pub mod client;
pub mod conflict;
pub mod document;
pub mod ids;
#[cfg(feature = "client")]
pub mod live;
pub mod message;
pub mod repo;
pub mod row;
pub mod session;
pub mod shape;
pub mod unit;
pub mod value;

pub use conflict::{Conflict, ConflictValue};
pub use document::Document;
pub use ids::{ActorId, Book, ChangeHash, DeviceId, DocumentId, Identity, RowId, Tenant, UnitId};
pub use row::{Address, Row};
pub use value::Value;
