//! Tests of the server: the store's contract, the command line, and being killed.

mod attacks_bundles;
mod attacks_console;
mod attacks_units;
mod cli;
mod contract;
mod deeds;
mod faults;
mod installation;
mod keys;
mod kill;
mod killed;
mod logs;
mod retention;
mod tls;
mod witnesses;
