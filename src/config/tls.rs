//! The options of TLS on the listener.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use humantime::Duration;

/// TLS on the listener.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsOptions {
    /// The certificate that the listener shows, with its chain, in PEM. Without one it
    /// speaks plain text.
    #[arg(long, env = "ROLLCALL_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,

    /// The private key of the certificate, in PEM.
    #[arg(long, env = "ROLLCALL_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// The authorities of client certificates, in PEM: mutual TLS.
    #[arg(long, env = "ROLLCALL_TLS_CLIENT_CA", value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,

    /// Whether clients can do without a certificate (optional), or cannot (required).
    /// Default with authorities: required.
    #[arg(
        long,
        env = "ROLLCALL_TLS_CLIENT_AUTH",
        value_enum,
        hide_possible_values = true,
        value_name = "RULE"
    )]
    pub tls_client_auth: Option<TlsClientAuth>,

    /// How often these files are looked at for new contents.
    #[arg(
        long,
        env = "ROLLCALL_TLS_RELOAD_INTERVAL",
        default_value = "5s",
        value_name = "TIME"
    )]
    pub tls_reload_interval: Duration,
}

/// What is asked of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TlsClientAuth {
    /// One without a certificate is let in; one whose certificate is wrong is not.
    Optional,
    /// Each shows a certificate.
    #[default]
    Required,
}

/// The files of TLS, and how they are used.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate with its chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities of clients, and what is asked of those.
    pub client_ca: Option<(PathBuf, TlsClientAuth)>,
    /// How often they are looked at.
    pub reload_interval: std::time::Duration,
}

impl TlsOptions {
    /// The files; `None` for plain text.
    #[must_use]
    pub fn files(&self) -> Option<TlsFiles> {
        let (certificate, key) = self.tls_certificate.clone().zip(self.tls_key.clone())?;
        let client_auth = self.tls_client_auth.unwrap_or_default();
        let client_ca = self.tls_client_ca.clone().map(|file| (file, client_auth));
        Some(TlsFiles {
            certificate,
            key,
            client_ca,
            reload_interval: *self.tls_reload_interval,
        })
    }
}
