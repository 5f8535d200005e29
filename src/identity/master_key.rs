//! The master key, which is never in the database, and the keys derived from it:
//! HKDF-SHA-256 (RFC 5869), a label per purpose.

use std::{fmt, str::FromStr};

use aws_lc_rs::{aead, hkdf, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::model::mac::MacKey;

/// What a master key's text begins with, so that secret scanners find a leaked one.
const PREFIX: &str = "rcm_";

/// 32 random bytes; its text is `rcm_` and base64url.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// Why a text is not a master key. It does not show the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a master key is `rcm_` and 43 characters of base64url: `rollcall keys generate` prints one"
)]
pub struct MasterKeyError;

impl MasterKey {
    /// A new key from the operating system's random bytes.
    ///
    /// # Errors
    ///
    /// When the operating system gives none.
    pub fn generate() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut bytes = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut bytes[..])?;
        Ok(Self(bytes))
    }

    /// The text, for the file or secret store that keeps it.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let mut text = String::with_capacity(PREFIX.len() + 44);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&self.0[..], &mut text);
        Zeroizing::new(text)
    }

    /// The key that refresh tokens are made with. Its id is derived with it, so that tokens
    /// of another master key are told apart before any MAC.
    pub(super) fn mac_key(&self) -> MacKey {
        let secret = self.derive(b"rollcall refresh token mac");
        let id = self.derive(b"rollcall refresh token mac key id")[0];
        MacKey::new(id, &secret)
    }

    /// The key that password reset tokens are made with, and its id likewise.
    pub(super) fn reset_mac_key(&self) -> MacKey {
        let secret = self.derive(b"rollcall password reset token mac");
        let id = self.derive(b"rollcall password reset token mac key id")[0];
        MacKey::new(id, &secret)
    }

    pub(super) fn page_key(&self) -> PageKey {
        let secret = self.derive(b"rollcall page token mac");
        PageKey(hmac::Key::new(hmac::HMAC_SHA256, &secret[..]))
    }

    pub(super) fn seal_key(&self) -> SealKey {
        SealKey(self.derive(b"rollcall signing key seal"))
    }

    /// Whether the two are one, in constant time.
    pub(super) fn is(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0[..], &other.0[..]).is_ok()
    }

    fn derive(&self, label: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"rollcall").extract(&self.0[..]);
        let info = [label];
        let okm = prk.expand(&info, hkdf::HKDF_SHA256);
        // 32 bytes are one block of SHA-256: expand and fill refuse only more than 255.
        let filled = okm.and_then(|okm| okm.fill(&mut bytes[..]));
        debug_assert!(filled.is_ok());
        bytes
    }
}

impl FromStr for MasterKey {
    type Err = MasterKeyError;

    fn from_str(text: &str) -> Result<Self, MasterKeyError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(MasterKeyError)?;
        let mut bytes = Zeroizing::new([0; 32]);
        match URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes[..]) {
            Ok(32) => Ok(Self(bytes)),
            _ => Err(MasterKeyError),
        }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// The key that page tokens are made with, so that one from elsewhere is refused
/// before any query.
pub(super) struct PageKey(hmac::Key);

impl PageKey {
    /// The tag of a page token: 16 bytes.
    pub(super) fn tag(&self, message: &[u8]) -> [u8; 16] {
        let mut tag = [0; 16];
        tag.copy_from_slice(&hmac::sign(&self.0, message).as_ref()[..16]);
        tag
    }
}

/// The key that signing keys are sealed under: AES-256-GCM with a random nonce of 12
/// bytes in front of what is sealed.
pub(super) struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    /// Seals `secret`, bound to `context`: it opens only with the same.
    pub(super) fn seal(
        &self,
        context: &[u8],
        secret: &[u8],
    ) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        let mut nonce = [0; aead::NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce)?;
        let mut sealed = secret.to_vec();
        self.cipher()?.seal_in_place_append_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(context),
            &mut sealed,
        )?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// What was sealed under the same key and context; `None` for anything else.
    pub(super) fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk()?;
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let length = self
            .cipher()
            .ok()?
            .open_in_place(
                aead::Nonce::assume_unique_for_key(*nonce),
                aead::Aad::from(context),
                &mut bytes,
            )
            .ok()?
            .len();
        bytes.truncate(length);
        Some(bytes)
    }

    fn cipher(&self) -> Result<aead::LessSafeKey, aws_lc_rs::error::Unspecified> {
        aead::UnboundKey::new(&aead::AES_256_GCM, &self.0[..]).map(aead::LessSafeKey::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_survives_its_text() {
        let key = MasterKey::generate().unwrap();
        let again: MasterKey = key.expose().parse().unwrap();
        assert_eq!(*again.0, *key.0);
        assert_eq!(format!("{key:?}"), "MasterKey(..)");
    }

    #[test]
    fn malformed_key_is_refused() {
        for text in ["", "rcm_", "rcm_AAAA", &"A".repeat(47)] {
            assert_eq!(text.parse::<MasterKey>().unwrap_err(), MasterKeyError);
        }
    }

    #[test]
    fn purposes_have_keys_of_their_own() {
        let key = MasterKey::generate().unwrap();
        assert_ne!(*key.derive(b"a"), *key.derive(b"b"));
        assert_ne!(*key.derive(b"a"), [0; 32]);
    }

    #[test]
    fn sealed_secret_opens_only_with_its_key_and_context() {
        let key = MasterKey::generate().unwrap().seal_key();
        let other = MasterKey::generate().unwrap().seal_key();
        let sealed = key.seal(b"kid", b"secret").unwrap();
        assert_eq!(key.open(b"kid", &sealed).unwrap().as_slice(), b"secret");
        assert!(key.open(b"other", &sealed).is_none());
        assert!(other.open(b"kid", &sealed).is_none());
        assert!(key.open(b"kid", &sealed[..20]).is_none());
        assert!(key.open(b"kid", b"").is_none());
    }
}
