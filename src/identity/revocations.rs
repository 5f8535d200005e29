//! The feed of revocations. One task per replica looks at the database, and tells every
//! watcher of this replica what is new.
//!
//! A look goes back further than the one before: a transaction that took its time is seen
//! when it has committed, whatever time its rows carry. A full look, twice a second, goes
//! back by the overlap, which is longer than any transaction can take. What was told is kept
//! for as long as it matters, for watchers that come later.

mod past;
mod subscription;

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use past::{Part, Past};
pub use subscription::{Message, Subscription};
use time::OffsetDateTime;
use tokio::{
    sync::{Notify, Semaphore, broadcast},
    time::{Instant, sleep},
};

use super::{Caller, Error, Identity, Settings};
use crate::{
    error_chain,
    model::{revocation::Revoked, session::Superseded},
    store::{
        self, AsyncPgConnection, Pool,
        revocations::{self, Since},
    },
};

/// How often to look when nothing hurries.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long to wait at least before the next look, so that one finds more than one
/// revocation when there are many.
const MIN_REST: Duration = Duration::from_millis(20);
/// How far a look goes back, but for a full one: transactions are seldom longer.
const RECENT: Duration = Duration::from_secs(2);
/// How often a look goes back by the whole overlap, at most.
const FULL_INTERVAL: Duration = Duration::from_millis(500);
/// How often a look goes back by the whole retention, at most: a commit that hangs, for a
/// standby that does not answer say, is bounded by nothing.
const WHOLE_INTERVAL: Duration = Duration::from_secs(10);
/// How many times longer than such a look to wait at least before the next of its kind: after
/// a mass of revocations each reads them all, while they are young.
const REST: u32 = 9;
/// How long a look may take, before its connection is given up: it may be one to nowhere.
const LIMIT: Duration = Duration::from_secs(5);
/// The same of one that may find a mass.
const WHOLE_LIMIT: Duration = Duration::from_secs(30);
/// How long a silence may become before a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How many looks a watcher may be behind: some seconds at least.
const BACKLOG: usize = 256;
/// How much longer than an access token a revocation matters, for clocks that differ.
const LEEWAY: Duration = Duration::from_secs(60);
/// The shortest life of an access token to reckon with: tokens that were made before it was
/// set to less still live.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// What this replica has told, and whom it tells.
pub(super) struct Feed {
    woken: Notify,
    past: Mutex<Past>,
    /// The published keys that the last look saw.
    keys: Mutex<String>,
    news: broadcast::Sender<News>,
    places: Arc<Semaphore>,
    max_watchers: usize,
    stopped: AtomicBool,
}

/// What every watcher gets.
#[derive(Clone)]
enum News {
    /// What one look found, in parts of the size of a message, and its time.
    Revocations(Arc<[Part]>, OffsetDateTime),
    /// Nothing was new at this time.
    Heartbeat(OffsetDateTime),
    /// This replica shuts down.
    Stopped,
}

