//! How many sessions live and who is online.

use std::{convert::Infallible, time::Duration};

use time::OffsetDateTime;
use tokio::time::Instant;

use super::{Error, Identity, for_ever::for_ever};
use crate::store::{
    Pool,
    session_stats::{self, SessionStats},
};

impl Identity {
    /// The numbers as they were counted last, and when. One row is read.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] while nothing was counted yet, or when the database cannot be
    /// asked.
    pub async fn session_stats(&self) -> Result<(OffsetDateTime, SessionStats), Error> {
        let get = async |conn: &mut _| session_stats::get(conn).await;
        self.0.pool.run(get).await?.ok_or(Error::NotReady)
    }

    /// Counts for ever, whenever it is due and no other replica does, on a connection of its
    /// own. A failure is logged once, and tried again.
    pub async fn count_sessions(&self, pool: &Pool) -> Infallible {
        // So that a count is late by no more than a part of the interval.
        let rest = self.0.settings.session_stats_interval / 4;
        for_ever(rest, "sessions not counted", || {
            self.count_sessions_when_due(pool)
        })
        .await
    }

    async fn count_sessions_when_due(&self, pool: &Pool) -> Result<(), Error> {
        let settings = &self.0.settings;
        let interval = settings.session_stats_interval;
        let claim = async |conn: &mut _| session_stats::claim(conn, interval).await;
        if !pool.run(claim).await? {
            return Ok(());
        }
        let started = Instant::now();
        let online = settings.access_token_lifetime;
        let count = async |conn: &mut _| session_stats::count(conn, online).await;
        let counted = pool.run(count).await;
        let took = started.elapsed();
        let counted = match counted {
            Ok(counted) => counted,
            Err(error) => {
                self.give_up_count(pool, took).await?;
                return Err(error.into());
            }
        };
        let keep = async |conn: &mut _| session_stats::keep(conn, &counted, took).await;
        let kept = pool.run(keep).await?;
        tracing::debug!(?took, kept, "sessions counted");
        Ok(())
    }

    async fn give_up_count(&self, pool: &Pool, took: Duration) -> Result<(), Error> {
        let give_up = async |conn: &mut _| session_stats::give_up(conn, took).await;
        Ok(pool.run(give_up).await?)
    }
}
