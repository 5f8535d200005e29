//! The access token in hand, and how long it is good for.

use std::time::Duration;

use super::{AccessToken, Tokens};
use crate::client::clock::Moment;

/// The most of an access token's life that is left when its successor is asked for.
const MARGIN: Duration = Duration::from_secs(60);
/// Which part of its life that is, where it is short.
const PART: u32 = 5;

/// An access token that this process has in memory.
pub(super) struct Held {
    pub(super) access_token: AccessToken,
    lifetime: Duration,
    /// How old it was at most when it was taken over.
    age: Duration,
    at: Moment,
}

impl Held {
    pub(super) fn new(tokens: &Tokens) -> Self {
        Self {
            access_token: AccessToken::new(&tokens.access_token),
            lifetime: tokens.lifetime(),
            age: tokens.age(),
            at: Moment::now(),
        }
    }

    /// Whether it has not expired.
    pub(super) fn lives(&self) -> bool {
        self.age_now() < self.lifetime
    }

    /// Whether it is time to ask for its successor.
    pub(super) fn ages(&self) -> bool {
        is_ageing(self.age_now(), self.lifetime)
    }

    fn age_now(&self) -> Duration {
        self.age + self.at.elapsed()
    }
}

/// Whether what is stored is as good as new: no refresh of it was begun, none is due, and
/// nobody has refused it.
pub(super) fn is_good(tokens: &Tokens, refused: Option<&AccessToken>) -> bool {
    let is_refused = refused.is_some_and(|token| token.expose() == tokens.access_token.as_str());
    tokens.request_id.is_none() && !is_refused && !is_ageing(tokens.age(), tokens.lifetime())
}

fn is_ageing(age: Duration, lifetime: Duration) -> bool {
    let margin = MARGIN.min(lifetime / PART);
    age >= lifetime.saturating_sub(margin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ages_at(lifetime: u64) -> u64 {
        let ageing = |age| is_ageing(Duration::from_secs(age), Duration::from_secs(lifetime));
        (0..=lifetime).find(|age| ageing(*age)).unwrap()
    }

    #[test]
    fn successor_is_due_at_a_fifth_of_the_life_or_a_minute() {
        assert_eq!(ages_at(3_600), 3_540);
        assert_eq!(ages_at(300), 240);
        assert_eq!(ages_at(100), 80);
        assert_eq!(ages_at(0), 0);
    }
}
