//! The keys of an installation, in a file beside the database: whoever has a copy of the database has none of them.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce, aead::Aead};
use data_encoding::HEXLOWER;
use importer::seal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use sync_protocol::bundle::{self, BundleError, BundleRequest, Head, Keys, is_signed_by};

use crate::{
    clock,
    config::Config,
    store::{Refused, Store, StoreError},
    whole,
};

/// The file, in the data folder.
pub const FILE: &str = "keys.json";
/// A hash of what must not be replaced unnoticed, in the database.
const MARK: &str = "keys_mark";
/// The id of the key that signs since the last rotation, in the database.
const NEWEST: &str = "keys_newest";
/// Where earlier versions kept the keys: in the database. To derive row ids; to sign with; to seal cursors.
const EARLIER: [&str; 3] = ["county_key", "bundle_key", "cursor_key"];
const FORMAT: u32 = 1;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// What stands in the file for whoever finds it.
const NOTE: &str = "台账通的密钥。请另存一份并妥善保管：没有它，数据库无法使用；不要与数据库备份放在一起。 \
                    The keys of Taizhang. Keep a copy in a safe place, apart from backups of the database, which is of no use without it.";

/// A secret of 32 bytes; it never shows.
#[derive(Clone, PartialEq, Eq)]
struct Secret([u8; KEY_BYTES]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| serde::de::Error::custom("a key is not 32 bytes in hexadecimal"))
    }
}

impl Secret {
    fn fresh() -> Self {
        Self(clock::random())
    }
}

/// The file as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    note: String,
    format: u32,
    county: Secret,
    /// The one before, where the county has given another: the database may still know the keys by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    county_before: Option<Secret>,
    cursor: Secret,
    vault: Secret,
    signing: Vec<WrittenSigning>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct WrittenSigning {
    secret: Secret,
    since_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_leaked: bool,
}

/// A key that signs receipts, bundles and returns, and opens bundles.
#[derive(Debug, Clone)]
pub struct Signing {
    /// It.
    pub keys: Arc<Keys>,
    /// Shuts what seals of returns hold.
    pub seal_key: seal::Key,
    /// Since when it is in use.
    pub since_ms: i64,
    /// Until when it was, if another has taken its place.
    pub until_ms: Option<i64>,
    /// Whether somebody else may have it: nothing that it has signed counts any more.
    pub is_leaked: bool,
}

impl Signing {
    fn of(written: &WrittenSigning) -> Self {
        let secret = &written.secret.0;
        let seal_key = Sha256::new_with_prefix(b"taizhang return look\0").chain_update(secret).finalize();
        Self {
            keys: Arc::new(Keys::of(secret)),
            seal_key: seal::Key(seal_key.into()),
            since_ms: written.since_ms,
            until_ms: written.until_ms,
            is_leaked: written.is_leaked,
        }
    }

    /// What names it: the beginning of its public key.
    pub fn id(&self) -> String {
        let key = self.keys.public().signing;
        HEXLOWER.encode(key.get(..8).unwrap_or_default())
    }
}

/// The keys of an installation.
#[derive(Debug, Clone)]
pub struct Keyring {
    file: PathBuf,
    written: Written,
    /// The one in use, then those before it, the latest first.
    signing: Vec<Signing>,
    /// Why these are not the keys of the installation.
    fault: Option<Refused>,
}

impl Keyring {
    fn of(file: PathBuf, written: Written) -> Self {
        let signing = written.signing.iter().rev().map(Signing::of).collect();
        Self { file, written, signing, fault: None }
    }

    fn fresh(file: PathBuf) -> Self {
        let signing =
            WrittenSigning { secret: Secret::fresh(), since_ms: clock::now_ms(), until_ms: None, is_leaked: false };
        let written = Written {
            note: NOTE.to_owned(),
            format: FORMAT,
            county: Secret::fresh(),
            county_before: None,
            cursor: Secret::fresh(),
            vault: Secret::fresh(),
            signing: vec![signing],
        };
        Self::of(file, written)
    }

    /// Keys of nobody, to look over a database whose own are not there.
    pub(crate) fn lost(config: &Config, fault: Refused) -> Self {
        Self { fault: Some(fault), ..Self::fresh(path(config)) }
    }

    /// Why these are not the keys of the installation, if they are not.
    pub fn fault(&self) -> Option<&Refused> {
        self.fault.as_ref()
    }

    /// Derives row ids of restricted natural keys; leaves the server only to replicas with that right.
    pub fn county(&self) -> &[u8] {
        &self.written.county.0
    }

