//! `Verifier::verify` beside the bare check of the same token's signature by the same
//! library, taking turns, on one core. The ratio says what all the rest of a check costs on
//! any machine; the figures do not.
//!
//! `cargo bench --bench verify`

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark reports to a person"
)]

use std::{
    env,
    hint::black_box,
    time::{Duration, Instant},
};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Parser;
use rollcall::{
    client::Verifier,
    config::{Cli, Command, Serve},
    dev::postgres::{self, Cluster, Settings},
    identity::{Identity, MasterKey, NewUser},
    model::{audit::Act, login::Login, password::Password, role::Roles},
    proto::v1::{
        AuthenticateRequest, Device, GetJwksRequest, auth_client::AuthClient,
        verification_client::VerificationClient,
    },
    server::Server,
    store,
};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(1);
const PASSWORD: &str = "violet-anchor-mosaic-73";
const ISSUER: &str = "https://id.test";
const AUDIENCE: &str = "bench";

#[tokio::main]
async fn main() {
    let dir = env::temp_dir().join("rollcall-bench-verify");
    let settings = Settings {
        durable: false,
        options: Vec::new(),
    };
    let cluster = Cluster::start(&dir, &settings).expect("a private Postgres");
    let url = serve(&cluster.url("postgres")).await;
    let verifier = Verifier::builder(url.clone())
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .sign_in("bench", PASSWORD)
        .connect()
        .await
        .expect("connects");
    let token = token(&url).await;
    let bare = Bare::of(&token, &url).await;

    let (mut verified, mut checked) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let whole = rate(|| verifier.verify(&token).is_ok());
        let signature = rate(|| bare.check());
        // The first round warms up.
        if round > 0 {
            verified.push(whole);
            checked.push(signature);
        }
    }
    let (verified, checked) = (median(verified), median(checked));
    println!("one core, median of {ROUNDS} rounds of {ROUND:?}");
    println!("Verifier::verify      {verified:8.0} per second");
    println!("bare signature check  {checked:8.0} per second");
    println!("ratio                 {:8.2}", verified / checked);

    drop(verifier);
    drop(cluster);
    postgres::remove(&dir).expect("the folder can be removed");
}

/// The signature of a token, and nothing else of it.
struct Bare {
    key: UnparsedPublicKey<Vec<u8>>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Bare {
    async fn of(token: &str, url: &str) -> Self {
        let client = VerificationClient::connect(url.to_owned()).await;
        let keys = client.expect("connects").get_jwks(GetJwksRequest {}).await;
        let keys = keys.expect("the keys").into_inner().keys;
        let (message, signature) = token.rsplit_once('.').expect("a JWT");
        let bare = |x: &str| Self {
            key: UnparsedPublicKey::new(&ED25519, decode(x)),
            message: message.as_bytes().to_vec(),
            signature: decode(signature),
        };
        let mut keys = keys.iter().map(|key| bare(&key.x));
        keys.find(Self::check).expect("the key that signed")
    }

    fn check(&self) -> bool {
        let Self {
            key,
            message,
            signature,
        } = self;
        key.verify(message, signature).is_ok()
    }
}

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// A server with a user who is a service; its address.
async fn serve(database: &str) -> String {
    let key = MasterKey::generate().expect("random bytes").expose();
    let arguments = [
        "rollcall",
        "serve",
        "--database-url",
        database,
        "--master-key",
        &key,
        "--listen",
        "127.0.0.1:0",
        "--issuer",
        ISSUER,
        "--audience",
        AUDIENCE,
    ];
    let migrated = store::migrate(&database.parse().expect("a URL")).await;
    migrated.expect("migrates");
    let server = Server::bind(serve_options(&arguments)).await;
    let server = server.expect("binds");
    let (identity, ready) = (server.identity().clone(), server.ready());
    let url = format!("http://{}", server.address());
    tokio::spawn(server.run(std::future::pending()));
    ready.await;
    create_user(&identity).await;
    url
}

async fn create_user(identity: &Identity) {
    let user = NewUser {
        login: Login::parse("bench").expect("a login"),
        password: Password::new(PASSWORD).expect("a password"),
        display_name: String::new(),
        roles: Roles::parse(vec!["service".to_owned()]).expect("roles"),
    };
    // One of an earlier run may be there.
    let _ = identity.create_user(&Act::of_rollcall(), user).await;
}

async fn token(url: &str) -> String {
    let request = AuthenticateRequest {
        login: "bench".to_owned(),
        password: PASSWORD.to_owned(),
        device: Some(Device {
            client_id: "bench".to_owned(),
            ..Device::default()
        }),
        ..AuthenticateRequest::default()
    };
    let client = AuthClient::connect(url.to_owned()).await;
    let reply = client.expect("connects").authenticate(request).await;
    let reply = reply.expect("signs in").into_inner();
    reply.tokens.expect("tokens").access_token
}

fn serve_options(arguments: &[&str]) -> Serve {
    match Cli::parse_from(arguments).command {
        Command::Serve(options) => *options,
        other => panic!("not serve: {other:?}"),
    }
}

/// How often `work` succeeds per second.
fn rate(work: impl Fn() -> bool) -> f64 {
    let (started, mut done) = (Instant::now(), 0_u32);
    while started.elapsed() < ROUND {
        assert!(black_box(work()));
        done += 1;
    }
    f64::from(done) / started.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
