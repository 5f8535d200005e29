//! Why files of TLS cannot be used.

use std::{error::Error, io, path::PathBuf};

/// Why files of TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file has nothing of what it is for.
    #[error("{} has no {needed} in PEM", path.display())]
    Missing {
        /// Which file.
        path: PathBuf,
        /// What should be in it.
        needed: &'static str,
    },
    /// A certificate cannot be used.
    #[error("a certificate in {} cannot be used", path.display())]
    Certificate {
        /// In which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A private key cannot be used.
    #[error("the private key in {} cannot be used", path.display())]
    Key {
        /// In which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The key is another's.
    #[error(
        "the private key in {} is not that of the certificate in {}",
        key.display(),
        certificate.display()
    )]
    KeyMismatch {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        certificate: PathBuf,
    },
    /// The time of a certificate is over.
    #[error("the certificate in {} expired at {at}", path.display())]
    Expired {
        /// In which file.
        path: PathBuf,
        /// When, in UTC.
        at: String,
    },
    /// The time of a certificate has not come.
    #[error("the certificate in {} is not valid before {at}", path.display())]
    NotYetValid {
        /// In which file.
        path: PathBuf,
        /// When it has, in UTC.
        at: String,
    },
    /// The library refuses.
    #[error("TLS cannot be set up")]
    Setup(#[source] Box<dyn Error + Send + Sync>),
}
