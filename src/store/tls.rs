//! TLS to Postgres, with `sslmode` as libpq means it.

mod verifier;

use std::{env, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use thiserror::Error;
use tokio_postgres_rustls::MakeRustlsConnect;

use self::verifier::{Trusted, Verifier};
use super::{conninfo::Options, database_url::InvalidDatabaseUrl};

/// How much of TLS is asked for, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) enum SslMode {
    /// Plain only.
    Disable,
    /// Plain; TLS when the server refuses that.
    Allow,
    /// TLS; plain when the server has none or refuses it.
    Prefer,
    /// TLS, whoever the server is.
    Require,
    /// TLS with a certificate from one of the roots, whatever name it is for.
    VerifyCa,
    /// TLS with a certificate from one of the roots for the host connected to.
    VerifyFull,
}

/// Where the certificates come from that others are checked against.
#[derive(Clone, Debug, PartialEq)]
enum Roots {
    /// `~/.postgresql/root.crt`
    Default,
    File(PathBuf),
    /// What the operating system trusts.
    System,
}

/// What the address says about TLS.
#[derive(Clone, Debug)]
pub(super) struct TlsOptions {
    pub(super) mode: SslMode,
    roots: Roots,
    /// Files of the client's own certificate and of its key.
    identity: Option<(PathBuf, PathBuf)>,
}

/// Why the files that the address names cannot be used.
#[derive(Debug, Error)]
pub(super) enum TlsError {
    #[error("no trusted roots: {0} does not exist; set sslrootcert to a file, or to `system`")]
    NoDefaultRoots(PathBuf),
    #[error("the system has no trusted roots")]
    NoSystemRoots,
    #[error("cannot read {0}")]
    Pem(PathBuf, #[source] pem::Error),
    #[error("{0} has a certificate that cannot be used")]
    Certificate(PathBuf, #[source] rustls::Error),
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

impl TlsOptions {
    pub(super) fn take(options: &mut Options) -> Result<Self, InvalidDatabaseUrl> {
        let mode = match options.remove("sslmode").as_deref() {
            None => None,
            Some("disable") => Some(SslMode::Disable),
            Some("allow") => Some(SslMode::Allow),
            Some("prefer") => Some(SslMode::Prefer),
            Some("require") => Some(SslMode::Require),
            Some("verify-ca") => Some(SslMode::VerifyCa),
            Some("verify-full") => Some(SslMode::VerifyFull),
            Some(_) => {
                return Err(InvalidDatabaseUrl::Value {
                    option: "sslmode",
                    reason: "disable, allow, prefer, require, verify-ca or verify-full",
                });
            }
        };
        let roots = match options.remove("sslrootcert") {
            None => Roots::Default,
            Some(file) if file == "system" => Roots::System,
            Some(file) => Roots::File(file.into()),
        };
        let mode = match (mode, &roots) {
            (None, Roots::System) => SslMode::VerifyFull,
            // Anybody can get a certificate from a public authority for some name.
            (Some(mode), Roots::System) if mode < SslMode::VerifyFull => {
                return Err(InvalidDatabaseUrl::Value {
                    option: "sslmode",
                    reason: "must be verify-full with sslrootcert=system",
                });
            }
            (Some(SslMode::Require), Roots::File(_)) => SslMode::VerifyCa,
            (mode, _) => mode.unwrap_or(SslMode::Prefer),
        };
        let identity = match (options.remove("sslcert"), options.remove("sslkey")) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            _ => {
                return Err(InvalidDatabaseUrl::Value {
                    option: "sslcert",
                    reason: "sslcert and sslkey need each other",
                });
            }
        };
        Ok(Self {
            mode,
            roots,
            identity,
        })
    }
}

/// Reads the files that `options` names. Changes to them later are not noticed.
pub(super) fn connector(options: &TlsOptions) -> Result<MakeRustlsConnect, TlsError> {
    let provider = aws_lc_rs::default_provider();
    let verifier = Verifier {
        trusted: trusted(options)?,
        check_name: options.mode == SslMode::VerifyFull,
        algorithms: provider.signature_verification_algorithms,
    };
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &options.identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let key_der = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| TlsError::Pem(key.clone(), error))?;
            config
                .with_client_auth_cert(read_certificates(certificate)?, key_der)
                .map_err(|error| TlsError::Certificate(certificate.clone(), error))?
        }
    };
    // A server needs it for `sslnegotiation=direct`; one that does not know it ignores it.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

/// What to check the server's certificate against, if that is asked for.
fn trusted(options: &TlsOptions) -> Result<Option<Trusted>, TlsError> {
    if options.mode < SslMode::Require {
        return Ok(None);
    }
    let file = match &options.roots {
        Roots::System => {
            let certificates = rustls_native_certs::load_native_certs().certs;
            let mut roots = RootCertStore::empty();
            // One that cannot be used is left out, as every system has some of those.
            let (added, _) = roots.add_parsable_certificates(certificates);
            return if added == 0 {
                Err(TlsError::NoSystemRoots)
            } else {
                Ok(Some(Trusted {
                    roots,
                    certificates: Vec::new(),
                }))
            };
        }
        Roots::File(file) => file.clone(),
        Roots::Default => {
            let home = env::home_dir().unwrap_or_default();
            let file = home.join(".postgresql/root.crt");
            match (file.exists(), options.mode) {
                (true, _) => file,
                (false, SslMode::Require) => return Ok(None),
                (false, _) => return Err(TlsError::NoDefaultRoots(file)),
            }
        }
    };
    let certificates = read_certificates(&file)?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots
            .add(certificate.clone())
            .map_err(|error| TlsError::Certificate(file.clone(), error))?;
    }
    Ok(Some(Trusted {
        roots,
        certificates,
    }))
}

fn read_certificates(file: &PathBuf) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| TlsError::Pem(file.clone(), error))?;
    if certificates.is_empty() {
        return Err(TlsError::Pem(file.clone(), pem::Error::NoItemsFound));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests;
