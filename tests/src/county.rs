//! A server on a temporary folder, for tests.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use server::{
    Server, clock,
    config::{Config, File},
    http,
    store::{DeviceRecord, token_hash},
};
use sync_protocol::{
    ActorId, Book, DeviceId, UnitId,
    client::{Device, DeviceConfig},
};
use tempfile::TempDir;

use crate::roster;

/// Opens a server, and makes its store where there is none; `county_key` as another replica of the same county would have it.
pub async fn open(data: &Path, county_key: Option<&[u8]>) -> anyhow::Result<Server> {
    let config = Config::check(File { data_dir: data.to_owned(), ..File::default() })?;
    let server = Server::create_embedded(&config).await?;
    let Some(key) = county_key else { return Ok(server) };
    let ring = server.keyring.with_county(key).context("a key of 32 bytes")?;
    ring.keep(server.store.as_ref()).await?;
    server.store.close().await;
    Ok(Server::open_embedded(&config).await?)
}

/// Opens a server in a folder of its own, with a township of so many branches.
pub async fn with_branches(branches: usize) -> anyhow::Result<(TempDir, Server)> {
    let folder = tempfile::tempdir()?;
    let server = open(&folder.path().join("data"), None).await?;
    server.store.put_units(&roster::units(&server.tenant, server.county, branches)).await?;
    Ok((folder, server))
}

/// One of these branches.
pub fn branch(server: &Server, index: usize) -> UnitId {
    UnitId::derive(&server.tenant, None, &roster::branch_code(index))
}

/// Opens a server whose county lays one catalogue file of its own over the built-in ones.
pub async fn open_with(data: &Path, catalogue: &str) -> anyhow::Result<Server> {
    let folder = data.join("catalogue");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("own.toml"), catalogue)?;
    let config = Config::check(File { data_dir: data.to_owned(), catalogue_dir: Some(folder), ..File::default() })?;
    Ok(Server::create_embedded(&config).await?)
}

/// Serves on a free port until the test ends; returns the address.
pub async fn serve(server: &Server) -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(http::serve(Arc::new(server.clone()), listener, std::future::pending()));
    Ok(url)
}

/// Enrols a device under its (ASCII) name, which is its token too, and opens it for the first time.
pub async fn device(
    server: &Server,
    folder: &Path,
    url: &str,
    name: &str,
    unit: UnitId,
    books: &[Book],
) -> anyhow::Result<Device> {
    let mut id = [0; 16];
    id.copy_from_slice(&token_hash(name)[..16]);
    let record = DeviceRecord::new(DeviceId::from_bytes(id), (name, name), name, unit, books);
    server.store.put_device(&record, clock::now_ms()).await?;
    open_device(server, folder, url, name).await
}

/// Opens an enrolled device, perhaps at another address of the server than last time.
pub async fn open_device(server: &Server, folder: &Path, url: &str, name: &str) -> anyhow::Result<Device> {
    let config = DeviceConfig {
        path: folder.join(format!("{name}.sqlite")),
        server: url.to_owned(),
        token: name.to_owned(),
        who: name.to_owned(),
        server_key: Some(server.keys.public().signing),
        certificate: None,
        secret: None,
        actor: ActorId(clock::random()),
    };
    Ok(Device::open(config, server.catalogue.clone()).await?)
}

/// The unit with this code.
pub async fn unit(server: &Server, code: &str) -> anyhow::Result<UnitId> {
    let units = server.store.units().await?;
    Ok(units.iter().find(|unit| unit.code.as_deref() == Some(code)).context("a unit of the county")?.id)
}
