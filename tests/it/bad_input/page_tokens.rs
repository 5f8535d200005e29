//! A page token is good for the list it came from, and for nothing else.

use rollcall::proto::v1;

use super::World;
use crate::harness::{Value, violated_fields};

/// A page of the operator's list of sessions.
async fn sessions(
    world: &World,
    filter: v1::SessionFilter,
    page_token: &str,
) -> Result<String, tonic::Status> {
    let request = v1::ListSessionsRequest {
        filter: Some(filter),
        page_size: 1,
        page_token: page_token.to_owned(),
    };
    let reply = world
        .it
        .session_admin()
        .list_sessions(world.admin.request(request))
        .await?;
    Ok(reply.into_inner().next_page_token)
}

fn of_client(client_id: &str) -> v1::SessionFilter {
    v1::SessionFilter {
        client_id: client_id.to_owned(),
        ..v1::SessionFilter::default()
    }
}

/// What three lists name as their next page.
struct Tokens {
    sessions: String,
    users: String,
    /// Of the subject's own sessions.
    mine: String,
}

async fn tokens(world: &World) -> Tokens {
    let list = v1::ListUsersRequest {
        page_size: 1,
        ..Default::default()
    };
    let users = world
        .it
        .user_admin()
        .list_users(world.admin.request(list))
        .await;
    let list = v1::ListMySessionsRequest {
        page_size: 1,
        ..Default::default()
    };
    let mine = world
        .it
        .auth()
        .list_my_sessions(world.subject.laptop.request(list))
        .await;
    Tokens {
        sessions: sessions(world, of_client("test"), "").await.expect("lists"),
        users: users.expect("lists").into_inner().next_page_token,
        mine: mine.expect("lists").into_inner().next_page_token,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn page_token_of_another_list_or_filter_is_refused_and_no_statement_is_sent() {
    let world = World::new().await;
    let tokens = tokens(&world).await;
    for own in [&tokens.sessions, &tokens.users, &tokens.mine] {
        assert!(!own.is_empty(), "each list goes on");
    }
    let before = world.it.database.statements().await;
    for (rpc, elsewhere) in [
        ("Auth/ListMySessions", &tokens.sessions),
        ("Auth/ListMySessions", &tokens.users),
        ("SessionAdmin/ListSessions", &tokens.users),
        ("SessionAdmin/ListSessions", &tokens.mine),
        // The good request of this RPC has no filter.
        ("SessionAdmin/ListSessions", &tokens.sessions),
        ("UserAdmin/ListUsers", &tokens.sessions),
        ("UserAdmin/ListUsers", &tokens.mine),
    ] {
        let token = Value::from(elsewhere.as_str());
        let request = world.request(rpc, &[("page_token", &token)]);
        let status = world.refused(rpc, request).await;
        assert_eq!(violated_fields(&status), ["page_token"], "{rpc}");
    }
    let other_filter = sessions(&world, of_client("other"), &tokens.sessions).await;
    let other_filter = other_filter.expect_err("another filter");
    assert_eq!(violated_fields(&other_filter), ["page_token"]);
    assert_eq!(world.it.database.statements().await, before);
    let same = sessions(&world, of_client("test"), &tokens.sessions).await;
    same.expect("the list it came from");
}

#[tokio::test(flavor = "multi_thread")]
async fn page_token_of_another_users_own_sessions_is_refused_and_no_statement_is_sent() {
    let world = World::new().await;
    let mine = Value::from(tokens(&world).await.mine.as_str());
    let before = world.it.database.statements().await;
    let request = world.request("Auth/ListMySessions", &[("page_token", &mine)]);
    let status = world.refused("Auth/ListMySessions", request.clone()).await;
    assert_eq!(violated_fields(&status), ["page_token"]);
    assert_eq!(world.it.database.statements().await, before);
    let token = Some(world.subject.phone.access_token.as_str());
    let own = world.it.call("Auth/ListMySessions", request, token).await;
    own.expect("any session of the same user");
}

#[tokio::test(flavor = "multi_thread")]
async fn page_token_with_any_byte_changed_or_cut_is_refused() {
    let world = World::new().await;
    let token = tokens(&world).await.users;
    let cut = (1..token.len()).map(|length| token[..length].to_owned());
    let changed = (0..token.len()).map(|at| {
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &token[..at], &token[at + 1..])
    });
    let longer = [
        format!("{token}A"),
        format!("{token}="),
        format!("{token} "),
        format!("A{token}"),
    ];
    for bad in cut.chain(changed).chain(longer) {
        let request = world.request(
            "UserAdmin/ListUsers",
            &[("page_token", &bad.as_str().into())],
        );
        let status = world.refused("UserAdmin/ListUsers", request).await;
        assert_eq!(violated_fields(&status), ["page_token"], "{bad}");
    }
}
