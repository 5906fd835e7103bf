//! Helpers of the tests that cross crates.

pub mod process;
pub mod roster;
