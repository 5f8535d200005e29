//! Whether somebody who knows the user, or a list of common passwords, would guess one.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use zxcvbn::zxcvbn;

/// The service's own name is never a secret.
const SERVICE: &str = "rollcall";

/// Phrases that reach the usual lengths and are known to everybody; zxcvbn's lists hold
/// single words and short passwords.
const PHRASES: &[&str] = &[
    "correct horse battery staple",
    "the quick brown fox jumps over the lazy dog",
    "lorem ipsum dolor sit amet",
    "to be or not to be that is the question",
    "may the force be with you",
    "supercalifragilisticexpialidocious",
    "once upon a time",
    "i love you so much",
    "let me in please",
    "open sesame",
    "this is my password",
    "my password is",
    "password",
    "change me",
    "administrator",
    "welcome to",
];

/// What zxcvbn must make of a password: its score of 3, which eight arbitrary characters
/// just reach.
const MIN_GUESSES: u64 = 100_000_000;

/// What a password must still have beside known words: letters or digits.
const MIN_REMAINDER: usize = 8;

/// Parts of names shorter than this stand in too many words to mean anything.
const MIN_WORD: usize = 3;

/// Whether `password` is common, a pattern, or little more than names in `context`.
pub(super) fn is_guessable(password: &str, context: &[&str]) -> bool {
    let names: Vec<String> = [SERVICE]
        .iter()
        .chain(context)
        .flat_map(|n| words(n))
        .collect();
    if is_decoration(password, &names) {
        return true;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    zxcvbn(window(password), &names).guesses() < MIN_GUESSES
}

/// Whether hardly anything is left of the whole password without the words it is built
/// around: a name repeated, or dressed up with digits and punctuation.
fn is_decoration(password: &str, names: &[String]) -> bool {
    let known = PHRASES.iter().map(|phrase| skeleton(phrase));
    let mut known: Vec<String> = known.chain(names.iter().map(|n| skeleton(n))).collect();
    // The longest first: a part of a name must not break the whole of it up.
    known.sort_by_key(|word| std::cmp::Reverse(word.len()));

    let whole = skeleton(password);
    let mut rest = whole.clone();
    for word in known.iter().filter(|word| word.chars().count() >= MIN_WORD) {
        // A mark stays where a word was, so that its surroundings do not form a new one.
        rest = rest.replace(word.as_str(), "\0");
    }
    rest != whole && rest.chars().filter(|c| *c != '\0').count() < MIN_REMAINDER
}

/// A name as its owner would write it in a password: all of it, and each part.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![name.to_lowercase()];
    let parts = name.split(|c: char| !c.is_alphanumeric());
    words.extend(
        parts
            .filter(|p| p.chars().count() >= MIN_WORD)
            .map(str::to_lowercase),
    );
    words
}

/// The letters and digits of `text` without case, accents, width or the usual
/// substitutes for letters.
fn skeleton(text: &str) -> String {
    let plain = text.nfkd().filter(|c| !is_combining_mark(*c));
    let plain = plain.flat_map(char::to_lowercase).map(|c| match c {
        '0' => 'o',
        '1' | 'l' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    });
    plain.filter(|c| c.is_alphanumeric()).collect()
}

