//! When to try again after the connection broke: later each time, and never all devices of a county at once.

/// The first wait, on average three quarters of it.
const FIRST_MS: u64 = 2_000;
/// The longest.
const LONGEST_MS: u64 = 15 * 60_000;

/// Failures in a row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// It failed once more: how many milliseconds to wait, between half of a time that doubles and all of it.
    pub fn failed(&mut self, random: u64) -> u64 {
        let most = FIRST_MS.checked_shl(self.failures).unwrap_or(u64::MAX).min(LONGEST_MS);
        self.failures = (self.failures + 1).min(32);
        most / 2 + random % (most / 2 + 1)
    }

    /// It went well.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_limit_and_differ_between_devices() {
        let mut backoff = Backoff::default();
        let longest: Vec<u64> = (0..12).map(|_| backoff.failed(u64::MAX / 2)).collect();
        assert!(longest.is_sorted() && longest[0] <= FIRST_MS && longest[11] <= LONGEST_MS, "{longest:?}");
        assert!(longest[11] >= LONGEST_MS / 2);
        let waits: std::collections::BTreeSet<u64> = (0..100).map(|random| Backoff::default().failed(random)).collect();
        assert!(waits.len() > 90 && *waits.first().expect("a wait") >= FIRST_MS / 2);
        for _ in 0..100 {
            backoff.failed(0);
        }
        backoff.succeeded();
        assert!(backoff.failed(0) <= FIRST_MS);
    }
}
