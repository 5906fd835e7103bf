//! Proposals: what somebody has written who was not to decide it, until whoever decides accepts or rejects it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;
use sync_protocol::{
    ActorId, Address, Document, Identity, Row, Value,
    catalogue::{Actor, Sensitivity, Writing},
    conflict::{Means, Provenance},
    document::{Author, DocumentError, Edit},
};

use crate::{
    Server,
    audit::{By, Event},
    clock,
    import::document_write,
    projection,
    returns::{record_name, said},
    store::{Act, AuditEntry, Deed, Performed, Proposal, ProposalDecision, ProposalState, ProposalWrites, StoreError},
    sync::steps::wrong_steps,
};

/// How often a document is tried that somebody else is writing to.
const ROUNDS_MAX: usize = 16;

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum ProposalError {
    /// There is none of this number.
    #[error("没有这项建议 no such proposal: {0}")]
    Unknown(i64),
    /// Somebody has decided on it.
    #[error("这项建议{}，不能再办理 it was decided on already: {}", .0.chinese(), .0.as_str())]
    Decided(ProposalState),
    /// Not by somebody of this level.
    #[error("应由上级（{}）办理 to be decided by: {}", chinese(.0), english(.0))]
    NotYours(Vec<Actor>),
    /// The cell says something else than when it was proposed.
    #[error(
        "建议提出后，此格已改为“{0}”；仍要采纳的，请加 --anyway（接口：anyway）| the cell says `{0}` by now: accept with --anyway (API: anyway) if it is still right"
    )]
    Changed(String),
    /// Nothing is rejected without a reason.
    #[error("退回建议应写明原因 say why it is rejected")]
    NoReason,
    /// The document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn chinese(actors: &[Actor]) -> String {
    actors.iter().map(|actor| actor.chinese()).collect::<Vec<_>>().join("、")
}

fn english(actors: &[Actor]) -> String {
    actors.iter().map(|actor| actor.as_str()).collect::<Vec<_>>().join(", ")
}

/// Who decides.
#[derive(Debug, Clone)]
pub struct Decider {
    /// Who.
    pub by: By,
    /// For whom they act.
    pub actor: Actor,
    /// What they see in clear.
    pub clearance: Sensitivity,
}

/// A proposal in words.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct ProposalLine {
    /// Its number.
    pub number: i64,
    /// Id of the unit.
    pub unit: String,
    /// Name of the unit.
    pub unit_name: String,
    /// The year.
    pub period: String,
    /// Catalogue id of the ledger.
    pub ledger: String,
    /// Title of the ledger.
    pub ledger_title: String,
    /// Id of the row.
    pub row: String,
    /// What names the record.
    pub record: String,
    /// Key of the column.
    pub column: String,
    /// Title of the column.
    pub column_title: String,
    /// What the cell said when it was proposed; masked by role.
    pub before: Option<String>,
    /// What it was to say.
    pub value: String,
    /// What it says now.
    pub now: Option<String>,
    /// Who proposed it.
    pub who: String,
    /// Name of the device that sent it.
    pub device: Option<String>,
    /// Name of the file that it came with.
    pub file: Option<String>,
    /// When it came in, in milliseconds since 1970.
    pub received_at_ms: i64,
    /// Where it stands.
    pub state: ProposalState,
    /// Levels that may decide: `branch`, `township`, `county`.
    pub by: Vec<&'static str>,
    /// Who has decided.
    pub decided_by: Option<String>,
    /// When, in milliseconds since 1970.
    pub decided_at_ms: Option<i64>,
    /// Why.
    pub reason: Option<String>,
}

/// A proposal's cell as it stands.
struct Cell<'a> {
    proposal: &'a Proposal,
    address: Address,
    /// The states that its record is in.
    row: Row,
    /// What it says, the winner first.
    now: Vec<Value>,
}

impl<'a> Cell<'a> {
    /// `open` is the book that the record stands in, `document` the one that holds the cell.
    fn of(proposal: &'a Proposal, document: &Document, open: &Document) -> Self {
        let proposed = &proposal.proposed;
        let address = Address::new(proposed.row.ledger.as_str(), proposed.row.row, proposed.column.as_str());
        let now = document.values(&address).into_iter().map(|value| value.value).collect();
        Self { proposal, row: open.row_state(&proposed.row).row, address, now }
    }

    fn now(&self) -> Option<&Value> {
        self.now.first().filter(|value| !value.is_null())
    }

    /// Whether it says already what was proposed.
    fn is_met(&self) -> bool {
        let proposed = Some(&self.proposal.proposed.value).filter(|value| !value.is_null());
        self.now.len() < 2 && self.now() == proposed
    }

