//! The public keys of Rollcall, and how they are kept fresh.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, timeout},
};
use tonic::{Status, transport::Channel};

use crate::{
    model::{access_token::VerifyingKey, jwk::Jwk},
    proto::v1::{self, verification_client::VerificationClient},
};

/// At most one fetch in this time, however many tokens name keys that are not known.
const FETCH_INTERVAL: Duration = Duration::from_secs(5);
/// How long a fetch may take, but for the first: beginning has a limit of its own.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that keys are kept without asking, whatever the answer allows.
const LONGEST_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Keys by their `kid`.
pub(super) type KeySet = HashMap<String, VerifyingKey>;

/// The keys and the fetching of them. Where a fetch fails, the keys stay in use, for as
/// long as it takes: whether tokens are to be trusted meanwhile is for the feed to say,
/// which tells of a key that is not.
pub(super) struct Keys {
    client: VerificationClient<Channel>,
    set: ArcSwap<KeySet>,
    max_age: AtomicU64,
    /// When the last fetch began; held while one is under way.
    fetching: Mutex<Option<Instant>>,
    /// How many fetches have ended.
    fetches: AtomicU64,
    wanted: Notify,
}

impl Keys {
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            client: VerificationClient::new(channel),
            set: ArcSwap::default(),
            max_age: AtomicU64::new(0),
            fetching: Mutex::new(None),
            fetches: AtomicU64::new(0),
            wanted: Notify::new(),
        }
    }

    /// The keys at this moment. No lock.
    pub(super) fn set(&self) -> arc_swap::Guard<Arc<KeySet>> {
        self.set.load()
    }

    /// Asks [`Keys::keep_fresh`] for a fetch, and does not wait.
    pub(super) fn want(&self) {
        self.wanted.notify_one();
    }

    /// Fetches the keys, unless that was done just now; or waits for the fetch under way.
    pub(super) async fn fetch_if_due(&self) {
        let seen = self.fetches.load(Ordering::Acquire);
        let mut begun = self.fetching.lock().await;
        let just_now = begun.is_some_and(|begun| begun.elapsed() < FETCH_INTERVAL);
        if just_now || self.fetches.load(Ordering::Acquire) != seen {
            return;
        }
        // Noted before, since a caller that gives up ends the fetch with it.
        *begun = Some(Instant::now());
        self.try_fetch().await;
    }

    /// Fetches the keys now, as is due when one was dropped.
    pub(super) async fn fetch_now(&self) {
        let mut begun = self.fetching.lock().await;
        *begun = Some(Instant::now());
        self.try_fetch().await;
    }

    /// Fetches the keys for the first time.
    pub(super) async fn fetch_first(&self) -> Result<(), Status> {
        let mut begun = self.fetching.lock().await;
        *begun = Some(Instant::now());
        self.fetch().await
    }

    /// Fetches the keys whenever they are too old or wanted, for ever.
    pub(super) async fn keep_fresh(&self) {
        loop {
            let age = Duration::from_secs(self.max_age.load(Ordering::Relaxed));
            let age = age.clamp(FETCH_INTERVAL, LONGEST_AGE);
            // Either way a fetch is due, or the answer is that it was just done.
            let _ = timeout(age, self.wanted.notified()).await;
            self.fetch_if_due().await;
        }
    }

    async fn try_fetch(&self) {
        let late = || Status::deadline_exceeded("no answer to GetJwks");
        let fetched = timeout(FETCH_TIMEOUT, self.fetch()).await;
        if let Err(status) = fetched.unwrap_or_else(|_| Err(late())) {
            tracing::warn!(%status, "the keys could not be fetched, and stay as they are");
        }
        self.fetches.fetch_add(1, Ordering::Release);
    }

    async fn fetch(&self) -> Result<(), Status> {
        let mut client = self.client.clone();
        let answer = client.get_jwks(v1::GetJwksRequest {}).await?.into_inner();
        let keys = answer.keys.iter();
        let set: KeySet = keys
            .filter_map(|jwk| Some((jwk.kid.clone(), verifying_key(jwk)?)))
            .collect();
        self.max_age
            .store(answer.max_age_seconds.into(), Ordering::Relaxed);
        // An answer without a key is a mistake of somebody's: no token could be checked.
        if set.is_empty() {
            return Err(Status::not_found("the answer to GetJwks has no usable key"));
        }
        self.set.store(Arc::new(set));
        Ok(())
    }
}

/// The key of a JWK; `None` where it is of a kind that signs no access token.
fn verifying_key(jwk: &v1::Jwk) -> Option<VerifyingKey> {
    let jwk = Jwk {
        kty: jwk.kty.clone(),
        usage: jwk.r#use.clone(),
        alg: jwk.alg.clone(),
        kid: jwk.kid.clone(),
        crv: jwk.crv.clone(),
        x: jwk.x.clone(),
        y: jwk.y.clone(),
    };
    jwk.verifying_key()
}
