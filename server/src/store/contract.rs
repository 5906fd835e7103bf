//! What every store must do, as cases that run against any of them.
