//! The looks at the database.
//!
//! What ends a session carries the time at which its transaction began, and shows when that
//! commits. So a look begins where the one before was complete: at the time before which no
//! transaction ran any more. One that takes its time is seen when it has committed, and what is
//! settled is not read again.

use std::{convert::Infallible, time::Duration};

use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use super::{
    News,
    past::{Look, Part},
};
use crate::{
    error_chain,
    identity::{Error, Identity},
    model::{revocation::Revoked, session::Superseded},
    store::{
        self, AsyncPgConnection, Fence, Pool, SLACK,
        revocations::{self, Seen, Since},
    },
};

/// How often to look when nothing hurries.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long to wait at least before the next look, so that one finds more than one
/// revocation when there are many.
const MIN_REST: Duration = Duration::from_millis(20);
/// How often a look goes back by the whole retention, at most: what hides when it began may
/// commit at any time, and so may what somebody writes with an earlier time.
const WHOLE_INTERVAL: Duration = Duration::from_secs(10);
/// How many times longer than such a look to wait at least before the next of its kind: after
/// a mass of revocations each reads them all.
const REST: u32 = 29;
/// How long a look may take, before its connection is given up: it may be one to nowhere.
const LIMIT: Duration = Duration::from_secs(5);
/// The same of one that may find a mass.
const WHOLE_LIMIT: Duration = Duration::from_secs(30);
/// How long a silence may become before a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(5);

impl Identity {
    /// Looks for the first time, so that whoever subscribes gets a snapshot.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn load_revocations(&self) -> Result<(), Error> {
        let mut conn = self.0.pool.get().await?;
        self.look(&mut conn, true, false).await?;
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
        let mut whole_due = spoken;
        loop {
            let started = Instant::now();
            let whole = started >= whole_due;
            let limit = if whole { WHOLE_LIMIT } else { LIMIT };
            let look = self.look(&mut conn, whole, spoken.elapsed() >= HEARTBEAT);
            if store::in_time(limit, look).await? {
                spoken = started;
            }
            let took = started.elapsed();
            if whole {
                whole_due = Instant::now() + WHOLE_INTERVAL.max(took * REST);
            }
            *failing = false;
            // About as long as the look took: the database has others to serve.
            sleep(took.clamp(MIN_REST, INTERVAL)).await;
            tokio::select! {
                () = revocations::notified(&mut conn) => {}
                () = feed.woken.notified() => {
                    store::in_time(LIMIT, revocations::notify(&mut conn)).await?;
                }
                () = sleep(INTERVAL) => {}
            }
        }
    }

    /// Looks once, and says whether watchers were told something.
    async fn look(
        &self,
        conn: &mut AsyncPgConnection,
        whole: bool,
        silent: bool,
    ) -> Result<bool, Error> {
        let feed = &self.0.feed;
        let last = feed.past().last();
        let (seen, fence) = self.see(conn, last.as_ref(), whole).await?;
        self.0.metrics.feed().looked();
        if feed.keys_changed(seen.keys) {
            self.wake_signing_keys();
        }
        let mut found = seen.revocations;
        if self.0.settings.superseded == Superseded::Allow {
            // What was written before the configuration changed does not count.
            found.retain(|it| !matches!(it.revoked, Revoked::Superseded { .. }));
        }
        let now = seen.now;
        let look = Look {
            now,
            // Where the clock was set back between the two, the fence is in the future.
            complete: fence.time.min(now - SLACK),
            hanging: fence.hanging,
        };
        // Held while it is told, so that a watcher that comes has it from the past or
        // hears it.
        let mut past = feed.past();
        let parts = past.add(look, found);
        if last.is_some() {
            self.count_told(&parts, now);
        }
        let news = match parts.is_empty() {
            false => News::Revocations(parts.into(), now),
            true if silent => News::Heartbeat(now),
            true => return Ok(false),
        };
        // It fails when nobody listens.
        let _ = feed.news.send(news);
        Ok(true)
    }

    /// What happened since the last look was complete, or in all the time that matters, and the
    /// fence of before.
    async fn see(
        &self,
        conn: &mut AsyncPgConnection,
        last: Option<&Look>,
        whole: bool,
    ) -> Result<(Seen, Fence), Error> {
        let (overlap, retention) = (self.overlap(), self.revocation_retention());
        let everything = Since::Ago(retention);
        // It comes first: what ends between the two is seen, and what begins is later.
        let mut fence = store::fence(conn, overlap).await?;
        let since = match last {
            Some(last) if !whole => {
                // What held the fence back shows once it has let go, and what hung beside it.
                let is_gone = |process| !fence.hanging.contains(process);
                let has_let_go = fence.time > last.complete || last.hanging.iter().any(is_gone);
                let back = if has_let_go { retention } else { overlap };
                Since::Time(last.complete.max(last.now - back))
            }
            _ => everything,
        };
        let mut seen = revocations::see(conn, since).await?;
        if last.is_some_and(|last| seen.now < last.now) {
            // The database's clock was set back: what was forgotten by it matters again.
            fence = store::fence(conn, overlap).await?;
            seen = revocations::see(conn, everything).await?;
        }
        Ok((seen, fence))
    }

    /// How late what is told is. The rows carry the time at which their transaction began.
    fn count_told(&self, parts: &[Part], now: OffsetDateTime) {
        let metrics = self.0.metrics.feed();
        for revocation in parts.iter().flat_map(|part| part.iter()) {
            let delay = now - revocation.at;
            metrics.told(delay.try_into().unwrap_or_default());
        }
    }
}
