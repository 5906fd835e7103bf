//! Tests of what every replica agrees on.

mod catalogue;
mod document;
mod gate;
mod ids;
mod indicators;
mod peers;
mod rules;
mod session;
mod undo;
mod undo_twice;
