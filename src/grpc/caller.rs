//! The access token of a call (RFC 6750 section 2.1).

use tonic::metadata::MetadataMap;

use crate::identity::Error;

/// The token of `authorization: Bearer TOKEN`; the scheme's case does not matter.
pub(super) fn bearer(metadata: &MetadataMap) -> Result<&str, Error> {
    let header = metadata.get("authorization").and_then(|v| v.to_str().ok());
    match header.and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Error::AccessTokenInvalid),
    }
}
