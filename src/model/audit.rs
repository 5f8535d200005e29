//! The audit trail: who did what, to whom, by which call.

mod detail;

use std::net::IpAddr;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    ids::{SessionId, UserId},
    stored_texts::stored_texts,
};
pub use detail::{
    BindingBreach, Bound, Detail, PasswordResetTokenIssue, RefreshTokenReuse, SessionEnd,
    SessionsRevocation, SignIn, SignInFailure, SignInFailureReason, SigningKeyRotation, TokenUse,
    UserChange, UserLogin, UserSnapshot,
};

stored_texts! {
    /// What happened.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum EventKind {
        /// A session was opened.
        SignedIn = "SIGNED_IN",
        /// A sign-in failed, or the check of a current password.
        SignInFailed = "SIGN_IN_FAILED",
        /// A session was ended before it expired.
        SessionEnded = "SESSION_ENDED",
        /// A token was used by two parties.
        RefreshTokenReused = "REFRESH_TOKEN_REUSED",
        /// A token was used from elsewhere than its session is bound to.
        SessionBindingBroken = "SESSION_BINDING_BROKEN",
        /// A user signed in on a device or a network that is new.
        NewDevice = "NEW_DEVICE",
        /// A user was created.
        UserCreated = "USER_CREATED",
        /// A user's display name, roles or state were changed.
        UserUpdated = "USER_UPDATED",
        /// A user was deleted.
        UserDeleted = "USER_DELETED",
        /// A user changed the own password.
        PasswordChanged = "PASSWORD_CHANGED",
        /// An operator set a user's password.
        PasswordSet = "PASSWORD_SET",
        /// A password reset token was issued.
        PasswordResetTokenIssued = "PASSWORD_RESET_TOKEN_ISSUED",
        /// A password was reset with a token.
        PasswordReset = "PASSWORD_RESET",
        /// A login was added to a user.
        LoginAdded = "LOGIN_ADDED",
        /// A login was removed from a user.
        LoginRemoved = "LOGIN_REMOVED",
        /// A user's passwords are not checked any more.
        UserLocked = "USER_LOCKED",
        /// An operator let a user's passwords be checked again.
        UserUnlocked = "USER_UNLOCKED",
        /// Another key signs access tokens.
        SigningKeyRotated = "SIGNING_KEY_ROTATED",
        /// An operator began to end sessions by a filter.
        SessionsRevoked = "SESSIONS_REVOKED",
        /// An operator had signing keys sealed under another master key.
        SigningKeysResealed = "SIGNING_KEYS_RESEALED",
        /// A password reset token was presented that cannot be used.
        PasswordResetRefused = "PASSWORD_RESET_REFUSED",
    }
}

/// By which call something is done, and for whom if not by the user whom it is about. Each
/// flow that changes something takes one, and the store writes it into the event of the
/// change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Act {
    /// Who does it to others.
    pub actor: Option<Actor>,
    /// The `x-request-id` of the call; empty where no call does it.
    pub request_id: String,
    /// The address of the device where a service in between told it, else of the caller.
    pub ip_address: Option<IpAddr>,
}

/// Who does something to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// An operator.
    Operator {
        /// Who.
        user_id: UserId,
        /// On which session.
        session_id: SessionId,
    },
    /// The command line on the machine of the database, around a server.
    CommandLine,
}

impl Act {
    /// What a user does by a call.
    #[must_use]
    pub fn of_call(request_id: String, ip_address: Option<IpAddr>) -> Self {
        Self {
            actor: None,
            request_id,
            ip_address,
        }
    }

    /// What the command line does around a server.
    #[must_use]
    pub fn of_command_line() -> Self {
        Self {
            actor: Some(Actor::CommandLine),
            ..Self::default()
        }
    }

    /// What Rollcall does by itself.
    #[must_use]
    pub fn of_rollcall() -> Self {
        Self::default()
    }

    /// The same, done by `actor` to others.
    #[must_use]
    pub fn by(self, actor: Actor) -> Self {
        Self {
            actor: Some(actor),
            ..self
        }
    }

    /// The same from a device's address, where it is known.
    #[must_use]
    pub fn from_device(self, ip_address: Option<IpAddr>) -> Self {
        Self {
            ip_address: ip_address.or(self.ip_address),
            ..self
        }
    }
}

/// Something that is to be told.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// About which user.
    pub user_id: Option<UserId>,
    /// About which session.
    pub session_id: Option<SessionId>,
    /// What belongs to the kind.
    pub detail: Option<Detail>,
}

impl NewEvent {
    /// What happened to a user, of which there is nothing more to say.
    #[must_use]
    pub fn of_user(kind: EventKind, user_id: UserId) -> Self {
        Self {
            kind,
            user_id: Some(user_id),
            session_id: None,
            detail: None,
        }
    }
}

/// The id of an event: a UUID version 7 whose time is that of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub Uuid);

impl EventId {
    /// The least id of an event of this time, whose milliseconds it has.
    #[must_use]
    pub fn first_of(time: OffsetDateTime) -> Self {
        let millis = u128::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
        Self(Uuid::from_u128(millis << 80))
    }

    /// The least id that is greater.
    #[must_use]
    pub fn next(self) -> Self {
        Self(Uuid::from_u128(self.0.as_u128().saturating_add(1)))
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// The time of its transaction.
    pub created_at: OffsetDateTime,
    /// What happened; `None` where a newer release has a kind that this one does not know.
    pub kind: Option<EventKind>,
    /// About which user.
    pub user_id: Option<UserId>,
    /// About which session.
    pub session_id: Option<SessionId>,
    /// By which call, and who.
    pub act: Act,
    /// What belongs to the kind; `None` where it has nothing, or another release wrote it in
    /// a shape that this one does not know.
    pub detail: Option<Detail>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_survive_their_text() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(*kind));
        }
        assert_eq!(EventKind::parse("OTHER"), None);
    }

    #[test]
    fn ids_of_a_millisecond_begin_with_it() {
        let time = OffsetDateTime::from_unix_timestamp_nanos(0x18b_cfe5_687b * 1_000_000 + 999_999);
        let first = EventId::first_of(time.unwrap());
        let text = "018bcfe5-687b-0000-0000-000000000000";
        assert_eq!(first.0.to_string(), text);
        assert_eq!(first.next().0.as_u128(), first.0.as_u128() + 1);
        let before_1970 = OffsetDateTime::UNIX_EPOCH - time::Duration::DAY;
        assert!(EventId::first_of(before_1970).0.is_nil());
    }
}
