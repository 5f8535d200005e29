//! The options, by subject.

use std::num::NonZeroUsize;

use clap::Args;
use humantime::Duration;

use super::{AccessTokenOptions, ListenAddress, RefreshOptions, silent::silent};
use crate::{
    identity::password::HashingOptions,
    model::{forwarded::TrustedProxies, password::PasswordPolicy},
    store::{DatabaseUrl, PoolOptions},
};

/// The database.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseOptions {
    /// The Postgres to use, as libpq writes it:
    /// postgresql://USER:PASSWORD@HOST/NAME?sslmode=verify-full
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL", value_parser = silent::<DatabaseUrl>())]
    pub database_url: DatabaseUrl,
}

/// The connections to the database.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Database")]
pub struct ConnectionOptions {
    /// The most connections to the database.
    #[arg(
        long,
        env = "ROLLCALL_MAX_CONNECTIONS",
        default_value = "16",
        value_name = "N"
    )]
    pub max_connections: NonZeroUsize,

    /// How long one statement may take.
    #[arg(
        long,
        env = "ROLLCALL_STATEMENT_TIMEOUT",
        default_value = "5s",
        value_name = "TIME"
    )]
    pub statement_timeout: Duration,

    /// How long a call waits for a connection.
    #[arg(
        long,
        env = "ROLLCALL_CONNECTION_TIMEOUT",
        default_value = "5s",
        value_name = "TIME"
    )]
    pub connection_timeout: Duration,
}

impl ConnectionOptions {
    /// The options of the pool.
    #[must_use]
    pub fn pool(&self) -> PoolOptions {
        PoolOptions {
            max_connections: self.max_connections,
            statement_timeout: *self.statement_timeout,
            connection_timeout: *self.connection_timeout,
        }
    }
}

/// The listener.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Listener")]
pub struct ListenOptions {
    /// Where to listen: HOST:PORT, or unix:PATH.
    #[arg(
        long = "listen",
        env = "ROLLCALL_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "ADDRESS"
    )]
    pub address: ListenAddress,

    /// The networks whose word about a caller's address is taken, separated by commas: of
    /// proxies and of the services in between. Empty for none; unix sockets are always
    /// trusted. Proxies tell it by x-forwarded-for or by forwarded: where a call has both,
    /// neither counts.
    #[arg(
        long,
        env = "ROLLCALL_TRUSTED_PROXIES",
        default_value = "127.0.0.0/8,::1/128",
        value_name = "CIDR"
    )]
    pub trusted_proxies: TrustedProxies,

    /// How long a call may take; a shorter grpc-timeout of the caller counts.
    #[arg(
        long,
        env = "ROLLCALL_REQUEST_TIMEOUT",
        default_value = "10s",
        value_name = "TIME"
    )]
    pub request_timeout: Duration,

    /// The most calls at once on one connection.
    #[arg(
        long,
        env = "ROLLCALL_MAX_CONCURRENT_STREAMS",
        default_value_t = 200,
        value_name = "N"
    )]
    pub max_concurrent_streams: u32,

    /// The most watchers of revocations on this replica (Verification.WatchRevocations).
    #[arg(
        long,
        env = "ROLLCALL_MAX_WATCHERS",
        default_value_t = 10_000,
        value_name = "N"
    )]
    pub max_watchers: usize,

    /// How often a silent connection is probed.
    #[arg(
        long,
        env = "ROLLCALL_KEEPALIVE_INTERVAL",
        default_value = "30s",
        value_name = "TIME"
    )]
    pub keepalive_interval: Duration,

    /// How long a new connection, or one that is probed, may stay silent before it is
    /// closed.
    #[arg(
        long,
        env = "ROLLCALL_KEEPALIVE_TIMEOUT",
        default_value = "10s",
        value_name = "TIME"
    )]
    pub keepalive_timeout: Duration,

    /// How long health says NOT_SERVING before connections are drained, so that load
    /// balancers see it.
    #[arg(
        long,
        env = "ROLLCALL_DRAIN_PAUSE",
        default_value = "5s",
        value_name = "TIME"
    )]
    pub drain_pause: Duration,

    /// How long calls under way may take to end; then the process exits all the same.
    #[arg(
        long,
        env = "ROLLCALL_DRAIN_LIMIT",
        default_value = "20s",
        value_name = "TIME"
    )]
    pub drain_limit: Duration,
}

/// Tokens, sessions and users.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Tokens, sessions and users")]
pub struct IdentityOptions {
    /// Who issues the access tokens: the `iss` claim, an https URL of this service.
    #[arg(long, env = "ROLLCALL_ISSUER", value_name = "URL")]
    pub issuer: String,

