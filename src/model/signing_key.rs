//! A key that signs access tokens: where in its life it is, and what is due given a time.
//!
//! A key is made as the next one, published and not signing; then it is the active one;
//! then it is retiring, published while a token of its can live; then gone. There is
//! always one active key and one that is next.

mod plan;

use std::{fmt, str::FromStr, time::Duration};

use time::OffsetDateTime;

pub use plan::{Step, plan, remaining_lead};

/// For how long a key that has stopped signing is published beyond the life of its last
/// token: for replicas that learn of it late, and for clocks that disagree.
const MARGIN: Duration = Duration::from_secs(5 * 60);

/// The longest that verifiers may keep the key set.
const LONGEST_MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// How a key signs (RFC 7518 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037).
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::EdDsa, Self::Es256];

    /// As the `alg` of a token has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }
}

/// The text is no [`Algorithm`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("keys sign with EdDSA or ES256")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        let mut known = Self::ALL.into_iter();
        known
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or(UnknownAlgorithm)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where in its life a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published; does not sign yet.
    Next,
    /// Signs. There is one.
    Active {
        /// When it began to.
        activated_at: OffsetDateTime,
    },
    /// Does not sign any more; published while a token of its can live.
    Retiring {
        /// When it began to sign.
        activated_at: OffsetDateTime,
        /// When it stopped.
        retired_at: OffsetDateTime,
        /// From when on it is not published.
        expires_at: OffsetDateTime,
    },
    /// Not published.
    Gone {
        /// When it began to sign, if it ever did.
        activated_at: Option<OffsetDateTime>,
        /// When it stopped, or was replaced.
        retired_at: OffsetDateTime,
        /// Since when it is not published.
        expires_at: OffsetDateTime,
        /// Whether it was dropped in an emergency, with its tokens.
        dropped: bool,
    },
}

/// What is known of a key but its halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// The `kid` of the tokens that it signs: its thumbprint (RFC 7638).
    pub kid: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// When it was made, and published.
    pub created_at: OffsetDateTime,
    /// Where in its life it is.
    pub state: KeyState,
}

impl SigningKey {
    /// When it began to sign.
    #[must_use]
    pub fn activated_at(&self) -> Option<OffsetDateTime> {
        match self.state {
            KeyState::Next => None,
            KeyState::Active { activated_at } | KeyState::Retiring { activated_at, .. } => {
                Some(activated_at)
            }
            KeyState::Gone { activated_at, .. } => activated_at,
        }
    }

    /// When it stopped signing, or was replaced before it did.
    #[must_use]
    pub fn retired_at(&self) -> Option<OffsetDateTime> {
        match self.state {
            KeyState::Next | KeyState::Active { .. } => None,
            KeyState::Retiring { retired_at, .. } | KeyState::Gone { retired_at, .. } => {
                Some(retired_at)
            }
        }
    }

    /// When it is, or was, no longer published.
    #[must_use]
    pub fn expires_at(&self) -> Option<OffsetDateTime> {
        match self.state {
            KeyState::Next | KeyState::Active { .. } => None,
            KeyState::Retiring { expires_at, .. } | KeyState::Gone { expires_at, .. } => {
                Some(expires_at)
            }
        }
    }

    /// Whether it signs.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.state, KeyState::Active { .. })
    }

    /// Whether it will sign.
    #[must_use]
    pub fn is_next(&self) -> bool {
        matches!(self.state, KeyState::Next)
    }
}

/// How keys live.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How new keys sign.
    pub algorithm: Algorithm,
    /// For how long a key signs.
    pub lifetime: Duration,
    /// For how long a key is published before it signs, at least.
    pub lead: Duration,
    /// How long an access token lives.
    pub access_token_lifetime: Duration,
    /// For how long the token of a single-token session can be renewed.
    pub renewal: Duration,
}

impl Policy {
    /// For how long a key is published after it has stopped signing.
    #[must_use]
    pub fn retention(&self) -> Duration {
        self.access_token_lifetime + MARGIN
    }

    /// For how long verifiers may keep the key set: so much shorter than the lead that
    /// each has fetched a key before it signs, with every replica having learned of it.
    #[must_use]
    pub fn max_age(&self) -> Duration {
        (self.lead / 3).min(LONGEST_MAX_AGE)
    }
}
