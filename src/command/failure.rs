//! Why a command did not do what was asked, in words, and its exit code.

use std::{error::Error, fmt::Write, io};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::text::plain;
use crate::{
    client::{AddressError, SignInAgain, TokenError, answer},
    proto::v1::ErrorReason,
};

/// What to do where nobody is signed in.
const SIGN_IN: &str = "sign in with `rollcall login`";

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server refused, or an item failed.
    #[error("{0}")]
    Refused(String),
    /// The command line makes no sense, or lacks something.
    #[error("{0}")]
    Usage(String),
    /// Nobody is signed in, or the session has ended.
    #[error("{0}")]
    NotSignedIn(String),
    /// The server cannot be reached, or cannot answer at the moment.
    #[error("{0}")]
    Unreachable(String),
    /// Whoever read the output does not any more.
    #[error("the output was closed")]
    OutputClosed,
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Box<dyn Error>),
}

impl Failure {
    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            // `rollcall sessions list | head -1` is no failure.
            Self::OutputClosed => 0,
            Self::Refused(_) | Self::Other(_) => 1,
            Self::Usage(_) => 2,
            Self::NotSignedIn(_) => 3,
            Self::Unreachable(_) => 4,
        }
    }

    /// Whether there is something to say about it.
    #[must_use]
    pub fn is_worth_a_word(&self) -> bool {
        !matches!(self, Self::OutputClosed)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        use ErrorReason as R;
        let text = describe(&status);
        let is_of_transport =
            matches!(status.code(), Code::Unknown | Code::Cancelled) && status.source().is_some();
        match (status.code(), answer::reason(&status)) {
            (
                _,
                Some(
                    R::AccessTokenInvalid
                    | R::AccessTokenExpired
                    | R::SessionEnded
                    | R::RefreshTokenInvalid
                    | R::RefreshTokenReused,
                ),
            ) => Self::NotSignedIn(format!("{text}\n  {SIGN_IN}")),
            (Code::Unavailable | Code::DeadlineExceeded, _) => Self::Unreachable(text),
            _ if is_of_transport => Self::Unreachable(text),
            _ => Self::Refused(text),
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::SignInAgain(SignInAgain::NotSignedIn) => {
                Self::NotSignedIn(format!("nobody is signed in: {SIGN_IN}"))
            }
            TokenError::SignInAgain(why) => {
                Self::NotSignedIn(format!("{}: {SIGN_IN}", plain(&why.to_string())))
            }
            TokenError::TryLater { status, .. } | TokenError::Refused(status) => (*status).into(),
            TokenError::Credentials { .. } => Self::Refused(plain(&error.to_string())),
            other => Self::Other(other.into()),
        }
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        Self::Usage(format!("--server: {}", crate::error_chain(&error)))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Other(error.into()),
        }
    }
}

/// The message of an error, then what is known of it, a line each.
fn describe(status: &Status) -> String {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| &bad.field_violations);
    let mut text = match violations {
        Some(violations) if !violations.is_empty() => "the server refuses the request".to_owned(),
        _ => headline(status),
    };
    for violation in violations.into_iter().flatten() {
        let (field, why) = (plain(&violation.field), plain(&violation.description));
        _ = write!(text, "\n  {field}: {why}");
    }
    if let Some(info) = details.error_info() {
        _ = write!(text, "\n  reason: {}", plain(&info.reason));
    }
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        let delay = humantime::format_duration(delay);
        _ = write!(text, "\n  try again in: {delay}");
    }
    if let Some(request) = details.request_info() {
        _ = write!(text, "\n  request id: {}", plain(&request.request_id));
    }
    text
}

fn headline(status: &Status) -> String {
    match answer::text(status) {
        text if text.is_empty() => status.code().description().to_owned(),
        text if answer::reason(status).is_none() && status.source().is_some() => {
            format!("the server cannot be reached: {}", plain(&text))
        }
        text => plain(&text),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::{ErrorDetails, FieldViolation};

    use super::*;

    #[test]
    fn fields_reason_and_request_id_are_a_line_each_and_nothing_is_raw() {
        let mut details = ErrorDetails::new();
        details.set_error_info("INVALID_ARGUMENT", "rollcall", HashMap::new());
        details.set_bad_request(vec![FieldViolation::new("login", "is \u{1b}[31mred")]);
        details.set_request_info("r-1", "");
        let status = Status::with_error_details(Code::InvalidArgument, "login: …", details);
        let failure = Failure::from(status);
        assert_eq!(failure.exit_code(), 1);
        let expected = "the server refuses the request\n  login: is \\u{1b}[31mred\n  \
             reason: INVALID_ARGUMENT\n  request id: r-1";
        assert_eq!(failure.to_string(), expected);
    }

    #[test]
    fn exit_code_is_by_what_can_be_done() {
        let code = |code, reason: &str| {
            let mut details = ErrorDetails::new();
            details.set_error_info(reason, "rollcall", HashMap::new());
            Failure::from(Status::with_error_details(code, "", details)).exit_code()
        };
        assert_eq!(code(Code::Unauthenticated, "SESSION_ENDED"), 3);
        assert_eq!(code(Code::PermissionDenied, "ADMIN_REQUIRED"), 1);
        assert_eq!(code(Code::Unavailable, "UNAVAILABLE"), 4);
        assert_eq!(code(Code::NotFound, "USER_NOT_FOUND"), 1);
        let nobody = TokenError::SignInAgain(SignInAgain::NotSignedIn);
        assert_eq!(Failure::from(nobody).exit_code(), 3);
    }
}
