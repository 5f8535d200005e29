//! The flows: sign in, refresh, renew, end sessions, change users and passwords. Here is the
//! order of the steps; the SQL is in `store`, the wire in `grpc`.

mod access_token;
mod caller;
mod error;
mod exchange;
mod incident;
mod introspect;
mod master_key;
pub mod password;
mod refresh;
mod renew;
mod revocations;
mod sessions;
mod sign_in;
mod signing_keys;
mod users;

use std::{fmt, sync::Arc, time::Duration};

pub use access_token::AccessToken;
pub use caller::Caller;
pub use error::Error;
pub use introspect::Active;
pub use master_key::{MasterKey, MasterKeyError};
pub use refresh::Refresh;
pub use renew::Renew;
pub use revocations::{Message, Subscription};
pub use sign_in::SignIn;
pub use users::{NewUser, create_user};

use crate::{
    model::{
        ids::{SessionId, UserId},
        password::PasswordPolicy,
        refresh_token::{MacKeys, RefreshTokenText},
        role::Roles,
        session::{Session, Superseded},
    },
    store::Pool,
};
use master_key::PageKey;
use password::PasswordHasher;
use revocations::Feed;
use signing_keys::SigningKeys;

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
    /// How many subscribers of revocations one replica takes.
    pub max_watchers: usize,
    /// For how long a transaction that ends a session can take.
    pub revocation_overlap: Duration,
    /// Whether anybody can register.
    pub registration: bool,
    /// Which passwords can be set.
    pub password_policy: PasswordPolicy,
}

/// The identity service behind its protocol. Cheap to clone.
#[derive(Clone)]
pub struct Identity(Arc<Parts>);

struct Parts {
    settings: Settings,
    pool: Pool,
    hasher: PasswordHasher,
    mac_keys: MacKeys,
    page_key: PageKey,
    signing_keys: SigningKeys,
    feed: Feed,
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
    /// The service over a pool. It answers [`Error::NotReady`] to what makes or takes an
    /// access token until [`Identity::load_signing_keys`] has succeeded.
    #[must_use]
    pub fn new(
        settings: Settings,
        pool: Pool,
        hasher: PasswordHasher,
        master_key: &MasterKey,
    ) -> Self {
        Self(Arc::new(Parts {
            signing_keys: SigningKeys::new(master_key),
            mac_keys: master_key.mac_keys(),
            page_key: master_key.page_key(),
            feed: Feed::new(&settings),
            settings,
            pool,
            hasher,
        }))
    }

    /// Loads the key that signs access tokens, and makes one where there is none.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked, or the master key does not open the key.
    pub async fn load_signing_keys(&self) -> Result<(), Error> {
        self.0.signing_keys.load(&self.0.pool).await
    }

    /// What the flows hold to.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
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
        self.0.page_key.tag(message)
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
