//! An oracle of its own kind: every figure of every return, computed from plain ledger rows by SQL that was written from the
//! definitions, not from the product's measures; and a comparison of the two.

/// Cells of a row, from anything that is a text.
macro_rules! cells {
    ($(($key:expr, $value:expr $(,)?)),* $(,)?) => { vec![$(($key, ($value).to_string())),*] };
}

mod compare;
mod drill;
mod figures;
mod kept;
mod own;
mod product;
mod town;
mod truth;

pub use compare::{Difference, Report, compare};
pub use drill::{Drilled, drill};
pub use product::{Drawing, filled};
pub use truth::{Truth, YEAR, county};
