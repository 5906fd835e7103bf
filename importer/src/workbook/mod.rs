//! Workbooks as bytes: reading what others made, writing our own.

mod biff;
mod biff12;
mod delimited;
mod excel;
pub mod grid;
mod html;
mod ods;
mod ole;
pub mod read;
mod sniff;
mod spreadsheetml;
pub(crate) mod transfer;
pub mod write;
mod xml;
