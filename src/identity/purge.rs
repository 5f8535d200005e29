//! The removal of rows that are of no use any more.

use std::{convert::Infallible, future::pending, time::Duration};

use tokio::time::sleep;

use super::{Error, Identity};
use crate::{
    error_chain,
    metrics::PurgedTable,
    model::session::Superseded,
    store::sessions::{self, PURGE_BATCH},
};

/// How often to look for what has become of no use.
const INTERVAL: Duration = Duration::from_secs(60);

impl Identity {
    /// Deletes for ever what says which access tokens were superseded, once those have
    /// expired for every verifier. A failure is logged once, and tried again. Nothing waits
    /// for it: what has expired is refused whether or not its row is there.
    pub async fn purge_superseded_tokens(&self) -> Infallible {
        if self.0.settings.superseded == Superseded::Allow {
            return pending().await;
        }
        let mut failing = false;
        loop {
            let purged = self.purge().await;
            if let (Err(error), false) = (&purged, failing) {
                tracing::warn!(error = error_chain(error), "superseded tokens not purged");
            }
            failing = purged.is_err();
            sleep(INTERVAL).await;
        }
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
}
