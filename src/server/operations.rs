//! The operations port: metrics and probes over HTTP/1.1, for Prometheus and a supervisor. It
//! has tasks of its own: neither its failures nor its crowds reach the calls.

mod connection;

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, extract::State, routing::get};
use http::{HeaderName, StatusCode, header::CONTENT_TYPE};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::health::Serving;
use crate::{identity::Identity, metrics};
use connection::Connections;

/// How long requests under way may take when the server has ended.
const END_LIMIT: Duration = Duration::from_millis(500);

/// A bound operations port.
pub(super) struct Operations(TcpListener);

impl Operations {
    pub(super) async fn bind(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind(address).await.map(Self)
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.0.local_addr().ok()
    }

    /// Answers, in a task of its own, until the answer is dropped.
    pub(super) fn start(self, identity: Identity, serving: Serving) -> Answering {
        let paths = Router::new()
            .route("/metrics", get(scrape))
            .route("/livez", get("ok"))
            .route("/readyz", get(readyz))
            .with_state((identity, serving));
        let (stop, stopped) = oneshot::channel::<()>();
        let answering = axum::serve(Connections::new(self.0), paths);
        let answering = answering.with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let task = tokio::spawn(answering.into_future());
        Answering {
            stop: Some(stop),
            task,
        }
    }
}

/// An operations port that answers, until this is dropped.
pub(super) struct Answering {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
}

impl Answering {
    /// Answers what is under way, and ends.
    pub(super) async fn end(mut self) {
        drop(self.stop.take());
        let _ = tokio::time::timeout(END_LIMIT, &mut self.task).await;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Watched = State<(Identity, Serving)>;

async fn scrape(
    State((identity, _)): Watched,
) -> Result<([(HeaderName, &'static str); 1], String), StatusCode> {
    identity.sample();
    let text = identity.metrics().encode();
    let text = text.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text))
}

/// What health says of the services: not while the database is gone, and not from the signal to
/// end on.
async fn readyz(State((_, serving)): Watched) -> (StatusCode, &'static str) {
    if serving.get() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    }
}
