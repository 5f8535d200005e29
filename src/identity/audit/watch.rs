//! Watchers of events: each looks for itself, from where it is up to where nothing can be
//! added any more.
//!
//! So a position, which is all that a watcher keeps, says exactly what it was told: a
//! transaction that takes its time holds back what comes after it, instead of appearing
//! behind what was told. Any replica goes on from there.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep},
};

use crate::{
    identity::{Caller, Error, Identity},
    model::audit::{Event, EventId},
    store::{
        self,
        audit::{self, Filter},
    },
};

/// How many watchers of events one replica takes: operators and what collects for them.
const MAX_WATCHERS: usize = 32;
/// How often each looks.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long a silence may become before a message without events.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// The most events in one message.
const BATCH: u16 = 500;

/// The watchers of events on this replica.
pub(in crate::identity) struct EventWatches {
    places: Arc<Semaphore>,
    stopped: watch::Sender<bool>,
}

impl EventWatches {
    pub(in crate::identity) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_WATCHERS)),
            stopped: watch::Sender::new(false),
        }
    }

    /// How many there are.
    pub(in crate::identity) fn count(&self) -> usize {
        MAX_WATCHERS.saturating_sub(self.places.available_permits())
    }

    /// Ends all of them, for good.
    pub(in crate::identity) fn stop(&self) {
        self.stopped.send_replace(true);
    }
}

/// A place among the watchers of events, until it is dropped.
pub struct EventWatch {
    identity: Identity,
    caller: Caller,
    filter: Filter,
    next: EventId,
    /// Whether there was more than a message holds.
    hurried: bool,
    begun: bool,
    stopped: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

/// What a watcher is told.
#[derive(Debug)]
pub struct EventBatch {
    /// The events, oldest first. Empty where nothing happened for a while.
    pub events: Vec<Event>,
    /// Where another watch is to begin.
    pub next: EventId,
}

impl Identity {
    /// Watches events as an operator: from where an earlier watch ended, or from now on.
    ///
    /// # Errors
    ///
    /// As [`Identity::admin`]; [`Error::TooManyWatchers`], and [`Error::NotReady`] when this
    /// replica shuts down.
    pub async fn watch_events(
        &self,
        access_token: &str,
        filter: Filter,
        from: Option<EventId>,
    ) -> Result<EventWatch, Error> {
        let caller = self.admin(access_token).await?;
        let watches = &self.0.event_watches;
        let place = Arc::clone(&watches.places).try_acquire_owned();
        let place = place.map_err(|_| Error::TooManyWatchers)?;
        let stopped = watches.stopped.subscribe();
        if *stopped.borrow() {
            return Err(Error::NotReady);
        }
        Ok(EventWatch {
            identity: self.clone(),
            next: from.unwrap_or_else(|| EventId::first_of(caller.now())),
            caller,
            filter,
            hurried: false,
            begun: false,
            stopped,
            _place: place,
        })
    }
}

impl EventWatch {
    /// What happens next, which may be long in coming. The first answer comes at once,
    /// without events: it says from where on the watch is.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] when this replica shuts down; as [`Identity::admin`] when the
    /// watcher may not watch any more; when the database cannot be asked. There is nothing
    /// after an error.
    pub async fn next(&mut self) -> Result<EventBatch, Error> {
        if !std::mem::replace(&mut self.begun, true) {
            return Ok(self.batch(Vec::new()));
        }
        let silent = Instant::now() + HEARTBEAT;
        loop {
            self.rest().await?;
            let events = self.look().await?;
            if !events.is_empty() || Instant::now() >= silent {
                return Ok(self.batch(events));
            }
        }
    }

    fn batch(&self, events: Vec<Event>) -> EventBatch {
        EventBatch {
            events,
            next: self.next,
        }
    }

    async fn rest(&mut self) -> Result<(), Error> {
        let rest = match std::mem::take(&mut self.hurried) {
            true => Duration::ZERO,
            false => INTERVAL,
        };
        tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stopped| *stopped) => Err(Error::NotReady),
            () = sleep(rest) => Ok(()),
        }
    }

    /// Looks once, and goes on behind what was found.
    async fn look(&mut self) -> Result<Vec<Event>, Error> {
        self.identity.still_admin(&self.caller).await?;
        let identity = &self.identity.0;
        let overlap = identity.settings.revocation_overlap;
        let (filter, from) = (&self.filter, self.next);
        let look = async |conn: &mut _| {
            let fence = EventId::first_of(store::fence(conn, overlap).await?.time);
            let events = audit::list_between(conn, filter, from, fence, BATCH).await?;
            Ok((events, fence))
        };
        let (events, fence) = identity.pool.run(look).await?;
        self.hurried = events.len() == usize::from(BATCH);
        self.next = match events.last() {
            Some(last) if self.hurried => last.id.next(),
            // A clock that was set back does not tell again what was told.
            _ => fence.max(self.next),
        };
        Ok(events)
    }
}
