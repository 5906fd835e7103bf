//! What crosses crates.

mod converge;
mod exchange;
mod schema;
mod story;
mod tidy;
mod vectors;
