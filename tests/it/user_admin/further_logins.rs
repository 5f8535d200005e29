//! Email addresses and telephone numbers as further logins.

use futures_util::future::join_all;
use rollcall::proto::v1::{self, LoginKind};
use tonic::{Code, Status};

use super::{NOBODY, create, delete, get};
use crate::harness::{Harness, SignedIn, authenticate, reason, request_id};

async fn add(
    it: &Harness,
    admin: &SignedIn,
    user_id: &str,
    login: &str,
    kind: LoginKind,
) -> Result<v1::User, Status> {
    let request = v1::AddLoginRequest {
        user_id: user_id.to_owned(),
        login: login.to_owned(),
        kind: kind.into(),
    };
    let reply = it.user_admin().add_login(admin.request(request)).await?;
    Ok(reply.into_inner().user.expect("a user"))
}

async fn remove(
    it: &Harness,
    admin: &SignedIn,
    user_id: &str,
    login: &str,
) -> Result<v1::User, Status> {
    let request = v1::RemoveLoginRequest {
        user_id: user_id.to_owned(),
        login: login.to_owned(),
    };
    let reply = it.user_admin().remove_login(admin.request(request)).await?;
    Ok(reply.into_inner().user.expect("a user"))
}

fn logins(user: &v1::User) -> Vec<&str> {
    user.logins.iter().map(|it| it.login.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn added_logins_sign_in_in_any_spelling_and_are_listed_after_the_first() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = create(&it, &admin, "zoe").await.expect("creates");
    assert_eq!(
        (logins(&ana), ana.logins[0].kind()),
        (vec!["zoe"], LoginKind::Username)
    );
    assert_eq!(ana.logins[0].create_time, ana.create_time);
    let id = &ana.user_id;
    add(&it, &admin, id, "Ana@Example.com", LoginKind::Email)
        .await
        .expect("adds");
    let user = add(&it, &admin, id, "+49 30 123-456", LoginKind::Phone)
        .await
        .expect("adds");
    assert_eq!(logins(&user), ["zoe", "Ana@Example.com", "+49 30 123-456"]);
    assert_ne!(user.update_time, ana.update_time);
    assert_eq!(get(&it, &admin, id).await.expect("gets"), user);
    for login in [
        "ZOE",
        "ana@example.com",
        "ANA@EXAMPLE.COM",
        "+4930123456",
        "+49-30-12 34 56",
    ] {
        assert_eq!(&it.sign_in(login).await.user_id, id, "{login}");
    }
    let told = it
        .scalar::<String>(&format!(
            "SELECT string_agg(concat_ws(' ', detail->>'kind', detail->>'login', actor_id), ';' \
             ORDER BY id) FROM audit_events WHERE kind = 'LOGIN_ADDED' AND user_id = '{id}'"
        ))
        .await;
    let by = &admin.user_id;
    assert_eq!(
        told,
        format!("EMAIL Ana@Example.com {by};PHONE +49 30 123-456 {by}")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn login_that_another_user_has_is_taken_whatever_kind_it_is() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = create(&it, &admin, "ana@example.com")
        .await
        .expect("creates");
    let ben = create(&it, &admin, "+49-30-123456").await.expect("creates");
    for (user, login, kind) in [
        (&ben, "Ana@EXAMPLE.com", LoginKind::Email),
        (&ana, "+49 30 123456", LoginKind::Phone),
    ] {
        let taken = add(&it, &admin, &user.user_id, login, kind).await;
        let taken = taken.expect_err(login);
        assert_eq!(
            (taken.code(), &*reason(&taken)),
            (Code::AlreadyExists, "LOGIN_TAKEN")
        );
    }
    add(
        &it,
        &admin,
        &ana.user_id,
        "cleo@example.com",
        LoginKind::Email,
    )
    .await
    .expect("adds");
    for login in ["CLEO@example.com", "+4930123456"] {
        let taken = create(&it, &admin, login).await.expect_err(login);
        assert_eq!(reason(&taken), "LOGIN_TAKEN");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn login_that_the_user_has_is_fine_and_changes_nothing() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = create(&it, &admin, "ana@example.com")
        .await
        .expect("creates");
    let before = it.database.contents().await;
    let again = add(
        &it,
        &admin,
        &ana.user_id,
        "ANA@example.com",
        LoginKind::Email,
    )
    .await;
    assert_eq!(again.expect("has it"), ana);
    assert_eq!(it.database.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn user_has_ten_logins_at_most_also_when_they_come_at_once() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = create(&it, &admin, "ana").await.expect("creates");
    let emails: Vec<_> = (0..14).map(|n| format!("ana{n}@example.com")).collect();
    let adds = emails
        .iter()
        .map(|email| add(&it, &admin, &ana.user_id, email, LoginKind::Email));
    let (added, refused): (Vec<_>, Vec<_>) =
        join_all(adds).await.into_iter().partition(Result::is_ok);
    assert_eq!((added.len(), refused.len()), (9, 5));
    for refused in refused {
        let refused = refused.expect_err("full");
        assert_eq!(
            (refused.code(), &*reason(&refused)),
            (Code::FailedPrecondition, "LOGIN_LIMIT_REACHED")
        );
    }
    let user = get(&it, &admin, &ana.user_id).await.expect("gets");
    assert_eq!(user.logins.len(), 10);
    let has = &user.logins[5].login;
    add(&it, &admin, &ana.user_id, has, LoginKind::Email)
        .await
        .expect("has it");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_added_to_many_users_at_once_is_the_one_of_one() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let mut ids = Vec::new();
    for n in 0..8 {
        ids.push(it.create_user(&format!("user{n}"), &[]).await.to_string());
    }
    let adds = ids
        .iter()
        .map(|id| add(&it, &admin, id, "one@example.com", LoginKind::Email));
    let results = join_all(adds).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for refused in results.into_iter().filter_map(Result::err) {
        assert_eq!(reason(&refused), "LOGIN_TAKEN");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_login_is_free_and_sessions_live_on() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = create(&it, &admin, "ana").await.expect("creates");
    let ben = create(&it, &admin, "ben").await.expect("creates");
    let email = "ana@example.com";
    add(&it, &admin, &ana.user_id, email, LoginKind::Email)
        .await
        .expect("adds");
    let session = it.sign_in(email).await;
    let left = remove(&it, &admin, &ana.user_id, "ANA@example.com")
        .await
        .expect("removes");
    assert_eq!(logins(&left), ["ana"]);
    it.refresh(&session.refresh_token, &request_id())
        .await
        .expect("lives");
    let refused = it.auth().authenticate(authenticate(email)).await;
    assert_eq!(reason(&refused.expect_err("gone")), "INVALID_CREDENTIALS");
    let again = remove(&it, &admin, &ana.user_id, email)
        .await
        .expect_err("gone");
    assert_eq!(
        (again.code(), &*reason(&again)),
        (Code::NotFound, "LOGIN_NOT_FOUND")
    );
    add(&it, &admin, &ben.user_id, email, LoginKind::Email)
        .await
        .expect("free");
    let others = remove(&it, &admin, &ana.user_id, email)
        .await
        .expect_err("ben's");
    assert_eq!(reason(&others), "LOGIN_NOT_FOUND");
    let told = "SELECT count(*) FROM audit_events WHERE kind = 'LOGIN_REMOVED'";
    assert_eq!(it.scalar::<i64>(told).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn login_that_the_user_was_created_with_stays() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = create(&it, &admin, "ana").await.expect("creates");
    let refused = remove(&it, &admin, &ana.user_id, "ANA")
        .await
        .expect_err("stays");
    assert_eq!(
        (refused.code(), &*reason(&refused)),
        (Code::FailedPrecondition, "LOGIN_FIXED")
    );
    for login in ["not a login", "nobody"] {
        let refused = remove(&it, &admin, &ana.user_id, login)
            .await
            .expect_err(login);
        assert_eq!(reason(&refused), "LOGIN_NOT_FOUND");
        let refused = remove(&it, &admin, NOBODY, login).await.expect_err(login);
        assert_eq!(reason(&refused), "USER_NOT_FOUND");
    }
    let refused = add(&it, &admin, NOBODY, "a@b", LoginKind::Email).await;
    assert_eq!(reason(&refused.expect_err("nobody")), "USER_NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_frees_all_logins() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = create(&it, &admin, "ana").await.expect("creates");
    let email = "ana@example.com";
    add(&it, &admin, &ana.user_id, email, LoginKind::Email)
        .await
        .expect("adds");
    delete(&it, &admin, &ana.user_id).await.expect("deletes");
    create(&it, &admin, email).await.expect("free");
    create(&it, &admin, "ana").await.expect("free");
}
