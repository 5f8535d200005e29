//! What a mass of work on sessions costs those who refresh meanwhile: an operator who ends
//! many by a filter, and the purge of as many expired rows. The server is a process of its
//! own, on a private Postgres, on the same processors as the devices: ratios mean something
//! on any machine, figures do not.
//!
//! `cargo bench --bench operators`, or with another number of sessions than 200,000 to end
//! and five times as many to purge: `-- 20000`.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark reports to a person"
)]

#[path = "revocations/replica.rs"]
#[allow(dead_code, reason = "shared with another benchmark")]
mod replica;

use std::{
    env,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rollcall::{
    dev::postgres::{self, Cluster},
    identity::MasterKey,
    proto::v1::{
        RefreshRequest, RevokeSessionsRequest, SessionFilter, auth_client::AuthClient,
        session_admin_client::SessionAdminClient,
    },
};
use tokio::time::sleep;
use tokio_postgres::{Client, NoTls};
use tonic::transport::Channel;

use replica::{Replica, SignedIn};

const SESSIONS: usize = 200_000;
const DEVICES: usize = 8;
/// How long refreshes are measured with nothing beside them.
const QUIET: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    let count = env::args().find_map(|it| it.parse().ok());
    let count = count.unwrap_or(SESSIONS);
    let it = Bench::start().await;
    it.seed(count, "compromised", "1 day").await;
    let what = format!("{count} sessions are ended");
    it.report(&what, sweep(&it.server, &it.operator)).await;
    it.end();

    let it = Bench::start().await;
    it.seed(5 * count, "expired", "-100 days").await;
    let what = format!("{} expired sessions are purged", 5 * count);
    let purge = async {
        // A round of it begins with the server.
        let _second = Replica::start(&it.database, &it.key).await;
        until_purged(&it.client).await;
    };
    it.report(&what, purge).await;
    it.end();
}

/// A server, a database, and the devices that refresh.
struct Bench {
    dir: PathBuf,
    cluster: Cluster,
    database: String,
    key: String,
    server: Replica,
    client: Client,
    operator: SignedIn,
    devices: Devices,
}

impl Bench {
    async fn start() -> Self {
        let (cluster, dir) = replica::postgres("rollcall-bench-operators");
        let database = cluster.url("postgres");
        let key = MasterKey::generate()
            .expect("random bytes")
            .expose()
            .to_string();
        let server = Replica::start(&database, &key).await;
        replica::create_operator(&database);
        let (client, connection) = tokio_postgres::connect(&database, NoTls)
            .await
            .expect("connects");
        tokio::spawn(connection);
        let operator = server.sign_in().await;
        let devices = Devices::sign_in(&server).await;
        Self {
            dir,
            cluster,
            database,
            key,
            server,
            client,
            operator,
            devices,
        }
    }

    fn end(self) {
        drop((self.server, self.cluster));
        postgres::remove(&self.dir).expect("the folder can be removed");
    }

    async fn report(&self, what: &str, work: impl Future<Output = ()>) {
        let quiet = self.devices.refresh_during(sleep(QUIET)).await;
        let beside = self.devices.refresh_during(work).await;
        report(what, &quiet, &beside);
    }

    /// So many sessions of a client that expire after a time, opened one after another in the
    /// 200 days before, with ids of those times.
    async fn seed(&self, count: usize, name: &str, expire: &str) {
        let insert = format!(
            "INSERT INTO sessions (user_id, id, client_id, display_name, user_agent, created_at, \
               absolute_expires_at, generation, h_current, rotated_at, last_seen_at, \
               last_user_agent, idle_expires_at) \
             SELECT CASE n % 10 WHEN 0 THEN '{}' ELSE gen_random_uuid() END, \
               (lpad(to_hex((extract(epoch FROM opened) * 1000)::bigint), 12, '0') || '7' \
                 || right(replace(gen_random_uuid()::text, '-', ''), 19))::uuid, \
               '{name}', '', '', opened, now() + interval '{expire}', 0, \
               '\\x00112233445566778899aabbccddeeff', now(), now(), '', now() + interval '{expire}' \
             FROM generate_series(1, {count}) AS n, \
               LATERAL (SELECT now() - interval '200 days' * (1 - n::float / {count}) AS opened) AS at",
            self.operator.user_id
        );
        self.client.batch_execute(&insert).await.expect("inserts");
        let settle = "ANALYZE sessions; CHECKPOINT";
        self.client.batch_execute(settle).await.expect("settles");
    }
}

