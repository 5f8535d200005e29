//! Many replicas and many verifiers on one database: whatever fails between them, no
//! revocation is missed.

use std::{collections::VecDeque, future::Future};

use futures_util::{StreamExt, future::join_all, stream};
use rollcall::{
    client::{Verifier, VerifyError, WhenStale},
    proto::v1::{RevokeSessionRequest, session_admin_client::SessionAdminClient},
};
use serde_json::json;
use tonic::transport::Channel;

use crate::{
    access_tokens::Mint,
    harness::{
        Balancer, Database, Harness, OwnCluster, PASSWORD, Process, Replica, SignedIn, eventually,
        patiently, pause, sql,
    },
};

/// A verifier that goes by what it knows, however old that is: it refuses only what it was
/// told of.
async fn verifier(url: &str) -> Verifier {
    let connecting = Verifier::builder(url.to_owned())
        .issuer("https://id.test")
        .audience("rollcall")
        .sign_in("orders", PASSWORD)
        .when_stale(WhenStale::AllowUntilExpiry)
        .connect();
    connecting.await.expect("connects")
}

/// A session that was never signed in to, and a token of it.
struct Victim {
    session_id: String,
    token: String,
}

/// Makes sessions of the user of `owner`, and tokens of them: a thousand sign-ins would be
/// a thousand hashes of a password.
async fn victims(url: &str, mint: &Mint, owner: &SignedIn, count: u32) -> VecDeque<Victim> {
    let insert = format!(
        "INSERT INTO sessions (user_id, id, client_id, display_name, user_agent, created_at, \
           absolute_expires_at, generation, h_current, rotated_at, last_seen_at, \
           last_user_agent, idle_expires_at) \
         SELECT '{}', gen_random_uuid(), 'test', '', '', now(), now() + interval '1 day', 0, \
           '\\x00112233445566778899aabbccddeeff', now(), now(), '', now() + interval '1 day' \
         FROM generate_series(1, {count}) RETURNING id::text",
        owner.user_id
    );
    let victim = |session_id: String| Victim {
        token: mint.with_claims(owner, |claims| claims["sid"] = json!(session_id)),
        session_id,
    };
    let rows = sql(url, &insert).await;
    rows.iter().map(|row| victim(row.get(0))).collect()
}

/// Revokes a session, again and again until it is certain.
async fn revoke(channel: &Channel, admin: &SignedIn, victim: &Victim) {
    let mut client = SessionAdminClient::new(channel.clone());
    let certain = async {
        loop {
            let request = admin.request(RevokeSessionRequest {
                session_id: victim.session_id.clone(),
            });
            if client.revoke_session(request).await.is_ok() {
                return;
            }
            pause().await;
        }
    };
    patiently("a revoke", certain).await;
}

