//! What offices do: they import workbooks with all their habits, send merged ledgers back, take imports back.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use importer::{
    ReadLimits, read,
    workbook::{
        grid::Cell,
        write::{Book as Written, Created, Out, Style},
    },
};
use server::{
    import::{ImportReport, Source, import},
    projection,
    returns::{self, ReturnRequest},
    store::{DocumentWrite, ProposalQuery, ProposalState, ProposalWrites},
    undo::undo,
};
use sync_protocol::{
    ActorId, Book, Document, Identity,
    catalogue::Sensitivity,
    conflict::{Means, Provenance},
    document::{Author, Edit},
    row::Address,
    session::Scope,
};

use super::World;
use crate::{
    roster, sheet,
    simulate::{
        line::lock,
        plan::{Fate, Habit, bytes},
        store::Mutant,
    },
};

/// What offices have on their desks.
#[derive(Debug, Default)]
pub(super) struct Offices {
    files: u32,
    /// Merged ledgers that were drawn, each with the unit that it is of.
    drawn: Vec<(usize, Vec<u8>)>,
    /// What each import has brought.
    brought: BTreeMap<String, BTreeSet<String>>,
}

/// Every value of this scenario's own that somebody can see, with the cell that it stands in.
type Seen = BTreeSet<(Identity, String, String)>;

const HEADER: &str = "党组织编码|姓名|出生日期|入党时间|工作岗位";

/// Values are numbered: each is written once, in one place.
fn is_own(value: &str) -> bool {
    value.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok())
}

impl World {
    /// An office imports records of a unit, written down as its habit is.
    pub(super) async fn import(&mut self, unit: usize, rows: &[(u8, u32)], habit: Habit) -> Result<()> {
        let code = roster::branch_code(unit);
        let row = |(row, value): &(u8, u32)| format!("{code}|人{row}|1980-01-01|200{row}-05|v{value}");
        let mut lines: Vec<String> = rows.iter().map(row).collect();
        let mut header = HEADER.to_owned();
        match habit {
            Habit::Plain | Habit::Windows => {}
            Habit::Masked => {
                let stars = if self.mutant == Some(Mutant::TakesMasks) { "星" } else { "***" };
                lines = rows.iter().map(|(row, _)| format!("{code}|人{row}|1980-01-01|200{row}-05|{stars}")).collect();
            }
            Habit::BadKeys => {
                header += "|身份证号";
                let person = |(row, value): &(u8, u32), of: &str| format!("{code}|{of}{row}{value}|||v{value}|待补");
                lines = rows.iter().flat_map(|row| [person(row, "甲"), person(row, "乙")]).collect();
            }
            Habit::Signed => {
                let signature = match self.mutant {
                    Some(Mutant::TakesSignaturesForRecords) => {
                        format!("{code}|填报人李四|1970-01-01|1999-05|审核人王五")
                    }
                    _ => "填报人：李四||||审核人：王五".into(),
                };
                lines.push(signature);
            }
            Habit::OddColumn => {
                header += "|同志编号甲";
                for line in &mut lines {
                    *line += "|7";
                }
            }
        }
        // What is keyed by a placeholder is overwritten by the next of its kind.
        let is_kept = |line: &&String| self.mutant != Some(Mutant::TakesPlaceholdersForKeys) || !line.contains("|甲");
        let text = std::iter::once(header).chain(lines.iter().filter(is_kept).cloned()).collect::<Vec<_>>().join("\n");
        self.offices.files += 1;
        let (name, file) = match habit {
            Habit::Windows => {
                let mut text = text.replace('|', ",").replace('\n', "\r\n") + "\r\n";
                if self.mutant == Some(Mutant::ReadsNoWindowsFiles) {
                    text.truncate(text.find('\r').unwrap_or_default());
                }
                (format!("{}.csv", self.offices.files), text.into_bytes())
            }
            _ => (format!("{}.xlsx", self.offices.files), sheet::workbook(&[("党员", &text)])?),
        };
        let before = self.seen().await?;
        let source = Source { name, bytes: file.into(), scope: None };
        let Some(report) = self.imported(source).await? else { return Ok(()) };
        let own = rows.iter().map(|(_, value)| format!("v{value}"));
        self.remember_batch(own.collect()).await?;
        let after = self.seen().await?;
        let counts = report.counts;
        let said = report.findings.iter().filter(|_| self.mutant != Some(Mutant::LeavesOutInSilence)).count();
        let counted = counts.added + counts.changed + counts.unchanged + counts.refused + counts.doubtful;
        let what = match habit {
            Habit::Masked if before != after => "a mask was taken for a value",
            Habit::BadKeys if self.lost_a_name(&lines).await? && counts.refused + counts.doubtful == 0 => {
                "two people became one by a number that is none"
            }
            Habit::Signed if self.says("填报人").await? => "a signature became a record",
            Habit::Windows | Habit::Plain if counted != rows.len() => "rows of a file were neither taken nor refused",
            Habit::OddColumn if said == 0 => "a column was left out in silence",
            _ => return Ok(()),
        };
        self.broken = Some(format!("{what}: {counts:?}"));
        Ok(())
    }

