//! What is stored of a password, when parameters rise and when it was tampered with.

use futures_util::future::join_all;
use rollcall::proto::v1;
use tonic::{Code, Status};

use super::{change, try_sign_in};
use crate::harness::{
    Harness, NEXT_PASSWORD, PASSWORD, Replica, authenticate, device, reason, request_id,
};

/// Hashes one after another, so that tests know whose turn it is.
const STRONGER: [&str; 4] = ["--argon2-iterations", "3", "--hashing-concurrency", "1"];

async fn stored(it: &Harness) -> String {
    it.scalar("SELECT password_hash FROM users WHERE login = 'ana'")
        .await
}

/// What is stored once it was upgraded, which happens after the sign-in was answered.
async fn upgraded(it: &Harness) -> String {
    let query = "SELECT count(*) FROM users WHERE password_hash LIKE '%t=3%'";
    it.database.wait_for(query, 1).await;
    stored(it).await
}

#[tokio::test(flavor = "multi_thread")]
async fn password_is_stored_as_argon2id_with_a_salt_of_its_own() {
    let it = Harness::start().await;
    it.create_user_with_own_hash("ana").await;
    it.create_user_with_own_hash("ben").await;
    assert!(
        stored(&it)
            .await
            .starts_with("$argon2id$v=19$m=19456,t=2,p=1$")
    );
    let distinct = "SELECT count(DISTINCT split_part(password_hash, '$', 5)) FROM users";
    assert_eq!(it.scalar::<i64>(distinct).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_upgrades_a_hash_of_lesser_parameters_and_older_sessions_live() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let earlier = it.sign_in_on("ana", device("phone")).await;
    let first = stored(&it).await;
    it.sign_in("ana").await;
    assert_eq!(stored(&it).await, first, "nothing to upgrade");

    let stronger = Replica::start(&it.database, &STRONGER).await;
    let refused = authenticate("ana");
    let refused = v1::AuthenticateRequest {
        password: NEXT_PASSWORD.to_owned(),
        ..refused
    };
    stronger
        .auth()
        .authenticate(refused)
        .await
        .expect_err("wrong");
    assert_eq!(
        stored(&it).await,
        first,
        "a wrong password upgrades nothing"
    );

    stronger.sign_in("ana").await;
    let upgraded = upgraded(&it).await;
    assert!(upgraded.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"));
    it.refresh(&earlier.refresh_token, &request_id())
        .await
        .expect("lives");

    it.sign_in("ana").await;
    assert_eq!(
        stored(&it).await,
        upgraded,
        "a server of lesser parameters leaves it"
    );
}

/// Signs in until an upgrade waits in line behind other sign-ins, so that whatever then
/// comes reads the old hash, and has its turn after the upgrade.
async fn with_an_upgrade_in_line(
    it: &Harness,
    stronger: &Replica,
    then: impl Future<Output = ()>,
) -> Vec<Result<v1::AuthenticateResponse, Status>> {
    let sign_ins = join_all((0..3).map(|_| try_sign_in(stronger, "ana", PASSWORD)));
    let then = async {
        let query = "SELECT least(count(*), 2) FROM sessions";
        it.database.wait_for(query, 2).await;
        then.await;
    };
    let (signed_in, ()) = tokio::join!(sign_ins, then);
    upgraded(it).await;
    signed_in
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_succeed_though_another_upgrades_the_hash_meanwhile() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    it.sign_in("ana").await;
    let stronger = Replica::start(&it.database, &STRONGER).await;
    let later = async { drop(join_all((0..2).map(|_| stronger.sign_in("ana"))).await) };
    for signed_in in with_an_upgrade_in_line(&it, &stronger, later).await {
        signed_in.expect("signs in");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn password_change_succeeds_though_a_sign_in_upgrades_the_hash_meanwhile() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let caller = it.sign_in("ana").await;
    let stronger = Replica::start(&it.database, &STRONGER).await;
    let later = async {
        let request = caller.request(v1::ChangePasswordRequest {
            current_password: PASSWORD.to_owned(),
            new_password: NEXT_PASSWORD.to_owned(),
        });
        let changed = stronger.auth().change_password(request).await;
        changed.expect("the current password was right");
    };
    // The last of the three may come too late for the earlier password.
    with_an_upgrade_in_line(&it, &stronger, later).await;
    try_sign_in(&it, "ana", NEXT_PASSWORD)
        .await
        .expect("changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_hash_that_is_absurd_is_not_executed_and_looks_like_a_wrong_password() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let caller = it.sign_in("ana").await;
    let good = stored(&it).await;
    for absurd in [
        // Work of years, memory of terabytes, another algorithm, not a hash.
        good.replace("t=2", "t=4294967295"),
        good.replace("m=19456", "m=4294967295"),
        good.replace("p=1", "p=16777215"),
        good.replace("t=2", "t=0"),
        good.replace("argon2id", "argon2i"),
        good.replace("v=19", "v=16"),
        good.replace("$m=19456,t=2,p=1", ""),
        good[..good.len() - 44].to_owned(),
        "$1$salt$hash".to_owned(),
        PASSWORD.to_owned(),
        String::new(),
    ] {
        let update = format!("UPDATE users SET password_hash = '{absurd}' WHERE login = 'ana'");
        it.sql(&update).await;
        it.sql("DELETE FROM user_sign_ins").await;
        for password in [PASSWORD, "", &absurd] {
            let refused = try_sign_in(&it, "ana", password).await.expect_err(&absurd);
            assert_eq!(refused.code(), Code::Unauthenticated, "{absurd}");
            assert_eq!(reason(&refused), "INVALID_CREDENTIALS");
        }
        let refused = change(&it, &caller, PASSWORD, NEXT_PASSWORD).await;
        assert_eq!(reason(&refused.expect_err(&absurd)), "INVALID_CREDENTIALS");
    }
    it.sql(&format!(
        "UPDATE users SET password_hash = '{good}' WHERE login = 'ana'"
    ))
    .await;
    it.sql("DELETE FROM user_sign_ins").await;
    try_sign_in(&it, "ana", PASSWORD)
        .await
        .expect("the right hash again");
}
