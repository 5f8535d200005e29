//! What surrounds every call: its id, its span, its deadline, its line in the log.

mod measured;

use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::time::Instant;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};

use super::{MAX_MESSAGE, health::Readiness};
use crate::{
    grpc::{Deadline, Proxies, request_id, status, trusts_peer},
    metrics::CallMetrics,
    telemetry,
};

/// The packages whose services wait for the database.
const PACKAGE: &str = "/rollcall.";

/// What takes as long as its caller has something to send: the server's own limit does not
/// count, the caller's does.
const UNLIMITED: [&str; 1] = ["/rollcall.v1.UserAdmin/ImportUsers"];

/// Wraps every service in a [`Call`].
#[derive(Clone)]
pub(super) struct CallLayer {
    proxies: Proxies,
    readiness: Readiness,
    timeout: Duration,
    metrics: CallMetrics,
}

impl CallLayer {
    pub(super) fn new(
        proxies: Proxies,
        readiness: Readiness,
        timeout: Duration,
        metrics: CallMetrics,
    ) -> Self {
        Self {
            proxies,
            readiness,
            timeout,
            metrics,
        }
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = Call<S>;

    fn layer(&self, inner: S) -> Call<S> {
        Call {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service with what surrounds each of its calls.
#[derive(Clone)]
pub(super) struct Call<S> {
    inner: S,
    layer: CallLayer,
}

impl<S> Service<Request<Body>> for Call<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // Here and not when it is first polled, which may be after the transport has begun to
        // measure the same deadline, and ended the call without details.
        let arrived = Instant::now();
        request.extensions_mut().insert(self.layer.proxies.clone());
        let id = request_id::choose(request.headers().get(request_id::HEADER));
        let method = request.uri().path().to_owned();
        let measured = self.layer.metrics.begin(&method);
        // At the level that every filter lets through: a warning needs the id most.
        let span = tracing::error_span!(
            "call",
            request_id = id,
            method,
            user_id = field::Empty,
            session_id = field::Empty,
            trace_id = field::Empty,
        );
        let known = || self.layer.metrics.known(&method);
        // Whoever else asks to be traced would decide what tracing costs.
        let is_trusted = trusts_peer(&self.layer.proxies, request.extensions());
        let parent = is_trusted.then(|| request.headers());
        telemetry::continue_trace(&span, parent, known);
        let clone = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        let header = HeaderValue::from_str(&id);
        let call = async move {
            let mut response = answer(inner, &layer, request, arrived).await;
            if let Ok(header) = header {
                response.headers_mut().insert(request_id::HEADER, header);
            }
            let code = code(&response);
            log(&method, code, arrived.elapsed());
            telemetry::end_trace(&Span::current(), code);
            Ok(measured::end(measured, code, response))
        };
        Box::pin(request_id::CURRENT.scope(id, call).instrument(span))
    }
}

async fn answer<S>(
    mut inner: S,
    layer: &CallLayer,
    mut request: Request<Body>,
    arrived: Instant,
) -> Response<Body>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    if request.uri().path().starts_with(PACKAGE) && !layer.readiness.is_ready() {
        return status::unavailable().into_http();
    }
    let limit = if UNLIMITED.contains(&request.uri().path()) {
        Duration::MAX
    } else {
        layer.timeout
    };
    let asked = asked(request.headers());
    let timeout = asked.map_or(limit, |asked| limit.min(asked));
    // A timeout that no clock reaches is none.
    let ends_at = asked.and_then(|asked| arrived.checked_add(asked));
    if let Some(ends_at) = ends_at {
        request.extensions_mut().insert(Deadline(ends_at));
    }
    let call = AssertUnwindSafe(inner.call(request)).catch_unwind();
    // Counted from the arrival, however late the call is first polled: tonic counts the
    // caller's timeout from there as well, and its own answer to it has no details.
    let ended = match arrived.checked_add(timeout) {
        Some(end) => tokio::time::timeout_at(end, call).await,
        None => Ok(call.await),
    };
    let response = match ended {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(_panic)) => {
            tracing::error!("the call panicked");
            return status::internal().into_http();
        }
        Err(_elapsed) => return status::deadline_exceeded().into_http(),
    };
    match unread(response.headers()) {
        Some(why) => status::undecodable(&why).into_http(),
        None => response,
    }
}

/// Why a request was not read, in a reply with which tonic itself refused it: a service
/// here answers with details, or with another code.
fn unread(headers: &HeaderMap) -> Option<String> {
    let status = Status::from_header_map(headers)?;
    if !status.details().is_empty() {
        return None;
    }
    match status.code() {
        Code::OutOfRange => Some(format!("the message is larger than {MAX_MESSAGE} bytes")),
        Code::InvalidArgument => Some(status.message().to_owned()),
        // No message, half a one, or one whose compression is not what it says.
        Code::Internal => Some("the body is not one message as gRPC frames it".to_owned()),
        _ => None,
    }
}

/// The caller's limit. A little of it is kept back, so that the answer comes before the
/// caller and the transport give up.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?;
    let asked = parse_timeout(value.to_str().ok()?)?;
    Some(asked - (asked / 10).min(Duration::from_millis(10)))
}

/// `TimeoutValue TimeoutUnit` of the gRPC protocol: at most 8 digits and a unit.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 60 * 60)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

/// The code of a reply that ended with its headers; a stream that goes on is OK so far. What
/// was refused before gRPC has none.
fn code(response: &Response<Body>) -> Code {
    let refused = response.status().is_client_error() || response.status().is_server_error();
    match Status::from_header_map(response.headers()) {
        Some(status) => status.code(),
        None if refused => Code::Unknown,
        None => Code::Ok,
    }
}

fn log(method: &str, code: Code, elapsed: Duration) {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    if method.starts_with(PACKAGE) {
        tracing::info!(?code, micros, "call ended");
    } else {
        tracing::debug!(?code, micros, "call ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_the_protocol_are_understood() {
        assert_eq!(parse_timeout("1S"), Some(Duration::from_secs(1)));
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(
            parse_timeout("99999999H"),
            Some(Duration::from_secs(359_999_996_400))
        );
        for bad in ["", "S", "1", "1s", "-1S", "123456789S", "1é"] {
            assert_eq!(parse_timeout(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_little_of_the_caller_s_limit_is_kept_back() {
        let mut headers = HeaderMap::new();
        assert_eq!(asked(&headers), None);
        headers.insert("grpc-timeout", HeaderValue::from_static("1S"));
        assert_eq!(asked(&headers), Some(Duration::from_millis(990)));
        headers.insert("grpc-timeout", HeaderValue::from_static("10m"));
        assert_eq!(asked(&headers), Some(Duration::from_millis(9)));
    }
}
