//! The options of the audit trail.

use clap::Args;
use humantime::Duration;

/// The audit trail.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Audit trail")]
pub struct AuditOptions {
    /// For how long audit events are kept: at least 1day.
    #[arg(
        long,
        env = "ROLLCALL_AUDIT_RETENTION",
        default_value = "365days",
        value_name = "TIME"
    )]
    pub audit_retention: Duration,
}
