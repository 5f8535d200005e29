//! The refresh token: what it says, and how it proves that this deployment said it.
//!
//! ```text
//! rcr_<base64url, no padding, of:>
//!   version      1 byte
//!   key id       1 byte     which MAC key
//!   user id     16 bytes
//!   session id  16 bytes
//!   generation   4 bytes    big endian, 0 at sign-in
//!   h           16 bytes    commitment of the request that made this generation
//!   tag         32 bytes    HMAC-SHA-256 of everything before
//! ```
//!
//! Nothing of it is stored: an old generation proves itself genuine by its tag, and
//! the session's row says how to take it.

use std::fmt;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    ids::{SessionId, UserId},
    mac::{self, MacKeys, array_at},
};

/// What every refresh token begins with, so that secret scanners find a leaked one.
pub const PREFIX: &str = "rcr_";

const BODY: usize = 52;

/// What a refresh token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshToken {
    /// Whose session.
    pub user_id: UserId,
    /// Which session.
    pub session_id: SessionId,
    /// Which generation of it.
    pub generation: u32,
    /// The commitment of the request that made this generation.
    pub commitment: Commitment,
}

impl RefreshToken {
    /// The token's text under the ring's first key.
    #[must_use]
    pub fn encode(&self, keys: &MacKeys) -> RefreshTokenText {
        let mut body = Zeroizing::new([0_u8; BODY]);
        body[..16].copy_from_slice(self.user_id.0.as_bytes());
        body[16..32].copy_from_slice(self.session_id.0.as_bytes());
        body[32..36].copy_from_slice(&self.generation.to_be_bytes());
        body[36..].copy_from_slice(&self.commitment.0);
        RefreshTokenText(mac::seal(PREFIX, &body[..], keys))
    }

    /// Reads a token that this deployment made; `None` for everything else, in whatever
    /// else than its one form.
    #[must_use]
    pub fn decode(text: &str, keys: &MacKeys) -> Option<Self> {
        let body = mac::open::<BODY>(PREFIX, text, keys)?;
        Some(Self {
            user_id: UserId(Uuid::from_bytes(array_at(&body[..], 0))),
            session_id: SessionId(Uuid::from_bytes(array_at(&body[..], 16))),
            generation: u32::from_be_bytes(array_at(&body[..], 32)),
            commitment: Commitment(array_at(&body[..], 36)),
        })
    }
}

/// The text of a refresh token, a secret; empty where there is none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RefreshTokenText(Zeroizing<String>);

impl RefreshTokenText {
    /// The text, for the reply to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RefreshTokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshTokenText(..)")
    }
}

/// Names the request that made a generation, without telling what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment(pub [u8; 16]);

impl Commitment {
    /// The commitment of a refresh that names itself.
    #[must_use]
    pub fn of_request(request_id: &str) -> Self {
        Self::digest(b"rollcall refresh", request_id.as_bytes())
    }

    /// The commitment of a refresh that does not: the token alone names it, under
    /// whichever MAC key its text was made.
    #[must_use]
    pub fn of_token(token: &RefreshToken) -> Self {
        let mut bytes = [0; 52];
        bytes[..16].copy_from_slice(token.user_id.0.as_bytes());
        bytes[16..32].copy_from_slice(token.session_id.0.as_bytes());
        bytes[32..36].copy_from_slice(&token.generation.to_be_bytes());
        bytes[36..].copy_from_slice(&token.commitment.0);
        Self::digest(b"rollcall refresh without request_id", &bytes)
    }

    /// The commitment of a renewal by an access token, which its `jti` names: its text
    /// may differ each time it is signed.
    #[must_use]
    pub fn of_renewal(jti: &str) -> Self {
        Self::digest(b"rollcall renewal", jti.as_bytes())
    }

    /// The `jti` of the access token of the generation that it made. It is no secret:
    /// it makes no token without a key.
    #[must_use]
    pub fn to_jti(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads a `jti`; `None` for what [`Commitment::to_jti`] does not make.
    #[must_use]
    pub fn from_jti(jti: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(jti).ok()?;
        bytes.try_into().map(Self).ok()
    }

    /// The commitment of a sign-in, which no request can repeat: 128 random bits
    /// from the operating system.
    ///
    /// # Errors
    ///
    /// When the operating system gives none.
    pub fn random() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut bytes = [0; 16];
        aws_lc_rs::rand::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    fn digest(label: &[u8], message: &[u8]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(label);
        context.update(message);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&context.finish().as_ref()[..16]);
        Self(bytes)
    }
}

#[cfg(test)]
mod tests;