    /// For whom the access tokens are: the `aud` claim.
    #[arg(
        long,
        env = "ROLLCALL_AUDIENCE",
        default_value = "rollcall",
        value_name = "NAME"
    )]
    pub audience: String,

    /// How long a session lives unless it is refreshed.
    #[arg(
        long,
        env = "ROLLCALL_SESSION_IDLE_LIFETIME",
        default_value = "30days",
        value_name = "TIME"
    )]
    pub session_idle_lifetime: Duration,

    /// How long a session lives, however active it is.
    #[arg(
        long,
        env = "ROLLCALL_SESSION_ABSOLUTE_LIFETIME",
        default_value = "180days",
        value_name = "TIME"
    )]
    pub session_absolute_lifetime: Duration,

    /// For how long a session is kept after it expired or was ended; then its row goes.
    #[arg(
        long,
        env = "ROLLCALL_SESSION_RETENTION",
        default_value = "30days",
        value_name = "TIME"
    )]
    pub session_retention: Duration,

    /// How often sessions are counted (SessionAdmin.GetSessionStats), by one replica for all.
    #[arg(
        long,
        env = "ROLLCALL_SESSION_STATS_INTERVAL",
        default_value = "1m",
        value_name = "TIME"
    )]
    pub session_stats_interval: Duration,

    /// For how long a refresh with a request_id can be repeated.
    #[arg(
        long,
        env = "ROLLCALL_REPLAY_WINDOW",
        default_value = "120s",
        value_name = "TIME"
    )]
    pub replay_window: Duration,

    /// For how long a refresh without a request_id can be repeated.
    #[arg(
        long,
        env = "ROLLCALL_REPLAY_LEEWAY",
        default_value = "10s",
        value_name = "TIME"
    )]
    pub replay_leeway: Duration,

    /// Refreshes in quick succession, and what they leave behind.
    #[command(flatten)]
    pub refreshing: RefreshOptions,

    /// How long ago users may have signed in to end other sessions of theirs.
    #[arg(
        long,
        env = "ROLLCALL_RECENT_SIGN_IN",
        default_value = "15m",
        value_name = "TIME"
    )]
    pub recent_sign_in: Duration,

    /// Lets anybody register.
    #[arg(long, env = "ROLLCALL_REGISTRATION")]
    pub registration: bool,

    /// Access tokens, and the keys that sign them: last, since its heading would be that of
    /// the options after it.
    #[command(flatten)]
    pub access_tokens: AccessTokenOptions,
}

/// Which passwords can be set, and how they are hashed: Argon2id (RFC 9106).
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Passwords")]
pub struct PasswordOptions {
    /// The fewest characters of a password: 8 to 64.
    #[arg(long, env = "ROLLCALL_PASSWORD_MIN_CHARACTERS", default_value = "15", value_parser = parse_policy, value_name = "N")]
    pub password_min_characters: PasswordPolicy,

    /// The memory of one hash, in KiB.
    #[arg(
        long,
        env = "ROLLCALL_ARGON2_MEMORY",
        default_value_t = 19_456,
        value_name = "KIB"
    )]
    pub argon2_memory: u32,

    /// The passes over that memory.
    #[arg(
        long,
        env = "ROLLCALL_ARGON2_ITERATIONS",
        default_value_t = 2,
        value_name = "N"
    )]
    pub argon2_iterations: u32,

    /// How many hashes run at once. Default: one per core.
    #[arg(long, env = "ROLLCALL_HASHING_CONCURRENCY", value_name = "N")]
    pub hashing_concurrency: Option<usize>,

    /// How many hashes wait for those; the surplus is refused at once. Default: eight
    /// per hash that runs.
    #[arg(long, env = "ROLLCALL_HASHING_QUEUE", value_name = "N")]
    pub hashing_queue: Option<usize>,
}

impl PasswordOptions {
    /// The options of the hasher.
    #[must_use]
    pub fn hashing(&self) -> HashingOptions {
        let defaults = HashingOptions::default();
        let concurrency = self.hashing_concurrency.unwrap_or(defaults.concurrency);
        HashingOptions {
            memory_kib: self.argon2_memory,
            iterations: self.argon2_iterations,
            concurrency,
            queue: self.hashing_queue.unwrap_or(8 * concurrency),
            ..defaults
        }
    }
}

fn parse_policy(text: &str) -> Result<PasswordPolicy, String> {
    let min = text.parse().map_err(|_| "must be a number".to_owned())?;
    PasswordPolicy::new(min).map_err(|error| error.to_string())
}
