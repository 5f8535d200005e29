//! How long to wait before the next attempt.

use std::time::Duration;

use aws_lc_rs::rand;

/// Waits that double from attempt to attempt, each shortened at random by up to a half, so
/// that clients which failed together do not come back together.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            next: first,
        }
    }

    /// How long to wait now.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.longest);
        jittered(wait)
    }

    /// Begins anew, after a success.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Between a half of `wait` and all of it.
pub(super) fn jittered(wait: Duration) -> Duration {
    let mut byte = [u8::MAX];
    // Without random bytes every wait is whole, which is no harm.
    let _ = rand::fill(&mut byte);
    wait / 2 + wait * u32::from(byte[0]) / 510
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        for expected in [100, 200, 300, 300] {
            let wait = backoff.next().as_millis();
            assert!((expected / 2..=expected).contains(&wait), "{wait}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
    }
}
