//! The client library: against a fake of Rollcall that fails on demand, and against the
//! real one.

mod fake;
mod feed;
mod introspection;
pub mod layer;
mod real;
mod renewal;
mod token_source;
mod verifier;

use rollcall::{
    client::{Verifier, VerifierBuilder},
    proto::v1,
};

use crate::harness::{PASSWORD, eventually};
use fake::{AUDIENCE, Fake, ISSUER};

/// A verifier for what the fake issues.
fn builder(fake: &Fake) -> VerifierBuilder {
    Verifier::builder(fake.url())
        .issuer(ISSUER)
        .audience(AUDIENCE)
        .sign_in("shop", PASSWORD)
}

async fn connect(fake: &Fake) -> Verifier {
    builder(fake).connect().await.expect("connects")
}

/// Makes a timestamp of microseconds since 1970.
fn timestamp(micros: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).expect("below a second"),
    }
}

fn phone() -> v1::Device {
    crate::harness::device("phone")
}
