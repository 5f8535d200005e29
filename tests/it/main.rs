//! The whole service through real gRPC on real Postgres: one binary, a file a subject.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod access_tokens;
mod authorization;
mod bad_input;
mod deadlines;
mod drain;
mod errors;
mod harness;
mod health;
mod layering;
mod my_sessions;
mod passwords;
mod session_admin;
mod sessions;
mod user_admin;
