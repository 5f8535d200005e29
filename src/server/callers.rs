//! Who may call `Auth`, where it takes calls from known services only.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use rustls::pki_types::CertificateDer;
use tonic::{
    Status,
    body::Body,
    transport::server::{TcpConnectInfo, TlsConnectInfo},
};
use tower::{Layer, Service};
use x509_cert::{
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};
use zeroize::Zeroizing;

use super::tls::Tls;
use crate::{
    config::{AuthCallers, CallerOptions},
    grpc::caller::find_bearer,
    identity::{AuthCaller, Error, Identity},
    model::san::San,
};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The service whose callers are looked at.
const AUTH: &str = "/rollcall.v1.Auth/";

/// What takes the user's own access token, and needs nobody else.
const OF_USERS: [&str; 3] = ["ChangePassword", "ListMySessions", "RevokeMySession"];

/// By what a service can begin that has neither a certificate nor an access token yet: the
/// call itself shows that it is one, and is refused where it does not.
const OF_BEGINNERS: [&str; 3] = ["Authenticate", "Refresh", "Logout"];

/// Refuses callers of `Auth` who are not known.
#[derive(Clone)]
pub(super) struct CallersLayer {
    /// `None` where anybody may call.
    known: Option<Arc<Known>>,
}

struct Known {
    identity: Identity,
    /// The names that count in certificates; empty for every name.
    sans: Vec<San>,
    /// What certificates are held to at each call; `None` without TLS.
    tls: Option<Arc<Tls>>,
}

impl CallersLayer {
    pub(super) fn new(options: &CallerOptions, identity: &Identity, tls: Option<Arc<Tls>>) -> Self {
        let known = || Known {
            identity: identity.clone(),
            tls,
            sans: options.auth_caller_sans.clone(),
        };
        Self {
            known: match options.auth_callers {
                AuthCallers::Any => None,
                AuthCallers::Known => Some(Arc::new(known())),
            },
        }
    }
}

impl<S> Layer<S> for CallersLayer {
    type Service = Callers<S>;

    fn layer(&self, inner: S) -> Callers<S> {
        Callers {
            inner,
            known: self.known.clone(),
        }
    }
}

/// The services behind the look at their callers.
#[derive(Clone)]
pub(super) struct Callers<S> {
    inner: S,
    known: Option<Arc<Known>>,
}

impl<S> Service<Request<Body>> for Callers<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = request.uri().path().strip_prefix(AUTH);
        let restricted = method.filter(|method| !OF_USERS.contains(method));
        let (Some(known), Some(method)) = (&self.known, restricted) else {
            return Box::pin(self.inner.call(request));
        };
        let begins = OF_BEGINNERS.contains(&method);
        let known = known.clone();
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let shown = known.what_is_shown(&request);
        Box::pin(async move {
            match known.includes(shown).await {
                Ok(true) => {}
                Ok(false) if begins => {
                    request.extensions_mut().insert(AuthCaller::Unknown);
                }
                Ok(false) => return Ok(Status::from(Error::CallerNotAllowed).into_http()),
                Err(error) => return Ok(Status::from(error).into_http()),
            }
            inner.call(request).await
        })
    }
}

/// What a caller shows of itself.
enum Shown {
    /// A client certificate that counts.
    Certificate,
    /// An access token of whatever kind.
    Token(Zeroizing<String>),
    Nothing,
}

impl Known {
    fn what_is_shown(&self, request: &Request<Body>) -> Shown {
        let connection = request.extensions().get::<TlsConnectInfo<TcpConnectInfo>>();
        let certificates = connection.and_then(TlsConnectInfo::peer_certs);
        if certificates.is_some_and(|chain| self.counts(&chain)) {
            return Shown::Certificate;
        }
        let token = find_bearer(request.headers());
        token.map_or(Shown::Nothing, |token| {
            Shown::Token(Zeroizing::new(token.to_owned()))
        })
    }

    /// Whether that makes the caller known. One statement for a token that this deployment
    /// signed.
    async fn includes(&self, shown: Shown) -> Result<bool, Error> {
        match shown {
            Shown::Certificate => Ok(true),
            Shown::Token(token) => self.identity.is_known(&token).await,
            Shown::Nothing => Ok(false),
        }
    }

    /// Whether these certificates count, the caller's own first. The handshake has verified
    /// them, and may have been long ago.
    fn counts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let is_listed = |own: &CertificateDer<'_>| {
            self.sans.is_empty() || names(own).iter().any(|name| self.sans.contains(name))
        };
        let still_admitted = || self.tls.as_ref().is_some_and(|tls| tls.would_admit(chain));
        chain.first().is_some_and(is_listed) && still_admitted()
    }
}

/// The subject alternative names of a certificate; none where it cannot be read.
fn names(certificate: &[u8]) -> Vec<San> {
    let parsed = x509_cert::Certificate::from_der(certificate);
    let found = parsed.and_then(|parsed| parsed.tbs_certificate.get::<SubjectAltName>());
    let Ok(Some((_, SubjectAltName(names)))) = found else {
        return Vec::new();
    };
    let san = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(San::Dns(name.to_string())),
        GeneralName::UniformResourceIdentifier(uri) => Some(San::Uri(uri.to_string())),
        GeneralName::Rfc822Name(address) => Some(San::Email(address.to_string())),
        _ => None,
    };
    names.iter().filter_map(san).collect()
}
