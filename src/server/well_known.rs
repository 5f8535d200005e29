//! What JWT middleware, gateways and proxies read over HTTP, on the port of the rest: the
//! key set (RFC 7517) and the metadata (RFC 8414).

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER},
};
use serde_json::json;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::identity::Identity;

/// The path of the key set.
const JWKS: &str = "/.well-known/jwks.json";
/// The path of the metadata (RFC 8414 section 3); that of the issuer may follow.
const METADATA: &str = "/.well-known/oauth-authorization-server";
/// Every path.
pub(super) const PATHS: [&str; 2] = [JWKS, METADATA];

/// Answers the well-known paths in front of the services.
#[derive(Clone, Debug)]
pub(super) struct WellKnownLayer(pub(super) Identity);

impl<S> Layer<S> for WellKnownLayer {
    type Service = WellKnown<S>;

    fn layer(&self, inner: S) -> WellKnown<S> {
        WellKnown {
            inner,
            identity: self.0.clone(),
        }
    }
}

/// The services, and the well-known paths.
#[derive(Clone, Debug)]
pub(super) struct WellKnown<S> {
    inner: S,
    identity: Identity,
}

impl<S> Service<Request<Body>> for WellKnown<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.document(request.uri().path()) {
            Some(document) => {
                let response = answer(document, request.method(), request.headers());
                Box::pin(async { Ok(response) })
            }
            // gRPC needs HTTP/2, and its keepalive is what ends a connection to nobody.
            None if request.version() < Version::HTTP_2 => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
                Box::pin(async { Ok(response) })
            }
            None => Box::pin(self.inner.call(request)),
        }
    }
}

/// What is at a path; nothing while the server starts.
struct Document(Option<Content>);

struct Content {
    text: String,
    max_age_seconds: u64,
}

impl<S> WellKnown<S> {
    fn document(&self, path: &str) -> Option<Document> {
        let issuer = &self.identity.settings().issuer;
        let issuer_path = issuer_path(issuer);
        // Where the metadata says they are, and without the issuer's path.
        if path == JWKS || path.strip_prefix(issuer_path) == Some(JWKS) {
            return Some(Document(self.jwks()));
        }
        let suffix = path.strip_prefix(METADATA)?;
        (suffix.is_empty() || suffix == issuer_path).then(|| Document(Some(self.metadata(issuer))))
    }

    fn jwks(&self) -> Option<Content> {
        let keys = self.identity.jwks().ok()?;
        Some(Content {
            text: json!({ "keys": keys }).to_string(),
            max_age_seconds: self.identity.jwks_max_age().as_secs(),
        })
    }

    /// There is no endpoint of OAuth: tokens come from `Auth`.
    fn metadata(&self, issuer: &str) -> Content {
        let metadata = json!({
            "issuer": issuer,
            "jwks_uri": format!("{}{JWKS}", issuer.trim_end_matches('/')),
            "response_types_supported": [],
            "grant_types_supported": [],
        });
        Content {
            text: metadata.to_string(),
            max_age_seconds: self.identity.jwks_max_age().as_secs(),
        }
    }
}

/// The path of an issuer's URL, without a slash at its end.
fn issuer_path(issuer: &str) -> &str {
    let after_scheme = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    let path = after_scheme.find('/').map_or("", |at| &after_scheme[at..]);
    path.trim_end_matches('/')
}

fn answer(document: Document, method: &Method, headers: &HeaderMap) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        let allowed = HeaderValue::from_static("GET, HEAD");
        return empty(StatusCode::METHOD_NOT_ALLOWED, (ALLOW, allowed));
    }
    let Some(content) = document.0 else {
        let soon = HeaderValue::from_static("1");
        return empty(StatusCode::SERVICE_UNAVAILABLE, (RETRY_AFTER, soon));
    };
    let digest = digest::digest(&digest::SHA256, content.text.as_bytes());
    let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]));
    let known = headers.get(IF_NONE_MATCH).and_then(|it| it.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|it| it.trim() == tag));
    let body = if is_known || method == Method::HEAD {
        Body::empty()
    } else {
        Body::new(content.text)
    };
    let mut response = Response::new(body);
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let max_age = format!("public, max-age={}", content.max_age_seconds);
    let fields = [
        (
            CONTENT_TYPE,
            Ok(HeaderValue::from_static("application/json")),
        ),
        (CACHE_CONTROL, HeaderValue::try_from(max_age)),
        (ETAG, HeaderValue::try_from(tag)),
    ];
    for (name, value) in fields {
        if let Ok(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn empty(status: StatusCode, header: (http::HeaderName, HeaderValue)) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header.0, header.1);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_an_issuer_is_what_follows_its_host() {
        for (issuer, path) in [
            ("https://id.test", ""),
            ("https://id.test/", ""),
            ("https://id.test:8443/tenant/a/", "/tenant/a"),
            ("rollcall", ""),
        ] {
            assert_eq!(issuer_path(issuer), path);
        }
    }
}
