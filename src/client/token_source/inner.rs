//! A refresh: what is stored, what is sent, and what an answer changes.

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::sync::OwnedMutexGuard;
use tonic::Status;

use super::{
    AccessToken, SignInAgain, Store, TokenError, Tokens,
    calls::{self, Account, Calls},
    held::{self, Held},
    tokens::{request_id, unix_seconds},
};
use crate::{
    client::{answer, backoff::Backoff, clock::Moment},
    proto::v1,
};

/// How often a refresh is tried before its caller is told to try later.
const ATTEMPTS: u32 = 3;
/// How long to wait between two attempts, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How long to wait before a refresh whose outcome is not known is repeated when nobody asks
/// for it, at first and at most.
const FIRST_REPETITION: Duration = Duration::from_secs(1);
const LAST_REPETITION: Duration = Duration::from_secs(10);

/// What the clones of a source share.
pub(super) struct Inner {
    pub(super) calls: Calls,
    /// For how long a refresh whose outcome is not known is repeated.
    pub(super) replay_window: Duration,
    pub(super) store: Arc<dyn Store>,
    pub(super) account: Option<Account>,
    pub(super) held: ArcSwapOption<Held>,
    /// Held by the one who refreshes or signs in or out.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    pub(super) failure: Mutex<Option<Failure>>,
    /// Whether a refresh was sent whose outcome is not known.
    pub(super) unsure: AtomicBool,
    /// Whether somebody repeats it.
    pub(super) repeating: AtomicBool,
}

/// The last attempt, where it failed.
pub(super) struct Failure {
    error: TokenError,
    at: Moment,
}

impl Inner {
    /// Refreshes, and repeats it in the background where the outcome is not known.
    pub(super) async fn refresh(
        self: Arc<Self>,
        refused: Option<AccessToken>,
        turn: OwnedMutexGuard<()>,
    ) -> Result<AccessToken, TokenError> {
        let mut result = self.attempts(refused.as_ref()).await;
        if let Err(error) = &result {
            self.note(error.clone());
            // A failure takes nothing from whoever has a token that lives; a verdict does.
            result = self.in_hand(refused.as_ref()).map_or(result, Ok);
        }
        drop(turn);
        if self.unsure.load(Ordering::Relaxed) && !self.repeating.swap(true, Ordering::Relaxed) {
            tokio::spawn(Self::repeat(Arc::downgrade(&self)));
        }
        Ok(result?.access_token.clone())
    }

    /// The access token in memory, where it lives and is not the refused one.
    pub(super) fn in_hand(&self, refused: Option<&AccessToken>) -> Option<Arc<Held>> {
        let held = self.held.load_full()?;
        (held.lives() && refused != Some(&held.access_token)).then_some(held)
    }

    /// Repeats a refresh until its outcome is known: a caller who comes back only after the
    /// replay window would end the session.
    async fn repeat(source: Weak<Self>) {
        let (begun, mut backoff) = (
            Moment::now(),
            Backoff::new(FIRST_REPETITION, LAST_REPETITION),
        );
        loop {
            tokio::time::sleep(backoff.next()).await;
            let Some(inner) = source.upgrade() else {
                return;
            };
            let _turn = inner.turn.lock().await;
            let is_known = !inner.unsure.load(Ordering::Relaxed);
            if is_known || begun.elapsed() > inner.replay_window {
                inner.repeating.store(false, Ordering::Relaxed);
                return;
            }
            if let Err(error) = inner.attempt(None).await {
                inner.note(error);
            }
        }
    }

