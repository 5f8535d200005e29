//! THE map of errors to the wire (AIP-193).

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::request_id;
use crate::{
    identity::{Error, password::HashError},
    proto::v1::ErrorReason,
    store,
};

const DOMAIN: &str = "rollcall";

/// How long a caller should wait before it tries again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What an error looks like.
struct Shape {
    code: Code,
    reason: ErrorReason,
    message: &'static str,
    retry: bool,
}

/// The status of an error. What the server is to blame for shows a fixed text and the
/// request id; its cause goes to the log, here and only here.
#[must_use]
pub fn status(error: &Error) -> Status {
    let mut details = ErrorDetails::new();
    match error {
        Error::WeakPassword(weakness) => {
            return invalid_argument(vec![FieldViolation::new(
                "new_password",
                weakness.to_string(),
            )]);
        }
        Error::RequestIdRepeated => {
            return invalid_argument(vec![FieldViolation::new(
                "request_id",
                "must be a new one for each refresh: this one made the refresh_token",
            )]);
        }
        _ => {}
    }
    let shape = shape(error);
    let mut metadata = metadata();
    if let Error::SessionEnded(reason) = error {
        let reason = reason.map_or("EXPIRED", |reason| reason.as_str());
        metadata.insert("end_reason".to_owned(), reason.to_owned());
    }
    log(error, shape.code);
    details.set_error_info(name(shape.reason), DOMAIN, metadata);
    if shape.retry {
        details.set_retry_info(Some(RETRY_DELAY));
    }
    Status::with_error_details(shape.code, shape.message, details)
}

/// The status of a request whose fields break their limits.
#[must_use]
pub fn invalid_argument(violations: Vec<FieldViolation>) -> Status {
    let message = violations
        .iter()
        .map(|violation| format!("{} {}", violation.field, violation.description))
        .collect::<Vec<_>>()
        .join("; ");
    let mut details = ErrorDetails::new();
    details.set_error_info(name(ErrorReason::InvalidArgument), DOMAIN, metadata());
    details.set_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The status of a message that is not one: too large, or not decodable.
#[must_use]
pub fn undecodable(message: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(name(ErrorReason::InvalidArgument), DOMAIN, metadata());
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The status of a call that took too long.
#[must_use]
pub fn deadline_exceeded() -> Status {
    plain(&DEADLINE_EXCEEDED)
}

/// The status of every call while the server starts or ends.
#[must_use]
pub fn unavailable() -> Status {
    plain(&UNAVAILABLE)
}

/// The status of a call that met a bug.
#[must_use]
pub fn internal() -> Status {
    plain(&INTERNAL)
}

fn plain(shape: &Shape) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(name(shape.reason), DOMAIN, metadata());
    if shape.retry {
        details.set_retry_info(Some(RETRY_DELAY));
    }
    Status::with_error_details(shape.code, shape.message, details)
}

const UNAVAILABLE: Shape = Shape {
    code: Code::Unavailable,
    reason: ErrorReason::Unavailable,
    message: "the service is not available at the moment",
    retry: true,
};

const DEADLINE_EXCEEDED: Shape = Shape {
    code: Code::DeadlineExceeded,
    reason: ErrorReason::DeadlineExceeded,
    message: "the call took too long",
    retry: false,
};

const CONFLICT: Shape = Shape {
    code: Code::Aborted,
    reason: ErrorReason::Conflict,
    message: "a concurrent change got in the way",
    retry: false,
};

const INTERNAL: Shape = Shape {
    code: Code::Internal,
    reason: ErrorReason::Internal,
    message: "internal error",
    retry: false,
};

fn shape(error: &Error) -> Shape {
    use ErrorReason as Reason;
    let fixed = |code, reason, message| Shape {
        code,
        reason,
        message,
        retry: false,
    };
    match error {
        Error::InvalidCredentials => fixed(
            Code::Unauthenticated,
            Reason::InvalidCredentials,
            "invalid credentials",
        ),
        Error::AccessTokenInvalid => fixed(
            Code::Unauthenticated,
            Reason::AccessTokenInvalid,
            "a valid access token is required as `authorization: Bearer`",
        ),
        Error::AccessTokenExpired => fixed(
            Code::Unauthenticated,
            Reason::AccessTokenExpired,
            "the access token has expired",
        ),
        Error::RefreshTokenInvalid => fixed(
            Code::Unauthenticated,
            Reason::RefreshTokenInvalid,
            "the refresh token is not valid",
        ),
        Error::RefreshTokenReused => fixed(
            Code::Unauthenticated,
            Reason::RefreshTokenReused,
            "the refresh token was used before: its session is ended",
        ),
        Error::SessionEnded(_) => fixed(
            Code::Unauthenticated,
            Reason::SessionEnded,
            "the session has ended",
        ),
        Error::GenerationAhead => Shape {
            retry: true,
            ..fixed(
                Code::Unavailable,
                Reason::GenerationAhead,
                "the database does not know this refresh token yet",
            )
        },
        Error::AdminRequired => fixed(
            Code::PermissionDenied,
            Reason::AdminRequired,
            "the role admin is required",
        ),
        Error::RecentSignInRequired => fixed(
            Code::PermissionDenied,
            Reason::RecentSignInRequired,
            "a recent sign-in is required",
        ),
        Error::SessionNotFound => fixed(
            Code::NotFound,
            Reason::SessionNotFound,
            "there is no such session",
        ),
        Error::UserNotFound => fixed(
            Code::NotFound,
            Reason::UserNotFound,
            "there is no such user",
        ),
        Error::LoginTaken => fixed(
            Code::AlreadyExists,
            Reason::LoginTaken,
            "the login is taken",
        ),
        Error::RegistrationDisabled => fixed(
            Code::FailedPrecondition,
            Reason::RegistrationDisabled,
            "this server does not take registrations",
        ),
        Error::WeakPassword(_) | Error::RequestIdRepeated => fixed(
            Code::InvalidArgument,
            Reason::InvalidArgument,
            "invalid argument",
        ),
        Error::Hash(HashError::Busy) => Shape {
            retry: true,
            ..fixed(
                Code::ResourceExhausted,
                Reason::HashingBusy,
                "too many passwords wait to be checked",
            )
        },
        Error::NotReady | Error::Store(store::Error::Unavailable(_)) => UNAVAILABLE,
        Error::Conflict | Error::Store(store::Error::Conflict(_)) => CONFLICT,
        Error::Store(store::Error::Deadline(_)) => DEADLINE_EXCEEDED,
        Error::Hash(_)
        | Error::Store(_)
        | Error::Crypto(_)
        | Error::WrongMasterKey { .. }
        | Error::Signing(_) => INTERNAL,
    }
}

fn log(error: &Error, code: Code) {
    match code {
        Code::Internal => tracing::error!(error = store::chain(error), "call failed"),
        Code::Unavailable | Code::Aborted => {
            tracing::warn!(error = store::chain(error), "call failed");
        }
        _ => {}
    }
}

fn name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

fn metadata() -> HashMap<String, String> {
    let id = request_id::current();
    if id.is_empty() {
        return HashMap::new();
    }
    HashMap::from([("request_id".to_owned(), id)])
}
