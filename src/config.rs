//! The command line. The options of `serve` are environment variables as well, and so is, of
//! every other command, which server it asks, as whom, and how it shows the answer.

mod address;
mod audit;
mod callers;
mod check;
mod exit_codes;
mod keys;
mod operations;
mod options;
mod refreshing;
mod remote;
mod retention;
mod sessions;
mod sign_ins;
mod silent;
mod tls;
mod users;
mod when;

pub use address::ListenAddress;
pub use audit::{Audit, EventFilter, EventTimes, ExportEvents, ListEvents, WatchEvents};
pub use callers::{AuthCallers, CallerOptions};
pub use check::Error;
pub use keys::{AccessTokenOptions, Keys, MasterKeyOptions, RotateKeys};
pub use operations::OperationsOptions;
pub use options::{
    ConnectionOptions, DatabaseOptions, IdentityOptions, ListenOptions, PasswordOptions,
};
pub use refreshing::{RefreshOptions, SupersededAccessTokens};
pub use remote::{
    ConfirmOptions, Format, Health, LimitOptions, Login, PasswordSource, RemoteOptions,
    ServerOptions, SessionOptions,
};
pub use retention::RetentionOptions;
pub use sessions::{
    Generations, GetSession, ListSessions, MySessions, RevokeAllSessions, RevokeSessions,
    RevokeUserSessions, SessionFilter, Sessions,
};
pub use sign_ins::{SignInOptions, WhenSessionsFull};
pub use tls::{TlsClientAuth, TlsFiles, TlsOptions};
pub use users::{
    AddLogin, CreateFirstUser, CreateUser, ExportUsers, ImportUsers, IssueResetToken, ListUsers,
    LoginKind, OneUser, OneUserConfirmed, RemoveLogin, SetPassword, UpdateUser, UserFilter, Users,
};
pub use when::When;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{identity::Settings, telemetry::TraceOptions};
use exit_codes::with_exit_codes;

/// For how long the last traces are sent at the end, unless the drain limit is shorter.
const LAST_TRACES: Duration = Duration::from_secs(2);

/// A gRPC identity service in which every device has a session of its own.
///
/// `rollcall dev` tries it out with a database of its own, `rollcall serve` runs it, and the
/// other commands ask a server that runs, once `rollcall login` has signed in.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, max_term_width = 100)]
#[command(after_help = exit_codes::OF_REMOTE, mut_subcommands(with_exit_codes))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// What to log: a level, or levels per module (`info,rollcall=debug`). Default: `info` in
    /// `serve` and `migrate`, `warn` in `dev`, `error` elsewhere.
    #[arg(
        long,
        env = "ROLLCALL_LOG",
        global = true,
        value_name = "FILTER",
        display_order = 900
    )]
    pub log: Option<String>,
}

impl Cli {
    /// What to log.
    #[must_use]
    pub fn log_filter(&self) -> &str {
        let default = match self.command {
            Command::Serve(_) | Command::Migrate(_) => "info",
            Command::Dev(_) => "warn",
            // What went wrong is said once, in words.
            _ => "error",
        };
        self.log.as_deref().unwrap_or(default)
    }

    /// Which calls to trace, and where to send the traces; `None` for nowhere.
    ///
    /// # Errors
    ///
    /// When OpenTelemetry's own variable for it makes no sense.
    pub fn traces(&self) -> Result<Option<TraceOptions>, String> {
        match &self.command {
            Command::Serve(serve) => serve.operations.traces(),
            _ => Ok(None),
        }
    }

