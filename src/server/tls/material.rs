//! From the contents of the files to what connections are greeted with.

use std::{fmt, fs, path::Path, sync::Arc, time::Duration};

use aws_lc_rs::digest;
use rustls::{
    InconsistentKeys, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs as provider},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
};
use x509_cert::der::{DateTime, Decode};
use zeroize::Zeroizing;

use super::TlsError;
use crate::config::{TlsClientAuth, TlsFiles};

/// What is spoken within TLS: gRPC, and HTTP/1.1 for the well-known documents.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What is in the files.
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

/// A certificate that can be shown, with all that belongs to it.
pub(super) struct Material {
    pub(super) config: Arc<ServerConfig>,
    /// Of the contents that it was made of.
    pub(super) digest: [u8; 32],
    pub(super) expires: End,
    /// What clients' certificates are held to.
    pub(super) clients: Option<Clients>,
}

/// The authorities of clients.
pub(super) struct Clients {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    /// When the first of them ends.
    pub(super) expires: End,
}

/// When a certificate ends; shown in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End(DateTime);

impl Contents {
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let client_ca = files.client_ca.as_ref().map(|(file, _)| read(file));
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: Zeroizing::new(read(&files.key)?),
            client_ca: client_ca.transpose()?,
        })
    }

    /// Tells one state of the files from another.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        let client_ca = self.client_ca.as_deref().unwrap_or_default();
        for part in [&*self.certificate, &*self.key, client_ca] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        bytes
    }
}

impl Material {
    /// Checks that what is in the files can be used at this time.
    pub(super) fn new(
        files: &TlsFiles,
        contents: &Contents,
        now: UnixTime,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(provider::default_provider());
        let certified = certified_key(files, contents, &provider)?;
        let leaf = certified.end_entity_cert().map_err(setup)?;
        let expires = check_time(&files.certificate, leaf, now)?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(setup)?;
        let clients = files.client_ca.as_ref().zip(contents.client_ca.as_ref());
        let clients =
            clients.map(|((file, rule), pem)| clients_of(file, pem, *rule, provider, now));
        let clients = clients.transpose()?;
        let builder = match &clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(clients.verifier.clone()),
        };
        let resolver = rustls::sign::SingleCertAndKey::from(certified);
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        if files.client_ca.is_some() {
            // A resumed session would not show its certificate again, which may have expired.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self {
            config: Arc::new(config),
            digest: contents.digest(),
            expires,
            clients,
        })
    }
}

fn certified_key(
    files: &TlsFiles,
    contents: &Contents,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(&files.certificate, &contents.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|_| TlsError::Missing {
        path: files.key.clone(),
        needed: "private key",
    })?;
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|source| TlsError::Key {
        path: files.key.clone(),
        source,
    })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::KeyMismatch {
            key: files.key.clone(),
            certificate: files.certificate.clone(),
        }),
        Err(error) => Err(unusable(&files.certificate, error)),
    }
}

fn clients_of(
    file: &Path,
    pem: &[u8],
    rule: TlsClientAuth,
    provider: Arc<CryptoProvider>,
    now: UnixTime,
) -> Result<Clients, TlsError> {
    let mut roots = RootCertStore::empty();
    let (mut ends, mut expired) = (Vec::new(), None);
    for authority in certificates(file, pem)? {
        // The library does not look at the time of an authority.
        match check_time(file, &authority, now) {
            Ok(end) => {
                roots
                    .add(authority)
                    .map_err(|error| unusable(file, error))?;
                ends.push(end);
            }
            Err(error @ (TlsError::Expired { .. } | TlsError::NotYetValid { .. })) => {
                expired = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    let expires = match (ends.into_iter().min(), expired) {
        (Some(end), _) => end,
        (None, Some(error)) => return Err(error),
        (None, None) => return Err(none_in(file)),
    };
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match rule {
        TlsClientAuth::Required => builder,
        TlsClientAuth::Optional => builder.allow_unauthenticated(),
    };
    let verifier = builder.build().map_err(|error| unusable(file, error))?;
    Ok(Clients { verifier, expires })
}

fn certificates(file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let parsed = parsed.map_err(|error| unusable(file, error))?;
    if parsed.is_empty() {
        return Err(none_in(file));
    }
    Ok(parsed)
}

fn none_in(file: &Path) -> TlsError {
    TlsError::Missing {
        path: file.to_owned(),
        needed: "certificate",
    }
}

/// When a certificate ends, if this is within its time.
fn check_time(file: &Path, certificate: &[u8], now: UnixTime) -> Result<End, TlsError> {
    let parsed = x509_cert::Certificate::from_der(certificate);
    let validity = parsed
        .map_err(|error| unusable(file, error))?
        .tbs_certificate
        .validity;
    let now = Duration::from_secs(now.as_secs());
    let path = file.to_owned();
    let (begin, end) = (validity.not_before, validity.not_after.to_date_time());
    if now > end.unix_duration() {
        let at = end.to_string();
        return Err(TlsError::Expired { path, at });
    }
    if now < begin.to_unix_duration() {
        let at = begin.to_date_time().to_string();
        return Err(TlsError::NotYetValid { path, at });
    }
    Ok(End(end))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

fn unusable(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> TlsError {
    TlsError::Certificate {
        path: path.to_owned(),
        source: Box::new(error),
    }
}

fn setup(error: rustls::Error) -> TlsError {
    TlsError::Setup(Box::new(error))
}

impl End {
    /// The time since 1970.
    pub(super) fn unix_duration(self) -> Duration {
        self.0.unix_duration()
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