    /// A village's ledger says what only the county decides: nothing of that is written, and it waits for the county.
    pub(super) async fn decide(&mut self, unit: usize) -> Result<()> {
        self.offices.files += 1;
        let (code, number) = (roster::branch_code(unit), self.offices.files);
        let reason = format!("v{number}00000");
        let text = format!("党组织编码|定级轮次|初定等次|审定等次|定级理由\n{code}|首次|先进|先进|{reason}");
        let scope = Scope { unit: self.unit_of(Some(unit)), books: Book::ALL.to_vec(), version: 0 };
        let scope = (self.mutant != Some(Mutant::LetsVillagesDecide)).then_some(scope);
        let bytes = sheet::workbook(&[("定级", &text)])?.into();
        if self.imported(Source { name: format!("{number}.xlsx"), bytes, scope }).await?.is_none() {
            return Ok(());
        }
        self.remember_batch(BTreeSet::from([reason])).await?;
        let graded = |document: &Document| {
            document.rows("grading").into_values().any(|row| row.cells.contains_key("final_grade"))
        };
        if self.documents().await?.iter().any(|(_, document)| graded(document)) {
            self.broken = Some("a village has decided its own grade".into());
        }
        let query = ProposalQuery {
            top: self.server()?.county,
            books: Book::ALL.to_vec(),
            state: Some(ProposalState::Waiting),
            period: None,
            after: 0,
            limit: 1,
        };
        if self.server()?.store.proposals().list(&query).await?.is_empty() {
            self.broken = Some("what a village has said of its grade waits for nobody".into());
        }
        Ok(())
    }

    /// Imports; none if the server died at it. Nothing but a death ends an import of a sound file.
    async fn imported(&mut self, source: Source) -> Result<Option<ImportReport>> {
        let done = import(self.server()?, source, "县", &|_, _| {}).await;
        if done.is_err() {
            self.restart_server().await?;
        }
        Ok(done.ok().filter(|report| !report.already_imported))
    }

    async fn remember_batch(&mut self, values: BTreeSet<String>) -> Result<()> {
        let newest = self.server()?.store.batches().await?.into_iter().next();
        if let Some(batch) = newest {
            self.offices.brought.entry(batch.batch.id).or_default().extend(values);
        }
        Ok(())
    }

    /// A merged ledger of a unit is drawn and taken away.
    pub(super) async fn draw(&mut self, unit: usize) -> Result<()> {
        let server = self.server()?;
        let top = server.store.unit(self.unit_of(Some(unit))).await?.context("a unit")?;
        let folder = self.folder.path().join("returns");
        let date = jiff::civil::date(2012, 4, 30);
        let request = ReturnRequest { clearance: Sensitivity::S3, ..ReturnRequest::new("members", top, date, folder) };
        let drawn = returns::draw(server, &request).await?;
        self.offices.drawn.push((unit, std::fs::read(drawn.path)?));
        Ok(())
    }

