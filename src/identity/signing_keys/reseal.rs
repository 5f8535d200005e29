//! From one master key to another.

use std::time::Duration;

use super::{ATTEMPTS, SigningKeys, pair};
use crate::{
    identity::{Error, master_keys::SealKeys},
    model::audit::Act,
    store::{
        Pool,
        signing_keys::{SealedKey, find_former, find_published, reseal},
    },
};

/// For how long a token can be renewed at most, whatever a server is configured to:
/// the longest absolute lifetime.
const LONGEST_RENEWAL: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resealed {
    /// How many keys are sealed under the first master key now, and were not before.
    pub resealed: usize,
    /// How many were already.
    pub unchanged: usize,
}

impl SigningKeys {
    /// Seals every signing key under the first of the master keys. Servers may run and
    /// rotate meanwhile.
    ///
    /// # Errors
    ///
    /// When none of the master keys opens a key, or the database cannot be asked. Keys that
    /// were resealed before that stay so.
    pub async fn reseal(&self, act: &Act) -> Result<Resealed, Error> {
        let (pool, seal_keys) = (&self.pool, &self.seal_keys);
        let mut resealed = Vec::new();
        for _ in 0..ATTEMPTS {
            let published = pool.run(async |conn| find_published(conn).await).await?;
            let former = pool
                .run(async |conn| find_former(conn, LONGEST_RENEWAL).await)
                .await?;
            let keys = [published.keys, former].concat();
            let mut settled = true;
            for stored in &keys {
                // The first tells of the call, in its transaction.
                let told = resealed.is_empty().then_some(act);
                match reseal_one(pool, seal_keys, stored, told).await? {
                    Some(true) => resealed.push(stored.key.kid.clone()),
                    Some(false) => {}
                    None => settled = false,
                }
            }
            if settled {
                let was_before = |stored: &&SealedKey| !resealed.contains(&stored.key.kid);
                return Ok(Resealed {
                    unchanged: keys.iter().filter(was_before).count(),
                    resealed: resealed.len(),
                });
            }
        }
        Err(Error::Conflict)
    }
}

/// Whether the key had to be resealed; `None` when it changed meanwhile.
async fn reseal_one(
    pool: &Pool,
    seal_keys: &SealKeys,
    stored: &SealedKey,
    told: Option<&Act>,
) -> Result<Option<bool>, Error> {
    let opened = seal_keys.open_key(stored)?;
    if opened.by_first {
        return Ok(Some(false));
    }
    let (kid, seen) = (&stored.key.kid, &stored.sealed);
    let anew = seal_keys.seal(&pair::context_of(stored), &opened.secret)?;
    let replace = async |conn: &mut _| reseal(conn, told, kid, seen, &anew).await;
    Ok(pool.run(replace).await?.then_some(true))
}
