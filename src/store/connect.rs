//! Opening one connection: which host, which encryption, which role.

use std::{error::Error as StdError, fmt, time::Duration};

use diesel::{ConnectionError, QueryableByName, sql_types::Bool};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use thiserror::Error;
use tokio_postgres::config::{LoadBalanceHosts, SslMode as Encryption};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{
    database_url::{DatabaseUrl, Host, TargetSession},
    retry::random,
    tls::{self, SslMode, TlsError},
};

/// Opens connections to what a [`DatabaseUrl`] says.
pub(super) struct Connector {
    hosts: Vec<Host>,
    config: tokio_postgres::Config,
    mode: SslMode,
    target: TargetSession,
    pub(super) tls: MakeRustlsConnect,
    /// What one host gets before the next is tried.
    pub(super) host_limit: Duration,
}

/// No host could be used; shows what became of each attempt.
#[derive(Debug)]
pub(super) struct ConnectError(Vec<Failure>);

#[derive(Debug)]
struct Failure {
    host: Host,
    encryption: Encryption,
    error: AttemptError,
}

#[derive(Debug, Error)]
enum AttemptError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Connect(tokio_postgres::Error),
    #[error(transparent)]
    Setup(ConnectionError),
    #[error(transparent)]
    Role(diesel::result::Error),
    #[error("the server is not what target_session_attrs asks for")]
    OtherRole,
}

impl Connector {
    /// Reads the files for TLS. A statement may take `statement_timeout` (zero: as long
    /// as it likes), and a transaction may idle as long; connecting takes `limit` at
    /// most, all hosts together.
    pub(super) fn new(
        url: &DatabaseUrl,
        statement_timeout: Duration,
        limit: Duration,
    ) -> Result<Self, TlsError> {
        let mut config = url.config.clone();
        let timeout = statement_timeout.as_millis();
        let given = config.get_options().unwrap_or_default();
        // The last one counts: what the address says, but for the isolation, on which the
        // statements rely to look again after a lock.
        config.options(format!(
            "-c statement_timeout={timeout} -c idle_in_transaction_session_timeout={timeout} \
             {given} -c default_transaction_isolation=read\\ committed"
        ));
        let hosts = u32::try_from(url.hosts.len()).unwrap_or(u32::MAX);
        let share = limit / hosts;
        Ok(Self {
            hosts: url.hosts.clone(),
            host_limit: config
                .get_connect_timeout()
                .copied()
                .unwrap_or(share)
                .min(share),
            config,
            mode: url.tls.mode,
            target: url.target,
            tls: tls::connector(&url.tls)?,
        })
    }

    /// Connects to the first host that answers and is what is asked for.
    pub(super) async fn connect(&self) -> Result<AsyncPgConnection, ConnectError> {
        let mut hosts = self.hosts.clone();
        if self.config.get_load_balance_hosts() == LoadBalanceHosts::Random {
            hosts.sort_by_cached_key(|_| random());
        }
        let passes: &[TargetSession] = match self.target {
            TargetSession::PreferStandby => &[TargetSession::Standby, TargetSession::Any],
            ref target => std::slice::from_ref(target),
        };
        let mut failures = Vec::new();
        for target in passes {
            for host in &hosts {
                match self.connect_host(host, *target).await {
                    Ok(connection) => return Ok(connection),
                    Err(attempts) => failures.extend(attempts),
                }
            }
        }
        Err(ConnectError(failures))
    }

    async fn connect_host(
        &self,
        host: &Host,
        target: TargetSession,
    ) -> Result<AsyncPgConnection, Vec<Failure>> {
        let mut failures = Vec::new();
        for &encryption in self.encryptions(host) {
            let attempt = self.attempt(host, encryption, target);
            let error = match tokio::time::timeout(self.host_limit, attempt).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => error,
                Err(_) => AttemptError::Timeout(self.host_limit),
            };
            let refused = matches!(error, AttemptError::Connect(_));
            failures.push(Failure {
                host: host.clone(),
                encryption,
                error,
            });
            if !refused {
                break;
            }
        }
        Err(failures)
    }

    /// The ways to try a host, one after the other.
    fn encryptions(&self, host: &Host) -> &'static [Encryption] {
        match self.mode {
            // Never TLS on a unix socket.
            _ if host.is_unix() => &[Encryption::Disable],
            SslMode::Disable => &[Encryption::Disable],
            SslMode::Allow => &[Encryption::Disable, Encryption::Require],
            SslMode::Prefer => &[Encryption::Prefer, Encryption::Disable],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Encryption::Require],
        }
    }

    async fn attempt(
        &self,
        host: &Host,
        encryption: Encryption,
        target: TargetSession,
    ) -> Result<AsyncPgConnection, AttemptError> {
        let mut config = self.config.clone();
        config.host(&host.name).port(host.port).ssl_mode(encryption);
        if let Some(address) = host.address {
            config.hostaddr(address);
        }
        let (client, connection) = config
            .connect(self.tls.clone())
            .await
            .map_err(AttemptError::Connect)?;
        let mut connection = AsyncPgConnection::try_from_client_and_connection(client, connection)
            .await
            .map_err(AttemptError::Setup)?;
        if target == TargetSession::Any || suits(&mut connection, target).await? {
            Ok(connection)
        } else {
            Err(AttemptError::OtherRole)
        }
    }
}

#[derive(QueryableByName)]
struct Role {
    #[diesel(sql_type = Bool)]
    standby: bool,
    #[diesel(sql_type = Bool)]
    read_only: bool,
}

async fn suits(
    connection: &mut AsyncPgConnection,
    target: TargetSession,
) -> Result<bool, AttemptError> {
    let role: Role = diesel::sql_query(
        "SELECT pg_is_in_recovery() AS standby, \
         current_setting('transaction_read_only')::bool AS read_only",
    )
    .get_result(connection)
    .await
    .map_err(AttemptError::Role)?;
    Ok(match target {
        TargetSession::Any | TargetSession::PreferStandby => true,
        TargetSession::ReadWrite => !role.read_only,
        TargetSession::ReadOnly => role.read_only,
        TargetSession::Primary => !role.standby,
        TargetSession::Standby => role.standby,
    })
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (
            index,
            Failure {
                host,
                encryption,
                error,
            },
        ) in self.0.iter().enumerate()
        {
            let separator = if index == 0 { "" } else { "; " };
            let with = if *encryption == Encryption::Disable {
                "without"
            } else {
                "with"
            };
            write!(f, "{separator}{host} {with} TLS: {error}")?;
            let mut source = error.source();
            while let Some(error) = source {
                write!(f, ": {error}")?;
                source = error.source();
            }
        }
        Ok(())
    }
}

/// Without sources: its Display has them, those of every host.
impl StdError for ConnectError {}

#[cfg(test)]
mod tests;
