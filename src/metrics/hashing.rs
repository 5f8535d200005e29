//! The hashing of passwords, behind its bound.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{count, latencies};

/// The hashing of passwords.
#[derive(Clone, Debug)]
pub struct HashingMetrics {
    running: Gauge,
    waiting: Gauge,
    places: Gauge,
    refused: Counter,
    duration: Histogram,
}

impl Default for HashingMetrics {
    fn default() -> Self {
        Self {
            running: Gauge::default(),
            waiting: Gauge::default(),
            places: Gauge::default(),
            refused: Counter::default(),
            duration: latencies(),
        }
    }
}

impl HashingMetrics {
    pub(super) fn registered(self, registry: &mut Registry) -> Self {
        let gauges = [
            ("hashing_running", "Passwords being hashed", &self.running),
            (
                "hashing_waiting",
                "Passwords that wait for their turn",
                &self.waiting,
            ),
            (
                "hashing_places",
                "How many may be hashed or wait; the surplus is refused",
                &self.places,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        registry.register(
            "hashing_refused",
            "Passwords refused because as many waited as may",
            self.refused.clone(),
        );
        registry.register_with_unit(
            "hashing_duration",
            "How long hashing took, without the wait",
            Unit::Seconds,
            self.duration.clone(),
        );
        self
    }

    /// Takes down the queue of this moment.
    pub fn set_queue(&self, running: usize, waiting: usize, places: usize) {
        self.running.set(count(running));
        self.waiting.set(count(waiting));
        self.places.set(count(places));
    }

    /// A password was refused.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// A password was hashed in this time.
    pub fn hashed(&self, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
    }
}
