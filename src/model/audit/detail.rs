//! What belongs to the kind of an event, as rows have it in JSON.
//!
//! The names are part of the schema: a row outlives the release that wrote it, and two
//! releases write side by side. A field that comes later has a default.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use time::OffsetDateTime;

use super::EventKind;
use crate::model::{
    binding::Reaction,
    session::{Device, EndReason, Origin},
    user::User,
    verdict::Reuse,
};

/// What belongs to the kind of an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// Of [`EventKind::SignedIn`] and [`EventKind::NewDevice`].
    SignIn(SignIn),
    /// Of [`EventKind::SignInFailed`] and [`EventKind::UserLocked`].
    SignInFailure(SignInFailure),
    /// Of [`EventKind::SessionEnded`].
    SessionEnd(SessionEnd),
    /// Of [`EventKind::RefreshTokenReused`].
    RefreshTokenReuse(RefreshTokenReuse),
    /// Of [`EventKind::SessionBindingBroken`].
    BindingBreach(BindingBreach),
    /// Of [`EventKind::UserCreated`], [`EventKind::UserUpdated`] and
    /// [`EventKind::UserDeleted`].
    UserChange(UserChange),
    /// Of [`EventKind::LoginAdded`] and [`EventKind::LoginRemoved`].
    UserLogin(UserLogin),
    /// Of [`EventKind::SigningKeyRotated`].
    SigningKeyRotation(SigningKeyRotation),
    /// Of [`EventKind::PasswordResetTokenIssued`].
    PasswordResetTokenIssue(PasswordResetTokenIssue),
    /// Of [`EventKind::SessionsRevoked`].
    SessionsRevocation(SessionsRevocation),
}

impl Detail {
    /// As a row has it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// What a row of this kind has; `None` where it has nothing, or what this release does
    /// not know.
    #[must_use]
    pub fn from_json(kind: EventKind, json: Value) -> Option<Self> {
        fn of<T: DeserializeOwned>(json: Value, detail: fn(T) -> Detail) -> Option<Detail> {
            serde_json::from_value(json).ok().map(detail)
        }
        match kind {
            EventKind::SignedIn | EventKind::NewDevice => of(json, Self::SignIn),
            EventKind::SignInFailed | EventKind::UserLocked => of(json, Self::SignInFailure),
            EventKind::SessionEnded => of(json, Self::SessionEnd),
            EventKind::RefreshTokenReused => of(json, Self::RefreshTokenReuse),
            EventKind::SessionBindingBroken => of(json, Self::BindingBreach),
            EventKind::UserCreated | EventKind::UserUpdated | EventKind::UserDeleted => {
                of(json, Self::UserChange)
            }
            EventKind::LoginAdded | EventKind::LoginRemoved => of(json, Self::UserLogin),
            EventKind::SigningKeyRotated => of(json, Self::SigningKeyRotation),
            EventKind::PasswordResetTokenIssued => of(json, Self::PasswordResetTokenIssue),
            EventKind::SessionsRevoked => of(json, Self::SessionsRevocation),
            EventKind::PasswordChanged
            | EventKind::PasswordSet
            | EventKind::PasswordReset
            | EventKind::PasswordResetRefused
            | EventKind::UserUnlocked
            | EventKind::SigningKeysResealed => None,
        }
    }
}

/// A sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// The device that signed in.
    pub device: Device,
    /// Whether none of the user's sessions before was of this device.
    #[serde(default)]
    pub new_device: bool,
    /// Whether none of the user's sessions before was seen in this network.
    #[serde(default)]
    pub new_network: bool,
}

/// A sign-in that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInFailure {
    /// Why.
    pub reason: SignInFailureReason,
    /// How many in a row have failed for this user, this one included; 0 where no password
    /// was checked.
    pub failed_attempts: u32,
    /// The application.
    pub client_id: String,
}

