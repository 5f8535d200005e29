//! Which users a filter meets.

use prost_types::Timestamp;
use rollcall::proto::v1::{self, LoginKind, TimeRange, UserFilter};

use crate::harness::{Harness, SignedIn, violated_fields};

async fn list(
    it: &Harness,
    admin: &SignedIn,
    filter: UserFilter,
    page_token: &str,
) -> Result<v1::ListUsersResponse, tonic::Status> {
    let request = v1::ListUsersRequest {
        page_size: 2,
        page_token: page_token.to_owned(),
        filter: Some(filter),
    };
    let reply = it.user_admin().list_users(admin.request(request)).await?;
    Ok(reply.into_inner())
}

/// The logins of all users that a filter meets, read by pages, in order.
async fn logins(it: &Harness, admin: &SignedIn, filter: UserFilter) -> Vec<String> {
    let mut found = Vec::new();
    let mut token = String::new();
    loop {
        let page = list(it, admin, filter.clone(), &token)
            .await
            .expect("lists");
        found.extend(page.users.into_iter().map(|user| user.login));
        if page.next_page_token.is_empty() {
            found.sort_unstable();
            return found;
        }
        token = page.next_page_token;
    }
}

/// An operator, Ana who is an editor and online, Anton who is disabled, and Ben who is locked.
async fn people() -> (Harness, SignedIn) {
    let it = Harness::start().await;
    let admin = it.admin().await;
    for (login, roles) in [("Ana", &["editor"][..]), ("anton", &[]), ("ben", &[])] {
        it.create_user(login, roles).await;
    }
    it.sign_in("ana").await;
    it.sql("UPDATE users SET display_name = '100% Ána_' WHERE login = 'Ana'")
        .await;
    it.sql("UPDATE users SET disabled_at = now() WHERE login = 'anton'")
        .await;
    it.sql(
        "INSERT INTO user_sign_ins (user_id, attempts, failures, opened) \
         SELECT id, 100, 100, 0 FROM users WHERE login = 'ben' \
         ON CONFLICT (user_id) DO UPDATE SET attempts = 100",
    )
    .await;
    (it, admin)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_condition_meets_those_whom_it_says_and_all_must_hold() {
    let (it, admin) = people().await;
    let any = UserFilter::default;
    let text = |text: &str| text.to_owned();
    for (filter, expected) in [
        (any(), &["Ana", "anton", "ben", "operator"][..]),
        (
            UserFilter {
                login_prefix: text("AN"),
                ..any()
            },
            &["Ana", "anton"],
        ),
        (
            UserFilter {
                login_prefix: text("ana"),
                ..any()
            },
            &["Ana"],
        ),
        (
            UserFilter {
                login_prefix: text("a%"),
                ..any()
            },
            &[],
        ),
        (
            UserFilter {
                display_name_contains: text("NA_"),
                ..any()
            },
            &["Ana"],
        ),
        (
            UserFilter {
                display_name_contains: text("0% "),
                ..any()
            },
            &["Ana"],
        ),
        (
            UserFilter {
                display_name_contains: text("_"),
                ..any()
            },
            &["Ana"],
        ),
        (
            UserFilter {
                role: text("editor"),
                ..any()
            },
            &["Ana"],
        ),
        (
            UserFilter {
                role: text("edit"),
                ..any()
            },
            &[],
        ),
        (
            UserFilter {
                disabled: Some(true),
                ..any()
            },
            &["anton"],
        ),
        (
            UserFilter {
                disabled: Some(false),
                ..any()
            },
            &["Ana", "ben", "operator"],
        ),
        (
            UserFilter {
                locked: Some(true),
                ..any()
            },
            &["ben"],
        ),
        (
            UserFilter {
                locked: Some(false),
                ..any()
            },
            &["Ana", "anton", "operator"],
        ),
        (
            UserFilter {
                online: true,
                ..any()
            },
            &["Ana", "operator"],
        ),
        (
            UserFilter {
                online: true,
                login_prefix: text("a"),
                ..any()
            },
            &["Ana"],
        ),
        (
            UserFilter {
                disabled: Some(true),
                role: text("editor"),
                ..any()
            },
            &[],
        ),
    ] {
        let found = logins(&it, &admin, filter.clone()).await;
        assert_eq!(found, expected, "{filter:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_is_online_for_as_long_as_an_access_token_lives_after_the_last_use() {
    let (it, admin) = people().await;
    let online = || UserFilter {
        online: true,
        login_prefix: "ana".to_owned(),
        ..UserFilter::default()
    };
    for (age, expected) in [
        ("last_seen_at = now() - interval '4 min'", 1),
        ("last_seen_at = now() - interval '1 h'", 0),
        (
            "last_seen_at = now(), revoked_at = now(), end_reason = 'LOGGED_OUT'",
            0,
        ),
    ] {
        it.sql(&format!(
            "UPDATE sessions SET {age} WHERE user_id IN (SELECT id FROM users WHERE login = 'Ana')"
        ))
        .await;
        assert_eq!(logins(&it, &admin, online()).await.len(), expected, "{age}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn range_of_creation_is_from_its_start_to_before_its_end() {
    let (it, admin) = people().await;
    it.sql("UPDATE users SET created_at = to_timestamp(1000) WHERE login = 'Ana'")
        .await;
    let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
    for (start, end, expected) in [(1000, 1001, 1), (999, 1000, 0), (1001, 2000, 0)] {
        let filter = UserFilter {
            create_time: Some(TimeRange {
                start_time: at(start),
                end_time: at(end),
            }),
            ..UserFilter::default()
        };
        assert_eq!(logins(&it, &admin, filter).await.len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn telephone_number_is_found_by_how_it_begins_however_it_is_written() {
    let (it, admin) = people().await;
    let ana = logins(
        &it,
        &admin,
        UserFilter {
            login_prefix: "ana".to_owned(),
            ..UserFilter::default()
        },
    )
    .await;
    assert_eq!(ana, ["Ana"]);
    let query = "SELECT id::text FROM users WHERE login = 'Ana'";
    let request = v1::AddLoginRequest {
        user_id: it.scalar(query).await,
        login: "+49 30 123-456".to_owned(),
        kind: LoginKind::Phone.into(),
    };
    it.user_admin()
        .add_login(admin.request(request))
        .await
        .expect("adds");
    for prefix in ["+49", "+49 30", "+49-30 1", "+"] {
        let filter = UserFilter {
            login_prefix: prefix.to_owned(),
            ..UserFilter::default()
        };
        assert_eq!(logins(&it, &admin, filter).await, ["Ana"], "{prefix}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn page_token_of_another_filter_is_refused() {
    let (it, admin) = people().await;
    let page = list(&it, &admin, UserFilter::default(), "")
        .await
        .expect("lists");
    let other = UserFilter {
        online: true,
        ..UserFilter::default()
    };
    let refused = list(&it, &admin, other, &page.next_page_token).await;
    assert_eq!(
        violated_fields(&refused.expect_err("another")),
        ["page_token"]
    );
}
