//! Tests of the server: the store's contract, the command line, and being killed.

mod attacks_console;
mod cli;
mod contract;
mod deeds;
mod faults;
mod installation;
mod kill;
mod killed;
mod logs;
mod tls;
