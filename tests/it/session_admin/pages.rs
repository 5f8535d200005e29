//! Pages of a long list.

use rollcall::proto::v1::{self, SessionFilter, session_filter::User};

use super::{ids, list};
use crate::harness::{Harness, SignedIn};

/// Opens as many sessions like this one; their ids come in no order of time.
async fn multiply(it: &Harness, session: &SignedIn, count: usize) {
    let id = &session.session_id;
    let insert = format!(
        "INSERT INTO sessions \
         SELECT (jsonb_populate_record(s, jsonb_build_object('id', gen_random_uuid()))).* \
         FROM sessions AS s, generate_series(1, {count}) WHERE s.id = '{id}'"
    );
    it.sql(&insert).await;
}

async fn ids_in_order(it: &Harness, user_id: &str) -> Vec<String> {
    let query =
        format!("SELECT id::text FROM sessions WHERE user_id = '{user_id}' ORDER BY id DESC");
    it.sql(&query).await.iter().map(|row| row.get(0)).collect()
}

fn of_user(user_id: &str, page_size: i32, page_token: &str) -> v1::ListSessionsRequest {
    v1::ListSessionsRequest {
        filter: Some(SessionFilter {
            user: Some(User::UserId(user_id.to_owned())),
            ..SessionFilter::default()
        }),
        page_size,
        page_token: page_token.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_together_are_the_list_as_it_was_though_sessions_open_and_end_meanwhile() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    multiply(&it, &ana, 99).await;
    let expected = ids_in_order(&it, &ana.user_id).await;

    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = list(&it, &admin, of_user(&ana.user_id, 7, &token))
            .await
            .expect("lists");
        seen.extend(ids(&page.sessions));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        assert_eq!(page.sessions.len(), 7);
        // One that is already seen ends, and a newer one than any opens.
        let ended = &seen[seen.len() - 7];
        it.sql(&format!(
            "UPDATE sessions SET revoked_at = now(), end_reason = 'LOGGED_OUT' WHERE id = '{ended}'"
        ))
        .await;
        let newer = "INSERT INTO sessions SELECT (jsonb_populate_record(s, jsonb_build_object(\
             'id', overlay(gen_random_uuid()::text placing 'ffff' from 1)))).* FROM sessions AS s";
        it.sql(&format!("{newer} WHERE s.id = '{}'", ana.session_id))
            .await;
    }
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn list_that_ends_with_a_page_has_no_next_page() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    multiply(&it, &ana, 5).await;
    for (size, length, goes_on) in [(5, 5, true), (6, 6, false), (7, 6, false), (1, 1, true)] {
        let page = list(&it, &admin, of_user(&ana.user_id, size, ""))
            .await
            .expect("lists");
        assert_eq!(page.sessions.len(), length);
        assert_eq!(!page.next_page_token.is_empty(), goes_on, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn page_has_50_sessions_unless_asked_otherwise_and_1000_at_most() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    multiply(&it, &ana, 1_004).await;
    let usual = list(&it, &admin, of_user(&ana.user_id, 0, ""))
        .await
        .expect("lists");
    assert_eq!(usual.sessions.len(), 50);
    let largest = list(&it, &admin, of_user(&ana.user_id, 1_000, ""))
        .await
        .expect("lists");
    assert_eq!(largest.sessions.len(), 1_000);
    // The size of a page may change on the way.
    let rest = of_user(&ana.user_id, 50, &largest.next_page_token);
    let rest = list(&it, &admin, rest).await.expect("lists");
    assert_eq!(
        (rest.sessions.len(), rest.next_page_token.as_str()),
        (5, "")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn page_token_is_good_at_every_replica() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    multiply(&it, &ana, 3).await;
    let expected = ids_in_order(&it, &ana.user_id).await;
    let first = list(&it, &admin, of_user(&ana.user_id, 2, ""))
        .await
        .expect("lists");
    let other = it.replica().await;
    let request = admin.request(of_user(&ana.user_id, 2, &first.next_page_token));
    let second = other
        .session_admin()
        .list_sessions(request)
        .await
        .expect("lists");
    assert_eq!(ids(&second.into_inner().sessions), expected[2..]);
}
