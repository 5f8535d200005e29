//! How many attempts this replica takes from one address, and for one login.
//!
//! What guessing comes to is decided by the count in the database; this keeps floods off it.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use arc_swap::ArcSwap;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use super::{Error, Identity, SignInSettings};
use crate::model::login::Login;

/// How many keys are kept at most, of each kind: some 20 MiB.
const MAX_KEYS: usize = 200_000;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// The attempts for one login.
    Login,
    /// The attempts from one address.
    Address,
}

impl RateLimit {
    /// The name of the limit in an error's metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Address => "address",
        }
    }
}

impl Identity {
    /// Takes an attempt from an address, whatever it is for. One that is not known is behind
    /// a unix socket, and is not limited.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`].
    pub fn limit_address(&self, address: Option<IpAddr>) -> Result<(), Error> {
        let buckets = self.0.rate_limits.per_address.as_ref();
        match buckets.zip(address) {
            Some((buckets, address)) => {
                self.count_limited(RateLimit::Address, buckets.take(&network(address)))
            }
            None => Ok(()),
        }
    }

    /// Takes an attempt for a login as it was typed, or for the id of a user.
    ///
    /// # Errors
    ///
    /// [`Error::RateLimited`].
    pub(super) fn limit_login(&self, login: &str) -> Result<(), Error> {
        let Some(buckets) = &self.0.rate_limits.per_login else {
            return Ok(());
        };
        // However it is spelled. What is no login is nobody's, and counts as one.
        let key = Login::key_for_lookup(login).unwrap_or_default();
        self.count_limited(RateLimit::Login, buckets.take(&key))
    }
}

/// The buckets of both kinds; `None` where that is not limited.
pub(super) struct RateLimits {
    per_address: Option<Buckets<IpAddr>>,
    per_login: Option<Buckets<String>>,
}

impl RateLimits {
    pub(super) fn new(settings: &SignInSettings) -> Self {
        let address = |rate| Buckets::new(rate, RateLimit::Address);
        let login = |rate| Buckets::new(rate, RateLimit::Login);
        Self {
            per_address: settings.per_address.map(address),
            per_login: settings.per_login.map(login),
        }
    }
}

/// Who has an IPv6 address has 2^64 of them, which count as one.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).into(),
    }
}

/// A bucket for each key, which holds a minute's worth.
struct Buckets<K: Clone + Eq + Hash> {
    limiter: ArcSwap<DefaultKeyedRateLimiter<K>>,
    quota: Quota,
    limit: RateLimit,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    fn new(per_minute: NonZeroU32, limit: RateLimit) -> Self {
        let quota = Quota::per_minute(per_minute);
        Self {
            limiter: ArcSwap::from_pointee(RateLimiter::keyed(quota)),
            quota,
            limit,
        }
    }

    fn take(&self, key: &K) -> Result<(), Error> {
        self.make_room();
        let limiter = self.limiter.load();
        limiter.check_key(key).map_err(|refused| {
            let now = limiter.clock().now();
            Error::RateLimited {
                limit: self.limit,
                // Who waits for less than that is refused again.
                retry_after: refused.wait_time_from(now).max(Duration::from_millis(1)),
            }
        })
    }

    /// Forgets the keys whose buckets are full again; where that leaves too many, all: each
    /// then begins with a full one, and memory stays bounded.
    fn make_room(&self) {
        let limiter = self.limiter.load();
        if limiter.len() < MAX_KEYS {
            return;
        }
        limiter.retain_recent();
        if limiter.len() > MAX_KEYS / 2 {
            tracing::warn!(
                limit = self.limit.as_str(),
                "too many to limit: all begin anew"
            );
            self.limiter
                .store(std::sync::Arc::new(RateLimiter::keyed(self.quota)));
        } else {
            limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[test]
    fn bucket_takes_its_burst_and_then_says_when() {
        let buckets = Buckets::new(NonZeroU32::new(3).unwrap(), RateLimit::Login);
        for _ in 0..3 {
            buckets.take(&"ana").unwrap();
        }
        let Err(Error::RateLimited { retry_after, .. }) = buckets.take(&"ana") else {
            panic!("a fourth one was taken");
        };
        assert!((1..=20).contains(&retry_after.as_secs()), "{retry_after:?}");
        buckets.take(&"ben").unwrap();
    }

    #[test]
    fn keys_beyond_the_most_are_forgotten() {
        let buckets = Buckets::new(NonZeroU32::MIN, RateLimit::Login);
        for key in 0..=MAX_KEYS {
            buckets.take(&key).unwrap();
        }
        assert!(buckets.limiter.load().len() < MAX_KEYS);
    }
}
