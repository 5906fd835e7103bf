//! Who may change the register of units: whoever may send in workbooks, which hold it, and writes to the books in which it stands.
//! That is an office; a phone in the field changes records, and no units.

use std::collections::HashMap;

use importer::text::organisation;
use sync_protocol::{
    Tenant, UnitId,
    catalogue::{Catalogue, UnitKind},
    session::Scope,
    unit::{Unit, UnitLevel},
};

use super::{Caller, Denied, Permission};
use crate::store::units::ids_up;

/// Characters of a name or code.
const NAME_MAX: usize = 200;

/// Which units somebody may add or change: those strictly below their own, of these levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitRights {
    top: UnitId,
    levels: Vec<UnitLevel>,
}

/// Why somebody may not add or change a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitDenied {
    /// Not at all.
    #[error(
        "本设备不是办公室，不能增改单位；请由乡镇或县办公室导入单位名录、党组织台账 | this device is no office's and changes no units: have an office import the register"
    )]
    NotAnOffice,
    /// Not units of this kind.
    #[error(
        "本单位不登记这一级的单位，请由上级办公室办理 | units of this level are not yours to register: ask the office above"
    )]
    Level,
    /// It is their own unit, or one above.
    #[error(
        "不能更改本单位及上级单位，请由上级办公室办理 | neither your own unit nor one above is yours to change: ask the office above"
    )]
    OwnOrAbove,
    /// It stands elsewhere, or would.
    #[error("不在本单位之内，请由上级办公室办理 | it is not within your unit: ask the office above")]
    Outside,
    /// It is a unit of another level.
    #[error(
        "已登记为另一级别的单位，不能更改级别 | it is registered as a unit of another level, which does not change"
    )]
    OtherLevel,
    /// Its id is not the one that follows.
    #[error(
        "单位编号与其编码、名称和上级不符，请更新程序后重新导入名录 | its id does not follow from its code, its name and what it stands under: update the program and import the register again"
    )]
    Id,
    /// Its name or code cannot be one.
    #[error("名称、编码应为1至200个字符 | names and codes have 1 to 200 characters")]
    Name,
}

impl Caller {
    /// Which units they may bring along.
    pub fn unit_rights(&self, catalogue: &Catalogue) -> Result<UnitRights, Denied> {
        self.may(Permission::Import)?;
        Ok(UnitRights::of(&self.write_scope(), catalogue))
    }
}

impl UnitRights {
    /// Those of somebody who may import what is within this scope.
    pub fn of(scope: &Scope, catalogue: &Catalogue) -> Self {
        let defining = catalogue.ledgers().iter().filter(|ledger| ledger.unit.defines);
        let own = defining.filter(|ledger| scope.books.contains(&ledger.book));
        let levels = own.map(|ledger| match ledger.unit.of {
            UnitKind::Organisation => UnitLevel::Organisation,
            UnitKind::County | UnitKind::ReportingUnit => UnitLevel::ReportingUnit,
        });
        Self { top: scope.unit, levels: levels.collect() }
    }

    /// Whether this unit may be written as it is, where these are known.
    pub fn check(&self, tenant: &Tenant, known: &HashMap<UnitId, Unit>, unit: &Unit) -> Result<(), UnitDenied> {
        if is_at_or_below(known, self.top, unit.id) {
            return Err(UnitDenied::OwnOrAbove);
        }
        if !self.levels.contains(&unit.level) {
            return Err(UnitDenied::Level);
        }
        let is_within = |unit: UnitId| is_at_or_below(known, unit, self.top);
        let Some(parent) = unit.parent.filter(|parent| is_within(*parent)) else { return Err(UnitDenied::Outside) };
        match known.get(&unit.id) {
            Some(before) if !is_within(before.id) => return Err(UnitDenied::Outside),
            Some(before) if before.level != unit.level => return Err(UnitDenied::OtherLevel),
            Some(_) => {}
            None => {
                let above = known.get(&parent).map(|above| above.name.as_str());
                let by_name = UnitId::derive(tenant, Some(parent), &organisation(&unit.name, above));
                let by_code = unit.code.as_ref().map(|code| UnitId::derive(tenant, None, code));
                if unit.id != by_name && Some(unit.id) != by_code {
                    return Err(UnitDenied::Id);
                }
            }
        }
        let is_text = |text: &str| {
            !text.trim().is_empty() && text.chars().count() <= NAME_MAX && !text.chars().any(char::is_control)
        };
        let texts = [Some(&unit.name), unit.code.as_ref(), unit.short_name.as_ref()];
        if texts.into_iter().flatten().all(|text| is_text(text)) { Ok(()) } else { Err(UnitDenied::Name) }
    }
}

/// Whether a unit is this one, or stands below it. It ends, whatever stands under what.
fn is_at_or_below(known: &HashMap<UnitId, Unit>, unit: UnitId, top: UnitId) -> bool {
    ids_up(known, unit).any(|at| at == top)
}
