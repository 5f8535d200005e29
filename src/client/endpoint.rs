//! Where Rollcall is, and the calls to it.

use std::{error::Error, time::Duration};

use tokio::time::timeout;
use tonic::{
    Response, Status,
    transport::{Channel, Endpoint},
};

use super::tls::{Tls, TlsError};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often to ask whether the other end of a silent connection is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long its answer may take.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// An address that is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It cannot be parsed.
    #[error("the address of Rollcall is not a URL such as `https://id.example.com:8443`")]
    Malformed(#[source] Box<dyn Error + Send + Sync>),
    /// The system has no authorities to trust.
    #[error("the system has no authorities to trust: name some by `Tls::ca_file`")]
    NoRoots(#[source] tonic::transport::Error),
    /// The certificates for it cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// It does not say how to connect.
    #[error(
        "the address `{0}` of Rollcall has no scheme: `https://{0}`, or `http://{0}` without TLS"
    )]
    NoScheme(String),
}

/// Where Rollcall is, and how to speak TLS with it.
#[derive(Debug)]
pub(super) struct Address {
    endpoint: Result<Endpoint, AddressError>,
    tls: Option<Tls>,
}

impl Address {
    /// Of a URL or of an endpoint; what is wrong with it is said later.
    pub(super) fn new<D>(address: D) -> Self
    where
        D: TryInto<Endpoint>,
        D::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let endpoint = address.try_into();
        Self {
            endpoint: endpoint.map_err(|error| AddressError::Malformed(error.into())),
            tls: None,
        }
    }

    pub(super) fn set_tls(&mut self, tls: Tls) {
        self.tls = Some(tls);
    }

    /// The endpoint. What breaks a connection is noticed on it: by pings while nothing is
    /// under way, and by a limit for connecting.
    pub(super) fn endpoint(self) -> Result<Endpoint, AddressError> {
        let endpoint = self.endpoint?;
        if endpoint.uri().scheme().is_none() {
            let address = endpoint.uri().to_string();
            return Err(AddressError::NoScheme(address));
        }
        let endpoint = match self.tls {
            Some(tls) => tls.apply(endpoint)?,
            // With `https` it trusts the system's authorities, unless it has TLS already.
            None => Endpoint::new(endpoint).map_err(AddressError::NoRoots)?,
        };
        let connect_timeout = endpoint.get_connect_timeout().unwrap_or(CONNECT_TIMEOUT);
        Ok(endpoint
            .connect_timeout(connect_timeout)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true))
    }
}

/// An endpoint of a URL, for clients within this crate.
#[cfg(feature = "server")]
pub(crate) fn endpoint(address: String) -> Result<Endpoint, AddressError> {
    Address::new(address).endpoint()
}

/// A connection that is made when it is needed, and again when it broke.
pub(super) fn channel(endpoint: &Endpoint) -> Channel {
    endpoint.connect_lazy()
}

/// The answer to a call, if it comes within the limit.
pub(super) async fn in_time<T>(
    limit: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    match timeout(limit, call).await {
        Ok(reply) => Ok(reply?.into_inner()),
        Err(_) => Err(late()),
    }
}

/// The error of whoever has waited for long enough.
pub(super) fn late() -> Status {
    Status::deadline_exceeded("no answer in time")
}
