//! Devices of people: invited by a one-time code, enrolled with keys of their own.

use sync_protocol::{DeviceId, bundle::PublicKeys};

use crate::{
    Server,
    auth::{Books, Permission},
    clock,
    store::{DeviceRecord, Invitation, Person, StoreError, token_hash},
};

/// How long a one-time code can be used.
const INVITATION_MS: i64 = 24 * 3600 * 1000;

/// Why a device was not invited or enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No such code, or it was used, or too long ago.
    #[error("登记码无效、已使用或已过期 | no such code: it was used, or it has expired")]
    Unknown,
    /// The device has no usable name.
    #[error("设备名称应为1至40个字符 | a device's name has 1 to 40 characters")]
    Name,
    /// The person may not carry one.
    #[error("该人员不能使用设备 | this person may not carry a device")]
    Disabled,
    /// Another device has these keys, or this token.
    #[error("该密钥或令牌已登记在另一台设备上 | another device has these keys, or this token")]
    Keys,
    /// A token that could be guessed.
    #[error("令牌应为64位十六进制随机数 | a token is 64 random hexadecimal digits")]
    Token,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A one-time code, before only its hash is left.
#[derive(Clone)]
pub struct Invited {
    /// The code.
    pub code: String,
    /// From when it is worth nothing.
    pub expires_at_ms: i64,
}

impl std::fmt::Debug for Invited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Invited").field("expires_at_ms", &self.expires_at_ms).finish_non_exhaustive()
    }
}

/// How a token that a device has drawn is stored. The device draws it, so that an answer that gets lost on the way does not
/// shut it out: it asks again with the same.
fn checked(token: &str) -> Result<[u8; 32], EnrolError> {
    let mut digits: Vec<u8> = token.bytes().collect();
    let is_hex = digits.len() == 64 && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    digits.sort_unstable();
    digits.dedup();
    // 64 random digits are hardly ever fewer than eight different ones.
    if is_hex && digits.len() >= 8 { Ok(token_hash(token)) } else { Err(EnrolError::Token) }
}

/// A new token for a device; the old one is worth nothing from now on.
pub async fn rotate(server: &Server, device: DeviceRecord, token: &str) -> Result<(), EnrolError> {
    let token_hash = checked(token)?;
    match server.store.device_by_token(&token_hash).await? {
        Some(other) if other.id != device.id => Err(EnrolError::Keys),
        _ => Ok(server.store.put_device(&DeviceRecord { token_hash, ..device }, clock::now_ms()).await?),
    }
}

/// Invites a device of this person.
pub async fn invite(server: &Server, person: &Person, name: &str) -> Result<Invited, EnrolError> {
    if name.trim().is_empty() || name.chars().count() > 40 || name.chars().any(char::is_control) {
        return Err(EnrolError::Name);
    }
    if person.is_disabled || !person.grant().may(Permission::Sync) {
        return Err(EnrolError::Disabled);
    }
    // 80 bits, and it is asked for a few times a minute at most.
    let code = data_encoding::BASE32_NOPAD.encode(&clock::random::<10>());
    let now_ms = clock::now_ms();
    let expires_at_ms = now_ms + INVITATION_MS;
    let (code_hash, device_name) = (token_hash(&code), name.trim().to_owned());
    let invitation = Invitation { code_hash, person: person.id, device_name, expires_at_ms };
    server.store.people().invite(&invitation, now_ms).await?;
    Ok(Invited { code, expires_at_ms })
}

/// Enrols a device: what it may do follows from the person whom its code was given for. Asking again is no error.
pub async fn enrol(server: &Server, code: &str, keys: PublicKeys, token: &str) -> Result<DeviceRecord, EnrolError> {
    let (code_hash, now_ms) = (token_hash(&code.trim().to_uppercase()), clock::now_ms());
    let token_hash = checked(token)?;
    if let Some(known) = server.store.device_by_token(&token_hash).await? {
        let is_same = known.keys.as_ref() == Some(&keys) && !known.is_revoked;
        return if is_same { Ok(known) } else { Err(EnrolError::Keys) };
    }
    let invitation = server.store.people().invitation(&code_hash, now_ms).await?.ok_or(EnrolError::Unknown)?;
    let person = server.store.people().person(invitation.person).await?.ok_or(EnrolError::Unknown)?;
    if person.is_disabled {
        return Err(EnrolError::Disabled);
    }
    if server.store.device_by_signing_key(&keys.signing).await?.is_some() {
        return Err(EnrolError::Keys);
    }
    let unit = server.store.unit(person.unit).await?.ok_or(EnrolError::Unknown)?;
    let Person { id, full_name, role, .. } = person;
    let books = Books::on_a_phone(role, unit.level);
    let device = DeviceRecord {
        id: DeviceId::from_bytes(clock::random()),
        name: invitation.device_name,
        owner: full_name,
        person: Some(id),
        token_hash,
        role,
        unit: unit.id,
        books: books.reads,
        writes: books.writes,
        is_revoked: false,
        keys: Some(keys),
    };
    if server.store.people().redeem(&code_hash, &device, now_ms).await? { Ok(device) } else { Err(EnrolError::Unknown) }
}

/// Revokes a device.
pub async fn revoke(server: &Server, device: DeviceRecord) -> Result<(), StoreError> {
    server.store.put_device(&DeviceRecord { is_revoked: true, ..device }, clock::now_ms()).await
}
