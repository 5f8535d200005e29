//! Rollcall, a gRPC identity service in which every device has a session of its own.

pub mod command;
pub mod config;
pub mod dev;
mod error_chain;
pub mod grpc;
pub mod identity;
pub mod model;
pub mod proto;
pub mod server;
pub mod store;
pub mod telemetry;

pub use error_chain::error_chain;
