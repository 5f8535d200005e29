//! The commands about many users.

use std::path::PathBuf;

use clap::Args;

use crate::config::{
    remote::{LimitOptions, RemoteOptions, SessionOptions},
    when::When,
};

/// Which users; conditions that are given must all hold.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filter")]
pub struct UserFilter {
    /// With a login that begins with this.
    #[arg(long, value_name = "TEXT")]
    pub login_prefix: Option<String>,

    /// Whose display name contains this, whatever the case.
    #[arg(long, value_name = "TEXT")]
    pub display_name_contains: Option<String>,

    /// With this role.
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,

    /// Who are disabled; --disabled=false for those who are not.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub disabled: Option<bool>,

    /// Who are locked; --locked=false for those who are not.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub locked: Option<bool>,

    /// Who are online: with a session used no longer ago than an access token lives.
    #[arg(long)]
    pub online: bool,

    /// Created at or after a time (2026-11-25T08:30:00Z), or less than so long ago (2h).
    #[arg(long, value_name = "WHEN")]
    pub created_after: Option<When>,

    /// Created before a time, or longer ago.
    #[arg(long, value_name = "WHEN")]
    pub created_before: Option<When>,
}

/// The options of `rollcall users list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollcall users list --role admin
  rollcall users list --locked
  rollcall users list --login-prefix an --output json")]
pub struct ListUsers {
    /// Which users.
    #[command(flatten)]
    pub filter: UserFilter,

    /// How many.
    #[command(flatten)]
    pub limit: LimitOptions,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall users import`.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is a user as JSON, the message ImportUsersRequest:
  {\"login\": \"ana\", \"passwordHash\": \"$2b$12$...\", \"displayName\": \"Ana\", \"roles\": [\"support\"]}
A line of `rollcall users export` does too; that user has no password until one is set.

Users whose login exists are passed over, so that an import that broke can be repeated. What
cannot be imported is named on standard error by its line, and the exit code is 1 then: each line
that is no user, and the first 100 users that the server refuses.")]
pub struct ImportUsers {
    /// The file of JSON lines; - for standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall users export`.
#[derive(Debug, Args)]
pub struct ExportUsers {
    /// Which users.
    #[command(flatten)]
    pub filter: UserFilter,

    /// Which server.
    #[command(flatten)]
    pub session: SessionOptions,
}
