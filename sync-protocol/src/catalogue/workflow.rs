//! Workflows: the states of a column and the steps between them, as data.

use serde::{Deserialize, Serialize};

use super::expression::{Expression, Variables};
use crate::{row::Row, unit::UnitLevel, value::Value};

/// Who makes a step: the level of the unit that they act for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A branch, village or community.
    Branch,
    /// A reporting unit.
    Township,
    /// The county.
    County,
}

impl From<UnitLevel> for Actor {
    fn from(level: UnitLevel) -> Self {
        match level {
            UnitLevel::Organisation => Actor::Branch,
            UnitLevel::ReportingUnit => Actor::Township,
            UnitLevel::County => Actor::County,
        }
    }
}

/// A step from one state to another.
#[derive(Debug, Clone)]
pub struct Step {
    /// State before.
    pub from: String,
    /// State after.
    pub to: String,
    /// Who may make it.
    pub by: Vec<Actor>,
    /// What the row must say then.
    pub needs: Option<Expression>,
}

/// The states of one column of a ledger.
#[derive(Debug, Clone)]
pub struct Workflow {
    /// The ledger.
    pub ledger: String,
    /// The column that holds the state.
    pub column: String,
    /// Title in Chinese.
    pub title: String,
    /// States in which a row may begin.
    pub initial: Vec<String>,
    /// Who may begin; everyone, if empty.
    pub begun_by: Vec<Actor>,
    /// The steps.
    pub steps: Vec<Step>,
}

/// What is wrong with a step that somebody made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepFault {
    /// A row cannot begin there.
    Beginning,
    /// There is no such step.
    NoSuchStep,
    /// Somebody else has to make it.
    WrongActor,
    /// Something that it needs is missing.
    Unmet,
}

impl StepFault {
    /// All of them.
    pub const ALL: [StepFault; 4] =
        [StepFault::Beginning, StepFault::NoSuchStep, StepFault::WrongActor, StepFault::Unmet];

    /// The name in SQL and JSON.
    pub const fn code(self) -> &'static str {
        match self {
            StepFault::Beginning => "beginning",
            StepFault::NoSuchStep => "no_such_step",
            StepFault::WrongActor => "wrong_actor",
            StepFault::Unmet => "unmet",
        }
    }

    /// The sentence for people.
    pub const fn chinese(self) -> &'static str {
        match self {
            StepFault::Beginning => "不能从这个状态开始",
            StepFault::NoSuchStep => "跳过了中间环节",
            StepFault::WrongActor => "应由上级办理",
            StepFault::Unmet => "缺少这一步需要填写的内容",
        }
    }
}

impl Workflow {
    /// Stands for every ledger: the workflow is about the states of records.
    pub const EVERY_LEDGER: &str = "*";

    /// The state of a row; none before it begins.
    pub fn state<'a>(&self, row: &'a Row) -> Option<&'a str> {
        row.get(&self.column).and_then(Value::as_text)
    }

    /// Checks the step between two versions of a row; `None` when the state is the same or the step is sound.
    pub fn fault(&self, before: &Row, after: &Row, actor: Actor, variables: &Variables) -> Option<StepFault> {
        let to = self.state(after)?;
        match self.state(before) {
            Some(from) if from == to => None,
            None if !self.initial.iter().any(|state| state == to) => Some(StepFault::Beginning),
            None => (!self.begun_by.is_empty() && !self.begun_by.contains(&actor)).then_some(StepFault::WrongActor),
            Some(from) => {
                let Some(step) = self.steps.iter().find(|step| step.from == from && step.to == to) else {
                    return Some(StepFault::NoSuchStep);
                };
                if !step.by.contains(&actor) {
                    return Some(StepFault::WrongActor);
                }
                let met = step.needs.as_ref().is_none_or(|needs| needs.holds(after, variables));
                (!met).then_some(StepFault::Unmet)
            }
        }
    }
}
