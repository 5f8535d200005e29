//! Rollcall, a gRPC identity service in which every device has a session of its own.
//!
//! The library is what the binary `rollcall` is made of, and what the tests drive. Its
//! interface to the world is `proto/rollcall/v1` and [`client`]; nothing promises that the rest
//! of its Rust API stays.
//!
//! # The map
//!
//! Imports point one way: [`server`] → [`grpc`] → [`identity`] → [`store`] → [`model`].
//! `tests/it/layering.rs` holds it.
//!
//! | module | what it is | what it knows nothing of |
//! |---|---|---|
//! | [`model`] | what a user, a session, a refresh token is, and the rules given a time | async, SQL, gRPC |
//! | [`store`] | one function, one statement; takes a connection; the only place with diesel | gRPC, the order of steps |
//! | [`identity`] | the flows (sign in, refresh, end sessions, change users): the order of the steps | SQL, gRPC |
//! | [`grpc`] | parse a request, call a flow, make the reply; one file maps errors to the wire | connections, keys |
//! | [`server`] | the composition root: listener, pool, keys, layers, health, drain | |
//!
//! Around them: [`config`] is the command line, [`command`] what each command does,
//! [`proto`] the generated code, [`telemetry`] logs and traces, [`metrics`] what Prometheus
//! reads, [`dev`] the private Postgres of `rollcall dev` and of the tests, and what else it
//! shows.
//!
//! [`client`] is for the other side: services that check access tokens, and devices, of which
//! the commands that ask a server are one. It is the feature `client`; everything above is the
//! feature `server`.
//!
//! # The flow of a refresh
//!
//! 1. [`server`] gives the call an id and a deadline, and answers UNAVAILABLE until the
//!    schema and the keys are ready.
//! 2. [`grpc`] parses it into an [`identity::Refresh`], or names every field that is wrong.
//! 3. [`identity::Identity::refresh`] decodes the token. One that this deployment did not
//!    make fails its MAC ([`model::refresh_token`]) and meets no database.
//! 4. [`store::sessions::rotate`] succeeds the generation by the next in one statement,
//!    which matches only a live session that stands where the token says.
//! 5. Where it matched nothing, the row is read once and [`model::verdict::judge`] tells an
//!    honest retry from a theft. A theft ends that session in
//!    [`store::sessions::revoke_judged`], in a task of its own.
//! 6. The tokens are computed from the row, so that a retry gets the same ones.
//!
//! `ARCHITECTURE.md` goes through it file by file, and says why it is so.
//!
//! # Invariants
//!
//! 1. **One row per device session.** A refresh changes it in place; nothing accumulates.
//! 2. **A refresh is one statement.** A crash leaves either the old generation or the new.
//! 3. **One clock: the database's.** It alone decides whether a session lives, and the times
//!    in a token come from the row.
//! 4. **Nothing in the database signs anybody in**: no token, and signing keys only sealed.
//! 5. **Honest clients survive.** Any number of uses of one refresh request give one new
//!    generation and the same successor.
//! 6. **A fork is theft.** Two different refreshes of one generation end that session at the
//!    second, and no other.
//! 7. **Revoked is revoked.** After a revoke answered OK, no refresh of that session succeeds
//!    on any replica, and verifiers that follow the feed reject its access tokens within a
//!    second; those that have lost it know.
//! 8. **A failure never revokes.** A timeout or a lost connection changes no verdict.
//! 9. **Garbage never reaches the database.** It fails its MAC before any query.
//! 10. **Hashing never starves the rest.** Passwords are hashed behind a bound; the surplus is
//!     refused at once.
//!
//! # What is deliberately absent
//!
//! - A cache of sessions: a revoke through one replica must hold on all.
//! - A table of revocations: the rows say what has ended, and the feed reads them.
//! - A history of tokens: an old generation proves itself by its MAC.
//! - Traits over the store: there is one backend.
//! - A transaction around a refresh: each of its statements stands alone.
//! - Wall clocks, but in UUIDs, which order lists and decide nothing, in the times of log
//!   lines, where certificates are checked, and in [`client`], which runs on other
//!   machines.

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod command;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod dev;
mod error_chain;
#[cfg(feature = "server")]
pub mod grpc;
#[cfg(feature = "server")]
pub mod identity;
#[cfg(feature = "server")]
pub mod metrics;
pub mod model;
pub mod proto;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
mod spans;
#[cfg(feature = "server")]
pub mod store;
#[cfg(feature = "server")]
pub mod telemetry;

pub use error_chain::error_chain;
