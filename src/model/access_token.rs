//! The access token: a JWT as RFC 9068 has it, what it says, and how it is checked alone.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    ids::{SessionId, UserId},
    token_mode::TokenMode,
};

/// The `typ` of the header (RFC 9068 section 2.1): what tells an access token from
/// any other JWT.
pub const TYPE: &str = "at+jwt";

/// The claims of an access token. Each but `token_mode` is required; times are seconds
/// since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Claims {
    /// Who issued the token.
    pub iss: String,
    /// The user.
    pub sub: Uuid,
    /// For whom the token is.
    pub aud: String,
    /// The application that signed in.
    pub client_id: String,
    /// When the generation was made, by the database's clock.
    pub iat: i64,
    /// From when on the token is void.
    pub exp: i64,
    /// Names the token by the commitment of the request that made its generation; the
    /// same for every repetition of one refresh.
    pub jti: String,
    /// The session.
    pub sid: Uuid,
    /// The generation of the session.
    #[serde(rename = "gen")]
    pub generation: u32,
    /// When the user signed in.
    pub auth_time: i64,
    /// How the user signed in.
    pub amr: Vec<String>,
    /// What the user may do.
    pub roles: Vec<String>,
    /// Which tokens the client holds; absent for a pair.
    #[serde(default, skip_serializing_if = "TokenMode::is_pair")]
    pub token_mode: TokenMode,
}

impl Claims {
    /// The user.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        UserId(self.sub)
    }

    /// The session.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        SessionId(self.sid)
    }

    /// Whether the token is void at `now`, in seconds since 1970.
    #[must_use]
    pub fn expired_at(&self, now: i64) -> bool {
        now >= self.exp
    }

    /// Whether the user has a role.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|name| name == role)
    }
}

/// Why a text is no access token to be taken here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// Not a JWT.
    #[error("it is not a JWT")]
    Malformed,
    /// Another type than [`TYPE`], or a header with demands of its own.
    #[error("it is not an access token (RFC 9068): its type is not `at+jwt`")]
    Type,
    /// No key has its `kid`.
    #[error("it names a key that is not published")]
    UnknownKey,
    /// The signature is not that of its key.
    #[error("its signature is wrong")]
    Signature,
    /// A claim is missing, or has another JSON type.
    #[error("a claim is missing or malformed")]
    Claims,
    /// Somebody else issued it.
    #[error("it was issued by `{found}`, and only `{expected}` is taken")]
    Issuer {
        /// Whom the token names.
        found: String,
        /// Whose tokens are taken.
        expected: String,
    },
    /// It is for somebody else.
    #[error("it is for the audience `{found}`, and only `{expected}` is taken")]
    Audience {
        /// What the token names.
        found: String,
        /// What is taken.
        expected: String,
    },
}

/// A public key and the one algorithm that it verifies (RFC 8725 section 3.1).
#[derive(Clone)]
pub struct VerifyingKey {
    decoding: DecodingKey,
    validation: Validation,
}

impl VerifyingKey {
    /// The key for an algorithm.
    #[must_use]
    pub fn new(algorithm: Algorithm, decoding: DecodingKey) -> Self {
        let mut validation = Validation::new(algorithm);
        // The others are required as fields of `Claims`, and compared with what they are
        // to be there. This one must besides be a time that the library can read.
        validation.set_required_spec_claims(&["exp"]);
        validation.validate_aud = false;
        // The time is compared once it is known, where it is the database's.
        validation.validate_exp = false;
        Self {
            decoding,
            validation,
        }
    }
}

/// Checks everything of a token but its time: type, key, algorithm, signature, issuer,
/// audience, and that every claim is there with its type.
///
/// `find` answers the key of a `kid`. The key decides the algorithm; the header's `jku`,
/// `jwk` and `x5u` are never looked at.
///
/// # Errors
///
/// What is wrong with it. Who presented it should learn no more than that it is invalid.
pub fn verify<'k>(
    text: &str,
    find: impl FnOnce(&str) -> Option<&'k VerifyingKey>,
    issuer: &str,
    audience: &str,
) -> Result<Claims, Invalid> {
    let header = jsonwebtoken::decode_header(text).map_err(|_| Invalid::Malformed)?;
    // What a header calls critical must be understood (RFC 7515 section 4.1.11), and no
    // extension is.
    if header.typ.as_deref() != Some(TYPE) || header.crit.is_some() {
        return Err(Invalid::Type);
    }
    let kid = header.kid.ok_or(Invalid::UnknownKey)?;
    let key = find(&kid).ok_or(Invalid::UnknownKey)?;
    let token = jsonwebtoken::decode::<Claims>(text, &key.decoding, &key.validation);
    let claims = token.map_err(|error| invalid(error.kind()))?.claims;
    if claims.iss != issuer {
        return Err(Invalid::Issuer {
            found: claims.iss,
            expected: issuer.to_owned(),
        });
    }
    if claims.aud != audience {
        return Err(Invalid::Audience {
            found: claims.aud,
            expected: audience.to_owned(),
        });
    }
    Ok(claims)
}

fn invalid(kind: &ErrorKind) -> Invalid {
    match kind {
        ErrorKind::Json(_)
        | ErrorKind::InvalidClaimFormat(_)
        | ErrorKind::MissingRequiredClaim(_)
        | ErrorKind::Utf8(_) => Invalid::Claims,
        ErrorKind::InvalidToken | ErrorKind::Base64(_) => Invalid::Malformed,
        _ => Invalid::Signature,
    }
}

#[cfg(test)]
mod tests;
