//! The tree of units: what has to be so of each, whoever writes it.

use std::collections::HashMap;

use sync_protocol::{
    UnitId,
    unit::{Unit, UnitLevel},
};

/// Steps from a unit up to its county, at most. There are three levels; more would be a circle.
pub const STEPS_MAX: usize = 16;

/// From one up through those above it; as many as [`STEPS_MAX`] where that is a circle.
pub(crate) fn way_up<T>(from: T, above: impl FnMut(&T) -> Option<T>) -> impl Iterator<Item = T> {
    std::iter::successors(Some(from), above).take(STEPS_MAX)
}

/// The same in a register, by their ids.
pub(crate) fn ids_up(register: &HashMap<UnitId, Unit>, unit: UnitId) -> impl Iterator<Item = UnitId> {
    way_up(unit, |at| register.get(at).and_then(|unit| unit.parent))
}

/// A unit as it was read, if it was there, and as it is to be from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitChange {
    /// As it was.
    pub before: Option<Unit>,
    /// As it is to be.
    pub after: Unit,
}

/// Why a unit is not written: the tree would not be one any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitFault {
    /// It has no name.
    #[error("单位（编码 {0}）没有名称，请补上名称 | a unit (code {0}) has no name: give it one")]
    Name(String),
    /// The unit above it is not there.
    #[error(
        "单位「{0}」的上级不在单位名录中，请先导入上级 | the unit above `{0}` is not in the register: import that one first"
    )]
    NoParent(String),
    /// It stands no lower than the unit above it.
    #[error(
        "单位「{unit}」的级别不低于其上级「{above}」，请更正上级 | `{unit}` is of no lower level than `{above}` above it: correct what it stands under"
    )]
    Level {
        /// It.
        unit: String,
        /// The unit above.
        above: String,
    },
    /// Only the county stands at the top, and nothing else.
    #[error("单位「{0}」没有上级，但它不是县 | `{0}` stands under nothing, and is no county")]
    Top(String),
    /// It would stand under itself.
    #[error(
        "单位「{0}」的上级成环（它会成为自己的上级），请更正上级；名录已成环的，可运行 taizhang doctor 查看，再重新导入单位名录或党组织台账 | `{0}` would stand under itself: correct what it stands under; where the register has a circle already, `taizhang doctor` shows it, and importing the register of units again mends it"
    )]
    Circle(String),
    /// Another unit has its code.
    #[error(
        "单位「{unit}」的编码 {code} 已是「{other}」的编码，请更正 | the code {code} of `{unit}` is that of `{other}`: correct it"
    )]
    Code {
        /// It.
        unit: String,
        /// The code.
        code: String,
        /// Who has it.
        other: String,
    },
}

impl UnitFault {
    /// What is wrong with a unit on its own.
    pub fn of(unit: &Unit) -> Option<Self> {
        let code = unit.code.clone().unwrap_or_else(|| "—".into());
        if unit.name.trim().is_empty() {
            return Some(Self::Name(code));
        }
        let is_top = unit.parent.is_none();
        (is_top != (unit.level == UnitLevel::County)).then(|| Self::Top(unit.name.clone()))
    }

    /// What is wrong with a unit that stands under this one.
    pub fn under(unit: &Unit, above: &Unit) -> Option<Self> {
        let is_higher = (above.level as u8) < unit.level as u8;
        (!is_higher).then(|| Self::Level { unit: unit.name.clone(), above: above.name.clone() })
    }
}
