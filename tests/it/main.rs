//! The whole service through real gRPC on real Postgres: one binary, a file a subject.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod expiry;
mod failures;
mod harness;
mod histories;
mod layering;
mod lost_commits;
mod refresh;
mod revoked;
mod sessions;
mod theft;
mod tokens;
