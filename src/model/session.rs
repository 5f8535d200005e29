//! Sessions: one sign-in of one user on one device.

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    binding::Binding,
    ids::{SessionId, UserId},
    stored_texts::stored_texts,
    token_mode::TokenMode,
};

/// What a client said about the device it signed in on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The client's own stable id of the installation.
    pub device_id: Option<String>,
    /// What a person calls the device; may be empty.
    pub display_name: String,
    /// Which application signed in: the `client_id` claim.
    pub client_id: String,
    /// From where.
    pub origin: Origin,
}

/// From where a call came, as the calling service saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The user agent with its control characters escaped; may be empty.
    pub user_agent: String,
    /// The address; unknown behind a unix socket.
    pub ip_address: Option<IpAddr>,
}

/// A session as its row has it.
#[derive(Clone, Debug)]
pub struct Session {
    /// The `sid` claim.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// The device and origin of the sign-in.
    pub device: Device,
    /// When the user signed in: the `auth_time` claim.
    pub created_at: OffsetDateTime,
    /// When it expires, however active it is.
    pub absolute_expires_at: OffsetDateTime,
    /// How often it was refreshed: the `gen` claim.
    pub generation: u32,
    /// When its generation was made: the `iat` claim of its access token.
    pub rotated_at: OffsetDateTime,
    /// When it was last used.
    pub last_seen_at: OffsetDateTime,
    /// The origin of that last use.
    pub last_origin: Origin,
    /// When it expires unless it is refreshed before.
    pub idle_expires_at: OffsetDateTime,
    /// When and why it was ended.
    pub ended: Option<Ended>,
    /// Which tokens its client holds.
    pub token_mode: TokenMode,
    /// What it is bound to.
    pub binding: Option<Binding>,
}

/// The end of a session before it expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When.
    pub at: OffsetDateTime,
    /// Why.
    pub reason: EndReason,
}

/// Whether a session can be refreshed at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can.
    Live,
    /// Its idle or its absolute limit has passed.
    Expired,
    /// It was ended before.
    Revoked(Ended),
}

impl Session {
    /// The state at `now`, a time of the database's clock. The limits themselves
    /// are already outside: a session lives strictly before them. One that was ended
    /// after it had expired has expired.
    #[must_use]
    pub fn state(&self, now: OffsetDateTime) -> State {
        let expires_at = self.idle_expires_at.min(self.absolute_expires_at);
        match self.ended {
            Some(ended) if ended.at < expires_at => State::Revoked(ended),
            None if now < expires_at => State::Live,
            Some(_) | None => State::Expired,
        }
    }

    /// Whether an access token of `generation` counts at `now`, a time of the database's
    /// clock. One that is ahead of the row, which lost a commit, is superseded by none.
    #[must_use]
    pub fn takes_generation(
        &self,
        generation: u32,
        now: OffsetDateTime,
        superseded: Superseded,
    ) -> bool {
        let Superseded::Deny { overlap } = superseded else {
            return true;
        };
        match self.generation.saturating_sub(generation) {
            0 => true,
            1 => now < self.rotated_at + overlap,
            _ => false,
        }
    }

    /// Whether a call from `origin` keeps what the session is bound to.
    #[must_use]
    pub fn takes_origin(&self, origin: &Origin) -> bool {
        self.binding
            .is_none_or(|binding| binding.holds(&self.device.origin, origin))
    }
}

/// What becomes of a session's earlier access tokens once it was refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Superseded {
    /// They hold until they expire.
    Allow,
    /// They are refused.
    Deny {
        /// For how long the last of them holds all the same, for calls in flight.
        overlap: Duration,
    },
}

stored_texts! {
    /// Why a session was ended before it expired. Its text is in an error's metadata and in logs,
    /// too.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    pub enum EndReason {
        /// The client signed out.
        LoggedOut = "LOGGED_OUT",
        /// The user ended it from another session.
        RevokedByUser = "REVOKED_BY_USER",
        /// An operator ended it.
        RevokedByAdmin = "REVOKED_BY_ADMIN",
        /// The user signed in again on the same device.
        Replaced = "REPLACED",
        /// Two parties held its refresh token.
        TokenReused = "TOKEN_REUSED",
        /// The password was changed or set elsewhere.
        PasswordChanged = "PASSWORD_CHANGED",
        /// The user was disabled.
        UserDisabled = "USER_DISABLED",
        /// The user was deleted.
        UserDeleted = "USER_DELETED",
        /// A refresh came from elsewhere than the session is bound to.
        BindingBroken = "BINDING_BROKEN",
        /// The user signed in elsewhere and had as many sessions as are allowed.
        Displaced = "DISPLACED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_reasons_survive_their_text() {
        for reason in EndReason::ALL {
            assert_eq!(EndReason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(EndReason::parse("OTHER"), None);
    }
}
