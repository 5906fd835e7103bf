//! What a role may do: permission = role × subtree × book. The table in `docs/permissions.md` is printed from here.

use serde::{Deserialize, Serialize};
use sync_protocol::{
    Book, UnitId,
    catalogue::{Actor, Sensitivity},
    unit::UnitLevel,
};

/// What somebody is to the programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Writes down what happens in the villages, on a phone.
    FieldCadre,
    /// Keeps an office's ledgers in Excel and sends workbooks in.
    OfficeClerk,
    /// Answers for a township: decides on what was held back, hands out devices.
    TownshipOfficer,
    /// Looks at everything of its units, and writes to nothing.
    CountySupervisor,
    /// Looks at who did what, and at no record.
    Auditor,
    /// Looks after people and devices, and at no record.
    Administrator,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// To see which units there are.
    SeeUnits,
    /// To see records: conflicts, indicators, the history of a cell.
    ReadRecords,
    /// To have returns and merged ledgers drawn.
    DrawReturns,
    /// To submit returns of one's unit.
    SubmitReturns,
    /// To approve what units below have submitted, or return it.
    ReviewReturns,
    /// To send workbooks in.
    Import,
    /// To hold documents on a device and sync them.
    Sync,
    /// To hand in bundles of others.
    CarryBundles,
    /// To decide on changes that were held back.
    SettleQuarantine,
    /// To erase for good what restricted books hold of a record.
    Erase,
    /// To invite and revoke devices, and see when each was last here.
    ManageDevices,
    /// To add people and say what they may do.
    ManagePeople,
    /// To read the audit log.
    ReadAudit,
    /// To accept or reject what others have proposed.
    DecideProposals,
    /// To open years, seal them, and take a seal off.
    ManagePeriods,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::FieldCadre,
        Self::OfficeClerk,
        Self::TownshipOfficer,
        Self::CountySupervisor,
        Self::Auditor,
        Self::Administrator,
    ];

    /// The name in SQL, JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FieldCadre => "field-cadre",
            Self::OfficeClerk => "office-clerk",
            Self::TownshipOfficer => "township-officer",
            Self::CountySupervisor => "county-supervisor",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }

    /// The name on screens.
    pub const fn chinese(self) -> &'static str {
        match self {
            Self::FieldCadre => "包村干部",
            Self::OfficeClerk => "办公室经办人",
            Self::TownshipOfficer => "乡镇负责人",
            Self::CountySupervisor => "县督查人员",
            Self::Auditor => "审计人员",
            Self::Administrator => "系统管理员",
        }
    }

    /// Whether the role may be a named handler 专人 of restricted data. On a phone in the field nobody is.
    pub const fn may_be_handler(self) -> bool {
        matches!(self, Self::OfficeClerk | Self::TownshipOfficer)
    }

    /// Whether the role looks after the whole county: neither people nor the audit log are kept by unit.
    pub const fn is_of_county(self) -> bool {
        matches!(self, Self::Auditor | Self::Administrator)
    }

    /// The books that the role holds at a unit of this level, and below it.
    pub fn books(self, level: UnitLevel, is_handler: bool) -> Books {
        use Book::{County, Township, Unit};
        let (reads, writes): (&[Book], &[Book]) = match (self, level) {
            (Self::FieldCadre, _) => (&[Unit, Township], &[Unit]),
            (Self::OfficeClerk, UnitLevel::Organisation) => (&[Unit, Township, County], &[Unit]),
            (Self::OfficeClerk, UnitLevel::County) => (&[Unit, Township, County], &[Unit, Township, County]),
            (Self::OfficeClerk | Self::TownshipOfficer, _) => (&[Unit, Township, County], &[Unit, Township]),
            (Self::CountySupervisor, _) => (&[Unit, Township, County], &[]),
            (Self::Auditor | Self::Administrator, _) => (&[], &[]),
        };
        let with_twins = |books: &[Book]| {
            let twins = books.iter().map(|book| book.restricted()).filter(|_| is_handler && self.may_be_handler());
            books.iter().copied().chain(twins).collect()
        };
        Books { reads: with_twins(reads), writes: with_twins(writes) }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::as_str).join(", ");
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(format!("应为 must be one of: {known}"))
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::SeeUnits,
        Self::ReadRecords,
        Self::DrawReturns,
        Self::SubmitReturns,
        Self::ReviewReturns,
        Self::Import,
        Self::Sync,
        Self::CarryBundles,
        Self::SettleQuarantine,
        Self::Erase,
        Self::ManageDevices,
        Self::ManagePeople,
        Self::ReadAudit,
        Self::DecideProposals,
        Self::ManagePeriods,
    ];

    /// In words, Chinese first.
    pub const fn words(self) -> &'static str {
        match self {
            Self::SeeUnits => "查看单位 · see units",
            Self::ReadRecords => "查看记录（冲突、指标、修改历史）· read records",
            Self::DrawReturns => "生成报表 · draw returns",
            Self::SubmitReturns => "报送报表 · submit returns",
            Self::ReviewReturns => "审核下级报送的报表 · review what units below submit",
            Self::Import => "导入台账 · import workbooks",
            Self::Sync => "设备同步 · sync a device",
            Self::CarryBundles => "递交数据包 · hand in bundles",
            Self::SettleQuarantine => "处理未接收的修改 · settle quarantine",
            Self::Erase => "清除敏感信息 · erase restricted data",
            Self::ManageDevices => "管理设备 · manage devices",
            Self::ManagePeople => "管理人员 · manage people",
            Self::ReadAudit => "查看审计日志 · read the audit log",
            Self::DecideProposals => "采纳或退回下级的建议（属本级办理的）· decide on proposals",
            Self::ManagePeriods => "开启、封存年度 · open and seal years",
        }
    }
}

