//! The command line; every option is an environment variable as well.

mod address;
mod check;
mod keys;
mod options;
mod refreshing;
mod sign_ins;
mod silent;

pub use address::ListenAddress;
pub use check::Error;
pub use keys::{AccessTokenOptions, Keys, MasterKeyOptions, ResealKeys, RotateKeys};
pub use options::{
    ConnectionOptions, DatabaseOptions, IdentityOptions, ListenOptions, PasswordOptions,
};
pub use refreshing::{RefreshOptions, SupersededAccessTokens};
pub use sign_ins::{SignInOptions, WhenSessionsFull};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::identity::Settings;

/// A gRPC identity service in which every device has a session of its own.
///
/// `rollcall dev` tries it out with a database of its own. `rollcall serve` runs it.
#[derive(Debug, Parser)]
#[command(name = "rollcall", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// What to log: a level, or levels per module (`info,rollcall=debug`). Default:
    /// `info`, and `warn` where there is a screen to keep clear, in `dev`.
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
            Command::Dev(_) => "warn",
            _ => "info",
        };
        self.log.as_deref().unwrap_or(default)
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
    /// Makes and rotates keys, around a running server.
    #[command(subcommand)]
    Keys(Keys),
    /// Makes users, around a running server: the first operator.
    #[command(subcommand)]
    User(User),
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

    /// Tokens, sessions and users.
    #[command(flatten)]
    pub identity: IdentityOptions,

    /// Sign-ins.
    #[command(flatten)]
    pub sign_ins: SignInOptions,

    /// Passwords.
    #[command(flatten)]
    pub password: PasswordOptions,
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
            replay_window: *identity.replay_window,
            replay_leeway: *identity.replay_leeway,
            refresh_min_interval: identity.refreshing.min_interval(),
            superseded: identity.refreshing.superseded(),
            recent_sign_in: *identity.recent_sign_in,
            max_watchers: self.listen.max_watchers,
            revocation_overlap: *self.connections.statement_timeout * STATEMENTS,
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

/// Makes users.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Creates a user, and prints a generated password unless one is given.
    Create(CreateUser),
}

/// The options of `rollcall user create`.
#[derive(Debug, Args)]
pub struct CreateUser {
    /// The login of the user.
    #[arg(value_name = "NAME")]
    pub login: String,

    /// Gives the role `admin`: the user can call the admin services.
    #[arg(long)]
    pub admin: bool,

    /// Gives a role; may be repeated. `service` lets a service check the tokens of others.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,

    /// Reads the password from standard input, instead of generating one.
    #[arg(long)]
    pub password_stdin: bool,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseOptions,

    /// Which passwords can be set, and how they are hashed.
    #[command(flatten)]
    pub password: PasswordOptions,
}
