//! Tests of the importer on whole workbooks.

mod anatomy;
mod ledgers;
mod refuse;
mod support;
mod values;
