//! `rollcall users`.

mod many;

use clap::{Args, Subcommand, ValueEnum};

use super::{
    DatabaseOptions, PasswordOptions,
    remote::{ConfirmOptions, PasswordSource, RemoteOptions},
};

pub use many::{ExportUsers, ImportUsers, ListUsers, UserFilter};

/// Manages users. USER is an id or a login; what looks like a UUID is taken for an id.
#[derive(Debug, Subcommand)]
pub enum Users {
    /// Lists users, newest first.
    List(Box<ListUsers>),
    /// Shows one user.
    Get(OneUser),
    /// Creates a user, and prints a generated password unless one is given.
    Create(Box<CreateUser>),
    /// Creates the first operator, on the database itself: while there is none to ask as.
    CreateFirst(Box<CreateFirstUser>),
    /// Changes the display name or the roles of a user.
    Update(Box<UpdateUser>),
    /// Lets a user sign in again.
    Enable(OneUser),
    /// Keeps a user from signing in, and ends all of the user's sessions.
    Disable(OneUserConfirmed),
    /// Sets the password of a user, and ends all of the user's sessions.
    SetPassword(SetPassword),
    /// Lets a user's passwords be checked again after too many in a row were wrong.
    Unlock(OneUser),
    /// Deletes a user, and ends all of the user's sessions.
    Delete(OneUserConfirmed),
    /// Creates users from another system, with the hashes of their passwords.
    Import(ImportUsers),
    /// Writes all users, without passwords, as JSON lines.
    Export(ExportUsers),
    /// Prints a token with which a user can set a password once.
    IssueResetToken(IssueResetToken),
    /// Adds an email address or a telephone number to sign in with.
    AddLogin(AddLogin),
    /// Removes a login from a user.
    RemoveLogin(RemoveLogin),
}

/// A command about one user.
#[derive(Debug, Args)]
pub struct OneUser {
    /// The user: an id or a login.
    #[arg(value_name = "USER")]
    pub user: String,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// A command about one user that asks first.
#[derive(Debug, Args)]
pub struct OneUserConfirmed {
    /// The user: an id or a login.
    #[arg(value_name = "USER")]
    pub user: String,

    /// Whether to ask.
    #[command(flatten)]
    pub confirm: ConfirmOptions,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall users create`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollcall users create ana --display-name 'Ana Silva'
  rollcall users create orders --role service --password-file orders.password")]
pub struct CreateUser {
    /// The login of the user.
    #[arg(value_name = "LOGIN")]
    pub login: String,

    /// What people call the user.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub display_name: String,

    /// Gives a role; may be repeated. `admin` lets a user call the admin services, `service`
    /// lets a service check the tokens of others.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,

    /// The password. Default: a generated one, which is printed once.
    #[command(flatten)]
    pub password: PasswordSource,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall users create-first`.
#[derive(Debug, Args)]
#[command(after_help = "\
Refused while there is an operator, a user who has the role admin and is neither disabled nor
locked: sign in as one, and use `rollcall users create`.")]
pub struct CreateFirstUser {
    /// The login of the operator.
    #[arg(value_name = "LOGIN")]
    pub login: String,

    /// The password. Default: a generated one, which is printed once.
    #[command(flatten)]
    pub source: PasswordSource,

    /// The database.
    #[command(flatten)]
    pub database: DatabaseOptions,

    /// Which passwords can be set, and how they are hashed.
    #[command(flatten)]
    pub password: PasswordOptions,
}

/// The options of `rollcall users update`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollcall users update ana --display-name 'Ana Silva'
  rollcall users update ana --role support --role auditor
  rollcall users update ana --no-roles")]
#[group(id = "changes", required = true, multiple = true, args = ["display_name", "roles", "no_roles"])]
pub struct UpdateUser {
    /// The user: an id or a login.
    #[arg(value_name = "USER")]
    pub user: String,

    /// What people are to call the user.
    #[arg(long, value_name = "NAME")]
    pub display_name: Option<String>,

    /// A role that the user is to have; may be repeated. The others are taken away.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,

    /// Takes all roles away.
    #[arg(long, conflicts_with = "roles")]
    pub no_roles: bool,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall users set-password`.
#[derive(Debug, Args)]
pub struct SetPassword {
    /// The user: an id or a login.
    #[arg(value_name = "USER")]
    pub user: String,

    /// The password. Default: asked for on the terminal, twice.
    #[command(flatten)]
    pub password: PasswordSource,

    /// Whether to ask.
    #[command(flatten)]
    pub confirm: ConfirmOptions,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall users issue-reset-token`.
#[derive(Debug, Args)]
#[command(after_help = "\
Whoever has the token can set the password: deliver it by a channel that you trust. A later
token voids the earlier. The password and the sessions stay as they are until it is used.")]
pub struct IssueResetToken {
    /// The user: an id or a login.
    #[arg(value_name = "USER")]
    pub user: String,

    /// For how long the token can be used: 1m to 1day.
    #[arg(long, value_name = "TIME", default_value = "15m")]
    pub lifetime: humantime::Duration,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// What kind of login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LoginKind {
    /// An email address.
    Email,
    /// A telephone number: +351912345678.
    Phone,
}

/// The options of `rollcall users add-login`.
#[derive(Debug, Args)]
pub struct AddLogin {
    /// The user: an id or a login.
    #[arg(value_name = "USER")]
    pub user: String,

    /// The email address or the telephone number.
    #[arg(value_name = "LOGIN")]
    pub login: String,

    /// What it is. Default: an email address where it contains @, else a telephone number.
    #[arg(long, value_enum, value_name = "KIND")]
    pub kind: Option<LoginKind>,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall users remove-login`.
#[derive(Debug, Args)]
pub struct RemoveLogin {
    /// The user: an id or a login.
    #[arg(value_name = "USER")]
    pub user: String,

    /// The login to remove.
    #[arg(value_name = "LOGIN")]
    pub login: String,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}
