//! `rollcall sessions`.

use std::{ops::RangeInclusive, str::FromStr};

use clap::{Args, Subcommand};

use super::{
    remote::{ConfirmOptions, LimitOptions, RemoteOptions},
    when::When,
};

/// Sees and ends sessions.
#[derive(Debug, Subcommand)]
pub enum Sessions {
    /// Lists sessions, newest first, live ones only unless asked otherwise.
    List(Box<ListSessions>),
    /// Shows one session.
    Get(GetSession),
    /// Ends sessions, one or several, by their ids.
    Revoke(RevokeSessions),
    /// Ends all sessions of a user, or all but some. Counts and asks first.
    RevokeUser(RevokeUserSessions),
    /// Ends all live sessions that a filter meets. Counts and asks first.
    RevokeAll(Box<RevokeAllSessions>),
    /// Says how many sessions live, who is online, by application and by day.
    Stats(RemoteOptions),
    /// Lists the sessions of whoever is signed in here.
    Mine(MySessions),
}

/// Which sessions; conditions that are given must all hold.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filter")]
pub struct SessionFilter {
    /// Of the user with this login.
    #[arg(long, value_name = "LOGIN", conflicts_with = "user_id")]
    pub login: Option<String>,

    /// Of this user.
    #[arg(long, value_name = "UUID")]
    pub user_id: Option<String>,

    /// Of this application.
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,

    /// Of this device.
    #[arg(long, value_name = "ID")]
    pub device_id: Option<String>,

    /// Signed in or last refreshed from this address or network: 203.0.113.0/24.
    #[arg(long, value_name = "CIDR")]
    pub ip_prefix: Option<String>,

    /// Whose user agent contains this, whatever the case.
    #[arg(long, value_name = "TEXT")]
    pub user_agent_contains: Option<String>,

    /// Of users with this role.
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,

    /// Used no longer ago than an access token lives.
    #[arg(long)]
    pub online: bool,

    /// Refreshed so often: 0, 3..10, 5.. or ..2, the ends included.
    #[arg(long, value_name = "RANGE")]
    pub generation: Option<Generations>,

    /// Opened at or after a time (2026-11-25T08:30:00Z), or less than so long ago (2h).
    #[arg(long, value_name = "WHEN")]
    pub created_after: Option<When>,

    /// Opened before a time, or longer ago.
    #[arg(long, value_name = "WHEN")]
    pub created_before: Option<When>,

    /// Last used at or after a time, or less than so long ago.
    #[arg(long, value_name = "WHEN")]
    pub seen_after: Option<When>,

    /// Last used before a time, or longer ago.
    #[arg(long, value_name = "WHEN")]
    pub seen_before: Option<When>,
}

/// A range of generations, the ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generations {
    /// The first; `None` for any.
    pub first: Option<u32>,
    /// The last; `None` for any.
    pub last: Option<u32>,
}

impl From<RangeInclusive<u32>> for Generations {
    fn from(range: RangeInclusive<u32>) -> Self {
        Self {
            first: Some(*range.start()),
            last: Some(*range.end()),
        }
    }
}

impl FromStr for Generations {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let end = |text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(Some),
        };
        let parsed = match text.split_once("..") {
            None => text.parse().map(|one| Self::from(one..=one)),
            Some((first, last)) => end(first).and_then(|first| {
                let last = end(last)?;
                Ok(Self { first, last })
            }),
        };
        parsed.map_err(|_| "must be a range such as 3..10, 5.., ..2 or 0".to_owned())
    }
}

/// The options of `rollcall sessions list`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rollcall sessions list --login ana
  rollcall sessions list --user-agent-contains pixel --ip-prefix 203.0.113.0/24 --online
  rollcall sessions list --client-id web --seen-before 30days --output json")]
pub struct ListSessions {
    /// Which sessions.
    #[command(flatten)]
    pub filter: SessionFilter,

    /// Lists sessions that expired or were ended too.
    #[arg(long, help_heading = "Filter")]
    pub include_ended: bool,

    /// How many.
    #[command(flatten)]
    pub limit: LimitOptions,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall sessions get`.
#[derive(Debug, Args)]
pub struct GetSession {
    /// The id of the session.
    #[arg(value_name = "SESSION")]
    pub session_id: String,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall sessions revoke`.
#[derive(Debug, Args)]
pub struct RevokeSessions {
    /// The ids of the sessions.
    #[arg(value_name = "SESSION", required = true)]
    pub session_ids: Vec<String>,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall sessions revoke-user`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --yes the sessions are counted first, ten are shown, and it asks. Your own are among them
where you are the user.

Examples:
  rollcall sessions revoke-user ana --dry-run
  rollcall sessions revoke-user ana --except SESSION")]
pub struct RevokeUserSessions {
    /// The user: an id or a login.
    #[arg(value_name = "USER")]
    pub user: String,

    /// A session to keep; may be repeated.
    #[arg(long = "except", value_name = "SESSION")]
    pub except: Vec<String>,

    /// Counts only, and shows ten.
    #[arg(long)]
    pub dry_run: bool,

    /// Whether to ask.
    #[command(flatten)]
    pub confirm: ConfirmOptions,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall sessions revoke-all`.
#[derive(Debug, Args)]
#[command(after_help = "\
Without --yes the sessions are counted first, ten are shown, and the number has to be typed.
They are ended in batches, newest first; when the connection breaks, it goes on where it was.
The session that calls is never among them.

Examples:
  rollcall sessions revoke-all --client-id leaked-app --dry-run
  rollcall sessions revoke-all --client-id leaked-app
  rollcall sessions revoke-all --role contractor --created-before 1day --yes")]
pub struct RevokeAllSessions {
    /// Which sessions; at least one condition.
    #[command(flatten)]
    pub filter: SessionFilter,

    /// Counts only, and shows ten.
    #[arg(long)]
    pub dry_run: bool,

    /// Whether to ask.
    #[command(flatten)]
    pub confirm: ConfirmOptions,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

/// The options of `rollcall sessions mine`.
#[derive(Debug, Args)]
pub struct MySessions {
    /// How many.
    #[command(flatten)]
    pub limit: LimitOptions,

    /// Which server.
    #[command(flatten)]
    pub remote: RemoteOptions,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_end_of_a_range_of_generations_may_be_open() {
        let parse = |text: &str| {
            let range = text.parse::<Generations>().unwrap();
            (range.first, range.last)
        };
        assert_eq!(parse("3..10"), (Some(3), Some(10)));
        assert_eq!(parse("5.."), (Some(5), None));
        assert_eq!(parse("..2"), (None, Some(2)));
        assert_eq!(parse("0"), (Some(0), Some(0)));
        for bad in ["", "a..b", "1-2", "-1", "3..=4"] {
            assert!(bad.parse::<Generations>().is_err(), "{bad}");
        }
    }
}
