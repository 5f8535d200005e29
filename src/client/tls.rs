//! TLS where the system's authorities and no certificate of one's own will not do.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use zeroize::Zeroizing;

use super::endpoint::{Address, AddressError};

/// How to speak TLS with Rollcall: whom to trust, and who one is. Without it, the system's
/// authorities are trusted and no certificate is shown.
///
/// Files are read when a builder that has this is built; later changes are not noticed.
///
/// ```no_run
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// use rollcall::client::{Tls, TokenSource};
///
/// let tls = Tls::new()
///     .ca_file("ca.pem")
///     .identity_files("orders.pem", "orders.key");
/// let tokens = TokenSource::builder("https://id.internal:50051").tls(tls).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    ca: Option<Pem>,
    identity: Option<(Pem, Pem)>,
    server_name: Option<String>,
}

/// Why the certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The address is not one of TLS, so that the certificates would be for nothing.
    #[error("certificates are given for the address `{0}`, which is not an `https` one")]
    NotHttps(String),
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is nothing in it of the kind that is needed, as PEM.
    #[error("{what} has no {needed} in PEM")]
    Missing {
        /// The file, or what was given instead of one.
        what: String,
        /// What should be there.
        needed: &'static str,
    },
    /// They cannot be used: a key that is not the certificate's, for example.
    #[error("the certificates for TLS cannot be used")]
    Unusable(#[source] tonic::transport::Error),
}

/// PEM, or where it is.
#[derive(Clone)]
enum Pem {
    File(PathBuf),
    Text(Zeroizing<Vec<u8>>),
}

impl Tls {
    /// The system's authorities, no certificate, and the server's name from the address.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the authorities in this PEM file, and none of the system's.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca = Some(Pem::File(path.into()));
        self
    }

    /// Trusts the authorities in this PEM, and none of the system's.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(Pem::text(pem));
        self
    }

    /// Shows the certificate (with its chain) of the one PEM file, whose key is in the other.
    #[must_use]
    pub fn identity_files(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.identity = Some((Pem::File(certificate.into()), Pem::File(key.into())));
        self
    }

    /// Shows a certificate (with its chain), with its key, both in PEM.
    #[must_use]
    pub fn identity_pem(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.identity = Some((Pem::text(certificate), Pem::text(key)));
        self
    }

    /// Expects a certificate for this name, instead of that in the address.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// An endpoint at `address` with this TLS, for clients of one's own: with the limits and
    /// pings of this library.
    ///
    /// # Errors
    ///
    /// When the address is none, or not `https`, or the certificates cannot be used.
    pub fn endpoint<D>(&self, address: D) -> Result<Endpoint, AddressError>
    where
        D: TryInto<Endpoint>,
        D::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut address = Address::new(address);
        address.set_tls(self.clone());
        address.endpoint()
    }

    pub(super) fn apply(&self, endpoint: Endpoint) -> Result<Endpoint, TlsError> {
        if endpoint.uri().scheme_str() != Some("https") {
            return Err(TlsError::NotHttps(endpoint.uri().to_string()));
        }
        let mut config = ClientTlsConfig::new();
        config = match &self.ca {
            None => config.with_native_roots(),
            Some(ca) => {
                let pem = ca.certificates("the bundle of authorities")?;
                config.ca_certificate(Certificate::from_pem(pem))
            }
        };
        if let Some((certificate, key)) = &self.identity {
            let certificate = certificate.certificates("the certificate")?;
            let key = key.key("the key")?;
            config = config.identity(Identity::from_pem(certificate, &*key));
        }
        if let Some(name) = &self.server_name {
            config = config.domain_name(name);
        }
        endpoint.tls_config(config).map_err(TlsError::Unusable)
    }
}

impl Pem {
    fn text(pem: impl Into<Vec<u8>>) -> Self {
        Self::Text(Zeroizing::new(pem.into()))
    }

    /// The PEM, in which there is a certificate.
    fn certificates(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, TlsError> {
        self.read(name, "certificate", |pem| {
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            certificates.is_ok_and(|certificates| !certificates.is_empty())
        })
    }

    /// The PEM, in which there is a private key.
    fn key(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, TlsError> {
        self.read(name, "private key", |pem| {
            let key: Result<_, pem::Error> = PrivateKeyDer::from_pem_slice(pem);
            key.is_ok()
        })
    }

    fn read(
        &self,
        name: &str,
        needed: &'static str,
        is_there: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Zeroizing<Vec<u8>>, TlsError> {
        let pem = match self {
            Self::Text(pem) => pem.clone(),
            Self::File(path) => read(path)?,
        };
        if is_there(&pem) {
            return Ok(pem);
        }
        let what = match self {
            Self::Text(_) => name.to_owned(),
            Self::File(path) => path.display().to_string(),
        };
        Err(TlsError::Missing { what, needed })
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let pem = fs::read(path).map_err(|source| TlsError::File {
        path: path.to_owned(),
        source,
    })?;
    Ok(Zeroizing::new(pem))
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("ca", &self.ca)
            .field("identity", &self.identity)
            .field("server_name", &self.server_name)
            .finish()
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Text(_) => f.write_str("PEM"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_chain;

    const URL: &str = "https://id.test:1";

    fn said(tls: &Tls, address: &'static str) -> String {
        error_chain(&tls.endpoint(address).unwrap_err())
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let other = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
        let mine = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
        let (certificate, key) = (mine.cert.pem(), mine.signing_key.serialize_pem());
        let good = Tls::new().identity_pem(&*certificate, &*key);
        let trusting = |tls: Tls| tls.ca_pem(&*certificate);
        trusting(good.clone()).endpoint(URL).unwrap();

        for (tls, expected) in [
            (
                Tls::new().ca_file("/nowhere.pem"),
                "/nowhere.pem cannot be read: No such file",
            ),
            (
                Tls::new().ca_file("Cargo.toml"),
                "Cargo.toml has no certificate in PEM",
            ),
            (
                Tls::new().ca_pem(""),
                "the bundle of authorities has no certificate in PEM",
            ),
            (
                trusting(Tls::new().identity_pem(&*key, &*key)),
                "the certificate has no certificate in PEM",
            ),
            (
                trusting(Tls::new().identity_pem(&*certificate, &*certificate)),
                "the key has no private key in PEM",
            ),
            (
                trusting(Tls::new().identity_pem(&*certificate, other.signing_key.serialize_pem())),
                "the certificates for TLS cannot be used: transport error: keys may not be consistent: KeyMismatch",
            ),
        ] {
            let said = said(&tls, URL);
            assert!(said.starts_with(expected), "{said}");
        }
        assert_eq!(
            said(&trusting(good), "http://id.test:1"),
            "certificates are given for the address `http://id.test:1/`, which is not an `https` one"
        );
    }

    #[test]
    fn debug_output_shows_no_key() {
        let pair = rcgen::generate_simple_self_signed(Vec::new()).unwrap();
        let key = pair.signing_key.serialize_pem();
        let tls = Tls::new().identity_pem(pair.cert.pem(), key);
        let shown = format!("{tls:?}");
        assert_eq!(
            shown,
            "Tls { ca: None, identity: Some((PEM, PEM)), server_name: None }"
        );
    }
}
