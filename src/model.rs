//! What a user, a session and a refresh token are, and the rules given a time.
//!
//! Pure: no I/O, no database, no protocol.

pub mod ids;
pub mod login;
pub mod password;
pub mod refresh_token;
pub mod role;
pub mod session;
pub mod user;
pub mod verdict;
