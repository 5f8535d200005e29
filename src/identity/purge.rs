//! The removal of rows that are of no use any more.

use std::{convert::Infallible, future::pending, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Error, Identity, for_ever::for_ever};
use crate::{
    metrics::PurgedTable,
    model::session::Superseded,
    store::{
        purge::{self, Place, Table},
        sessions::{self, PURGE_BATCH},
    },
};

/// How often to look for superseded tokens that have become of no use.
const INTERVAL: Duration = Duration::from_secs(60);
/// How long to rest between two rounds through the tables.
const REST: Duration = Duration::from_secs(10 * 60);
/// How long to wait at least between two windows of a round.
const MIN_PAUSE: Duration = Duration::from_millis(20);
/// How many times longer than a window took to wait at least before the next.
const PAUSE: u32 = 9;

impl Identity {
    /// Deletes for ever what says which access tokens were superseded, once those have
    /// expired for every verifier. A failure is logged once, and tried again. Nothing waits
    /// for it: what has expired is refused whether or not its row is there.
    pub async fn purge_superseded_tokens(&self) -> Infallible {
        if self.0.settings.superseded == Superseded::Allow {
            return pending().await;
        }
        for_ever(INTERVAL, "superseded tokens not purged", || self.purge()).await
    }

    /// Deletes in batches, until one is not full.
    async fn purge(&self) -> Result<(), Error> {
        // For as long as the feed tells of them, to verifiers whose clocks differ.
        let age = self.revocation_retention();
        let purge = async |conn: &mut _| sessions::purge_superseded(conn, age).await;
        let metrics = self.0.metrics.purge();
        loop {
            let purged = self.0.pool.run(purge).await?;
            metrics.removed(PurgedTable::SupersededTokens, purged);
            if purged < PURGE_BATCH {
                metrics.succeeded(PurgedTable::SupersededTokens);
                return Ok(());
            }
        }
    }

    /// Goes through the tables for ever, a window at a time with a pause after each, and
    /// deletes sessions that ended long ago, tokens that have expired, and what was kept for
    /// them. However many replicas do it, each row goes once. A failure is logged once, and
    /// tried again with the next round.
    pub async fn purge_rows(&self) -> Infallible {
        for_ever(REST, "rows not purged", || self.purge_round()).await
    }

    async fn purge_round(&self) -> Result<(), Error> {
        let started = Instant::now();
        let age = self.session_retention();
        let sessions = self.purge_table(Table::Sessions { age }).await?;
        let password_reset_tokens = self.purge_table(Table::PasswordResetTokens).await?;
        let sign_ins = self.purge_table(Table::SignIns).await?;
        // A single token can be renewed by a key that is gone for as long as this.
        let age = self.0.settings.signing_keys.renewal.max(age);
        let keys = async |conn: &mut _| purge::signing_keys(conn, age).await;
        let signing_keys = self.0.pool.run(keys).await?;
        let metrics = self.0.metrics.purge();
        metrics.removed(PurgedTable::SigningKeys, signing_keys);
        metrics.succeeded(PurgedTable::SigningKeys);
        if sessions + password_reset_tokens + sign_ins + signing_keys > 0 {
            tracing::info!(
                sessions,
                password_reset_tokens,
                sign_ins,
                signing_keys,
                seconds = started.elapsed().as_secs(),
                "purged"
            );
        }
        Ok(())
    }

    /// Goes through a table and says how many rows were deleted.
    async fn purge_table(&self, table: Table) -> Result<usize, Error> {
        let (mut count, mut next) = (0, Some(Place::default()));
        let metrics = self.0.metrics.purge();
        let label = match table {
            Table::Sessions { .. } => PurgedTable::Sessions,
            Table::PasswordResetTokens => PurgedTable::PasswordResetTokens,
            Table::SignIns => PurgedTable::SignIns,
        };
        while let Some(after) = next {
            let started = Instant::now();
            let window = async |conn: &mut _| purge::window(conn, table, after).await;
            let purged = self.0.pool.run(window).await?;
            count += purged.count;
            metrics.removed(label, purged.count);
            next = purged.next;
            if purged.count > 0 {
                tracing::debug!(?table, count = purged.count, "purged a window");
            }
            if next.is_some() {
                sleep((started.elapsed() * PAUSE).max(MIN_PAUSE)).await;
            }
        }
        metrics.succeeded(label);
        Ok(count)
    }

    /// For how long sessions are kept after their end: as long as the feed may still have to
    /// tell of it at least.
    fn session_retention(&self) -> Duration {
        let settings = &self.0.settings;
        let told = self.revocation_retention() + settings.revocation_overlap;
        settings.session_retention.max(told)
    }
}