/// The beginning of `password` that zxcvbn is shown.
///
/// zxcvbn looks up every part of its input under every way to read its symbols as
/// letters, so that 100 characters with all symbols cost it seconds. A strong beginning
/// makes the whole strong, so a part is enough: up to 40 characters, or up to the symbol
/// that would be one too many, but 12 in any case. That is about 10 ms at most.
fn window(password: &str) -> &str {
    const SYMBOLS: &str = "4@8({[<3691!|70$5+%2";
    let mut seen = Vec::new();
    for (count, (at, c)) in password.char_indices().enumerate() {
        if SYMBOLS.contains(c) && !seen.contains(&c) {
            seen.push(c);
        }
        if count == 40 || (count >= 12 && seen.len() > 6) {
            return &password[..at];
        }
    }
    password
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANA: [&str; 3] = ["ana.perez@example.com", "Ana María Pérez", "id.example.org"];

    #[test]
    fn common_passwords_and_patterns_are_guessable() {
        for password in [
            "passwordpassword1",
            "Password123456789",
            "P@ssw0rd2024P@ssw0rd",
            "123456789012345",
            "qwertyuiopasdfghjkl",
            "1qaz2wsx3edc4rfv",
            "aaaaaaaaaaaaaaa",
            "abcdefghijklmnop",
            "iloveyouiloveyou1",
            "administrator2024",
            "manchesterunited",
            "ChangeMe-2024-!!",
            "Welcome to 2024!",
            "correcthorsebatterystaple",
            "Correct Horse Battery Staple 1",
            "maytheforcebewithyou",
        ] {
            assert!(is_guessable(password, &[]), "{password}");
        }
    }

    #[test]
    fn random_passwords_and_passphrases_are_not_guessable() {
        for password in [
            "vT9#qLw2!zRx7mK",
            "gusty-walnut-orbit-plaza",
            "my goat reads tax law at noon",
            "4@8({[<3691!|70$5+%2",
            "839201948572615",
            "žluťoučký kůň pije",
            "昨日公園で三匹の猫が将棋を指していた",
        ] {
            assert!(!is_guessable(password, &ANA), "{password}");
        }
    }

    #[test]
    fn names_of_the_user_are_guessable_however_dressed() {
        for password in [
            "ana.perez@example.com",
            "ANA.PEREZ@EXAMPLE.COM",
            "ana.perez@example.com!2024",
            "AnaPerezAnaPerez",
            "AnaMaríaPérez2024",
            "an4-p3r3z-2024-!!!",
            "(Ana) (Perez) (1987)",
            "ＡｎａＰｅｒｅｚＡｎａＰｅｒｅｚ",
        ] {
            assert!(is_guessable(password, &ANA), "{password}");
        }
    }

    #[test]
    fn names_of_the_service_are_guessable() {
        for password in [
            "rollcallrollcall",
            "R0llc@ll-2024-!!",
            "id.example.org/2024",
        ] {
            assert!(is_guessable(password, &ANA), "{password}");
        }
    }

    #[test]
    fn a_name_beside_a_common_pattern_is_guessable() {
        assert!(is_guessable("zorblaxwimqwertyuiop", &["zorblaxwim"]));
        assert!(!is_guessable("zorblaxwimqwertyuiop", &[]));
    }

    #[test]
    fn a_name_within_a_longer_secret_is_taken() {
        assert!(!is_guessable("ana keeps nine purple gulls", &ANA));
    }

    #[test]
    fn a_name_repeated_beyond_what_zxcvbn_sees_is_guessable() {
        let login = "qz7!kd93-xw".repeat(11);
        assert!(is_guessable(&login, &[&login]));
        assert!(is_guessable(&format!("{login}{login}!"), &[&login]));
        assert!(!is_guessable(&login, &[]));
    }

    #[test]
    fn what_zxcvbn_sees_is_bounded_whatever_the_symbols() {
        assert_eq!(window(&"é".repeat(1000)).chars().count(), 40);
        assert_eq!(
            window(&"4@8({[<3691!|70$5+%2".repeat(9)).chars().count(),
            12
        );
        assert_eq!(
            window("abcdefghijklmnop4@8({[<36"),
            "abcdefghijklmnop4@8({["
        );
        assert_eq!(window("short"), "short");
    }

    proptest! {
        #[test]
        fn no_string_makes_the_check_panic(
            password in "\\PC{0,80}|[a-c4@13!|7$5+]{0,80}|.{0,60}",
            name in "\\PC{0,40}",
        ) {
            is_guessable(&password, &[&name]);
        }
    }
}
