//! What the store knows of years beyond the documents in them.

use async_trait::async_trait;
use sync_protocol::unit::Unit;

use super::StoreError;

/// A year that was opened from another one, or is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// Its name, for example `2013`.
    pub period: String,
    /// How it was opened; none where there was no year before it.
    pub opened: Option<Opening>,
    /// How it is sealed; none while it is written to.
    pub seal: Option<Seal>,
}

/// How a year was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The year that it was opened from.
    pub from: String,
    /// By whom.
    pub by: String,
    /// When, the first time.
    pub at_ms: i64,
    /// When everything had been carried over; none while that is not finished.
    pub carried_at_ms: Option<i64>,
}

/// How a year is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// By whom.
    pub by: String,
    /// When.
    pub at_ms: i64,
    /// The number of the feed: returns of the year are drawn at it from then on.
    pub seq: i64,
    /// The checkpoint of the audit log that those returns carry.
    pub checkpoint: Option<String>,
}

/// The part of the store that knows years.
#[async_trait]
pub trait PeriodStore: Send + Sync {
    /// Years that were opened from others, or are sealed, by name.
    async fn list(&self) -> Result<Vec<Period>, StoreError>;

    /// The years of all documents.
    async fn written(&self) -> Result<Vec<String>, StoreError>;

    /// The register of units as it was when a year was sealed; none, if it is not.
    async fn register(&self, period: &str) -> Result<Option<Vec<Unit>>, StoreError>;
}
