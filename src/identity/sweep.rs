//! The end of all sessions that a filter meets, in batches, with pauses for others.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use super::{Caller, Error, Identity};
use crate::{
    model::{
        audit::{Act, Detail, EventId, EventKind, NewEvent, SessionsRevocation},
        ids::SessionId,
        session::EndReason,
    },
    store::{
        self, SLACK, audit,
        sessions::{self, Filter, Swept, WINDOW, Window},
    },
};

/// By how much the clock of the replica that made a session's id may be behind.
const SKEW: time::Duration = time::Duration::minutes(2);
/// How many times longer than a batch took to wait before the next: others have the database
/// for most of the time.
const PAUSE: u32 = 9;
/// How long to wait between two looks at whether earlier sign-ins are still under way.
const REST: Duration = Duration::from_millis(250);

/// Which sessions are to be swept, and whether they are only counted.
#[derive(Clone, Debug)]
pub struct SweepOrder {
    /// Whose, by a login as it was typed, besides the filter.
    pub login: Option<String>,
    /// Which.
    pub filter: Filter,
    /// Where an earlier sweep ended.
    pub after: Option<SessionId>,
    /// Whether they end.
    pub effect: Effect,
}

/// What a sweep does with the sessions that it meets.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Ends them, and those whose sign-ins are under way.
    End {
        /// The filter as the audit trail is to have it.
        filter: String,
    },
    /// Counts them.
    Count,
}

/// How far a sweep is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// How many sessions were met so far.
    pub met: u64,
    /// How many were looked at so far.
    pub examined: u64,
    /// Where to go on; `None` when all is done.
    pub rest: Option<SessionId>,
}

/// A walk over the sessions, newest first. It does nothing unless it is asked for the next
/// batch, and stops where it is when it is dropped.
pub struct Sweep {
    identity: Identity,
    /// By which call they end; `None` where they are only counted.
    act: Option<Act>,
    filter: Filter,
    caller: Caller,
    /// Where a look for those that were opened meanwhile ends: the least id of a session
    /// whose sign-in may not have been over when the walk began.
    floor: SessionId,
    started: Instant,
    progress: Progress,
    batches: u32,
    is_over: bool,
    /// How long to wait before the next batch.
    pause: Duration,
}

impl Identity {
    /// Begins to end, or to count, all live sessions that are met, but for the caller's own
    /// and those that are opened from now on.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn sweep_sessions(
        &self,
        caller: Caller,
        act: Act,
        order: SweepOrder,
    ) -> Result<Sweep, Error> {
        let mut filter = order.filter;
        let mut is_over = false;
        if let Some(login) = &order.login {
            // A login that nobody has has no sessions.
            let user = self.find_user_by_login(login).await?;
            is_over = user.is_none();
            filter.user_id = user.map(|user| user.id);
        }
        let act = match order.effect {
            Effect::End { filter } => {
                // Where an earlier call is gone on with, that one has told.
                if order.after.is_none() {
                    self.tell_of_sweep(&act, filter).await?;
                }
                Some(act)
            }
            Effect::Count => None,
        };
        let floor = match (order.after, &act) {
            // How long ago the earlier call began is not known.
            (Some(after), _) => after,
            (None, Some(_)) => SessionId(EventId::first_of(self.fence().await? - SKEW).0),
            (None, None) => SessionId(EventId::first_of(caller.now()).0),
        };
        Ok(Sweep {
            identity: self.clone(),
            act,
            filter,
            caller,
            floor,
            started: Instant::now(),
            progress: Progress {
                met: 0,
                examined: 0,
                rest: order.after,
            },
            batches: 0,
            is_over,
            pause: Duration::ZERO,
        })
    }

    async fn fence(&self) -> Result<OffsetDateTime, Error> {
        let overlap = self.0.settings.revocation_overlap;
        let fence = async |conn: &mut _| store::fence(conn, overlap).await;
        Ok(self.0.pool.run(fence).await?.time)
    }

    async fn tell_of_sweep(&self, act: &Act, filter: String) -> Result<(), Error> {
        let event = NewEvent {
            kind: EventKind::SessionsRevoked,
            user_id: None,
            session_id: None,
            detail: Some(Detail::SessionsRevocation(SessionsRevocation { filter })),
        };
        let record = async |conn: &mut _| audit::record(conn, act, &event).await;
        Ok(self.0.pool.run(record).await?)
    }
}

impl Sweep {
    /// Does the next batch and says how far it is; `None` when the last was told of.
    ///
    /// # Errors
    ///
    /// When the caller is no operator any more, this replica shuts down, or the database
    /// cannot be asked. Where an earlier progress ended, a new sweep goes on.
    pub async fn next(&mut self) -> Result<Option<Progress>, Error> {
        if self.is_over {
            let is_told = self.batches > 0;
            self.batches += 1;
            self.progress.rest = None;
            return Ok((!is_told).then_some(self.progress));
        }
        if self.batches > 0 {
            sleep(self.pause).await;
            self.check_caller().await?;
        }
        let started = Instant::now();
        let swept = self.batch(self.progress.rest).await?;
        self.pause = started.elapsed() * PAUSE;
        self.count(swept);
        if self.is_over && self.act.is_some() {
            self.look_again().await?;
            let Progress { met, examined, .. } = self.progress;
            tracing::info!(ended = met, examined, "sessions revoked");
        }
        Ok(Some(self.progress))
    }

    /// Ends the sessions of sign-ins that were under way when the walk began: once they are
    /// over, looks a second time at those whose ids are as new.
    async fn look_again(&mut self) -> Result<(), Error> {
        sleep((SLACK + REST).saturating_sub(self.started.elapsed())).await;
        while self.identity.fence().await? < self.caller.now() {
            sleep(REST).await;
            self.check_caller().await?;
        }
        let mut after = None;
        loop {
            let started = Instant::now();
            let swept = self.batch(after).await?;
            self.progress.met += swept.met as u64;
            after = swept.last.filter(|last| last.0 > self.floor.0);
            if after.is_none() || swept.examined < WINDOW {
                return Ok(());
            }
            sleep(started.elapsed() * PAUSE).await;
            self.check_caller().await?;
        }
    }

    async fn batch(&self, after: Option<SessionId>) -> Result<Swept, Error> {
        let window = Window {
            filter: &self.filter,
            spared: self.caller.session_id,
            opened_until: self.caller.now(),
            after,
            overlap: self.identity.0.settings.revocation_overlap,
        };
        let pool = &self.identity.0.pool;
        let Some(act) = &self.act else {
            let count = async |conn: &mut _| sessions::count_swept(conn, &window).await;
            return Ok(pool.run(count).await?);
        };
        let sweep = async |conn: &mut _| sessions::sweep(conn, act, &window).await;
        let swept = pool.run(sweep).await?;
        if swept.met > 0 {
            self.identity.ended(EndReason::RevokedByAdmin, swept.met);
        }
        Ok(swept)
    }

    fn count(&mut self, swept: Swept) {
        self.batches += 1;
        self.progress.met += swept.met as u64;
        self.progress.examined += swept.examined as u64;
        self.is_over = swept.examined < WINDOW;
        self.progress.rest = swept.last.filter(|_| !self.is_over);
    }

    /// A sweep may take longer than its caller stays an operator.
    async fn check_caller(&self) -> Result<(), Error> {
        if self.identity.0.feed.is_stopped() {
            return Err(Error::NotReady);
        }
        self.identity.still_admin(&self.caller).await
    }
}
