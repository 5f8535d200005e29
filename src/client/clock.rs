//! The clocks of the machine that the client runs on: the one place that reads them.
//!
//! Rollcall knows one clock, the database's. A client cannot read it, and only ever
//! measures how long ago something was.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment of this process. How long ago it was is what the larger of two clocks says:
/// the monotonic one stands still while the machine sleeps, the other can be set back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            monotonic: Instant::now(),
            wall: wall(),
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        let monotonic = self.monotonic.elapsed();
        let wall = wall().duration_since(self.wall).unwrap_or_default();
        monotonic.max(wall)
    }
}

/// Microseconds since 1970 by the clock of this machine.
pub(crate) fn unix_micros() -> i64 {
    let since = wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    micros(since)
}

/// A duration in microseconds.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A time of the database in microseconds since 1970.
pub(super) fn timestamp_micros(time: &prost_types::Timestamp) -> i64 {
    let micros = i64::from(time.nanos) / 1_000;
    time.seconds
        .saturating_mul(1_000_000)
        .saturating_add(micros)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a client is on another machine than the database, and measures ages alone"
)]
fn wall() -> SystemTime {
    SystemTime::now()
}