    /// For how long the last traces may be sent at the end.
    #[must_use]
    pub fn trace_limit(&self) -> Duration {
        match &self.command {
            Command::Serve(serve) => LAST_TRACES.min(*serve.listen.drain_limit),
            _ => LAST_TRACES,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the service on a Postgres of your own.
    Serve(Box<Serve>),
    /// Tries the service out: a private Postgres, demo users, a server, commands to paste.
    Dev(Dev),
    /// Brings the database's schema up to date, and exits.
    Migrate(DatabaseOptions),
    /// Signs in on a server, for the commands that ask it.
    Login(Login),
    /// Ends the session of `rollcall login`, and forgets its tokens.
    Logout(SessionOptions),
    /// Manages users.
    #[command(subcommand)]
    Users(Users),
    /// Sees and ends sessions.
    #[command(subcommand)]
    Sessions(Sessions),
    /// Makes and rotates keys.
    #[command(subcommand)]
    Keys(Keys),
    /// Sees who did what, and when.
    #[command(subcommand)]
    Audit(Audit),
    /// Asks whether a server serves: the probe of a container.
    Health(Health),
    /// Prints what a shell needs to complete the commands.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Writes a manual page for each command.
    Man {
        /// The folder to write them to.
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

/// The options of `rollcall serve`.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseOptions,

    /// The connections to it.
    #[command(flatten)]
    pub connections: ConnectionOptions,

    /// Refuses to start on an old schema, instead of migrating it.
    #[arg(long, env = "ROLLCALL_NO_MIGRATE")]
    pub no_migrate: bool,

    /// The master key.
    #[command(flatten)]
    pub master_key: MasterKeyOptions,

    /// The listener.
    #[command(flatten)]
    pub listen: ListenOptions,

    /// TLS on the listener.
    #[command(flatten)]
    pub tls: TlsOptions,

    /// Who may call `Auth`.
    #[command(flatten)]
    pub callers: CallerOptions,

    /// Tokens, sessions and users.
    #[command(flatten)]
    pub identity: IdentityOptions,

    /// Sign-ins.
    #[command(flatten)]
    pub sign_ins: SignInOptions,

    /// Passwords.
    #[command(flatten)]
    pub password: PasswordOptions,

    /// For how long what has happened is kept.
    #[command(flatten)]
    pub retention: RetentionOptions,

    /// Metrics, probes and traces.
    #[command(flatten)]
    pub operations: OperationsOptions,
}

/// How many statements one transaction has at most, and some to spare: together they take
/// no longer than so many times the limit of one.
const STATEMENTS: u32 = 5;

impl Serve {
    /// What the flows are to hold to.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let identity = &self.identity;
        Settings {
            issuer: identity.issuer.clone(),
            audience: identity.audience.clone(),
            access_token_lifetime: *identity.access_tokens.access_token_lifetime,
            session_idle_lifetime: *identity.session_idle_lifetime,
            session_absolute_lifetime: *identity.session_absolute_lifetime,
            session_retention: *identity.session_retention,
            session_stats_interval: *identity.session_stats_interval,
            replay_window: *identity.replay_window,
            replay_leeway: *identity.replay_leeway,
            refresh_min_interval: identity.refreshing.min_interval(),
            superseded: identity.refreshing.superseded(),
            recent_sign_in: *identity.recent_sign_in,
            max_watchers: self.listen.max_watchers,
            revocation_overlap: *self.connections.statement_timeout * STATEMENTS,
            audit_retention: *self.retention.audit_retention,
            registration: identity.registration,
            signing_keys: identity
                .access_tokens
                .policy(*identity.session_idle_lifetime),
            password_policy: self.password.password_min_characters,
            sign_ins: self.sign_ins.settings(),
        }
    }
}

/// The options of `rollcall dev`.
#[derive(Clone, Debug, Args)]
pub struct Dev {
    /// Where to listen: HOST:PORT, or unix:PATH.
    // Not ROLLCALL_LISTEN: nothing that was set for `serve` is meant for this.
    #[arg(
        long,
        env = "ROLLCALL_DEV_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "ADDRESS"
    )]
    pub listen: ListenAddress,

    /// Where to keep the database, the master key and the passwords. Default: a folder
    /// of yours, which the screen shows.
    #[arg(long, env = "ROLLCALL_DEV_DIR", value_name = "DIR")]
    pub dir: Option<PathBuf>,

    /// Throws away what earlier runs kept.
    #[arg(long)]
    pub fresh: bool,
}
