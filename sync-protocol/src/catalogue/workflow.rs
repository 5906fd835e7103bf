//! Workflows: the states of a column and the steps between them, as data.

use serde::{Deserialize, Serialize};

use super::{
    Catalogue,
    expression::{Expression, Variables},
};
use crate::{
    row::{REMOVED, Row, STATE},
    unit::UnitLevel,
    value::Value,
};

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

impl Actor {
    /// All of them, the lowest first.
    pub const ALL: [Actor; 3] = [Actor::Branch, Actor::Township, Actor::County];

    /// The name in SQL and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Actor::Branch => "branch",
            Actor::Township => "township",
            Actor::County => "county",
        }
    }

    /// The name for people.
    pub const fn chinese(self) -> &'static str {
        match self {
            Actor::Branch => "党组织",
            Actor::Township => "填报单位",
            Actor::County => "县",
        }
    }
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

/// A column that goes with a decision: it records it, or the decision was made about what it says.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The column.
    pub column: String,
    /// Who may write it; everyone, if empty. Once the row is in a state that somebody cannot bring about, they may not either.
    pub by: Vec<Actor>,
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
    /// Columns that go with the decision, and are judged with the state.
    pub decisions: Vec<Recorded>,
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

    fn knows(&self, state: &str) -> bool {
        self.initial.iter().any(|known| known == state)
            || self.steps.iter().any(|step| step.from == state || step.to == state)
    }

    /// Whether somebody could have brought a row into this state: by beginning there, or by some step.
    fn reaches(&self, actor: Actor, state: &str) -> bool {
        let begins = self.begun_by.is_empty() || self.begun_by.contains(&actor);
        begins && self.initial.iter().any(|known| known == state)
            || self.steps.iter().any(|step| step.to == state && step.by.contains(&actor))
    }

    /// Whether the state that a row is in now is one that somebody could have brought about. A word that is no state of this
    /// workflow decides nothing.
    fn is_within_reach(&self, actor: Actor, state: Option<&str>) -> bool {
        state.is_none_or(|state| !self.knows(state) || self.reaches(actor, state))
    }

    /// Whether this is somebody's to set, in whatever order: a declared step by whom it names; anything else by whoever could
    /// have brought about both what is there and what comes. Nobody stands above the county.
    pub fn may_set(&self, actor: Actor, before: Option<&str>, after: Option<&str>) -> bool {
        if before == after || actor == Actor::County {
            return true;
        }
        if let (Some(from), Some(to)) = (before, after) {
            let mut declared = self.steps.iter().filter(|step| step.from == from && step.to == to).peekable();
            if declared.peek().is_some() {
                return declared.any(|step| step.by.contains(&actor));
            }
        }
        // Emptying a cell and beginning anew must be no way around a step of somebody else.
        let is_detour = after.is_none()
            && self.steps.iter().any(|step| {
                Some(step.from.as_str()) == before && self.initial.contains(&step.to) && !step.by.contains(&actor)
            });
        !is_detour && self.is_within_reach(actor, before) && after.is_none_or(|to| self.reaches(actor, to))
    }
}

/// A cell that somebody wants to say something else.
#[derive(Debug, Clone, Copy)]
pub struct Writing<'a> {
    /// The ledger.
    pub ledger: &'a str,
    /// The row as it stands: the states that it is in.
    pub row: &'a Row,
    /// The column.
    pub column: &'a str,
    /// What the cell says.
    pub from: Option<&'a Value>,
    /// What it shall say.
    pub to: Option<&'a Value>,
    /// Whether it is written in the restricted twin of the book that the record stands in.
    pub is_in_twin: bool,
}

/// What a cell says of a state; a value that is no text is no state either.
fn state_of(value: Option<&Value>) -> Option<&str> {
    value.filter(|value| !value.is_null()).map(|value| value.as_text().unwrap_or_default())
}

/// Whether a record in this state is left out of the figures.
fn is_uncounted(state: Option<&str>) -> bool {
    matches!(state, Some("draft" | "void"))
}

impl Catalogue {
    /// The columns of a ledger that not everybody may write at any time.
    pub fn guarded<'a>(&'a self, ledger: &'a str) -> impl Iterator<Item = &'a str> {
        let of_workflows = self.workflows(ledger).filter(|workflow| workflow.column != STATE).flat_map(|workflow| {
            let recorded = workflow.decisions.iter().map(|recorded| recorded.column.as_str());
            std::iter::once(workflow.column.as_str()).chain(recorded)
        });
        of_workflows.chain([STATE, REMOVED])
    }

    /// Whether this is somebody's to write, by every workflow of the ledger.
    pub fn may_write(&self, actor: Actor, writing: &Writing<'_>) -> bool {
        let Writing { ledger, row, column, from, to, is_in_twin } = *writing;
        let is_same = from.filter(|value| !value.is_null()) == to.filter(|value| !value.is_null());
        if actor == Actor::County || is_same {
            return true;
        }
        let (before, after) = (state_of(from), state_of(to));
        let is_true = |value: Option<&Value>| value == Some(&Value::Bool(true));
        let hides_or_shows = match column {
            REMOVED => is_true(from) != is_true(to),
            STATE => is_uncounted(before) != is_uncounted(after),
            _ => false,
        };
        // Whether a record counts is said in the book that it stands in; its twin says it for nobody.
        if is_in_twin && (column == STATE || column == REMOVED) {
            return false;
        }
        self.workflows(ledger).all(|workflow| {
            let is_within_reach = || workflow.is_within_reach(actor, workflow.state(row));
            let mut recorded = workflow.decisions.iter().filter(|recorded| recorded.column == column);
            (workflow.column != column || workflow.may_set(actor, before, after))
                && (!hides_or_shows || workflow.column == STATE || is_within_reach())
                && recorded
                    .all(|recorded| (recorded.by.is_empty() || recorded.by.contains(&actor)) && is_within_reach())
        })
    }

    /// Whose it is to write.
    pub fn may_be_written_by(&self, writing: &Writing<'_>) -> impl Iterator<Item = Actor> {
        Actor::ALL.into_iter().filter(|actor| self.may_write(*actor, writing))
    }
}
