//! The answers to requests that are not let through.

use std::collections::HashMap;

use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use tonic::{Code, Status};

use crate::{
    client::{answer, verifier::VerifyError},
    proto::v1::ErrorReason,
};

/// Why a request is not let through.
pub(super) enum Refusal {
    /// It has no token, or something else in its place.
    NoToken,
    /// Its token is not taken.
    Token(VerifyError),
    /// Its user lacks this role.
    Role(String),
    /// Rollcall does not renew its token.
    Renewal(Status),
}

/// How the caller is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// As gRPC has it: everything in the headers.
    Grpc,
    /// As HTTP has it.
    Http,
}

impl Dialect {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        match content_type {
            Some(text) if text.starts_with(b"application/grpc") => Self::Grpc,
            _ => Self::Http,
        }
    }
}

impl Refusal {
    pub(super) fn answer<R: Default>(&self, dialect: Dialect) -> Response<R> {
        match dialect {
            Dialect::Grpc => self.status().into_http(),
            Dialect::Http => self.http(),
        }
    }

    fn status(&self) -> Status {
        match self {
            Self::NoToken => answer::status(
                Code::Unauthenticated,
                ErrorReason::AccessTokenInvalid,
                answer::TOKEN_REQUIRED,
                HashMap::new(),
                None,
            ),
            Self::Token(error) => error.status(),
            Self::Role(role) => answer::status(
                Code::PermissionDenied,
                ErrorReason::RoleRequired,
                &format!("the role {role} is required"),
                HashMap::from([("role".to_owned(), role.clone())]),
                None,
            ),
            Self::Renewal(status) => status.clone(),
        }
    }

    fn http<R: Default>(&self) -> Response<R> {
        let mut response = Response::new(R::default());
        let status = self.status();
        let challenge = match status.code() {
            Code::Unauthenticated => {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                self.challenge(status.message())
            }
            Code::PermissionDenied => {
                *response.status_mut() = StatusCode::FORBIDDEN;
                self.challenge(status.message())
            }
            _ => {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                let delay = answer::retry_delay(&status).unwrap_or_default();
                let seconds = HeaderValue::from(delay.as_secs().max(1));
                response.headers_mut().insert(RETRY_AFTER, seconds);
                return response;
            }
        };
        // A role is whatever the service calls one; where no header can hold it, the
        // challenge goes without a description.
        let bare = || HeaderValue::from_static("Bearer");
        let challenge = HeaderValue::try_from(challenge).unwrap_or_else(|_| bare());
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        response
    }

    /// What `WWW-Authenticate` says (RFC 6750 section 3.1): nothing but the scheme to one
    /// who has not tried, or in another scheme; and to one whose token is good, but was
    /// sent from elsewhere than its session is bound to, for which there is no error code.
    fn challenge(&self, description: &str) -> String {
        let error = match self {
            Self::NoToken => return "Bearer".to_owned(),
            Self::Renewal(status) if status.code() == Code::PermissionDenied => {
                return "Bearer".to_owned();
            }
            Self::Token(_) | Self::Renewal(_) => "invalid_token",
            Self::Role(_) => "insufficient_scope",
        };
        // Neither can be in a description (RFC 6750 section 3), and neither is needed.
        let description = description.replace(['"', '\\'], "");
        format!(r#"Bearer error="{error}", error_description="{description}""#)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(content_type: &'static str) -> Dialect {
        let value = HeaderValue::from_static(content_type);
        Dialect::of(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))
    }

    #[test]
    fn grpc_is_told_by_the_content_type() {
        assert_eq!(dialect("application/grpc"), Dialect::Grpc);
        assert_eq!(dialect("application/grpc+proto"), Dialect::Grpc);
        assert_eq!(dialect("application/json"), Dialect::Http);
        assert_eq!(Dialect::of(&HeaderMap::new()), Dialect::Http);
    }

    #[test]
    fn role_that_no_header_can_hold_breaks_no_answer() {
        for role in ["a\"b", "line\nbreak", "rôle"] {
            let response: Response<()> = Refusal::Role(role.to_owned()).answer(Dialect::Http);
            assert_eq!(response.status(), StatusCode::FORBIDDEN);
            assert!(response.headers().contains_key(WWW_AUTHENTICATE));
        }
    }
}
