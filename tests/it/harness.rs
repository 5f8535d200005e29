//! A server of its own for each test, in the production layers, on a database of its
//! own: a copy of one prepared template on a private Postgres.

mod balancer;
mod cluster;
mod database;
pub mod http2;
mod inspect;
mod lifecycle;
pub mod process;
mod raw;
mod requests;
mod wire;

use std::{net::SocketAddr, ops::Deref, sync::LazyLock, time::Duration};

use clap::Parser;
use rollcall::{
    config::{Cli, Command, ListenAddress, Serve},
    identity::{
        Identity, MasterKey,
        password::{HashingOptions, PasswordHasher},
    },
    model::{
        audit::Act,
        ids::UserId,
        login::Login,
        password::{Password, PasswordHash},
        role::Roles,
    },
    proto::v1::{
        self, audit_client::AuditClient, auth_client::AuthClient, key_admin_client::KeyAdminClient,
        session_admin_client::SessionAdminClient, user_admin_client::UserAdminClient,
        verification_client::VerificationClient,
    },
    server::Server,
    store::users,
};
use tokio::{
    sync::{OnceCell, oneshot},
    task::JoinHandle,
};
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

pub use balancer::Balancer;
pub use cluster::OwnCluster;
pub use database::{Database, sql};
pub use inspect::{
    LONG_WINDOWS, REVOKE, ROTATE, commitment, end_reason, refresh_at_once, refresh_in_a_race,
    says_when_to_retry,
};
pub use process::Process;
pub use raw::rpcs;
pub use requests::{NEXT_PASSWORD, Subject, authenticate, bound, fresh_login, good_request, mask};
pub use wire::{Field, Value, fields, set};

/// The password of every user in the tests.
pub const PASSWORD: &str = "violet-anchor-mosaic-73";

/// [`PASSWORD`] as the default options hash it: a hash costs more than all else in most tests.
static PASSWORD_HASH: OnceCell<PasswordHash> = OnceCell::const_new();

/// One master key for all tests: their databases tell them apart.
static MASTER_KEY: LazyLock<MasterKey> =
    LazyLock::new(|| MasterKey::generate().expect("the system has random bytes"));

/// The text of the master key.
pub fn master_key() -> String {
    MASTER_KEY.expose().to_string()
}

async fn hash_password() -> PasswordHash {
    hash(&HashingOptions::default()).await
}

async fn hash(options: &HashingOptions) -> PasswordHash {
    let hasher = PasswordHasher::new(*options).expect("usable options");
    let password = Password::new(PASSWORD).expect("a password");
    hasher.hash(&password).await.expect("hashed")
}

/// A database with one server on it.
pub struct Harness {
    pub database: Database,
    pub server: Replica,
}

impl Deref for Harness {
    type Target = Replica;

    fn deref(&self) -> &Replica {
        &self.server
    }
}

impl Harness {
    /// A server with the default configuration.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// A server with further options of `rollcall serve`.
    pub async fn with(options: &[&str]) -> Self {
        let database = Database::create().await;
        let server = Replica::start(&database, options).await;
        Self { database, server }
    }

    /// One more server on the same database.
    pub async fn replica(&self) -> Replica {
        Replica::start(&self.database, &[]).await
    }

    /// Runs SQL, to arrange or to assert.
    pub async fn sql(&self, statement: &str) -> Vec<tokio_postgres::Row> {
        self.database.sql(statement).await
    }

    /// The one value of the one row of a query.
    pub async fn scalar<T>(&self, query: &str) -> T
    where
        T: for<'a> tokio_postgres::types::FromSql<'a>,
    {
        let one = async |client: &tokio_postgres::Client| database::one(client, query).await;
        self.database.ask(one).await
    }
}

/// A running server.
pub struct Replica {
    pub identity: Identity,
    pub address: String,
    pub channel: Channel,
    /// Where its operations port is, if it has one.
    pub operations: Option<SocketAddr>,
    hashing: HashingOptions,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<Result<(), rollcall::server::Error>>>,
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

    /// Creates a user whose password is [`PASSWORD`].
    pub async fn create_user(&self, login: &str, roles: &[&str]) -> UserId {
        let costs = |options: &HashingOptions| (options.memory_kib, options.iterations);
        let password_hash = if costs(&self.hashing) == costs(&HashingOptions::default()) {
            PASSWORD_HASH.get_or_init(hash_password).await.clone()
        } else {
            hash(&self.hashing).await
        };
        self.create_user_with(login, roles, password_hash).await
    }

    /// Creates a user whose hash of [`PASSWORD`] is no other's.
    pub async fn create_user_with_own_hash(&self, login: &str) -> UserId {
        self.create_user_with(login, &[], hash(&self.hashing).await)
            .await
    }

    async fn create_user_with(
        &self,
        login: &str,
        roles: &[&str],
        password_hash: PasswordHash,
    ) -> UserId {
        let new = users::NewUser {
            id: UserId::generate(),
            login: Login::parse(login).expect("a login"),
            password_hash,
            display_name: String::new(),
            roles: Roles::parse(roles.iter().map(ToString::to_string).collect()).expect("roles"),
        };
        let create = async |conn: &mut _| users::create(conn, &Act::of_command_line(), &new).await;
        let created = self.identity.pool().run(create).await.expect("created");
        created.expect("a free login").id
    }