    /// Whose it is to decide.
    fn deciders(&self, server: &Server) -> Vec<Actor> {
        let proposed = &self.proposal.proposed;
        let mut from: Vec<Option<&Value>> = self.now.iter().map(Some).collect();
        if self.is_met() {
            from = vec![proposed.before.as_ref()];
        } else if from.is_empty() {
            from.push(None);
        }
        let may = |actor: &Actor| {
            from.iter().all(|from| {
                let writing = Writing {
                    ledger: &proposed.row.ledger,
                    row: &self.row,
                    column: &proposed.column,
                    from: *from,
                    to: Some(&proposed.value),
                    is_in_twin: self.proposal.identity.book.is_restricted(),
                };
                server.catalogue.may_write(*actor, &writing)
            })
        };
        Actor::ALL.into_iter().filter(may).collect()
    }

    /// In force once somebody of their level says so.
    fn check(&self, server: &Server, decider: &Decider) -> Result<(), ProposalError> {
        let deciders = self.deciders(server);
        if deciders.contains(&decider.actor) { Ok(()) } else { Err(ProposalError::NotYours(deciders)) }
    }
}

async fn load(server: &Server, identity: &Identity) -> Result<Option<(Document, usize)>, ProposalError> {
    let Some(stored) = server.store.document(identity.document(&server.tenant)).await? else { return Ok(None) };
    let loose = stored.changes.len();
    Ok(Some((Document::load(stored.snapshot.as_deref(), &stored.changes)?, loose)))
}

/// The document of a proposal, how many changes stand behind its snapshot, and the book that the record stands in.
async fn both(server: &Server, identity: &Identity) -> Result<(Document, usize, Document), ProposalError> {
    let (document, loose) = load(server, identity).await?.unwrap_or_default();
    let open = if identity.book.is_restricted() {
        let open = Identity { book: identity.book.open(), ..identity.clone() };
        load(server, &open).await?.unwrap_or_default().0
    } else {
        document.clone()
    };
    Ok((document, loose, open))
}

/// One proposal.
pub async fn one(server: &Server, number: i64) -> Result<Proposal, ProposalError> {
    server.store.proposals().one(number).await?.ok_or(ProposalError::Unknown(number))
}

async fn waiting(server: &Server, number: i64) -> Result<Proposal, ProposalError> {
    let proposal = one(server, number).await?;
    match proposal.state {
        ProposalState::Waiting => Ok(proposal),
        decided => Err(ProposalError::Decided(decided)),
    }
}

/// Writes what was proposed, in the decider's name. Where the cell says something else by now than it said then, only `anyway`.
pub async fn accept(server: &Server, number: i64, decider: &Decider, anyway: bool) -> Result<Proposal, ProposalError> {
    for _ in 0..ROUNDS_MAX {
        let proposal = waiting(server, number).await?;
        let identity = &proposal.identity;
        let (mut document, loose, open) = both(server, identity).await?;
        let cell = Cell::of(&proposal, &document, &open);
        cell.check(server, decider)?;
        let decision = decision(number, ProposalState::Accepted, decider, None);
        let note = note(&proposal, &decision, decider);
        if cell.is_met() {
            let act = Act::DecideProposal(decision);
            if let Performed::Done(_) = server.store.perform(&Deed::new(act, note)).await? {
                return one(server, number).await;
            }
            continue;
        }
        let proposed = &proposal.proposed;
        if !anyway && cell.now() != proposed.before.as_ref().filter(|value| !value.is_null()) {
            let ledger = server.catalogue.ledger(&proposed.row.ledger);
            let column = ledger.and_then(|ledger| ledger.column(&proposed.column));
            let now = cell.now().cloned().unwrap_or(Value::Null);
            return Err(ProposalError::Changed(said(server, column, &now, decider.clearance)));
        }
        let author = Author {
            actor: ActorId(clock::random()),
            provenance: Provenance { who: decider.by.name.clone(), how: Means::Resolve, source: None },
            time_s: decision.at_ms / 1000,
        };
        let (before, heads) = (document.row_state(&proposed.row).row, document.heads());
        let edit = Edit { address: cell.address.clone(), value: proposed.value.clone() };
        let change = if document.is_empty() {
            document.write(identity, &[edit], &author)?
        } else {
            document.settle(&edit.address, &edit.value, &author)?
        };
        let Some(change) = change else { return Err(ProposalError::Changed(String::new())) };
        let rows = projection::project(&document, [&proposed.row]);
        let own = (change.hash, Some(change.bytes));
        let mut write = document_write(server, identity, &document, heads, own, rows, &author, loose);
        let year = identity.period.parse().unwrap_or(server.campaign_year);
        let variables = server.catalogue.variables(year, None);
        let stands = [(proposed.row.clone(), before, document.row_state(&proposed.row).row)];
        write.wrong_steps = wrong_steps(&mut stands.into_iter(), decider.actor, &server.catalogue, &variables);
        for step in &mut write.wrong_steps {
            step.who = Some(decider.by.name.clone());
        }
        write.proposals = ProposalWrites { new: Vec::new(), decided: Some(decision) };
        let deed = Deed { documents: vec![write], ..Deed::new(Act::Write, note) };
        if let Performed::Done(_) = server.store.perform(&deed).await? {
            return one(server, number).await;
        }
    }
    Err(StoreError::Database(format!("the document of proposal {number} is written to by too many at once")).into())
}

