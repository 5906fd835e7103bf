//! A county small enough for a test.

use std::path::Path;

use server::{
    Server, clock,
    config::{Config, File},
    store::DeviceRecord,
    sync::token_hash,
};
use sync_protocol::{
    ActorId, Book, DeviceId, UnitId,
    client::{Device, DeviceConfig},
};

pub async fn server(data: &Path) -> Server {
    std::fs::create_dir_all(data).expect("folder");
    let config = Config::check(File { data_dir: data.to_owned(), ..File::default() }).expect("configuration");
    Server::open_embedded(&config).await.expect("server")
}

/// Enrols a device and opens it; the token is its name.
pub async fn device(server: &Server, folder: &Path, url: &str, name: &str, unit: UnitId) -> Device {
    let mut id = [0; 16];
    id.copy_from_slice(&token_hash(name)[..16]);
    let record = DeviceRecord {
        id: DeviceId::from_bytes(id),
        name: name.to_owned(),
        owner: name.to_owned(),
        token_hash: token_hash(name),
        unit,
        books: vec![Book::Unit, Book::UnitRestricted],
    };
    server.store.put_device(&record, clock::now_ms()).await.expect("enrolled");
    open(server, folder, url, name).await
}

/// Opens an enrolled device again, perhaps at another address of the server.
pub async fn open(server: &Server, folder: &Path, url: &str, name: &str) -> Device {
    let config = DeviceConfig {
        path: folder.join(format!("{name}.sqlite")),
        server: url.to_owned(),
        token: name.to_owned(),
        who: name.to_owned(),
        actor: ActorId(clock::random()),
    };
    Device::open(config, server.catalogue.clone()).await.expect("device")
}

/// The unit with this code.
pub async fn unit(server: &Server, code: &str) -> UnitId {
    let units = server.store.units().await.expect("units");
    units.iter().find(|unit| unit.code.as_deref() == Some(code)).expect("a unit of the county").id
}
