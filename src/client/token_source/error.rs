//! Why there is no access token, and what its caller should do.

use std::{fmt, io, sync::Arc, time::Duration};

use tonic::Status;

use crate::{
    client::{answer, backoff::jittered},
    proto::v1::ErrorReason,
};

/// When to try again, where Rollcall does not say.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How long a wrong password is not tried again.
const WRONG_PASSWORD_PAUSE: Duration = Duration::from_secs(30);

/// Why there is no access token.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is no session, or it has ended: the person has to sign in. Nothing else ever
    /// means that.
    #[error("sign in again: {0}")]
    SignInAgain(SignInAgain),
    /// Rollcall cannot be asked at the moment. The session is as it was; the next attempt
    /// is the same request again.
    #[error("try again later: {}", answer::text(.status))]
    TryLater {
        /// When to try again, at the earliest.
        retry_after: Duration,
        /// What went wrong.
        status: Box<Status>,
    },
    /// Rollcall takes the login and the password for wrong. It does not say which, nor
    /// whether the user is disabled.
    #[error(
        "Rollcall refuses the login `{login}`: there is no such user, the password is wrong, \
         or the user is disabled"
    )]
    Credentials {
        /// The login.
        login: String,
    },
    /// Rollcall refuses the request, and would again. The session is as it was.
    #[error("Rollcall refuses: {}", answer::text(.0))]
    Refused(Box<Status>),
    /// What is stored cannot be read or written.
    #[error("{0}")]
    Store(Arc<io::Error>),
}

/// Why the person has to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignInAgain {
    /// Nobody has signed in, or somebody signed out.
    NotSignedIn,
    /// Rollcall does not know the refresh token.
    RefreshTokenInvalid,
    /// The refresh token was used by another party, or too long ago: tell the person.
    RefreshTokenReused,
    /// The session expired or was ended: for the reason given, the name of a
    /// `SessionEndReason` without its prefix, or `EXPIRED`.
    SessionEnded(String),
}

impl fmt::Display for SignInAgain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSignedIn => f.write_str("nobody is signed in"),
            Self::RefreshTokenInvalid => f.write_str("the refresh token is not known"),
            Self::RefreshTokenReused => {
                f.write_str("the refresh token was used by another party, or too long ago")
            }
            Self::SessionEnded(reason) => write!(f, "the session has ended ({reason})"),
        }
    }
}

impl TokenError {
    /// The error that a status of a call is.
    pub(super) fn of(status: Status) -> Self {
        if let Some(reason) = SignInAgain::of(&status) {
            return Self::SignInAgain(reason);
        }
        if answer::is_passing(&status) {
            return Self::TryLater {
                retry_after: answer::retry_delay(&status).unwrap_or(RETRY_DELAY),
                status: Box::new(status),
            };
        }
        Self::Refused(Box::new(status))
    }

    /// For how long the same answer is given without asking again, so that callers who
    /// repeat at once do no harm. An ended session needs none: nothing is asked for it.
    pub(super) fn pause(&self) -> Duration {
        match self {
            Self::TryLater { retry_after, .. } => jittered(*retry_after),
            Self::Credentials { .. } => WRONG_PASSWORD_PAUSE,
            Self::Refused(_) => RETRY_DELAY,
            Self::SignInAgain(_) | Self::Store(_) => Duration::ZERO,
        }
    }

    /// The same of a sign-in.
    pub(super) fn of_sign_in(status: Status, login: &str) -> Self {
        match answer::reason(&status) {
            Some(ErrorReason::InvalidCredentials) => Self::Credentials {
                login: login.to_owned(),
            },
            _ => Self::of(status),
        }
    }
}

impl From<io::Error> for TokenError {
    fn from(error: io::Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl SignInAgain {
    /// What a status says for certain of a refresh token; `None` for anything less.
    fn of(status: &Status) -> Option<Self> {
        match answer::reason(status)? {
            ErrorReason::RefreshTokenInvalid => Some(Self::RefreshTokenInvalid),
            ErrorReason::RefreshTokenReused => Some(Self::RefreshTokenReused),
            ErrorReason::SessionEnded => {
                let reason = answer::metadata(status, "end_reason");
                Some(Self::SessionEnded(reason.unwrap_or_default()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic::Code;

    use super::*;

    fn error(code: Code, reason: ErrorReason, retry: Option<Duration>) -> TokenError {
        let status = answer::status(code, reason, "", HashMap::new(), retry);
        TokenError::of(status)
    }

    #[test]
    fn only_a_verdict_of_rollcall_itself_ends_the_session() {
        use ErrorReason as R;
        for reason in [
            R::RefreshTokenInvalid,
            R::RefreshTokenReused,
            R::SessionEnded,
        ] {
            let error = error(Code::Unauthenticated, reason, None);
            assert!(matches!(error, TokenError::SignInAgain(_)), "{reason:?}");
        }
        // A proxy's own 401, for example.
        let bare = TokenError::of(Status::unauthenticated(""));
        assert!(matches!(bare, TokenError::Refused(_)));
    }

    #[test]
    fn failures_of_the_moment_are_to_be_tried_later() {
        let codes = [
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::Internal,
            Code::Unknown,
            Code::Cancelled,
        ];
        for code in codes {
            let error = TokenError::of(Status::new(code, ""));
            assert!(matches!(error, TokenError::TryLater { .. }), "{code:?}");
        }
    }

    #[test]
    fn delay_is_that_of_retry_info_where_there_is_one() {
        let asked = Some(Duration::from_millis(300));
        let code = Code::ResourceExhausted;
        for (retry, expected) in [(asked, asked), (None, Some(RETRY_DELAY))] {
            match error(code, ErrorReason::RefreshedTooOften, retry) {
                TokenError::TryLater { retry_after, .. } => {
                    assert_eq!(Some(retry_after), expected);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