/// Leaves the cell as it is, and says why.
pub async fn reject(server: &Server, number: i64, decider: &Decider, reason: &str) -> Result<Proposal, ProposalError> {
    let proposal = waiting(server, number).await?;
    let (document, _, open) = both(server, &proposal.identity).await?;
    Cell::of(&proposal, &document, &open).check(server, decider)?;
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(ProposalError::NoReason);
    }
    let decision = decision(number, ProposalState::Rejected, decider, Some(reason.to_owned()));
    let note = note(&proposal, &decision, decider);
    if let Performed::Done(_) = server.store.perform(&Deed::new(Act::DecideProposal(decision), note)).await? {
        return one(server, number).await;
    }
    waiting(server, number).await.and(Err(ProposalError::Unknown(number)))
}

/// What the audit log says of a decision: where, not what.
fn note(proposal: &Proposal, decision: &ProposalDecision, decider: &Decider) -> AuditEntry {
    let proposed = &proposal.proposed;
    let detail = json!({ "proposal": proposal.number, "ledger": proposed.row.ledger, "row": proposed.row.row.to_string(),
                         "column": proposed.column, "reason": decision.reason });
    let is_accepted = decision.state == ProposalState::Accepted;
    let event = if is_accepted { Event::ProposalAccepted } else { Event::ProposalRejected };
    decider.by.notes(event, Some(proposal.identity.unit), &detail)
}

fn decision(number: i64, state: ProposalState, decider: &Decider, reason: Option<String>) -> ProposalDecision {
    ProposalDecision { number, state, who: decider.by.name.clone(), at_ms: clock::now_ms(), reason }
}

/// Proposals in words; each document is read once.
pub async fn lines(
    server: &Server,
    proposals: &[Proposal],
    clearance: Sensitivity,
) -> Result<Vec<ProposalLine>, ProposalError> {
    let mut documents: BTreeMap<&Identity, (Document, Document)> = BTreeMap::new();
    let mut lines = Vec::with_capacity(proposals.len());
    for proposal in proposals {
        let identity = &proposal.identity;
        if !documents.contains_key(identity) {
            let (document, _, open) = both(server, identity).await?;
            documents.insert(identity, (document, open));
        }
        let Some((document, open)) = documents.get(identity) else { continue };
        let cell = Cell::of(proposal, document, open);
        let proposed = &proposal.proposed;
        let ledger = server.catalogue.ledger(&proposed.row.ledger);
        let column = ledger.and_then(|ledger| ledger.column(&proposed.column));
        let print = |value: &Value| said(server, column, value, clearance);
        let unit = server.store.unit(identity.unit).await?;
        let device = match proposal.device {
            Some(device) => server.store.device(device).await?.map(|device| device.name),
            None => None,
        };
        lines.push(ProposalLine {
            number: proposal.number,
            unit: identity.unit.to_string(),
            unit_name: unit.map_or_else(String::new, |unit| unit.name),
            period: identity.period.clone(),
            ledger: proposed.row.ledger.clone(),
            ledger_title: ledger.map_or_else(|| proposed.row.ledger.clone(), |ledger| ledger.title.clone()),
            row: proposed.row.row.to_string(),
            record: record_name(&server.catalogue, &proposed.row.ledger, &cell.row, clearance),
            column: proposed.column.clone(),
            column_title: column.map_or_else(|| proposed.column.clone(), |column| column.title.clone()),
            before: proposed.before.as_ref().map(print),
            value: print(&proposed.value),
            now: cell.now().map(print),
            who: proposed.who.clone(),
            device,
            file: proposal.file.clone(),
            received_at_ms: proposal.received_at_ms,
            state: proposal.state,
            by: cell.deciders(server).into_iter().map(Actor::as_str).collect(),
            decided_by: proposal.decided_by.clone(),
            decided_at_ms: proposal.decided_at_ms,
            reason: proposal.reason.clone(),
        });
    }
    Ok(lines)
}
