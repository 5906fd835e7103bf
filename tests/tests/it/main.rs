//! What crosses crates.

mod converge;
mod exchange;
mod quality;
mod schema;
mod story;
mod tidy;
mod vectors;
