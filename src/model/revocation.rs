//! Revocations: what makes access tokens void, or outdated, before they expire.

use time::OffsetDateTime;

use super::{
    ids::{SessionId, UserId},
    role::Roles,
};

/// Something that happened to tokens which may not have expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// When, by the database's clock.
    pub at: OffsetDateTime,
    /// What.
    pub revoked: Revoked,
}

/// Which tokens are meant, and what is wrong with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// A session has ended, and all its tokens are void.
    Session {
        /// The `sid` claim.
        session_id: SessionId,
        /// The `sub` claim.
        user_id: UserId,
    },
    /// The roles of a user have changed, and tokens made before show others.
    Roles {
        /// The `sub` claim.
        user_id: UserId,
        /// The roles after the change.
        roles: Roles,
    },
    /// A session was refreshed, and only its newest token counts.
    Superseded {
        /// The `sid` claim.
        session_id: SessionId,
        /// The first `gen` that counts.
        generation: u32,
    },
    /// A signing key is not to be trusted, and all its tokens are void.
    Key {
        /// The `kid` of the header.
        kid: String,
    },
}
