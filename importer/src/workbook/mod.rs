//! Workbooks as bytes: reading what others made, writing our own.

pub mod biff;
pub mod biff12;
mod delimited;
mod excel;
pub mod grid;
mod html;
pub mod look;
mod ods;
pub mod ole;
pub mod read;
mod sniff;
mod spreadsheetml;
pub mod transfer;
pub mod write;
mod xml;
