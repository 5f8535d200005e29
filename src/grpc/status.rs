//! THE map of errors to the wire (AIP-193).

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::request_id;
use crate::{
    error_chain,
    identity::{Error, password::HashError},
    model::{role, session::EndReason},
    proto::v1::ErrorReason as Reason,
    store,
};

const DOMAIN: &str = "rollcall";

/// How long a caller should wait before it tries again, where nothing says better.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What an error looks like.
#[derive(Clone, Copy)]
struct Shape {
    code: Code,
    reason: Reason,
    message: &'static str,
    retry_after: Option<Duration>,
}

const INVALID_ARGUMENT: Shape = shape(Code::InvalidArgument, Reason::InvalidArgument, "");

const UNAVAILABLE: Shape = shape(
    Code::Unavailable,
    Reason::Unavailable,
    "the service is not available at the moment",
)
.retry();

const DEADLINE_EXCEEDED: Shape = shape(
    Code::DeadlineExceeded,
    Reason::DeadlineExceeded,
    "the call took too long",
);

const CONFLICT: Shape = shape(
    Code::Aborted,
    Reason::Conflict,
    "a concurrent change got in the way",
);

const INTERNAL: Shape = shape(Code::Internal, Reason::Internal, "internal error");

const fn shape(code: Code, reason: Reason, message: &'static str) -> Shape {
    Shape {
        code,
        reason,
        message,
        retry_after: None,
    }
}

impl Shape {
    const fn retry(self) -> Self {
        self.retry_after(RETRY_DELAY)
    }

    const fn retry_after(self, delay: Duration) -> Self {
        Self {
            retry_after: Some(delay),
            ..self
        }
    }
}

/// What the server is to blame for shows a fixed text and the request id; its cause goes
/// to the log, here and only here.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let shape = match &error {
            Error::WeakPassword(weakness) => {
                return invalid_argument(vec![FieldViolation::new(
                    "new_password",
                    weakness.to_string(),
                )]);
            }
            Error::RequestIdRepeated => {
                return invalid_argument(vec![FieldViolation::new(
                    "request_id",
                    "must be a new one for each refresh; this one made the refresh_token",
                )]);
            }
            Error::SessionEnded(reason) => return session_ended(*reason),
            Error::InvalidCredentials => shape(
                Code::Unauthenticated,
                Reason::InvalidCredentials,
                "invalid credentials",
            ),
            Error::RateLimited { limit, retry_after } => {
                let shape = shape(
                    Code::ResourceExhausted,
                    Reason::RateLimited,
                    "too many attempts: wait before the next one",
                );
                return limited(shape.retry_after(*retry_after), limit.as_str());
            }
            Error::SessionLimitReached(limit) => {
                let shape = shape(
                    Code::FailedPrecondition,
                    Reason::SessionLimitReached,
                    "the user has as many sessions as are allowed",
                );
                return limited(shape, limit.as_str());
            }
            Error::AccessTokenInvalid => shape(
                Code::Unauthenticated,
                Reason::AccessTokenInvalid,
                "a valid access token is required as `authorization: Bearer`",
            ),
            Error::AccessTokenExpired => shape(
                Code::Unauthenticated,
                Reason::AccessTokenExpired,
                "the access token has expired",
            ),
            Error::RefreshTokenInvalid => shape(
                Code::Unauthenticated,
                Reason::RefreshTokenInvalid,
                "the refresh token is not valid",
            ),
            Error::RefreshTokenReused => shape(
                Code::Unauthenticated,
                Reason::RefreshTokenReused,
                "the refresh token was used before: its session is ended",
            ),
            Error::GenerationAhead => shape(
                Code::Unavailable,
                Reason::GenerationAhead,
                "the database does not know this refresh token yet",
            )
            .retry(),
            Error::RefreshedTooOften { retry_after } => shape(
                Code::ResourceExhausted,
                Reason::RefreshedTooOften,
                "the session was refreshed a moment ago",
            )
            .retry_after(*retry_after),
            Error::SessionBindingBroken => shape(
                Code::PermissionDenied,
                Reason::SessionBindingBroken,
                "the session is bound to another user agent or address",
            ),
            Error::AdminRequired => shape(
                Code::PermissionDenied,
                Reason::AdminRequired,
                "the role admin is required",
            ),
            Error::ServiceRequired => return role_required(role::SERVICE),
            Error::CallerNotAllowed => shape(
                Code::PermissionDenied,
                Reason::CallerNotAllowed,
                "known services only: a client certificate, or the access token of a service",
            ),
            Error::TooManyWatchers => shape(
                Code::ResourceExhausted,
                Reason::TooManyWatchers,
                "this replica has as many watchers as it takes",
            )
            .retry(),
            Error::WatchLagged => shape(
                Code::Aborted,
                Reason::WatchLagged,
                "the stream was read too slowly: open another with the last cursor",
            ),
            Error::RecentSignInRequired => shape(
                Code::PermissionDenied,
                Reason::RecentSignInRequired,
                "a recent sign-in is required",
            ),
            Error::SessionNotFound => shape(
                Code::NotFound,
                Reason::SessionNotFound,
                "there is no such session",
            ),
            Error::UserNotFound => shape(
                Code::NotFound,
                Reason::UserNotFound,
                "there is no such user",
            ),
            Error::LoginTaken => shape(
                Code::AlreadyExists,
                Reason::LoginTaken,
                "the login is taken",
            ),
            Error::LoginNotFound => shape(
                Code::NotFound,
                Reason::LoginNotFound,
                "the user does not have this login",
            ),
            Error::LoginFixed => shape(
                Code::FailedPrecondition,
                Reason::LoginFixed,
                "the login that a user was created with stays",
            ),
            Error::TooManyLogins => shape(
                Code::FailedPrecondition,
                Reason::LoginLimitReached,
                "the user has as many logins as are allowed",
            ),
            Error::PasswordResetTokenInvalid => shape(
                Code::Unauthenticated,
                Reason::PasswordResetTokenInvalid,
                "the password reset token is not valid",
            ),
            Error::RegistrationDisabled => shape(
                Code::FailedPrecondition,
                Reason::RegistrationDisabled,
                "this server does not take registrations",
            ),
            Error::NextKeyTooNew(remaining) => shape(
                Code::FailedPrecondition,
                Reason::NextKeyTooNew,
                "verifiers may not know the next signing key yet",
            )
            .retry_after(*remaining),
            Error::Hash(HashError::Busy) => shape(
                Code::ResourceExhausted,
                Reason::HashingBusy,
                "too many passwords wait to be checked",
            )
            .retry(),
            Error::NotReady | Error::Store(store::Error::Unavailable(_)) => UNAVAILABLE,
            Error::Conflict | Error::Store(store::Error::Conflict(_)) => CONFLICT,
            Error::Store(store::Error::Deadline(_)) => DEADLINE_EXCEEDED,
            Error::Hash(
                HashError::Unusable(_) | HashError::Memory | HashError::Random | HashError::Stopped,
            )
            | Error::Store(
                store::Error::Corrupt { .. } | store::Error::Setup(_) | store::Error::Unexpected(_),
            )
            | Error::Crypto(_)
            | Error::Stopped
            | Error::WrongMasterKey { .. }
            | Error::Signing(_) => INTERNAL,
        };
        log(&error, shape.code);
        render(shape)
    }
}

