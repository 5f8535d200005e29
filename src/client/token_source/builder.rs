//! Describing a source.

use std::sync::{Arc, Mutex, atomic::AtomicBool};

use arc_swap::ArcSwapOption;
use tonic::transport::Endpoint;

use super::{
    MemoryStore, Store, TokenSource,
    calls::{Account, Calls},
    inner::Inner,
};
use crate::{
    client::endpoint::{AddressError, channel},
    proto::v1,
};

/// What a [`TokenSource`] is to be.
pub struct TokenSourceBuilder {
    endpoint: Result<Endpoint, AddressError>,
    store: Arc<dyn Store>,
    account: Option<Account>,
}

impl TokenSourceBuilder {
    pub(super) fn new(endpoint: Result<Endpoint, AddressError>) -> Self {
        Self {
            endpoint,
            store: Arc::new(MemoryStore::default()),
            account: None,
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

    /// The source. Nothing is asked yet, and the address need not answer.
    ///
    /// # Errors
    ///
    /// When the address is none.
    pub fn build(self) -> Result<TokenSource, AddressError> {
        Ok(TokenSource {
            inner: Arc::new(Inner {
                calls: Calls::new(channel(&self.endpoint?)),
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
