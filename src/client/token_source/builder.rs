//! Describing a source.

use std::{
    fmt,
    sync::{Arc, Mutex, atomic::AtomicBool},
    time::Duration,
};

use arc_swap::ArcSwapOption;

use super::{
    MemoryStore, Store, TokenSource,
    calls::{Account, Calls},
    inner::Inner,
};
use crate::{
    client::{
        endpoint::{Address, AddressError, channel},
        tls::Tls,
    },
    proto::v1,
};

/// The server's `--replay-window`, where nothing else is said.
const REPLAY_WINDOW: Duration = Duration::from_secs(120);

/// What a [`TokenSource`] is to be.
pub struct TokenSourceBuilder {
    address: Address,
    store: Arc<dyn Store>,
    account: Option<Account>,
    user_agent: String,
    replay_window: Duration,
}

impl TokenSourceBuilder {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            store: Arc::new(MemoryStore::default()),
            account: None,
            user_agent: String::new(),
            replay_window: REPLAY_WINDOW,
        }
    }

    /// Keeps the tokens there. Default: a [`MemoryStore`].
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// Signs in by itself whenever there is no session or it has ended: for the account of
    /// a service. `device.client_id` is required; leave `device.device_id` empty where
    /// several processes use the account, since one would end the session of another.
    #[must_use]
    pub fn account(mut self, login: &str, password: &str, device: v1::Device) -> Self {
        self.account = Some(Account::new(login, password, device));
        self
    }

    /// Tells Rollcall this user agent at each refresh, and of a device that signs in and
    /// names none. Default: none, and the session keeps the one that it has. Needed where
    /// the session is bound to its user agent: the same as it was opened with.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Speaks TLS this way; the address must be an `https` one. Default: the system's
    /// authorities, or what the endpoint says.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.address.set_tls(tls);
        self
    }

    /// The server's `--replay-window`: for so long a refresh whose outcome is not known is
    /// repeated when nobody asks for a token, since later the same request counts as theft.
    /// Default: 120 s, as the server's.
    #[must_use]
    pub fn replay_window(mut self, replay_window: Duration) -> Self {
        self.replay_window = replay_window;
        self
    }

    /// The source. Nothing is asked yet, and the address need not answer.
    ///
    /// # Errors
    ///
    /// When the address is none, or the certificates for it cannot be used.
    pub fn build(self) -> Result<TokenSource, AddressError> {
        Ok(TokenSource {
            inner: Arc::new(Inner {
                calls: Calls::new(channel(&self.address.endpoint()?), self.user_agent),
                replay_window: self.replay_window,
                store: self.store,
                account: self.account,
                held: ArcSwapOption::empty(),
                turn: Arc::default(),
                failure: Mutex::new(None),
                unsure: AtomicBool::new(false),
                repeating: AtomicBool::new(false),
            }),
        })
    }
}

impl fmt::Debug for TokenSourceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSourceBuilder")
            .field("address", &self.address)
            .field("has_account", &self.account.is_some())
            .field("user_agent", &self.user_agent)
            .field("replay_window", &self.replay_window)
            .finish_non_exhaustive()
    }
}