/// Why a sign-in failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SignInFailureReason {
    /// Nobody has the login.
    UnknownLogin,
    /// The password is wrong.
    WrongPassword,
    /// The user is disabled.
    Disabled,
    /// Too many passwords in a row were wrong.
    Locked,
    /// The user has as many sessions as are allowed.
    SessionLimit,
}

/// The end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnd {
    /// Why it ended.
    pub reason: EndReason,
}

/// A theft: what was used a second time, and who used the session last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshTokenReuse {
    /// How it was seen.
    pub reuse: Reuse,
    /// What was presented, and from where.
    pub replayed: TokenUse,
    /// The last good use before.
    pub last_good: TokenUse,
}

/// A use from elsewhere than the session is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingBreach {
    /// What happened to it.
    pub reaction: Reaction,
    /// What the session is bound to.
    pub bound: Bound,
    /// What was presented, and from where.
    pub presented: TokenUse,
    /// The last good use before.
    pub last_good: TokenUse,
}

/// What a session is bound to; `None` where that does not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// The addresses, in CIDR form.
    pub ip_prefix: Option<String>,
    /// The user agent.
    pub user_agent: Option<String>,
}

/// A use of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUse {
    /// The generation of the token, or of the session at its last good use.
    pub generation: u32,
    /// From where.
    #[serde(flatten)]
    pub origin: Origin,
    /// How long before the event, in seconds; 0 for what was presented.
    #[serde(default)]
    pub age_seconds: i64,
}

/// What changed of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserChange {
    /// The user after the change, or before the deletion.
    pub user: UserSnapshot,
    /// The roles before, where they were changed.
    #[serde(default)]
    pub earlier_roles: Vec<String>,
    /// Which of `display_name`, `roles` and `disabled` were changed.
    #[serde(default)]
    pub changed_fields: Vec<String>,
    /// Whether the user was imported.
    #[serde(default)]
    pub imported: bool,
}

/// A user as an event has it, whose `user_id` is that of the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSnapshot {
    /// The login as it was typed.
    pub login: String,
    /// What people call the user.
    pub display_name: String,
    /// What the user may do.
    pub roles: Vec<String>,
    /// Whether the user is kept from signing in.
    pub disabled: bool,
    /// When the user was created.
    #[serde(with = "micros")]
    pub created_at: OffsetDateTime,
    /// When the user was last changed.
    #[serde(with = "micros")]
    pub updated_at: OffsetDateTime,
}

impl From<&User> for UserSnapshot {
    fn from(user: &User) -> Self {
        Self {
            login: user.login.clone(),
            display_name: user.display_name.clone(),
            roles: user.roles.names().to_vec(),
            disabled: user.disabled_at.is_some(),
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// A login that was added or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserLogin {
    /// The name as it was typed.
    pub login: String,
    /// `USERNAME`, `EMAIL` or `PHONE`, as the row of the login has it.
    pub kind: String,
    /// When it was added.
    #[serde(with = "micros")]
    pub created_at: OffsetDateTime,
}

/// A change of the key that signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyRotation {
    /// The `kid` of the key that signs from then on.
    pub kid: String,
    /// Whether the earlier keys' tokens died with it.
    pub emergency: bool,
}

/// A password reset token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordResetTokenIssue {
    /// Until when it can be used.
    #[serde(with = "micros")]
    pub expires_at: OffsetDateTime,
}

/// Sessions ended by a filter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsRevocation {
    /// The filter, as ProtoJSON of `SessionFilter`.
    pub filter: String,
}

/// Times as whole microseconds since 1970, which is as fine as Postgres has them:
/// `store::audit` makes the same of a column.
mod micros {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use time::OffsetDateTime;

    pub(super) fn serialize<S: Serializer>(
        time: &OffsetDateTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let micros = time.unix_timestamp_nanos() / 1_000;
        // Of every time that there is, it fits.
        i64::try_from(micros)
            .unwrap_or_default()
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<OffsetDateTime, D::Error> {
        let micros = i64::deserialize(deserializer)?;
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
