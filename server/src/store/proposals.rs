//! What somebody has written who was not to decide it: proposals, as their callers see them.

use async_trait::async_trait;
use sync_protocol::{Book, DeviceId, Identity, UnitId, Value, catalogue::Actor, document::RowKey};

use super::StoreError;

/// A value that was not written, since somebody else decides on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProposal {
    /// The row.
    pub row: RowKey,
    /// The column.
    pub column: String,
    /// What the cell said.
    pub before: Option<Value>,
    /// What it was to say; null where it was to be emptied.
    pub value: Value,
    /// Who wants it.
    pub who: String,
    /// The import that it came with.
    pub import: Option<String>,
}

/// What a write makes of proposals, in the same transaction.
#[derive(Debug, Clone, Default)]
pub struct ProposalWrites {
    /// Those that are new. One that waits already, of the same cell and value, goes on waiting.
    pub new: Vec<NewProposal>,
    /// What somebody has decided on.
    pub decided: Option<ProposalDecision>,
}

/// Where a proposal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProposalState {
    /// Nobody has decided.
    Waiting,
    /// It was written.
    Accepted,
    /// It was not.
    Rejected,
}

impl ProposalState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Accepted, Self::Rejected];

    /// The name in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }

    /// The word for people.
    pub const fn chinese(self) -> &'static str {
        match self {
            Self::Waiting => "待处理",
            Self::Accepted => "已采纳",
            Self::Rejected => "已退回",
        }
    }
}

/// What somebody has made of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposalDecision {
    /// Its number.
    pub number: i64,
    /// Accepted or rejected.
    pub state: ProposalState,
    /// Who.
    pub who: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Why.
    pub reason: Option<String>,
}

/// A proposal as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its number.
    pub number: i64,
    /// The document.
    pub identity: Identity,
    /// What was proposed.
    pub proposed: NewProposal,
    /// The device that sent it.
    pub device: Option<DeviceId>,
    /// Name of the file that it came with.
    pub file: Option<String>,
    /// When it came in.
    pub received_at_ms: i64,
    /// Where it stands.
    pub state: ProposalState,
    /// Who has decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at_ms: Option<i64>,
    /// Why.
    pub reason: Option<String>,
}

/// Which proposals.
#[derive(Debug, Clone)]
pub struct ProposalQuery {
    /// Of this unit and those below it.
    pub top: UnitId,
    /// Of these books.
    pub books: Vec<Book>,
    /// In this state; in all, if absent.
    pub state: Option<ProposalState>,
    /// Of this year; of all, if absent.
    pub period: Option<String>,
    /// Behind this number.
    pub after: i64,
    /// So many at most.
    pub limit: i64,
}

/// The part of the store that knows proposals.
#[async_trait]
pub trait ProposalStore: Send + Sync {
    /// Keeps proposals of a document that is not written to.
    async fn propose(&self, identity: &Identity, new: &[NewProposal], now_ms: i64) -> Result<(), StoreError>;

    /// Proposals, by number.
    async fn list(&self, query: &ProposalQuery) -> Result<Vec<Proposal>, StoreError>;

    /// How many there are, wherever a page of them begins.
    async fn count(&self, query: &ProposalQuery) -> Result<i64, StoreError>;

    /// One of them.
    async fn one(&self, number: i64) -> Result<Option<Proposal>, StoreError>;

    /// Notes for whom the file with this digest was sent in; the lowest, where it came more than once.
    async fn note_sender(&self, digest: &[u8; 32], actor: Actor) -> Result<(), StoreError>;

    /// For whom the file with this digest was sent in.
    async fn sender(&self, digest: &[u8; 32]) -> Result<Option<Actor>, StoreError>;
}
