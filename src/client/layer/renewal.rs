//! Single-token clients: their expired token is exchanged behind the scenes.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header::USER_AGENT};
use tonic::{Code, Status};

use super::{Admitted, refusal::Refusal};
use crate::{
    client::{
        answer, clock,
        verifier::{Verifier, VerifyError},
    },
    model::{access_token::Claims, token_mode::TokenMode},
    proto::v1,
};

/// Where a request came from, as the service that received it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
}

fn user_agent(headers: &HeaderMap) -> String {
    let value = headers.get(USER_AGENT).map(HeaderValue::as_bytes);
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

/// How tokens are renewed.
#[derive(Clone)]
pub(super) struct Renewal {
    origin: Arc<dyn Fn(&http::request::Parts) -> Origin + Send + Sync>,
}

/// Whether the token is of a session that has no other.
pub(super) fn is_single(claims: &Claims) -> bool {
    claims.token_mode == TokenMode::Single
}

/// Whether a token that names no published key says that it is of such a session, and over.
/// Nobody vouches for that here: Rollcall, which knows its keys for longer than it publishes
/// them, is to judge.
pub(super) fn may_be_single(token: &str) -> bool {
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(token);
    let now = clock::unix_micros() / 1_000_000;
    claims.is_ok_and(|claims| is_single(&claims) && claims.expired_at(now))
}

impl Renewal {
    pub(super) fn new(
        origin: impl Fn(&http::request::Parts) -> Origin + Send + Sync + 'static,
    ) -> Self {
        Self {
            origin: Arc::new(origin),
        }
    }

    /// Exchanges an expired token for its successor, and checks that as any other. Calls
    /// that are in flight with the same token each do so, and get the same generation.
    pub(super) async fn renew(
        &self,
        verifier: &Verifier,
        token: &str,
        parts: &http::request::Parts,
    ) -> Result<Admitted, Refusal> {
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
        let token = reply.tokens.unwrap_or_default().access_token;
        let claims = verifier.check(&token).await.map_err(Refusal::Token)?;
        let mut successor = HeaderValue::try_from(&token).map_err(|_| unusable())?;
        successor.set_sensitive(true);
        Ok(Admitted {
            claims,
            successor: Some(successor),
        })
    }
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
