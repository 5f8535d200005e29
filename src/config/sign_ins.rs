//! The options of sign-ins: what guessing and flooding come to, and how many sessions there
//! can be.

use std::num::NonZeroU32;

use clap::{Args, ValueEnum};

use super::check::{Error, require};
use crate::{
    identity::SignInSettings,
    model::session_limits::{SessionLimits, WhenFull},
};

/// The most sessions that a limit can be set to.
const MAX_SESSIONS: u32 = 10_000;

/// The most attempts a minute that a limit can be set to.
const MAX_PER_MINUTE: u32 = 1_000_000;

/// Sign-ins, and how many sessions they can open.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Sign-ins")]
pub struct SignInOptions {
    /// How many passwords of one user are checked in a row before one is right; after that
    /// none is, until an operator unlocks the user or the password is reset: 5 to 100.
    #[arg(
        long,
        env = "ROLLCALL_MAX_FAILED_ATTEMPTS",
        default_value_t = 100,
        value_name = "N"
    )]
    pub max_failed_attempts: u32,

    /// The most sign-ins a minute from one address, at this replica; 0 for no limit.
    #[arg(
        long,
        env = "ROLLCALL_SIGN_INS_PER_ADDRESS",
        default_value_t = 60,
        value_name = "N"
    )]
    pub sign_ins_per_address: u32,

    /// The most sign-ins a minute for one login, at this replica; 0 for no limit.
    #[arg(
        long,
        env = "ROLLCALL_SIGN_INS_PER_LOGIN",
        default_value_t = 20,
        value_name = "N"
    )]
    pub sign_ins_per_login: u32,

    /// The most live sessions of one user: 1 to 10000.
    #[arg(
        long,
        env = "ROLLCALL_MAX_SESSIONS_PER_USER",
        default_value_t = 100,
        value_name = "N"
    )]
    pub max_sessions_per_user: u32,

    /// The most live sessions of one user and client_id: 1 to 10000. Default: as many as of
    /// the user.
    #[arg(long, env = "ROLLCALL_MAX_SESSIONS_PER_CLIENT", value_name = "N")]
    pub max_sessions_per_client: Option<u32>,

    /// What happens to a sign-in beyond that: the least recently seen session ends
    /// (end-least-recent), or the sign-in is refused (refuse).
    #[arg(
        long,
        env = "ROLLCALL_WHEN_SESSIONS_FULL",
        value_enum,
        hide_possible_values = true,
        default_value = "end-least-recent",
        value_name = "RULE"
    )]
    pub when_sessions_full: WhenSessionsFull,
}

impl SignInOptions {
    /// Checks that the options are within their limits.
    pub(super) fn validate(&self) -> Result<(), Error> {
        require(
            (5..=100).contains(&self.max_failed_attempts),
            "--max-failed-attempts",
            "5 to 100",
        )?;
        for (option, rate) in [
            ("--sign-ins-per-address", self.sign_ins_per_address),
            ("--sign-ins-per-login", self.sign_ins_per_login),
        ] {
            require(rate <= MAX_PER_MINUTE, option, "at most 1000000")?;
        }
        for (option, most) in [
            ("--max-sessions-per-user", Some(self.max_sessions_per_user)),
            ("--max-sessions-per-client", self.max_sessions_per_client),
        ] {
            let fits = most.is_none_or(|most| (1..=MAX_SESSIONS).contains(&most));
            require(fits, option, "1 to 10000")?;
        }
        Ok(())
    }

    /// What sign-ins are to hold to.
    pub(super) fn settings(&self) -> SignInSettings {
        SignInSettings {
            max_failed_attempts: self.max_failed_attempts,
            per_address: NonZeroU32::new(self.sign_ins_per_address),
            per_login: NonZeroU32::new(self.sign_ins_per_login),
            sessions: SessionLimits {
                per_user: self.max_sessions_per_user,
                per_client: self.max_sessions_per_client,
                when_full: match self.when_sessions_full {
                    WhenSessionsFull::EndLeastRecent => WhenFull::EndLeastRecent,
                    WhenSessionsFull::Refuse => WhenFull::Refuse,
                },
            },
        }
    }
}

/// What happens to a sign-in of a user who has as many sessions as are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WhenSessionsFull {
    /// The least recently seen session ends.
    EndLeastRecent,
    /// The sign-in is refused.
    Refuse,
}
