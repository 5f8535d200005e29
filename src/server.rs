//! The composition root: listener, pool, keys, layers, health, drain.

mod call;
mod callers;
mod health;
mod listen;
mod methods;
mod opening;
mod operations;
mod startup;
mod tls;
mod well_known;

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use tonic::transport::server::Router;

use crate::{
    config::{ListenAddress, Serve},
    grpc::{
        AuditService, AuthService, KeyAdminService, SessionAdminService, UserAdminService,
        VerificationService,
    },
    identity::{self, Identity, password::PasswordHasher},
    metrics::Metrics,
    proto::{
        self,
        v1::{
            audit_server::AuditServer, auth_server::AuthServer, key_admin_server::KeyAdminServer,
            session_admin_server::SessionAdminServer, user_admin_server::UserAdminServer,
            verification_server::VerificationServer,
        },
    },
    store::{self, Pool},
};
use call::CallLayer;
use callers::CallersLayer;
use health::{Health, Readiness};
use listen::Listener;
use operations::Operations;
use tls::Tls;
use tower::layer::util::Stack;
use well_known::WellKnownLayer;

pub use tls::TlsError;

/// The largest message that is read, in bytes: many times what any request needs.
const MAX_MESSAGE: usize = 64 * 1024;
/// The largest header list that is read, in bytes.
const MAX_HEADERS: u32 = 16 * 1024;
/// How many streams that a peer reset may wait to be accepted (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 32;
/// How many streams may be reset for a peer's errors before its connection ends.
const MAX_ERROR_RESETS: usize = 128;
/// For how long a connection on which a client showed a certificate is used: then it is asked
/// to open another. What is under way on the old one goes on.
const MUTUAL_AGE: Duration = Duration::from_secs(60 * 60);

