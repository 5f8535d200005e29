//! The keys that sign access tokens: in memory open, in the database sealed.
//!
//! Each replica looks at them every so often, does what is due, and reads them anew. One
//! that has not seen a change yet goes on safely: a key that has retired is published
//! for longer than its tokens live.

mod emergency;
mod keyring;
mod measures;
mod pair;
mod reseal;

use std::{convert::Infallible, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use tokio::sync::{Mutex, Notify};

pub(super) use keyring::{ActiveKey, Keyring};
pub use reseal::Resealed;

use super::{Error, MasterKeys, master_keys::SealKeys};
use crate::{
    error_chain,
    metrics::KeyMetrics,
    model::{
        audit::Act,
        signing_key::{Policy, SigningKey, Step, plan, remaining_lead},
    },
    store::{
        self, Pool,
        signing_keys::{self, NewKey, Published, Rotation, SealedKey},
    },
};

/// How often the keys are looked at, unless something tells that they have changed.
const INTERVAL: Duration = Duration::from_secs(30);
/// How soon they are looked at again when that failed.
const RETRY: Duration = Duration::from_secs(1);
/// How long a look may take, with what is due.
const LIMIT: Duration = Duration::from_secs(30);
/// How often other replicas may be faster before it is left to the next look.
const ATTEMPTS: usize = 5;

/// The keys of this process, which learns them from the database.
pub struct SigningKeys {
    pool: Pool,
    seal_keys: SealKeys,
    policy: Policy,
    ring: ArcSwapOption<Keyring>,
    /// Held from the reading of the rows to the change of the ring, so that an older
    /// reading never replaces a newer one.
    loading: Mutex<()>,
    wake: Notify,
    metrics: KeyMetrics,
}

impl SigningKeys {
    /// The keys in the database behind `pool`. Nothing is asked yet.
    #[must_use]
    pub fn new(pool: Pool, master_keys: &MasterKeys, policy: Policy) -> Self {
        Self {
            pool,
            seal_keys: master_keys.seal_keys(),
            policy,
            ring: ArcSwapOption::empty(),
            loading: Mutex::new(()),
            wake: Notify::new(),
            metrics: KeyMetrics::default(),
        }
    }

    /// The keys, whose ages are told to `metrics` from now on.
    pub(super) fn measured(self, metrics: KeyMetrics) -> Self {
        Self { metrics, ..self }
    }

    /// The keys, once they were loaded.
    pub(super) fn ring(&self) -> Result<Arc<Keyring>, Error> {
        self.ring.load_full().ok_or(Error::NotReady)
    }

    /// Has the keys looked at as soon as possible.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// All keys there ever were, newest first.
    pub(super) async fn list(&self) -> Result<Vec<SigningKey>, Error> {
        let list = async |conn: &mut _| signing_keys::list(conn).await;
        Ok(self.pool.run(list).await?)
    }

    /// Looks at the keys every so often, and when woken.
    pub(super) async fn tend_for_ever(&self) -> Infallible {
        let mut pause = INTERVAL;
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause = match store::in_time(LIMIT, self.tend()).await {
                Ok(()) => INTERVAL,
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "signing keys not tended");
                    RETRY
                }
            };
        }
    }

    /// Loads the keys and does what is due, until nothing is.
    pub(super) async fn tend(&self) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let published = self.load().await?;
            let keys: Vec<SigningKey> = published.keys.iter().map(|key| key.key.clone()).collect();
            let steps = plan(&keys, published.now, &self.policy);
            if steps.is_empty() {
                return Ok(());
            }
            for step in steps {
                self.take(step, &published).await?;
            }
        }
        self.load().await.map(drop)
    }

    /// Lets the next key sign from now on.
    ///
    /// # Errors
    ///
    /// [`Error::NextKeyTooNew`] before its lead is over; or when the database cannot be
    /// asked, or the master key does not open the keys.
    pub async fn rotate(&self, act: &Act) -> Result<SigningKey, Error> {
        let _tended = self.tend_after();
        for _ in 0..ATTEMPTS {
            let published = self.load().await?;
            let (Some(active), Some(next)) = (published.active(), published.next()) else {
                self.fill(&published).await?;
                continue;
            };
            let remaining = remaining_lead(&next.key, published.now, &self.policy);
            if !remaining.is_zero() {
                return Err(Error::NextKeyTooNew(remaining));
            }
            if self.retire(act, active, &next.key.kid).await? {
                return self.now_active().await;
            }
        }
        Err(Error::Conflict)
    }

    /// Does a step; nothing where another replica has done it.
    async fn take(&self, step: Step, published: &Published) -> Result<(), Error> {
        match (step, published.active(), published.next()) {
            (Step::ReplaceNext, _, Some(next)) => self.replace(&next.key.kid).await,
            (Step::Rotate, Some(active), Some(next)) => {
                let act = Act::of_rollcall();
                self.retire(&act, active, &next.key.kid).await.map(drop)
            }
            (Step::Expire, ..) => {
                let expire = async |conn: &mut _| signing_keys::expire(conn).await;
                let count = self.pool.run(expire).await?;
                tracing::info!(count, "signing keys are gone");
                Ok(())
            }
            _ => self.fill(published).await,
        }
    }

    async fn replace(&self, next: &str) -> Result<(), Error> {
        let made = self.generate()?;
        let replace = async |conn: &mut _| signing_keys::replace_next(conn, next, &made).await;
        if self.pool.run(replace).await? {
            tracing::info!(
                next = made.kid,
                gone = next,
                "replaced the next signing key"
            );
        }
        Ok(())
    }

    /// Makes the active and the next key where they are missing.
    async fn fill(&self, published: &Published) -> Result<(), Error> {
        if published.active().is_none() {
            let made = self.generate()?;
            let insert = async |conn: &mut _| signing_keys::insert_active(conn, &made).await;
            if self.pool.run(insert).await? {
                tracing::info!(kid = made.kid, "made the first signing key");
            }
        }
        if published.next().is_none() {
            let made = self.generate()?;
            let insert = async |conn: &mut _| signing_keys::insert_next(conn, &made).await;
            if self.pool.run(insert).await? {
                tracing::info!(kid = made.kid, "made the next signing key");
            }
        }
        Ok(())
    }

    /// `false` when another replica was faster.
    async fn retire(&self, act: &Act, active: &SealedKey, next: &str) -> Result<bool, Error> {
        let (kid, algorithm) = (&active.key.kid, active.key.algorithm);
        let public_key = self.public_key(active)?;
        let sealed_public = self
            .seal_keys
            .seal(&pair::public_context(algorithm, kid), &public_key)?;
        let made = self.generate()?;
        let rotation = Rotation {
            active: kid,
            sealed_public: &sealed_public,
            retention: self.policy.retention(),
            next,
            made: &made,
        };
        let rotate = async |conn: &mut _| signing_keys::rotate(conn, act, &rotation).await;
        let rotated = self.pool.run(rotate).await?;
        if rotated {
            tracing::info!(active = next, retiring = kid, "rotated the signing key");
        }
        Ok(rotated)
    }

    /// Reads the keys into the ring. Where one does not open, the ring stays as it was.
    async fn load(&self) -> Result<Published, Error> {
        let _loading = self.loading.lock().await;
        let find = async |conn: &mut _| signing_keys::find_published(conn).await;
        let published = self.pool.run(find).await?;
        let renewal = self.policy.renewal;
        let find = async |conn: &mut _| signing_keys::find_former(conn, renewal).await;
        let former = self.pool.run(find).await?;
        self.measure(&published);
        match self.open_all(&published, &former) {
            Ok(Some(ring)) => self.ring.store(Some(Arc::new(ring))),
            Ok(None) => {}
            Err(error) => {
                self.distrust(&published);
                return Err(error);
            }
        }
        Ok(published)
    }

    /// Where the key that signs here is not published any more, it was dropped: rather none
    /// than that, though the keys of this moment do not open.
    fn distrust(&self, published: &Published) {
        let signs = |ring: &Arc<Keyring>| {
            let kid = &ring.active().kid;
            published.keys.iter().any(|stored| stored.key.kid == *kid)
        };
        if self.ring.load_full().is_some_and(|ring| !signs(&ring)) {
            self.ring.store(None);
        }
    }

    /// The key that signs, once the ring has it.
    async fn now_active(&self) -> Result<SigningKey, Error> {
        let published = self.load().await?;
        let active = published.active().ok_or(Error::Conflict)?;
        Ok(active.key.clone())
    }

    fn generate(&self) -> Result<NewKey, Error> {
        let algorithm = self.policy.algorithm;
        let private = pair::generate(algorithm)?;
        let public_key = pair::public_half(algorithm, &private)?;
        let kid = pair::jwk(algorithm, &public_key)?.kid;
        let context = pair::private_context(algorithm, &kid);
        Ok(NewKey {
            sealed_private: self.seal_keys.seal(&context, &private)?,
            kid,
            algorithm,
            public_key,
        })
    }

    /// Has the keys looked at when what is under way ends, however it ends.
    fn tend_after(&self) -> TendAfter<'_> {
        TendAfter(self)
    }
}

/// Wakes when it is dropped: a caller who hangs up ends a flow anywhere.
struct TendAfter<'a>(&'a SigningKeys);

impl Drop for TendAfter<'_> {
    fn drop(&mut self) {
        self.0.wake();
    }
}
