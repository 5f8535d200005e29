//! The removal of rows that are of no use any more.

use prometheus_client::{
    metrics::family::Family,
    registry::{Registry, Unit},
};

use super::{
    Seconds,
    kinds::{Counters, Kind, Label, kinds},
    now,
};

kinds! {
    /// From where rows are removed.
    PurgedTable in "table" {
        /// Expired and long-ended sessions.
        Sessions = "sessions",
        /// What was kept of the sign-ins of deleted users.
        SignIns = "user_sign_ins",
        /// Signing keys that no token can be renewed by any more.
        SigningKeys = "signing_keys",
        /// What says which access tokens were superseded.
        SupersededTokens = "superseded_tokens",
        /// Old audit events.
        AuditEvents = "audit_events",
        /// Password reset tokens that have expired.
        PasswordResetTokens = "password_reset_tokens",
    }
}

/// The removal of rows that are of no use any more.
#[derive(Clone)]
pub struct PurgeMetrics {
    rows: Counters,
    succeeded: Family<Label, Seconds>,
}

impl Default for PurgeMetrics {
    fn default() -> Self {
        Self {
            rows: Counters::of::<PurgedTable>(),
            succeeded: Family::default(),
        }
    }
}

impl PurgeMetrics {
    pub(super) fn registered(self, registry: &mut Registry) -> Self {
        let help = "Rows removed by this server, by table";
        self.rows.register(registry, "purged_rows", help);
        registry.register_with_unit(
            "purge_last_success_timestamp",
            "When this server last went through a table to the end, since 1970",
            Unit::Seconds,
            self.succeeded.clone(),
        );
        self
    }

    /// So many rows were removed.
    pub fn removed(&self, table: PurgedTable, rows: usize) {
        self.rows
            .add(table, u64::try_from(rows).unwrap_or(u64::MAX));
    }

    /// There is nothing left to remove from a table.
    pub fn succeeded(&self, table: PurgedTable) {
        let label = [(PurgedTable::LABEL, table.as_str())];
        self.succeeded.get_or_create(&label).set(now());
    }
}
