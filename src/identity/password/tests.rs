use std::sync::mpsc;

use futures_util::FutureExt;

use super::*;

const CHEAP: HashingOptions = HashingOptions {
    memory_kib: 64,
    iterations: 2,
    parallelism: 1,
    concurrency: 1,
    queue: 0,
};

fn hasher(options: HashingOptions) -> PasswordHasher {
    PasswordHasher::new(options).unwrap()
}

fn password(typed: &str) -> Password {
    Password::new(typed).unwrap()
}

async fn verify(hasher: &PasswordHasher, typed: &str, phc: &str) -> Result<Verdict, HashError> {
    let stored = PasswordHash::from_phc(phc.to_owned());
    hasher
        .verify(hasher.admit().unwrap(), &password(typed), &stored)
        .await
}

#[tokio::test]
async fn a_password_matches_its_hash_and_no_other() {
    let hasher = hasher(CHEAP);
    let stored = hasher
        .hash(&password("an honest pass phrase"))
        .await
        .unwrap();
    let right = hasher
        .verify(
            hasher.admit().unwrap(),
            &password("an honest pass phrase"),
            &stored,
        )
        .await;
    assert_eq!(
        right,
        Ok(Verdict {
            matches: true,
            outdated: false
        })
    );
    for wrong in ["an honest pass phrasE", "an honest pass phrase ", ""] {
        let verdict = hasher
            .verify(hasher.admit().unwrap(), &password(wrong), &stored)
            .await
            .unwrap();
        assert!(!verdict.matches, "{wrong:?}");
    }
}

#[tokio::test]
async fn passwords_that_differ_in_one_late_byte_differ() {
    let hasher = hasher(CHEAP);
    for at in [73, 129, 1024] {
        let common = "x".repeat(at - 1);
        let stored = hasher.hash(&password(&format!("{common}a"))).await.unwrap();
        for (last, matches) in [("a", true), ("b", false), ("", false)] {
            let typed = password(&format!("{common}{last}"));
            assert_eq!(
                hasher
                    .verify(hasher.admit().unwrap(), &typed, &stored)
                    .await
                    .unwrap()
                    .matches,
                matches
            );
        }
    }
}

#[tokio::test]
async fn a_decomposed_password_matches_the_hash_of_the_composed_one() {
    let hasher = hasher(CHEAP);
    let stored = hasher
        .hash(&password("caf\u{e9} na\u{ef}ve"))
        .await
        .unwrap();
    let typed = password("cafe\u{301} nai\u{308}ve");
    assert!(
        hasher
            .verify(hasher.admit().unwrap(), &typed, &stored)
            .await
            .unwrap()
            .matches
    );
}

#[tokio::test]
async fn the_same_password_is_never_hashed_to_the_same_string() {
    let hasher = hasher(CHEAP);
    let typed = password("an honest pass phrase");
    let first = hasher.hash(&typed).await.unwrap();
    let second = hasher.hash(&typed).await.unwrap();
    assert_ne!(first.as_phc(), second.as_phc());
    assert!(first.as_phc().starts_with("$argon2id$v=19$m=64,t=2,p=1$"));
}

#[tokio::test]
async fn a_hash_of_the_reference_implementation_verifies_without_its_memory_in_stock() {
    let phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
               CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let hasher = hasher(CHEAP);
    assert!(verify(&hasher, "password", phc).await.unwrap().matches);
    assert!(!verify(&hasher, "Password", phc).await.unwrap().matches);
}

#[tokio::test]
async fn hashes_below_the_live_parameters_verify_and_are_outdated() {
    let live = hasher(HashingOptions {
        parallelism: 2,
        ..CHEAP
    });
    let typed = password("an honest pass phrase");
    for (memory_kib, iterations, parallelism, outdated) in [
        (64, 2, 2, false),
        (128, 3, 4, false),
        (63, 2, 2, true),
        (64, 1, 2, true),
        (64, 2, 1, true),
        (1024, 1, 2, true),
    ] {
        let options = HashingOptions {
            memory_kib,
            iterations,
            parallelism,
            ..CHEAP
        };
        let stored = hasher(options).hash(&typed).await.unwrap();
        let verdict = live.verify(live.admit().unwrap(), &typed, &stored).await;
        assert_eq!(
            verdict,
            Ok(Verdict {
                matches: true,
                outdated
            }),
            "{options:?}"
        );
    }
}

