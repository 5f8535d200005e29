//! The verifier in front of a service: a tower layer for tonic, and for anything that
//! takes `http` requests.

mod bearer;
mod refusal;
mod renewal;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response};
use tower::{Layer, Service};

use super::verifier::Verifier;
use crate::model::access_token::Claims;
use bearer::Bearer;
use refusal::{Dialect, Refusal};
use renewal::Renewal;

pub use renewal::Origin;

/// The response header that carries the successor of a single-token client's access token;
/// in gRPC, metadata: the initial one, or with an error the only one.
pub const SUCCESSOR_HEADER: &str = "x-jwt";

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
    /// in the response header [`SUCCESSOR_HEADER`]. The user agent is that of the request,
    /// and no address is told: see [`VerifyLayer::renew_single_tokens_from`].
    ///
    /// A session that was renewed lives on in the successor alone. So the header is in the
    /// answers to requests that are refused after it as well, for want of a role for
    /// example; and while the verifier is stale and refuses, nothing is renewed.
    ///
    /// Tokens whose key is not published any more are renewed too, since Rollcall knows its
    /// keys for longer. Anybody can make up one of those: at most 16 are sent at a time,
    /// and one more is refused as any token of an unknown key.
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
            let mut successor = None;
            let mut response = match rules.admit(&parts, &mut successor).await {
                Ok(claims) => {
                    if let Some(claims) = claims {
                        parts.extensions.insert(claims);
                    }
                    inner.call(Request::from_parts(parts, body)).await?
                }
                Err(refusal) => refusal.answer(Dialect::of(&parts.headers)),
            };
            if let Some(successor) = successor {
                response.headers_mut().insert(SUCCESSOR_HEADER, successor);
            }
            Ok(response)
        })
    }
}

impl Rules {
    /// Who makes a request; `None` for whoever is let through without being known.
    ///
    /// A renewal leaves its token in `successor`, which is the client's whatever the verdict:
    /// Rollcall takes no other from it any more.
    async fn admit(
        &self,
        parts: &http::request::Parts,
        successor: &mut Option<HeaderValue>,
    ) -> Result<Option<Claims>, Refusal> {
        let path = parts.uri.path();
        if self.exempt.iter().any(|prefix| path.starts_with(prefix)) {
            return Ok(None);
        }
        let token = match bearer::find(&parts.headers) {
            Bearer::Token(token) => token,
            Bearer::None if self.optional => return Ok(None),
            Bearer::None | Bearer::Malformed => return Err(Refusal::NoToken),
        };
        let claims = match (self.verifier.check(token).await, &self.renewal) {
            (Ok(claims), _) => claims,
            (Err(error), Some(renewal)) => {
                let renewed = renewal.renew(&self.verifier, error, token, parts).await?;
                *successor = Some(renewed.header);
                let checked = self.verifier.check(&renewed.token).await;
                checked.map_err(Refusal::Token)?
            }
            (Err(error), None) => return Err(Refusal::Token(error)),
        };
        match self.roles.iter().find(|role| !claims.has_role(role)) {
            Some(role) => Err(Refusal::Role(role.clone())),
            None => Ok(Some(claims)),
        }
    }
}

impl fmt::Debug for VerifyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.describe(f, "VerifyLayer")
    }
}

impl<S> fmt::Debug for Verify<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.describe(f, "Verify")
    }
}

impl Rules {
    fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("verifier", &self.verifier)
            .field("roles", &self.roles)
            .field("optional", &self.optional)
            .field("exempt", &self.exempt)
            .field("renews", &self.renewal.is_some())
            .finish_non_exhaustive()
    }
}
