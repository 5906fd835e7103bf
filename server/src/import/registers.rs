//! Units first: which units several files define is looked up in all of them before any is imported, so that no file needs
//! another to come before it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use importer::{ReadLimits, Register, Table, unread};
use sha2::{Digest, Sha256};
use sync_protocol::{
    UnitId,
    unit::{Unit, UnitLevel},
};

use super::{ImportError, Source, importer_of, review};
use crate::Server;

/// The units that these files define and that are new or other than known, and how many each file has, in the order of the
/// files. Nothing is written. A file that cannot be read defines none: its import says why.
pub async fn units_of(server: &Server, files: &[PathBuf]) -> Result<(Vec<Unit>, Vec<usize>), ImportError> {
    let mut units: BTreeMap<UnitId, Unit> = BTreeMap::new();
    let mut counts = vec![0; files.len()];
    let mut waiting: Vec<usize> = (0..files.len()).collect();
    // An organisation is found by its reporting unit, which another file may define: as long as new ones turn up, the files
    // that define any are looked through once more.
    for _ in 0..=files.len() {
        let known = units.len();
        let mut again = Vec::new();
        for at in waiting {
            let Ok(Some(defined)) = defined_by(server, &files[at], units.values().cloned().collect()).await else {
                continue;
            };
            again.push(at);
            counts[at] += defined.iter().filter(|unit| !units.contains_key(&unit.id)).count();
            units.extend(defined.into_iter().map(|unit| (unit.id, unit)));
        }
        waiting = again;
        if units.len() == known || waiting.len() < 2 {
            break;
        }
    }
    let mut units: Vec<Unit> = units.into_values().collect();
    // Those above come first.
    units.sort_by_key(|unit| match unit.level {
        UnitLevel::County => 0,
        UnitLevel::ReportingUnit => 1,
        UnitLevel::Organisation => 2,
    });
    Ok((units, counts))
}

/// The units of a file that are new or other than known; none, if no ledger of it defines any.
async fn defined_by(server: &Server, path: &Path, also: Vec<Unit>) -> Result<Option<Vec<Unit>>, ImportError> {
    let source = Source::open(path).await?;
    let digest: [u8; 32] = Sha256::digest(&source.bytes).into();
    if server.store.is_imported(&digest, &server.period()).await? {
        return Ok(None);
    }
    let mut register = Register::new(server.store.units().await?);
    for unit in also {
        register.insert(unit);
    }
    let mut memory = server.store.memory(&[server.county]).await?;
    let server = server.clone();
    let read = move || {
        let workbook = server.isolation.read(&source.bytes, &ReadLimits::default())?;
        review::read(&workbook, &server.catalogue).teach(&mut memory);
        let importer = importer_of(&server, &memory);
        let (mut tables, mut findings) = importer.detect(&workbook);
        unread::look(&workbook, &server.catalogue, &mut tables, &mut findings);
        let defines = |table: &Table| server.catalogue.ledgers()[table.ledger].unit.defines;
        if !tables.iter().any(defines) {
            return Ok(None);
        }
        Ok(Some(importer.define_units(&workbook, &tables, &mut register)))
    };
    tokio::task::spawn_blocking(read).await.map_err(|e| ImportError::Interrupted(e.to_string()))?
}
