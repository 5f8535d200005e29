//! The tokens of a session in bytes.

use std::io;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::Tokens;

/// The layout.
const VERSION: u32 = 1;
/// The most that the JSON is longer than the texts in it.
const OVERHEAD: usize = 256;

impl Tokens {
    /// The tokens as a [`Store`](crate::client::Store) can write them: a secret.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let request_id = self.request_id.as_ref().map_or(0, |id| id.len());
        let texts = self.access_token.len() + self.refresh_token.len() + request_id;
        // Large enough from the start: what a buffer leaves behind as it grows is not wiped.
        let mut bytes = Zeroizing::new(Vec::with_capacity(texts + OVERHEAD));
        // Texts and numbers always have a JSON, and memory takes it.
        let _ = serde_json::to_writer(&mut *bytes, &Written::from(self));
        bytes
    }

    /// The tokens that [`Tokens::to_bytes`] wrote, in this version or an earlier one.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] where these are none.
    pub fn from_bytes(bytes: &[u8]) -> io::Result<Self> {
        match serde_json::from_slice::<Written>(bytes) {
            Ok(written) if written.version == VERSION => Ok(written.into()),
            // What is wrong is not said: it could be a part of a secret.
            _ => {
                let text = "no tokens of this version";
                Err(io::Error::new(io::ErrorKind::InvalidData, text))
            }
        }
    }
}

/// The tokens as they are written, in JSON.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    access_token: Secret,
    refresh_token: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<Secret>,
    lifetime: u64,
    asked_at: i64,
    #[serde(default)]
    begun_at: i64,
}

/// A text that is wiped when it is dropped.
#[derive(Serialize, Deserialize)]
#[serde(from = "String")]
struct Secret(#[serde(serialize_with = "expose")] Zeroizing<String>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

fn expose<S: serde::Serializer>(text: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

impl From<&Tokens> for Written {
    fn from(tokens: &Tokens) -> Self {
        Self {
            version: VERSION,
            access_token: Secret(tokens.access_token.clone()),
            refresh_token: Secret(tokens.refresh_token.clone()),
            request_id: tokens.request_id.clone().map(Secret),
            lifetime: tokens.lifetime,
            asked_at: tokens.asked_at,
            begun_at: tokens.begun_at,
        }
    }
}

impl From<Written> for Tokens {
    fn from(written: Written) -> Self {
        Self {
            access_token: written.access_token.0,
            refresh_token: written.refresh_token.0,
            request_id: written.request_id.map(|id| id.0),
            lifetime: written.lifetime,
            asked_at: written.asked_at,
            begun_at: written.begun_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_read_as_they_were_written() {
        let text = |text: &str| Zeroizing::new(text.to_owned());
        let tokens = Tokens {
            access_token: text("access"),
            refresh_token: text("refresh"),
            request_id: Some(text("request")),
            lifetime: 600,
            asked_at: 1,
            begun_at: 2,
        };
        let bytes = tokens.to_bytes();
        assert_eq!(Tokens::from_bytes(&bytes).unwrap(), tokens);
        assert!(bytes.len() < OVERHEAD);
    }

    #[test]
    fn what_are_no_tokens_is_an_error_that_shows_none_of_it() {
        for bytes in ["", "{", "[]", "secret", r#"{"version":"secret"}"#] {
            let error = Tokens::from_bytes(bytes.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
