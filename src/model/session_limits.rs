//! How many sessions a user may have at once.

/// How many live sessions a user may have, and what happens to a sign-in beyond that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// The most of one user.
    pub per_user: u32,
    /// The most of one user and `client_id`; `None` for as many as of the user.
    pub per_client: Option<u32>,
    /// What happens beyond that.
    pub when_full: WhenFull,
}

/// What happens when a user has as many sessions as are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The least recently seen ends.
    EndLeastRecent,
    /// The sign-in is refused.
    Refuse,
}

/// Which limit a sign-in ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionLimit {
    /// That of the user.
    User,
    /// That of the user and the `client_id`.
    Client,
}

impl SessionLimit {
    /// The name of the limit in an error's metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Client => "client",
        }
    }
}
