//! Tokens that outlive a process, and those that several processes share.

use std::fs;

use futures_util::future::join_all;
use rollcall::client::TokenError;

use super::{
    folder::{Folder, aged},
    generation, sent,
};
use crate::{
    client::{
        eventually,
        fake::{Fake, Reply},
        phone,
    },
    harness::PASSWORD,
};

#[tokio::test(flavor = "multi_thread")]
async fn token_that_is_not_old_yet_is_taken_over_after_a_restart() {
    let fake = Fake::start();
    let (folder, token) = aged(&fake, 500).await;
    let source = folder.source(&fake);
    assert_eq!(source.access_token().await.expect("lives"), token);
    assert_eq!(sent(&fake), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn old_token_is_refreshed_after_a_restart() {
    let fake = Fake::start();
    let (folder, token) = aged(&fake, 545).await;
    let next = folder.source(&fake).access_token().await;
    assert_eq!(
        generation(&next.expect("refreshes")),
        generation(&token) + 1
    );
    assert_eq!(sent(&fake), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn request_id_is_stored_before_it_is_sent_and_survives_the_process() {
    let fake = Fake::start();
    let (folder, token) = aged(&fake, 0).await;
    // Each of the attempts that the library makes by itself.
    fake.auth().replies.extend((0..3).map(|_| Reply::Hang));
    let source = folder.source(&fake);
    let refused = token.clone();
    let life = tokio::spawn(async move { source.replace(&refused).await });
    eventually("the request is sent", || sent(&fake).0 > 0).await;
    let stored = folder.json()["request_id"].clone();
    assert_eq!(stored, fake.auth().refreshes[0].request_id);
    life.abort();
    fake.auth().replies.clear();

    let next = folder.source(&fake).access_token().await.expect("goes on");
    assert_eq!(generation(&next), generation(&token) + 1);
    assert_eq!(sent(&fake).1, 1);
    assert!(folder.json()["request_id"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_share_a_store_choose_one_request_id() {
    let fake = Fake::start();
    let (folder, token) = aged(&fake, 0).await;
    let sources: Vec<_> = (0..8).map(|_| folder.source(&fake)).collect();
    let asks = sources.iter().map(|source| source.replace(&token));
    for next in join_all(asks).await {
        assert_eq!(
            generation(&next.expect("refreshes")),
            generation(&token) + 1
        );
    }
    assert_eq!(sent(&fake).1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn verdict_on_tokens_that_a_neighbour_has_replaced_is_no_verdict_on_his() {
    let fake = Fake::start();
    let (folder, token) = aged(&fake, 0).await;
    let (slow, quick) = (folder.source(&fake), folder.source(&fake));
    fake.auth().replies.push_back(Reply::Hang);
    let refused = token.clone();
    let slow = tokio::spawn(async move { slow.replace(&refused).await });
    eventually("the first is under way", || sent(&fake).0 > 0).await;
    let next = quick.replace(&token).await.expect("refreshes");
    slow.abort();
    assert_eq!(generation(&next), generation(&token) + 1);
    // The neighbour's tokens are in the file, and stay there.
    let again = folder.source(&fake).access_token().await.expect("lives");
    assert_eq!(again, next);
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_file_is_named_and_left_alone() {
    let fake = Fake::start();
    let folder = Folder::new();
    fs::write(folder.file(), "not tokens").expect("writes");
    let source = folder.source(&fake);
    let asked = source.access_token().await.expect_err("is corrupt");
    let signed_in = source.sign_in("ana", PASSWORD, phone()).await;
    for error in [asked, signed_in.expect_err("is corrupt")] {
        assert!(matches!(error, TokenError::Store(_)), "{error}");
        assert!(error.to_string().contains("tokens.json"), "{error}");
    }
    assert_eq!(fs::read(folder.file()).expect("is there"), b"not tokens");
}
