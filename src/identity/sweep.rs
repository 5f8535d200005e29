//! The end of all sessions that a filter meets, in batches, with pauses for others.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use super::{Caller, Error, Identity, caller::live_roles};
use crate::{
    model::{
        audit::{Act, Detail, EventKind, NewEvent, SessionsRevocation},
        ids::{SessionId, UserId},
    },
    store::{
        audit,
        sessions::{self, Filter, Swept, WINDOW, Window},
    },
};

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
    /// Ends them.
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
    caller: (UserId, SessionId),
    /// The database's time at the caller's check.
    began: OffsetDateTime,
    progress: Progress,
    batches: u32,
    is_over: bool,
    /// As long as the last batch took: others have the database for half of the time.
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
        caller: &Caller,
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
                self.tell_of_sweep(&act, filter).await?;
                Some(act)
            }
            Effect::Count => None,
        };
        Ok(Sweep {
            identity: self.clone(),
            act,
            filter,
            caller: (caller.user_id, caller.session_id),
            began: caller.now(),
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
        let swept = self.batch().await?;
        self.pause = started.elapsed();
        self.count(swept);
        Ok(Some(self.progress))
    }

    async fn batch(&self) -> Result<Swept, Error> {
        let window = Window {
            filter: &self.filter,
            spared: self.caller.1,
            opened_until: self.began,
            after: self.progress.rest,
        };
        let pool = &self.identity.0.pool;
        let Some(act) = &self.act else {
            let count = async |conn: &mut _| sessions::count_swept(conn, &window).await;
            return Ok(pool.run(count).await?);
        };
        let sweep = async |conn: &mut _| sessions::sweep(conn, act, &window).await;
        let swept = pool.run(sweep).await?;
        if swept.met > 0 {
            self.identity.0.feed.wake();
        }
        Ok(swept)
    }

    fn count(&mut self, swept: Swept) {
        self.batches += 1;
        self.progress.met += swept.met as u64;
        self.progress.examined += swept.examined as u64;
        self.is_over = swept.examined < WINDOW;
        self.progress.rest = swept.last.filter(|_| !self.is_over);
        if self.is_over && self.act.is_some() {
            let Progress { met, examined, .. } = self.progress;
            tracing::info!(ended = met, examined, "sessions revoked");
        }
    }

    /// A sweep may take longer than its caller stays an operator.
    async fn check_caller(&self) -> Result<(), Error> {
        if self.identity.0.feed.is_stopped() {
            return Err(Error::NotReady);
        }
        let (user_id, session_id) = self.caller;
        let standing = self.identity.find_standing(user_id, session_id).await?;
        let standing = standing.ok_or(Error::AccessTokenInvalid)?;
        if live_roles(&standing)?.include_admin() {
            Ok(())
        } else {
            Err(Error::AdminRequired)
        }
    }
}
