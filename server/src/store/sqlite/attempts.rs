//! Wrong attempts in a row.

use sqlx::{SqliteConnection, SqlitePool};

use crate::{
    auth::LOCK_MS,
    store::{ATTEMPTS_MS, Attempt, Failed, LET_IN_MS, Standing, StoreError},
};

/// Rows at most: whoever tries ever more names from ever more networks fills no disk.
const ROWS_MAX: i64 = 100_000;

pub(super) async fn standing(pool: &SqlitePool, attempt: &Attempt) -> Result<Standing, StoreError> {
    // What a clock that was wrong has counted does not count.
    let (all, locked_until_ms, is_known): (i64, i64, bool) = sqlx::query_as(
        "SELECT coalesce(sum(failures) FILTER (WHERE abs(last_ms - $3) < $4), 0),
                coalesce(max(locked_until_ms) FILTER (WHERE network = $2), 0),
                coalesce(max(let_in_ms <= $3 AND let_in_ms > $3 - $5) FILTER (WHERE network = $2), 0)
         FROM attempts WHERE subject = $1",
    )
    .bind(attempt.subject.as_slice())
    .bind(&attempt.network)
    .bind(attempt.at_ms)
    .bind(ATTEMPTS_MS)
    .bind(LET_IN_MS)
    .fetch_one(pool)
    .await?;
    Ok(Standing { locked_until_ms, all, is_known })
}

/// Counts a wrong one. Those that are under way at once are counted one by one, in whatever order: one that has begun before the
/// last that was counted counts like any other. The last of them locks, once.
pub(super) async fn failed(
    tx: &mut SqliteConnection,
    attempt: &Attempt,
    failures_max: i64,
    locked_until_ms: i64,
) -> Result<Failed, StoreError> {
    make_room(&mut *tx, attempt).await?;
    let failures: i64 = sqlx::query_scalar(
        "INSERT INTO attempts (subject, network, failures, locked_until_ms, last_ms) VALUES ($1, $2, 1, 0, $3)
         ON CONFLICT (subject, network) DO UPDATE SET
             failures = CASE WHEN abs(last_ms - $3) < $4 THEN failures + 1 ELSE 1 END, last_ms = $3
         RETURNING failures",
    )
    .bind(attempt.subject.as_slice())
    .bind(&attempt.network)
    .bind(attempt.at_ms)
    .bind(ATTEMPTS_MS)
    .fetch_one(&mut *tx)
    .await?;
    if failures < failures_max {
        return Ok(Failed::Counted);
    }
    sqlx::query("UPDATE attempts SET locked_until_ms = $3 WHERE subject = $1 AND network = $2")
        .bind(attempt.subject.as_slice())
        .bind(&attempt.network)
        .bind(locked_until_ms)
        .execute(tx)
        .await?;
    // Those that were under way with it lock, too, and are not told of again.
    Ok(if failures == failures_max { Failed::Locked } else { Failed::Still })
}

/// Lets somebody in, unless nothing is tried from there; what was wrong before is forgotten.
pub(super) async fn let_in(tx: &mut SqliteConnection, attempt: &Attempt) -> Result<bool, StoreError> {
    let let_in = sqlx::query(
        "INSERT INTO attempts (subject, network, failures, locked_until_ms, last_ms, let_in_ms)
         VALUES ($1, $2, 0, 0, $3, $3)
         ON CONFLICT (subject, network) DO UPDATE
             SET failures = 0, locked_until_ms = 0, last_ms = $3, let_in_ms = $3
             WHERE locked_until_ms <= $3 OR locked_until_ms - $3 > 2 * $4",
    )
    .bind(attempt.subject.as_slice())
    .bind(&attempt.network)
    .bind(attempt.at_ms)
    .bind(LOCK_MS)
    .execute(tx)
    .await?;
    Ok(let_in.rows_affected() > 0)
}

/// Forgets what was wrong.
pub(super) async fn forgive(tx: &mut SqliteConnection, attempt: &Attempt) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM attempts WHERE subject = $1 AND network = $2")
        .bind(attempt.subject.as_slice())
        .bind(&attempt.network)
        .execute(tx)
        .await?;
    Ok(())
}

/// Removes what does not count any more, and the oldest where there are too many.
async fn make_room(tx: &mut SqliteConnection, attempt: &Attempt) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM attempts WHERE (last_ms <= $1 - $2 OR last_ms >= $1 + $2)
             AND (locked_until_ms <= $1 OR locked_until_ms - $1 > 2 * $4)
             AND (let_in_ms IS NULL OR let_in_ms <= $1 - $3 OR let_in_ms > $1)",
    )
    .bind(attempt.at_ms)
    .bind(ATTEMPTS_MS)
    .bind(LET_IN_MS)
    .bind(LOCK_MS)
    .execute(&mut *tx)
    .await?;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM attempts").fetch_one(&mut *tx).await?;
    if rows >= ROWS_MAX {
        // Those from where somebody was let in stay.
        sqlx::query(
            "DELETE FROM attempts WHERE (subject, network) IN
                 (SELECT subject, network FROM attempts WHERE let_in_ms IS NULL ORDER BY last_ms LIMIT $1)",
        )
        .bind(rows - ROWS_MAX + 1)
        .execute(tx)
        .await?;
    }
    Ok(())
}
