//! Health (grpc.health.v1). `""` is liveness: the process was ready once, and answers.
//! Each service by name is readiness: the database can be asked.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{Mutex, watch};
use tonic::server::NamedService;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health as HealthRpc, HealthServer},
    server::{HealthReporter, health_reporter},
};

use crate::{
    grpc::{
        AuditService, AuthService, KeyAdminService, SessionAdminService, UserAdminService,
        VerificationService,
    },
    metrics::Metrics,
    proto::v1::{
        audit_server::AuditServer, auth_server::AuthServer, key_admin_server::KeyAdminServer,
        session_admin_server::SessionAdminServer, user_admin_server::UserAdminServer,
        verification_server::VerificationServer,
    },
};

/// The services that need the database.
pub(super) const SERVICES: [&str; 6] = [
    <AuthServer<AuthService> as NamedService>::NAME,
    <SessionAdminServer<SessionAdminService> as NamedService>::NAME,
    <UserAdminServer<UserAdminService> as NamedService>::NAME,
    <VerificationServer<VerificationService> as NamedService>::NAME,
    <KeyAdminServer<KeyAdminService> as NamedService>::NAME,
    <AuditServer<AuditService> as NamedService>::NAME,
];

/// Whether the services can be called at all. Once true it stays true: a database that
/// is gone for a moment fails the calls that need it, not all.
#[derive(Clone, Debug, Default)]
pub(super) struct Readiness(Arc<watch::Sender<bool>>);

impl Readiness {
    pub(super) fn is_ready(&self) -> bool {
        *self.0.borrow()
    }

    /// Completes when the services can be called.
    pub(super) async fn wait(&self) {
        // It fails when the sender is gone, which this is.
        let _ = self.0.subscribe().wait_for(|ready| *ready).await;
    }
}

/// Whether health says at this moment that the services answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Serving(Arc<AtomicBool>);

impl Serving {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the health service reports.
pub(super) struct Health {
    readiness: Readiness,
    serving: Serving,
    metrics: Metrics,
    reporter: HealthReporter,
    // Once stopped, nothing turns back to SERVING.
    stopped: Mutex<bool>,
}

impl Health {
    /// Everything NOT_SERVING, `""` too.
    pub(super) async fn new(
        readiness: Readiness,
        metrics: Metrics,
    ) -> (Self, HealthServer<impl HealthRpc>) {
        let (reporter, service) = health_reporter();
        let health = Self {
            readiness,
            serving: Serving::default(),
            metrics,
            reporter,
            stopped: Mutex::new(false),
        };
        health.report("", false).await;
        health.set_database(false).await;
        (health, service)
    }

    pub(super) fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    pub(super) fn serving(&self) -> Serving {
        self.serving.clone()
    }

    /// Migrations, keys and pool are ready.
    pub(super) async fn set_ready(&self) {
        self.readiness.0.send_replace(true);
        let stopped = self.stopped.lock().await;
        if !*stopped {
            self.report("", true).await;
        }
    }

    /// Whether the database can be asked.
    pub(super) async fn set_database(&self, reachable: bool) {
        self.metrics.pool().set_up(reachable);
        let stopped = self.stopped.lock().await;
        if !*stopped {
            self.report_services(reachable).await;
        }
    }

    /// NOT_SERVING for good: no new calls should come.
    pub(super) async fn stop(&self) {
        let mut stopped = self.stopped.lock().await;
        *stopped = true;
        self.report_services(false).await;
        self.report("", false).await;
    }

    /// Ends the streams of those who watch, which would hold up the drain.
    pub(super) async fn end_watches(&self) {
        let mut reporter = self.reporter.clone();
        for service in SERVICES.into_iter().chain([""]) {
            reporter.clear_service_status(service).await;
        }
    }

    async fn report_services(&self, serving: bool) {
        self.serving.0.store(serving, Ordering::Relaxed);
        self.metrics.set_ready(serving);
        for service in SERVICES {
            self.report(service, serving).await;
        }
    }

    async fn report(&self, service: &str, serving: bool) {
        let status = if serving {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        self.reporter.set_service_status(service, status).await;
    }
}
