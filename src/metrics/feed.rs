//! The feed of revocations, and who watches.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{
    Seconds, count,
    kinds::{Kind, Label, kinds},
};

/// How late revocations are told, in seconds.
const DELAYS: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

kinds! {
    /// What is watched.
    Stream in "stream" {
        /// `Verification.WatchRevocations`.
        Revocations = "revocations",
        /// `Audit.WatchEvents`.
        AuditEvents = "audit_events",
    }
}

/// The feed of revocations, and who watches.
#[derive(Clone)]
pub struct FeedMetrics {
    looked: Arc<Mutex<Instant>>,
    lag: Seconds,
    delay: Histogram,
    watchers: Family<Label, Gauge>,
}

impl Default for FeedMetrics {
    fn default() -> Self {
        let watchers = Family::<Label, Gauge>::default();
        for stream in Stream::ALL {
            drop(watchers.get_or_create(&[(Stream::LABEL, stream.as_str())]));
        }
        Self {
            looked: Arc::new(Mutex::new(Instant::now())),
            lag: Seconds::default(),
            delay: Histogram::new(DELAYS),
            watchers,
        }
    }
}

impl FeedMetrics {
    pub(super) fn registered(self, registry: &mut Registry) -> Self {
        registry.register_with_unit(
            "feed_lag",
            "How long ago the revocations were last looked at, or this server started",
            Unit::Seconds,
            self.lag.clone(),
        );
        registry.register_with_unit(
            "feed_delay",
            "How long after it happened a revocation was told to the watchers",
            Unit::Seconds,
            self.delay.clone(),
        );
        registry.register(
            "watchers",
            "Streams that are followed, by what they tell",
            self.watchers.clone(),
        );
        self
    }

    /// The revocations were looked at.
    pub fn looked(&self) {
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// A revocation was told this long after it happened, by the database's clock.
    pub fn told(&self, delay: Duration) {
        self.delay.observe(delay.as_secs_f64());
    }

    /// Takes down how many watch at this moment.
    pub fn set_watchers(&self, stream: Stream, number: usize) {
        let watchers = &[(Stream::LABEL, stream.as_str())];
        self.watchers.get_or_create(watchers).set(count(number));
    }

    pub(super) fn sample(&self) {
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        self.lag.set(looked.elapsed().as_secs_f64());
    }
}
