//! Tests of the importer on whole workbooks.

mod anatomy;
mod refuse;
mod support;
mod values;
