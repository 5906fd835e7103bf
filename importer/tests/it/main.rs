//! Tests of the importer on whole workbooks.

mod anatomy;
mod findings;
mod folder;
mod hostile;
mod ledgers;
mod messy;
mod refuse;
mod support;
mod values;
