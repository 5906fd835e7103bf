//! Tests of the importer on whole workbooks.

mod anatomy;
mod cells;
mod findings;
mod folder;
mod hostile;
mod identity;
mod ledgers;
mod live;
mod messy;
mod raw;
mod refuse;
mod structure;
mod support;
mod taken;
mod texts;
mod values;
