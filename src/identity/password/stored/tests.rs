//! Hashes that other programs made, and their limits.
//!
//! Those of scrypt and PBKDF2 are by Python's hashlib (OpenSSL), those of bcrypt by
//! libxcrypt, those of Argon2 by its reference implementation.

use super::{super::HashingOptions, *};

const TYPED: &str = "violet-anchor-mosaic-73";

/// What hashes to them, and hashes.
const VECTORS: [(&str, &str); 17] = [
    (
        "password",
        "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
    ),
    (
        "password",
        "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
    ),
    (
        TYPED,
        "$scrypt$ln=12,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$mpz2iBfEKkpqJHfyQl68ZUnSrSoSmtWbOnrXoouyJ34",
    ),
    (
        TYPED,
        "$pbkdf2-sha256$29000$....................AQ$EBxsrs.IUnVtnSO/cY.KoZE.pt5jHm0/mIeT2JKinGY",
    ),
    (
        TYPED,
        "$pbkdf2-sha512$25000$....................AQ$mls1x/fqEFsOPala7TwG/MytSIG62wqZEOsYVqZd/Ap9B0567FMDRETjLTH2vm8ym0Rp51qUd5kdiGsw1sBpFQ",
    ),
    (
        TYPED,
        "$pbkdf2-sha256$i=10000,l=32$++++++++++++++++++++AQ$wnGWNfXwjh/ODlki9cM1ybrynsKOAySqnpgU+5k2XtY",
    ),
    (
        TYPED,
        "$pbkdf2-sha512$i=10000$++++++++++++++++++++AQ$D2MuOAixXdvzm6198XOmihxyu8LL2vUOVvY3WgswRToCNlx5ThJt5lzVajX4NSUkR7YVhvkbXkf8m/BvY+6wrQ",
    ),
    (
        "password",
        "$pbkdf2-sha256$i=1000$++++++++++++++++++++AQ$av6WDQbvUrgDdoXe0aCTfZM//8p+XtAATx1KGtneIFI",
    ),
    (
        "U*U",
        "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    ),
    (
        TYPED,
        "$2b$05$abcdefghijklmnopqrstuuSM5l3Z.QOhm7iuK4okCv0cvsiyy6U/S",
    ),
    (
        TYPED,
        "$2y$06$abcdefghijklmnopqrstuujufFLLvtUZ9Ge92wwPovHMjdd6TqZu.",
    ),
    (
        TYPED,
        "$2a$07$abcdefghijklmnopqrstuuyXDSx5H4H7DSeNuuncrcKnaHG65Xei2",
    ),
    (
        "gr\u{fc}n",
        "$2b$04$abcdefghijklmnopqrstuuQYEk91mE9jD3s0Fa6l8hqSxfClgS2VO",
    ),
    // Typed in pieces, and one password all the same.
    (
        "gru\u{308}n",
        "$2b$04$abcdefghijklmnopqrstuuQYEk91mE9jD3s0Fa6l8hqSxfClgS2VO",
    ),
    (
        "",
        "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq",
    ),
    (
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i",
    ),
    // The 22nd character of this salt has stray bits, as libraries make them.
    (
        "gr\u{fc}n",
        "$2b$04$abcdefghijklmnopqrstuwQYEk91mE9jD3s0Fa6l8hqSxfClgS2VO",
    ),
];

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_phc(text.to_owned())
}

fn matches(typed: &str, text: &str) -> bool {
    let stored = StoredHash::parse_imported(&hash(text)).unwrap_or_else(|e| panic!("{text}: {e}"));
    let password = Password::new(typed).unwrap();
    stored.matches(&password, &WorkingMemory::new(8)).unwrap()
}

#[test]
fn hashes_of_other_programs_match_their_passwords_and_no_others() {
    for (typed, text) in VECTORS {
        assert!(matches(typed, text), "{text}");
        assert!(
            !matches(&format!("{typed}.").replacen('x', "y", 1), text),
            "{text}"
        );
    }
}

#[test]
fn hashes_of_other_programs_are_outdated() {
    let live = HashingOptions::default().params().unwrap();
    for (_, text) in VECTORS {
        assert!(StoredHash::parse(&hash(text)).unwrap().is_below(&live));
    }
    let argon2d = VECTORS[0].1.replace("argon2i", "argon2d");
    assert!(StoredHash::parse(&hash(&argon2d)).unwrap().is_below(&live));
    assert!(!matches("password", &argon2d), "each kind is its own");
}

