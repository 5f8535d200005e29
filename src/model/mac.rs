//! Tokens that prove themselves: their bytes end in a MAC, so that this deployment knows
//! its own without asking its database.
//!
//! ```text
//! <prefix><base64url, no padding, of:>
//!   version      1 byte
//!   key id       1 byte     which MAC key
//!   body                    what the token says
//!   tag         32 bytes    HMAC-SHA-256 of everything before
//! ```

use std::fmt;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const HEAD: usize = 2;
const TAG: usize = 32;

/// The text of a token whose body is `body`, under the ring's first key.
pub(super) fn seal(prefix: &str, body: &[u8], keys: &MacKeys) -> Zeroizing<String> {
    let key = &keys.active;
    let mut bytes = Zeroizing::new(Vec::with_capacity(HEAD + body.len() + TAG));
    bytes.extend([VERSION, key.id]);
    bytes.extend(body);
    let tag = hmac::sign(&key.key, &bytes);
    bytes.extend(tag.as_ref());

    let mut text = String::with_capacity(prefix.len() + bytes.len().div_ceil(3) * 4);
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(&bytes[..], &mut text);
    Zeroizing::new(text)
}

/// The body of a token that this deployment made; `None` for everything else.
///
/// The text has exactly one form: padding, stray trailing bits, other lengths and other
/// versions are refused, and the tag is compared in constant time.
pub(super) fn open<const BODY: usize>(
    prefix: &str,
    text: &str,
    keys: &MacKeys,
) -> Option<Zeroizing<[u8; BODY]>> {
    let encoded = text.strip_prefix(prefix)?;
    let length = HEAD + BODY + TAG;
    let mut bytes = Zeroizing::new(vec![0_u8; length]);
    let decoded = URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes[..]).ok()?;
    if decoded != length || bytes[0] != VERSION {
        return None;
    }
    let (said, tag) = bytes.split_at(HEAD + BODY);
    if !keys.verify(said[1], said, tag) {
        return None;
    }
    let mut body = Zeroizing::new([0; BODY]);
    body.copy_from_slice(&said[HEAD..]);
    Some(body)
}

/// The `N` bytes of a body that begin at `at`.
pub(super) fn array_at<const N: usize>(body: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&body[at..at + N]);
    array
}

/// A key that tokens of one purpose are made with.
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

/// The keys that tokens of one purpose are valid under: the first makes new ones.
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

    /// Whether a key of this id made the tag. Ids are one byte, so two keys may share one.
    fn verify(&self, id: u8, message: &[u8], tag: &[u8]) -> bool {
        std::iter::once(&self.active)
            .chain(&self.others)
            .filter(|key| key.id == id)
            .any(|key| hmac::verify(&key.key, message, tag).is_ok())
    }
}
