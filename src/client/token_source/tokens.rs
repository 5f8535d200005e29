//! What is kept of a session, and the access token that callers get.

use std::{fmt, sync::Arc, time::Duration};

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use serde::Deserialize;
use tonic::{Extensions, Request, metadata::MetadataMap};
use zeroize::Zeroizing;

use crate::{client::clock::unix_micros, proto::v1};

/// A `request_id` in random bytes: 128 bits and more are asked for.
const REQUEST_ID: usize = 24;

/// The tokens of a session as a [`Store`](super::Store) keeps them. Their texts are wiped
/// from memory when they are dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    pub(super) access_token: Zeroizing<String>,
    pub(super) refresh_token: Zeroizing<String>,
    /// Names the refresh that is under way; every attempt sends it.
    pub(super) request_id: Option<Zeroizing<String>>,
    /// For how long the access token holds, in seconds.
    pub(super) lifetime: u64,
    /// When the access token was asked for first, in seconds since 1970 by the clock of
    /// this machine: it is no older than that.
    pub(super) asked_at: i64,
    /// When the refresh that is under way was begun, by the same clock.
    pub(super) begun_at: i64,
}

impl Tokens {
    /// The tokens of an answer to what was asked for at `asked_at`. `None` where the answer
    /// has not both tokens.
    pub(super) fn new(pair: v1::TokenPair, asked_at: i64) -> Option<Self> {
        if pair.access_token.is_empty() || pair.refresh_token.is_empty() {
            return None;
        }
        let expires = pair.access_token_expire_time.map_or(0, |time| time.seconds);
        let issued = issued_at(&pair.access_token).unwrap_or(asked_at);
        Some(Self {
            lifetime: u64::try_from(expires - issued).unwrap_or(0),
            access_token: Zeroizing::new(pair.access_token),
            refresh_token: Zeroizing::new(pair.refresh_token),
            request_id: None,
            asked_at,
            begun_at: 0,
        })
    }

    /// These with a refresh under way: the one that was begun before, or a new one, which
    /// `request_id` then names.
    pub(super) fn refreshing(mut self, request_id: Zeroizing<String>, now: i64) -> Self {
        if self.request_id.is_none() {
            self.request_id = Some(request_id);
            self.begun_at = now;
        }
        self
    }

    pub(super) fn lifetime(&self) -> Duration {
        Duration::from_secs(self.lifetime)
    }

    /// How old the access token is at most, by the clock of this machine; older than it
    /// lives, where that clock was set back.
    pub(super) fn age(&self) -> Duration {
        match u64::try_from(unix_seconds() - self.asked_at) {
            Ok(age) => Duration::from_secs(age),
            Err(_) => self.lifetime(),
        }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(..)")
    }
}

/// An access token, to be sent as `authorization: Bearer`. Its text is wiped from memory
/// with its last clone.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(Arc<Zeroizing<String>>);

impl AccessToken {
    pub(super) fn new(text: &Zeroizing<String>) -> Self {
        Self(Arc::new(text.clone()))
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The value of the header `authorization`, marked as sensitive.
    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        let text = Zeroizing::new(format!("Bearer {}", self.expose()));
        // The text of a token is a JWT's, which any header can hold; no other is sent.
        let value = HeaderValue::try_from(text.as_str());
        let mut value = value.unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
        value.set_sensitive(true);
        value
    }

    /// `message` as a request with this token.
    #[must_use]
    pub fn request<T>(&self, message: T) -> Request<T> {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, self.authorization())]);
        let metadata = MetadataMap::from_headers(headers);
        Request::from_parts(metadata, Extensions::default(), message)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

/// A new `request_id`; `None` where the system has no random bytes.
pub(super) fn request_id() -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; REQUEST_ID]);
    rand::fill(&mut *bytes).ok()?;
    Some(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

/// Seconds since 1970 by the clock of this machine.
pub(super) fn unix_seconds() -> i64 {
    unix_micros() / 1_000_000
}

/// The `iat` of a JWT, unchecked: it came from Rollcall itself.
fn issued_at(jwt: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Issued {
        iat: i64,
    }
    let payload = jwt.split('.').nth(1)?;
    let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
    Some(serde_json::from_slice::<Issued>(&json).ok()?.iat)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(access_token: &str, expires: i64) -> v1::TokenPair {
        v1::TokenPair {
            access_token: access_token.to_owned(),
            refresh_token: "rcr_x".to_owned(),
            access_token_expire_time: Some(prost_types::Timestamp {
                seconds: expires,
                nanos: 0,
            }),
            ..v1::TokenPair::default()
        }
    }

    #[test]
    fn lifetime_is_that_of_the_token_whatever_this_machine_says_of_the_time() {
        let payload = URL_SAFE_NO_PAD.encode(r#"{"iat":1000,"exp":1600}"#);
        let jwt = format!("e30.{payload}.x");
        let tokens = Tokens::new(pair(&jwt, 1_600), 5).unwrap();
        assert_eq!(tokens.lifetime, 600);
        assert_eq!(tokens.asked_at, 5);
    }

    #[test]
    fn token_from_the_future_of_this_clock_counts_as_expired() {
        let tokens = Tokens::new(
            pair("no JWT", unix_seconds() + 7_200),
            unix_seconds() + 3_600,
        );
        let tokens = tokens.unwrap();
        assert_eq!(tokens.age(), tokens.lifetime());
    }

    #[test]
    fn refresh_that_was_begun_keeps_its_request_id() {
        let id = |text: &str| Zeroizing::new(text.to_owned());
        let tokens = Tokens::new(pair("no JWT", 100), 0).unwrap();
        let tokens = tokens.refreshing(id("a"), 10).refreshing(id("b"), 20);
        assert_eq!(tokens.request_id, Some(id("a")));
        assert_eq!(tokens.begun_at, 10);
    }

    #[test]
    fn request_ids_are_long_enough_and_never_the_same() {
        let (one, other) = (request_id().unwrap(), request_id().unwrap());
        assert!(one.len() >= 22 && one != other);
    }

    #[test]
    fn secrets_are_silent() {
        let tokens = Tokens::new(pair("secret", 100), 0).unwrap();
        let token = AccessToken::new(&tokens.access_token);
        let (request, header) = (token.request(()), token.authorization());
        let shown = format!("{tokens:?} {token:?} {request:?} {header:?}");
        assert!(!shown.contains("secret"), "{shown}");
        assert_eq!(header, "Bearer secret");
        assert_eq!(request.metadata().as_ref()["authorization"], header);
    }
}
