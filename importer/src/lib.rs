//! Excel ledgers in, rows and findings out.
//!
//! ```text
//! bytes ──workbook::read──▶ cells ──table──▶ tables ──rows──▶ records of units ──plan──▶ edits + findings
//! ```
//!
//! A bad cell is a finding, never an error and never a guess; an unreadable workbook is an error.

mod compare;
pub mod date;
pub mod finding;
pub mod findings_book;
pub mod header;
pub mod isolate;
pub mod left_out;
mod mapping;
pub mod mask;
mod matching;
pub mod memory;
pub mod number;
pub mod plan;
pub mod print;
pub mod register;
pub mod returned;
pub mod review;
pub mod rows;
pub mod seal;
pub mod stamp;
pub mod table;
pub mod text;
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
