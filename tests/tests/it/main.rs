//! What crosses crates.

mod bundles;
mod converge;
mod crashes;
mod decisions;
mod erasure;
mod exchange;
mod formats;
mod hostile;
mod openapi;
mod people;
mod permissions;
mod preview;
mod quality;
mod quarantine;
mod repo;
mod returns;
mod round_trip;
mod schema;
mod simulate;
mod sockets;
mod story;
mod submissions;
mod tidy;
mod undo;
mod uploads;
mod vectors;
