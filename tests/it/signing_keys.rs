//! The life of the keys that sign access tokens: next, active, retiring, gone.

mod by_hand;
mod emergency;
mod es256;
mod load;
mod under_load;

use std::{collections::HashSet, time::Duration};

use futures_util::future::join_all;
use rollcall::{
    identity::{self, Error},
    proto::v1,
};
use tonic::Status;

use crate::harness::{
    Database, Harness, Replica, SignedIn, bearer, patiently, pause, reason, request_id, successor,
};

/// More than the lead of a key.
const LEAD: &str = "1 hour";
/// More than the life of a key.
const LIFETIME: &str = "31 days";

/// The `kid` of the header of an access token.
fn kid(access_token: &str) -> String {
    let header = jsonwebtoken::decode_header(access_token).expect("a JWT");
    header.kid.expect("a kid")
}

/// The access token of a reply.
fn access_token(reply: &v1::RefreshResponse) -> &str {
    &reply.tokens.as_ref().expect("tokens").access_token
}

/// What the call with an access token is told; `Ok` when it is let in.
async fn present(it: &Replica, access_token: &str) -> Result<(), Status> {
    let request = bearer(v1::ListMySessionsRequest::default(), access_token);
    it.auth().list_my_sessions(request).await.map(drop)
}

impl Database {
    /// The ids of the keys in a state, oldest first.
    async fn keys(&self, state: &str) -> Vec<String> {
        let query =
            format!("SELECT kid FROM signing_keys WHERE state = '{state}' ORDER BY created_at");
        let rows = self.sql(&query).await;
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// The id of the one key in a state.
    async fn key(&self, state: &str) -> String {
        let mut keys = self.keys(state).await;
        assert_eq!(keys.len(), 1, "{state}: {keys:?}");
        keys.remove(0)
    }

    /// How many keys are neither erased nor may still sign.
    async fn left_behind(&self) -> i64 {
        let query = "SELECT count(*) FROM signing_keys \
             WHERE state IN ('retiring', 'gone') AND sealed_private <> ''";
        self.sql(query).await[0].get(0)
    }
}

async fn rotate(it: &Replica, admin: &SignedIn, emergency: bool) -> Result<v1::SigningKey, Status> {
    let request = admin.request(v1::RotateSigningKeyRequest { emergency });
    let reply = it.key_admin().rotate_signing_key(request).await?;
    Ok(reply.into_inner().signing_key.expect("a key"))
}

async fn list(it: &Replica, admin: &SignedIn) -> Vec<v1::SigningKey> {
    let request = admin.request(v1::ListSigningKeysRequest {});
    let reply = it.key_admin().list_signing_keys(request).await;
    reply.expect("lists").into_inner().signing_keys
}

fn published(it: &Replica) -> HashSet<String> {
    let keys = it.identity.jwks().expect("loaded");
    keys.into_iter().map(|key| key.kid).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_replicas_whose_key_is_due_at_once_rotate_exactly_once() {
    let database = Database::create().await;
    let replicas = join_all((0..8).map(|_| Replica::start(&database, &[]))).await;
    let (active, next) = (database.key("active").await, database.key("next").await);
    database.age_keys("active", LIFETIME).await;
    database.age_keys("next", LEAD).await;
    let looks = replicas.iter().flat_map(|replica| [replica, replica]);
    for looked in join_all(looks.map(|replica| replica.identity.load_signing_keys())).await {
        looked.expect("looks");
    }
    assert_eq!(database.key("active").await, next);
    assert_eq!(database.key("retiring").await, active);
    assert_ne!(database.key("next").await, next);
    assert_eq!(database.keys("gone").await, [""; 0]);

    replicas[0].create_user("ana", &[]).await;
    let sign_ins = replicas.iter().map(|replica| replica.sign_in("ana"));
    for signed_in in join_all(sign_ins).await {
        assert_eq!(kid(&signed_in.access_token), next);
        for replica in &replicas {
            let claims = replica.identity.claims(&signed_in.access_token);
            claims.expect("the token of one is a token of all");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retiring_key_verifies_until_it_expires_and_is_gone_after() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.database.age_keys("next", LEAD).await;
    rotate(&it, &admin, false).await.expect("rotates");
    let retiring = it.database.key("retiring").await;
    it.database.age_keys("retiring", "14 minutes").await;
    // One that has never seen the private half.
    let other = it.replica().await;
    for replica in [&it.server, &other] {
        replica.identity.load_signing_keys().await.expect("looks");
        present(replica, &admin.access_token).await.expect("good");
    }

    it.database.age_keys("retiring", "2 minutes").await;
    for replica in [&it.server, &other] {
        replica.identity.load_signing_keys().await.expect("looks");
        let refused = present(replica, &admin.access_token).await;
        assert_eq!(reason(&refused.expect_err("gone")), "ACCESS_TOKEN_INVALID");
        assert!(!published(replica).contains(&retiring));
    }
    assert_eq!(it.database.key("gone").await, retiring);
    assert_eq!(it.database.left_behind().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_has_expired_of_the_retiring_keys_is_gone() {
    let it = Harness::start().await;
    let first = it.database.key("active").await;
    for _ in 0..2 {
        it.database.age_keys("next", LEAD).await;
        let rotated = it.identity.rotate_signing_key(&Default::default()).await;
        rotated.expect("rotates");
    }
    let expire = format!("UPDATE signing_keys SET expires_at = now() WHERE kid = '{first}'");
    it.sql(&expire).await;
    it.identity.load_signing_keys().await.expect("looks");
    assert_eq!(it.database.key("gone").await, first);
    assert_ne!(it.database.key("retiring").await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn replica_learns_at_once_what_another_has_changed() {
    let it = Harness::start().await;
    let other = it.replica().await;
    // More often than it would look at the keys by itself while the test has patience.
    let learned = async {
        for _ in 0..24 {
            it.database.age_keys("next", LEAD).await;
            let rotated = it.identity.rotate_signing_key(&Default::default()).await;
            rotated.expect("rotates");
            let next = it.database.key("next").await;
            while !published(&other).contains(&next) {
                pause().await;
            }
        }
    };
    patiently("the other replica looks at the keys", learned).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_of_an_intruder_among_the_retiring_ones_verifies_nothing() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.database.age_keys("next", LEAD).await;
    rotate(&it, &admin, false).await.expect("rotates");
    // In the place of a retiring key, which has no private half to derive from.
    let forged = "UPDATE signing_keys SET sealed_public = sha256('x'), public_key = sha256('x') \
         WHERE state = 'retiring' RETURNING kid";
    let forged: String = it.scalar(forged).await;
    let refused = it.identity.load_signing_keys().await;
    assert!(matches!(refused, Err(Error::WrongMasterKey { kid }) if kid == forged));
    // Nor does the sealed half of another.
    let moved = "UPDATE signing_keys SET sealed_public = (SELECT sealed_private FROM signing_keys \
         WHERE state = 'active') WHERE state = 'retiring' RETURNING kid";
    let moved: String = it.scalar(moved).await;
    let refused = it.identity.load_signing_keys().await;
    assert!(matches!(refused, Err(Error::WrongMasterKey { kid }) if kid == moved));
    // What was loaded before stays.
    present(&it, &admin.access_token).await.expect("genuine");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_key_is_made_whichever_it_is() {
    let it = Harness::start().await;
    for state in ["active", "next"] {
        it.sql(&format!("DELETE FROM signing_keys WHERE state = '{state}'"))
            .await;
        it.identity.load_signing_keys().await.expect("makes one");
        let (active, next) = (
            it.database.key("active").await,
            it.database.key("next").await,
        );
        assert_eq!(published(&it), HashSet::from([active, next]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn key_set_is_kept_for_less_than_the_lead() {
    let it = Harness::with(&["--signing-key-lead", "3m"]).await;
    assert_eq!(it.identity.jwks_max_age(), Duration::from_secs(60));
    let default = it.replica().await.identity.jwks_max_age();
    assert_eq!(default, Duration::from_secs(300));
}

#[tokio::test(flavor = "multi_thread")]
async fn page_token_of_before_a_new_master_key_is_good_after() {
    let database = Database::create().await;
    let [old, new] = load::master_keys();
    let before = Replica::start(&database, &["--master-key", &old]).await;
    let admin = before.admin().await;
    before.sign_in("operator").await;
    let both = format!("{new},{old}");
    let after = Replica::start(&database, &["--master-key", &both]).await;
    let page = async |replica: &Replica, page_token: &str| {
        let request = admin.request(v1::ListSessionsRequest {
            page_size: 1,
            page_token: page_token.to_owned(),
            ..v1::ListSessionsRequest::default()
        });
        let reply = replica.session_admin().list_sessions(request).await;
        reply.map(|reply| reply.into_inner().next_page_token)
    };
    let token = page(&before, "").await.expect("lists");
    page(&after, &token).await.expect("the same list goes on");
    let token = page(&after, "").await.expect("lists");
    let refused = page(&before, &token).await.expect_err("unknown key");
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");
}

/// A refresh that must not fail.
async fn refreshed(it: &Replica, refresh_token: &str) -> (String, String) {
    let reply = it.refresh(refresh_token, &request_id()).await;
    let reply = reply.expect("refreshes");
    (
        successor(&reply).to_owned(),
        access_token(&reply).to_owned(),
    )
}

/// Whether a replica takes an access token, without a statement.
fn takes(replica: &Replica, access_token: &str) -> Result<(), identity::Error> {
    replica.identity.claims(access_token).map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn single_token_is_renewed_after_its_key_is_gone_for_as_long_as_a_session_may_idle() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let (ana, late) = (
        it.sign_in_single("ana").await,
        it.sign_in_single("ana").await,
    );
    it.database.age_keys("next", LEAD).await;
    rotate(&it, &admin, false).await.expect("rotates");
    it.database.age_keys("retiring", "29 days").await;
    it.identity.load_signing_keys().await.expect("looks");
    let gone = it.database.key("gone").await;
    assert_eq!(kid(&ana.access_token), gone);
    let refused = present(&it, &ana.access_token).await;
    assert_eq!(
        reason(&refused.expect_err("not published")),
        "ACCESS_TOKEN_INVALID"
    );
    let renewed = it.renew(&ana.access_token).await.expect("renews");
    let renewed = renewed.tokens.expect("tokens").access_token;
    present(&it, &renewed).await.expect("is good");

    it.database.age_keys("gone", "2 days").await;
    it.identity.load_signing_keys().await.expect("looks");
    let refused = it.renew(&late.access_token).await.expect_err("too late");
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn single_token_of_a_dropped_key_is_not_renewed() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    it.create_user("ana", &[]).await;
    let ana = it.sign_in_single("ana").await;
    rotate(&it, &admin, true).await.expect("rotates");
    let refused = it.renew(&ana.access_token).await.expect_err("dropped");
    assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID");
}
