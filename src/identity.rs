//! The flows: sign in, refresh, renew, end sessions, change users and passwords. Here is the
//! order of the steps; the SQL is in `store`, the wire in `grpc`.

mod access_token;
mod attempts;
mod audit;
mod caller;
mod error;
mod exchange;
mod for_ever;
mod imports;
mod incident;
mod introspect;
mod known;
mod logins;
mod master_key;
mod master_keys;
mod measures;
pub mod password;
mod password_resets;
mod purge;
mod rate_limits;
mod refresh;
mod renew;
mod revocations;
mod session_stats;
mod sessions;
mod sign_in;
mod signing_keys;
mod sweep;
mod users;

use std::{convert::Infallible, fmt, num::NonZeroU32, sync::Arc, time::Duration};

pub use access_token::AccessToken;
pub use audit::{EventBatch, EventWatch};
pub use caller::Caller;
pub use error::Error;
pub use imports::{Import, Outcome};
pub use introspect::Active;
pub use known::AuthCaller;
pub use master_key::{MasterKey, MasterKeyError};
pub use master_keys::{MasterKeys, MasterKeysError};
pub use rate_limits::RateLimit;
pub use refresh::Refresh;
pub use renew::Renew;
pub use revocations::{Message, Subscription};
pub use sign_in::{SignIn, SignedIn};
pub use signing_keys::{Resealed, SigningKeys};
pub use sweep::{Effect, Progress, Sweep, SweepOrder};
pub use users::{NewUser, create_first_operator};

use crate::{
    metrics::Metrics,
    model::{
        audit::Act,
        ids::{SessionId, UserId},
        jwk::Jwk,
        mac::MacKeys,
        password::PasswordPolicy,
        refresh_token::RefreshTokenText,
        role::Roles,
        session::{Session, Superseded},
        session_limits::SessionLimits,
        signing_key::{Policy, SigningKey},
    },
    store::Pool,
};
use audit::EventWatches;
use master_keys::PageKeys;
use password::PasswordHasher;
use rate_limits::RateLimits;
use revocations::Feed;

/// What the flows are to hold to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The `iss` claim: who issues the access tokens.
    pub issuer: String,
    /// The `aud` claim: for whom the access tokens are.
    pub audience: String,
    /// How long an access token lives.
    pub access_token_lifetime: Duration,
    /// How long a session lives unless it is refreshed.
    pub session_idle_lifetime: Duration,
    /// How long a session lives at most.
    pub session_absolute_lifetime: Duration,
    /// For how long a session's row is kept after its end.
    pub session_retention: Duration,
    /// How often sessions are counted.
    pub session_stats_interval: Duration,
    /// For how long a refresh with a `request_id` can be repeated.
    pub replay_window: Duration,
    /// For how long a refresh without one can be repeated.
    pub replay_leeway: Duration,
    /// How old the tokens of a session must be before they are succeeded; `None` where
    /// that does not matter.
    pub refresh_min_interval: Option<Duration>,
    /// What becomes of a session's earlier access tokens.
    pub superseded: Superseded,
    /// How long ago a user may have signed in to end other sessions.
    pub recent_sign_in: Duration,
    /// How many watchers of revocations one replica takes.
    pub max_watchers: usize,
    /// For how long a transaction that ends a session can take.
    pub revocation_overlap: Duration,
    /// For how long audit events are kept.
    pub audit_retention: Duration,
    /// Whether anybody can register.
    pub registration: bool,
    /// How the keys that sign access tokens live.
    pub signing_keys: Policy,
    /// Which passwords can be set.
    pub password_policy: PasswordPolicy,
    /// What sign-ins are to hold to.
    pub sign_ins: SignInSettings,
}

/// What sign-ins are to hold to.
#[derive(Clone, Copy, Debug)]
pub struct SignInSettings {
    /// How many passwords of a user are checked in a row before one is right.
    pub max_failed_attempts: u32,
    /// How many sign-ins a minute this replica takes from one address; `None` for any number.
    pub per_address: Option<NonZeroU32>,
    /// How many sign-ins a minute this replica takes for one login; `None` for any number.
    pub per_login: Option<NonZeroU32>,
    /// How many sessions a user may have.
    pub sessions: SessionLimits,
}

/// The identity service behind its protocol. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Parts>);

struct Parts {
    settings: Settings,
    pool: Pool,
    hasher: PasswordHasher,
    mac_keys: MacKeys,
    reset_mac_keys: MacKeys,
    page_keys: PageKeys,
    signing_keys: SigningKeys,
    feed: Feed,
    event_watches: EventWatches,
    metrics: Metrics,
    rate_limits: RateLimits,
}

/// A session and the tokens of its present generation.
#[derive(Debug)]
pub struct Granted {
    /// The session.
    pub session: Session,
    /// The user's roles, as the access token has them.
    pub roles: Roles,
    /// The access token.
    pub access_token: AccessToken,
    /// The refresh token; empty for a client that holds the access token alone.
    pub refresh_token: RefreshTokenText,
}