    /// It comes back with some of its cells edited.
    pub(super) async fn send_back(&mut self, pick: u8, edits: &[(u8, u32)]) -> Result<()> {
        let Some((_, bytes)) = self.offices.drawn.get(usize::from(pick) % self.offices.drawn.len().max(1)) else {
            return Ok(());
        };
        let (bytes, values) = edited(bytes, edits)?;
        self.offices.files += 1;
        let source = Source { name: format!("{}.xlsx", self.offices.files), bytes: bytes.into(), scope: None };
        let Some(report) = self.imported(source).await? else { return Ok(()) };
        self.remember_batch(values.clone()).await?;
        let seen: BTreeSet<String> = self.seen().await?.into_iter().map(|(_, _, value)| value).collect();
        let lost: Vec<&String> = values.iter().filter(|value| !seen.contains(*value)).collect();
        if !lost.is_empty() && report.counts.refused + report.counts.doubtful == 0 && report.findings.is_empty() {
            self.broken = Some(format!("{lost:?} came back in a merged ledger and are nowhere"));
        }
        Ok(())
    }

    /// An import is taken back: what others have written stands.
    pub(super) async fn undo(&mut self, pick: u8) -> Result<()> {
        let server = self.server()?;
        let mut batches = server.store.batches().await?;
        batches.retain(|stored| stored.undone_at_ms.is_none() && stored.finished_at_ms.is_some());
        batches.sort_by(|a, b| a.batch.id.cmp(&b.batch.id));
        let Some(stored) = batches.get(usize::from(pick) % batches.len().max(1)) else { return Ok(()) };
        let (id, actor) = (stored.batch.id.clone(), stored.batch.actor().context("an actor")?);
        let before = self.seen().await?;
        if undo(server, &id, "县").await.is_err() {
            return self.restart_server().await;
        }
        if self.mutant == Some(Mutant::TakesBackOthers) {
            self.take_back_everything(actor).await?;
        }
        let own = self.offices.brought.get(&id).cloned().unwrap_or_default();
        let after = self.seen().await?;
        if let Some((_, cell, value)) = before.iter().find(|seen| !after.contains(seen) && !own.contains(&seen.2)) {
            self.broken =
                Some(format!("taking back an import took {value} at {cell} with it, which others had written"));
        }
        Ok(())
    }

    /// Whatever stands in a cell that an actor has written to is cleared, whoever wrote it.
    async fn take_back_everything(&mut self, actor: ActorId) -> Result<()> {
        let fresh = ActorId(bytes(&mut self.rng));
        let server = self.server()?;
        for identity in server.store.documents_of(actor).await? {
            let document = identity.document(&server.tenant);
            let stored = server.store.document(document).await?.context("a document")?;
            let mut loaded = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
            let edits: Vec<Edit> = loaded
                .row_states()
                .into_values()
                .flat_map(|state| state.row.cells.keys().map(|c| (state.row.id, c.clone())).collect::<Vec<_>>())
                .filter(|(_, column)| column == "work_post")
                .map(|(row, column)| Edit { address: Address::new("members", row, column), value: "空".into() })
                .collect();
            let provenance = Provenance { who: "县".into(), how: Means::Undo, source: None };
            let author = Author { actor: fresh, provenance, time_s: 0 };
            let Some(change) = loaded.write(&identity, &edits, &author)? else { continue };
            let write = DocumentWrite {
                document,
                identity,
                expected_heads: stored.heads,
                heads: loaded.heads(),
                changes: vec![server::store::NewChange {
                    hash: change.hash,
                    actor: fresh.0.to_vec(),
                    bytes: Some(change.bytes),
                }],
                snapshot: None,
                rows: projection::project_all(&loaded),
                wrong_steps: Vec::new(),
                device: None,
                received_at_ms: self.now_ms,
                binds: true,
                proposals: ProposalWrites::default(),
            };
            server.store.commit(vec![write]).await?;
        }
        Ok(())
    }

    /// A full disk refuses one exchange, and none after that.
    pub(super) async fn disk_full(&mut self, index: usize) -> Result<()> {
        if let Some(store) = &self.store {
            store.fill();
        }
        self.phones[index].exchange = None;
        *lock(&self.phones[index].line.fate) = Fate::Arrives;
        drop(self.phones[index].device()?.exchange(0).await);
        if let Some(store) = &self.store {
            store.free();
        }
        self.exchange_in_peace(index).await
    }

