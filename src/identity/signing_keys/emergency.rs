//! The rotation that does not wait.

use super::{ATTEMPTS, SigningKeys};
use crate::{
    identity::Error,
    model::{audit::Act, signing_key::SigningKey},
    store::signing_keys::{self, Emergency},
};

impl SigningKeys {
    /// Drops the keys that have signed, with their tokens, and lets the next key sign from
    /// now on. This process takes no token of theirs any more.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked, or the master key does not open the keys.
    pub async fn rotate_in_emergency(&self, act: &Act) -> Result<SigningKey, Error> {
        let _tended = self.tend_after();
        for _ in 0..ATTEMPTS {
            let published = self.load().await?;
            let (Some(active), Some(next)) = (published.active(), published.next()) else {
                self.fill(&published).await?;
                continue;
            };
            let made = self.generate()?;
            let emergency = Emergency {
                active: &active.key.kid,
                next: &next.key.kid,
                made: &made,
            };
            let rotate =
                async |conn: &mut _| signing_keys::drop_and_rotate(conn, act, &emergency).await;
            if self.pool.run(rotate).await? {
                let (active, dropped) = (emergency.next, emergency.active);
                tracing::warn!(active, dropped, "dropped the signing key in an emergency");
                return self.now_active().await;
            }
        }
        Err(Error::Conflict)
    }
}
