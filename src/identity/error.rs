//! What can go wrong in a flow.

use std::time::Duration;

use super::{RateLimit, password::HashError};
use crate::{
    model::{password::Weakness, session::EndReason, session_limits::SessionLimit},
    store,
};

/// Why a flow did not do what was asked. `grpc::status` says how each looks on the
/// wire.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such user, a wrong password, or a disabled or locked user.
    #[error("invalid credentials")]
    InvalidCredentials,
    /// Too many attempts in a short time.
    #[error("too many attempts ({})", .limit.as_str())]
    RateLimited {
        /// Of what.
        limit: RateLimit,
        /// How long it is until the next one is taken.
        retry_after: Duration,
    },
    /// The password is right, but the user has as many sessions as are allowed.
    #[error("the user has as many sessions as are allowed ({})", .0.as_str())]
    SessionLimitReached(SessionLimit),
    /// Not an access token of this deployment.
    #[error("invalid access token")]
    AccessTokenInvalid,
    /// An access token whose time is over.
    #[error("expired access token")]
    AccessTokenExpired,
    /// Not a refresh token of this deployment, or of a session that is gone.
    #[error("invalid refresh token")]
    RefreshTokenInvalid,
    /// A refresh token that two parties hold; its session was ended.
    #[error("reused refresh token")]
    RefreshTokenReused,
    /// The session expired (`None`) or was ended.
    #[error("the session has ended")]
    SessionEnded(Option<EndReason>),
    /// The session was refreshed a moment ago.
    #[error("the session was refreshed a moment ago")]
    RefreshedTooOften {
        /// How long it is until it can be refreshed again.
        retry_after: Duration,
    },
    /// The call came from elsewhere than its session is bound to.
    #[error("the session is bound to another user agent or address")]
    SessionBindingBroken,
    /// The refresh token is newer than the database.
    #[error("the database lost the generation of the refresh token")]
    GenerationAhead,
    /// The `request_id` is the one that made the token.
    #[error("the request_id made this refresh token")]
    RequestIdRepeated,
    /// The caller is not an operator.
    #[error("the caller does not have the role admin")]
    AdminRequired,
    /// The caller is no service that may ask about tokens.
    #[error("the caller has neither the role service nor admin")]
    ServiceRequired,
    /// The caller is not known, and did not sign in as a service either.
    #[error("the caller is not known")]
    CallerNotAllowed,
    /// The caller signed in too long ago.
    #[error("the caller signed in too long ago")]
    RecentSignInRequired,
    /// No such session, or not the caller's.
    #[error("no such session")]
    SessionNotFound,
    /// No such user.
    #[error("no such user")]
    UserNotFound,
    /// Another user has the login.
    #[error("the login is taken")]
    LoginTaken,
    /// The user does not have the login.
    #[error("the user does not have the login")]
    LoginNotFound,
    /// The login is the one that the user was created with.
    #[error("the user was created with the login")]
    LoginFixed,
    /// The user has as many logins as are allowed.
    #[error("the user has as many logins as are allowed")]
    TooManyLogins,
    /// Not a password reset token of this deployment, or one that cannot be used any more.
    #[error("invalid password reset token")]
    PasswordResetTokenInvalid,
    /// Registration is off.
    #[error("registration is off")]
    RegistrationDisabled,
    /// The new password is refused.
    #[error("the new password is refused")]
    WeakPassword(#[source] Weakness),
    /// This replica has as many watchers as it takes.
    #[error("this replica has as many watchers as it takes")]
    TooManyWatchers,
    /// A watcher read too slowly.
    #[error("the watcher read too slowly")]
    WatchLagged,
    /// The next signing key has not been published for long enough.
    #[error("the next signing key has not been published for --signing-key-lead yet")]
    NextKeyTooNew(Duration),
    /// A concurrent change got in the way, repeatedly.
    #[error("a concurrent change got in the way")]
    Conflict,
    /// The server is starting.
    #[error("the signing keys are not loaded")]
    NotReady,
    /// The password could not be hashed.
    #[error("hashing failed")]
    Hash(#[from] HashError),
    /// The database could not be asked.
    #[error("the database failed")]
    Store(#[from] store::Error),
    /// A key could not be used.
    #[error("cryptography failed: {0}")]
    Crypto(&'static str),
    /// The task that opens or ends a session panicked or was stopped.
    #[error("the task that opens or ends a session was stopped")]
    Stopped,
    /// The database's signing key is sealed under another master key.
    #[error(
        "no master key opens signing key {kid}: the database was set up with another \
         master key, which has to be in the ring until `rollcall keys reseal` was run"
    )]
    WrongMasterKey {
        /// Which key.
        kid: String,
    },
    /// An access token could not be encoded.
    #[error("signing failed")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

impl From<aws_lc_rs::error::Unspecified> for Error {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Crypto("the library gives no reason; random bytes may be lacking")
    }
}
