//! Helpers of the tests that cross crates.

pub mod bombs;
pub mod browser;
pub mod county;
pub mod faults;
pub mod forge;
pub mod node;
pub mod office;
pub mod oracle;
pub mod people;
pub mod process;
pub mod raw;
pub mod repo;
pub mod roster;
pub mod running;
pub mod sheet;
pub mod simulate;
pub mod waiting;
pub mod worked;
