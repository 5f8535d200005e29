//! Checks access tokens in memory.

mod builder;
mod error;
mod feed;
mod freshness;
mod keys;
mod revocations;
mod shared;

use std::{fmt, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::timeout};
use tonic::{Code, Status, transport::Channel};

use super::{
    endpoint::{in_time, late},
    token_source::{AccessToken, TokenError, TokenSource},
};
use crate::{
    error_chain,
    model::access_token::{Claims, Invalid},
    proto::v1::{self, auth_client::AuthClient, verification_client::VerificationClient},
};
use shared::Shared;

pub use builder::VerifierBuilder;
pub use error::{ConnectError, VerifyError};

/// What to do about good tokens while the revocations are not known, because the feed was
/// not heard for longer than [`VerifierBuilder::max_staleness`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenStale {
    /// Take none: safe, and as available as Rollcall.
    #[default]
    Refuse,
    /// Take them until they expire, as a service does that knows no revocations at all.
    AllowUntilExpiry,
    /// Ask Rollcall about each. Where it cannot be asked, or has not answered within
    /// [`VerifierBuilder::ask_timeout`], take none.
    Introspect,
}

/// Checks access tokens in memory, and keeps up with Rollcall in the background. Cheap to
/// clone; with the last clone its tasks end.
///
/// It needs an account with the role `service`. Everything that it knows stays in use while
/// Rollcall is away, keys without a limit, and revocations as [`WhenStale`] says.
///
/// A token is void at `exp` by the later of two clocks, this machine's and the database's,
/// which the feed tells; so a machine whose clock is slow takes no dead tokens.
#[derive(Clone)]
pub struct Verifier {
    shared: Arc<Shared>,
    when_stale: WhenStale,
    /// How long a question to Rollcall may take while a request waits for it.
    ask_timeout: Duration,
    channel: Channel,
    tokens: TokenSource,
    _tasks: Arc<JoinSet<()>>,
}

