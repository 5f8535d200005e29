//! The whole service through real gRPC on real Postgres: one binary, a file a subject.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![expect(clippy::disallowed_methods, reason = "tests name things by the time")]

mod access_tokens;
mod audit;
mod authorization;
mod bad_input;
mod bindings;
mod cli;
mod client;
mod deadlines;
mod drain;
mod errors;
mod expiry;
mod failures;
mod floods;
mod harness;
mod health;
mod histories;
mod layering;
mod logs;
mod lost_commits;
mod my_sessions;
mod operations;
mod password_resets;
mod passwords;
mod purge;
mod reflection;
mod refresh;
mod refresh_limit;
mod renew;
mod revoked;
mod rolling;
mod secrets;
mod session_admin;
mod sessions;
mod sign_ins;
mod signing_keys;
mod startup;
mod statements;
mod superseded;
mod theft;
mod tls;
mod tokens;
mod user_admin;
mod verification;
