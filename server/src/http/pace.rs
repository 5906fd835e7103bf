//! How slowly a request's body may come in. On a bad line it is slow and stands still at times; somebody who sends a byte a
//! second only keeps a place and its memory.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody},
    extract::Request,
    middleware::Next,
    response::Response,
};
use futures_util::{StreamExt, stream::try_unfold};
use tokio::time::{Instant, timeout_at};

/// How slow a body may be.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// The time that it has at first.
    head_start: Duration,
    /// For each second beyond that so many bytes have to have come in.
    bytes_per_second: u64,
    /// How long it may stand still, however fast it was before.
    silence_max: Duration,
}

/// A line of 2G brings ten times as many.
const PACE: Pace =
    Pace { head_start: Duration::from_secs(30), bytes_per_second: 1 << 10, silence_max: Duration::from_mins(1) };
/// Of those whom nobody knows.
const STRANGERS_PACE: Pace = Pace { bytes_per_second: 8 << 10, ..PACE };

/// A body came in more slowly than that.
#[derive(Debug, thiserror::Error)]
#[error(
    "内容传得太慢，请在网络好转后重试；大的内容请分几次发送 | the request comes in too slowly: try again on a better line, and send less at once"
)]
pub(super) struct TooSlow;

/// Cuts bodies off that are too slow. It has to count what comes over the line, not what is unpacked of it.
pub(super) async fn keep(request: Request, next: Next) -> Response {
    next.run(request.map(|body| paced(body, PACE))).await
}

/// The same on routes of strangers.
pub(super) async fn keep_strangers(request: Request, next: Next) -> Response {
    next.run(request.map(|body| paced(body, STRANGERS_PACE))).await
}

fn paced(body: Body, pace: Pace) -> Body {
    if body.is_end_stream() {
        return body;
    }
    let (begun, received) = (Instant::now(), 0u64);
    Body::from_stream(try_unfold((body.into_data_stream(), received), move |(mut body, received)| async move {
        let earned = Duration::from_millis(received.saturating_mul(1000) / pace.bytes_per_second);
        let until = (begun + pace.head_start + earned).min(Instant::now() + pace.silence_max);
        let next = timeout_at(until, body.next()).await.map_err(|_| axum::Error::new(TooSlow))?;
        let Some(chunk) = next.transpose()? else { return Ok(None) };
        let received = received + chunk.len() as u64;
        Ok::<_, axum::Error>(Some((chunk, (body, received))))
    }))
}

/// Whether this is why a body could not be read.
pub(super) fn is_too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<TooSlow>() {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use axum::body::{Bytes, to_bytes};

    use super::*;

    /// A hundred times as fast as it is meant.
    const QUICK: Pace = Pace {
        head_start: Duration::from_millis(300),
        bytes_per_second: 100 << 10,
        silence_max: Duration::from_millis(600),
    };

    /// What becomes of a body of so many pieces with a pause before each of them.
    async fn sent(pieces: usize, bytes: usize, pause_ms: u64) -> bool {
        let stream = try_unfold(0, move |piece| async move {
            if piece == pieces {
                return Ok::<_, std::io::Error>(None);
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            Ok(Some((Bytes::from(vec![7; bytes]), piece + 1)))
        });
        match to_bytes(paced(Body::from_stream(stream), QUICK), usize::MAX).await {
            Ok(whole) => {
                assert_eq!(whole.len(), pieces * bytes);
                true
            }
            Err(error) => {
                assert!(is_too_slow(&error), "{error:?}");
                false
            }
        }
    }

    #[tokio::test]
    async fn a_bad_line_gets_through_and_a_drip_does_not() {
        // A line that brings ten times the least; one that stands still again and again; a small body after a while.
        assert!(sent(60, 10 << 10, 10).await);
        assert!(sent(4, 100 << 10, 250).await);
        assert!(sent(1, 100, 100).await);
        // A byte at a time; quick bytes and then nothing.
        let begun = Instant::now();
        assert!(!sent(100_000, 1, 10).await);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert!(!sent(2, 8 << 20, 2000).await);
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    }
}
