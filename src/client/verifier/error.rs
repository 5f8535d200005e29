//! Why a token is not taken, and why a verifier could not begin.

use std::{collections::HashMap, error::Error, time::Duration};

use tonic::{Code, Status};

use crate::{
    client::{answer, endpoint::AddressError, token_source::TokenError},
    model::access_token::{Claims, Invalid},
    proto::v1::ErrorReason,
};

/// When to ask again, while the revocations are not known.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why a token is not taken.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is no access token of this issuer for this audience.
    #[error("the access token is not valid: {0}")]
    Invalid(Invalid),
    /// The key that signed it was dropped in an emergency.
    #[error("the access token was signed with a key that is not trusted any more")]
    KeyDropped,
    /// It has expired. Its signature is good.
    #[error("the access token has expired")]
    Expired(Box<Claims>),
    /// Its session has ended.
    #[error("the session of the access token has ended")]
    SessionEnded,
    /// A later token of its session is the one that counts.
    #[error("the access token was superseded by a refresh")]
    Superseded,
    /// Rollcall was asked, and does not take it.
    #[error("the access token is not active")]
    Inactive,
    /// It is good as far as is known, but the feed was not heard for too long.
    #[error("the revocations of the last {0:?} are not known")]
    Stale(Duration),
    /// The feed was not heard for too long, and Rollcall could not be asked.
    #[error("the revocations are not known, and Rollcall cannot be asked: {}", answer::text(.0))]
    Unavailable(Box<Status>),
}

impl VerifyError {
    /// The reason as Rollcall itself would name it.
    #[must_use]
    pub fn reason(&self) -> ErrorReason {
        match self {
            Self::Invalid(_) | Self::KeyDropped | Self::Inactive => ErrorReason::AccessTokenInvalid,
            // The client has the later token, or gets one by a refresh.
            Self::Expired(_) | Self::Superseded => ErrorReason::AccessTokenExpired,
            Self::SessionEnded => ErrorReason::SessionEnded,
            Self::Stale(_) | Self::Unavailable(_) => ErrorReason::Unavailable,
        }
    }

    /// What the owner of the token is told: the reason, and no more.
    #[must_use]
    pub fn status(&self) -> Status {
        let reason = self.reason();
        let (code, message, retry) = match reason {
            ErrorReason::AccessTokenExpired => {
                (Code::Unauthenticated, "the access token has expired", None)
            }
            ErrorReason::SessionEnded => (Code::Unauthenticated, "the session has ended", None),
            ErrorReason::Unavailable => (
                Code::Unavailable,
                "access tokens cannot be checked at the moment",
                Some(RETRY_DELAY),
            ),
            _ => (Code::Unauthenticated, answer::TOKEN_REQUIRED, None),
        };
        answer::status(code, reason, message, HashMap::new(), retry)
    }
}

/// Why a verifier could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// What should be an address is none.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A setting was not given.
    #[error("the verifier needs {0}")]
    Missing(&'static str),
    /// Nothing answers there.
    #[error("Rollcall cannot be reached at {address}: {}", answer::text(.status))]
    Unreachable {
        /// Where.
        address: String,
        /// Why.
        status: Box<Status>,
    },
    /// Rollcall answers, and refuses.
    #[error("Rollcall at {address} refuses: {}", answer::text(.status))]
    Refused {
        /// Where.
        address: String,
        /// What it said.
        status: Box<Status>,
    },
    /// What answers there is not Rollcall.
    #[error("what answers at {address} is not Rollcall: {}", answer::text(.status))]
    NotRollcall {
        /// Where.
        address: String,
        /// What it said.
        status: Box<Status>,
    },
    /// The verifier's own account cannot sign in.
    #[error("the verifier cannot sign in to Rollcall at {address}: {why}")]
    SignIn {
        /// Where.
        address: String,
        /// Why.
        why: TokenError,
    },
    /// The verifier's own account may not ask.
    #[error(
        "the account of the verifier at {address} has neither the role `service` nor \
         `admin`: `rollcall users create --role service`, or `UserAdmin.UpdateUser`"
    )]
    RoleMissing {
        /// Where.
        address: String,
    },
    /// Rollcall issues in another name.
    #[error(
        "the verifier expects tokens issued by `{expected}`, but Rollcall at {address} \
         issues them as `{found}`: compare `.issuer(..)` with the server's `--issuer`"
    )]
    Issuer {
        /// Where.
        address: String,
        /// What the verifier was built with.
        expected: String,
        /// What the server's tokens say.
        found: String,
    },
    /// Rollcall issues for another audience.
    #[error(
        "the verifier expects tokens for the audience `{expected}`, but Rollcall at \
         {address} issues them for `{found}`: compare `.audience(..)` with the server's \
         `--audience`"
    )]
    Audience {
        /// Where.
        address: String,
        /// What the verifier was built with.
        expected: String,
        /// What the server's tokens say.
        found: String,
    },
    /// The verifier's own token, which is new, has expired by the clock of this machine.
    #[error(
        "an access token that Rollcall at {address} just issued has expired by the clock of this machine: set the clock"
    )]
    Clock {
        /// Where.
        address: String,
    },
    /// The verifier's own token does not hold.
    #[error("the verifier's own access token from Rollcall at {address} does not hold: {why}")]
    OwnToken {
        /// Where.
        address: String,
        /// What is wrong with it.
        why: VerifyError,
    },
    /// Rollcall did not answer all that a verifier asks at first: a sign-in, the keys, and
    /// the known revocations.
    #[error("Rollcall at {address} did not let the verifier begin within {limit:?}")]
    TimedOut {
        /// Where.
        address: String,
        /// The limit.
        limit: Duration,
    },
}

impl ConnectError {
    /// The error that a status of the first calls is.
    pub(super) fn of(address: &str, status: Status) -> Self {
        let (address, code) = (address.to_owned(), status.code());
        // A connection that broke during the call, and no answer.
        let is_broken =
            matches!(code, Code::Unknown | Code::Cancelled) && status.source().is_some();
        let (reason, status) = (answer::reason(&status), Box::new(status));
        match (code, reason) {
            (_, Some(ErrorReason::RoleRequired)) => Self::RoleMissing { address },
            (_, Some(_)) => Self::Refused { address, status },
            (Code::Unavailable | Code::DeadlineExceeded, None) => {
                Self::Unreachable { address, status }
            }
            (_, None) if is_broken => Self::Unreachable { address, status },
            (_, None) => Self::NotRollcall { address, status },
        }
    }

    /// The error that a failed sign-in is.
    pub(super) fn of_sign_in(address: &str, why: TokenError) -> Self {
        match why {
            TokenError::TryLater { status, .. } | TokenError::Refused(status)
                if answer::reason(&status).is_none() =>
            {
                Self::of(address, *status)
            }
            why => Self::SignIn {
                address: address.to_owned(),
                why,
            },
        }
    }
}