async fn sweep(server: &Replica, operator: &SignedIn) {
    let request = operator.request(RevokeSessionsRequest {
        filter: Some(SessionFilter {
            client_id: "compromised".to_owned(),
            ..SessionFilter::default()
        }),
        ..RevokeSessionsRequest::default()
    });
    let mut admin = SessionAdminClient::new(server.channel());
    let reply = admin.revoke_sessions(request).await.expect("begins");
    let mut progress = reply.into_inner();
    while progress.message().await.expect("goes on").is_some() {}
}

async fn until_purged(client: &Client) {
    let left = "SELECT EXISTS (SELECT FROM sessions WHERE client_id = 'expired')";
    while client.query_one(left, &[]).await.expect("answers").get(0) {
        sleep(Duration::from_secs(1)).await;
    }
}

/// Devices that refresh one after another as fast as they can.
struct Devices {
    auth: AuthClient<Channel>,
    tokens: Vec<Arc<tokio::sync::Mutex<String>>>,
}

/// What refreshes were like, and for how long.
struct Refreshes {
    lasted: Duration,
    latencies: Vec<Duration>,
}

impl Devices {
    async fn sign_in(server: &Replica) -> Self {
        let mut tokens = Vec::new();
        for _ in 0..DEVICES {
            let device = server.sign_in().await;
            tokens.push(Arc::new(tokio::sync::Mutex::new(device.refresh_token)));
        }
        Self {
            auth: AuthClient::new(server.channel()),
            tokens,
        }
    }

    /// Refreshes until some work is done.
    async fn refresh_during(&self, work: impl Future<Output = ()>) -> Refreshes {
        let done = Arc::new(AtomicBool::new(false));
        let started = Instant::now();
        let refreshing: Vec<_> = self
            .tokens
            .iter()
            .map(|token| {
                tokio::spawn(refresh(
                    self.auth.clone(),
                    Arc::clone(token),
                    Arc::clone(&done),
                ))
            })
            .collect();
        work.await;
        done.store(true, Ordering::Relaxed);
        let lasted = started.elapsed();
        let mut latencies = Vec::new();
        for device in refreshing {
            latencies.extend(device.await.expect("no refresh fails"));
        }
        latencies.sort_unstable();
        Refreshes { lasted, latencies }
    }
}

async fn refresh(
    mut auth: AuthClient<Channel>,
    token: Arc<tokio::sync::Mutex<String>>,
    done: Arc<AtomicBool>,
) -> Vec<Duration> {
    let mut token = token.lock().await;
    let mut latencies = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let request = RefreshRequest {
            refresh_token: token.clone(),
            request_id: uuid::Uuid::now_v7().to_string(),
            ..RefreshRequest::default()
        };
        let started = Instant::now();
        let reply = auth.refresh(request).await.expect("lives");
        latencies.push(started.elapsed());
        *token = reply.into_inner().tokens.expect("tokens").refresh_token;
    }
    latencies
}

impl Refreshes {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.lasted.as_secs_f64()
    }

    fn percentile(&self, percent: usize) -> Duration {
        self.latencies[self.latencies.len() * percent / 100]
    }
}

fn report(what: &str, quiet: &Refreshes, beside: &Refreshes) {
    println!(
        "{DEVICES} devices refresh while {what}: {:.1?}",
        beside.lasted
    );
    for (name, it) in [("alone ", quiet), ("beside", beside)] {
        let (median, most) = (it.percentile(50), it.percentile(99));
        println!(
            "{name}  {:7.0} per second, median {median:.1?}, p99 {most:.1?}",
            it.rate()
        );
    }
    println!("ratio   {:7.2}", beside.rate() / quiet.rate());
}
