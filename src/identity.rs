//! The flows.
pub mod password;
