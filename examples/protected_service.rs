//! A tonic service that takes only callers whom Rollcall knows, and asks nobody while they
//! wait. Its service is the standard health check, so that it needs no proto of its own.
//!
//! ```text
//! rollcall dev                        # in another terminal; shows a service account
//! ROLLCALL_LOGIN=... ROLLCALL_PASSWORD=... cargo run --example protected_service
//! grpcurl -plaintext -H "authorization: Bearer $TOKEN" \
//!     127.0.0.1:50052 grpc.health.v1.Health/Check
//! ```

use std::{env, error::Error, process::ExitCode};

use rollcall::{
    client::{Verifier, VerifyLayer, WhenStale},
    error_chain,
};
use tonic::transport::Server;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", error_chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let (_reporter, service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;

    let verifier = Verifier::builder(setting("ROLLCALL_URL", "http://127.0.0.1:50051"))
        .issuer(setting("ROLLCALL_ISSUER", "http://127.0.0.1:50051"))
        .audience(setting("ROLLCALL_AUDIENCE", "rollcall"))
        .sign_in(&secret("ROLLCALL_LOGIN")?, &secret("ROLLCALL_PASSWORD")?)
        // No outage of Rollcall is one of this service.
        .when_stale(WhenStale::AllowUntilExpiry)
        .connect()
        .await?;
    Server::builder()
        .layer(VerifyLayer::new(verifier).renew_single_tokens())
        .add_service(service)
        .add_service(reflection)
        .serve(setting("LISTEN", "127.0.0.1:50052").parse()?)
        .await?;
    Ok(())
}

/// What the environment says, or what suits `rollcall dev`.
fn setting(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// What only the environment can say.
fn secret(name: &str) -> Result<String, String> {
    let missing = |_| format!("set {name}; `rollcall dev` shows a value for it");
    env::var(name).map_err(missing)
}
