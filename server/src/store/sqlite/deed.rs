//! Use cases of several writes: what each does, its documents and its lines of the audit log, in one transaction.

use std::{path::Path, sync::Arc};

use sqlx::SqliteConnection;

use super::{
    accounts, attachments, attempts, audit, document_keys::DocumentKeys, enrolment, erase, periods, proposals,
    quarantine, submissions, tx::Writer, units, write,
};
use crate::{
    aside::aside,
    lasting,
    store::{Act, Deed, Performed, StoreError, Tally},
};

/// What the rows beside the documents say of a use case, inside its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is as the use case needs it, and written; the number that was given.
    Written(Option<i64>),
    /// Documents have to be read again.
    Stale,
    /// It is not as the use case needs it.
    NotNow,
}

impl Outcome {
    /// Written, if exactly one row was.
    pub(super) fn of_one(rows: u64) -> Self {
        if rows == 1 { Self::Written(None) } else { Self::NotNow }
    }
}

/// `lasting` is the file beside the database of what must not come back with a backup.
pub(super) async fn perform(
    writer: &Writer,
    (tally, keys): (&dyn Tally, &Arc<DocumentKeys>),
    lasting: Option<&Path>,
    deed: &Deed,
) -> Result<Performed, StoreError> {
    let mut tx = writer.begin().await?;
    // Whatever is not committed is as if it had never been: nothing below has to take anything back.
    let number = match act(&mut tx, (tally, keys), &deed.act).await? {
        Outcome::Written(number) => number,
        Outcome::Stale => return Ok(Performed::Stale),
        Outcome::NotNow => return Ok(Performed::NotNow),
    };
    write::none_is_sealed(&periods::sealed(&mut tx).await?, &deed.documents)?;
    let documents: Vec<_> = deed.documents.iter().collect();
    if write::documents(&mut tx, (tally, keys), &documents).await?.iter().any(Option::is_none) {
        return Ok(Performed::Stale);
    }
    for note in &deed.notes {
        audit::append(&mut tx, note, number).await?;
    }
    let facts = lasting::facts_of(&deed.act);
    if let Some(path) = lasting.filter(|_| !facts.is_empty()) {
        // Before it is done: what is done and not kept would come back. The writer's turn keeps others from appending meanwhile.
        let (path, own) = (path.to_owned(), path.display().to_string());
        let kept = aside(move || lasting::append(&path, &facts)).await?;
        kept.map_err(|error| match error.kind() {
            std::io::ErrorKind::StorageFull => StoreError::Full,
            _ => StoreError::Disk(format!("{own}: {error}")),
        })?;
    }
    tx.commit().await?;
    if matches!(deed.act, Act::Erase { .. }) {
        erase::forget_keys(writer, keys).await;
    }
    Ok(Performed::Done(number))
}

async fn act(
    tx: &mut SqliteConnection,
    means: (&dyn Tally, &Arc<DocumentKeys>),
    act: &Act,
) -> Result<Outcome, StoreError> {
    match act {
        Act::Write => Ok(Outcome::Written(None)),
        Act::DoAgain { devices, people } => accounts::do_again(tx, devices, people).await,
        Act::AddPerson { person, password, at_ms } => accounts::add(tx, person, password, *at_ms).await,
        Act::ChangePerson { before, after, books } => accounts::change(tx, before, after, books).await,
        Act::DisablePerson(person) => accounts::disable(tx, *person).await,
        Act::SetPassword { person, expected, password, must_change } => {
            accounts::set_password(tx, *person, expected.as_ref(), (password, *must_change)).await
        }
        Act::SignIn { person, password, code, attempt, token_hash, at_ms, expires_at_ms } => {
            if let Some(attempt) = attempt
                && !attempts::let_in(tx, attempt).await?
            {
                return Ok(Outcome::NotNow);
            }
            accounts::sign_in(tx, (*person, password, code.as_ref()), token_hash, (*at_ms, *expires_at_ms)).await
        }
        Act::ConfirmTotp(person, code) => accounts::confirm_totp(tx, *person, code).await,
        Act::RemoveTotp(person, code) => accounts::remove_totp(tx, *person, code).await,
        Act::Invite { invitation, at_ms } => enrolment::invite(tx, invitation, *at_ms).await,
        Act::Redeem { code_hash, device, at_ms } => enrolment::redeem(tx, code_hash, device, *at_ms).await,
        Act::Recover { code_hash, nonce_hash, device, at_ms } => {
            enrolment::recover(tx, code_hash, nonce_hash.as_ref(), *device, *at_ms).await
        }
        Act::Enrol { device, at_ms } => enrolment::enrol(tx, device, *at_ms).await,
        Act::RotateToken { device, from, to } => enrolment::rotate(tx, *device, from, to).await,
        Act::RevokeDevice(device) => enrolment::revoke(tx, *device).await,
        Act::ExpirePhotos { before_ms } => attachments::expire(tx, *before_ms).await,
        Act::ConfirmDevice(device) => enrolment::confirm(tx, *device).await,
        Act::Settle { held, state, who, at_ms } => quarantine::settle(tx, held, *state, (who, *at_ms)).await,
        Act::DecideProposal(decision) => Ok(Outcome::of_one(u64::from(proposals::decide(tx, decision).await?))),
        Act::Submit { submission, workbook } => submissions::add(tx, submission, workbook).await,
        Act::Step { number, step } => submissions::step(tx, *number, step).await,
        Act::KeepUnits(changes) => units::keep(tx, changes).await,
        Act::OpenPeriod { period, from, by, at_ms } => periods::open(tx, (period, from), (by, *at_ms)).await,
        Act::CarriedPeriod { period, at_ms } => periods::carried(tx, period, *at_ms).await,
        Act::SealPeriod { period, by, at_ms, register, checkpoint } => {
            periods::seal(tx, (period, by, *at_ms), (register, checkpoint.as_deref())).await
        }
        Act::UnsealPeriod(period) => periods::unseal(tx, period).await,
        Act::Erase { unit, replacements, photos } => erase::erase(tx, means, *unit, (replacements, photos)).await,
    }
}
