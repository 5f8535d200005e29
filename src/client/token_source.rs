//! Keeps a session alive: refreshes ahead of expiry, once however many ask, and never
//! forgets what it was about to ask.
//!
//! The order of a refresh: the `request_id` is stored beside the tokens, then sent, and the
//! answer is stored over both. Whatever is lost on the way, a reply, a connection, the
//! process, the next attempt finds the `request_id` and repeats the same request, which
//! Rollcall answers with the same successor. Only a verdict of Rollcall itself ends a
//! session.

mod builder;
mod calls;
mod error;
mod file;
mod held;
mod inner;
mod store;
mod tokens;
mod written;

use std::{fmt, sync::Arc};

use tonic::Status;

use crate::proto::v1;
use calls::Account;
use inner::Inner;
use tokens::unix_seconds;

pub use builder::TokenSourceBuilder;
pub use error::{SignInAgain, TokenError};
pub use file::FileStore;
pub use store::{Change, MemoryStore, Store};
pub use tokens::{AccessToken, Tokens};

/// The tokens of one session, kept fresh. Cheap to clone; clones are the same source.
///
/// A new access token is asked for when a fifth of the old one's life is left, or 60 s,
/// whichever is less; the old one is given out meanwhile, for as long as it lives, so that
/// nobody waits and an outage of Rollcall that ends in time is never noticed.
#[derive(Clone)]
pub struct TokenSource {
    inner: Arc<Inner>,
}

impl TokenSource {
    /// Begins to describe a source: of the Rollcall at `address`.
    pub fn builder<D>(address: D) -> TokenSourceBuilder
    where
        D: TryInto<tonic::transport::Endpoint>,
        D::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        TokenSourceBuilder::new(super::endpoint::Address::new(address))
    }

    /// An access token that lives. Asks Rollcall only where there is none.
    ///
    /// # Errors
    ///
    /// [`TokenError::SignInAgain`] where the session has ended, and anything else where it
    /// may live on.
    pub async fn access_token(&self) -> Result<AccessToken, TokenError> {
        if let Some(held) = self.inner.in_hand(None) {
            if held.ages() {
                self.refresh_ahead();
            }
            return Ok(held.access_token.clone());
        }
        self.obtain(None).await
    }

    /// Another access token than `refused`, which somebody did not take: because its roles
    /// have changed, for example. Many who were refused the same one get the same other.
    ///
    /// # Errors
    ///
    /// As [`TokenSource::access_token`].
    pub async fn replace(&self, refused: &AccessToken) -> Result<AccessToken, TokenError> {
        self.obtain(Some(refused.clone())).await
    }

    /// Signs in, and keeps the tokens in place of any others.
    ///
    /// # Errors
    ///
    /// [`TokenError::Credentials`] where they are wrong; what was kept is then kept still.
    pub async fn sign_in(
        &self,
        login: &str,
        password: &str,
        device: v1::Device,
    ) -> Result<AccessToken, TokenError> {
        let account = Account::new(login, password, device);
        let turn = self.inner.turn.clone().lock_owned().await;
        let inner = self.inner.clone();
        uninterrupted(async move {
            let held = inner.sign_in(&account).await;
            drop(turn);
            Ok(held?.access_token.clone())
        })
        .await
    }

    /// Keeps the tokens of a session that was opened elsewhere, in place of any others.
    ///
    /// One that is bound to its user agent needs [`TokenSourceBuilder::user_agent`]. One that
    /// is bound to an address cannot be refreshed from here: the address is for the service
    /// to tell that sees the device.
    ///
    /// # Errors
    ///
    /// When it is not a pair, or cannot be stored.
    pub async fn set_tokens(&self, pair: v1::TokenPair) -> Result<(), TokenError> {
        let _turn = self.inner.turn.clone().lock_owned().await;
        self.inner.keep(pair, unix_seconds()).await?;
        Ok(())
    }

    /// Ends the session and forgets its tokens. Where nobody is signed in, that is fine.
    ///
    /// # Errors
    ///
    /// When Rollcall cannot be asked: the tokens are kept, for another attempt.
    pub async fn log_out(&self) -> Result<(), TokenError> {
        let turn = self.inner.turn.clone().lock_owned().await;
        let inner = self.inner.clone();
        uninterrupted(async move {
            let result = inner.log_out().await;
            drop(turn);
            result
        })
        .await
    }

    /// Waits for a refresh that is under way in the background, if any: a process that ends
    /// within one, and is not there to repeat it, may find its session ended later.
    pub async fn settle(&self) {
        drop(self.inner.turn.lock().await);
    }

    /// Refreshes in the background, unless that is under way or failed just now.
    fn refresh_ahead(&self) {
        if self.inner.recent_failure().is_some() {
            return;
        }
        if let Ok(turn) = self.inner.turn.clone().try_lock_owned() {
            tokio::spawn(self.inner.clone().refresh(None, turn));
        }
    }

    /// Waits for the turn, and refreshes where nobody else has meanwhile.
    async fn obtain(&self, refused: Option<AccessToken>) -> Result<AccessToken, TokenError> {
        let turn = self.inner.turn.clone().lock_owned().await;
        if let Some(held) = self.inner.in_hand(refused.as_ref()) {
            return Ok(held.access_token.clone());
        }
        if let Some(error) = self.inner.recent_failure() {
            return Err(error);
        }
        uninterrupted(self.inner.clone().refresh(refused, turn)).await
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_token = self.inner.in_hand(None).is_some();
        f.debug_struct("TokenSource")
            .field("has_token", &has_token)
            .finish_non_exhaustive()
    }
}

/// Runs what must not end with its caller: a refresh whose answer nobody waits for would
/// have to be repeated.
async fn uninterrupted<T: Send + 'static>(
    work: impl Future<Output = Result<T, TokenError>> + Send + 'static,
) -> Result<T, TokenError> {
    tokio::spawn(work)
        .await
        .unwrap_or_else(|_| Err(TokenError::of(Status::internal("the call was broken off"))))
}
