//! Login names: kept as typed, matched in one form (RFC 8265 section 3.3).

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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key_of(typed: &str) -> String {
        Login::parse(typed).unwrap().key().to_owned()
    }

    /// Every accepted login's key is a login, and its own key.
    fn assert_stable(typed: &str) {
        if let Ok(login) = Login::parse(typed) {
            let again = Login::parse(login.key()).map(|again| again.key);
            assert_eq!(again.as_deref(), Ok(login.key()), "{typed:?}");
        }
    }

    #[test]
    fn ordinary_logins_are_kept_as_typed_and_matched_in_lower_case() {
        let login = Login::parse("Ana.Perez+Ops@Example.com").unwrap();
        assert_eq!(login.typed(), "Ana.Perez+Ops@Example.com");
        assert_eq!(login.key(), "ana.perez+ops@example.com");
    }

    #[test]
    fn spellings_of_one_login_have_one_key() {
        for (one, other) in [
            ("ANA", "ana"),
            ("ａｎａ", "ana"),
            ("ＡＮＡ", "ana"),
            ("Ángel", "a\u{301}ngel"),
            ("\u{1e69}", "s\u{307}\u{323}"),
            ("s\u{323}\u{307}", "s\u{307}\u{323}"),
            ("ΣΟΦΙΑ", "σοφια"),
            ("ĞÜL", "ğül"),
            ("İ", "i\u{307}"),
        ] {
            assert_eq!(key_of(one), key_of(other), "{one} {other}");
        }
    }

    #[test]
    fn logins_that_differ_have_different_keys() {
        for (one, other) in [
            ("ırmak", "irmak"),
            ("İrmak", "irmak"),
            ("straße", "strasse"),
        ] {
            assert_ne!(key_of(one), key_of(other), "{one} {other}");
        }
    }

    #[test]
    fn characters_with_a_compatibility_twin_are_refused() {
        for twin in [
            "\u{212a}elvin",
            "\u{17f}am",
            "ﬁsh",
            "x²",
            "\u{1d2e}igbird",
            "Ⅸ",
        ] {
            let first = Login::parse(twin);
            assert!(matches!(first, Err(LoginError::Character(_))), "{twin}");
        }
    }

    #[test]
    fn spaces_controls_and_invisible_characters_are_refused() {
        for c in [
            ' ', '\u{a0}', '\u{3000}', '\0', '\n', '\u{7f}', '\u{200b}', '\u{200d}', '\u{202e}',
            '\u{feff}',
        ] {
            let refused = Login::parse(&format!("a{c}b")).unwrap_err();
            assert!(matches!(refused, LoginError::Character(_)), "{c:?}");
        }
        let shown = Login::parse("a\u{1b}b").unwrap_err().to_string();
        assert!(
            shown.contains("U+001B") && !shown.contains('\u{1b}'),
            "{shown}"
        );
    }

    #[test]
    fn mixed_directions_are_refused() {
        assert!(Login::parse("אבג").is_ok());
        assert_eq!(Login::parse("אבa"), Err(LoginError::Direction));
    }

    #[test]
    fn length_is_1_to_128_characters_typed_and_mapped() {
        assert_eq!(Login::parse(""), Err(LoginError::Length));
        assert!(Login::parse(&"é".repeat(128)).is_ok());
        assert_eq!(Login::parse(&"é".repeat(129)), Err(LoginError::Length));
        assert!(Login::parse(&"İ".repeat(64)).is_ok());
        assert_eq!(Login::parse(&"İ".repeat(65)), Err(LoginError::Length));
        assert_eq!(Login::parse(&"x".repeat(1 << 20)), Err(LoginError::Length));
    }

    #[test]
    fn a_lookup_finds_the_key_or_knows_that_nobody_has_it() {
        assert_eq!(Login::key_for_lookup("ANA").as_deref(), Some("ana"));
        assert_eq!(Login::key_for_lookup("ana "), None);
        assert_eq!(Login::key_for_lookup(""), None);
    }

    #[test]
    fn mapping_twice_is_mapping_once_for_every_code_point() {
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            assert_stable(c.encode_utf8(&mut [0; 4]));
            assert_stable(&format!("A{c}"));
            assert_stable(&format!("{c}\u{345}"));
        }
    }

    #[test]
    fn letters_whose_mapped_form_is_no_login_are_refused() {
        // The lower case of this Cherokee letter is newer than the registry of PRECIS.
        assert_eq!(Login::parse("\u{13a0}"), Err(LoginError::Unstable));
    }

    proptest! {
        #[test]
        fn mapping_twice_is_mapping_once_for_any_string(
            typed in "\\PC{0,20}|[\\p{L}\\p{M}\\p{Nd}]{0,20}|[\\p{L}\\p{M}]{1,4}",
        ) {
            assert_stable(&typed);
        }
    }
}
