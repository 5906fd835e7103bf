//! What crosses crates.

mod converge;
mod exchange;
mod story;
mod tidy;
mod vectors;
