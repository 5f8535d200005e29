//! Any login at all: mapped once, it stays as it is.

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
        assert_stable(&format!("+4912345{c}"));
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
        typed in "\\+[0-9 -]{6,20}|\\PC{0,20}|[\\p{L}\\p{M}\\p{Nd}]{0,20}|[\\p{L}\\p{M}]{1,4}",
    ) {
        assert_stable(&typed);
    }
}

#[test]
fn spellings_of_one_telephone_number_have_one_key_whatever_kind_of_login_they_are() {
    for typed in [
        "+4930123456",
        "+49 30 123456",
        "+49-30-12-34-56",
        "+49 - 30 123456 ",
    ] {
        let phone = Login::phone(typed).expect(typed);
        assert_eq!(phone.key(), "+4930123456");
        assert_eq!(phone.typed(), typed);
        assert_eq!(key_of(typed), "+4930123456");
        assert_eq!(Login::key_for_lookup(typed).as_deref(), Some("+4930123456"));
    }
    assert_eq!(key_of("\u{ff0b}４９３０１２３４５６"), "+4930123456");
}

#[test]
fn what_is_no_telephone_number_is_refused_as_one() {
    for typed in [
        "",
        "4930123456",
        "+123456",
        "+1234567890123456",
        "+49 30 12345a",
        "++4930123456",
        "+49+30123456",
        "+ 4930123456",
        "+49(30)123456",
        "tel:+4930123456",
        "+\u{664}\u{669}30123456",
    ] {
        assert!(Login::phone(typed).is_err(), "{typed}");
    }
    assert!(Login::phone("+1234567").is_ok() && Login::phone("+123456789012345").is_ok());
}

#[test]
fn email_address_is_mapped_like_any_login_and_must_look_like_one() {
    let email = Login::email("Ana.Perez@Example.COM").unwrap();
    assert_eq!(email.key(), "ana.perez@example.com");
    for good in [
        "a@b",
        "ana+x@example.com",
        "ana@m\u{fc}nchen.example",
        "a@b@c.de",
    ] {
        assert!(Login::email(good).is_ok(), "{good}");
    }
    for bad in [
        "ana",
        "@example.com",
        "ana@",
        "ana@.com",
        "ana@example.",
        "ana@a..b",
        "ana@-a.b",
        "ana@a_b",
        "ana@a/b",
        "ana@exam ple.com",
    ] {
        assert!(Login::email(bad).is_err(), "{bad}");
    }
}

#[test]
fn prefix_is_mapped_like_the_logins_that_begin_with_it() {
    let key = |typed| Login::key_of_prefix(typed);
    assert_eq!(key("ANA.").as_deref(), Ok("ana."));
    assert_eq!(key("+49 30").as_deref(), Ok("+4930"));
    assert_eq!(key("+").as_deref(), Ok("+"));
    assert_eq!(key("1-2").as_deref(), Ok("1-2"));
    assert!(key("").is_err() && key("a b").is_err() && key(&"a".repeat(129)).is_err());
}
