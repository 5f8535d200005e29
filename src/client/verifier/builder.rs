//! Describing a verifier, and beginning.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::timeout};
use tonic::transport::Endpoint;

use super::{
    ConnectError, Verifier, VerifyError, WhenStale,
    feed::{Broken, Feed},
    keys::Keys,
    shared::Shared,
};
use crate::{
    client::{
        endpoint::{Address, AddressError, channel},
        tls::Tls,
        token_source::{TokenError, TokenSource},
    },
    model::access_token::Invalid,
    proto::v1,
};

/// How old what is known may be by default.
const MAX_STALENESS: Duration = Duration::from_secs(15);
/// How long after its `exp` a token may be taken at most.
const MAX_LEEWAY: Duration = Duration::from_secs(60);
/// How long beginning may take by default.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a question that a request waits for may take by default.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);
/// As which application a verifier signs in.
const CLIENT_ID: &str = "rollcall-verifier";

/// What a [`Verifier`] is to be.
pub struct VerifierBuilder {
    address: Address,
    issuer: Option<String>,
    audience: Option<String>,
    account: Option<Account>,
    when_stale: WhenStale,
    max_staleness: Duration,
    leeway: Duration,
    connect_timeout: Duration,
    ask_timeout: Duration,
}

/// Whose access token opens the feed.
enum Account {
    Source(TokenSource),
    Login(String, zeroize::Zeroizing<String>),
}

impl VerifierBuilder {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            issuer: None,
            audience: None,
            account: None,
            when_stale: WhenStale::default(),
            max_staleness: MAX_STALENESS,
            leeway: Duration::ZERO,
            connect_timeout: CONNECT_TIMEOUT,
            ask_timeout: ASK_TIMEOUT,
        }
    }

    /// Takes only tokens that this issuer issued: the server's `--issuer`. Required.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Takes only tokens for this audience: the server's `--audience`. Required.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Signs in with the account of the service, which has the role `service`. This or
    /// [`VerifierBuilder::token_source`] is required.
    ///
    /// Each start opens a session of its own, and that of an earlier start expires by
    /// itself. To replace it instead, give a [`VerifierBuilder::token_source`] whose
    /// account names a `device_id`.
    #[must_use]
    pub fn sign_in(mut self, login: &str, password: &str) -> Self {
        let password = zeroize::Zeroizing::new(password.to_owned());
        self.account = Some(Account::Login(login.to_owned(), password));
        self
    }

    /// Uses the access tokens of a source that the service has already.
    #[must_use]
    pub fn token_source(mut self, source: TokenSource) -> Self {
        self.account = Some(Account::Source(source));
        self
    }

    /// Speaks TLS this way; the address must be an `https` one. Default: the system's
    /// authorities, or what the endpoint says.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.address.set_tls(tls);
        self
    }

    /// What to do while the feed is stale. Default: [`WhenStale::Refuse`].
    #[must_use]
    pub fn when_stale(mut self, when_stale: WhenStale) -> Self {
        self.when_stale = when_stale;
        self
    }

    /// From when on the feed counts as stale. Default: 15 s. The feed is opened anew after
    /// half of it in silence, and the server gives a sign of life after 5 s of silence: let
    /// it be 12 s or more, or the feed breaks for nothing.
    #[must_use]
    pub fn max_staleness(mut self, max_staleness: Duration) -> Self {
        self.max_staleness = max_staleness;
        self
    }

    /// How long after its `exp` a token is still taken, in whole seconds. Default: none; 60 s
    /// at most, for which Rollcall tells revocations longer than a token lives.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway.min(MAX_LEEWAY);
        self
    }

    /// How long [`VerifierBuilder::connect`] may take. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long Rollcall may take to answer while a request waits: to introspect its token, with
    /// [`WhenStale::Introspect`], or to renew it, behind a layer that does. Default: 2 s. Then
    /// the request is refused as one whose token cannot be checked at the moment.
    #[must_use]
    pub fn ask_timeout(mut self, limit: Duration) -> Self {
        self.ask_timeout = limit;
        self
    }

    /// Signs in, fetches the keys, checks that the server issues what is to be taken, and
    /// waits for the known revocations. From then on the verifier works from memory.
    ///
    /// # Errors
    ///
    /// What is wrong, in a sentence: the address, the account, its role, the issuer, the
    /// audience.
    pub async fn connect(self) -> Result<Verifier, ConnectError> {
        let endpoint = self.address.endpoint()?;
        let address = endpoint.uri().to_string();
        let address = address.trim_end_matches('/').to_owned();
        let issuer = self.issuer.ok_or(ConnectError::Missing("`.issuer(..)`"))?;
        let audience = self
            .audience
            .ok_or(ConnectError::Missing("`.audience(..)`"))?;
        let account = self
            .account
            .ok_or(ConnectError::Missing("an account: `.sign_in(..)`"))?;
        let channel = channel(&endpoint);
        let keys = Keys::new(channel.clone());
        let shared = Shared::new(issuer, audience, self.leeway, self.max_staleness, keys);
        let shared = Arc::new(shared);
        let tokens = account.source(&endpoint)?;
        let limit = self.connect_timeout;
        let feed = Feed::new(shared.clone(), endpoint, tokens.clone(), limit);
        let beginning = begin(&shared, &address, feed);
        let begun = timeout(limit, beginning).await;
        let tasks = begun.unwrap_or(Err(ConnectError::TimedOut { address, limit }))?;
        Ok(Verifier {
            shared,
            when_stale: self.when_stale,
            ask_timeout: self.ask_timeout,
            channel,
            tokens,
            _tasks: Arc::new(tasks),
        })
    }
}

