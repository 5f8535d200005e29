//! What a user, a session and a token are, and the rules given a time.
//!
//! Pure: no I/O, no database, no protocol.

pub mod access_token;
#[cfg(feature = "server")]
pub mod attempts;
#[cfg(feature = "server")]
pub mod audit;
#[cfg(feature = "server")]
pub mod binding;
#[cfg(feature = "server")]
pub mod forwarded;
pub mod ids;
pub mod jwk;
#[cfg(feature = "server")]
pub mod login;
#[cfg(feature = "server")]
pub mod mac;
#[cfg(feature = "server")]
pub mod password;
#[cfg(feature = "server")]
pub mod password_reset_token;
#[cfg(feature = "server")]
pub mod refresh_token;
#[cfg(feature = "server")]
pub mod revocation;
#[cfg(feature = "server")]
pub mod role;
#[cfg(feature = "server")]
pub mod san;
#[cfg(feature = "server")]
pub mod session;
#[cfg(feature = "server")]
pub mod session_limits;
#[cfg(feature = "server")]
pub mod signing_key;
#[cfg(feature = "server")]
mod stored_texts;
pub mod token_mode;
#[cfg(feature = "server")]
pub mod user;
#[cfg(feature = "server")]
pub mod verdict;