impl Books {
    /// What somebody of this role holds on a phone, which is no place for restricted data, whoever carries it.
    pub fn on_a_phone(role: Role, level: UnitLevel) -> Self {
        role.books(level, false)
    }
}

/// Books that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    /// Those to be seen.
    pub reads: Vec<Book>,
    /// Those to be written to; all of them are seen, too.
    pub writes: Vec<Book>,
}

/// A role at a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The top of its subtree.
    pub unit: UnitId,
    /// Whether it is a named handler 专人 of restricted data.
    pub is_handler: bool,
}

impl Grant {
    /// Whether it covers this, somewhere in its subtree.
    pub fn may(self, permission: Permission) -> bool {
        use Permission as P;
        use Role as R;
        match permission {
            P::SeeUnits => true,
            P::ReadRecords | P::DrawReturns => {
                matches!(self.role, R::OfficeClerk | R::TownshipOfficer | R::CountySupervisor)
            }
            P::SubmitReturns => matches!(self.role, R::OfficeClerk | R::TownshipOfficer),
            // Not those of one's own unit: the caller looks after that.
            P::ReviewReturns => matches!(self.role, R::TownshipOfficer | R::CountySupervisor),
            // A ledger file holds identity numbers: whoever sends it in handles restricted data.
            P::Import => self.is_handler && self.role.may_be_handler(),
            P::Sync => !matches!(self.role, R::Auditor | R::Administrator),
            // Sealed and signed by their senders: whoever carries one learns nothing and changes nothing.
            P::CarryBundles => !matches!(self.role, R::CountySupervisor | R::Auditor),
            P::SettleQuarantine => matches!(self.role, R::TownshipOfficer | R::CountySupervisor),
            P::Erase => self.is_handler && self.role == R::TownshipOfficer,
            P::ManageDevices => matches!(self.role, R::TownshipOfficer | R::Administrator),
            P::ManagePeople | P::ManagePeriods => self.role == R::Administrator,
            P::ReadAudit => matches!(self.role, R::Auditor | R::Administrator),
            // Of those that the workflow leaves to their level, in books that they write to: the proposal's own business.
            P::DecideProposals => matches!(self.role, R::OfficeClerk | R::TownshipOfficer),
        }
    }

    /// For whom it acts where a workflow asks: the level of its unit. A cadre in the field is never the county, whose decisions
    /// are made in its office.
    pub fn acts_for(self, level: UnitLevel) -> Actor {
        match (self.role, level) {
            (Role::FieldCadre, UnitLevel::County) => Actor::Township,
            (_, level) => level.into(),
        }
    }

    /// The highest class of data that it sees in clear.
    pub fn clearance(self) -> Sensitivity {
        use Role as R;
        match self.role {
            R::OfficeClerk | R::TownshipOfficer if self.is_handler => Sensitivity::S3,
            R::OfficeClerk | R::TownshipOfficer | R::FieldCadre => Sensitivity::S2,
            R::CountySupervisor | R::Auditor | R::Administrator => Sensitivity::S1,
        }
    }
}