    /// Seals cursors.
    pub(crate) fn cursor(&self) -> &[u8] {
        &self.written.cursor.0
    }

    /// The signing key in use.
    pub fn current(&self) -> &Signing {
        // A file without one is not read.
        &self.signing[0]
    }

    /// All signing keys, the one in use first.
    pub fn signing(&self) -> &[Signing] {
        &self.signing
    }

    /// What opens the seals of all times.
    pub fn seal_keys(&self) -> Vec<seal::Key> {
        self.signing.iter().map(|signing| signing.seal_key).collect()
    }

    /// The key that has signed a statement.
    pub fn signer(&self, statement: &[u8], signature: &[u8]) -> Option<&Signing> {
        self.signing.iter().find(|signing| is_signed_by(&signing.keys.public().signing, statement, signature))
    }

    /// Whether this installation has signed a statement, with a key that nobody else has.
    pub fn has_signed(&self, statement: &[u8], signature: &[u8]) -> bool {
        self.signer(statement, signature).is_some_and(|signing| !signing.is_leaked)
    }

    /// Whose a bundle is, and which of the keys it was written to: a device without a network may know an earlier one only.
    pub fn read_head(&self, beginning: &[u8]) -> Result<(Head, Arc<Keys>), BundleError> {
        let mut foreign = None;
        for Signing { keys, .. } in &self.signing {
            match bundle::head::<BundleRequest>(beginning, keys) {
                Err(error @ BundleError::Foreign(_)) => _ = foreign.get_or_insert(error),
                head => return Ok((head?, keys.clone())),
            }
        }
        Err(foreign.unwrap_or(BundleError::Keys))
    }

    fn vault(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.written.vault.0.into())
    }

    /// Shuts what the database may hold only so.
    pub fn shut(&self, content: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce = clock::random::<NONCE_BYTES>();
        let shut = self.vault().encrypt(&XNonce::from(nonce), content);
        let shut = shut.map_err(|_| StoreError::Damaged("a secret cannot be shut".into()))?;
        Ok([nonce.as_slice(), &shut].concat())
    }

    /// Opens it again; nothing, if it was shut with another key.
    pub fn open(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (nonce, shut) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        self.vault().decrypt(&XNonce::from(*nonce), shut).ok()
    }

    /// The same with a new key to sign with. If somebody else may have the file, nothing that was signed before counts, and
    /// devices begin anew.
    #[must_use]
    pub fn rotated(&self, is_leaked: bool) -> Self {
        let (mut written, now) = (self.written.clone(), clock::now_ms());
        for signing in &mut written.signing {
            signing.until_ms.get_or_insert(now);
            signing.is_leaked |= is_leaked;
        }
        if is_leaked {
            written.cursor = Secret::fresh();
        }
        let signing = WrittenSigning { secret: Secret::fresh(), since_ms: now, until_ms: None, is_leaked: false };
        written.signing.push(signing);
        Self::of(self.file.clone(), written)
    }

    /// The same with the county's key, as the county gives it to an office.
    pub fn with_county(&self, key: &[u8]) -> Option<Self> {
        let county = Secret(key.try_into().ok()?);
        if county == self.written.county {
            return Some(self.clone());
        }
        let county_before = Some(self.written.county.clone());
        Some(Self::of(self.file.clone(), Written { county, county_before, ..self.written.clone() }))
    }

    /// What the database knows them by: that of which records' ids follow, and with what signing began.
    fn mark(&self) -> [u8; 32] {
        self.mark_with(&self.written.county)
    }

    fn mark_with(&self, county: &Secret) -> [u8; 32] {
        let mut mark = Sha256::new_with_prefix("taizhang keyring");
        mark.update(Sha256::digest(county.0));
        if let Some(first) = self.written.signing.first() {
            mark.update(Sha256::digest(first.secret.0));
        }
        mark.finalize().into()
    }

    /// Reads the file of a data folder; nothing, if there is none.
    pub(crate) fn read(file: PathBuf) -> Result<Option<Self>, Refused> {
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Refused::KeysUnreadable(error.to_string())),
        };
        let written: Written =
            serde_json::from_slice(&text).map_err(|error| Refused::KeysUnreadable(error.to_string()))?;
        if written.format > FORMAT {
            return Err(Refused::KeysUnreadable(format!("format {}", written.format)));
        }
        if written.signing.is_empty() {
            return Err(Refused::KeysUnreadable("no signing key".into()));
        }
        Ok(Some(Self::of(file, written)))
    }

    /// Where they are.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Writes the file, and notes in the database which keys it has from now on.
    pub async fn keep(&self, store: &dyn Store) -> Result<(), StoreError> {
        let text = serde_json::to_vec_pretty(&self.written).map_err(|error| StoreError::Disk(error.to_string()))?;
        whole::write(&self.file, &text, true).map_err(|error| StoreError::Disk(error.to_string()))?;
        store.put_secret(MARK, &self.mark()).await?;
        store.put_secret(NEWEST, self.current().id().as_bytes()).await
    }

    /// Whether both are keys of one installation, be it of different times.
    pub(crate) fn is_of_one_installation(&self, other: &Self) -> bool {
        self.signing.iter().any(|one| other.signing.iter().any(|two| one.id() == two.id()))
    }
}