/// The status of a request whose fields break their limits.
#[must_use]
pub fn invalid_argument(violations: Vec<FieldViolation>) -> Status {
    let sentences = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description));
    let message = sentences.collect::<Vec<_>>().join("; ");
    let mut details = details(INVALID_ARGUMENT, HashMap::new());
    details.set_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The status of a message that is not one: too large, or not decodable.
#[must_use]
pub fn undecodable(message: &str) -> Status {
    let details = details(INVALID_ARGUMENT, HashMap::new());
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The status of a call that took too long.
#[must_use]
pub fn deadline_exceeded() -> Status {
    render(DEADLINE_EXCEEDED)
}

/// The status of every call while the server starts.
#[must_use]
pub fn unavailable() -> Status {
    render(UNAVAILABLE)
}

/// The status of a call that met a bug.
#[must_use]
pub fn internal() -> Status {
    render(INTERNAL)
}

fn session_ended(reason: Option<EndReason>) -> Status {
    let shape = shape(
        Code::Unauthenticated,
        Reason::SessionEnded,
        "the session has ended",
    );
    let reason = reason.map_or("EXPIRED", EndReason::as_str);
    let metadata = HashMap::from([("end_reason".to_owned(), reason.to_owned())]);
    Status::with_error_details(shape.code, shape.message, details(shape, metadata))
}

fn limited(shape: Shape, limit: &str) -> Status {
    let metadata = HashMap::from([("limit".to_owned(), limit.to_owned())]);
    Status::with_error_details(shape.code, shape.message, details(shape, metadata))
}

fn role_required(role: &str) -> Status {
    let shape = shape(
        Code::PermissionDenied,
        Reason::RoleRequired,
        "the role service or admin is required",
    );
    let metadata = HashMap::from([("role".to_owned(), role.to_owned())]);
    Status::with_error_details(shape.code, shape.message, details(shape, metadata))
}

fn render(shape: Shape) -> Status {
    Status::with_error_details(shape.code, shape.message, details(shape, HashMap::new()))
}

fn details(shape: Shape, metadata: HashMap<String, String>) -> ErrorDetails {
    let name = shape.reason.as_str_name();
    let name = name.strip_prefix("ERROR_REASON_").unwrap_or(name);
    let mut details = ErrorDetails::new();
    details.set_error_info(name, DOMAIN, metadata);
    let request_id = request_id::current();
    if !request_id.is_empty() {
        details.set_request_info(request_id, "");
    }
    if let Some(delay) = shape.retry_after {
        details.set_retry_info(Some(delay));
    }
    details
}

fn log(error: &Error, code: Code) {
    match code {
        Code::Internal => tracing::error!(error = error_chain(error), "call failed"),
        Code::Unavailable | Code::Aborted | Code::DeadlineExceeded => {
            tracing::warn!(error = error_chain(error), "call failed");
        }
        _ => {}
    }
}
