//! The private Postgres that `rollcall dev` and the tests run on.
pub mod postgres;
