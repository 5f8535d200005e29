//! What keeps a device signed in, and how often it asks for that.

mod custom_store;
mod folder;
mod outage;
mod restart;
mod sign_in;

use std::sync::Arc;

use futures_util::future::join_all;
use rollcall::client::{AccessToken, MemoryStore, TokenSource, TokenSourceBuilder};

use super::{
    fake::{Fake, Reply},
    phone,
};
use crate::harness::{PASSWORD, claims};

fn builder(fake: &Fake) -> TokenSourceBuilder {
    TokenSource::builder(fake.url())
}

fn source(fake: &Fake, store: &Arc<MemoryStore>) -> TokenSource {
    let builder = builder(fake).store(store.clone());
    builder.build().expect("an address")
}

/// A source that is signed in.
async fn signed_in(fake: &Fake) -> (TokenSource, Arc<MemoryStore>, AccessToken) {
    let store = Arc::new(MemoryStore::default());
    let source = source(fake, &store);
    let token = source.sign_in("ana", PASSWORD, phone()).await;
    (source, store, token.expect("signs in"))
}

fn generation(token: &AccessToken) -> i64 {
    claims(token.expose())["gen"].as_i64().expect("a number")
}

/// How often each refresh token was sent, and with how many different `request_id`s.
fn sent(fake: &Fake) -> (usize, usize) {
    let auth = fake.auth();
    let ids: std::collections::BTreeSet<_> = auth
        .refreshes
        .iter()
        .map(|request| (&request.refresh_token, &request.request_id))
        .collect();
    (auth.refreshes.len(), ids.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_lives_is_given_out_without_asking() {
    let fake = Fake::start();
    let (source, _, token) = signed_in(&fake).await;
    for _ in 0..10 {
        assert_eq!(source.access_token().await.expect("lives"), token);
    }
    assert_eq!(sent(&fake), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn hundred_tasks_with_a_dead_token_cause_one_refresh() {
    let fake = Fake::start();
    fake.auth().lifetime = 0;
    let (source, _, token) = signed_in(&fake).await;
    fake.auth().lifetime = 600;
    let asks = (0..100).map(|_| {
        let source = source.clone();
        tokio::spawn(async move { source.access_token().await })
    });
    for asked in join_all(asks).await {
        let next = asked.expect("no panic").expect("refreshes");
        assert_eq!(generation(&next), generation(&token) + 1);
    }
    assert_eq!(sent(&fake), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn hundred_tasks_whose_token_was_refused_cause_one_refresh() {
    let fake = Fake::start();
    let (source, _, token) = signed_in(&fake).await;
    let asks = (0..100).map(|_| source.replace(&token));
    for next in join_all(asks).await {
        let next = next.expect("refreshes");
        assert_eq!(generation(&next), generation(&token) + 1);
    }
    assert_eq!(sent(&fake), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_reply_is_asked_for_again_with_the_same_request_id() {
    let fake = Fake::start();
    let (source, _, token) = signed_in(&fake).await;
    fake.auth().replies.extend([Reply::Lose, Reply::Lose]);
    let next = source.replace(&token).await.expect("refreshes in the end");
    assert_eq!(generation(&next), generation(&token) + 1);
    assert_eq!(sent(&fake), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refresh_has_a_request_id_of_its_own() {
    let fake = Fake::start();
    let (source, _, mut token) = signed_in(&fake).await;
    for _ in 0..3 {
        token = source.replace(&token).await.expect("refreshes");
    }
    let auth = fake.auth();
    let ids: std::collections::BTreeSet<_> = auth
        .refreshes
        .iter()
        .map(|request| &request.request_id)
        .collect();
    assert_eq!(ids.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn user_agent_is_told_at_the_sign_in_and_at_each_refresh() {
    let fake = Fake::start();
    let builder = builder(&fake).user_agent("Thing/1.0");
    let source = builder.build().expect("an address");
    let token = source.sign_in("ana", PASSWORD, phone()).await;
    let token = token.expect("signs in");
    source.replace(&token).await.expect("refreshes");
    let named = rollcall::proto::v1::Device {
        user_agent: "its own".to_owned(),
        ..phone()
    };
    let signed_in = source.sign_in("ana", PASSWORD, named).await;
    signed_in.expect("signs in");
    let auth = fake.auth();
    let sign_ins = auth.sign_ins.iter();
    let seen: Vec<_> = sign_ins
        .filter_map(|request| Some(&*request.device.as_ref()?.user_agent))
        .collect();
    assert_eq!(seen, ["Thing/1.0", "its own"]);
    assert_eq!(auth.refreshes[0].user_agent, "Thing/1.0");
}
