//! The audit trail: what operators see of it, and how it ends.

mod retention;
mod watch;

pub(super) use watch::EventWatches;
pub use watch::{EventBatch, EventWatch};

use super::{Error, Identity};
use crate::{
    model::audit::{Event, EventId},
    store::{
        Page,
        audit::{self, Filter},
    },
};

impl Identity {
    /// One page of events, newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn list_events(
        &self,
        filter: &Filter,
        page: Page<EventId>,
    ) -> Result<Vec<Event>, Error> {
        let list = async |conn: &mut _| audit::list(conn, filter, page).await;
        Ok(self.0.pool.run(list).await?)
    }
}
