//! Signing in: what guessing comes to, how many sessions there can be, what is new, and from
//! where.

mod attempts;
mod buckets;
mod devices;
mod events;
mod limits;
mod locked;
mod proxies;

use rollcall::proto::v1;
use tonic::Status;

use crate::harness::{Harness, PASSWORD, Replica, authenticate, reason};

const WRONG: &str = "violet-anchor-mosaic-74";

async fn attempt(it: &Replica, request: v1::AuthenticateRequest) -> Result<(), Status> {
    it.auth().authenticate(request).await.map(drop)
}

/// A sign-in as `login` with a password.
fn with_password(login: &str, password: &str) -> v1::AuthenticateRequest {
    v1::AuthenticateRequest {
        password: password.to_owned(),
        ..authenticate(login)
    }
}

/// Asserts that a sign-in is refused as any other whose credentials are wrong.
pub async fn assert_refused(it: &Replica, login: &str, password: &str) {
    let refused = attempt(it, with_password(login, password)).await;
    assert_eq!(
        reason(&refused.expect_err("refused")),
        "INVALID_CREDENTIALS"
    );
}

async fn assert_taken(it: &Replica, login: &str) {
    let taken = attempt(it, with_password(login, PASSWORD)).await;
    taken.expect("the right password");
}

/// Sets what is counted of the only user who has signed in, or tried to.
async fn count(it: &Harness, attempts: u32, failures: u32, failed: &str) {
    let counted = it
        .sql(&format!(
            "INSERT INTO user_sign_ins (user_id, attempts, failures, failed_at, opened) \
             SELECT id, {attempts}, {failures}, {failed}, 0 FROM users WHERE login = 'ana' \
             ON CONFLICT (user_id) DO UPDATE SET attempts = excluded.attempts, \
               failures = excluded.failures, failed_at = excluded.failed_at RETURNING 1"
        ))
        .await;
    assert_eq!(counted.len(), 1, "there is an ana");
}

/// How many passwords of ana were checked, and found wrong, since the last right one.
async fn counted(it: &Harness) -> (i32, i32) {
    let rows = it
        .sql(
            "SELECT t.attempts, t.failures FROM user_sign_ins AS t \
             JOIN users AS u ON u.id = t.user_id WHERE u.login = 'ana'",
        )
        .await;
    assert_eq!(rows.len(), 1, "ana has tried");
    (rows[0].get(0), rows[0].get(1))
}

/// How many events there are that meet a condition.
pub async fn events(it: &Harness, condition: &str) -> i64 {
    it.scalar(&format!(
        "SELECT count(*) FROM audit_events WHERE {condition}"
    ))
    .await
}
