//! The ids of users and sessions.

use std::fmt;

use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id: a UUID version 7 (RFC 9562), so that ids sort by the time they
            /// were made.
            #[cfg(feature = "server")]
            #[must_use]
            #[expect(clippy::disallowed_methods, reason = "its time orders lists")]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }
    };
}

id! {
    /// The id of a user: the `sub` claim.
    UserId
}

id! {
    /// The id of a session: the `sid` claim.
    SessionId
}
