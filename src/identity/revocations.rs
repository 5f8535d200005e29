//! The feed of revocations. One task per replica looks at the database, and tells every
//! watcher of this replica what is new. What was told is kept for as long as it matters, for
//! watchers that come later.

mod look;
mod past;
mod subscription;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use past::{Part, Past};
pub use subscription::{Message, Subscription};
use time::OffsetDateTime;
use tokio::sync::{Notify, Semaphore, broadcast};

use super::{Caller, Error, Identity, Settings};

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