    async fn attempts(&self, refused: Option<&AccessToken>) -> Result<Arc<Held>, TokenError> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut attempt = 1;
        loop {
            match self.attempt(refused).await {
                Err(TokenError::TryLater {
                    retry_after,
                    status,
                }) if attempt < ATTEMPTS && retry_after <= LONGEST_WAIT => {
                    let asked = answer::retry_delay(&status);
                    tokio::time::sleep(asked.unwrap_or_else(|| backoff.next())).await;
                    attempt += 1;
                }
                Err(TokenError::SignInAgain(why)) => {
                    self.held.store(None);
                    let Some(account) = &self.account else {
                        return Err(TokenError::SignInAgain(why));
                    };
                    return self.sign_in(account).await;
                }
                result => return result,
            }
        }
    }

    /// Begins a refresh or goes on with the one that was begun, by whichever task, process
    /// or life of this process; or takes over what another of them has got.
    async fn attempt(&self, refused: Option<&AccessToken>) -> Result<Arc<Held>, TokenError> {
        let Some(id) = request_id() else {
            return Err(TokenError::of(Status::internal("no random bytes")));
        };
        let (refused, now) = (refused.cloned(), unix_seconds());
        let change = move |kept: Option<Tokens>| {
            kept.map(|tokens| {
                if held::is_good(&tokens, refused.as_ref()) {
                    tokens
                } else {
                    tokens.refreshing(id, now)
                }
            })
        };
        let Some(tokens) = self.update(change).await? else {
            return Err(TokenError::SignInAgain(self.why_nothing_is_kept()));
        };
        if tokens.request_id.is_none() {
            return Ok(self.hold(&tokens));
        }
        if self.held.load().is_none() {
            self.held.store(Some(Arc::new(Held::new(&tokens))));
        }
        self.unsure.store(true, Ordering::Relaxed);
        let answer = self.calls.refresh(&tokens).await;
        let is_unsure = matches!(answer, Err(TokenError::TryLater { .. }));
        self.unsure.store(is_unsure, Ordering::Relaxed);
        match answer {
            Ok(next) => {
                let kept = self.succeed(tokens, next).await;
                // Nobody has the successor then: it is asked for again.
                let is_lost = matches!(kept, Err(TokenError::Store(_)));
                self.unsure.store(is_lost, Ordering::Relaxed);
                kept
            }
            Err(TokenError::SignInAgain(why)) => self.end(tokens, why).await,
            Err(error) => Err(error),
        }
    }

    /// Stores the successor, where no other process has stored it or a later one.
    async fn succeed(&self, used: Tokens, next: Tokens) -> Result<Arc<Held>, TokenError> {
        let change = move |kept: Option<Tokens>| {
            kept.map(|kept| if is_same(&kept, &used) { next } else { kept })
        };
        match self.update(change).await? {
            Some(tokens) => Ok(self.hold(&tokens)),
            None => Err(TokenError::SignInAgain(SignInAgain::NotSignedIn)),
        }
    }

    /// Forgets tokens whose session has ended, unless others have taken their place.
    async fn end(&self, used: Tokens, why: SignInAgain) -> Result<Arc<Held>, TokenError> {
        let change = move |kept: Option<Tokens>| kept.filter(|kept| !is_same(kept, &used));
        match self.update(change).await? {
            Some(others) if held::is_good(&others, None) => Ok(self.hold(&others)),
            Some(_) => Err(TokenError::of(Status::aborted("the tokens were replaced"))),
            None => Err(TokenError::SignInAgain(why)),
        }
    }

    pub(super) async fn sign_in(&self, account: &Account) -> Result<Arc<Held>, TokenError> {
        let asked_at = unix_seconds();
        let pair = self.calls.authenticate(account).await?;
        self.keep(pair, asked_at).await
    }

    pub(super) async fn keep(
        &self,
        pair: v1::TokenPair,
        asked_at: i64,
    ) -> Result<Arc<Held>, TokenError> {
        let tokens = calls::tokens_of(Some(pair), asked_at)?;
        let kept = tokens.clone();
        self.update(move |_| Some(kept)).await?;
        Ok(self.hold(&tokens))
    }

    pub(super) async fn log_out(&self) -> Result<(), TokenError> {
        if let Some(tokens) = self.update(|kept| kept).await? {
            self.calls.log_out(&tokens).await?;
            self.update(|_| None).await?;
        }
        self.note(TokenError::SignInAgain(SignInAgain::NotSignedIn));
        Ok(())
    }

    async fn update(
        &self,
        change: impl FnOnce(Option<Tokens>) -> Option<Tokens> + Send + 'static,
    ) -> Result<Option<Tokens>, TokenError> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || store.update(Box::new(change)))
            .await
            .unwrap_or_else(|_| Err(std::io::Error::other("the store panicked")))
            .map_err(TokenError::from)
    }

    fn hold(&self, tokens: &Tokens) -> Arc<Held> {
        let held = Arc::new(Held::new(tokens));
        self.held.store(Some(held.clone()));
        if let Ok(mut failure) = self.failure.lock() {
            *failure = None;
        }
        held
    }

    fn note(&self, error: TokenError) {
        if matches!(error, TokenError::SignInAgain(_)) {
            self.held.store(None);
        }
        let at = Moment::now();
        if let Ok(mut failure) = self.failure.lock() {
            *failure = Some(Failure { error, at });
        }
    }

    /// The failure that nobody should repeat yet.
    pub(super) fn recent_failure(&self) -> Option<TokenError> {
        let failure = self.failure.lock().ok()?;
        let failure = failure.as_ref()?;
        (failure.at.elapsed() < failure.error.pause()).then(|| failure.error.clone())
    }

    /// Why a store is empty: the verdict that emptied it, where this source got it.
    fn why_nothing_is_kept(&self) -> SignInAgain {
        let failure = self.failure.lock().ok();
        match failure.as_ref().and_then(|failure| failure.as_ref()) {
            Some(Failure {
                error: TokenError::SignInAgain(why),
                ..
            }) => why.clone(),
            _ => SignInAgain::NotSignedIn,
        }
    }
}

fn is_same(kept: &Tokens, used: &Tokens) -> bool {
    kept.refresh_token == used.refresh_token
}
