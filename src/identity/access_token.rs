//! The making of access tokens.

use std::{fmt, time::Duration};

use jsonwebtoken::Header;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{Error, Settings, signing_keys::ActiveKey};
use crate::model::{
    access_token::{Claims, TYPE},
    refresh_token::Commitment,
    role::Roles,
    session::Session,
};

/// The authentication method (RFC 8176): a password.
const AMR: &str = "pwd";

/// The claims of the token of `session`'s present generation, which `commitment` made.
pub(super) fn claims(
    session: &Session,
    commitment: Commitment,
    roles: &Roles,
    settings: &Settings,
) -> Claims {
    let iat = session.rotated_at.unix_timestamp();
    let lifetime = seconds(settings.access_token_lifetime);
    Claims {
        iss: settings.issuer.clone(),
        sub: session.user_id.0,
        aud: settings.audience.clone(),
        client_id: session.device.client_id.clone(),
        iat,
        exp: (iat + lifetime).min(session.absolute_expires_at.unix_timestamp()),
        jti: commitment.to_jti(),
        sid: session.id.0,
        generation: session.generation,
        auth_time: session.created_at.unix_timestamp(),
        amr: vec![AMR.to_owned()],
        roles: roles.names().to_vec(),
        token_mode: session.token_mode,
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 2)
}

/// An access token and what it says.
pub struct AccessToken {
    /// What it says.
    pub claims: Claims,
    text: Zeroizing<String>,
}

impl AccessToken {
    pub(super) fn sign(claims: Claims, key: &ActiveKey) -> Result<Self, Error> {
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
