//! automerge-repo's network protocol, so that its official clients (JavaScript, Swift, Kotlin) work unchanged.

mod frame;
mod session;

pub use frame::{Answer, Ephemeral, Frame, RepoFrameError, VERSION};
pub use session::{Ended, RepoEffect, RepoSession, RepoTurn, Turned};
