//! The product, given a made-up county by its documents, and what it prints.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use anyhow::{Context, Result, bail};
use importer::{
    ReadLimits,
    workbook::{grid::Cell, read},
};
use server::{
    Server,
    config::{Config, File},
    projection,
    returns::{self, ReturnRequest},
};
use sync_protocol::{
    ActorId, Address, Document, Identity, Value,
    catalogue::{Column, Content, Kind, SheetRows},
    conflict::{Means, Provenance},
    document::{Author, Edit},
    row::{REMOVED, STATE},
};

use super::truth::{Fact, Truth, county};

/// Opens a server with the county of a seed in it.
pub async fn filled(folder: &Path, seed: u64, catalogue: Option<&Path>) -> Result<(Server, Truth)> {
    let config =
        File { data_dir: folder.join("data"), catalogue_dir: catalogue.map(Path::to_owned), ..File::default() };
    let server = Server::create_embedded(&Config::check(config)?).await?;
    let top = server.store.unit(server.county).await?.context("the county")?;
    let truth = county(seed, &server.tenant, &top);
    server.store.put_units(&truth.units).await?;
    let mut edits: BTreeMap<Identity, Vec<Edit>> = BTreeMap::new();
    for fact in &truth.facts {
        write(&server, &truth, fact, &mut edits)?;
    }
    let mut writes = Vec::new();
    for (number, (identity, edits)) in edits.into_iter().enumerate() {
        let mut actor = [7; 16];
        actor[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let author = Author {
            actor: ActorId(actor),
            provenance: Provenance { who: "县委组织部".into(), how: Means::Form, source: None },
            time_s: 1_335_744_000,
        };
        let mut document = Document::new();
        document.write(&identity, &edits, &author)?;
        writes.push(projection::whole(&identity, identity.document(&server.tenant), &document)?);
    }
    server.store.commit(writes).await?;
    Ok((server, truth))
}

fn write(server: &Server, truth: &Truth, fact: &Fact, edits: &mut BTreeMap<Identity, Vec<Edit>>) -> Result<()> {
    let ledger = server.catalogue.ledger(fact.ledger).with_context(|| fact.ledger.to_owned())?;
    let unit = truth.units[fact.unit].id;
    let mut put = |book, address: Address, value| {
        let identity = Identity { unit, book, period: server.period() };
        edits.entry(identity).or_default().push(Edit { address, value });
    };
    for (key, text) in &fact.cells {
        let column: &Column = ledger.column(key).with_context(|| format!("{}.{key}", fact.ledger))?;
        let address = Address::new(fact.ledger, fact.row, *key);
        let book = ledger.book_of(column);
        if column.column_type.is_set() {
            for code in text.split_whitespace() {
                put(book, address.clone().member(code), Value::Bool(true));
            }
            continue;
        }
        let value = match column.column_type.kind() {
            Kind::Text => Value::text(text),
            Kind::Int => Value::Int(text.parse().with_context(|| format!("{}.{key} {text}", fact.ledger))?),
            Kind::Bool => Value::Bool(text == "yes"),
        };
        put(book, address, value);
    }
    if !fact.state.is_empty() {
        put(ledger.book, Address::new(fact.ledger, fact.row, STATE), Value::text(fact.state));
    }
    if fact.removed {
        put(ledger.book, Address::new(fact.ledger, fact.row, REMOVED), Value::Bool(true));
    }
    Ok(())
}

/// Label of a row → number of a column → what is printed.
pub type Printed = BTreeMap<String, BTreeMap<String, String>>;

/// What a drawing of a return says.
#[derive(Debug)]
pub struct Drawing {
    /// Sheet → its figures. The rows of a level in a unit are labelled `unit level`.
    pub sheets: BTreeMap<String, Printed>,
}

impl Drawing {
    /// Draws a return and reads it back.
    pub async fn of(
        server: &Server,
        folder: &Path,
        name: &str,
        choices: &[(&str, &str)],
        date: jiff::civil::Date,
    ) -> Result<Self> {
        let request = ReturnRequest {
            variables: choices.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            clearance: sync_protocol::catalogue::Sensitivity::S3,
            ..ReturnRequest::new(name, returns::county(server).await?, date, folder)
        };
        let drawn = returns::draw(server, &request).await?;
        let bytes = std::fs::read(&drawn.path)?;
        let book = Arc::new(read::read(&bytes, &ReadLimits::default())?);
        let form = server.catalogue.return_form(name).context("a return")?;
        let mut sheets = BTreeMap::new();
        for sheet in &form.sheets {
            if matches!(sheet.rows, SheetRows::List { .. }) {
                continue;
            }
            let page = book.sheets.iter().find(|page| page.name == sheet.name).with_context(|| sheet.name.clone())?;
            let text = |index: usize, column: usize| -> String {
                match page.cell(index, u16::try_from(column).unwrap_or(u16::MAX)) {
                    Some(Cell::Text(id)) => book.texts.get(id).to_owned(),
                    Some(Cell::Number { value, .. }) => value.to_string(),
                    _ => String::new(),
                }
            };
            let mut printed = Printed::new();
            if matches!(sheet.rows, SheetRows::IndicatorMatrix) {
                let head: Vec<String> = (0..page.row(1).len()).map(|column| text(1, column)).collect();
                for index in 2..page.row_count() {
                    let cells = head.iter().enumerate().skip(2).map(|(at, unit)| (unit.clone(), text(index, at)));
                    let label = text(index, 1).split(' ').next().unwrap_or_default().to_owned();
                    printed.insert(label, cells.collect());
                }
                sheets.insert(sheet.name.clone(), printed);
                continue;
            }
            let numbers: Vec<&str> = sheet.columns.iter().map(|column| column.number.as_str()).collect();
            let is_head = |index: &usize| (0..numbers.len()).all(|column| text(*index, column) == numbers[column]);
            let head =
                (0..page.row_count()).find(is_head).with_context(|| format!("{name} {}: no 栏次", sheet.name))?;
            for index in head + 1..page.row_count() {
                let labels = sheet.columns.iter().enumerate().filter(|(_, column)| {
                    matches!(
                        column.content,
                        Content::Group
                            | Content::Unit
                            | Content::Indicator(sync_protocol::catalogue::IndicatorPart::Title)
                    )
                });
                let labels: Vec<String> =
                    labels.map(|(at, _)| text(index, at)).filter(|text| !text.is_empty()).collect();
                let mut label = labels.join(" ");
                if matches!(sheet.rows, SheetRows::Indicators) {
                    label = label.split(' ').next().unwrap_or_default().to_owned();
                }
                if label.is_empty() || text(index, 0).starts_with('注') {
                    break;
                }
                let cells = numbers.iter().enumerate().map(|(at, number)| ((*number).to_owned(), text(index, at)));
                if printed.insert(label.clone(), cells.collect()).is_some() {
                    bail!("{name} {}: two rows {label}", sheet.name);
                }
                if label == "合计" {
                    break;
                }
            }
            sheets.insert(sheet.name.clone(), printed);
        }
        Ok(Self { sheets })
    }
}
