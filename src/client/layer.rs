//! The verifier in front of a service: a tower layer for tonic, and for anything that
//! takes `http` requests.

mod bearer;
mod refusal;
mod renewal;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response};
use tower::{Layer, Service};

use super::verifier::{Verifier, VerifyError};
use crate::model::access_token::{Claims, Invalid};
use bearer::Bearer;
use refusal::{Dialect, Refusal};
use renewal::Renewal;

pub use renewal::Origin;

/// The response header that carries the successor of a single-token client's access token;
/// in gRPC, initial metadata.
pub const SUCCESSOR: &str = "x-jwt";

/// Lets only those requests through whose `authorization: Bearer` a [`Verifier`] takes, and
/// puts their [`Claims`] into the extensions of the request.
///
/// Others are answered here. A gRPC call (`content-type: application/grpc`) gets
/// UNAUTHENTICATED, PERMISSION_DENIED or UNAVAILABLE, with `ErrorInfo` as Rollcall's own
/// errors have; any other request 401, 403 or 503, with `WWW-Authenticate` (RFC 6750
/// section 3). Neither says more than the reason.
#[derive(Clone)]
pub struct VerifyLayer {
    rules: Arc<Rules>,
}

#[derive(Clone)]
struct Rules {
    verifier: Verifier,
    roles: Vec<String>,
    optional: bool,
    exempt: Vec<String>,
    renewal: Option<Renewal>,
}

impl VerifyLayer {
    /// Lets every user with a good token through.
    #[must_use]
    pub fn new(verifier: Verifier) -> Self {
        let rules = Rules {
            verifier,
            roles: Vec::new(),
            optional: false,
            exempt: Vec::new(),
            renewal: None,
        };
        Self {
            rules: Arc::new(rules),
        }
    }

    /// Lets only users with this role through. Called more than once, only those with all.
    #[must_use]
    pub fn require_role(self, role: impl Into<String>) -> Self {
        self.with(|rules| rules.roles.push(role.into()))
    }

    /// Lets requests without a token through as well: without [`Claims`], and even where a
    /// role is required of the others. A token that is not good is refused still.
    #[must_use]
    pub fn optional(self) -> Self {
        self.with(|rules| rules.optional = true)
    }

    /// Lets requests whose path begins with `prefix` through unseen: `/grpc.health.v1.Health/`
    /// for example. Without claims, even where there is a token.
    #[must_use]
    pub fn exempt(self, prefix: impl Into<String>) -> Self {
        self.with(|rules| rules.exempt.push(prefix.into()))
    }

    /// Renews the expired tokens of single-token sessions: calls `Auth.Renew`, lets the
    /// request through with the successor's claims, and hands the successor to the client
    /// in the response header [`SUCCESSOR`]. The user agent is that of the request, and
    /// no address is told: see [`VerifyLayer::renew_single_tokens_from`].
    #[must_use]
    pub fn renew_single_tokens(self) -> Self {
        self.renew_single_tokens_from(Origin::of_headers)
    }

    /// The same, and says with `origin` where a request came from. Needed where sessions
    /// are bound to an address, which only the service knows: behind which proxy it is.
    #[must_use]
    pub fn renew_single_tokens_from(
        self,
        origin: impl Fn(&http::request::Parts) -> Origin + Send + Sync + 'static,
    ) -> Self {
        self.with(|rules| rules.renewal = Some(Renewal::new(origin)))
    }

    fn with(mut self, change: impl FnOnce(&mut Rules)) -> Self {
        change(Arc::make_mut(&mut self.rules));
        self
    }
}

impl<S> Layer<S> for VerifyLayer {
    type Service = Verify<S>;

    fn layer(&self, inner: S) -> Verify<S> {
        Verify {
            inner,
            rules: self.rules.clone(),
        }
    }
}

/// A service behind a [`VerifyLayer`].
#[derive(Clone)]
pub struct Verify<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S, B, R> Service<Request<B>> for Verify<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: Default + Send,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let clone = self.inner.clone();
        // The one that is ready.
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let rules = self.rules.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let admitted = match rules.admit(&parts).await {
                Ok(admitted) => admitted,
                Err(refusal) => return Ok(refusal.answer(Dialect::of(&parts.headers))),
            };
            let mut successor = None;
            if let Some(admitted) = admitted {
                successor = admitted.successor;
                parts.extensions.insert(admitted.claims);
            }
            let mut response = inner.call(Request::from_parts(parts, body)).await?;
            if let Some(successor) = successor {
                response.headers_mut().insert(SUCCESSOR, successor);
            }
            Ok(response)
        })
    }
}

/// Who makes a request.
struct Admitted {
    claims: Claims,
    successor: Option<HeaderValue>,
}

impl Rules {
    /// `None` for whoever is let through without being known.
    async fn admit(&self, parts: &http::request::Parts) -> Result<Option<Admitted>, Refusal> {
        let path = parts.uri.path();
        if self.exempt.iter().any(|prefix| path.starts_with(prefix)) {
            return Ok(None);
        }
        let token = match bearer::find(&parts.headers) {
            Bearer::Token(token) => token,
            Bearer::None if self.optional => return Ok(None),
            Bearer::None | Bearer::Malformed => return Err(Refusal::NoToken),
        };
        let admitted = match (self.verifier.check(token).await, &self.renewal) {
            (Ok(claims), _) => Admitted {
                claims,
                successor: None,
            },
            (Err(VerifyError::Expired(claims)), Some(renewal)) if renewal::is_single(&claims) => {
                renewal.renew(&self.verifier, token, parts).await?
            }
            (Err(VerifyError::Invalid(Invalid::UnknownKey)), Some(renewal))
                if renewal::may_be_single(token) =>
            {
                renewal.renew(&self.verifier, token, parts).await?
            }
            (Err(error), _) => return Err(Refusal::Token(error)),
        };
        match self
            .roles
            .iter()
            .find(|role| !admitted.claims.has_role(role))
        {
            Some(role) => Err(Refusal::Role(role.clone())),
            None => Ok(Some(admitted)),
        }
    }
}
