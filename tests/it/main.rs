//! The whole service through real gRPC on real Postgres: one binary, a file a subject.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod deadlines;
mod drain;
mod floods;
mod harness;
mod health;
mod layering;
mod logs;
mod secrets;
mod sessions;
