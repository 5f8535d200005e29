//! TLS on the listener, and who may call `Auth`.

mod authority;
mod callers;
mod client;
mod command_line;
mod handshake;
mod mutual;
mod options;
mod reload;

use std::ops::Deref;

use rollcall::client::Tls;
use tonic::transport::Endpoint;

use crate::harness::{Database, Replica};
use authority::{Authority, Files};

/// The name in the server's certificate.
const NAME: &str = "id.test";

/// A server behind TLS, with its authority and files.
pub struct Behind {
    pub replica: Replica,
    database: Database,
    authority: Authority,
    files: Files,
}

impl Deref for Behind {
    type Target = Replica;

    fn deref(&self) -> &Replica {
        &self.replica
    }
}

impl Behind {
    async fn start(options: &[&str]) -> Self {
        Self::with(options, |tls| tls).await
    }

    /// With mutual TLS by the server's own authority, and a client whose certificate has
    /// this name.
    pub async fn mutual(options: &[&str], name: &str) -> Self {
        Self::with(&[&["MUTUAL"], options].concat(), |tls| (tls, name)).await
    }

    async fn with<C: Client>(options: &[&str], client: impl FnOnce(Tls) -> C) -> Self {
        let authority = Authority::new("authority");
        let files = Files::new(&authority.server());
        files.write("client-ca.pem", &authority.pem());
        let certificate = files.options();
        let client_ca = ["--tls-client-ca".to_owned(), files.path("client-ca.pem")];
        let mut all: Vec<&str> = certificate.iter().map(String::as_str).collect();
        for option in options {
            match *option {
                "MUTUAL" => all.extend(client_ca.iter().map(String::as_str)),
                option => all.push(option),
            }
        }
        let database = Database::create().await;
        let tls = client(authority.trusted()).shown(&authority);
        let endpoint = |address: &str| endpoint(&tls, address);
        let replica = Replica::launch_at(database.url(), &all, endpoint).await;
        replica.wait_until_serving().await;
        Self {
            replica,
            database,
            authority,
            files,
        }
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// What happens to a connection made in this way, and to a call on it: a client learns
    /// that its certificate is refused only by then.
    async fn attempt(&self, tls: &Tls) -> Result<(), String> {
        attempt(&endpoint(tls, &self.address)).await
    }
}

/// How a test's client shows itself.
trait Client {
    fn shown(self, authority: &Authority) -> Tls;
}

impl Client for Tls {
    fn shown(self, _: &Authority) -> Tls {
        self
    }
}

impl Client for (Tls, &str) {
    fn shown(self, authority: &Authority) -> Tls {
        authority.client(self.1).shown(self.0)
    }
}

fn endpoint(tls: &Tls, address: &str) -> Endpoint {
    let endpoint = tls.endpoint(format!("https://{address}"));
    endpoint.expect("the certificates can be used")
}

async fn attempt(endpoint: &Endpoint) -> Result<(), String> {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

    let channel = endpoint.connect().await;
    let channel = channel.map_err(|error| rollcall::error_chain(&error))?;
    let mut client = HealthClient::new(channel);
    let checked = client.check(HealthCheckRequest::default()).await;
    match checked {
        Ok(_) => Ok(()),
        Err(status) => Err(rollcall::error_chain(&status)),
    }
}
