//! A Rollcall in the test's own process that answers what it is told to: it can lag, go
//! silent, lose replies, and say odd things.

mod auth;
mod signer;
mod verification;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rollcall::proto::v1::{
    ErrorReason, auth_server::AuthServer, verification_server::VerificationServer,
};
use tokio::{net::TcpSocket, runtime::Runtime};
use tonic::{Code, Status, transport::Server, transport::server::TcpIncoming};
use tonic_types::{ErrorDetails, StatusExt};

pub use auth::{AuthState, Reply};
pub use signer::{Signer, claims};
pub use verification::FeedState;

pub const ISSUER: &str = "https://id.test";
pub const AUDIENCE: &str = "shop";

/// How long the fake's revocations matter.
pub const RETENTION: Duration = Duration::from_secs(660);

/// How long the fake's tasks have to notice their end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The fake. Its state outlives [`Fake::stop`].
pub struct Fake {
    pub state: Arc<State>,
    address: SocketAddr,
    /// Bound to the address and never listening: nobody else gets it while the fake is stopped.
    _place: TcpSocket,
    /// Of its own, so that with it every connection ends, as with a killed process.
    runtime: Option<Runtime>,
}

/// What the fake knows and has seen.
pub struct State {
    pub signer: Signer,
    pub auth: Mutex<AuthState>,
    pub feed: Mutex<FeedState>,
}

impl Fake {
    pub fn start() -> Self {
        let signer = Signer::new("first");
        let state = State {
            auth: Mutex::default(),
            feed: Mutex::new(FeedState::new(&signer)),
            signer,
        };
        let place = bind(([127, 0, 0, 1], 0).into());
        let mut fake = Self {
            state: Arc::new(state),
            address: place.local_addr().expect("is bound"),
            _place: place,
            runtime: None,
        };
        fake.resume();
        fake
    }

    /// Ends the fake as `kill -9` ends a server.
    pub fn stop(&mut self) {
        self.feed().streams.clear();
        if let Some(runtime) = self.runtime.take() {
            // A task may not wait for a runtime; a thread may.
            let ending = std::thread::spawn(|| runtime.shutdown_timeout(PATIENCE));
            ending.join().expect("ends");
        }
    }

    /// Starts it again, on the same address.
    pub fn resume(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let guard = runtime.enter();
        let listener = bind(self.address).listen(1_024).expect("listens");
        let serving = Server::builder()
            .add_service(AuthServer::from_arc(self.state.clone()))
            .add_service(VerificationServer::from_arc(self.state.clone()))
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
        runtime.spawn(serving);
        runtime.spawn(verification::beat(self.state.clone()));
        drop(guard);
        self.runtime = Some(runtime);
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn auth(&self) -> MutexGuard<'_, AuthState> {
        unpoisoned(&self.state.auth)
    }

    pub fn feed(&self) -> MutexGuard<'_, FeedState> {
        unpoisoned(&self.state.feed)
    }

    /// A good token with its claims changed.
    pub fn token(&self, change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut claims = claims();
        change(&mut claims);
        self.state.signer.sign(&claims)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A socket at an address that others of the fake may be bound to as well.
fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket");
    socket.set_reuseport(true).expect("a socket");
    socket.bind(address).expect("binds");
    socket
}

/// Locks what a failed assertion may have poisoned: a test that fails still ends its fake.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error as Rollcall's are.
pub fn refused(code: Code, reason: ErrorReason) -> Status {
    refused_with(code, reason, HashMap::new())
}

pub fn refused_with(code: Code, reason: ErrorReason, metadata: HashMap<String, String>) -> Status {
    let name = reason.as_str_name().replace("ERROR_REASON_", "");
    let details = ErrorDetails::with_error_info(name, "rollcall", metadata);
    Status::with_error_details(code, "refused by the fake", details)
}

/// Microseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_micros()).expect("before 200,000")
}
