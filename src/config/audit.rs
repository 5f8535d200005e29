//! `rollcall audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{
    remote::{LimitOptions, RemoteOptions, SessionOptions},
    when::When,
};

/// Sees who did what, and when.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Lists events, newest first.
    List(Box<ListEvents>),
    /// Shows events as they happen, until it is interrupted.
    Watch(Box<WatchEvents>),
    /// Writes all events as JSON lines, newest first.
    Export(Box<ExportEvents>),
}

/// Which events; conditions that are given must all hold.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filter")]
pub struct EventFilter {
    /// About this user: an id or a login.
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,

    /// About this session.
    #[arg(long, value_name = "UUID")]
    pub session_id: Option<String>,

    /// Done by this operator: an id or a login.
    #[arg(long, value_name = "USER")]
    pub actor: Option<String>,

    /// Of this kind: signed-in, session-ended, refresh-token-reused; may be repeated.
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<String>,
}

/// When the events happened.
#[derive(Clone, Copy, Debug, Default, Args)]
#[command(next_help_heading = "Filter")]
pub struct EventTimes {
    /// At or after a time (2026-11-25T08:30:00Z), or less than so long ago (2h).
    #[arg(long, value_name = "WHEN")]
    pub after: Option<When>,

    /// Before a time, or longer ago.
    #[arg(long, value_name = "WHEN")]
    pub before: Option<When>,
}

/// The options of `rollcall audit list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollcall audit list --user ana --after 1day
  rollcall audit list --kind refresh-token-reused --output json")]
pub struct ListEvents {
    /// Which events.
    #[command(flatten)]
    pub filter: EventFilter,

    /// When.
    #[command(flatten)]
    pub times: EventTimes,

    /// How many.
    #[command(flatten)]
    pub limit: LimitOptions,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall audit watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
When the connection breaks, it is made again, and no event is missed. With --cursor-file none is
missed between one run and the next either; where a run was killed between an event and the
file, the next one shows that event again.

Examples:
  rollcall audit watch --kind refresh-token-reused --kind new-device
  rollcall audit watch --output json --cursor-file audit.cursor >> audit.jsonl")]
pub struct WatchEvents {
    /// Which events.
    #[command(flatten)]
    pub filter: EventFilter,

    /// Goes on where the run before stopped, and keeps in this file how far it is. Where
    /// there is none yet, it begins at this moment.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub cursor_file: Option<PathBuf>,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall audit export`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollcall audit export --after 2026-11-01T00:00:00Z --before 2026-12-01T00:00:00Z > november.jsonl")]
pub struct ExportEvents {
    /// Which events.
    #[command(flatten)]
    pub filter: EventFilter,

    /// When.
    #[command(flatten)]
    pub times: EventTimes,

    /// Which server.
    #[command(flatten)]
    pub session: SessionOptions,
}
