//! Units 单位: the tree that documents hang on.

use serde::{Deserialize, Serialize};

use crate::ids::UnitId;

/// Where in the tree a unit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitLevel {
    /// The county, root of the tree.
    County,
    /// A reporting unit 填报单位: township, zone, county organ.
    ReportingUnit,
    /// A Party organisation under a reporting unit.
    Organisation,
}

impl UnitLevel {
    /// The name in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            UnitLevel::County => "county",
            UnitLevel::ReportingUnit => "reporting_unit",
            UnitLevel::Organisation => "organisation",
        }
    }
}

/// One unit of the register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its id, derived from its code or name.
    pub id: UnitId,
    /// The unit above; only the county has none.
    pub parent: Option<UnitId>,
    /// Where it stands.
    pub level: UnitLevel,
    /// The official code, where the county gave one.
    pub code: Option<String>,
    /// Full name as on the seal.
    pub name: String,
    /// Name in the rows of returns.
    pub short_name: Option<String>,
    /// Official order among its siblings.
    pub sort_order: i64,
}

impl Unit {
    /// The name to show where space is short.
    pub fn label(&self) -> &str {
        self.short_name.as_deref().unwrap_or(&self.name)
    }
}
