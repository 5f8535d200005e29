//! TLS on the listener: a certificate that follows its files.

mod error;
mod handshakes;
mod material;

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, UnixTime},
};

pub use error::TlsError;
pub(super) use handshakes::shake_hands;
use material::{Contents, End, Material};

use crate::{
    config::TlsFiles,
    error_chain,
    metrics::{Certificate, KeyMetrics},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// From when on the end of a certificate is warned of, once a day.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// What the listener shows to new connections. Those that are open go on as they began.
pub(super) struct Tls {
    files: TlsFiles,
    current: ArcSwap<Material>,
    metrics: KeyMetrics,
}

/// What the watch over the files has said.
#[derive(Default)]
struct Said {
    /// The last error, and whether it was logged: by the second look, since the first may
    /// come between the writing of two files.
    refused: Option<(String, bool)>,
    /// When the end of the certificate was warned of.
    warned: Option<Instant>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Which file cannot be used, and why.
    pub(super) fn load(files: TlsFiles, metrics: KeyMetrics) -> Result<Self, TlsError> {
        let material = Material::new(&files, &Contents::read(&files)?, UnixTime::now())?;
        let tls = Self {
            files,
            current: ArcSwap::from_pointee(material),
            metrics,
        };
        tls.tell();
        Ok(tls)
    }

    /// What a new connection is to be greeted with.
    fn config(&self) -> Arc<ServerConfig> {
        self.current.load().config.clone()
    }

    /// Whether a client that showed these certificates, its own first, would be let in anew:
    /// they have not expired meanwhile, and their authority is still one.
    pub(super) fn would_admit(&self, chain: &[CertificateDer<'_>]) -> bool {
        let current = self.current.load();
        let (Some(clients), Some((own, rest))) = (&current.clients, chain.split_first()) else {
            return false;
        };
        let verified = clients
            .verifier
            .verify_client_cert(own, rest, UnixTime::now());
        verified.is_ok()
    }

    /// Takes up what changes in the files, for ever. What cannot be used changes nothing.
    pub(super) async fn follow(&self) -> Infallible {
        let mut said = Said::default();
        loop {
            self.warn_of_the_end(&mut said);
            tokio::time::sleep(self.files.reload_interval).await;
            self.look(&mut said).await;
        }
    }

    async fn look(&self, said: &mut Said) {
        let files = self.files.clone();
        // A file system may hang.
        let read = tokio::task::spawn_blocking(move || Contents::read(&files)).await;
        let Ok(read) = read else { return };
        let is_known = |contents: &Contents| contents.digest() == self.current.load().digest;
        let loaded = match read {
            Ok(contents) if is_known(&contents) => {
                said.refused = None;
                return;
            }
            Ok(contents) => Material::new(&self.files, &contents, UnixTime::now()),
            Err(error) => Err(error),
        };
        match loaded {
            Ok(material) => {
                self.current.store(Arc::new(material));
                *said = Said::default();
                self.tell();
            }
            Err(error) => self.refuse(&error, said),
        }
    }

    fn tell(&self) {
        let current = self.current.load();
        let told = |whose, end: End| {
            let at = end.unix_duration().as_secs_f64();
            self.metrics.set_certificate_expiry(whose, at);
        };
        told(Certificate::Listener, current.expires);
        if let Some(clients) = &current.clients {
            told(Certificate::ClientCa, clients.expires);
        }
        tracing::info!(
            certificate = %self.files.certificate.display(),
            expires = %current.expires,
            "this TLS certificate is in use",
        );
    }

    fn refuse(&self, error: &TlsError, said: &mut Said) {
        let error = error_chain(error);
        let told = match said.refused.take() {
            Some((before, told)) if before == error => {
                if !told {
                    tracing::error!(
                        error,
                        expires = %self.current.load().expires,
                        "new TLS files cannot be used, and those before stay in use",
                    );
                }
                true
            }
            _ => false,
        };
        said.refused = Some((error, told));
    }

    fn warn_of_the_end(&self, said: &mut Said) {
        let current = self.current.load();
        let end = current.expires.unix_duration();
        let left = end.saturating_sub(Duration::from_secs(UnixTime::now().as_secs()));
        if left > EXPIRES_SOON || said.warned.is_some_and(|at| at.elapsed() < DAY) {
            return;
        }
        said.warned = Some(Instant::now());
        tracing::warn!(
            certificate = %self.files.certificate.display(),
            expires = %current.expires,
            days = left.as_secs() / DAY.as_secs(),
            "the TLS certificate expires soon",
        );
    }
}
