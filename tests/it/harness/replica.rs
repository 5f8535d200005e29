//! A server in the process of the tests, and its clients.

use std::{net::SocketAddr, sync::LazyLock};

use clap::Parser;
use rollcall::{
    config::{Cli, Command, ListenAddress, Serve},
    identity::{Identity, MasterKey, password::HashingOptions},
    proto::v1::{
        audit_client::AuditClient, auth_client::AuthClient, key_admin_client::KeyAdminClient,
        session_admin_client::SessionAdminClient, user_admin_client::UserAdminClient,
        verification_client::VerificationClient,
    },
    server::Server,
};
use tokio::{sync::oneshot, task::JoinHandle};
use tonic::transport::{Channel, Endpoint};

use super::{Database, lifecycle};

/// One master key for all tests: their databases tell them apart.
static MASTER_KEY: LazyLock<MasterKey> =
    LazyLock::new(|| MasterKey::generate().expect("the system has random bytes"));

/// The text of the master key.
pub fn master_key() -> String {
    MASTER_KEY.expose().to_string()
}

/// A running server.
pub struct Replica {
    pub identity: Identity,
    pub address: String,
    pub channel: Channel,
    /// Where its operations port is, if it has one.
    pub operations: Option<SocketAddr>,
    pub(super) hashing: HashingOptions,
    pub(super) stop: Option<oneshot::Sender<()>>,
    pub(super) running: Option<JoinHandle<Result<(), rollcall::server::Error>>>,
}

impl Replica {
    pub async fn start(database: &Database, options: &[&str]) -> Self {
        let replica = Self::launch(database.url(), options).await;
        replica.wait_until_serving().await;
        replica
    }

    /// A server whose looks at what others commit reach back over five times
    /// `statement_timeout`; its own statements may take as long as any other's.
    pub async fn looking_back(database: &Database, statement_timeout: &str) -> Self {
        let url = database.url_with("statement_timeout", "10min");
        let replica = Self::launch(&url, &["--statement-timeout", statement_timeout]).await;
        replica.wait_until_serving().await;
        replica
    }

    /// A server that listens, and may not be ready.
    pub async fn launch(url: &str, options: &[&str]) -> Self {
        Self::launch_at(url, options, lifecycle::endpoint).await
    }

    /// The same, connected to in a way of the test's own.
    pub async fn launch_at(
        url: &str,
        options: &[&str],
        endpoint: impl FnOnce(&str) -> Endpoint,
    ) -> Self {
        let config = config(url, options);
        let hashing = config.password.hashing();
        let server = Server::bind(config).await.expect("binds");
        let ListenAddress::Tcp(address) = server.address().clone() else {
            panic!("the tests listen on TCP");
        };
        let identity = server.identity().clone();
        let operations = server.operations_address();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        let address = address.to_string();
        Self {
            identity,
            channel: lifecycle::connect(endpoint(&address)).await,
            address,
            operations,
            hashing,
            stop: Some(stop),
            running: Some(running),
        }
    }

    /// The address of its operations port, which it has.
    pub fn operations(&self) -> SocketAddr {
        self.operations.expect("started with --operations-listen")
    }

    pub fn auth(&self) -> AuthClient<Channel> {
        AuthClient::new(self.channel.clone())
    }

    pub fn session_admin(&self) -> SessionAdminClient<Channel> {
        SessionAdminClient::new(self.channel.clone())
    }

    pub fn audit(&self) -> AuditClient<Channel> {
        AuditClient::new(self.channel.clone())
    }

    pub fn key_admin(&self) -> KeyAdminClient<Channel> {
        KeyAdminClient::new(self.channel.clone())
    }

    pub fn user_admin(&self) -> UserAdminClient<Channel> {
        UserAdminClient::new(self.channel.clone())
    }

    pub fn verification(&self) -> VerificationClient<Channel> {
        VerificationClient::new(self.channel.clone())
    }
}

/// The configuration of a server: the options of `rollcall serve`.
pub fn config(url: &str, options: &[&str]) -> Serve {
    let key = MASTER_KEY.expose();
    let defaults = [
        ("--database-url", url),
        ("--master-key", &*key),
        ("--listen", "127.0.0.1:0"),
        ("--issuer", "https://id.test"),
        ("--max-connections", "8"),
        ("--drain-pause", "0s"),
        // Most tests refresh and sign in faster than any client does.
        ("--refresh-min-interval", "0s"),
        ("--sign-ins-per-address", "0"),
        ("--sign-ins-per-login", "0"),
        // Longer than a test holds a lock, and than a busy machine stalls.
        ("--statement-timeout", "10m"),
        ("--connection-timeout", "10m"),
        ("--request-timeout", "10m"),
    ];
    let is_given = |option| {
        options
            .iter()
            .any(|given| given.split('=').next() == Some(option))
    };
    let mut arguments = vec!["rollcall", "serve"];
    for (option, value) in defaults {
        if !is_given(option) {
            arguments.extend([option, value]);
        }
    }
    arguments.extend(options);
    match Cli::try_parse_from(arguments)
        .expect("the options are known")
        .command
    {
        Command::Serve(config) => *config,
        other => panic!("not serve: {other:?}"),
    }
}
