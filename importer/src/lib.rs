//! Excel ledgers in, rows and findings out.
//!
//! ```text
//! bytes ──workbook::read──▶ cells ──table──▶ tables ──rows──▶ records of units ──plan──▶ edits + findings
//! ```
//!
//! A bad cell is a finding, never an error and never a guess; an unreadable workbook is an error.

mod block;
mod compare;
pub mod date;
pub mod finding;
pub mod findings_book;
mod footer;
pub mod header;
mod hints;
pub mod isolate;
mod judge;
pub mod left_out;
mod mapping;
pub mod mask;
mod matching;
pub mod memory;
mod names;
mod nearest;
pub mod number;
pub mod odd;
pub mod plan;
pub mod print;
mod record;
pub mod register;
pub mod returned;
pub mod review;
pub mod rows;
mod same;
pub mod seal;
pub mod stamp;
mod survey;
pub mod table;
pub mod text;
mod totals;
pub mod twins;
pub mod unread;
pub mod values;
pub mod workbook;

pub use compare::CellChange;
pub use finding::{Finding, FindingKind, Severity};
pub use mapping::{MappedColumn, Target};
pub use memory::Memory;
pub use plan::{Importer, UnitDocuments, UnitPlan};
pub use register::Register;
pub use table::Table;
pub use workbook::{
    grid::Workbook,
    read::{ReadError, ReadLimits, read},
};
