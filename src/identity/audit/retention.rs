//! The end of events.

use std::{convert::Infallible, time::Duration};

use tokio::time::sleep;

use crate::{
    identity::{Error, Identity, for_ever::for_ever},
    metrics::PurgedTable,
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
        for_ever(INTERVAL, "audit events not purged", || {
            self.purge_old_events()
        })
        .await
    }

    /// Deletes in batches, until one is not full.
    async fn purge_old_events(&self) -> Result<(), Error> {
        let retention = self.0.settings.audit_retention;
        let purge = async |conn: &mut _| audit::purge(conn, retention).await;
        let metrics = self.0.metrics.purge();
        loop {
            let purged = self.0.pool.run(purge).await?;
            metrics.removed(PurgedTable::AuditEvents, purged);
            if purged < PURGE_BATCH {
                metrics.succeeded(PurgedTable::AuditEvents);
                return Ok(());
            }
            sleep(REST).await;
        }
    }
}
