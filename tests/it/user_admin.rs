//! What operators do to users.

mod ends;
mod exports;
mod further_logins;
mod imports;
mod logins;
mod races;
mod search;

use rollcall::proto::v1::{self, get_user_request};
use tonic::{Code, Status};

use crate::harness::{
    Harness, NEXT_PASSWORD, PASSWORD, SignedIn, authenticate, mask, reason, request_id,
};

const NOBODY: &str = "01234567-89ab-7def-8123-456789abcdef";

async fn create(it: &Harness, admin: &SignedIn, login: &str) -> Result<v1::User, Status> {
    let request = v1::CreateUserRequest {
        login: login.to_owned(),
        password: PASSWORD.to_owned(),
        ..v1::CreateUserRequest::default()
    };
    let reply = it.user_admin().create_user(admin.request(request)).await?;
    Ok(reply.into_inner().user.expect("a user"))
}

async fn get(it: &Harness, admin: &SignedIn, user_id: &str) -> Result<v1::User, Status> {
    let by_id = get_user_request::User::UserId(user_id.to_owned());
    get_by(it, admin, by_id).await
}

async fn get_by(
    it: &Harness,
    admin: &SignedIn,
    user: get_user_request::User,
) -> Result<v1::User, Status> {
    let request = admin.request(v1::GetUserRequest { user: Some(user) });
    let reply = it.user_admin().get_user(request).await?;
    Ok(reply.into_inner().user.expect("a user"))
}

/// Changes what the mask names to what `user` has.
async fn update(
    it: &Harness,
    admin: &SignedIn,
    user: v1::User,
    paths: &[&str],
) -> Result<v1::UpdateUserResponse, Status> {
    let request = v1::UpdateUserRequest {
        user: Some(user),
        update_mask: Some(mask(paths)),
    };
    let reply = it.user_admin().update_user(admin.request(request)).await?;
    Ok(reply.into_inner())
}

async fn set_disabled(it: &Harness, admin: &SignedIn, user_id: &str, disabled: bool) -> u32 {
    let user = v1::User {
        disabled,
        ..named(user_id)
    };
    let updated = update(it, admin, user, &["disabled"])
        .await
        .expect("updated");
    assert_eq!(updated.user.expect("a user").disabled, disabled);
    updated.revoked_session_count
}

async fn set_password(
    it: &Harness,
    admin: &SignedIn,
    user_id: &str,
    password: &str,
) -> Result<u32, Status> {
    let request = v1::SetPasswordRequest {
        user_id: user_id.to_owned(),
        new_password: password.to_owned(),
    };
    let reply = it.user_admin().set_password(admin.request(request)).await?;
    Ok(reply.into_inner().revoked_session_count)
}

async fn delete(it: &Harness, admin: &SignedIn, user_id: &str) -> Result<u32, Status> {
    let request = v1::DeleteUserRequest {
        user_id: user_id.to_owned(),
    };
    let reply = it.user_admin().delete_user(admin.request(request)).await?;
    Ok(reply.into_inner().revoked_session_count)
}

fn named(user_id: &str) -> v1::User {
    v1::User {
        user_id: user_id.to_owned(),
        ..v1::User::default()
    }
}

