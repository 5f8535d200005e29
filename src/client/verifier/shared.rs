//! What a verifier's tasks write and its callers read.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;

use super::{
    error::VerifyError,
    freshness::Freshness,
    keys::Keys,
    revocations::{Revocations, Void},
};
use crate::model::access_token::{self, Claims, Invalid};

/// The state of a verifier. Readers take no lock.
pub(super) struct Shared {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) leeway: Duration,
    pub(super) max_staleness: Duration,
    pub(super) keys: Keys,
    pub(super) freshness: Freshness,
    revocations: ArcSwap<Revocations>,
}

impl Shared {
    pub(super) fn new(
        issuer: String,
        audience: String,
        leeway: Duration,
        max_staleness: Duration,
        keys: Keys,
    ) -> Self {
        Self {
            issuer,
            audience,
            leeway,
            max_staleness,
            keys,
            freshness: Freshness::default(),
            revocations: ArcSwap::default(),
        }
    }

    /// Puts another set of revocations in place.
    pub(super) fn publish(&self, revocations: Revocations) {
        self.revocations.store(Arc::new(revocations));
    }

    /// For how long a feed that is followed may be silent before it is opened anew.
    pub(super) fn silence(&self) -> Duration {
        self.max_staleness / 2
    }

    pub(super) fn is_stale(&self) -> bool {
        self.freshness.staleness() > self.max_staleness
    }

    /// Checks everything that is known here, however stale it is.
    pub(super) fn judge(&self, token: &str) -> Result<Claims, VerifyError> {
        let (keys, revocations) = (self.keys.set(), self.revocations.load());
        let mut dropped = false;
        let find = |kid: &str| {
            dropped = revocations.key_is_dropped(kid);
            if dropped { None } else { keys.get(kid) }
        };
        let checked = access_token::verify(token, find, &self.issuer, &self.audience);
        let mut claims = match checked {
            Ok(claims) => claims,
            Err(Invalid::UnknownKey) if dropped => return Err(VerifyError::KeyDropped),
            Err(invalid) => return Err(VerifyError::Invalid(invalid)),
        };
        let times = self.freshness.times();
        let leeway = i64::try_from(self.leeway.as_secs()).unwrap_or(i64::MAX);
        let now = times.now.div_euclid(1_000_000).saturating_sub(leeway);
        if claims.expired_at(now) {
            return Err(VerifyError::Expired(Box::new(claims)));
        }
        match revocations.judge(&mut claims, times.database) {
            Ok(()) => Ok(claims),
            Err(Void::SessionEnded) => Err(VerifyError::SessionEnded),
            Err(Void::Superseded) => Err(VerifyError::Superseded),
        }
    }
}
