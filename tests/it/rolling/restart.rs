//! A rolling restart under load: a client that repeats what is UNAVAILABLE, and nothing
//! else, sees no failure.

use std::error::Error;

use futures_util::future::join_all;
use rollcall::proto::v1::{RefreshRequest, auth_client::AuthClient};
use tonic::{
    Code, Response, Status, Streaming,
    transport::{self, Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

use super::{Load, Worker};
use crate::harness::{
    Balancer, Database, Harness, authenticate, patiently, process::Process, request_id, successor,
};

const REPLICAS: usize = 3;

/// A device that refreshes, and a person who signs in.
enum Client {
    Device {
        auth: AuthClient<Channel>,
        refresh_token: String,
    },
    Person {
        auth: AuthClient<Channel>,
        login: String,
    },
}

impl Worker for Client {
    async fn round(&mut self) {
        match self {
            Self::Device {
                auth,
                refresh_token,
            } => {
                let request = RefreshRequest {
                    refresh_token: refresh_token.clone(),
                    request_id: request_id(),
                    ..RefreshRequest::default()
                };
                let refresh = || {
                    let (mut auth, request) = (auth.clone(), request.clone());
                    async move { auth.refresh(request).await }
                };
                let reply = while_unavailable(refresh).await;
                *refresh_token = successor(&reply).to_owned();
            }
            Self::Person { auth, login } => {
                let request = authenticate(login);
                let sign_in = || {
                    let (mut auth, request) = (auth.clone(), request.clone());
                    async move { auth.authenticate(request).await }
                };
                while_unavailable(sign_in).await;
            }
        }
    }

    /// No session was lost on the way.
    async fn last(&mut self) {
        self.round().await;
    }
}

/// Repeats what is UNAVAILABLE, at once, and nothing else.
async fn while_unavailable<T, F>(mut call: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    loop {
        match call().await {
            Ok(reply) => return reply.into_inner(),
            Err(status) if is_unavailable(&status) => tokio::task::yield_now().await,
            Err(status) => panic!("failed: {status:?}"),
        }
    }
}

/// Whether the server answered UNAVAILABLE, or none answered. The latter is UNAVAILABLE, too,
/// in gRPC; tonic calls it CANCELLED, INTERNAL or UNKNOWN where a connection goes away as a
/// call is about to be sent on it.
fn is_unavailable(status: &Status) -> bool {
    let unanswered = status
        .source()
        .is_some_and(<dyn Error>::is::<transport::Error>);
    unanswered || status.code() == Code::Unavailable
}

async fn replica(database: &Database) -> Process {
    // A person signs in at each round.
    let options = [
        "--drain-pause=250ms",
        "--no-migrate",
        "--max-sessions-per-user=10000",
    ];
    let process = Process::serve(database.url(), &options).await;
    process.line_with("\"serving\"").await;
    process
}

#[tokio::test(flavor = "multi_thread")]
async fn rolling_restart_under_load_fails_no_request_and_loses_no_session() {
    let it = Harness::start().await;
    let starting = (0..REPLICAS).map(|_| replica(&it.database));
    let mut replicas = join_all(starting).await;
    let balancer = Balancer::start(replicas[0].address()).await;
    let mut clients = vec![person(&it, &balancer).await];
    for (index, process) in replicas.iter().enumerate() {
        balancer.lead_to(process.address());
        clients.push(device(&it, &balancer, &format!("device-{index}")).await);
    }
    let load = Load::of(clients);
    load.go_on().await;

    for index in 0..REPLICAS {
        let next = replicas[(index + 1) % REPLICAS].address().to_owned();
        let leaving = replicas.remove(index);
        let statuses = watch(&leaving).await;
        leaving.signal("TERM");
        not_serving(statuses).await;
        balancer.lead_to(&next);
        let (status, log) = leaving.end().await;
        assert_eq!(status.code(), Some(0), "{log:#?}");
        let cut_off = |line: &String| line.contains("drain limit");
        assert!(
            !log.iter().any(cut_off),
            "calls end by themselves: {log:#?}"
        );
        replicas.insert(index, replica(&it.database).await);
        load.go_on().await;
    }
    load.end().await;
    let ended = "SELECT count(*) FROM sessions WHERE revoked_at IS NOT NULL";
    assert_eq!(it.scalar::<i64>(ended).await, 0);
}

async fn person(it: &Harness, balancer: &Balancer) -> Client {
    it.create_user("ana", &[]).await;
    Client::Person {
        auth: connect(balancer).await,
        login: "ana".to_owned(),
    }
}

/// A device that is connected to the replica that the balancer leads to.
async fn device(it: &Harness, balancer: &Balancer, login: &str) -> Client {
    it.create_user(login, &[]).await;
    Client::Device {
        auth: connect(balancer).await,
        refresh_token: it.sign_in(login).await.refresh_token,
    }
}

async fn connect(balancer: &Balancer) -> AuthClient<Channel> {
    let endpoint = Endpoint::from_shared(balancer.url()).expect("a URL");
    AuthClient::new(endpoint.connect().await.expect("somebody listens"))
}

/// What a balancer watches.
async fn watch(process: &Process) -> Streaming<HealthCheckResponse> {
    let request = HealthCheckRequest {
        service: "rollcall.v1.Auth".to_owned(),
    };
    let mut health = HealthClient::new(process.channel().await);
    health.watch(request).await.expect("answers").into_inner()
}

async fn not_serving(mut statuses: Streaming<HealthCheckResponse>) {
    let waiting = async {
        while let Some(status) = statuses.message().await.expect("goes on") {
            if status.status() == ServingStatus::NotServing {
                return;
            }
        }
        panic!("it ended without a word");
    };
    patiently("it says that it is about to end", waiting).await;
}
