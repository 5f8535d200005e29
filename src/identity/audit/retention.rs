//! The end of events.

use std::{convert::Infallible, time::Duration};

use tokio::time::sleep;

use crate::{
    error_chain,
    identity::{Error, Identity},
    store::audit::{self, PURGE_BATCH},
};

/// How often to look for events that have become too old.
const INTERVAL: Duration = Duration::from_secs(60);
/// How long to leave the database alone between two batches.
const REST: Duration = Duration::from_millis(100);

impl Identity {
    /// Deletes for ever the events that are older than the retention, whichever replica comes
    /// first. A failure is logged once, and tried again.
    pub async fn purge_events(&self) -> Infallible {
        let mut failing = false;
        loop {
            let purged = self.purge_old_events().await;
            if let (Err(error), false) = (&purged, failing) {
                tracing::warn!(error = error_chain(error), "audit events not purged");
            }
            failing = purged.is_err();
            sleep(INTERVAL).await;
        }
    }

    /// Deletes in batches, until one is not full.
    async fn purge_old_events(&self) -> Result<(), Error> {
        let retention = self.0.settings.audit_retention;
        let purge = async |conn: &mut _| audit::purge(conn, retention).await;
        while self.0.pool.run(purge).await? == PURGE_BATCH {
            sleep(REST).await;
        }
        Ok(())
    }
}
