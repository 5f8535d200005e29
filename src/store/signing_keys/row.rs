//! The row of a key, and what may stand in it.

use diesel::{
    prelude::Queryable,
    sql_types::{Bool, Nullable, Text, Timestamptz},
};
use time::OffsetDateTime;

use super::{super::Error, ACTIVE, GONE, NEXT, RETIRING, Sealed, SealedKey};
use crate::model::signing_key::{Algorithm, KeyState, SigningKey};

/// The types of [`KeyRow`]'s columns.
pub(super) type KeySql = (
    Text,
    Text,
    Text,
    Timestamptz,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
    Bool,
);

#[derive(Queryable)]
pub(super) struct KeyRow {
    kid: String,
    algorithm: String,
    state: String,
    created_at: OffsetDateTime,
    activated_at: Option<OffsetDateTime>,
    retired_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
    dropped: bool,
}

impl KeyRow {
    pub(super) fn with_half(
        self,
        private: Vec<u8>,
        public: Option<Vec<u8>>,
    ) -> Result<SealedKey, Error> {
        let key = SigningKey::try_from(self)?;
        let sealed = match (key.state, public) {
            (KeyState::Next | KeyState::Active { .. }, _) => Sealed::Private(private),
            (KeyState::Retiring { .. } | KeyState::Gone { .. }, Some(public)) => {
                Sealed::Public(public)
            }
            (KeyState::Retiring { .. } | KeyState::Gone { .. }, None) => {
                return Err(corrupt("sealed_public", &key.kid));
            }
        };
        Ok(SealedKey { key, sealed })
    }

    fn key_state(&self) -> Option<KeyState> {
        let times = (self.activated_at, self.retired_at, self.expires_at);
        match (self.state.as_str(), times) {
            (NEXT, (None, None, None)) => Some(KeyState::Next),
            (ACTIVE, (Some(activated_at), None, None)) => Some(KeyState::Active { activated_at }),
            (RETIRING, (Some(activated_at), Some(retired_at), Some(expires_at))) => {
                Some(KeyState::Retiring {
                    activated_at,
                    retired_at,
                    expires_at,
                })
            }
            (GONE, (activated_at, Some(retired_at), Some(expires_at))) => Some(KeyState::Gone {
                activated_at,
                retired_at,
                expires_at,
                dropped: self.dropped,
            }),
            _ => None,
        }
    }
}

impl TryFrom<KeyRow> for SigningKey {
    type Error = Error;

    fn try_from(row: KeyRow) -> Result<Self, Error> {
        let state = row.key_state().ok_or_else(|| corrupt("state", &row.kid))?;
        let algorithm: Result<Algorithm, _> = row.algorithm.parse();
        Ok(Self {
            algorithm: algorithm.map_err(|_| corrupt("algorithm", &row.kid))?,
            created_at: row.created_at,
            state,
            kid: row.kid,
        })
    }
}

fn corrupt(what: &str, kid: &str) -> Error {
    Error::Corrupt {
        what: format!("{what} of signing key {kid}"),
    }
}
