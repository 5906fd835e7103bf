//! Writing the tree of units: what would make it no tree is not written, and what moves takes everything below it along.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;
use sync_protocol::{UnitId, unit::Unit};

use super::{deed::Outcome, registry, tx::Writer};
use crate::store::{
    StoreError,
    units::{STEPS_MAX, UnitChange, UnitFault},
};

pub(super) async fn put(writer: &Writer, units: &[Unit]) -> Result<(), StoreError> {
    let mut tx = writer.begin().await?;
    write(&mut tx, units).await?;
    tx.commit().await
}

/// Writes units that still are what they were read as.
pub(super) async fn keep(tx: &mut SqliteConnection, changes: &[UnitChange]) -> Result<Outcome, StoreError> {
    let mut units = Vec::with_capacity(changes.len());
    for UnitChange { before, after } in changes {
        if registry::unit(&mut *tx, after.id).await? != *before {
            return Ok(Outcome::Stale);
        }
        units.push(after.clone());
    }
    write(tx, &units).await?;
    Ok(Outcome::Written(None))
}

/// Writes units, parents before their children; an error leaves the caller's transaction to be given up.
async fn write(tx: &mut SqliteConnection, units: &[Unit]) -> Result<(), StoreError> {
    let mut before = Vec::with_capacity(units.len());
    for unit in units {
        if let Some(fault) = UnitFault::of(unit) {
            return Err(fault.into());
        }
        before.push(registry::unit(&mut *tx, unit.id).await?);
        write_one(tx, unit).await?;
    }
    // Only now: one of them may have made room for another.
    for (unit, before) in units.iter().zip(before) {
        check(tx, unit, before.as_ref()).await?;
    }
    Ok(())
}

async fn write_one(tx: &mut SqliteConnection, unit: &Unit) -> Result<(), StoreError> {
    let above: String = match unit.parent {
        Some(parent) => {
            registry::path(&mut *tx, parent).await?.ok_or_else(|| UnitFault::NoParent(unit.name.clone()))?
        }
        None => String::new(),
    };
    let before = registry::path(&mut *tx, unit.id).await?;
    let path = format!("{above}{}/", unit.id);
    sqlx::query(
        "INSERT INTO units (id, parent, level, code, name, short_name, sort_order, path)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE SET parent = $2, level = $3, code = $4, name = $5, short_name = $6,
                                        sort_order = $7, path = $8",
    )
    .bind(unit.id.as_bytes().as_slice())
    .bind(unit.parent.map(|parent| parent.as_bytes().to_vec()))
    .bind(unit.level.as_str())
    .bind(&unit.code)
    .bind(&unit.name)
    .bind(&unit.short_name)
    .bind(unit.sort_order)
    .bind(&path)
    .execute(&mut *tx)
    .await?;
    match before {
        Some(before) if before != path => {
            take_along(tx, unit.id, &path).await?;
            let (old, new) = (above_in(&before, unit.id), above_in(&path, unit.id));
            let touched: Vec<UnitId> = old.symmetric_difference(&new).copied().collect();
            moved(tx, &touched).await
        }
        // One that was lost comes back with what belongs to it: that is new for whoever is above, although it is old.
        None if has_documents(tx, unit.id).await? => {
            let touched: Vec<UnitId> = above_in(&path, unit.id).into_iter().chain([unit.id]).collect();
            moved(tx, &touched).await
        }
        _ => Ok(()),
    }
}

/// The units above one, as its path names them.
fn above_in(path: &str, unit: UnitId) -> BTreeSet<UnitId> {
    path.split('/').filter_map(|id| id.parse().ok()).filter(|id| *id != unit).collect()
}

async fn has_documents(tx: &mut SqliteConnection, unit: UnitId) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM documents WHERE unit = $1)");
    Ok(found.bind(unit.as_bytes().as_slice()).fetch_one(tx).await?)
}

/// Writes anew where everything below a unit stands: by what stands under what, since a path may be wrong.
async fn take_along(tx: &mut SqliteConnection, unit: UnitId, path: &str) -> Result<(), StoreError> {
    let mut seen = BTreeSet::from([unit]);
    let mut waiting = vec![(unit, path.to_owned())];
    while let Some((above, path)) = waiting.pop() {
        let below: Vec<Vec<u8>> = sqlx::query_scalar("SELECT id FROM units WHERE parent = $1")
            .bind(above.as_bytes().as_slice())
            .fetch_all(&mut *tx)
            .await?;
        for id in below.into_iter().filter_map(|id| id.try_into().ok()).map(UnitId::from_bytes) {
            // Where the tree has a circle, each is written once.
            if !seen.insert(id) {
                continue;
            }
            let path = format!("{path}{id}/");
            let update = sqlx::query("UPDATE units SET path = $2 WHERE id = $1").bind(id.as_bytes().as_slice());
            update.bind(&path).execute(&mut *tx).await?;
            waiting.push((id, path));
        }
    }
    Ok(())
}

/// What stands below these units is not what it was: devices that hold it begin anew, and no others.
async fn moved(tx: &mut SqliteConnection, units: &[UnitId]) -> Result<(), StoreError> {
    sqlx::query("UPDATE moves SET count = count + 1").execute(&mut *tx).await?;
    for unit in units {
        sqlx::query("UPDATE units SET moved = (SELECT count FROM moves) WHERE id = $1")
            .bind(unit.as_bytes().as_slice())
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Whether a unit that was written fits into the tree as it is now.
async fn check(tx: &mut SqliteConnection, unit: &Unit, before: Option<&Unit>) -> Result<(), StoreError> {
    let mut at = unit.clone();
    for step in 0.. {
        let Some(parent) = at.parent else { break };
        if parent == unit.id || step >= STEPS_MAX {
            return Err(UnitFault::Circle(unit.name.clone()).into());
        }
        let above = registry::unit(&mut *tx, parent).await?.ok_or_else(|| UnitFault::NoParent(at.name.clone()))?;
        if step == 0
            && let Some(fault) = UnitFault::under(unit, &above)
        {
            return Err(fault.into());
        }
        at = above;
    }
    if before.is_some_and(|before| before.level != unit.level) {
        for below in registry::below(&mut *tx, unit.id).await? {
            if let Some(fault) = UnitFault::under(&below, unit) {
                return Err(fault.into());
            }
        }
    }
    let Some(code) = unit.code.as_ref().filter(|code| before.and_then(|before| before.code.as_ref()) != Some(*code))
    else {
        return Ok(());
    };
    let other: Option<String> = sqlx::query_scalar("SELECT name FROM units WHERE code = $1 AND id != $2 LIMIT 1")
        .bind(code)
        .bind(unit.id.as_bytes().as_slice())
        .fetch_optional(&mut *tx)
        .await?;
    match other {
        Some(other) => Err(UnitFault::Code { unit: unit.name.clone(), code: code.clone(), other }.into()),
        _ => Ok(()),
    }
}
