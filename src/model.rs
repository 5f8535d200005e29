//! What things are, and the rules given a time. Pure.
pub mod login;
pub mod password;