/// Why the server did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration does not make sense.
    #[error("the configuration is invalid")]
    Config(#[from] crate::config::Error),
    /// The files of TLS cannot be used.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: ListenAddress,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Passwords cannot be hashed this way.
    #[error("password hashing cannot start")]
    Hasher(#[source] identity::password::HashingOptionsError),
    /// The database cannot be used.
    #[error("the database cannot be used")]
    Store(#[from] store::Error),
    /// The schema is older than this release.
    #[error("the schema lacks {}: run `rollcall migrate`", .0.join(", "))]
    OldSchema(Vec<String>),
    /// The signing keys cannot be used.
    #[error("the signing keys cannot be loaded")]
    Keys(#[source] identity::Error),
    /// The revocations cannot be read.
    #[error("the revocations cannot be loaded")]
    Revocations(#[source] identity::Error),
    /// The reflection service cannot be built.
    #[error("reflection cannot start")]
    Reflection(#[source] tonic_reflection::server::Error),
    /// The transport ended.
    #[error("the transport failed")]
    Transport(#[from] tonic::transport::Error),
}

/// A server that listens and is about to answer.
pub struct Server {
    config: Serve,
    listener: Listener,
    tls: Option<Arc<Tls>>,
    operations: Option<Operations>,
    identity: Identity,
    readiness: Readiness,
}

impl Server {
    /// Checks the configuration and binds the listener and the operations port. The database is not asked yet.
    ///
    /// # Errors
    ///
    /// When the configuration does not make sense, the files of TLS cannot be used or an
    /// address is taken.
    pub async fn bind(config: Serve) -> Result<Self, Error> {
        config.validate()?;
        let identity = identity(&config)?;
        let load = |files| Tls::load(files, identity.metrics().keys().clone());
        let tls = config.tls.files().map(load).transpose()?.map(Arc::new);
        let listener = Listener::bind(&config.listen.address, tls.clone())
            .await
            .map_err(|source| Error::Listen {
                address: config.listen.address.clone(),
                source,
            })?;
        let operations = match config.operations.operations_listen {
            Some(address) => Some(bind_operations(address).await?),
            None => None,
        };
        Ok(Self {
            config,
            listener,
            tls,
            operations,
            identity,
            readiness: Readiness::default(),
        })
    }

    /// Where the server listens; with the real port where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        self.listener.address()
    }

    /// Where the operations port is; with the real port where 0 was asked for.
    #[must_use]
    pub fn operations_address(&self) -> Option<SocketAddr> {
        self.operations.as_ref().and_then(Operations::address)
    }

    /// The flows that the server answers with.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Completes once calls are answered, by [`Server::run`].
    pub fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let readiness = self.readiness.clone();
        async move { readiness.wait().await }
    }

    /// Answers until `shutdown` completes; then says NOT_SERVING, pauses, and drains.
    /// Health is answered at once, the rest once the database is ready.
    ///
    /// # Errors
    ///
    /// When the database cannot be made ready by waiting.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let metrics = self.identity.metrics().clone();
        let (health, health_service) = Health::new(self.readiness.clone(), metrics).await;
        let health_service = health_service.max_decoding_message_size(MAX_MESSAGE);
        let router = self.router(&health)?.add_service(health_service);
        let pause = *self.config.listen.drain_pause;
        let limit = *self.config.listen.drain_limit;
        tracing::info!(address = %self.listener.address(), "listening");
        if self.listener.can_be_overheard() {
            tracing::warn!("without --tls-certificate, passwords and tokens come in the clear");
        }
        let identity = self.identity.clone();
        let operations = self
            .operations
            .map(|port| port.start(identity, health.serving()));

        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let silence = *self.config.listen.keepalive_timeout;
        let mut serving = Box::pin(self.listener.serve(router, silence, async {
            let _ = stopped.await;
        }));
        let ready = Box::pin(startup::run(&self.config, &self.identity, &health));
        tokio::select! {
            // Startup goes on as the watch over the database and ends only in failure.
            Err(error) = ready => return Err(error),
            result = &mut serving => return Ok(result?),
            () = shutdown => {}
        }

        tracing::info!("shutting down");
        health.stop().await;
        // At once: nothing follows the database from here on, and another replica does.
        self.identity.end_watches();
        let drained = async {
            tokio::time::sleep(pause).await;
            health.end_watches().await;
            let _ = stop.send(());
        };
        let finished = tokio::time::timeout(pause + limit, async {
            tokio::join!(&mut serving, drained).0
        });
        match finished.await {
            Ok(result) => result?,
            Err(_) => tracing::warn!("calls were still under way at the drain limit"),
        }
        if let Some(operations) = operations {
            operations.end().await;
        }
        tracing::info!("stopped");
        Ok(())
    }

    fn router(&self, health: &Health) -> Result<Router<CallStack>, Error> {
        let listen = &self.config.listen;
        let call = CallLayer::new(
            Arc::new(listen.trusted_proxies.clone()),
            health.readiness(),
            *listen.request_timeout,
            self.identity.metrics().calls().clone(),
        );
        let v1 = reflection().build_v1().map_err(Error::Reflection)?;
        let v1alpha = reflection().build_v1alpha().map_err(Error::Reflection)?;
        let identity = &self.identity;
        let tls = self.tls.clone();
        let callers = CallersLayer::new(&self.config.callers, identity, tls);
        let mut server = tonic::transport::Server::builder();
        if self.config.tls.tls_client_ca.is_some() {
            server = server.max_connection_age(MUTUAL_AGE);
        }
        Ok(server
            .max_concurrent_streams(listen.max_concurrent_streams)
            .http2_max_header_list_size(MAX_HEADERS)
            .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
            .http2_max_local_error_reset_streams(Some(MAX_ERROR_RESETS))
            .http2_keepalive_interval(Some(*listen.keepalive_interval))
            .http2_keepalive_timeout(Some(*listen.keepalive_timeout))
            // JWT middleware and proxies fetch the keys by HTTP/1.1.
            .accept_http1(true)
            .layer(call)
            .layer(WellKnownLayer(self.identity.clone()))
            .layer(callers)
            .add_service(
                AuthServer::new(AuthService::new(identity.clone()))
                    .max_decoding_message_size(MAX_MESSAGE),
            )
            .add_service(
                SessionAdminServer::new(SessionAdminService::new(identity.clone()))
                    .max_decoding_message_size(MAX_MESSAGE),
            )
            .add_service(
                UserAdminServer::new(UserAdminService::new(identity.clone()))
                    .max_decoding_message_size(MAX_MESSAGE),
            )
            .add_service(
                KeyAdminServer::new(KeyAdminService::new(identity.clone()))
                    .max_decoding_message_size(MAX_MESSAGE),
            )
            .add_service(
                AuditServer::new(AuditService::new(identity.clone()))
                    .max_decoding_message_size(MAX_MESSAGE),
            )
            .add_service(
                VerificationServer::new(VerificationService::new(identity.clone()))
                    .max_decoding_message_size(MAX_MESSAGE),
            )
            .add_service(v1.max_decoding_message_size(MAX_MESSAGE))
            .add_service(v1alpha.max_decoding_message_size(MAX_MESSAGE)))
    }
}

type CallStack =
    Stack<CallersLayer, Stack<WellKnownLayer, Stack<CallLayer, tower::layer::util::Identity>>>;

fn identity(config: &Serve) -> Result<Identity, Error> {
    let pool = Pool::new(&config.database.database_url, &config.connections.pool())?;
    let hasher = PasswordHasher::new(config.password.hashing()).map_err(Error::Hasher)?;
    let master_keys = config.master_key.load()?;
    let metrics = Metrics::new(methods::all());
    Ok(Identity::new(
        config.settings(),
        pool,
        hasher,
        &master_keys,
        metrics,
    ))
}

async fn bind_operations(address: SocketAddr) -> Result<Operations, Error> {
    let bound = Operations::bind(address).await;
    let operations = bound.map_err(|source| Error::Listen {
        address: ListenAddress::Tcp(address),
        source,
    })?;
    if let Some(address) = operations.address() {
        tracing::info!(%address, "operations port listening");
    }
    Ok(operations)
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
}
