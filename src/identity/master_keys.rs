//! The master keys of a process: the first makes what is new, all open what is there.
//!
//! So that one can take the place of another: first every process learns the new key
//! behind the old one, then the new one goes first, then the old one goes.

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

use super::{
    MasterKey, MasterKeyError,
    master_key::{PageKey, SealKey},
};
use crate::model::mac::MacKeys;

/// One master key or more; their text separates them by white space or commas.
#[derive(Clone, Debug)]
pub struct MasterKeys {
    first: MasterKey,
    others: Vec<MasterKey>,
}

/// Why a text is no ring of master keys. It does not show the text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeysError {
    /// A part of it is no master key, or there is none.
    #[error(transparent)]
    Malformed(#[from] MasterKeyError),
    /// One key is there twice.
    #[error("the same master key is there twice: give each once, the one to use first")]
    Twice,
}

impl MasterKeys {
    fn iter(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The keys that refresh tokens are made with.
    pub(super) fn mac_keys(&self) -> MacKeys {
        let others = self.others.iter().map(MasterKey::mac_key);
        MacKeys::new(self.first.mac_key(), others.collect())
    }

    /// The keys that password reset tokens are made with.
    pub(super) fn reset_mac_keys(&self) -> MacKeys {
        let others = self.others.iter().map(MasterKey::reset_mac_key);
        MacKeys::new(self.first.reset_mac_key(), others.collect())
    }

    pub(super) fn page_keys(&self) -> PageKeys {
        PageKeys {
            first: self.first.page_key(),
            others: self.others.iter().map(MasterKey::page_key).collect(),
        }
    }

    pub(super) fn seal_keys(&self) -> SealKeys {
        SealKeys {
            first: self.first.seal_key(),
            others: self.others.iter().map(MasterKey::seal_key).collect(),
        }
    }
}

impl From<MasterKey> for MasterKeys {
    fn from(first: MasterKey) -> Self {
        let others = Vec::new();
        Self { first, others }
    }
}

impl FromStr for MasterKeys {
    type Err = MasterKeysError;

    fn from_str(text: &str) -> Result<Self, MasterKeysError> {
        let mut parts = text
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|part| !part.is_empty());
        let first: MasterKey = parts.next().ok_or(MasterKeyError)?.parse()?;
        let mut keys = Self::from(first);
        for part in parts {
            let key: MasterKey = part.parse()?;
            if keys.iter().any(|known| known.is(&key)) {
                return Err(MasterKeysError::Twice);
            }
            keys.others.push(key);
        }
        Ok(keys)
    }
}

/// The keys that page tokens are made with.
pub(super) struct PageKeys {
    first: PageKey,
    others: Vec<PageKey>,
}

impl PageKeys {
    /// The tag of a page token.
    pub(super) fn tag(&self, message: &[u8]) -> [u8; 16] {
        self.first.tag(message)
    }

    /// Whether one of the keys made the tag, in constant time.
    pub(super) fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        let mut keys = std::iter::once(&self.first).chain(&self.others);
        keys.any(|key| {
            let made = key.tag(message);
            aws_lc_rs::constant_time::verify_slices_are_equal(&made, tag).is_ok()
        })
    }
}

/// The keys that signing keys are sealed under.
pub(super) struct SealKeys {
    first: SealKey,
    others: Vec<SealKey>,
}

/// What was sealed.
pub(super) struct Opened {
    pub(super) secret: Zeroizing<Vec<u8>>,
    /// Whether the first key of the ring had sealed it.
    pub(super) by_first: bool,
}

impl SealKeys {
    /// Seals under the first key.
    pub(super) fn seal(
        &self,
        context: &[u8],
        secret: &[u8],
    ) -> Result<Vec<u8>, aws_lc_rs::error::Unspecified> {
        self.first.seal(context, secret)
    }

    /// What one of the keys sealed with the same context; `None` for anything else.
    pub(super) fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Opened> {
        if let Some(secret) = self.first.open(context, sealed) {
            let by_first = true;
            return Some(Opened { secret, by_first });
        }
        let mut others = self.others.iter();
        let secret = others.find_map(|key| key.open(context, sealed))?;
        let by_first = false;
        Some(Opened { secret, by_first })
    }
}

impl fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> [Zeroizing<String>; 2] {
        [(); 2].map(|()| MasterKey::generate().unwrap().expose())
    }

    #[test]
    fn keys_are_separated_by_white_space_or_commas() {
        let [old, new] = texts();
        for text in [
            format!("{},{}", *old, *new),
            format!("{} {}", *old, *new),
            format!("\n{}\n{}\n", *old, *new),
            format!(" {} ,\t{},", *old, *new),
        ] {
            let keys: MasterKeys = text.parse().unwrap();
            let found: Vec<_> = keys.iter().map(|key| key.expose().to_string()).collect();
            assert_eq!(found, [old.to_string(), new.to_string()]);
        }
    }

    #[test]
    fn part_that_is_no_key_is_refused() {
        let [key, _] = texts();
        let malformed = MasterKeysError::Malformed(MasterKeyError);
        for text in [
            "",
            " ,\n",
            &format!("{},rcm_A", *key),
            &format!("{0}{0}", *key),
        ] {
            assert_eq!(text.parse::<MasterKeys>().unwrap_err(), malformed);
        }
    }

    #[test]
    fn key_that_is_there_twice_is_refused() {
        let [old, new] = texts();
        let text = format!("{}, {} {}", *old, *new, *old);
        let refused = text.parse::<MasterKeys>().unwrap_err();
        assert_eq!(refused, MasterKeysError::Twice);
    }

    #[test]
    fn all_keys_open_and_the_first_seals() {
        let [old, new] = texts();
        let ring = |text: &str| text.parse::<MasterKeys>().unwrap();
        let (before, after) = (ring(&old), ring(&format!("{},{}", *new, *old)));
        let sealed = before.seal_keys().seal(b"kid", b"secret").unwrap();
        let opened = after.seal_keys().open(b"kid", &sealed).unwrap();
        assert_eq!(
            (&opened.secret[..], opened.by_first),
            (&b"secret"[..], false)
        );
        let sealed = after.seal_keys().seal(b"kid", b"secret").unwrap();
        assert!(after.seal_keys().open(b"kid", &sealed).unwrap().by_first);
        assert!(before.seal_keys().open(b"kid", &sealed).is_none());
    }

    #[test]
    fn page_tag_of_any_key_is_taken_and_of_no_other() {
        let [old, new] = texts();
        let ring = |text: &str| text.parse::<MasterKeys>().unwrap().page_keys();
        let tag = ring(&old).tag(b"page");
        assert!(ring(&format!("{},{}", *new, *old)).verify(b"page", &tag));
        assert!(!ring(&new).verify(b"page", &tag));
        assert!(!ring(&old).verify(b"pages", &tag));
    }
}