/// Waits until each verifier refuses the token of a session that was revoked.
async fn rejected_by_all(verifiers: &[Verifier], victim: &Victim) {
    let rejected = async |verifier: &Verifier| {
        let refuses = || match verifier.verify(&victim.token) {
            Err(VerifyError::SessionEnded) => true,
            Ok(_) => false,
            Err(other) => panic!("not for that: {other}"),
        };
        eventually("all verifiers reject", refuses).await;
    };
    join_all(verifiers.iter().map(rejected)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_revokes_through_two_replicas_are_rejected_by_three_verifiers() {
    let it = Harness::start().await;
    let other = it.replica().await;
    let admin = it.admin().await;
    it.create_user("orders", &["service"]).await;
    let mint = Mint::of(&it).await;
    let victims = victims(it.database.url(), &mint, &admin, 1_000).await;
    let addresses = [&it.address, &other.address, &it.address];
    let verifiers =
        join_all(addresses.map(async |address| verifier(&format!("http://{address}")).await)).await;
    let channels = [it.channel.clone(), other.channel.clone()];
    let attempts = victims.iter().enumerate().map(|(number, victim)| {
        let (verifiers, channel, admin) = (&verifiers, &channels[number % 2], &admin);
        async move {
            for verifier in verifiers {
                verifier.verify(&victim.token).expect("is good before");
            }
            revoke(channel, admin, victim).await;
            rejected_by_all(verifiers, victim).await;
        }
    });
    stream::iter(attempts)
        .buffer_unordered(8)
        .collect::<()>()
        .await;
    let kept = &admin.access_token;
    assert!(
        verifiers
            .iter()
            .all(|verifier| verifier.verify(kept).is_ok())
    );
}

/// Revokes one after the other, and after each has `disturb` do its worst.
async fn revoke_amid<F: Future<Output = ()>>(
    victims: VecDeque<Victim>,
    channel: &Channel,
    admin: &SignedIn,
    verifiers: &[Verifier],
    mut disturb: impl FnMut(usize) -> F,
) {
    for (number, victim) in victims.iter().enumerate() {
        let ((), ()) = tokio::join!(revoke(channel, admin, victim), disturb(number));
        rejected_by_all(verifiers, victim).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_revoke_is_missed_while_the_feeds_connections_are_cut_again_and_again() {
    let it = Harness::start().await;
    let other = it.replica().await;
    let admin = it.admin().await;
    it.create_user("orders", &["service"]).await;
    let mint = Mint::of(&it).await;
    let victims = victims(it.database.url(), &mint, &admin, 60).await;
    let verifiers = [
        verifier(&format!("http://{}", it.address)).await,
        verifier(&format!("http://{}", other.address)).await,
    ];
    let cut = |_| async {
        // Those that listen; not those that revoke.
        it.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query ~ '^(WITH since|LISTEN|NOTIFY)'",
        )
        .await;
    };
    revoke_amid(victims, &it.channel, &admin, &verifiers, cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_revoke_is_missed_while_a_replica_is_killed_and_verifiers_turn_to_another() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("orders", &["service"]).await;
    let mint = Mint::of(&it).await;
    let victims = victims(it.database.url(), &mint, &admin, 30).await;
    let first = Process::serve(it.database.url(), &[]).await;
    first.line_with("\"serving\"").await;
    let balancer = Balancer::start(first.address()).await;
    let verifiers = [
        verifier(&balancer.url()).await,
        verifier(&balancer.url()).await,
        verifier(&format!("http://{}", it.address)).await,
    ];
    let first = std::sync::Mutex::new(Some(first));
    let disturb = |number: usize| {
        let (balancer, it, first) = (&balancer, &it, &first);
        async move {
            if number == 5 {
                // Killed, as when its machine is gone.
                drop(first.lock().expect("not poisoned").take());
                balancer.turn_to(&it.address);
            } else if number.is_multiple_of(5) {
                balancer.turn_to(&it.address);
            }
        }
    };
    revoke_amid(victims, &it.channel, &admin, &verifiers, disturb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_revoke_is_missed_while_postgres_restarts() {
    let cluster = tokio::sync::Mutex::new(OwnCluster::start(&[]).await);
    let url = cluster.lock().await.url().to_owned();
    let replicas = [
        Replica::launch(&url, &[]).await,
        Replica::launch(&url, &[]).await,
    ];
    for replica in &replicas {
        replica.wait_until_serving().await;
    }
    let [one, other] = &replicas;
    let admin = one.admin().await;
    one.create_user("orders", &["service"]).await;
    let mint = Mint::of_database(&url).await;
    let victims = victims(&url, &mint, &admin, 12).await;
    let verifiers = [
        verifier(&format!("http://{}", one.address)).await,
        verifier(&format!("http://{}", other.address)).await,
    ];
    let restart = |number: usize| {
        let cluster = &cluster;
        async move {
            if number % 4 == 1 {
                let mut cluster = cluster.lock().await;
                cluster.stop().await;
                cluster.start_again().await;
            }
        }
    };
    revoke_amid(victims, &one.channel, &admin, &verifiers, restart).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_rollcall_does_not_stop_a_verifier_from_taking_good_tokens() {
    let database = Database::create().await;
    let server = Process::serve(database.url(), &[]).await;
    server.line_with("\"serving\"").await;
    let url = format!("http://{}", server.address());
    let it = Replica::start(&database, &[]).await;
    it.create_user("orders", &["service"]).await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in("ana").await;
    let verifier = verifier(&url).await;
    drop(server);
    for _ in 0..100 {
        verifier.verify(&ana.access_token).expect("is good");
    }
}
