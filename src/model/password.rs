//! Passwords and what makes one acceptable (NIST SP 800-63B-4 section 3.1.1).
//!
//! There are no composition rules and no expiry: length, and not being guessable, are
//! all that is asked for.

mod guessable;

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The most bytes of a password, counted as received, before normalization.
pub const MAX_BYTES: usize = 1024;

/// A password in NFC, wiped from memory when dropped and never shown.
///
/// It may be empty: an empty password is simply wrong at sign-in, and
/// [`PasswordPolicy::check`] refuses it where one is set.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password as received and normalizes it to NFC, so that it is the same
    /// however a keyboard composes its accents. Nothing is trimmed or cut.
    ///
    /// # Errors
    ///
    /// [`TooLong`] above [`MAX_BYTES`], before any other work.
    pub fn new(typed: &str) -> Result<Self, TooLong> {
        if typed.len() > MAX_BYTES {
            return Err(TooLong);
        }
        // NFC grows UTF-8 at most threefold (UAX #15). With that room reserved the
        // string is never moved, which would leave a copy that nobody wipes.
        let mut normal = Zeroizing::new(String::with_capacity(3 * typed.len()));
        normal.extend(typed.nfc());
        Ok(Self(normal))
    }

    /// The password itself, for hashing and comparing only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A password of more than [`MAX_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password has at most {MAX_BYTES} bytes")]
pub struct TooLong;

/// A password hash as stored: a PHC string, or the modular-crypt string of another system.
/// Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a PHC string. What it says is checked when a password is verified.
    #[must_use]
    pub fn from_phc(phc: String) -> Self {
        Self(phc)
    }

    /// The hash of a user who has no password: nothing matches it.
    #[must_use]
    pub fn none() -> Self {
        Self(String::new())
    }

    /// Whether it is that of a user who has no password.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The PHC string, for storing and verifying only.
    #[must_use]
    pub fn as_phc(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// What a new password must withstand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    min_characters: usize,
}

impl PasswordPolicy {
    /// Asks for `min_characters` code points, counted in NFC.
    ///
    /// # Errors
    ///
    /// [`MinimumOutOfRange`] outside 8 to 64: NIST asks that fewer than 8 are never
    /// enough and that 64 are always allowed.
    pub fn new(min_characters: usize) -> Result<Self, MinimumOutOfRange> {
        if (8..=64).contains(&min_characters) {
            Ok(Self { min_characters })
        } else {
            Err(MinimumOutOfRange)
        }
    }

    /// Refuses a short password, which costs nothing to see.
    ///
    /// # Errors
    ///
    /// [`Weakness::TooShort`].
    pub fn check_length(&self, password: &Password) -> Result<(), Weakness> {
        let min = self.min_characters;
        if password.expose().chars().count() < min {
            return Err(Weakness::TooShort { min });
        }
        Ok(())
    }

    /// Refuses a short or guessable password. The whole password counts as guessable
    /// when little is left of it without the words of `context`: the user's login and
    /// display name, and names of the service besides `rollcall`, such as its host.
    ///
    /// Takes up to some 10 ms of computing: run it where that disturbs nobody.
    ///
    /// # Errors
    ///
    /// [`Weakness`], the first that is found.
    pub fn check(&self, password: &Password, context: &[&str]) -> Result<(), Weakness> {
        self.check_length(password)?;
        if guessable::is_guessable(password.expose(), context) {
            return Err(Weakness::Guessable);
        }
        Ok(())
    }
}

impl Default for PasswordPolicy {
    /// 15 characters: what NIST asks for where a password is the only factor.
    fn default() -> Self {
        Self { min_characters: 15 }
    }
}

/// A minimum length outside 8 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shortest password allowed must have 8 to 64 characters")]
pub struct MinimumOutOfRange;

/// Why a new password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Fewer characters than the policy asks for.
    #[error("a password has at least {min} characters")]
    TooShort {
        /// The least number of characters.
        min: usize,
    },
    /// Common, breached, a pattern, or made of names that belong to the user or the
    /// service.
    #[error(
        "the password is too common or too easy to guess; names of the user or the service do not help"
    )]
    Guessable,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> Result<(), Weakness> {
        PasswordPolicy::default().check(&Password::new(password).unwrap(), &[])
    }

    #[test]
    fn a_kibibyte_is_taken_and_a_byte_more_refused() {
        assert!(Password::new(&"x".repeat(1024)).is_ok());
        assert_eq!(Password::new(&"x".repeat(1025)).unwrap_err(), TooLong);
        assert!(Password::new(&"é".repeat(513)).is_err());
    }

    #[test]
    fn a_long_password_is_kept_whole() {
        let typed = "correct horse ".repeat(70);
        assert_eq!(Password::new(&typed).unwrap().expose(), typed);
    }

    #[test]
    fn decomposed_and_composed_accents_are_one_password() {
        let composed = Password::new("r\u{e9}sum\u{e9} \u{1e69}").unwrap();
        let decomposed = Password::new("re\u{301}sume\u{301} s\u{307}\u{323}").unwrap();
        assert_eq!(composed.expose(), decomposed.expose());
    }

    #[test]
    fn no_input_outgrows_the_room_reserved_for_normalization() {
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let normal = c.nfc().map(char::len_utf8).sum::<usize>();
            assert!(normal <= 3 * c.len_utf8(), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn an_empty_password_can_be_tried_but_not_set() {
        assert!(Password::new("").is_ok());
        assert_eq!(check(""), Err(Weakness::TooShort { min: 15 }));
    }

    #[test]
    fn fourteen_characters_are_refused_and_fifteen_taken() {
        assert_eq!(check("vT9#qLw2!zRx7m"), Err(Weakness::TooShort { min: 15 }));
        assert_eq!(check("vT9#qLw2!zRx7mK"), Ok(()));
    }

    #[test]
    fn characters_are_code_points_after_normalization() {
        let fifteen = "žluťoučký kůň p";
        let decomposed: String = fifteen.nfd().collect();
        assert!(decomposed.chars().count() > 15);
        assert_eq!(check(&decomposed), Ok(()));
        let fourteen: String = fifteen.chars().take(14).nfd().collect();
        assert_eq!(check(&fourteen), Err(Weakness::TooShort { min: 15 }));
    }

    #[test]
    fn a_minimum_outside_8_to_64_is_refused() {
        assert_eq!(PasswordPolicy::new(7), Err(MinimumOutOfRange));
        assert!(PasswordPolicy::new(8).is_ok());
        assert!(PasswordPolicy::new(64).is_ok());
        assert_eq!(PasswordPolicy::new(65), Err(MinimumOutOfRange));
    }

    #[test]
    fn a_lower_minimum_takes_shorter_passwords() {
        let policy = PasswordPolicy::new(8).unwrap();
        let password = Password::new("vT9#qLw2").unwrap();
        assert_eq!(policy.check(&password, &[]), Ok(()));
    }

    #[test]
    fn debug_and_errors_show_no_secret() {
        let password = Password::new("hunter2hunter2!").unwrap();
        let hash = PasswordHash::from_phc("$argon2id$hunter2".to_owned());
        let weakness = PasswordPolicy::default().check(&password, &[]).unwrap_err();
        for shown in [
            format!("{password:?}"),
            format!("{hash:?}"),
            format!("{weakness} {weakness:?}"),
        ] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
