//! `rollcall serve` as a process of its own, and an operator to call it as.

use std::{
    env, fs,
    io::Write,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rollcall::{
    dev::postgres::{self, Cluster, Settings},
    proto::v1::{
        AuthenticateRequest, Device, GetJwksRequest, TokenPair, auth_client::AuthClient,
        verification_client::VerificationClient,
    },
};
use tokio::time::sleep;
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};

pub const LOGIN: &str = "bench";
pub const PASSWORD: &str = "violet-anchor-mosaic-73";
pub const ISSUER: &str = "https://id.test";
pub const AUDIENCE: &str = "bench";

/// A private Postgres of a benchmark's own, which writes as one does that is to survive a
/// crash, and its folder.
pub fn postgres(name: &str) -> (Cluster, PathBuf) {
    let dir = env::temp_dir().join(name);
    postgres::remove(&dir).expect("what an earlier run left can be removed");
    let settings = Settings {
        durable: true,
        options: Vec::new(),
    };
    let cluster = Cluster::start(&dir, &settings).expect("a private Postgres");
    (cluster, dir)
}

/// A server, killed when this is dropped.
pub struct Replica {
    child: Child,
    pub url: String,
}

impl Replica {
    /// Starts one and waits until it serves.
    pub async fn start(database: &str, master_key: &str) -> Self {
        // Free a moment ago: nobody else is expected to take it.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("is bound").to_string();
        drop(listener);
        let child = Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .args(["--log", "error", "serve", "--database-url", database])
            .args(["--master-key", master_key, "--listen", &address])
            .args(["--issuer", ISSUER, "--audience", AUDIENCE])
            .args(["--sign-ins-per-address", "0", "--sign-ins-per-login", "0"])
            // Longer than the whole run.
            .args(["--access-token-lifetime", "1h"])
            // Devices refresh faster than any client does.
            .args(["--refresh-min-interval", "0s"])
            .spawn()
            .expect("the binary runs");
        let replica = Self {
            child,
            url: format!("http://{address}"),
        };
        replica.wait_until_serving().await;
        replica
    }

    async fn wait_until_serving(&self) {
        let mut client = VerificationClient::new(self.channel());
        while client.get_jwks(GetJwksRequest {}).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// A connection of its own, made when it is first used.
    pub fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.url.clone()).expect("a URL");
        endpoint.connect_lazy()
    }

    /// Signs in as the operator.
    pub async fn sign_in(&self) -> SignedIn {
        let request = AuthenticateRequest {
            login: LOGIN.to_owned(),
            password: PASSWORD.to_owned(),
            device: Some(Device {
                client_id: "bench".to_owned(),
                ..Device::default()
            }),
            ..AuthenticateRequest::default()
        };
        let reply = AuthClient::new(self.channel()).authenticate(request).await;
        let reply = reply.expect("signs in").into_inner();
        let TokenPair {
            access_token,
            refresh_token,
            ..
        } = reply.tokens.expect("tokens");
        SignedIn {
            user_id: reply.user_id,
            session_id: reply.session.expect("a session").session_id,
            access_token,
            refresh_token,
        }
    }

    /// How much memory the process has, in bytes.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process is there");
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.expect("Linux says it").trim().trim_end_matches(" kB");
        kilobytes.parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A session of the operator.
#[allow(dead_code, reason = "each benchmark needs a part")]
pub struct SignedIn {
    pub user_id: String,
    pub session_id: String,
    pub access_token: String,
    pub refresh_token: String,
}

impl SignedIn {
    /// `message` as a request of this session.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let value = format!("Bearer {}", self.access_token);
        let value = value.parse().expect("ASCII");
        request.metadata_mut().insert("authorization", value);
        request
    }
}

/// Creates the user [`LOGIN`], who may do everything.
pub fn create_operator(database: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rollcall"))
        .args(["users", "create-first", LOGIN, "--password-stdin"])
        .args(["--database-url", database])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut input = child.stdin.take().expect("piped");
    writeln!(input, "{PASSWORD}").expect("it reads");
    drop(input);
    assert!(child.wait().expect("it ends").success());
}
