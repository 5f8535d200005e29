//! Where the tokens of a session are kept.

use std::{
    io,
    sync::{Arc, Mutex},
};

use super::Tokens;

/// A change of what is kept: from what there is to what there is to be.
pub type Change = Box<dyn FnOnce(Option<Tokens>) -> Option<Tokens> + Send>;

/// Keeps the tokens of one session. Several sources, and several processes, can share what
/// one store keeps, if its [`Store::update`] is atomic for all of them.
///
/// What it writes is [`Tokens::to_bytes`], and what it has read [`Tokens::from_bytes`].
pub trait Store: Send + Sync + 'static {
    /// Replaces what is kept by what `change` makes of it, in one step that no other
    /// update comes between, and answers with it once it is durable. It is called where
    /// blocking is allowed.
    ///
    /// # Errors
    ///
    /// When it cannot be read or written. What was kept is then kept still.
    fn update(&self, change: Change) -> io::Result<Option<Tokens>>;
}

/// The same store, for several sources.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn update(&self, change: Change) -> io::Result<Option<Tokens>> {
        S::update(self, change)
    }
}

/// Keeps the tokens in memory: they end with the process, and the session is left to
/// expire.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Option<Tokens>>);

impl Store for MemoryStore {
    fn update(&self, change: Change) -> io::Result<Option<Tokens>> {
        let mut kept = self
            .0
            .lock()
            .map_err(|_| io::Error::other("an earlier change panicked"))?;
        *kept = change(kept.take());
        Ok(kept.clone())
    }
}
