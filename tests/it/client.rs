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

use std::time::Duration;

use rollcall::{
    client::{Verifier, VerifierBuilder},
    proto::v1,
};

use crate::harness::{PASSWORD, eventually};
use fake::{AUDIENCE, Fake, ISSUER};

/// How long nothing takes, even where the machine stalls again and again.
const AGES: Duration = Duration::from_secs(600);

/// A verifier whose limits a stall of the machine does not reach: its feed neither breaks nor
/// is stale for that, and whatever it asks is answered in time.
pub fn patient(builder: VerifierBuilder) -> VerifierBuilder {
    builder
        .max_staleness(AGES)
        .connect_timeout(AGES)
        .ask_timeout(AGES)
}

/// A verifier for what the fake issues.
fn builder(fake: &Fake) -> VerifierBuilder {
    patient(Verifier::builder(fake.url()))
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
