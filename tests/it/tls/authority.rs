//! Authorities, certificates, and the files they are in.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use rollcall::client::Tls;
use time::OffsetDateTime;

use super::NAME;

/// One that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// What a certificate is to be.
pub struct Wanted {
    pub sans: Vec<SanType>,
    /// From the beginning of which year it is valid.
    pub from: i32,
    /// Until the end of which year it is valid.
    pub until: i32,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("signs itself"))
    }

    /// An authority that this one has signed, with a name as its clients have.
    pub fn below(&self, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = Wanted::by(name).sans;
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::signed_by(params, key, &self.0).expect("signs"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for the server.
    pub fn server(&self) -> Pair {
        self.issue(Wanted::by(NAME))
    }

    /// A certificate with this DNS name, URI or email address.
    pub fn client(&self, name: &str) -> Pair {
        self.issue(Wanted::by(name))
    }

    pub fn issue(&self, wanted: Wanted) -> Pair {
        let until = date_time_ymd(wanted.until, 12, 31);
        self.issue_until(wanted, until)
    }

    /// The same with an end of its own.
    pub fn issue_until(&self, wanted: Wanted, until: OffsetDateTime) -> Pair {
        let mut params = CertificateParams::default();
        params.subject_alt_names = wanted.sans;
        params.not_before = date_time_ymd(wanted.from, 1, 1);
        params.not_after = until;
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("signs");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client that trusts this authority alone, and shows nothing.
    pub fn trusted(&self) -> Tls {
        Tls::new().ca_pem(self.pem()).server_name(NAME)
    }
}

impl Wanted {
    pub fn by(name: &str) -> Self {
        let text = || name.try_into().expect("ASCII");
        let san = if name.contains("://") {
            SanType::URI(text())
        } else if name.contains('@') {
            SanType::Rfc822Name(text())
        } else {
            SanType::DnsName(text())
        };
        Self {
            sans: vec![san],
            from: 2020,
            until: 4000,
        }
    }

    pub fn from(self, from: i32) -> Self {
        Self { from, ..self }
    }

    pub fn until(self, until: i32) -> Self {
        Self { until, ..self }
    }
}

impl Pair {
    /// The same client, who shows this.
    pub fn shown(&self, tls: Tls) -> Tls {
        tls.identity_pem(&*self.certificate, &*self.key)
    }
}

/// A folder with the files of a server, as Kubernetes mounts a secret: they are links
/// through a link to the version in force.
pub struct Files(PathBuf);

impl Files {
    pub fn new(pair: &Pair) -> Self {
        let name = format!("rollcall-tls-{}", uuid::Uuid::now_v7());
        let files = Self(std::env::temp_dir().join(name));
        fs::create_dir(&files.0).expect("is new");
        files.put(pair);
        for file in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{file}"), files.0.join(file)).expect("links");
        }
        files
    }

    /// Puts another version in force, all of it at once.
    pub fn put(&self, pair: &Pair) {
        let version = format!("..{}", uuid::Uuid::now_v7());
        let folder = self.0.join(&version);
        fs::create_dir(&folder).expect("is new");
        fs::write(folder.join("tls.crt"), &pair.certificate).expect("writes");
        fs::write(folder.join("tls.key"), &pair.key).expect("writes");
        let link = self.0.join("..next");
        symlink(version, &link).expect("links");
        fs::rename(link, self.0.join("..data")).expect("renames");
    }

    pub fn write(&self, name: &str, text: &str) {
        // Beside it first: nobody is to see half a file.
        let next = self.0.join("next");
        fs::write(&next, text).expect("writes");
        fs::rename(next, self.0.join(name)).expect("renames");
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// The options of a server that shows what is here and looks at it often.
    pub fn options(&self) -> [String; 6] {
        [
            "--tls-certificate".to_owned(),
            self.path("tls.crt"),
            "--tls-key".to_owned(),
            self.path("tls.key"),
            "--tls-reload-interval".to_owned(),
            "10ms".to_owned(),
        ]
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