impl Identity {
    /// The service over a pool and a hasher, which then count in `metrics`. It answers [`Error::NotReady`] to what makes or takes an
    /// access token until [`Identity::load_signing_keys`] has succeeded.
    #[must_use]
    pub fn new(
        settings: Settings,
        pool: Pool,
        hasher: PasswordHasher,
        master_keys: &MasterKeys,
        metrics: Metrics,
    ) -> Self {
        let pool = pool.measured(metrics.pool().clone());
        let keys = metrics.keys().clone();
        let signing_keys = SigningKeys::new(pool.clone(), master_keys, settings.signing_keys);
        Self(Arc::new(Parts {
            signing_keys: signing_keys.measured(keys),
            mac_keys: master_keys.mac_keys(),
            reset_mac_keys: master_keys.reset_mac_keys(),
            page_keys: master_keys.page_keys(),
            feed: Feed::new(&settings),
            event_watches: EventWatches::new(),
            rate_limits: RateLimits::new(&settings.sign_ins),
            settings,
            pool,
            hasher: hasher.measured(metrics.hashing().clone()),
            metrics,
        }))
    }

    /// Loads the keys that sign access tokens, and does what is due: makes those that are
    /// missing, rotates, and forgets those whose last token has expired.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked, or no master key opens a key.
    pub async fn load_signing_keys(&self) -> Result<(), Error> {
        self.0.signing_keys.tend().await
    }

    /// Does the same every half minute, and when woken. A failure is logged, and tried
    /// again.
    pub async fn tend_signing_keys(&self) -> Infallible {
        self.0.signing_keys.tend_for_ever().await
    }

    /// Has [`Identity::tend_signing_keys`] look at the keys now: another replica has
    /// changed them.
    fn wake_signing_keys(&self) {
        self.0.signing_keys.wake();
    }

    /// The public keys that access tokens are to be checked with. No statement.
    ///
    /// # Errors
    ///
    /// When the keys were not loaded yet.
    pub fn jwks(&self) -> Result<Vec<Jwk>, Error> {
        Ok(self.0.signing_keys.ring()?.jwks().to_vec())
    }

    /// For how long verifiers may keep [`Identity::jwks`].
    #[must_use]
    pub fn jwks_max_age(&self) -> Duration {
        self.0.settings.signing_keys.max_age()
    }

    /// The keys that sign access tokens, and those that did, newest first.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn list_signing_keys(&self) -> Result<Vec<SigningKey>, Error> {
        self.0.signing_keys.list().await
    }

    /// Lets the next key sign from now on, and answers it.
    ///
    /// # Errors
    ///
    /// [`Error::NextKeyTooNew`], or as [`Identity::load_signing_keys`].
    pub async fn rotate_signing_key(&self, act: &Act) -> Result<SigningKey, Error> {
        let rotated = self.0.signing_keys.rotate(act).await?;
        self.0.feed.wake();
        Ok(rotated)
    }

    /// Drops the keys that have signed, with their tokens, and answers the one that signs
    /// from now on.
    ///
    /// # Errors
    ///
    /// As [`Identity::load_signing_keys`].
    pub async fn rotate_signing_key_in_emergency(&self, act: &Act) -> Result<SigningKey, Error> {
        let rotated = self.0.signing_keys.rotate_in_emergency(act).await?;
        self.0.feed.wake();
        Ok(rotated)
    }

    /// Seals every signing key under the first master key, and tells of it where one was not.
    ///
    /// # Errors
    ///
    /// When no master key opens one of them, or the database cannot be asked. Keys that were
    /// resealed before that stay so.
    pub async fn reseal_signing_keys(&self, act: &Act) -> Result<Resealed, Error> {
        let done = self.0.signing_keys.reseal(act).await?;
        tracing::info!(resealed = done.resealed, "signing keys resealed");
        Ok(done)
    }

    /// What the flows hold to.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The connections to the database.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// The tag of a page token, 16 bytes, so that one from elsewhere is refused before
    /// any query.
    #[must_use]
    pub fn page_tag(&self, message: &[u8]) -> [u8; 16] {
        self.0.page_keys.tag(message)
    }

    /// Whether [`Identity::page_tag`] made the tag, under this master key or one that was
    /// first before it.
    #[must_use]
    pub fn is_page_tag(&self, message: &[u8], tag: &[u8]) -> bool {
        self.0.page_keys.verify(message, tag)
    }
}

/// Says in every further line of the call at hand whose it is.
fn tell_log(user_id: UserId, session_id: SessionId) {
    let call = tracing::Span::current();
    call.record("user_id", tracing::field::display(user_id));
    call.record("session_id", tracing::field::display(session_id));
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}
