//! What `Verification.WatchRevocations` costs and how soon it tells: memory of watchers
//! that hear nothing, the time from a revoke to a verifier's refusal, and revocations told
//! to many. The servers are processes of their own, on a private Postgres, on the same
//! processors as the watchers: ratios mean something on any machine, figures do not.
//!
//! `cargo bench --bench revocations`, or one of its parts: `-- memory`, `-- latency`,
//! `-- fan_out`.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark reports to a person"
)]

mod bare;
mod fan_out;
mod latency;
mod memory;
mod replica;
mod watchers;

use std::{env, time::Duration};

use rollcall::{dev::postgres, identity::MasterKey};

use replica::Replica;

#[tokio::main]
async fn main() {
    let (cluster, dir) = replica::postgres("rollcall-bench-revocations");
    let database = cluster.url("postgres");
    let key = MasterKey::generate().expect("random bytes").expose();
    let first = Replica::start(&database, &key).await;
    replica::create_operator(&database);

    if chosen("memory") {
        memory::measure(&first).await;
    }
    let second = Replica::start(&database, &key).await;
    if chosen("latency") {
        latency::measure(&first, &second, &database).await;
    }
    if chosen("fan_out") {
        fan_out::measure(&second, &database).await;
    }

    drop((first, second, cluster));
    postgres::remove(&dir).expect("the folder can be removed");
}

/// Whether the command line names a part, or none.
fn chosen(part: &str) -> bool {
    // Cargo itself says `--bench`.
    let mut named = env::args().skip(1).filter(|it| !it.starts_with("--"));
    env::args().any(|it| it == part) || named.next().is_none()
}

/// The value below which this many of a hundred are.
fn percentile(values: &mut [Duration], percent: usize) -> Duration {
    values.sort_unstable();
    values[(values.len() * percent / 100).min(values.len() - 1)]
}
