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

use aws_lc_rs::{digest, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::ids::{SessionId, UserId};

/// What every refresh token begins with, so that secret scanners find a leaked one.
pub const PREFIX: &str = "rcr_";

const VERSION: u8 = 1;
const BODY: usize = 54;
const TAG: usize = 32;
const BYTES: usize = BODY + TAG;

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
        let key = keys.active();
        let mut bytes = Zeroizing::new([0_u8; BYTES]);
        bytes[0] = VERSION;
        bytes[1] = key.id;
        bytes[2..18].copy_from_slice(self.user_id.0.as_bytes());
        bytes[18..34].copy_from_slice(self.session_id.0.as_bytes());
        bytes[34..38].copy_from_slice(&self.generation.to_be_bytes());
        bytes[38..BODY].copy_from_slice(&self.commitment.0);
        let tag = hmac::sign(&key.key, &bytes[..BODY]);
        bytes[BODY..].copy_from_slice(tag.as_ref());

        let mut text = String::with_capacity(PREFIX.len() + BYTES.div_ceil(3) * 4);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&bytes[..], &mut text);
        RefreshTokenText(Zeroizing::new(text))
    }

    /// Reads a token that this deployment made; `None` for everything else.
    ///
    /// The text has exactly one form: padding, stray trailing bits, other lengths
    /// and other versions are refused, and the tag is compared in constant time.
    #[must_use]
    pub fn decode(text: &str, keys: &MacKeys) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        let mut bytes = Zeroizing::new([0_u8; BYTES]);
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes[..]).ok()?;
        if length != BYTES || bytes[0] != VERSION {
            return None;
        }
        if !keys.verify(bytes[1], &bytes[..BODY], &bytes[BODY..]) {
            return None;
        }
        Some(Self {
            user_id: UserId(uuid_at(&bytes, 2)),
            session_id: SessionId(uuid_at(&bytes, 18)),
            generation: u32::from_be_bytes(array_at(&bytes, 34)),
            commitment: Commitment(array_at(&bytes, 38)),
        })
    }
}

fn uuid_at(bytes: &[u8; BYTES], at: usize) -> Uuid {
    Uuid::from_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8; BYTES], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
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

/// A key that refresh tokens are made with.
pub struct MacKey {
    /// Which of the ring's keys it is.
    pub id: u8,
    key: hmac::Key,
}

impl MacKey {
    /// A key from 32 derived bytes.
    #[must_use]
    pub fn new(id: u8, secret: &[u8; 32]) -> Self {
        Self {
            id,
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
        }
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MacKey({})", self.id)
    }
}

/// The keys that refresh tokens are valid under: the first makes new ones.
#[derive(Debug)]
pub struct MacKeys {
    active: MacKey,
    others: Vec<MacKey>,
}

impl MacKeys {
    /// A ring of one or more keys.
    #[must_use]
    pub fn new(active: MacKey, others: Vec<MacKey>) -> Self {
        Self { active, others }
    }

    fn active(&self) -> &MacKey {
        &self.active
    }

    /// Whether a key of this id made the tag. Ids are one byte, so two keys may share one.
    fn verify(&self, id: u8, message: &[u8], tag: &[u8]) -> bool {
        std::iter::once(&self.active)
            .chain(&self.others)
            .filter(|key| key.id == id)
            .any(|key| hmac::verify(&key.key, message, tag).is_ok())
    }
}

#[cfg(test)]
mod tests;
