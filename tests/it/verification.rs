//! What services ask, and are told, about tokens.

mod fleet;
mod introspect;
mod watch;
mod well_known;