    /// Every value of this scenario's own in sight at the server.
    async fn seen(&self) -> Result<Seen> {
        let mut seen = Seen::new();
        for (identity, document) in self.documents().await? {
            for state in document.row_states().into_values() {
                let of = |column: &str| format!("{}/{column}", state.row.id);
                for (column, value) in &state.row.cells {
                    if let Some(text) = value.as_text().filter(|text| is_own(text)) {
                        seen.insert((identity.clone(), of(column), text.to_owned()));
                    }
                }
                for conflict in &state.conflicts {
                    let texts = conflict.values.iter().filter_map(|value| value.value.as_text());
                    let cell = of(conflict.address.cell().as_ref());
                    seen.extend(
                        texts.filter(|text| is_own(text)).map(|t| (identity.clone(), cell.clone(), t.to_owned())),
                    );
                }
            }
        }
        Ok(seen)
    }

    async fn documents(&self) -> Result<Vec<(Identity, Document)>> {
        let server = self.server()?;
        let mut documents = Vec::new();
        for (identity, _) in server.store.all_identities().await? {
            let stored = server.store.document(identity.document(&server.tenant)).await?.context("a document")?;
            documents.push((identity, Document::load(stored.snapshot.as_deref(), &stored.changes)?));
        }
        Ok(documents)
    }

    /// Whether some record says this anywhere.
    async fn says(&self, words: &str) -> Result<bool> {
        let says = |document: &Document| {
            let mut states = document.row_states().into_values();
            states.any(|state| state.row.cells.values().any(|v| v.as_text().is_some_and(|text| text.contains(words))))
        };
        Ok(self.documents().await?.iter().any(|(_, document)| says(document)))
    }

    /// Whether one of the people of these lines is nowhere.
    async fn lost_a_name(&self, lines: &[String]) -> Result<bool> {
        for line in lines {
            let name = line.split('|').nth(1).context("a name")?;
            if !self.says(name).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A merged ledger with other values in the posts of some of its rows, saved by another program; and these values.
fn edited(bytes: &[u8], edits: &[(u8, u32)]) -> Result<(Vec<u8>, BTreeSet<String>)> {
    let workbook = read(bytes, &ReadLimits::default())?;
    let (mut values, mut book) = (BTreeSet::new(), Written::new("t", Created { unix_s: 0 })?);
    for (index, sheet) in workbook.sheets.iter().enumerate() {
        let text = |row: usize, column: u16| match sheet.cell(row, column) {
            Some(Cell::Text(id)) => Some(workbook.texts.get(id).to_owned()),
            _ => None,
        };
        let header = (0..sheet.row_count()).find_map(|row| {
            let cells = sheet.row(row).iter();
            let column = cells.map(|(column, _)| *column).find(|c| text(row, *c).as_deref() == Some("工作岗位"))?;
            Some((row, column))
        });
        let mut changed = BTreeMap::new();
        if let Some((header, column)) = header.filter(|_| index == 0) {
            // Two rows down: below the header stand the hidden keys.
            let body: Vec<usize> = (header + 2..sheet.row_count()).collect();
            for (row, value) in edits.iter().filter(|_| !body.is_empty()) {
                changed.insert((body[usize::from(*row) % body.len()], column), format!("v{value}"));
            }
        }
        values.extend(changed.values().cloned());
        let mut page = book.sheet(&sheet.name)?;
        for row in 0..sheet.row_count() {
            let columns: BTreeSet<u16> = sheet.row(row).iter().map(|(column, _)| *column).collect();
            let more = changed.keys().filter(|(at, _)| *at == row).map(|(_, column)| *column);
            for column in columns.into_iter().chain(more).collect::<BTreeSet<_>>() {
                let out = match (changed.get(&(row, column)), sheet.cell(row, column)) {
                    (Some(value), _) => Out::Text(value.clone()),
                    (None, Some(Cell::Number { value, .. })) => Out::Number(value),
                    (None, Some(Cell::Date(date))) => Out::Serial(date.serial()),
                    (None, _) => text(row, column).map_or(Out::Text(String::new()), Out::Text),
                };
                page.put(sheet.row_number(row), column, &out, Style::Plain)?;
            }
        }
    }
    Ok((book.bytes()?, values))
}
