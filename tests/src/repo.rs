//! Documents as official automerge-repo clients make them, and such clients to make them.

use std::process::Stdio;

use anyhow::{Context, ensure};
use automerge::{ROOT, transaction::Transactable};
use samod::DocHandle;
use serde_json::{Value, json};
use server::Server;
use sync_protocol::{
    Book, DocumentId, Identity, RowId, UnitId,
    catalogue::{Catalogue, Kind},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use crate::{node, roster};

/// Rows of such a document.
pub const ROWS: usize = 30;
/// Cells of such a row.
pub const CELLS: usize = 12;

/// A document that a client is to make.
#[derive(Debug, Clone)]
pub struct Made {
    /// What it is of.
    pub identity: Identity,
    /// The id that follows from it.
    pub id: DocumentId,
    /// Its cells, as JSON: address → text.
    pub cells: Value,
}

/// The columns that are filled: texts of the open book.
pub fn columns(catalogue: &Catalogue) -> Vec<&str> {
    let ledger = catalogue.ledger("members").expect("the catalogue has members");
    let texts = ledger.columns.iter().filter(|column| {
        column.column_type.kind() == Kind::Text
            && !column.column_type.is_set()
            && column.column_type.list().is_none()
            && ledger.book_of(column) == Book::Unit
    });
    texts.map(|column| column.key.as_str()).collect()
}

/// The row with this number.
pub fn row(number: usize) -> RowId {
    RowId::random([u8::try_from(number % 256).expect("below 256"); 10])
}

/// One document for each of these branches.
pub fn documents(server: &Server, branches: std::ops::Range<usize>) -> Vec<Made> {
    let columns = columns(&server.catalogue);
    let document = |branch: usize| {
        let unit = UnitId::derive(&server.tenant, None, &roster::branch_code(branch));
        let identity = Identity { unit, book: Book::Unit, period: server.period() };
        let mut cells = json!({
            "@format": 1,
            "@unit": unit.to_string(),
            "@book": identity.book.as_str(),
            "@period": identity.period,
        });
        for number in 0..ROWS {
            for cell in 0..CELLS {
                // Where the ledger has fewer columns, a newer catalogue may have more: unknown ones are kept.
                let column = columns.get(cell).map_or_else(|| format!("extra_{cell}"), |&column| column.to_owned());
                let address = format!("members/{}/{column}", row(number));
                cells[address] = json!(format!("第{branch}支部第{number}行{cell}"));
            }
        }
        Made { id: identity.document(&server.tenant), identity, cells }
    };
    branches.map(document).collect()
}

/// An official client in a process of its own.
#[derive(Debug)]
pub struct Peer {
    _process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Peer {
    /// Connects to `/sync/repo` of a server, or to another server of this protocol.
    pub fn connect(url: &str) -> anyhow::Result<Self> {
        let mut process = node::command("repo-peer.mjs")?
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("node")?;
        let input = process.stdin.take().context("its input")?;
        let output = BufReader::new(process.stdout.take().context("its output")?).lines();
        Ok(Self { _process: process, input, output })
    }

    /// Connects as a device of this server.
    pub fn of_device(url: &str, token: &str) -> anyhow::Result<Self> {
        let address = url.replacen("http", "ws", 1);
        Self::connect(&format!("{address}/sync/repo?access_token={token}"))
    }

    /// Gives it a command and waits for the answer.
    pub async fn ask(&mut self, command: Value) -> anyhow::Result<Value> {
        self.input.write_all(format!("{command}\n").as_bytes()).await?;
        let line = self.output.next_line().await?.context("the client has ended")?;
        let answer: Value = serde_json::from_str(&line)?;
        ensure!(answer.get("error").is_none(), "{answer}");
        Ok(answer)
    }

    /// Makes documents; says how many milliseconds it took until the server had them.
    pub async fn create(&mut self, documents: &[Made]) -> anyhow::Result<f64> {
        let documents: Vec<Value> =
            documents.iter().map(|made| json!({ "id": made.id.to_string(), "cells": made.cells })).collect();
        let answer = self.ask(json!({ "create": documents })).await?;
        ensure!(answer["arrived"] == true, "not everything has arrived: {answer}");
        answer["ms"].as_f64().context("milliseconds")
    }

    /// Fetches documents; says how many milliseconds it took, and which were not available.
    pub async fn fetch(&mut self, ids: &[DocumentId]) -> anyhow::Result<(f64, Vec<String>)> {
        let answer = self.ask(json!({ "fetch": texts(ids) })).await?;
        let mut unavailable: Vec<String> = serde_json::from_value(answer["unavailable"].clone())?;
        unavailable.sort();
        Ok((answer["ms"].as_f64().context("milliseconds")?, unavailable))
    }

    /// The heads of documents as it sees them.
    pub async fn heads(&mut self, ids: &[DocumentId]) -> anyhow::Result<Vec<Vec<String>>> {
        Ok(serde_json::from_value(self.ask(json!({ "heads": texts(ids) })).await?)?)
    }
}

/// Ids as the clients write them.
pub fn texts(ids: &[DocumentId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// Writes a cell into a document that samod holds.
pub fn write_text(handle: &DocHandle, address: &str, text: &str) -> anyhow::Result<()> {
    handle.with_document(|document| {
        let mut transaction = document.transaction();
        transaction.put(ROOT, address, text)?;
        transaction.commit();
        Ok(())
    })
}

/// The heads of a document as samod sees it.
pub fn samod_heads(handle: &DocHandle) -> Vec<String> {
    let mut heads: Vec<String> =
        handle.with_document(|document| document.get_heads().iter().map(ToString::to_string).collect());
    heads.sort();
    heads
}