impl Verifier {
    /// Begins to describe a verifier: of the Rollcall at `address`.
    pub fn builder<D>(address: D) -> VerifierBuilder
    where
        D: TryInto<tonic::transport::Endpoint>,
        D::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        VerifierBuilder::new(super::endpoint::Address::new(address))
    }

    /// Checks a token with what is known here: no I/O, no lock. The roles in the claims are
    /// those that the user has by now, as far as the feed told.
    ///
    /// Asks nobody: with [`WhenStale::Introspect`] it refuses while the feed is stale, and
    /// a key that is not known is only sent for. [`Verifier::check`] waits for both.
    ///
    /// # Errors
    ///
    /// Why the token is not to be taken.
    pub fn verify(&self, token: &str) -> Result<Claims, VerifyError> {
        let judged = self.shared.judge(token);
        if is_unknown_key(&judged) {
            self.shared.keys.want();
        }
        let claims = judged?;
        match self.when_stale {
            WhenStale::AllowUntilExpiry => {}
            WhenStale::Refuse | WhenStale::Introspect => self.refuse_stale()?,
        }
        Ok(claims)
    }

    /// Checks a token as [`Verifier::verify`] does, and asks Rollcall where that is needed:
    /// for a key that is not known yet, at most once in 5 s however many there are, and
    /// with [`WhenStale::Introspect`] while the feed is stale.
    ///
    /// # Errors
    ///
    /// Why the token is not to be taken.
    pub async fn check(&self, token: &str) -> Result<Claims, VerifyError> {
        let mut verdict = self.verify(token);
        if is_unknown_key(&verdict) {
            // In a task: a caller who hangs up would end the fetch for everybody.
            let shared = Arc::clone(&self.shared);
            let fetch = tokio::spawn(async move { shared.keys.fetch_if_due().await });
            let _ = fetch.await;
            verdict = self.verify(token);
        }
        match verdict {
            Err(VerifyError::Stale(_)) if self.when_stale == WhenStale::Introspect => {
                let claims = self.shared.judge(token)?;
                let asked = timeout(self.ask_timeout, self.introspect(token, claims)).await;
                asked.unwrap_or_else(|_| Err(VerifyError::Unavailable(late().into())))
            }
            verdict => verdict,
        }
    }

    /// How long ago the feed told everything up to some moment.
    #[must_use]
    pub fn staleness(&self) -> Duration {
        self.shared.freshness.staleness()
    }

    /// Whether that is longer than [`VerifierBuilder::max_staleness`].
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.shared.is_stale()
    }

    /// Refuses where every good token would be refused now.
    pub(super) fn refuse_if_stale(&self) -> Result<(), VerifyError> {
        match self.when_stale {
            WhenStale::Refuse => self.refuse_stale(),
            WhenStale::AllowUntilExpiry | WhenStale::Introspect => Ok(()),
        }
    }

    fn refuse_stale(&self) -> Result<(), VerifyError> {
        if self.is_stale() {
            return Err(VerifyError::Stale(self.staleness()));
        }
        Ok(())
    }

    /// Exchanges the token of a single-token session for its successor.
    pub(super) async fn renew(
        &self,
        request: v1::RenewRequest,
    ) -> Result<v1::RenewResponse, Status> {
        let mut auth = AuthClient::new(self.channel.clone());
        let renewal = async {
            // Rollcall may take calls from known services only; others need no token.
            let request = match self.tokens.access_token().await {
                Ok(own) => own.request(request),
                Err(_) => tonic::Request::new(request),
            };
            auth.renew(request).await
        };
        in_time(self.ask_timeout, renewal).await
    }

    async fn introspect(&self, token: &str, mut claims: Claims) -> Result<Claims, VerifyError> {
        let own = self.own_token(self.tokens.access_token().await)?;
        let answer = match self.ask(token, &own).await {
            Err(status) if status.code() == Code::Unauthenticated => {
                let own = self.own_token(self.tokens.replace(&own).await)?;
                self.ask(token, &own).await
            }
            answer => answer,
        };
        let answer = answer.map_err(|status| VerifyError::Unavailable(Box::new(status)))?;
        if !answer.active {
            return Err(VerifyError::Inactive);
        }
        claims.roles = answer.roles;
        Ok(claims)
    }

    fn own_token(
        &self,
        token: Result<AccessToken, TokenError>,
    ) -> Result<AccessToken, VerifyError> {
        token.map_err(|error| {
            let status = Status::unavailable(error_chain(&error));
            VerifyError::Unavailable(Box::new(status))
        })
    }

    async fn ask(&self, token: &str, own: &AccessToken) -> Result<v1::IntrospectResponse, Status> {
        let request = own.request(v1::IntrospectRequest {
            token: token.to_owned(),
        });
        let mut client = VerificationClient::new(self.channel.clone());
        Ok(client.introspect(request).await?.into_inner())
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("issuer", &self.shared.issuer)
            .field("audience", &self.shared.audience)
            .field("when_stale", &self.when_stale)
            .field("staleness", &self.staleness())
            .finish_non_exhaustive()
    }
}

fn is_unknown_key(verdict: &Result<Claims, VerifyError>) -> bool {
    matches!(verdict, Err(VerifyError::Invalid(Invalid::UnknownKey)))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::token_mode::TokenMode;

    /// Claims to change in tests.
    pub(super) fn claims() -> Claims {
        Claims {
            iss: "https://id.test".to_owned(),
            sub: Uuid::nil(),
            aud: "shop".to_owned(),
            client_id: "test".to_owned(),
            iat: 0,
            exp: i64::MAX,
            jti: "a token".to_owned(),
            sid: Uuid::nil(),
            generation: 0,
            auth_time: 0,
            amr: vec!["pwd".to_owned()],
            roles: Vec::new(),
            token_mode: TokenMode::Pair,
        }
    }
}
