//! The password reset token: with it a new password can be set, once.
//!
//! ```text
//! rcp_<base64url, no padding, of:>
//!   version      1 byte
//!   key id       1 byte     which MAC key
//!   user id     16 bytes
//!   token id    16 bytes    random: which of the user's tokens
//!   tag         32 bytes    HMAC-SHA-256 of everything before
//! ```
//!
//! The database knows the id and the expiry, and not the key: a copy of it makes no token.

use std::fmt;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    ids::UserId,
    mac::{self, MacKeys, array_at},
};

/// What every password reset token begins with, so that secret scanners find a leaked one.
pub const PREFIX: &str = "rcp_";

const BODY: usize = 32;

/// What a password reset token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordResetToken {
    /// Whose password.
    pub user_id: UserId,
    /// Which of the user's tokens.
    pub id: Uuid,
}

impl PasswordResetToken {
    /// A new token for a user, by 122 random bits from the operating system.
    ///
    /// # Errors
    ///
    /// When the operating system gives none.
    pub fn generate(user_id: UserId) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut bytes = [0; 16];
        aws_lc_rs::rand::fill(&mut bytes)?;
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        Ok(Self { user_id, id })
    }

    /// The token's text under the ring's first key.
    #[must_use]
    pub fn encode(&self, keys: &MacKeys) -> PasswordResetTokenText {
        let mut body = Zeroizing::new([0_u8; BODY]);
        body[..16].copy_from_slice(self.user_id.0.as_bytes());
        body[16..].copy_from_slice(self.id.as_bytes());
        PasswordResetTokenText(mac::seal(PREFIX, &body[..], keys))
    }

    /// Reads a token that this deployment made; `None` for everything else.
    #[must_use]
    pub fn decode(text: &str, keys: &MacKeys) -> Option<Self> {
        let body = mac::open::<BODY>(PREFIX, text, keys)?;
        Some(Self {
            user_id: UserId(Uuid::from_bytes(array_at(&body[..], 0))),
            id: Uuid::from_bytes(array_at(&body[..], 16)),
        })
    }
}

/// The text of a password reset token, a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordResetTokenText(Zeroizing<String>);

impl PasswordResetTokenText {
    /// Takes a text that is said to be one.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the reply to the operator who asked for it, and for reading it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordResetTokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordResetTokenText(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::{super::mac::MacKey, *};

    fn keys() -> MacKeys {
        MacKeys::new(MacKey::new(7, &[1; 32]), vec![MacKey::new(8, &[2; 32])])
    }

    fn token() -> PasswordResetToken {
        PasswordResetToken::generate(UserId(Uuid::from_u128(1))).unwrap()
    }

    #[test]
    fn token_survives_its_text_and_shows_nothing_of_it() {
        let token = token();
        let text = token.encode(&keys());
        assert!(text.expose().starts_with("rcp_"));
        assert_eq!(text.expose().len(), 92);
        assert_eq!(
            PasswordResetToken::decode(text.expose(), &keys()),
            Some(token)
        );
        assert_eq!(format!("{text:?}"), "PasswordResetTokenText(..)");
    }

    #[test]
    fn token_of_an_older_key_is_taken_and_of_a_strange_one_is_not() {
        let token = token();
        let of = |id, secret| MacKeys::new(MacKey::new(id, &[secret; 32]), vec![]);
        let older = token.encode(&of(8, 2));
        assert_eq!(
            PasswordResetToken::decode(older.expose(), &keys()),
            Some(token)
        );
        let strange = token.encode(&of(7, 3));
        assert_eq!(PasswordResetToken::decode(strange.expose(), &keys()), None);
    }

    #[test]
    fn token_with_any_bit_flipped_or_cut_is_refused() {
        let text = token().encode(&keys());
        let text = text.expose();
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                let flipped = String::from_utf8(bytes).unwrap();
                assert_eq!(PasswordResetToken::decode(&flipped, &keys()), None);
            }
            assert_eq!(PasswordResetToken::decode(&text[..at], &keys()), None);
        }
        assert_eq!(
            PasswordResetToken::decode(&format!("{text}="), &keys()),
            None
        );
        assert_eq!(
            PasswordResetToken::decode(&format!("{text}A"), &keys()),
            None
        );
    }

    #[test]
    fn two_tokens_of_one_user_differ() {
        assert_ne!(token(), token());
    }
}
