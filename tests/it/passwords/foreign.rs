//! Users who came with the hashes of other systems.

use futures_util::stream;
use rollcall::proto::v1;
use tonic::Code;

use super::try_sign_in;
use crate::harness::{Harness, NEXT_PASSWORD, PASSWORD, SignedIn, reason};

/// Hashes of [`PASSWORD`] that other programs made: Python's hashlib and libxcrypt.
const HASHES: [&str; 6] = [
    "$scrypt$ln=12,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$mpz2iBfEKkpqJHfyQl68ZUnSrSoSmtWbOnrXoouyJ34",
    "$pbkdf2-sha256$29000$....................AQ$EBxsrs.IUnVtnSO/cY.KoZE.pt5jHm0/mIeT2JKinGY",
    "$pbkdf2-sha512$i=10000$++++++++++++++++++++AQ$D2MuOAixXdvzm6198XOmihxyu8LL2vUOVvY3WgswRToCNlx5ThJt5lzVajX4NSUkR7YVhvkbXkf8m/BvY+6wrQ",
    "$2b$05$abcdefghijklmnopqrstuuSM5l3Z.QOhm7iuK4okCv0cvsiyy6U/S",
    "$2y$06$abcdefghijklmnopqrstuujufFLLvtUZ9Ge92wwPovHMjdd6TqZu.",
    "$2a$07$abcdefghijklmnopqrstuuyXDSx5H4H7DSeNuuncrcKnaHG65Xei2",
];

async fn import(it: &Harness, admin: &SignedIn, login: &str, hash: &str) {
    let user = v1::ImportUsersRequest {
        login: login.to_owned(),
        password_hash: hash.to_owned(),
        ..v1::ImportUsersRequest::default()
    };
    let answer = it.import(admin, stream::iter([user])).await;
    assert_eq!(answer.expect("imports").imported_user_count, 1, "{hash}");
}

/// Waits until so many users have a hash of this server.
async fn upgraded(it: &Harness, users: i64) {
    let query =
        "SELECT count(*) FROM users WHERE password_hash LIKE '$argon2id$v=19$m=19456,t=2,%'";
    it.database.wait_for(query, users).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hash_of_another_system_signs_in_and_is_upgraded_at_the_first_sign_in() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    for (at, hash) in HASHES.into_iter().enumerate() {
        let login = format!("user{at}");
        import(&it, &admin, &login, hash).await;
        let wrong = try_sign_in(&it, &login, NEXT_PASSWORD).await;
        assert_eq!(reason(&wrong.expect_err(hash)), "INVALID_CREDENTIALS");
        let stored = format!("SELECT password_hash FROM users WHERE login = '{login}'");
        assert_eq!(it.scalar::<String>(&stored).await, hash);
        it.sign_in(&login).await;
    }
    upgraded(&it, 7).await;
    for at in 0..HASHES.len() {
        it.sign_in(&format!("user{at}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_hash_of_another_kind_that_is_absurd_is_not_executed() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    for (hash, sane, absurd) in [
        (HASHES[0], "ln=12", "ln=40"),
        (HASHES[0], "r=8", "r=4000000"),
        (HASHES[1], "29000", "4000000000"),
        (HASHES[2], "i=10000", "i=4000000000"),
        (HASHES[3], "$05$", "$31$"),
    ] {
        let absurd = hash.replace(sane, absurd);
        it.sql(&format!(
            "UPDATE users SET password_hash = '{absurd}' WHERE login = 'ana'"
        ))
        .await;
        let refused = try_sign_in(&it, "ana", PASSWORD).await;
        let refused = refused.expect_err(&absurd);
        assert_eq!(refused.code(), Code::Unauthenticated, "{absurd}");
        assert_eq!(reason(&refused), "INVALID_CREDENTIALS");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_without_a_password_cannot_sign_in_until_one_is_set() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    import(&it, &admin, "ana", "").await;
    for password in [PASSWORD, ""] {
        let refused = try_sign_in(&it, "ana", password).await;
        let refused = refused.expect_err("has none");
        let unknown = try_sign_in(&it, "nobody", password).await;
        let unknown = unknown.expect_err("nobody");
        assert_eq!(refused.message(), unknown.message());
        assert_eq!(reason(&refused), reason(&unknown));
    }
    let query = "SELECT id::text FROM users WHERE login = 'ana'";
    let request = v1::SetPasswordRequest {
        user_id: it.scalar(query).await,
        new_password: PASSWORD.to_owned(),
    };
    let set = it.user_admin().set_password(admin.request(request)).await;
    set.expect("sets");
    it.sign_in("ana").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_password_counts_from_the_first_sign_in_after_bcrypt() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    // Of 72 times x.
    let hash = "$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i";
    import(&it, &admin, "ana", hash).await;
    let long = format!("{}and more", "x".repeat(72));
    try_sign_in(&it, "ana", &long)
        .await
        .expect("bcrypt cannot tell");
    upgraded(&it, 2).await;
    let cut = try_sign_in(&it, "ana", &"x".repeat(72)).await;
    assert_eq!(reason(&cut.expect_err("shorter")), "INVALID_CREDENTIALS");
    try_sign_in(&it, "ana", &long).await.expect("the same");
}
