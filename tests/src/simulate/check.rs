//! What must hold once trouble has ended.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use server::doctor;
use sync_protocol::{
    Book, Document, Identity, UnitId,
    document::{RefusalCode, RowKey},
};

use super::{phone::hashes, world::World};

/// Exchanges of all devices after which everybody must have everything.
const ROUNDS: usize = 4;

/// Lets everybody exchange in peace, and says what is wrong then.
pub(super) async fn after_healing(world: &mut World) -> Result<Option<String>> {
    world.heal().await?;
    for _ in 0..ROUNDS {
        for index in 0..world.phones.len() {
            world.exchange_in_peace(index).await?;
            if let Some(what) = world.broken.take() {
                return Ok(Some(what));
            }
        }
    }
    for phone in &world.phones {
        let device = phone.device()?;
        let unsent = device.unsent().await?;
        if unsent > 0 {
            return Ok(Some(format!("{} still has {unsent} changes unsent", phone.name)));
        }
        let quiet = device.exchange(0).await?;
        if (quiet.requests, quiet.documents) != (1, 0) {
            return Ok(Some(format!("{} is not done: {quiet:?}", phone.name)));
        }
        if phone.is_revoked && !device.documents().await?.is_empty() {
            return Ok(Some(format!("{} was revoked and still holds something", phone.name)));
        }
    }
    let server = world.server()?;
    let held = world.at_server().await?;
    if let Some((hash, of)) = world.written.iter().find(|(hash, _)| !held.contains(hash)) {
        return Ok(Some(format!("{hash}, written by {of}, is neither in a document nor in quarantine")));
    }
    if let Some(hash) = world.promised.iter().find(|hash| !held.contains(hash)) {
        return Ok(Some(format!("{hash}, which was acknowledged, is neither in a document nor in quarantine")));
    }
    for (identity, erased) in &world.erased {
        for phone in &world.phones {
            let left = hashes(&phone.device()?.document(identity).await?);
            if !left.is_disjoint(erased) {
                return Ok(Some(format!("{} still holds what was erased from {identity:?}", phone.name)));
            }
        }
        let stored = server.store.document(identity.document(&server.tenant)).await?.context("a document")?;
        if !hashes(&Document::load(stored.snapshot.as_deref(), &stored.changes)?).is_disjoint(erased) {
            return Ok(Some(format!("the server has again what was erased from {identity:?}")));
        }
    }
    // Everybody here is honest: what they bring back for others to a server that had lost it is no forgery.
    let suspected = server.store.quarantined().await?.into_iter().find(|held| held.code == RefusalCode::ForeignActor);
    if let Some(held) = suspected {
        return Ok(Some(format!("{} was taken for a forgery", held.hash)));
    }
    let mut disputed = BTreeSet::new();
    let mut documents = BTreeSet::new();
    for (identity, heads) in server.store.all_identities().await? {
        documents.insert(identity.clone());
        let stored = server.store.document(identity.document(&server.tenant)).await?.context("a document")?;
        let document = Document::load(stored.snapshot.as_deref(), &stored.changes)?;
        for conflict in document.conflicts() {
            let key = RowKey::from(&conflict.address);
            disputed.insert((identity.unit, identity.book, key.ledger, key.row));
        }
        for phone in &world.phones {
            if phone.is_revoked || !in_scope(world, phone.unit, &identity).await? {
                continue;
            }
            let (theirs, ours) = (hashes(&phone.device()?.document(&identity).await?), hashes(&document));
            if theirs != ours || document.heads() != heads {
                let (more, fewer) = (theirs.difference(&ours).count(), ours.difference(&theirs).count());
                let of = (identity.unit, identity.book);
                return Ok(Some(format!("{} has {more} changes more and {fewer} fewer of {of:?}", phone.name)));
            }
        }
    }
    for phone in &world.phones {
        let device = phone.device()?;
        for identity in device.documents().await? {
            // What it wrote there itself may be all that it knows of it.
            let may = in_scope(world, phone.unit, &identity).await? && documents.contains(&identity);
            if !may && !hashes(&device.document(&identity).await?).is_subset(&phone.own) {
                return Ok(Some(format!("{} shows {identity:?}, which the server does not give it", phone.name)));
            }
        }
    }
    let listed = server.store.conflicts().await?.into_iter();
    let listed: BTreeSet<_> = listed.map(|stored| (stored.unit, stored.book, stored.ledger, stored.row)).collect();
    if listed != disputed {
        return Ok(Some(format!("{} records are in conflict, {} are listed", disputed.len(), listed.len())));
    }
    let diagnosis = doctor::diagnose(server, &|_, _| {}).await?;
    Ok(diagnosis.wrong.into_iter().next())
}

async fn in_scope(world: &World, unit: UnitId, identity: &Identity) -> Result<bool> {
    let books = [Book::Unit, Book::UnitRestricted];
    Ok(books.contains(&identity.book) && world.server()?.store.is_below(identity.unit, unit).await?)
}
