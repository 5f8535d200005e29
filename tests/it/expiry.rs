//! The idle and the absolute limit, by the database's clock and no other.

use std::time::Duration;

use diesel::sql_types::Text;
use diesel_async::{AsyncConnection, RunQueryDsl};
use rollcall::{
    model::{
        ids::{SessionId, UserId},
        refresh_token::Commitment,
        session::{Origin, State},
    },
    proto::v1,
    store::{
        self,
        sessions::{self, Rotation},
    },
};
use uuid::Uuid;

use crate::harness::{
    Database, Harness, Replica, bearer, claims, commitment, end_reason, request_id, sql, successor,
};

async fn set(it: &Harness, assignment: &str) {
    it.sql(&format!("UPDATE sessions SET {assignment}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_a_moment_before_its_idle_limit_lives() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    set(&it, "idle_expires_at = now() + interval '5 min'").await;
    it.refresh(&phone.refresh_token, &request_id())
        .await
        .expect("lives");
    let idle: bool = it
        .scalar("SELECT idle_expires_at = rotated_at + interval '30 days' FROM sessions")
        .await;
    assert!(idle, "each refresh gives the whole idle time again");
}

#[tokio::test(flavor = "multi_thread")]
async fn session_at_its_idle_limit_is_dead_to_every_call() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let id = request_id();
    let next = it.refresh(&phone.refresh_token, &id).await.expect("lives");
    let tokens = next.tokens.as_ref().expect("tokens");
    set(&it, "idle_expires_at = now()").await;
    let before = it.database.contents().await;

    let fork = request_id();
    for (token, id) in [
        (&tokens.refresh_token, &fork),
        (&phone.refresh_token, &id),
        (&phone.refresh_token, &fork),
    ] {
        let refused = it.refresh(token, id).await.expect_err("expired");
        assert_eq!(end_reason(&refused), "EXPIRED");
    }
    let list = v1::ListMySessionsRequest::default();
    let list = bearer(list, &tokens.access_token);
    let refused = it.auth().list_my_sessions(list).await.expect_err("expired");
    assert_eq!(end_reason(&refused), "EXPIRED");
    assert_eq!(it.database.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn session_at_its_absolute_limit_dies_however_active() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let mut token = it.sign_in("ana").await.refresh_token;
    for _ in 0..3 {
        let next = it.refresh(&token, &request_id()).await.expect("lives");
        successor(&next).clone_into(&mut token);
    }
    set(&it, "absolute_expires_at = now()").await;
    let refused = it.refresh(&token, &request_id()).await;
    assert_eq!(end_reason(&refused.expect_err("expired")), "EXPIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_never_moves_the_absolute_limit() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let next = it.refresh(&phone.refresh_token, &request_id()).await;
    let next = next.expect("lives").session.expect("a session");
    assert_eq!(
        next.absolute_expire_time,
        phone.session.absolute_expire_time
    );
    assert_eq!(next.create_time, phone.session.create_time);
    let whole: bool = it
        .scalar("SELECT absolute_expires_at = created_at + interval '180 days' FROM sessions")
        .await;
    assert!(whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_limit_and_access_token_end_with_the_absolute_limit() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    set(&it, "absolute_expires_at = now() + interval '5 min'").await;
    let next = it.refresh(&phone.refresh_token, &request_id()).await;
    let next = next.expect("lives");
    let (tokens, session) = (next.tokens.expect("tokens"), next.session.expect("one"));
    assert_eq!(session.idle_expire_time, session.absolute_expire_time);
    assert_eq!(
        tokens.refresh_token_expire_time,
        session.absolute_expire_time
    );
    let absolute = session.absolute_expire_time.expect("a time").seconds;
    assert_eq!(claims(&tokens.access_token)["exp"], absolute);
    let told = tokens.access_token_expire_time.expect("a time");
    assert_eq!(told.seconds, absolute);
}

#[tokio::test(flavor = "multi_thread")]
async fn rotation_and_state_turn_exactly_at_the_limits() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let id = |text: &str| Uuid::parse_str(text).expect("a UUID");
    let rotation = Rotation {
        user_id: UserId(id(&phone.user_id)),
        session_id: SessionId(id(&phone.session_id)),
        generation: 0,
        commitment: Commitment(commitment(&phone.refresh_token)),
        next: Commitment([1; 16]),
        idle: Duration::from_secs(60),
        origin: Origin {
            user_agent: String::new(),
            ip_address: None,
        },
        min_interval: None,
        supersedes: false,
        noted: None,
    };
    let mut conn = it.identity.pool().get().await.expect("a connection");
    for (idle, absolute, lives) in [
        ("0", "1 day", false),
        ("1 day", "0", false),
        ("1 microsecond", "1 day", true),
        ("1 day", "1 microsecond", true),
    ] {
        // Time stands still inside of a transaction.
        let undone = conn.transaction::<(), store::Error, _>(async |conn| {
            let limits = "UPDATE sessions SET idle_expires_at = now() + $1::interval, \
                          absolute_expires_at = now() + $2::interval";
            diesel::sql_query(limits)
                .bind::<Text, _>(idle)
                .bind::<Text, _>(absolute)
                .execute(conn)
                .await?;
            let (user_id, session_id) = (rotation.user_id, rotation.session_id);
            let found = sessions::find_standing(conn, user_id, session_id).await?;
            let found = found.expect("a session");
            let is_live = found.session.state(found.now) == State::Live;
            let rotated = sessions::rotate(conn, &Default::default(), &rotation).await?;
            assert_eq!(
                (is_live, rotated.is_some()),
                (lives, lives),
                "{idle}, {absolute}"
            );
            Err(diesel::result::Error::RollbackTransaction.into())
        });
        undone.await.expect_err("rolled back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_those_of_a_database_whose_clock_differs_from_the_server_s() {
    for apart in ["10 years", "-10 years"] {
        let database = Database::create().await;
        let name = database.name();
        database
            .sql(&format!(
                "CREATE FUNCTION now() RETURNS timestamptz STABLE LANGUAGE sql \
                 AS $$ SELECT pg_catalog.now() + interval '{apart}' $$"
            ))
            .await;
        // From now on, in new connections, `now()` is the function above.
        let path = format!("ALTER DATABASE {name} SET search_path = public, pg_catalog");
        database.sql(&path).await;
        let it = Replica::start(&database, &[]).await;
        it.create_user("ana", &[]).await;
        let phone = it.sign_in("ana").await;
        let next = it.refresh(&phone.refresh_token, &request_id()).await;
        let claims = claims(&next.expect("lives").tokens.expect("tokens").access_token);

        let times = "SELECT floor(extract(epoch FROM rotated_at))::bigint, \
             floor(extract(epoch FROM created_at))::bigint, \
             abs(extract(epoch FROM now() - rotated_at)) < 3600 FROM sessions";
        let rows = sql(database.url(), times).await;
        let (rotated, created): (i64, i64) = (rows[0].get(0), rows[0].get(1));
        assert!(rows[0].get::<_, bool>(2), "the clock of the test is in use");
        assert_eq!(claims["iat"], rotated);
        assert_eq!(claims["exp"], rotated + 600);
        assert_eq!(claims["auth_time"], created);
    }
}
