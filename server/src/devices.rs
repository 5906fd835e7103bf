//! Devices of people: invited by a one-time code, enrolled with keys of their own.

use serde_json::json;
use sync_protocol::{
    DeviceId,
    bundle::{self, BundleError, PublicKeys, RecoveryKey},
};

use crate::{
    Server,
    audit::{By, Event},
    auth::{Books, Caller, Permission},
    clock,
    store::{
        Act, Deed, DeviceRecord, INVITATION_MS, Invitation, Performed, Person, SeenDevice, StoreError, token_hash,
    },
};

/// Bytes of chance in a one-time code: it is asked for a few times a minute at most.
const CODE_BYTES: usize = 10;
/// Characters of a one-time code: five bits each.
const CODE_LENGTH: usize = CODE_BYTES * 8 / 5;

/// How often an enrolment is tried while somebody changes the person whose device it is.
const ROUNDS_MAX: usize = 16;

/// Why a device was not invited or enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No such code, or it was used, or too long ago.
    #[error("登记码无效、已使用或已过期 | no such code: it was used, or it has expired")]
    Unknown,
    /// No code has so many characters.
    #[error("登记码应为{CODE_LENGTH}位，现在是{0}位 | a code has {CODE_LENGTH} characters, this one has {0}")]
    Length(usize),
    /// The device has no usable name.
    #[error("设备名称应为1至40个字符 | a device's name has 1 to 40 characters")]
    Name,
    /// The person may not carry one.
    #[error("该人员不能使用设备 | this person may not carry a device")]
    Disabled,
    /// Another device has these keys, or this token.
    #[error("该密钥或令牌已登记在另一台设备上 | another device has these keys, or this token")]
    Keys,
    /// The code is another person's, or nobody knows the device.
    #[error(
        "登记码不是给这部手机的使用人的，请向管理员要本人的登记码 | this code is not for the person whose phone this is: ask for one of theirs"
    )]
    Another,
    /// What the device keeps of its key cannot be read.
    #[error(
        "打不开这部手机存的恢复信息，只能清除后重新登记 | what this phone keeps for its recovery cannot be read: erase it and enrol it anew ({0})"
    )]
    Recovery(BundleError),
    /// A token that could be guessed.
    #[error("令牌应为64位十六进制随机数 | a token is 64 random hexadecimal digits")]
    Token,
    /// The device was revoked.
    #[error("本设备已停用 | this device was revoked")]
    Revoked,
    /// The token that it came with is not its own any more.
    #[error("本设备刚换过令牌，请用新令牌 | this device has just got another token: use that one")]
    Rotated,
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

/// How a one-time code is stored; it may be typed in groups and in small letters, or be the whole link.
fn code_hash(code: &str) -> Result<[u8; 32], EnrolError> {
    let given = code.rsplit_once("enrol=").map_or(code, |(_, given)| given);
    let plain: String = given.chars().filter(char::is_ascii_alphanumeric).collect();
    let is_code = plain.len() == CODE_LENGTH;
    if is_code { Ok(token_hash(&plain.to_ascii_uppercase())) } else { Err(EnrolError::Length(plain.len())) }
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

/// A new token for a device; the old one is worth nothing from now on. Asking again with the token that it has is no error.
pub async fn rotate(server: &Server, device: &DeviceRecord, token: &str) -> Result<(), EnrolError> {
    let to = checked(token)?;
    if device.is_revoked {
        return Err(EnrolError::Revoked);
    }
    if to == device.token_hash {
        return Ok(());
    }
    let note = by_itself(device, Event::TokenRotated);
    let act = Act::RotateToken { device: device.id, from: device.token_hash, to };
    match server.store.perform(&Deed::new(act, note)).await? {
        Performed::Done(_) => Ok(()),
        Performed::Stale | Performed::NotNow => match server.store.device(device.id).await? {
            Some(now) if now.is_revoked => Err(EnrolError::Revoked),
            Some(now) if now.token_hash == device.token_hash => Err(EnrolError::Keys),
            _ => Err(EnrolError::Rotated),
        },
    }
}

/// What the audit log says of what a device does itself.
fn by_itself(device: &DeviceRecord, event: Event) -> crate::store::AuditEntry {
    By::from(&Caller::device(device.clone())).notes(event, Some(device.unit), &json!({ "device": device.name }))
}

/// Invites a device of this person.
pub async fn invite(server: &Server, person: &Person, name: &str, by: impl Into<By>) -> Result<Invited, EnrolError> {
    if name.trim().is_empty() || name.chars().count() > 40 || name.chars().any(char::is_control) {
        return Err(EnrolError::Name);
    }
    if person.is_disabled || !person.grant().may(Permission::Sync) {
        return Err(EnrolError::Disabled);
    }
    let code = data_encoding::BASE32_NOPAD.encode(&clock::random::<CODE_BYTES>());
    let now_ms = clock::now_ms();
    let expires_at_ms = now_ms + INVITATION_MS;
    let (code_hash, device_name) = (token_hash(&code), name.trim().to_owned());
    let by = by.into();
    let (invited_by, inviter) = (by.in_words().to_owned(), by.person());
    let invitation = Invitation { code_hash, person: person.id, device_name, expires_at_ms, invited_by, inviter };
    let detail = json!({ "device": invitation.device_name, "person": person.name });
    let note = by.notes(Event::DeviceInvited, Some(person.unit), &detail);
    match server.store.perform(&Deed::new(Act::Invite { invitation, at_ms: now_ms }, note)).await? {
        Performed::Done(_) => Ok(Invited { code, expires_at_ms }),
        Performed::Stale | Performed::NotNow => Err(EnrolError::Disabled),
    }
}

/// Enrols a device: what it may do follows from the person whom its code was given for. Asking again is no error.
pub async fn enrol(server: &Server, code: &str, keys: PublicKeys, token: &str) -> Result<DeviceRecord, EnrolError> {
    let code_hash = code_hash(code)?;
    let token_hash = checked(token)?;
    for _ in 0..ROUNDS_MAX {
        if let Some(known) = server.store.device_by_token(&token_hash).await? {
            let is_same = known.keys.as_ref() == Some(&keys) && !known.is_revoked;
            return if is_same { Ok(known) } else { Err(EnrolError::Keys) };
        }
        let at_ms = clock::now_ms();
        let invitation = server.store.people().invitation(&code_hash, at_ms).await?.ok_or(EnrolError::Unknown)?;
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
            keys: Some(keys.clone()),
        };
        let note = by_itself(&device, Event::DeviceEnrolled);
        let act = Act::Redeem { code_hash, device: Box::new(device.clone()), at_ms };
        // Where the code was used meanwhile, or its person changed, that is seen when all of it is read again.
        if let Performed::Done(_) = server.store.perform(&Deed::new(act, note)).await? {
            return Ok(device);
        }
    }
    Err(EnrolError::Unknown)
}