async fn signs_in(it: &Harness, login: &str, password: &str) -> bool {
    let request = v1::AuthenticateRequest {
        password: password.to_owned(),
        ..authenticate(login)
    };
    match it.auth().authenticate(request).await {
        Ok(_) => true,
        Err(status) => {
            assert_eq!(reason(&status), "INVALID_CREDENTIALS");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn created_user_is_shown_as_given_with_roles_sorted_and_can_sign_in() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let request = v1::CreateUserRequest {
        login: "Ana.Pérez".to_owned(),
        password: PASSWORD.to_owned(),
        display_name: "Ana Pérez \u{1f469}".to_owned(),
        roles: ["support", "audit:read", "support"]
            .map(ToOwned::to_owned)
            .to_vec(),
    };
    let reply = it.user_admin().create_user(admin.request(request)).await;
    let created = reply.expect("created").into_inner().user.expect("a user");
    assert_eq!(created.login, "Ana.Pérez");
    assert_eq!(created.display_name, "Ana Pérez \u{1f469}");
    assert_eq!(created.roles, ["audit:read", "support"]);
    assert!(!created.disabled);
    assert!(created.create_time.is_some());
    assert_eq!(created.create_time, created.update_time);
    assert_eq!(
        get(&it, &admin, &created.user_id).await.expect("found"),
        created
    );

    let reply = it.auth().authenticate(authenticate("ana.pérez")).await;
    let signed_in = reply.expect("signs in").into_inner();
    assert_eq!(signed_in.user_id, created.user_id);
    assert_eq!(signed_in.roles, created.roles);
}

#[tokio::test(flavor = "multi_thread")]
async fn user_that_does_not_exist_is_not_found_by_any_call() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let by_login = |login: &str| get_user_request::User::Login(login.to_owned());
    let roles = ["roles", "disabled", "display_name"];
    let disabled = v1::User {
        disabled: true,
        ..named(NOBODY)
    };
    for refused in [
        get(&it, &admin, NOBODY).await.map(drop),
        get(&it, &admin, &admin.session_id).await.map(drop),
        get_by(&it, &admin, by_login("nobody")).await.map(drop),
        get_by(&it, &admin, by_login("no body")).await.map(drop),
        update(&it, &admin, named(NOBODY), &roles).await.map(drop),
        update(&it, &admin, disabled, &["disabled"]).await.map(drop),
        set_password(&it, &admin, NOBODY, NEXT_PASSWORD)
            .await
            .map(drop),
        delete(&it, &admin, NOBODY).await.map(drop),
    ] {
        let missing = refused.expect_err("nobody");
        assert_eq!(missing.code(), Code::NotFound);
        assert_eq!(reason(&missing), "USER_NOT_FOUND");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_listed_newest_first_over_all_pages() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let multiply = "INSERT INTO users SELECT (jsonb_populate_record(u, \
         jsonb_build_object('id', gen_random_uuid()))).* FROM users AS u, generate_series(1, 22)";
    it.sql(multiply).await;
    let rows = it.sql("SELECT id::text FROM users ORDER BY id DESC").await;
    let expected: Vec<String> = rows.iter().map(|row| row.get(0)).collect();

    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListUsersRequest {
            page_size: 5,
            page_token,
            ..v1::ListUsersRequest::default()
        };
        let page = it.user_admin().list_users(admin.request(request)).await;
        let page = page.expect("lists").into_inner();
        seen.extend(page.users.into_iter().map(|user| user.user_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn update_changes_what_the_mask_names_and_nothing_else() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let id = it.create_user("ana", &["support"]).await.to_string();
    let first = get(&it, &admin, &id).await.expect("found");
    let wanted = v1::User {
        login: "other".to_owned(),
        display_name: "Ana".to_owned(),
        roles: vec!["audit".to_owned()],
        disabled: true,
        ..named(&id)
    };

    let updated = update(&it, &admin, wanted.clone(), &["display_name"])
        .await
        .expect("updated");
    let user = updated.user.expect("a user");
    assert_ne!(user.update_time, first.update_time);
    let expected = v1::User {
        display_name: "Ana".to_owned(),
        update_time: user.update_time,
        ..first.clone()
    };
    assert_eq!(user, expected);
    assert_eq!(get(&it, &admin, &id).await.expect("found"), expected);

    let updated = update(&it, &admin, wanted, &["roles"])
        .await
        .expect("updated");
    let user = updated.user.expect("a user");
    assert_eq!(
        (user.roles, user.disabled),
        (vec!["audit".to_owned()], false)
    );

    let nothing = update(&it, &admin, named(&id), &["display_name", "roles"]).await;
    let user = nothing.expect("updated").user.expect("a user");
    assert_eq!((user.display_name, user.roles), (String::new(), Vec::new()));
    assert!(signs_in(&it, "ana", PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn update_without_disabled_in_its_mask_leaves_a_disabled_user_disabled() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let id = it.create_user("ana", &[]).await.to_string();
    set_disabled(&it, &admin, &id, true).await;
    let updated = update(&it, &admin, named(&id), &["display_name", "roles"]).await;
    let user = updated.expect("updated").user.expect("a user");
    assert!(user.disabled);
    assert!(!signs_in(&it, "ana", PASSWORD).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_roles_show_at_the_next_refresh_and_end_no_session() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let ana = it.subject("ana", &["support"]).await;
    let promoted = v1::User {
        roles: vec!["support".to_owned(), "admin".to_owned()],
        ..named(&ana.phone.user_id)
    };
    let updated = update(&it, &admin, promoted, &["roles"])
        .await
        .expect("updated");
    assert_eq!(updated.revoked_session_count, 0);
    let refreshed = it
        .refresh(&ana.phone.refresh_token, &request_id())
        .await
        .expect("lives");
    assert_eq!(refreshed.roles, ["admin", "support"]);
    let token = refreshed.tokens.expect("tokens").access_token;
    let roles = &crate::harness::claims(&token)["roles"];
    assert_eq!(*roles, serde_json::json!(["admin", "support"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn demoted_operator_is_refused_at_once_by_the_same_session() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let other = it.subject("other", &["admin", "support"]).await;
    get(&it, &other.phone, &admin.user_id)
        .await
        .expect("an operator");
    let demoted = v1::User {
        roles: vec!["support".to_owned()],
        ..named(&other.phone.user_id)
    };
    update(&it, &admin, demoted, &["roles"])
        .await
        .expect("updated");
    let refused = get(&it, &other.phone, &admin.user_id)
        .await
        .expect_err("demoted");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(reason(&refused), "ADMIN_REQUIRED");
}
