//! Workbooks as bytes: reading what others made, writing our own.

pub mod grid;
pub mod read;
pub mod write;
