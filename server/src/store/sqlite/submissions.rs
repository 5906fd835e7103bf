//! Copies of returns that were submitted.

use sqlx::{Row, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::{codec, deed::Outcome};
use crate::store::{StoreError, Submission, SubmissionStep};

/// Keeps a copy, unless another one of the same return and period is not returned: its number.
pub(super) async fn add(tx: &mut SqliteConnection, new: &Submission, workbook: &[u8]) -> Result<Outcome, StoreError> {
    let number = sqlx::query_scalar(
        "INSERT INTO submissions (unit, return_no, period, choices, date, seq, code, file, workbook, submitted_by,
             submitted_at_ms, state)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'submitted'
         WHERE coalesce((SELECT state FROM submissions WHERE unit = $1 AND return_no = $2 AND period = $3
             ORDER BY number DESC LIMIT 1), 'returned') = 'returned'
         RETURNING number",
    )
    .bind(new.unit.as_bytes().as_slice())
    .bind(&new.return_no)
    .bind(&new.period)
    .bind(serde_json::to_string(&new.choices).map_err(|e| StoreError::Database(e.to_string()))?)
    .bind(new.date.to_string())
    .bind(new.seq)
    .bind(&new.code)
    .bind(&new.file)
    .bind(workbook)
    .bind(&new.submitted_by)
    .bind(new.submitted_at_ms);
    let number: Option<i64> = number.fetch_optional(tx).await?;
    Ok(number.map_or(Outcome::NotNow, |number| Outcome::Written(Some(number))))
}

pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<Submission>, StoreError> {
    let rows = sqlx::query(
        "SELECT number, unit, return_no, period, choices, date, seq, code, file, submitted_by, submitted_at_ms, state,
             reason, decided_by, decided_at_ms FROM submissions ORDER BY number",
    )
    .fetch_all(pool)
    .await?;
    rows.iter().map(read).collect()
}

pub(super) async fn workbook(pool: &SqlitePool, number: i64) -> Result<Option<Vec<u8>>, StoreError> {
    let workbook = sqlx::query_scalar("SELECT workbook FROM submissions WHERE number = $1");
    Ok(workbook.bind(number).fetch_optional(pool).await?)
}

/// Notes a step, if the copy is in the state that it begins at.
pub(super) async fn step(tx: &mut SqliteConnection, number: i64, step: &SubmissionStep) -> Result<Outcome, StoreError> {
    let done = sqlx::query(
        "UPDATE submissions SET state = $1, reason = coalesce($2, reason), decided_by = $3, decided_at_ms = $4
         WHERE number = $5 AND state = $6",
    )
    .bind(&step.to)
    .bind(&step.reason)
    .bind(&step.who)
    .bind(step.at_ms)
    .bind(number)
    .bind(&step.from)
    .execute(tx)
    .await?;
    // Its number is named by what it is noted with.
    Ok(if done.rows_affected() == 1 { Outcome::Written(Some(number)) } else { Outcome::NotNow })
}

fn read(row: &SqliteRow) -> Result<Submission, StoreError> {
    let damaged = |what: &str| StoreError::Damaged(format!("submissions: {what}"));
    Ok(Submission {
        number: row.try_get("number")?,
        unit: codec::unit_id(row, "unit")?,
        return_no: row.try_get("return_no")?,
        period: row.try_get("period")?,
        choices: serde_json::from_str(row.try_get("choices")?).map_err(|_| damaged("choices"))?,
        date: row.try_get::<&str, _>("date")?.parse().map_err(|_| damaged("date"))?,
        seq: row.try_get("seq")?,
        code: row.try_get("code")?,
        file: row.try_get("file")?,
        submitted_by: row.try_get("submitted_by")?,
        submitted_at_ms: row.try_get("submitted_at_ms")?,
        state: row.try_get("state")?,
        reason: row.try_get("reason")?,
        decided_by: row.try_get("decided_by")?,
        decided_at_ms: row.try_get("decided_at_ms")?,
    })
}