    /// Signs in on a device that has no id.
    pub async fn sign_in(&self, login: &str) -> SignedIn {
        self.sign_in_on(login, device("")).await
    }

    pub async fn sign_in_on(&self, login: &str, device: v1::Device) -> SignedIn {
        let request = v1::AuthenticateRequest {
            login: login.to_owned(),
            password: PASSWORD.to_owned(),
            device: Some(device),
            ..v1::AuthenticateRequest::default()
        };
        self.sign_in_as(request).await
    }

    /// Signs in as a client that holds one token.
    pub async fn sign_in_single(&self, login: &str) -> SignedIn {
        let request = v1::AuthenticateRequest {
            token_mode: v1::TokenMode::Single.into(),
            ..authenticate(login)
        };
        self.sign_in_as(request).await
    }

    pub async fn sign_in_as(&self, request: v1::AuthenticateRequest) -> SignedIn {
        let reply = self.auth().authenticate(request).await.expect("signs in");
        SignedIn::new(reply.into_inner())
    }

    /// Creates an operator and signs in.
    pub async fn admin(&self) -> SignedIn {
        self.create_user("operator", &["admin"]).await;
        self.sign_in("operator").await
    }

    /// Creates a service and signs in.
    pub async fn service(&self) -> SignedIn {
        self.create_user("orders", &["service"]).await;
        self.sign_in("orders").await
    }

    /// Renews an access token.
    pub async fn renew(&self, access_token: &str) -> Result<v1::RenewResponse, Status> {
        let request = v1::RenewRequest {
            access_token: access_token.to_owned(),
            ..v1::RenewRequest::default()
        };
        let reply = self.auth().renew(request).await?;
        Ok(reply.into_inner())
    }

    /// Drops the keys that have signed, with their tokens.
    pub async fn drop_signing_keys(&self) {
        let act = Default::default();
        let rotated = self.identity.rotate_signing_key_in_emergency(&act).await;
        rotated.expect("rotates");
    }

    /// Refreshes with a `request_id`, or without where it is empty.
    pub async fn refresh(
        &self,
        refresh_token: &str,
        request_id: &str,
    ) -> Result<v1::RefreshResponse, Status> {
        let request = v1::RefreshRequest {
            refresh_token: refresh_token.to_owned(),
            request_id: request_id.to_owned(),
            ..v1::RefreshRequest::default()
        };
        let reply = self.auth().refresh(request).await?;
        Ok(reply.into_inner())
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

/// A session as its device knows it.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub user_id: String,
    pub session_id: String,
    pub access_token: String,
    pub refresh_token: String,
    pub session: v1::Session,
}

impl SignedIn {
    pub fn new(reply: v1::AuthenticateResponse) -> Self {
        let tokens = reply.tokens.expect("tokens");
        let session = reply.session.expect("a session");
        Self {
            user_id: reply.user_id,
            session_id: session.session_id.clone(),
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            session,
        }
    }

    /// `message` as a request of this session.
    pub fn request<T>(&self, message: T) -> Request<T> {
        bearer(message, &self.access_token)
    }
}

/// `message` with an access token.
pub fn bearer<T>(message: T, access_token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {access_token}").parse().expect("ASCII");
    request.metadata_mut().insert("authorization", value);
    request
}

/// A device with this id, or without one.
pub fn device(device_id: &str) -> v1::Device {
    v1::Device {
        device_id: device_id.to_owned(),
        client_id: "test".to_owned(),
        ..v1::Device::default()
    }
}

/// A fresh `request_id`.
pub fn request_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// The refresh token of a reply.
pub fn successor(reply: &v1::RefreshResponse) -> &str {
    &reply.tokens.as_ref().expect("tokens").refresh_token
}

/// The `reason` of an error's ErrorInfo.
pub fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("every error has ErrorInfo");
    assert_eq!(info.domain, "rollcall");
    info.reason.clone()
}

/// The fields that an error names.
pub fn violated_fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let bad = details.bad_request().expect("BadRequest");
    bad.field_violations
        .iter()
        .map(|v| v.field.clone())
        .collect()
}

/// The claims of an access token, whoever signed it.
pub fn claims(access_token: &str) -> serde_json::Value {
    jsonwebtoken::dangerous::insecure_decode::<serde_json::Value>(access_token)
        .expect("a JWT")
        .claims
}

/// A value of the metadata of an error's ErrorInfo; empty where there is none.
pub fn metadata(status: &Status, key: &str) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("every error has ErrorInfo");
    info.metadata.get(key).cloned().unwrap_or_default()
}

/// How long a test waits for what must happen, so that it fails instead of hanging; longer
/// than any machine stalls.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Waits for what must happen; where it never does, the test fails instead of hanging.
pub async fn patiently<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// Waits until something holds that nobody tells of.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            pause().await;
        }
    };
    patiently(what, waiting).await;
}

/// Between two looks at what is waited for, which needs the processor more than they do.
pub async fn pause() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}
