//! For how long what has happened is kept.

use clap::Args;
use humantime::Duration;

/// For how long what has happened is kept.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Retention")]
pub struct RetentionOptions {
    /// For how long audit events are kept: at least 1day.
    #[arg(
        long,
        env = "ROLLCALL_AUDIT_RETENTION",
        default_value = "365days",
        value_name = "TIME"
    )]
    pub audit_retention: Duration,
}