#[test]
fn bcrypt_cannot_tell_what_follows_72_bytes_and_takes_no_nul() {
    let (typed, text) = VECTORS[15];
    assert!(matches(&format!("{typed}more"), text));
    assert!(!matches(&typed[1..], text));
    let (typed, text) = VECTORS[8];
    assert!(!matches(&format!("{typed}\0"), text));
    assert!(!matches(&format!("{typed}\0more"), text));
}

#[test]
fn absurd_parameters_are_refused_before_any_work() {
    let tail = "$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let bcrypt = "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    for text in [
        format!("$scrypt$ln=22,r=1,p=1{tail}"),
        format!("$scrypt$ln=63,r=8,p=1{tail}"),
        format!("$scrypt$ln=19,r=8,p=1{tail}"),
        format!("$scrypt$ln=18,r=8,p=2{tail}"),
        format!("$scrypt$ln=14,r=4294967295,p=1{tail}"),
        format!("$scrypt$ln=14,r=0,p=1{tail}"),
        format!("$scrypt$ln=14,r=8,p=0{tail}"),
        format!("$scrypt$ln=14,r=8,p=17{tail}"),
        format!("$scrypt$ln=14,r=8{tail}"),
        format!("$pbkdf2-sha256$4000001{tail}"),
        format!("$pbkdf2-sha512$4294967296{tail}"),
        format!("$pbkdf2-sha256$999{tail}"),
        format!("$pbkdf2-sha256$0{tail}"),
        format!("$pbkdf2-sha256${tail}"),
        format!("$pbkdf2-sha256$i=4000001,l=32{tail}"),
        format!("$pbkdf2-sha256$i=10000,l=31{tail}"),
        format!("$pbkdf2-sha256$l=32{tail}"),
        format!("$2b$15${bcrypt}"),
        format!("$2b$31${bcrypt}"),
        format!("$2b$03${bcrypt}"),
        format!("$2b$+5${bcrypt}"),
    ] {
        let refused = StoredHash::parse(&hash(&text)).err();
        assert_eq!(refused, Some(UnusableHash::Parameters), "{text}");
    }
}

#[test]
fn hash_that_this_server_would_execute_may_be_too_costly_or_too_weak_to_be_imported() {
    let tail = "$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for parameters in ["m=262144,t=5,p=1", "m=127,t=2,p=1"] {
        let text = hash(&format!("$argon2id$v=19${parameters}{tail}"));
        assert!(StoredHash::parse(&text).is_ok(), "{parameters}");
        let refused = StoredHash::parse_imported(&text).err();
        assert_eq!(refused, Some(UnusableHash::Parameters), "{parameters}");
    }
    for text in [
        format!("$scrypt$ln=5,r=8,p=1{tail}"),
        format!("$argon2id$v=19$m=8,t=1,p=1{tail}"),
    ] {
        let refused = StoredHash::parse_imported(&hash(&text)).err();
        assert_eq!(refused, Some(UnusableHash::Parameters), "{text}");
    }
    // What others do by default, and OWASP asks for.
    for text in [
        format!("$scrypt$ln=17,r=8,p=1{tail}"),
        format!("$pbkdf2-sha256$1200000{tail}"),
        format!("$argon2id$v=19$m=65536,t=3,p=4{tail}"),
        "$2b$14$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
    ] {
        assert!(StoredHash::parse_imported(&hash(&text)).is_ok(), "{text}");
    }
}

#[test]
fn what_is_no_hash_of_a_known_kind_is_refused() {
    let tail = "$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (text, why) in [
        ("password".to_owned(), UnusableHash::Malformed),
        (String::new(), UnusableHash::Malformed),
        ("$".to_owned(), UnusableHash::Algorithm),
        (format!("$pbkdf2$1000{tail}"), UnusableHash::Algorithm),
        (format!("$pbkdf2-sha1$1000{tail}"), UnusableHash::Algorithm),
        (format!("$5$rounds=5000{tail}"), UnusableHash::Algorithm),
        (
            "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
            UnusableHash::Algorithm,
        ),
        (
            "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe".to_owned(),
            UnusableHash::Malformed,
        ),
        (
            "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyO\u{e9}".to_owned(),
            UnusableHash::Malformed,
        ),
        (
            format!("$pbkdf2-sha256$10000{tail}$"),
            UnusableHash::Malformed,
        ),
        (
            "$pbkdf2-sha256$10000$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            UnusableHash::Malformed,
        ),
        (
            "$scrypt$ln=14,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            UnusableHash::Malformed,
        ),
        (
            format!("$pbkdf2-sha256$10000{}", "A".repeat(512)),
            UnusableHash::Malformed,
        ),
    ] {
        let refused = StoredHash::parse_imported(&hash(&text)).err();
        assert_eq!(refused, Some(why), "{text}");
    }
}
