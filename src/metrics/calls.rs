//! Calls, by method: their rate, their errors, their duration.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Instant,
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::latencies;

/// The code of a call whose caller went away.
const CANCELLED: usize = 1;
/// The code of whatever is none.
const UNKNOWN: usize = 2;

/// The codes of gRPC, by their number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The name of a code of gRPC, by its number.
#[must_use]
pub fn code_name(code: i32) -> &'static str {
    let code = usize::try_from(code).ok().and_then(|code| CODES.get(code));
    code.unwrap_or(&CODES[UNKNOWN])
}

/// A method that the server answers.
#[derive(Clone, Debug)]
pub struct MethodName {
    /// `package.Service/Method`, without a slash before it.
    pub name: String,
    /// Whether its replies are a stream.
    pub streams: bool,
}

type Labels = [(&'static str, Arc<str>); 1];
type CodeLabels = [(&'static str, Arc<str>); 2];
type Durations = Family<Labels, Histogram, fn() -> Histogram>;

/// Calls, by method and code.
#[derive(Clone)]
pub struct CallMetrics {
    methods: Arc<HashMap<String, Arc<Method>>>,
    unknown: Arc<Method>,
}

/// What is measured of one method. The series of a code is made when it first occurs, all
/// others before any call.
struct Method {
    label: Arc<str>,
    streams: bool,
    in_flight: Gauge,
    duration: Option<Histogram>,
    total: Family<CodeLabels, Counter>,
    by_code: [OnceLock<Counter>; CODES.len()],
}

impl CallMetrics {
    pub(super) fn new(names: Vec<MethodName>, registry: &mut Registry) -> Self {
        let total = Family::<CodeLabels, Counter>::default();
        let in_flight = Family::<Labels, Gauge>::default();
        let duration: Durations = Family::new_with_constructor(latencies);
        let method = |name: &str, streams: bool| {
            let label: Arc<str> = name.into();
            let labels = [("method", Arc::clone(&label))];
            let method = Method {
                in_flight: in_flight.get_or_create_owned(&labels),
                duration: (!streams).then(|| duration.get_or_create_owned(&labels)),
                total: total.clone(),
                by_code: std::array::from_fn(|_| OnceLock::new()),
                streams,
                label,
            };
            method.count(0, 0);
            Arc::new(method)
        };
        let unknown = method("unknown", false);
        let methods = names.into_iter().map(|MethodName { name, streams }| {
            let method = method(&name, streams);
            (name, method)
        });
        let methods = Arc::new(methods.collect());
        registry.register("calls", "Calls that have ended, by method and code", total);
        registry.register(
            "calls_in_flight",
            "Calls under way, streams among them",
            in_flight,
        );
        registry.register_with_unit(
            "call_duration",
            "How long calls took from their headers to their answer; streams have none",
            Unit::Seconds,
            duration,
        );
        Self { methods, unknown }
    }

    /// The name of the method at a path, where there is one.
    #[must_use]
    pub fn known(&self, path: &str) -> Option<&str> {
        let name = path.strip_prefix('/')?;
        self.methods.get_key_value(name).map(|(name, _)| &**name)
    }

    /// Begins a call of the method at a path.
    #[must_use]
    pub fn begin(&self, path: &str) -> Call {
        let name = path.strip_prefix('/').unwrap_or_default();
        let method = self.methods.get(name).unwrap_or(&self.unknown);
        method.in_flight.inc();
        Call {
            method: Arc::clone(method),
            started: Instant::now(),
            code: CANCELLED,
        }
    }
}

impl Method {
    fn count(&self, code: usize, number: u64) {
        let Some(counter) = self.by_code.get(code) else {
            return self.count(UNKNOWN, number);
        };
        let make = || {
            let code = CODES[code].into();
            let labels = [("method", Arc::clone(&self.label)), ("code", code)];
            self.total.get_or_create_owned(&labels)
        };
        counter.get_or_init(make).inc_by(number);
    }
}

/// A call under way. One that is dropped before it has ended was cancelled.
pub struct Call {
    method: Arc<Method>,
    started: Instant,
    code: usize,
}

impl Call {
    /// Whether its replies are a stream, which goes on after the headers.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.method.streams
    }

    /// Ends the call with the number of a gRPC code.
    pub fn end(mut self, code: i32) {
        self.code = usize::try_from(code).unwrap_or(CODES.len());
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.method.count(self.code, 1);
        if let Some(duration) = &self.method.duration {
            duration.observe(self.started.elapsed().as_secs_f64());
        }
        // Last, so that whoever sees a call gone sees it counted.
        self.method.in_flight.dec();
    }
}
