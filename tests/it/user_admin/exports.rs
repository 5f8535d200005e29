//! All users as a stream.

use rollcall::proto::v1;
use tonic::{Status, Streaming};

use super::create;
use crate::harness::{Harness, SignedIn, reason};

/// Users whom nobody signs in as.
async fn seed(it: &Harness, count: u32) {
    it.sql(&format!(
        "INSERT INTO users (id, login, display_name, roles, password_hash, created_at, \
           updated_at, sessions_valid_after) \
         SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'crowd' || n, \
           repeat('ä', 128), '{{}}', 'canary-hash', now(), now(), now() \
         FROM generate_series(1, {count}) AS n"
    ))
    .await;
}

async fn export(it: &Harness, admin: &SignedIn) -> Streaming<v1::ExportUsersResponse> {
    let request = v1::ExportUsersRequest {
        filter: Some(v1::UserFilter {
            display_name_contains: "ä".to_owned(),
            ..v1::UserFilter::default()
        }),
    };
    let reply = it.user_admin().export_users(admin.request(request)).await;
    reply.expect("exports").into_inner()
}

async fn rest(mut pages: Streaming<v1::ExportUsersResponse>) -> Result<Vec<v1::User>, Status> {
    let mut users = Vec::new();
    while let Some(page) = pages.message().await? {
        assert!((1..=500).contains(&page.users.len()));
        users.extend(page.users);
    }
    Ok(users)
}

#[tokio::test(flavor = "multi_thread")]
async fn export_has_every_user_once_newest_first_and_no_hash() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    seed(&it, 1_000).await;
    let before = it.database.statements().await;
    let users = rest(export(&it, &admin).await).await.expect("exports");
    // The caller's check and a page, twice, and once more to see that there are no more.
    assert_eq!(it.database.statements().await - before, 6);
    assert_eq!(users.len(), 1_000);
    assert!(users.is_sorted_by(|one, next| one.user_id > next.user_id));
    assert!(!format!("{users:?}").contains("canary-hash"));
}

#[tokio::test(flavor = "multi_thread")]
async fn user_created_meanwhile_is_not_exported() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    seed(&it, 6_000).await;
    let mut pages = export(&it, &admin).await;
    let first = pages.message().await.expect("a page").expect("one");
    it.sql("UPDATE users SET display_name = 'ä' WHERE login = 'operator'")
        .await;
    create(&it, &admin, "late").await.expect("creates");
    it.sql("UPDATE users SET display_name = 'ä' WHERE login = 'late'")
        .await;
    let users = rest(pages).await.expect("exports");
    assert_eq!(first.users.len() + users.len(), 6_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn export_by_an_operator_no_more_ends_with_an_error() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    seed(&it, 12_000).await;
    let mut pages = export(&it, &admin).await;
    pages.message().await.expect("a page").expect("one");
    it.sql("UPDATE users SET roles = '{}' WHERE login = 'operator'")
        .await;
    let refused = rest(pages).await.expect_err("demoted");
    assert_eq!(reason(&refused), "ADMIN_REQUIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn export_by_a_token_of_a_dropped_key_ends_with_an_error() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    seed(&it, 12_000).await;
    let mut pages = export(&it, &admin).await;
    pages.message().await.expect("a page").expect("one");
    it.drop_signing_keys().await;
    let refused = rest(pages).await.expect_err("dropped");
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
}
