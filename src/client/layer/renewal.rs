//! Single-token clients: their expired token is exchanged behind the scenes.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header::USER_AGENT};
use tokio::sync::Semaphore;
use tonic::{Code, Status};
use zeroize::Zeroizing;

use super::refusal::Refusal;
use crate::{
    client::{
        answer, clock,
        verifier::{Verifier, VerifyError},
    },
    model::{
        access_token::{Claims, Invalid},
        token_mode::TokenMode,
    },
    proto::v1,
};

/// Where a request came from, as the service that received it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The user agent; empty where it is not known.
    pub user_agent: String,
    /// The IPv4 or IPv6 address of the client; empty where it is not known.
    pub ip_address: String,
}

impl Origin {
    /// The user agent that the headers name, and no address.
    #[must_use]
    pub fn of_headers(parts: &http::request::Parts) -> Self {
        Self {
            user_agent: user_agent(&parts.headers),
            ip_address: String::new(),
        }
    }

    /// The same, and this user agent.
    #[must_use]
    pub fn with_user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// The same, and this address.
    #[must_use]
    pub fn with_ip_address(mut self, ip_address: impl Into<String>) -> Self {
        self.ip_address = ip_address.into();
        self
    }
}

/// The most bytes of a user agent that Rollcall takes.
const MAX_USER_AGENT: usize = 512;

fn user_agent(headers: &HeaderMap) -> String {
    let value = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
    let mut text = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
    text.truncate(text.floor_char_boundary(MAX_USER_AGENT));
    text
}

/// How many tokens of unknown keys are judged by Rollcall at a time.
const UNVOUCHED: usize = 16;

/// How tokens are renewed.
#[derive(Clone)]
pub(super) struct Renewal {
    origin: Arc<dyn Fn(&http::request::Parts) -> Origin + Send + Sync>,
    /// What anybody can make this service ask of Rollcall is bounded.
    unvouched: Arc<Semaphore>,
}

/// The successor of a token.
pub(super) struct Renewed {
    pub(super) token: Zeroizing<String>,
    /// The same, as the client gets it.
    pub(super) header: HeaderValue,
}

impl Renewal {
    pub(super) fn new(
        origin: impl Fn(&http::request::Parts) -> Origin + Send + Sync + 'static,
    ) -> Self {
        Self {
            origin: Arc::new(origin),
            unvouched: Arc::new(Semaphore::new(UNVOUCHED)),
        }
    }

    /// Exchanges a token that was refused with `error` for its successor, if it is one to be
    /// exchanged; the caller is to check the successor as any other. Calls that are in flight
    /// with the same token each do so, and get the same generation.
    pub(super) async fn renew(
        &self,
        verifier: &Verifier,
        error: VerifyError,
        token: &str,
        parts: &http::request::Parts,
    ) -> Result<Renewed, Refusal> {
        let _permit = match &error {
            VerifyError::Expired(claims) if is_single(claims) => None,
            VerifyError::Invalid(Invalid::UnknownKey) if may_be_single(token) => {
                let permit = self.unvouched.try_acquire();
                Some(permit.map_err(|_| Refusal::Token(error))?)
            }
            _ => return Err(Refusal::Token(error)),
        };
        // The successor would be refused, after its predecessor was given up for it.
        verifier.refuse_if_stale().map_err(Refusal::Token)?;
        let Origin {
            user_agent,
            ip_address,
        } = (self.origin)(parts);
        let request = v1::RenewRequest {
            access_token: token.to_owned(),
            user_agent,
            ip_address,
        };
        let reply = verifier.renew(request).await.map_err(refusal)?;
        let token = Zeroizing::new(reply.tokens.unwrap_or_default().access_token);
        let mut header = HeaderValue::try_from(token.as_str()).map_err(|_| unusable())?;
        header.set_sensitive(true);
        Ok(Renewed { token, header })
    }
}

/// Whether the token is of a session that has no other.
fn is_single(claims: &Claims) -> bool {
    claims.token_mode == TokenMode::Single
}

/// Whether a token that names no published key says that it is of such a session, and over.
/// Nobody vouches for that here: Rollcall, which knows its keys for longer than it publishes
/// them, is to judge.
fn may_be_single(token: &str) -> bool {
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(token);
    let now = clock::unix_micros() / 1_000_000;
    claims.is_ok_and(|claims| is_single(&claims) && claims.expired_at(now))
}

/// What the client is told of a renewal that failed: Rollcall's verdict on its session as
/// it is, and of anything else that it cannot be renewed now.
fn refusal(status: Status) -> Refusal {
    let is_verdict = matches!(
        status.code(),
        Code::Unauthenticated | Code::PermissionDenied
    );
    if is_verdict && answer::reason(&status).is_some() {
        return Refusal::Renewal(answer::without_metadata(&status));
    }
    tracing::warn!(why = answer::text(&status), "a token could not be renewed");
    Refusal::Token(VerifyError::Unavailable(Box::new(status)))
}

fn unusable() -> Refusal {
    let status = Status::internal("the successor is no token");
    Refusal::Token(VerifyError::Unavailable(Box::new(status)))
}
