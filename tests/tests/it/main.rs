//! What crosses crates.

mod converge;
mod exchange;
mod formats;
mod quality;
mod schema;
mod story;
mod tidy;
mod vectors;
