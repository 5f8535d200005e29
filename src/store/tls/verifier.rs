//! Whether the certificate that Postgres shows will do.

use std::time::Duration;

use rustls::{
    CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor, verify_server_name,
    },
    crypto::{
        WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
        verify_tls13_signature_with_raw_key,
    },
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::ParsedCertificate,
};
use x509_cert::der::{Decode, Encode};

/// The certificates of the root file.
#[derive(Debug)]
pub(super) struct Trusted {
    pub(super) roots: RootCertStore,
    /// The same certificates, to be met as the server's own: a self-signed server
    /// certificate is its own root, which path building does not know.
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

/// Checks the server's certificate as far as `sslmode` asks for it.
#[derive(Debug)]
pub(super) struct Verifier {
    /// What to check it against, if anything.
    pub(super) trusted: Option<Trusted>,
    /// Whether it must be for the host connected to.
    pub(super) check_name: bool,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(trusted) = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        let parsed = ParsedCertificate::try_from(end_entity)?;
        if trusted.certificates.contains(end_entity) {
            check_dates(end_entity, now)?;
        } else {
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &trusted.roots,
                intermediates,
                now,
                self.algorithms.all,
            )?;
        }
        if self.check_name {
            verify_server_name(&parsed, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    /// Holds even where any certificate will do: SCRAM's channel binding, which does
    /// tell a stranger from the server, relies on the certificate's key being there.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.trusted.is_none() && ParsedCertificate::try_from(certificate).is_err() {
            // The steps in Postgres's manual make X.509 version 1 certificates, which
            // rustls does not read.
            let key = parse(certificate)?.tbs_certificate.subject_public_key_info;
            let key = SubjectPublicKeyInfoDer::from(key.to_der().map_err(|_| BAD_ENCODING)?);
            return verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms);
        }
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

const BAD_ENCODING: rustls::Error =
    rustls::Error::InvalidCertificate(CertificateError::BadEncoding);

fn parse(certificate: &CertificateDer<'_>) -> Result<x509_cert::Certificate, rustls::Error> {
    x509_cert::Certificate::from_der(certificate).map_err(|_| BAD_ENCODING)
}

fn check_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let validity = parse(certificate)?.tbs_certificate.validity;
    let now = Duration::from_secs(now.as_secs());
    if now < validity.not_before.to_unix_duration() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.to_unix_duration() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn dates_of_a_certificate_that_is_its_own_root_count() {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=own", "-keyout", "/dev/null"])
            .output()
            .unwrap();
        let certificate = CertificateDer::from_pem_slice(&made.stdout).unwrap();

        let begin = parse(&certificate)
            .unwrap()
            .tbs_certificate
            .validity
            .not_before;
        let begin = begin.to_unix_duration();
        let day = Duration::from_secs(24 * 60 * 60);
        let at = |time| check_dates(&certificate, UnixTime::since_unix_epoch(time));
        assert_eq!(at(begin - day), Err(CertificateError::NotValidYet.into()));
        assert_eq!(at(begin + day), Ok(()));
        assert_eq!(at(begin + 3 * day), Err(CertificateError::Expired.into()));
    }
}