impl Feed {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            woken: Notify::new(),
            past: Mutex::new(Past::new(retention(settings))),
            keys: Mutex::default(),
            news: broadcast::Sender::new(BACKLOG),
            places: Arc::new(Semaphore::new(settings.max_watchers)),
            max_watchers: settings.max_watchers,
            stopped: AtomicBool::new(false),
        }
    }

    /// Hurries the look of this replica, and through it those of the others.
    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Whether this replica shuts down.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// How many watch.
    pub(super) fn watchers(&self) -> usize {
        self.max_watchers - self.places.available_permits()
    }

    /// Whether the keys are others than the last time.
    fn keys_changed(&self, keys: String) -> bool {
        let mut seen = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *seen != keys;
        *seen = keys;
        changed
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long a revocation matters.
fn retention(settings: &Settings) -> Duration {
    settings.access_token_lifetime.max(SHORTEST_LIFETIME) + LEEWAY
}

impl Identity {
    /// Looks for the first time, so that whoever subscribes gets a snapshot.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn load_revocations(&self) -> Result<(), Error> {
        let mut conn = self.0.pool.get().await?;
        self.look(&mut conn, self.overlap(), false).await?;
        Ok(())
    }

    /// Follows the database for ever, on a connection of its own. Without one it tries to
    /// get one; watchers hear nothing meanwhile, which tells them.
    pub async fn follow_revocations(&self, pool: &Pool) -> Infallible {
        let mut failing = false;
        loop {
            let Err(error) = self.follow(pool, &mut failing).await;
            if !failing {
                tracing::warn!(error = error_chain(&error), "the revocation feed waits");
            }
            failing = true;
            sleep(INTERVAL).await;
        }
    }

    async fn follow(&self, pool: &Pool, failing: &mut bool) -> Result<Infallible, Error> {
        let feed = &self.0.feed;
        let mut conn = pool.get().await?;
        revocations::listen(&mut conn).await?;
        let mut spoken = Instant::now();
        let (mut full_due, mut whole_due) = (spoken, spoken);
        loop {
            let started = Instant::now();
            let (whole, full) = (started >= whole_due, started >= full_due);
            let (back, limit) = match (whole, full) {
                (true, _) => (self.revocation_retention(), WHOLE_LIMIT),
                (false, true) => (self.overlap(), WHOLE_LIMIT),
                (false, false) => (RECENT, LIMIT),
            };
            let look = self.look(&mut conn, back, spoken.elapsed() >= HEARTBEAT);
            if store::in_time(limit, look).await? {
                spoken = started;
            }
            let rest = started.elapsed() * REST;
            if full || whole {
                full_due = Instant::now() + rest.max(FULL_INTERVAL);
            }
            if whole {
                whole_due = Instant::now() + rest.max(WHOLE_INTERVAL);
            }
            *failing = false;
            sleep(MIN_REST).await;
            tokio::select! {
                () = revocations::notified(&mut conn) => {}
                () = feed.woken.notified() => {
                    store::in_time(LIMIT, revocations::notify(&mut conn)).await?;
                }
                () = sleep(INTERVAL) => {}
            }
        }
    }

    /// Looks once, for what happened since the look before and `back` longer ago, and says
    /// whether watchers were told something.
    async fn look(
        &self,
        conn: &mut AsyncPgConnection,
        back: Duration,
        silent: bool,
    ) -> Result<bool, Error> {
        let feed = &self.0.feed;
        let since = match feed.past().now() {
            Some(now) => Since::Time(now - back),
            None => Since::Ago(retention(&self.0.settings) + back),
        };
        let first = feed.past().now().is_none();
        let mut seen = revocations::see(conn, since).await?;
        self.0.metrics.feed().looked();
        if feed.past().now().is_some_and(|before| seen.now < before) {
            // The database's clock was set back: what was forgotten by it matters again.
            let whole = Since::Ago(retention(&self.0.settings) + back);
            seen = revocations::see(conn, whole).await?;
        }
        if feed.keys_changed(seen.keys) {
            self.wake_signing_keys();
        }
        if self.0.settings.superseded == Superseded::Allow {
            // What was written before the configuration changed does not count.
            seen.revocations
                .retain(|it| !matches!(it.revoked, Revoked::Superseded { .. }));
        }
        // Held while it is told, so that a watcher that comes has it from the past or
        // hears it.
        let mut past = feed.past();
        let parts = past.add(seen.now, seen.revocations);
        if !first {
            self.count_told(&parts, seen.now);
        }
        let news = match parts.is_empty() {
            false => News::Revocations(parts.into(), seen.now),
            true if silent => News::Heartbeat(seen.now),
            true => return Ok(false),
        };
        // It fails when nobody listens.
        let _ = feed.news.send(news);
        Ok(true)
    }

    /// How late what is told is. The rows carry the time at which their transaction began.
    fn count_told(&self, parts: &[Part], now: OffsetDateTime) {
        let metrics = self.0.metrics.feed();
        for revocation in parts.iter().flat_map(|part| part.iter()) {
            let delay = now - revocation.at;
            metrics.told(delay.try_into().unwrap_or_default());
        }
    }

    /// For how long a transaction that ends a session can take.
    fn overlap(&self) -> Duration {
        let settings = &self.0.settings;
        settings.revocation_overlap.min(retention(settings))
    }

    /// Subscribes a service to the revocations, from the time of an earlier message on if it
    /// is still known.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] before the first look and at the end, and
    /// [`Error::TooManyWatchers`].
    pub fn watch_revocations(
        &self,
        caller: Caller,
        since: Option<OffsetDateTime>,
    ) -> Result<Subscription, Error> {
        let feed = &self.0.feed;
        let place = Arc::clone(&feed.places).try_acquire_owned();
        let place = place.map_err(|_| Error::TooManyWatchers)?;
        let past = feed.past();
        if feed.is_stopped() {
            return Err(Error::NotReady);
        }
        // What is no time at all is no time that is known here.
        let since = since.and_then(|time| time.checked_sub(self.overlap().try_into().ok()?));
        let snapshot = past.since(since).ok_or(Error::NotReady)?;
        snapshot.may_be_told(&caller)?;
        Ok(Subscription::new(
            caller,
            snapshot,
            feed.news.subscribe(),
            place,
        ))
    }

    /// For how long a revocation matters.
    #[must_use]
    pub fn revocation_retention(&self) -> Duration {
        retention(&self.0.settings)
    }

    /// Ends all subscriptions, and all watches of events, for good.
    pub fn end_watches(&self) {
        self.0.event_watches.stop();
        let _past = self.0.feed.past();
        self.0.feed.stopped.store(true, Ordering::Relaxed);
        let _ = self.0.feed.news.send(News::Stopped);
    }
}