impl fmt::Debug for VerifierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifierBuilder")
            .field("address", &self.address)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("when_stale", &self.when_stale)
            .field("max_staleness", &self.max_staleness)
            .field("leeway", &self.leeway)
            .field("connect_timeout", &self.connect_timeout)
            .field("ask_timeout", &self.ask_timeout)
            .finish_non_exhaustive()
    }
}

impl Account {
    fn source(self, endpoint: &Endpoint) -> Result<TokenSource, AddressError> {
        match self {
            Self::Source(source) => Ok(source),
            Self::Login(login, password) => {
                let device = v1::Device {
                    client_id: CLIENT_ID.to_owned(),
                    ..v1::Device::default()
                };
                TokenSource::builder(endpoint.clone())
                    .account(&login, &password, device)
                    .build()
            }
        }
    }
}

/// Makes a verifier know what it needs to, and starts what keeps it up to date.
async fn begin(
    shared: &Arc<Shared>,
    address: &str,
    mut feed: Feed,
) -> Result<JoinSet<()>, ConnectError> {
    let of_sign_in = |error: TokenError| ConnectError::of_sign_in(address, error);
    let token = feed.tokens.access_token().await.map_err(of_sign_in)?;
    let fetched = shared.keys.fetch_first().await;
    fetched.map_err(|status| ConnectError::of(address, status))?;
    check_own(shared, address, token.expose())?;
    let stream = feed.open().await.map_err(|broken| match broken {
        Broken::Token(error) => of_sign_in(error),
        Broken::Status(status) => ConnectError::of(address, *status),
        Broken::Silent => ConnectError::TimedOut {
            address: address.to_owned(),
            limit: feed.silence,
        },
    })?;

    let mut tasks = JoinSet::new();
    tasks.spawn(feed.run(stream));
    let keys = shared.clone();
    tasks.spawn(async move { keys.keys.keep_fresh().await });
    Ok(tasks)
}

/// Checks the verifier's own token as any other: this shows at once whether what is to be
/// taken is what this server issues.
fn check_own(shared: &Shared, address: &str, token: &str) -> Result<(), ConnectError> {
    let address = address.to_owned();
    match shared.judge(token) {
        Ok(_) => Ok(()),
        Err(VerifyError::Invalid(Invalid::Issuer { found, expected })) => {
            Err(ConnectError::Issuer {
                address,
                expected,
                found,
            })
        }
        Err(VerifyError::Invalid(Invalid::Audience { found, expected })) => {
            Err(ConnectError::Audience {
                address,
                expected,
                found,
            })
        }
        Err(VerifyError::Expired(_)) => Err(ConnectError::Clock { address }),
        Err(why) => Err(ConnectError::OwnToken { address, why }),
    }
}
