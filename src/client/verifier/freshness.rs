//! How long ago the feed was last heard, and what time it is.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;

use crate::client::clock::{Moment, micros, unix_micros};

/// What the feed last said of the time.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    heard: ArcSwapOption<Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    /// The database's time up to which everything was told.
    time: i64,
    at: Moment,
}

/// The times that a token is judged by, in microseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The database's time, as it follows from what the feed said and how long ago.
    pub(super) database: i64,
    /// The later of that and this machine's clock: a clock that is slow takes no token
    /// whose revocation was already forgotten.
    pub(super) now: i64,
}

impl Freshness {
    /// Everything up to `time` has been told.
    pub(super) fn hear(&self, time: i64) {
        let at = Moment::now();
        self.heard.store(Some(Arc::new(Heard { time, at })));
    }

    /// How long ago the feed was heard; for ever, where it never was.
    pub(super) fn staleness(&self) -> Duration {
        let heard = self.heard.load();
        heard
            .as_ref()
            .map_or(Duration::MAX, |heard| heard.at.elapsed())
    }

    pub(super) fn times(&self) -> Times {
        let wall = unix_micros();
        let heard = self.heard.load();
        let database = heard.as_ref().map_or(wall, |heard| {
            heard.time.saturating_add(micros(heard.at.elapsed()))
        });
        Times {
            database,
            now: wall.max(database),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600 * 1_000_000;

    #[test]
    fn feed_that_was_never_heard_is_infinitely_stale() {
        assert_eq!(Freshness::default().staleness(), Duration::MAX);
    }

    #[test]
    fn clock_that_is_slow_is_corrected_by_the_feed() {
        let freshness = Freshness::default();
        let ahead = unix_micros() + HOUR;
        freshness.hear(ahead);
        assert!(freshness.times().now >= ahead);
        assert!(freshness.times().database >= ahead);
    }

    #[test]
    fn clock_that_is_fast_tells_the_time_of_tokens_but_not_of_the_database() {
        let freshness = Freshness::default();
        let behind = unix_micros() - HOUR;
        freshness.hear(behind);
        let times = freshness.times();
        assert!(times.now >= behind + HOUR);
        assert!(times.database < behind + HOUR / 2);
    }
}
