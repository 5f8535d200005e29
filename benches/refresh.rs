//! How fast a refresh is, end to end, beside the bare UPDATE on the same database in
//! the same run: the ratio means something on any machine, the figures do not.
//!
//! `cargo bench`

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark reports to a person"
)]

use std::{
    env,
    time::{Duration, Instant},
};

use clap::Parser;
use futures_util::future::join_all;
use rollcall::{
    config::{Cli, Command, Serve},
    dev::postgres::{self, Cluster, Settings},
    identity::{AuthCaller, MasterKey, NewUser, SignIn},
    model::{
        audit::Act,
        login::Login,
        password::Password,
        role::Roles,
        session::{Device, Origin},
        token_mode::TokenMode,
    },
    proto::v1::{RefreshRequest, auth_client::AuthClient},
    server::Server,
    store,
};
use tokio_postgres::{Client, NoTls};
use tonic::transport::{Channel, Endpoint};

const DEVICES: usize = 16;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const PASSWORD: &str = "violet-anchor-mosaic-73";

/// What a refresh does to its row, without a word about tokens.
const BARE: &str = "UPDATE sessions SET generation = generation + 0, h_previous = h_current, \
     rotated_at = now(), last_seen_at = now() WHERE user_id = $1::text::uuid AND id = $2::text::uuid";

#[tokio::main]
async fn main() {
    let dir = env::temp_dir().join("rollcall-bench");
    let settings = Settings {
        durable: true,
        options: Vec::new(),
    };
    let cluster = Cluster::start(&dir, &settings).expect("a private Postgres");
    let mut devices = sign_in_all(&cluster.url("postgres")).await;

    let (mut refreshes, mut updates) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let refreshed = rate(devices.iter_mut().map(BenchDevice::refresh)).await;
        let updated = rate(devices.iter_mut().map(BenchDevice::update)).await;
        // The first round warms up.
        if round > 0 {
            refreshes.push(refreshed);
            updates.push(updated);
        }
    }
    let (refreshed, updated) = (median(refreshes), median(updates));
    println!("{DEVICES} devices at once, median of {ROUNDS} rounds of {ROUND:?}");
    println!("refreshes end to end  {refreshed:8.0} per second");
    println!("bare UPDATEs          {updated:8.0} per second");
    println!("ratio                 {:8.2}", refreshed / updated);

    drop(cluster);
    postgres::remove(&dir).expect("the folder can be removed");
}

/// A device that refreshes, and a connection that does nothing but its UPDATE.
struct BenchDevice {
    auth: AuthClient<Channel>,
    refresh_token: String,
    client: Client,
    bare: tokio_postgres::Statement,
    user_id: uuid::Uuid,
    session_id: uuid::Uuid,
}

impl BenchDevice {
    async fn refresh(&mut self) -> u32 {
        let (started, mut done) = (Instant::now(), 0);
        while started.elapsed() < ROUND {
            let request = RefreshRequest {
                refresh_token: self.refresh_token.clone(),
                request_id: uuid::Uuid::now_v7().to_string(),
                ..RefreshRequest::default()
            };
            let reply = self.auth.refresh(request).await.expect("refreshes");
            let tokens = reply.into_inner().tokens.expect("tokens");
            self.refresh_token = tokens.refresh_token;
            done += 1;
        }
        done
    }

    /// Leaves the generation alone, so that the device can go on refreshing.
    async fn update(&mut self) -> u32 {
        let (user, session) = (self.user_id.to_string(), self.session_id.to_string());
        let (started, mut done) = (Instant::now(), 0);
        while started.elapsed() < ROUND {
            let updated = self.client.execute(&self.bare, &[&user, &session]).await;
            assert_eq!(updated.expect("updates"), 1);
            done += 1;
        }
        done
    }
}

async fn sign_in_all(url: &str) -> Vec<BenchDevice> {
    let key = MasterKey::generate().expect("random bytes").expose();
    let arguments = [
        "rollcall",
        "serve",
        "--database-url",
        url,
        "--master-key",
        &key,
        "--listen",
        "127.0.0.1:0",
        "--sign-ins-per-login",
        "0",
        "--refresh-min-interval",
        "0s",
        "--issuer",
        "https://id.test",
    ];
    store::migrate(&url.parse().expect("a URL"))
        .await
        .expect("migrates");
    let server = Server::bind(serve_options(&arguments))
        .await
        .expect("binds");
    let identity = server.identity().clone();
    identity.load_signing_keys().await.expect("keys");
    let endpoint = format!("http://{}", server.address());
    tokio::spawn(server.run(std::future::pending()));

    let user = NewUser {
        login: Login::parse(&format!("bench-{}", uuid::Uuid::now_v7())).expect("a login"),
        password: Password::new(PASSWORD).expect("a password"),
        display_name: String::new(),
        roles: Roles::default(),
    };
    let act = Act::of_rollcall();
    let created = identity.create_user(&act, user).await;
    let login = created.expect("a user").login;
    let mut devices = Vec::new();
    for _ in 0..DEVICES {
        let signed_in = identity.sign_in(act.clone(), sign_in(&login)).await;
        let granted = signed_in.expect("signs in").granted;
        let channel = Endpoint::from_shared(endpoint.clone())
            .expect("a URL")
            .connect_lazy();
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connects");
        tokio::spawn(connection);
        devices.push(BenchDevice {
            auth: AuthClient::new(channel),
            refresh_token: granted.refresh_token.expose().to_owned(),
            bare: client.prepare(BARE).await.expect("prepares"),
            client,
            user_id: granted.session.user_id.0,
            session_id: granted.session.id.0,
        });
    }
    devices
}

fn serve_options(arguments: &[&str]) -> Serve {
    match Cli::parse_from(arguments).command {
        Command::Serve(options) => *options,
        other => panic!("not serve: {other:?}"),
    }
}

fn sign_in(login: &str) -> SignIn {
    SignIn {
        login: login.to_owned(),
        password: Password::new(PASSWORD).expect("a password"),
        device: Device {
            device_id: None,
            display_name: String::new(),
            client_id: "bench".to_owned(),
            origin: Origin {
                user_agent: String::new(),
                ip_address: None,
            },
        },
        token_mode: TokenMode::Pair,
        binding: None,
        caller: AuthCaller::Known,
    }
}

/// How much was done per second, by all together.
async fn rate(rounds: impl Iterator<Item = impl Future<Output = u32>>) -> f64 {
    let done: u32 = join_all(rounds).await.into_iter().sum();
    f64::from(done) / ROUND.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
