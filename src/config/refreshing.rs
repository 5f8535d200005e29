//! The options of refreshes in quick succession, and of what they leave behind.

use clap::{Args, ValueEnum};
use humantime::Duration;

use crate::model::session::Superseded;

/// Refreshes in quick succession, and what they leave behind.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Tokens, sessions and users")]
pub struct RefreshOptions {
    /// How old a session's tokens must be to be refreshed; 0s lets them be of any age.
    #[arg(
        long,
        env = "ROLLCALL_REFRESH_MIN_INTERVAL",
        default_value = "1s",
        value_name = "TIME"
    )]
    pub refresh_min_interval: Duration,

    /// Whether a session's earlier access tokens hold until they expire (allow), or are
    /// refused once it was refreshed (deny).
    #[arg(
        long,
        env = "ROLLCALL_SUPERSEDED_ACCESS_TOKENS",
        value_enum,
        hide_possible_values = true,
        default_value = "allow",
        value_name = "RULE"
    )]
    pub superseded_access_tokens: SupersededAccessTokens,

    /// For how long the last of those holds all the same where they are denied, for calls
    /// in flight.
    #[arg(
        long,
        env = "ROLLCALL_SUPERSEDED_OVERLAP",
        default_value = "10s",
        value_name = "TIME"
    )]
    pub superseded_overlap: Duration,
}

impl RefreshOptions {
    /// How old tokens must be; `None` for any age.
    pub(super) fn min_interval(&self) -> Option<std::time::Duration> {
        Some(*self.refresh_min_interval).filter(|interval| !interval.is_zero())
    }

    /// What becomes of earlier access tokens.
    pub(super) fn superseded(&self) -> Superseded {
        match self.superseded_access_tokens {
            SupersededAccessTokens::Allow => Superseded::Allow,
            SupersededAccessTokens::Deny => Superseded::Deny {
                overlap: *self.superseded_overlap,
            },
        }
    }
}

/// What becomes of a session's earlier access tokens once it was refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SupersededAccessTokens {
    /// They hold until they expire.
    Allow,
    /// They are refused.
    Deny,
}