/// Gives the key to what a device has stored back to whoever has forgotten its PIN and has a one-time code of the person whose
/// device it is. The device keeps the key encrypted to this server, and has signed it. Asking again with the nonce that the code
/// was used with is no error.
pub async fn recover(server: &Server, code: &str, sealed: &[u8], nonce: Option<&str>) -> Result<Vec<u8>, EnrolError> {
    let code_hash = code_hash(code)?;
    let nonce_hash = nonce.map(checked).transpose()?;
    for _ in 0..ROUNDS_MAX {
        let at_ms = clock::now_ms();
        let invitation = server.store.people().invitation(&code_hash, at_ms).await?;
        let answered = match &nonce_hash {
            Some(nonce_hash) if invitation.is_none() => {
                server.store.people().recovered(&code_hash, nonce_hash, at_ms).await?
            }
            _ => None,
        };
        if invitation.is_none() && answered.is_none() {
            return Err(EnrolError::Unknown);
        }
        // The county may have changed its keys since.
        let mut opened = Err(BundleError::Keys);
        for signing in server.keyring.signing() {
            opened = bundle::open::<RecoveryKey>(sealed, &signing.keys);
            if opened.is_ok() {
                break;
            }
        }
        let (RecoveryKey { key }, head) = opened.map_err(EnrolError::Recovery)?;
        let device = server.store.device_by_signing_key(&head.sender).await?.ok_or(EnrolError::Another)?;
        let is_theirs = invitation.is_none_or(|invitation| device.person == Some(invitation.person));
        if !is_theirs || answered.is_some_and(|answered| answered != device.id) {
            return Err(EnrolError::Another);
        }
        if device.is_revoked {
            return Err(EnrolError::Revoked);
        }
        if answered.is_some() {
            return Ok(key.to_vec());
        }
        let note = by_itself(&device, Event::DeviceRecovered);
        let act = Act::Recover { code_hash, nonce_hash, device: device.id, at_ms };
        if let Performed::Done(_) = server.store.perform(&Deed::new(act, note)).await? {
            return Ok(key.to_vec());
        }
    }
    Err(EnrolError::Unknown)
}

/// A person says whether a device that somebody else has invited in their name is theirs; one that is not is revoked. `false` if
/// they have no such device.
pub async fn confirm(server: &Server, person: &Person, id: DeviceId, is_mine: bool) -> Result<bool, StoreError> {
    let device = server.store.device(id).await?.filter(|device| device.person == Some(person.id));
    let Some(device) = device else { return Ok(false) };
    if is_mine {
        let detail = json!({ "device": device.name });
        let note = By::from(person).notes(Event::DeviceConfirmed, Some(device.unit), &detail);
        // Whether it is done now or was before makes no difference.
        server.store.perform(&Deed::new(Act::ConfirmDevice(id), note)).await?;
    } else {
        revoke(server, &device, person).await?;
    }
    Ok(true)
}

/// The devices in a person's name of which they have not said yet whether they are theirs.
pub async fn unconfirmed(server: &Server, person: &Person) -> Result<Vec<SeenDevice>, StoreError> {
    let mut seen = server.store.devices().await?;
    seen.retain(|seen| seen.is_unconfirmed && !seen.device.is_revoked && seen.device.person == Some(person.id));
    Ok(seen)
}

/// Revokes a device; `false` if it was revoked already.
pub async fn revoke(server: &Server, device: &DeviceRecord, by: impl Into<By>) -> Result<bool, StoreError> {
    let detail = json!({ "device": device.name, "owner": device.owner });
    let note = by.into().notes(Event::DeviceRevoked, Some(device.unit), &detail);
    let performed = server.store.perform(&Deed::new(Act::RevokeDevice(device.id), note)).await?;
    Ok(matches!(performed, Performed::Done(_)))
}
