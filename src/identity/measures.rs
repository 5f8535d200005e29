//! What the flows count: how sign-ins and refreshes end, and what the operations port asks.

use super::{Error, Granted, Identity, RateLimit, password::HashError};
use crate::{
    metrics::{self, RefreshVerdict, SignInOutcome, Stream, TheftKind},
    model::{session::EndReason, verdict::Reuse},
};

impl Identity {
    /// Takes down what is only looked at: connections, the hashing queue, watchers.
    pub fn sample(&self) {
        let metrics = &self.0.metrics;
        metrics.pool().set_use(self.0.pool.connections());
        self.0.hasher.sample();
        let watchers = self.0.feed.watchers();
        metrics.feed().set_watchers(Stream::Revocations, watchers);
        let watchers = self.0.event_watches.count();
        metrics.feed().set_watchers(Stream::AuditEvents, watchers);
    }

    /// Says that sessions were ended: to the metrics, and to the feed.
    pub(super) fn ended(&self, reason: EndReason, number: usize) {
        let sessions = self.0.metrics.sessions();
        sessions.ended(reason.as_str(), number);
        self.0.feed.wake();
    }

    /// Counts a session that was ended because its token was reused, if that is why.
    pub(super) fn count_theft(&self, reuse: Option<Reuse>) {
        let kind = match reuse {
            None => return,
            Some(Reuse::Late) => TheftKind::Late,
            Some(Reuse::Fork) => TheftKind::Fork,
            Some(Reuse::Ancestor) => TheftKind::Ancestor,
            Some(Reuse::ForkAcrossLostCommit) => TheftKind::ForkAcrossLostCommit,
        };
        self.0.metrics.sessions().theft(kind);
    }

    /// Counts a refresh or renewal that was refused, and makes an error of one of no session;
    /// one that was not is counted where it is known whether it was a repetition.
    pub(super) fn count_refusal(
        &self,
        result: Result<Option<Granted>, Error>,
        unknown: Error,
    ) -> Result<Granted, Error> {
        let (verdict, error) = match result {
            Ok(Some(granted)) => return Ok(granted),
            Ok(None) => (RefreshVerdict::Unknown, unknown),
            Err(error) => (verdict(&error), error),
        };
        self.0.metrics.sessions().refreshed(verdict);
        Err(error)
    }

    /// Counts a call that a limit refused, if it did.
    pub(super) fn count_limited(
        &self,
        limit: RateLimit,
        taken: Result<(), Error>,
    ) -> Result<(), Error> {
        if taken.is_err() {
            let limit = match limit {
                RateLimit::Login => metrics::RateLimit::Login,
                RateLimit::Address => metrics::RateLimit::Address,
            };
            self.0.metrics.sessions().limited(limit);
        }
        taken
    }

    /// Counts a sign-in.
    pub(super) fn count_sign_in<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        let outcome = match &result {
            Ok(_) => SignInOutcome::SignedIn,
            // What a caller hears who is not known.
            Err(Error::InvalidCredentials | Error::CallerNotAllowed) => {
                SignInOutcome::InvalidCredentials
            }
            Err(Error::RateLimited { .. }) => SignInOutcome::Limited,
            Err(Error::SessionLimitReached(_)) => SignInOutcome::Full,
            Err(Error::Hash(HashError::Busy)) => SignInOutcome::Busy,
            Err(_) => SignInOutcome::Failed,
        };
        self.0.metrics.sessions().signed_in(outcome);
        result
    }
}

fn verdict(error: &Error) -> RefreshVerdict {
    match error {
        Error::RefreshTokenReused => RefreshVerdict::Reused,
        Error::SessionEnded(_) => RefreshVerdict::Ended,
        Error::RefreshTokenInvalid | Error::AccessTokenInvalid => RefreshVerdict::Invalid,
        Error::RefreshedTooOften { .. } => RefreshVerdict::TooOften,
        Error::SessionBindingBroken => RefreshVerdict::BindingBroken,
        Error::RequestIdRepeated => RefreshVerdict::RequestIdRepeated,
        Error::GenerationAhead => RefreshVerdict::Ahead,
        _ => RefreshVerdict::Failed,
    }
}
