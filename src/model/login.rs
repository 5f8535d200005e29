//! Login names: kept as typed, matched in one form (RFC 8265 section 3.3).
//!
//! What looks like a telephone number is matched without its spaces and hyphens, whatever
//! kind of login it is, so that one number is one user's.

mod kind;

pub use kind::{LoginKind, UserLogin};

use kind::{is_email, phone_key, phone_prefix};
use precis_core::{Error as PrecisError, UnexpectedError, profile::PrecisFastInvocation};
use precis_profiles::UsernameCaseMapped;

/// The most characters (code points) of a login, as typed and in its matched form.
pub const MAX_CHARACTERS: usize = 128;

/// A login name as the PRECIS profile `UsernameCaseMapped` allows it: no spaces, no
/// control or compatibility characters, letters of both cases and of full width alike.
///
/// Letters of different scripts that look alike stay different.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    typed: String,
    key: String,
}

impl Login {
    /// Parses a login as typed.
    ///
    /// # Errors
    ///
    /// [`LoginError`] names the limit that is broken.
    pub fn parse(typed: &str) -> Result<Self, LoginError> {
        let key = key(typed)?;
        // The profile is not idempotent by construction (RFC 8265 section 3.3.3 applies
        // its rules once). A login whose key were another user's login would let one
        // take over the other.
        if key != self::key(&key).map_err(|_| LoginError::Unstable)? {
            return Err(LoginError::Unstable);
        }
        Ok(Self {
            typed: typed.to_owned(),
            key,
        })
    }

    /// Parses an email address as typed.
    ///
    /// # Errors
    ///
    /// [`LoginError`] names the limit that is broken.
    pub fn email(typed: &str) -> Result<Self, LoginError> {
        let login = Self::parse(typed)?;
        if is_email(&login.key) {
            Ok(login)
        } else {
            Err(LoginError::Email)
        }
    }

    /// Parses a telephone number as typed.
    ///
    /// # Errors
    ///
    /// [`LoginError::Phone`].
    pub fn phone(typed: &str) -> Result<Self, LoginError> {
        within_length(typed)?;
        let key = phone_key(typed).ok_or(LoginError::Phone)?;
        Ok(Self {
            typed: typed.to_owned(),
            key,
        })
    }

    /// What the keys of logins begin with that begin with `typed`.
    ///
    /// # Errors
    ///
    /// [`LoginError`] where no login can begin like that.
    pub fn key_of_prefix(typed: &str) -> Result<String, LoginError> {
        within_length(typed)?;
        match phone_prefix(typed) {
            Some(key) => Ok(key),
            None => precis_key(typed),
        }
    }

    /// The key under which the user with this login would be found; `None` when it is
    /// nobody's login because it could not be one.
    #[must_use]
    pub fn key_for_lookup(typed: &str) -> Option<String> {
        Self::parse(typed).ok().map(|login| login.key)
    }

    /// The login as typed, to be shown.
    #[must_use]
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// The form that is unique and matched. Its own key is itself.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

fn key(typed: &str) -> Result<String, LoginError> {
    within_length(typed)?;
    if let Some(phone) = phone_key(typed) {
        return Ok(phone);
    }
    let key = precis_key(typed)?;
    // Digits of full width have become plain ones.
    Ok(phone_key(&key).unwrap_or(key))
}

fn precis_key(typed: &str) -> Result<String, LoginError> {
    let key = UsernameCaseMapped::enforce(typed).map_err(LoginError::from_precis)?;
    // Mapping can lengthen: a capital I with a dot becomes two characters.
    within_length(&key)?;
    Ok(key.into_owned())
}

fn within_length(login: &str) -> Result<(), LoginError> {
    // The bytes first, so that an oversize string is not even counted.
    let fits = login.len() <= 4 * MAX_CHARACTERS && login.chars().count() <= MAX_CHARACTERS;
    if login.is_empty() || !fits {
        return Err(LoginError::Length);
    }
    Ok(())
}

/// Why a string is not a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Empty, or too long as typed or in its matched form.
    #[error("a login has 1 to {MAX_CHARACTERS} characters")]
    Length,
    /// A character that is never allowed, or not where it stands.
    #[error(
        "a login must not have the character U+{0:04X} there; letters, digits and ASCII punctuation are allowed, spaces are not"
    )]
    Character(u32),
    /// A mixture of writing directions.
    #[error("a login with right-to-left letters must keep to the Bidi rule (RFC 5893 section 2)")]
    Direction,
    /// Not `local@domain`.
    #[error("an email address is `local@domain`, without quotes or spaces")]
    Email,
    /// Not a telephone number.
    #[error("a telephone number is `+` and 7 to 15 digits, which spaces and hyphens may separate")]
    Phone,
    /// Mapping it twice gives another form than mapping it once.
    #[error("a login must keep its form when it is mapped again (RFC 8265 section 3.3)")]
    Unstable,
}

impl LoginError {
    fn from_precis(error: PrecisError) -> Self {
        match error {
            PrecisError::BadCodepoint(at)
            | PrecisError::Unexpected(
                UnexpectedError::ContextRuleNotApplicable(at)
                | UnexpectedError::MissingContextRule(at),
            ) => Self::Character(at.cp),
            // Emptiness, the other cause of `Invalid`, was excluded before.
            PrecisError::Invalid => Self::Direction,
            PrecisError::Unexpected(
                UnexpectedError::ProfileRuleNotApplicable | UnexpectedError::Undefined,
            ) => Self::Unstable,
        }
    }
}

#[cfg(test)]
mod tests;
