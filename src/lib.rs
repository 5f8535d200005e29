//! Rollcall, a gRPC identity service in which every device has a session of its own.

pub mod dev;
pub mod identity;
pub mod model;
pub mod proto;
pub mod store;
