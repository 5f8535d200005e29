//! Who calls: the access token (RFC 6750 section 2.1), and whether the caller is known.

use http::HeaderMap;
use tonic::{Request, metadata::MetadataMap};

use crate::identity::{AuthCaller, Error};

/// The token of `authorization: Bearer TOKEN`; the scheme's case does not matter.
pub(super) fn bearer(metadata: &MetadataMap) -> Result<&str, Error> {
    find_bearer(metadata.as_ref()).ok_or(Error::AccessTokenInvalid)
}

/// The same, where there is one.
#[must_use]
pub fn find_bearer(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get("authorization")?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether the caller is known: who is not was marked on the way here.
pub(super) fn auth_caller<T>(request: &Request<T>) -> AuthCaller {
    let marked = request.extensions().get::<AuthCaller>();
    marked.copied().unwrap_or(AuthCaller::Known)
}