/// The file of a configuration.
pub fn path(config: &Config) -> PathBuf {
    config.data_dir.join(FILE)
}

/// The keys of an installation. They have to be there, whole, and those of this database.
pub async fn open(store: &dyn Store, config: &Config) -> Result<Keyring, StoreError> {
    let earlier = earlier(store, config).await?;
    let Some(ring) = Keyring::read(path(config))? else {
        let Some(ring) = earlier else { return Err(Refused::NoKeys.into()) };
        // On a disk that is full the keys stay where they are.
        match take_out(&ring, store).await {
            Ok(()) => tracing::info!("the keys are in {} now: keep a copy of it", ring.file.display()),
            Err(error) => tracing::warn!(%error, "the keys stay in the database for now"),
        }
        return Ok(ring);
    };
    if earlier.is_some_and(|earlier| earlier.mark() == ring.mark()) {
        // It was interrupted.
        take_out(&ring, store).await?;
    }
    match store.get_secret(MARK).await? {
        Some(mark) if mark == ring.mark() => {
            // A file of before a rotation would sign with a key that was given up, perhaps because others have it.
            let newest = store.get_secret(NEWEST).await?;
            let has = |id: &Vec<u8>| ring.signing.iter().any(|signing| signing.id().as_bytes() == id.as_slice());
            if newest.as_ref().is_some_and(|id| !has(id)) { Err(Refused::OlderKeys.into()) } else { Ok(ring) }
        }
        // It was interrupted after the file was written.
        Some(mark) if ring.written.county_before.as_ref().is_some_and(|before| mark == ring.mark_with(before)) => {
            store.put_secret(MARK, &ring.mark()).await?;
            Ok(ring)
        }
        _ => Err(Refused::OtherKeys.into()),
    }
}

/// The keys of an installation that begins: those of its file, if it has one, those that an earlier version has left, or new ones.
pub async fn begin(store: &dyn Store, config: &Config) -> Result<(), StoreError> {
    match (Keyring::read(path(config))?, earlier(store, config).await?) {
        (Some(ring), _) => ring.keep(store).await,
        (None, Some(ring)) => take_out(&ring, store).await,
        (None, None) => Keyring::fresh(path(config)).keep(store).await,
    }
}

/// The keys that an earlier version has kept in the database; none, if it did not.
async fn earlier(store: &dyn Store, config: &Config) -> Result<Option<Keyring>, StoreError> {
    let mut keys = Vec::new();
    for name in EARLIER {
        let Some(key) = store.get_secret(name).await? else { continue };
        keys.push(Secret(key.try_into().map_err(|_| Refused::KeysUnreadable(name.to_owned()))?));
    }
    let [county, bundle, cursor] = match <[Secret; 3]>::try_from(keys) {
        Ok(keys) => keys,
        Err(none) if none.is_empty() => return Ok(None),
        Err(_) => return Err(Refused::NoKeys.into()),
    };
    let mut mark = Sha256::new_with_prefix("taizhang keys");
    for key in [&county, &bundle, &cursor] {
        mark.update(Sha256::digest(key.0));
    }
    let signing = WrittenSigning { secret: bundle, since_ms: 0, until_ms: None, is_leaked: false };
    let vault = Secret::fresh();
    let (note, format) = (NOTE.to_owned(), FORMAT);
    let ring = Keyring::of(
        path(config),
        Written { note, format, county, county_before: None, cursor, vault, signing: vec![signing] },
    );
    // The mark is of now already where taking them out was interrupted.
    match store.get_secret(MARK).await? {
        Some(noted) if noted != ring.mark() && noted != *mark.finalize() => Err(Refused::OtherKeys.into()),
        _ => Ok(Some(ring)),
    }
}

/// Takes the keys out of the database, once they are safe in the file.
async fn take_out(ring: &Keyring, store: &dyn Store) -> Result<(), StoreError> {
    ring.keep(store).await?;
    store.forget_secrets(&EARLIER).await
}
