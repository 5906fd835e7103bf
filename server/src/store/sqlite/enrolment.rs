//! What is done with devices and the codes that enrol them. A device that was revoked stays revoked, whatever else is under way:
//! each statement changes the columns that it is about, where they still say what it begins from.

use sqlx::SqliteConnection;
use sync_protocol::DeviceId;

use super::{deed::Outcome, registry};
use crate::store::{DeviceRecord, INVITATION_MS, Invitation, StoreError};

pub(super) async fn invite(
    tx: &mut SqliteConnection,
    invitation: &Invitation,
    now_ms: i64,
) -> Result<Outcome, StoreError> {
    // One that nobody used in time, or that a wrong clock has made, is nobody's business any more.
    sqlx::query(
        "DELETE FROM invitations
         WHERE device IS NULL AND (expires_at_ms <= $1 OR created_at_ms > $1 OR created_at_ms <= $1 - $2)",
    )
    .bind(now_ms)
    .bind(INVITATION_MS)
    .execute(&mut *tx)
    .await?;
    let kept = sqlx::query(
        "INSERT INTO invitations (code_hash, person, device_name, created_at_ms, expires_at_ms, invited_by, inviter)
         SELECT $1, id, $3, $4, $5, $6, $7 FROM people WHERE id = $2 AND is_disabled = 0",
    )
    .bind(invitation.code_hash.as_slice())
    .bind(invitation.person.as_bytes().as_slice())
    .bind(&invitation.device_name)
    .bind(now_ms)
    .bind(invitation.expires_at_ms)
    .bind(&invitation.invited_by)
    .bind(invitation.inviter.map(|person| person.as_bytes().to_vec()))
    .execute(&mut *tx)
    .await?;
    Ok(Outcome::of_one(kept.rows_affected()))
}

pub(super) async fn redeem(
    tx: &mut SqliteConnection,
    code_hash: &[u8; 32],
    device: &DeviceRecord,
    now_ms: i64,
) -> Result<Outcome, StoreError> {
    let used = sqlx::query(
        "UPDATE invitations SET device = $2
         WHERE code_hash = $1 AND device IS NULL AND person = $6
           AND expires_at_ms > $3 AND created_at_ms <= $3 AND created_at_ms > $3 - $4
           AND EXISTS (SELECT 1 FROM people p WHERE p.id = $6 AND p.is_disabled = 0
                       AND p.full_name = $5 AND p.role = $7 AND p.unit = $8)
           AND NOT EXISTS (SELECT 1 FROM devices WHERE token_hash = $9 OR signing_key = $10)",
    )
    .bind(code_hash.as_slice())
    .bind(device.id.as_bytes().as_slice())
    .bind(now_ms)
    .bind(INVITATION_MS)
    .bind(&device.owner)
    .bind(device.person.map(|person| person.as_bytes().to_vec()))
    .bind(device.role.as_str())
    .bind(device.unit.as_bytes().as_slice())
    .bind(device.token_hash.as_slice())
    .bind(device.keys.as_ref().map(|keys| keys.signing.to_vec()))
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() == 0 {
        return Ok(Outcome::NotNow);
    }
    let enrolled = enrol(&mut *tx, device, now_ms).await?;
    note_inviter(tx, code_hash).await?;
    Ok(enrolled)
}

/// Whoever has read the code may have used it: the person whose device it is says whether it is theirs.
async fn note_inviter(tx: &mut SqliteConnection, code_hash: &[u8; 32]) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE devices SET invited_by = i.invited_by, is_unconfirmed = coalesce(i.inviter, x'') != i.person
         FROM invitations i WHERE i.code_hash = $1 AND devices.id = i.device",
    )
    .bind(code_hash.as_slice())
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn recover(
    tx: &mut SqliteConnection,
    code_hash: &[u8; 32],
    nonce_hash: Option<&[u8; 32]>,
    device: DeviceId,
    now_ms: i64,
) -> Result<Outcome, StoreError> {
    let used = sqlx::query(
        "UPDATE invitations SET device = $2, nonce_hash = $5
         WHERE code_hash = $1 AND device IS NULL
           AND person = (SELECT person FROM devices WHERE id = $2 AND is_revoked = 0)
           AND expires_at_ms > $3 AND created_at_ms <= $3 AND created_at_ms > $3 - $4
           AND EXISTS (SELECT 1 FROM people p WHERE p.id = invitations.person AND p.is_disabled = 0)",
    )
    .bind(code_hash.as_slice())
    .bind(device.as_bytes().as_slice())
    .bind(now_ms)
    .bind(INVITATION_MS)
    .bind(nonce_hash.map(<[u8; 32]>::as_slice))
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() == 0 {
        return Ok(Outcome::NotNow);
    }
    note_inviter(tx, code_hash).await?;
    Ok(Outcome::of_one(1))
}

pub(super) async fn enrol(
    tx: &mut SqliteConnection,
    device: &DeviceRecord,
    now_ms: i64,
) -> Result<Outcome, StoreError> {
    let enrolled = registry::insert_device(tx, device, now_ms, "ON CONFLICT (id) DO NOTHING").await?;
    Ok(Outcome::of_one(enrolled))
}

pub(super) async fn rotate(
    tx: &mut SqliteConnection,
    device: DeviceId,
    from: &[u8; 32],
    to: &[u8; 32],
) -> Result<Outcome, StoreError> {
    let rotated = sqlx::query(
        "UPDATE devices SET token_hash = $3 WHERE id = $1 AND token_hash = $2 AND is_revoked = 0
         AND NOT EXISTS (SELECT 1 FROM devices o WHERE o.token_hash = $3)",
    )
    .bind(device.as_bytes().as_slice())
    .bind(from.as_slice())
    .bind(to.as_slice())
    .execute(tx)
    .await?;
    Ok(Outcome::of_one(rotated.rows_affected()))
}

pub(super) async fn revoke(tx: &mut SqliteConnection, device: DeviceId) -> Result<Outcome, StoreError> {
    let revoked = sqlx::query("UPDATE devices SET is_revoked = 1 WHERE id = $1 AND is_revoked = 0")
        .bind(device.as_bytes().as_slice())
        .execute(tx)
        .await?;
    Ok(Outcome::of_one(revoked.rows_affected()))
}

pub(super) async fn confirm(tx: &mut SqliteConnection, device: DeviceId) -> Result<Outcome, StoreError> {
    let confirmed = sqlx::query("UPDATE devices SET is_unconfirmed = 0 WHERE id = $1 AND is_unconfirmed = 1")
        .bind(device.as_bytes().as_slice())
        .execute(tx)
        .await?;
    Ok(Outcome::of_one(confirmed.rows_affected()))
}
