//! For services and devices: check access tokens alone, and keep a session alive.
//!
//! - [`Verifier`] checks access tokens in memory: signature, times, and whether they died
//!   before their `exp`, of which it learns from `Verification.WatchRevocations`.
//! - [`VerifyLayer`] puts it in front of a tonic or any other HTTP service.
//! - [`TokenSource`] keeps a device, or a service with an account, signed in.
//!
//! Nothing here calls Rollcall while a request waits, but for what is asked for by name:
//! [`WhenStale::Introspect`], [`VerifyLayer::renew_single_tokens`], and the first fetch of
//! a key that is not known yet.
//!
//! Addresses are URLs or [`tonic::transport::Endpoint`]s; with `https` the system's
//! authorities are trusted, unless a [`Tls`] or the endpoint says otherwise.

pub(crate) mod answer;
mod backoff;
pub(crate) mod clock;
pub(crate) mod endpoint;
mod layer;
mod tls;
mod token_source;
mod verifier;

pub use endpoint::AddressError;
pub use layer::{Origin, SUCCESSOR_HEADER, Verify, VerifyLayer};
pub use tls::{Tls, TlsError};
pub use token_source::{
    AccessToken, Change, FileStore, MemoryStore, SignInAgain, Store, TokenError, TokenSource,
    TokenSourceBuilder, Tokens,
};
pub use verifier::{ConnectError, Verifier, VerifierBuilder, VerifyError, WhenStale};

pub use crate::model::{
    access_token::{Claims, Invalid},
    ids::{SessionId, UserId},
    token_mode::TokenMode,
};
