//! The access token: a JWT as RFC 9068 has it.

use std::{fmt, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    Error, Settings,
    signing_keys::{Keyring, SigningKey},
};
use crate::model::{
    ids::{SessionId, UserId},
    role::Roles,
    session::Session,
};

/// The `typ` of the header (RFC 9068 section 2.1): what tells an access token from
/// any other JWT.
const TYPE: &str = "at+jwt";

/// The authentication method (RFC 8176): a password.
const AMR: &str = "pwd";

/// The claims of an access token. Each is required; times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Names the token; the same for every repetition of one refresh.
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
}

impl Claims {
    /// The claims of the token of `session`'s present generation.
    pub(super) fn of(session: &Session, jti: String, roles: &Roles, settings: &Settings) -> Self {
        let iat = session.rotated_at.unix_timestamp();
        let lifetime = seconds(settings.access_token_lifetime);
        Self {
            iss: settings.issuer.clone(),
            sub: session.user_id.0,
            aud: settings.audience.clone(),
            client_id: session.device.client_id.clone(),
            iat,
            exp: (iat + lifetime).min(session.absolute_expires_at.unix_timestamp()),
            jti,
            sid: session.id.0,
            generation: session.generation,
            auth_time: session.created_at.unix_timestamp(),
            amr: vec![AMR.to_owned()],
            roles: roles.names().to_vec(),
        }
    }

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

    /// Whether the token is void at `now`.
    #[must_use]
    pub fn expired_at(&self, now: OffsetDateTime) -> bool {
        now.unix_timestamp() >= self.exp
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 2)
}

/// The `jti` of a generation: a digest of what tells it from every other.
pub(super) fn token_id(session: SessionId, generation: u32, commitment: [u8; 16]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"rollcall jti");
    context.update(session.0.as_bytes());
    context.update(&generation.to_be_bytes());
    context.update(&commitment);
    URL_SAFE_NO_PAD.encode(&context.finish().as_ref()[..16])
}

/// An access token and what it says.
pub struct AccessToken {
    /// What it says.
    pub claims: Claims,
    text: Zeroizing<String>,
}

impl AccessToken {
    pub(super) fn sign(claims: Claims, key: &SigningKey) -> Result<Self, Error> {
        let mut header = Header::new(key.algorithm);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key.kid.clone());
        let text = jsonwebtoken::encode(&header, &claims, &key.encoding).map_err(Error::Signing)?;
        Ok(Self {
            claims,
            text: Zeroizing::new(text),
        })
    }

    /// The text, for the reply to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// When it expires.
    #[must_use]
    pub fn expires_at(&self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(self.claims.exp).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

/// Checks everything of a token but its time: type, key, algorithm, signature, issuer,
/// audience, and that every claim is there with its type.
///
/// The key decides the algorithm (RFC 8725 section 3.1); the header's `jku`, `jwk` and
/// `x5u` are never looked at, and an unknown `kid` meets nothing but a map in memory.
pub(super) fn verify(text: &str, keys: &Keyring, settings: &Settings) -> Option<Claims> {
    let header = jsonwebtoken::decode_header(text).ok()?;
    // What a header calls critical must be understood (RFC 7515 section 4.1.11), and no
    // extension is.
    if header.typ.as_deref() != Some(TYPE) || header.crit.is_some() {
        return None;
    }
    let key = keys.find(header.kid.as_deref()?)?;
    let validation = validation(key.algorithm, settings);
    let token = jsonwebtoken::decode::<Claims>(text, &key.decoding, &validation).ok()?;
    Some(token.claims)
}

fn validation(algorithm: Algorithm, settings: &Settings) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[&settings.issuer]);
    validation.set_audience(&[&settings.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The time is the database's, and is compared once it is known.
    validation.validate_exp = false;
    validation
}
