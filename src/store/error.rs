//! What can go wrong between a statement and its answer.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use thiserror::Error;

use super::tls::TlsError;

/// The error beneath one of ours.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why the store could not do what it was asked for. None of them says that a row is
/// absent (lookups answer an `Option`), and none tells whether a statement whose
/// connection broke took effect.
#[derive(Debug, Error)]
pub enum Error {
    /// No connection could be had, it broke, or the server takes no writes (a standby,
    /// after a failover). The same call may succeed later.
    #[error("the database is unavailable")]
    Unavailable(#[source] Source),
    /// The transaction met another one (SQLSTATE 40001 or 40P01) and was rolled back;
    /// [`Pool::run`](super::Pool::run) has tried again already.
    #[error("the transaction conflicted with another")]
    Conflict(#[source] Source),
    /// The statement was canceled, by `statement_timeout` or by request.
    #[error("the statement was canceled")]
    Deadline(#[source] Source),
    /// A row holds what the code says it cannot.
    #[error("a row that cannot be: {what}")]
    Corrupt {
        /// Which row, and what is wrong with it; nothing secret.
        what: String,
    },
    /// What the address of the database asks of TLS cannot be done on this machine.
    #[error("the connection to the database cannot be set up")]
    Setup(#[source] Source),
    /// Anything else: a mistake in the code or in the schema.
    #[error("the database answered with an error")]
    Unexpected(#[source] Source),
}

impl Error {
    /// The name of the unique constraint or index that an INSERT or UPDATE ran into.
    pub fn unique_violation(&self) -> Option<&str> {
        let Self::Unexpected(source) = self else {
            return None;
        };
        match source.downcast_ref() {
            Some(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, information)) => {
                information.constraint_name()
            }
            _ => None,
        }
    }
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        let make: fn(Source) -> Self = match &error {
            DieselError::DatabaseError(kind, information) => match kind {
                DatabaseErrorKind::SerializationFailure => Self::Conflict,
                DatabaseErrorKind::UnableToSendCommand
                | DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::ReadOnlyTransaction => Self::Unavailable,
                DatabaseErrorKind::Unknown => by_message(information.message()),
                _ => Self::Unexpected,
            },
            DieselError::BrokenTransactionManager => Self::Unavailable,
            DieselError::DeserializationError(cause) => {
                return Self::Corrupt {
                    what: cause.to_string(),
                };
            }
            DieselError::RollbackErrorOnCommit { .. } => Self::Unavailable,
            _ => Self::Unexpected,
        };
        make(error.into())
    }
}

/// diesel has a kind for a few SQLSTATEs and drops the others (40P01, 57014, 57P01),
/// so the text of the server's message has to do. A server set to another language
/// than English (`lc_messages`) makes these three [`Error::Unexpected`].
fn by_message(message: &str) -> fn(Source) -> Error {
    if message == "deadlock detected" {
        Error::Conflict
    } else if message.starts_with("canceling statement due to") {
        Error::Deadline
    } else if message.starts_with("terminating connection") {
        Error::Unavailable
    } else {
        Error::Unexpected
    }
}

impl From<TlsError> for Error {
    fn from(error: TlsError) -> Self {
        Self::Setup(error.into())
    }
}

#[cfg(test)]
mod tests;
