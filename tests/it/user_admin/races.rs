//! A sign-in is under way while its user is disabled or deleted, or gets another
//! password: whichever of the two comes first, nothing that began before lives on.

use futures_util::{StreamExt, stream::FuturesUnordered};
use rollcall::proto::v1;
use tonic::{Response, Status};

use super::{delete, set_disabled, set_password};
use crate::harness::{
    Harness, NEXT_PASSWORD, PASSWORD, SignedIn, authenticate, reason, request_id,
};

/// How often each race is run.
const ROUNDS: usize = 6;
/// How many sign-ins are under way: more than run at once, so that they are at
/// different steps when the other call comes.
const SIGN_INS: usize = 4;

/// Starts sign-ins, and `act` once as many have succeeded; answers with the refresh
/// tokens that were granted.
async fn race(
    it: &Harness,
    login: &str,
    after: usize,
    act: impl Future<Output = ()>,
) -> Vec<String> {
    let mut sign_ins: FuturesUnordered<_> = (0..SIGN_INS)
        .map(|_| async { it.auth().authenticate(authenticate(login)).await })
        .collect();
    let mut granted = Vec::new();
    for _ in 0..after {
        granted.extend(token(sign_ins.next().await.expect("one more")));
    }
    let rest = async {
        while let Some(result) = sign_ins.next().await {
            granted.extend(token(result));
        }
    };
    tokio::join!(rest, act);
    granted
}

fn token(result: Result<Response<v1::AuthenticateResponse>, Status>) -> Option<String> {
    match result {
        Ok(reply) => Some(reply.into_inner().tokens.expect("tokens").refresh_token),
        Err(status) => {
            assert_eq!(reason(&status), "INVALID_CREDENTIALS");
            None
        }
    }
}

async fn assert_none_lives(it: &Harness, user_id: &str, granted: &[String]) {
    let live =
        format!("SELECT count(*) FROM sessions WHERE user_id = '{user_id}' AND revoked_at IS NULL");
    assert_eq!(it.scalar::<i64>(&live).await, 0);
    for refresh_token in granted {
        let refused = it.refresh(refresh_token, &request_id()).await;
        let refused = refused.expect_err("ended");
        assert_eq!(reason(&refused), "SESSION_ENDED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_racing_with_a_disabling_leaves_no_session_that_outlives_it() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let id = it.create_user("ana", &[]).await.to_string();
    for round in 0..ROUNDS {
        let disable = async {
            set_disabled(&it, &admin, &id, true).await;
        };
        let granted = race(&it, "ana", round % 3, disable).await;
        // Were a session only hidden behind the disabled user, this would show it.
        set_disabled(&it, &admin, &id, false).await;
        assert_none_lives(&it, &id, &granted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_racing_with_a_set_password_leaves_no_session_of_the_old_password() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    for round in 0..ROUNDS {
        let login = format!("ana-{round}");
        let id = it.create_user(&login, &[]).await.to_string();
        let set = async {
            set_password(&it, &admin, &id, NEXT_PASSWORD)
                .await
                .expect("set");
        };
        let granted = race(&it, &login, round % 3, set).await;
        assert_none_lives(&it, &id, &granted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_racing_with_a_deletion_leaves_no_session() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    for round in 0..ROUNDS {
        let login = format!("ana-{round}");
        let id = it.create_user(&login, &[]).await.to_string();
        let delete = async {
            delete(&it, &admin, &id).await.expect("deleted");
        };
        let granted = race(&it, &login, round % 3, delete).await;
        assert_none_lives(&it, &id, &granted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_in_racing_with_a_password_change_leaves_only_the_session_that_changed_it() {
    let it = Harness::start().await;
    for round in 0..ROUNDS {
        let login = format!("ana-{round}");
        it.create_user(&login, &[]).await;
        let own = it.sign_in(&login).await;
        let change = async { change_password(&it, &own).await };
        let granted = race(&it, &login, round % 3, change).await;
        it.refresh(&own.refresh_token, &request_id())
            .await
            .expect("the caller's own lives");
        for refresh_token in granted {
            let refused = it.refresh(&refresh_token, &request_id()).await;
            assert_eq!(reason(&refused.expect_err("ended")), "SESSION_ENDED");
        }
    }
}

async fn change_password(it: &Harness, caller: &SignedIn) {
    let change = v1::ChangePasswordRequest {
        current_password: PASSWORD.to_owned(),
        new_password: NEXT_PASSWORD.to_owned(),
    };
    let changed = it.auth().change_password(caller.request(change)).await;
    changed.expect("changed");
}

/// The races above meet the moment only by chance; here the other call has begun and
/// not yet ended.
#[tokio::test(flavor = "multi_thread")]
async fn sign_in_waits_for_a_change_of_its_user_that_is_under_way_and_then_fails() {
    for change in [
        "UPDATE users SET disabled_at = now()",
        "UPDATE users SET password_hash = replace(password_hash, 'm=19456', 'm=19457')",
        "DELETE FROM users",
    ] {
        let it = Harness::start().await;
        it.create_user("ana", &[]).await;
        let other = it.database.connect().await;
        other.batch_execute("BEGIN").await.expect("begins");
        other.batch_execute(change).await.expect(change);
        let sign_in = async { it.auth().authenticate(authenticate("ana")).await };
        let commit = async {
            wait_until_blocked(&it).await;
            other.batch_execute("COMMIT").await.expect("commits");
        };
        let (result, ()) = tokio::join!(sign_in, commit);
        assert_eq!(reason(&result.expect_err(change)), "INVALID_CREDENTIALS");
        assert_eq!(it.scalar::<i64>("SELECT count(*) FROM sessions").await, 0);
    }
}

/// Until a statement waits for another's lock, or a session has come about that should
/// have waited.
async fn wait_until_blocked(it: &Harness) {
    let query = "SELECT (EXISTS (SELECT FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock') \
         OR EXISTS (SELECT FROM sessions))::int::bigint";
    it.database.wait_for(query, 1).await;
}
