//! The options of who may call `Auth`.

use clap::{Args, ValueEnum};

use crate::model::san::San;

/// Who may call `Auth`.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Callers")]
pub struct CallerOptions {
    /// Who may call the RPCs of Auth that need no access token: anybody (any), or who shows
    /// a client certificate or the access token of a service (known).
    #[arg(
        long,
        env = "ROLLCALL_AUTH_CALLERS",
        value_enum,
        hide_possible_values = true,
        default_value = "any",
        value_name = "WHO"
    )]
    pub auth_callers: AuthCallers,

    /// Which client certificates count as known: those with one of these subject
    /// alternative names, DNS names, URIs or email addresses, to the letter. Default: every
    /// one.
    #[arg(
        long,
        env = "ROLLCALL_AUTH_CALLER_SANS",
        value_delimiter = ',',
        value_name = "NAME,..."
    )]
    pub auth_caller_sans: Vec<San>,
}

/// Who may call the RPCs of `Auth` that need no access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthCallers {
    /// Anybody.
    Any,
    /// Who shows a client certificate or the access token of a service.
    Known,
}
