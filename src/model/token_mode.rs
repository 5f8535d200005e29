//! Which tokens a client holds.

use serde::{Deserialize, Serialize};

/// Which tokens a client holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TokenMode {
    /// An access token, and a refresh token to get the next with.
    #[default]
    Pair,
    /// An access token alone, which takes the part of the refresh token.
    Single,
}

impl TokenMode {
    /// The text of the mode in a row.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pair => "PAIR",
            Self::Single => "SINGLE",
        }
    }

    /// The mode that has this text in a row.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pair, Self::Single]
            .into_iter()
            .find(|mode| mode.as_str() == text)
    }

    /// Whether it is [`TokenMode::Pair`], which access tokens do not mention.
    #[must_use]
    pub fn is_pair(&self) -> bool {
        *self == Self::Pair
    }
}
