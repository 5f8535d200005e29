//! The metrics of one server, as Prometheus reads them. A leaf that every layer may import.
//!
//! Each group is a handle, cheap to clone, that works whether or not anybody reads it. No label
//! has values that callers choose: methods are those of the protos, or `unknown`. Whatever has
//! a fixed set of labels is there from the start, at zero, since a counter that first appears
//! at 1 hides that increment from `rate()`.

mod calls;
mod feed;
mod hashing;
mod keys;
mod kinds;
mod pool;
mod purge;
mod sessions;

use std::{fmt, sync::Arc, time::SystemTime};

use prometheus_client::{
    encoding::text,
    metrics::{gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Registry, Unit},
};

pub use calls::{Call, CallMetrics, MethodName, code_name};
pub use feed::{FeedMetrics, Stream};
pub use hashing::HashingMetrics;
pub use keys::{Certificate, KeyMetrics, KeyStateName, KeysAtOnce};
pub use pool::{PoolMetrics, PoolUse, StatementFailure};
pub use purge::{PurgeMetrics, PurgedTable};
pub use sessions::{RateLimit, RefreshVerdict, SessionMetrics, SignInOutcome, TheftKind};

/// The content type of what [`Metrics::encode`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What every name begins with.
const PREFIX: &str = "rollcall";

/// How long what a caller waits for takes, in seconds.
const LATENCIES: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 10.0,
];

/// A gauge of a time or a duration, in seconds.
type Seconds = Gauge<f64, std::sync::atomic::AtomicU64>;

/// All metrics of one server. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Parts>);

struct Parts {
    registry: Registry,
    calls: CallMetrics,
    pool: PoolMetrics,
    hashing: HashingMetrics,
    sessions: SessionMetrics,
    feed: FeedMetrics,
    keys: KeyMetrics,
    purge: PurgeMetrics,
    ready: Gauge,
}

impl Metrics {
    /// Metrics at zero, of a server that starts now and answers `methods`.
    #[must_use]
    pub fn new(methods: Vec<MethodName>) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let build = vec![("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "Which release this is", Info::new(build));
        let start = Seconds::default();
        start.set(now());
        registry.register_with_unit(
            "start_timestamp",
            "When this server started, since 1970",
            Unit::Seconds,
            start,
        );
        let ready = Gauge::default();
        registry.register(
            "ready",
            "1 while /readyz and health say that the services answer",
            ready.clone(),
        );
        Self(Arc::new(Parts {
            calls: CallMetrics::new(methods, &mut registry),
            pool: PoolMetrics::default().registered(&mut registry),
            hashing: HashingMetrics::default().registered(&mut registry),
            sessions: SessionMetrics::default().registered(&mut registry),
            feed: FeedMetrics::default().registered(&mut registry),
            keys: KeyMetrics::default().registered(&mut registry),
            purge: PurgeMetrics::default().registered(&mut registry),
            ready,
            registry,
        }))
    }

    /// Writes all of them in OpenMetrics' text format.
    ///
    /// # Errors
    ///
    /// None but those of memory that ends.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        self.0.feed.sample();
        let mut text = String::new();
        text::encode(&mut text, &self.0.registry)?;
        Ok(text)
    }

    /// Says whether the services answer.
    pub fn set_ready(&self, ready: bool) {
        self.0.ready.set(ready.into());
    }

    /// Calls: how many, how they end, how long they take.
    #[must_use]
    pub fn calls(&self) -> &CallMetrics {
        &self.0.calls
    }

    /// The database and the connections to it.
    #[must_use]
    pub fn pool(&self) -> &PoolMetrics {
        &self.0.pool
    }

    /// The hashing of passwords.
    #[must_use]
    pub fn hashing(&self) -> &HashingMetrics {
        &self.0.hashing
    }

    /// Sign-ins, refreshes, thefts and ends of sessions.
    #[must_use]
    pub fn sessions(&self) -> &SessionMetrics {
        &self.0.sessions
    }

    /// The feed of revocations, and who watches.
    #[must_use]
    pub fn feed(&self) -> &FeedMetrics {
        &self.0.feed
    }

    /// Signing keys and certificates.
    #[must_use]
    pub fn keys(&self) -> &KeyMetrics {
        &self.0.keys
    }

    /// The removal of rows that are of no use any more.
    #[must_use]
    pub fn purge(&self) -> &PurgeMetrics {
        &self.0.purge
    }
}

/// A server that answers no call: for what runs without one.
impl Default for Metrics {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// Seconds since 1970 by this machine's clock, for operators to compare with their own.
#[expect(
    clippy::disallowed_methods,
    reason = "Prometheus compares it with its own clock; nothing is decided by it"
)]
fn now() -> f64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

fn latencies() -> Histogram {
    Histogram::new(LATENCIES)
}

/// A number of things as a gauge has it.
fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
