//! The database and the connections to it.

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{
    count,
    kinds::{Counters, kinds},
    latencies,
};

kinds! {
    /// Why a statement had no answer.
    StatementFailure in "kind" {
        /// No connection was to be had, or it broke.
        Unavailable = "unavailable",
        /// It lost against another transaction, as often as that is retried.
        Conflict = "conflict",
        /// It was canceled.
        Canceled = "canceled",
        /// A mistake in the code or the schema.
        Unexpected = "unexpected",
    }
}

/// The connections at one moment.
#[derive(Clone, Copy, Debug)]
pub struct PoolUse {
    /// How many there may be.
    pub max: usize,
    /// How many there are.
    pub size: usize,
    /// How many of them work.
    pub in_use: usize,
    /// How many calls wait for one.
    pub waiting: usize,
}

/// The database and the connections to it.
#[derive(Clone)]
pub struct PoolMetrics {
    up: Gauge,
    max: Gauge,
    size: Gauge,
    in_use: Gauge,
    waiting: Gauge,
    wait: Histogram,
    failures: Counters,
    retries: Counter,
}

impl Default for PoolMetrics {
    fn default() -> Self {
        Self {
            up: Gauge::default(),
            max: Gauge::default(),
            size: Gauge::default(),
            in_use: Gauge::default(),
            waiting: Gauge::default(),
            wait: latencies(),
            failures: Counters::of::<StatementFailure>(),
            retries: Counter::default(),
        }
    }
}

impl PoolMetrics {
    pub(super) fn registered(self, registry: &mut Registry) -> Self {
        let gauges = [
            ("database_up", "1 while the database answers", &self.up),
            (
                "pool_connections_max",
                "How many connections there may be (--max-connections)",
                &self.max,
            ),
            (
                "pool_connections",
                "Connections to the database that calls share",
                &self.size,
            ),
            (
                "pool_connections_in_use",
                "Connections that work",
                &self.in_use,
            ),
            (
                "pool_waiting",
                "Statements that wait for a connection",
                &self.waiting,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        registry.register_with_unit(
            "pool_wait",
            "How long it took to get a connection",
            Unit::Seconds,
            self.wait.clone(),
        );
        let help = "Statements and transactions without an answer, by what went wrong";
        self.failures.register(registry, "statement_failures", help);
        registry.register(
            "statement_retries",
            "Statements and transactions run again after a conflict",
            self.retries.clone(),
        );
        self
    }

    /// Says whether the database answers.
    pub fn set_up(&self, up: bool) {
        self.up.set(up.into());
    }

    /// Takes down the connections of this moment.
    pub fn set_use(&self, at_once: PoolUse) {
        self.max.set(count(at_once.max));
        self.size.set(count(at_once.size));
        self.in_use.set(count(at_once.in_use));
        self.waiting.set(count(at_once.waiting));
    }

    /// A connection was had, or not, after this long.
    pub fn waited(&self, wait: Duration) {
        self.wait.observe(wait.as_secs_f64());
    }

    /// A statement had no answer.
    pub fn failed(&self, failure: StatementFailure) {
        self.failures.add(failure, 1);
    }

    /// A statement is run again.
    pub fn retried(&self) {
        self.retries.inc();
    }
}