#[tokio::test]
async fn a_stored_hash_with_absurd_parameters_is_refused_and_not_executed() {
    let hasher = hasher(CHEAP);
    for parameters in [
        "m=262145,t=2,p=1",
        "m=4294967295,t=4294967295,p=1",
        "m=64,t=21,p=1",
        "m=1024,t=2,p=17",
        "m=64,t=0,p=1",
        "m=64,t=2,p=0",
        "m=7,t=2,p=1",
        "m=64,t=2,p=16",
        "m=64,t=2",
        "m=64,t=2,p=1,m=65",
        "m=64,t=2,p=1,data=AAAA",
        "m=-1,t=2,p=1",
        "m=99999999999999999999,t=2,p=1",
    ] {
        let salt_and_hash = "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let phc = format!("$argon2id$v=19${parameters}${salt_and_hash}");
        let refused = verify(&hasher, "x", &phc).await.unwrap_err();
        assert_eq!(
            refused,
            HashError::Unusable(UnusableHash::Parameters),
            "{phc}"
        );
    }
}

#[tokio::test]
async fn a_stored_string_that_is_no_hash_is_refused() {
    let salt_and_hash = "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let hasher = hasher(CHEAP);
    for (phc, why) in [
        (String::new(), UnusableHash::Malformed),
        ("an honest pass phrase".to_owned(), UnusableHash::Malformed),
        (
            "$argon2id$v=19$m=64,t=2,p=1".to_owned(),
            UnusableHash::Malformed,
        ),
        (
            "$argon2id$v=19$m=64,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$".to_owned(),
            UnusableHash::Malformed,
        ),
        (
            format!("$argon2id$v=19$m=64,t=2,p=1${salt_and_hash}$x"),
            UnusableHash::Malformed,
        ),
        (
            format!("$argon2id$v=17$m=64,t=2,p=1${salt_and_hash}"),
            UnusableHash::Algorithm,
        ),
        (
            format!("$argon2x$v=19$m=64,t=2,p=1${salt_and_hash}"),
            UnusableHash::Algorithm,
        ),
        (format!("$1${salt_and_hash}"), UnusableHash::Algorithm),
    ] {
        let refused = verify(&hasher, "x", &phc).await.unwrap_err();
        assert_eq!(refused, HashError::Unusable(why), "{phc}");
    }
}

#[tokio::test]
async fn nobody_is_verified_with_the_live_parameters() {
    let hasher = hasher(CHEAP);
    let nobody = StoredHash::parse(&hasher.nobody).unwrap();
    assert!(!nobody.is_below(&hasher.live));
    assert!(
        hasher
            .nobody
            .as_phc()
            .starts_with("$argon2id$v=19$m=64,t=2,p=1$")
    );
    assert_eq!(
        hasher
            .verify_nobody(hasher.admit().unwrap(), &password(""))
            .await,
        Ok(())
    );
}

#[tokio::test]
async fn every_kind_of_work_is_refused_at_once_while_another_runs() {
    let hasher = hasher(CHEAP);
    let typed = password("AnaPerez-AnaPerez");
    let (go, wait) = mpsc::channel::<()>();
    let mut other = Box::pin(hasher.pool.run(move |_| wait.recv().is_err()));
    assert_eq!((&mut other).now_or_never(), None);

    let policy = PasswordPolicy::default();
    let busy = Some(HashError::Busy);
    assert_eq!(
        hasher
            .check(policy, &typed, &[])
            .now_or_never()
            .and_then(Result::err),
        busy
    );
    assert_eq!(
        hasher.hash(&typed).now_or_never().and_then(Result::err),
        busy
    );
    assert_eq!(hasher.admit().err(), busy);

    drop(go);
    assert_eq!(other.await, Ok(true));
    let weak = hasher.check(policy, &typed, &["Ana Pérez"]).await;
    assert_eq!(weak, Ok(Err(Weakness::Guessable)));
}
