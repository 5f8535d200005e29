//! The ages of the keys, for operators.

use time::OffsetDateTime;

use super::SigningKeys;
use crate::{
    metrics::{KeyStateName, KeysAtOnce},
    model::signing_key::KeyState,
    store::signing_keys::Published,
};

impl SigningKeys {
    /// Tells what is published.
    pub(super) fn measure(&self, published: &Published) {
        let mut next = KeysAtOnce::default();
        let mut active = KeysAtOnce::default();
        let mut retiring = KeysAtOnce::default();
        for stored in &published.keys {
            match stored.key.state {
                KeyState::Next => add(&mut next, stored.key.created_at),
                KeyState::Active { activated_at } => {
                    add(&mut active, activated_at);
                    let due = activated_at + self.policy.lifetime;
                    self.metrics.set_rotation_due(seconds(due));
                }
                KeyState::Retiring { retired_at, .. } => add(&mut retiring, retired_at),
                KeyState::Gone { .. } => {}
            }
        }
        self.metrics.set_keys(KeyStateName::Next, next);
        self.metrics.set_keys(KeyStateName::Active, active);
        self.metrics.set_keys(KeyStateName::Retiring, retiring);
    }
}

fn add(keys: &mut KeysAtOnce, since: OffsetDateTime) {
    let since = seconds(since);
    keys.number += 1;
    keys.since = Some(keys.since.map_or(since, |oldest| oldest.min(since)));
}

/// Seconds since 1970.
#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of this century fit into 53 bits"
)]
fn seconds(time: OffsetDateTime) -> f64 {
    (time.unix_timestamp_nanos() / 1_000) as f64 / 1e6
}
