//! What keeps a device signed in: through lost replies, restarts, outages and neighbours.

use std::{fs, io, path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::join_all;
use rollcall::{
    client::{
        AccessToken, Change, FileStore, MemoryStore, SignInAgain, Store, TokenError, TokenSource,
        TokenSourceBuilder, Tokens,
    },
    proto::v1::ErrorReason,
};
use tonic::{Code, Status};

use super::{
    eventually,
    fake::{Fake, Reply, refused, refused_with},
    phone,
};
use crate::harness::{PASSWORD, claims};

/// A store that several sources share, as a file is by several processes.
#[derive(Clone, Default)]
struct Shared(Arc<MemoryStore>);

impl Store for Shared {
    fn update(&self, change: Change) -> io::Result<Option<Tokens>> {
        self.0.update(change)
    }
}

fn builder(fake: &Fake) -> TokenSourceBuilder {
    TokenSource::builder(fake.url())
}

fn source(fake: &Fake, store: &Shared) -> TokenSource {
    let builder = builder(fake).store(store.clone());
    builder.build().expect("an address")
}

/// A source that is signed in.
async fn signed_in(fake: &Fake) -> (TokenSource, Shared, AccessToken) {
    let store = Shared::default();
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

/// A folder with a file of tokens, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("rollcall-tokens-{}", uuid::Uuid::now_v7());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("is new");
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("tokens.json")
    }

    /// A source as another process, or another life of this one, has it.
    fn source(&self, fake: &Fake) -> TokenSource {
        let store = FileStore::new(self.file());
        let builder = TokenSource::builder(fake.url()).store(store);
        builder.build().expect("an address")
    }

    fn json(&self) -> serde_json::Value {
        let text = fs::read(self.file()).expect("there is a file");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// Lets the tokens have been asked for this long ago.
    fn age(&self, seconds: i64) {
        let mut json = self.json();
        let asked_at = json["asked_at"].as_i64().expect("a time");
        json["asked_at"] = (asked_at - seconds).into();
        fs::write(self.file(), json.to_string()).expect("writes");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A folder whose token of ten minutes is this old.
async fn aged(fake: &Fake, seconds: i64) -> (Folder, AccessToken) {
    let folder = Folder::new();
    let source = folder.source(fake);
    let token = source.sign_in("ana", PASSWORD, phone()).await;
    folder.age(seconds);
    (folder, token.expect("signs in"))
}

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
async fn request_id_is_stored_before_it_is_sent_and_survives_the_process() {
    let fake = Fake::start();
    let (folder, token) = aged(&fake, 0).await;
    fake.auth().replies.push_back(Reply::Hang);
    let source = folder.source(&fake);
    let refused = token.clone();
    let life = tokio::spawn(async move { source.replace(&refused).await });
    eventually("the request is sent", || sent(&fake).0 == 1).await;
    let stored = folder.json()["request_id"].clone();
    assert_eq!(stored, fake.auth().refreshes[0].request_id);
    life.abort();

    let next = folder.source(&fake).access_token().await.expect("goes on");
    assert_eq!(generation(&next), generation(&token) + 1);
    assert_eq!(sent(&fake), (2, 1));
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
async fn outage_is_not_noticed_while_the_token_in_hand_lives() {
    let mut fake = Fake::start();
    let (folder, token) = aged(&fake, 0).await;
    let source = folder.source(&fake);
    assert_eq!(source.access_token().await.expect("lives"), token);
    fake.stop();
    assert_eq!(source.access_token().await.expect("lives"), token);
    let refused = source.replace(&token).await.expect_err("nobody answers");
    assert!(matches!(refused, TokenError::TryLater { .. }), "{refused}");
    assert_eq!(source.access_token().await.expect("lives still"), token);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_token_is_given_out_after_a_restart_in_an_outage_while_it_lives() {
    let mut fake = Fake::start();
    let (folder, token) = aged(&fake, 545).await;
    fake.stop();
    let source = folder.source(&fake);
    for _ in 0..2 {
        assert_eq!(source.access_token().await.expect("lives"), token);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_with_a_dead_token_is_to_be_tried_later_and_ends_with_the_outage() {
    let mut fake = Fake::start();
    let (folder, token) = aged(&fake, 3_600).await;
    fake.stop();
    let source = folder.source(&fake);
    let error = source.access_token().await.expect_err("nobody answers");
    assert!(matches!(error, TokenError::TryLater { .. }), "{error}");
    fake.resume();
    let trying = async {
        loop {
            match source.access_token().await {
                Ok(next) => return next,
                Err(error) => assert!(matches!(error, TokenError::TryLater { .. }), "{error}"),
            }
            tokio::task::yield_now().await;
        }
    };
    let next = crate::harness::patiently("the outage ends", trying).await;
    assert_eq!(generation(&next), generation(&token) + 1);
    assert_eq!(sent(&fake).1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_that_say_nothing_of_the_session_never_sign_anybody_out() {
    let fake = Fake::start();
    let refusals = [
        refused(Code::ResourceExhausted, ErrorReason::RefreshedTooOften),
        refused(Code::Unavailable, ErrorReason::GenerationAhead),
        refused(Code::PermissionDenied, ErrorReason::SessionBindingBroken),
        Status::unauthenticated("a proxy"),
        Status::internal("odd"),
        Status::unimplemented("odd"),
    ];
    for refusal in refusals {
        let (source, store, token) = signed_in(&fake).await;
        let replies = (0..3).map(|_| Reply::Refuse(refusal.clone()));
        fake.auth().replies = replies.collect();
        let error = source.replace(&token).await.expect_err("is refused");
        assert!(!matches!(error, TokenError::SignInAgain(_)), "{refusal:?}");
        fake.auth().replies.clear();
        let restarted = self::source(&fake, &store).access_token().await;
        let next = restarted.expect("the session lives on");
        assert_eq!(generation(&next), generation(&token) + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verdict_on_the_session_asks_the_person_to_sign_in_and_forgets_the_tokens() {
    let fake = Fake::start();
    let ended = [("end_reason".to_owned(), "LOGGED_OUT".to_owned())].into();
    let code = Code::Unauthenticated;
    let verdicts = [
        (
            refused_with(code, ErrorReason::SessionEnded, ended),
            SignInAgain::SessionEnded("LOGGED_OUT".to_owned()),
        ),
        (
            refused(code, ErrorReason::RefreshTokenReused),
            SignInAgain::RefreshTokenReused,
        ),
        (
            refused(code, ErrorReason::RefreshTokenInvalid),
            SignInAgain::RefreshTokenInvalid,
        ),
    ];
    for (verdict, expected) in verdicts {
        let (source, store, token) = signed_in(&fake).await;
        fake.auth().replies.push_back(Reply::Refuse(verdict));
        let refused = source.replace(&token).await.expect_err("is over");
        let again = source.access_token().await.expect_err("is over still");
        for error in [refused, again] {
            match error {
                TokenError::SignInAgain(why) => assert_eq!(why, expected),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(store.update(Box::new(|kept| kept)).expect("memory"), None);
        let before = sent(&fake).0;
        assert!(source.access_token().await.is_err());
        assert_eq!(sent(&fake).0, before, "nothing is asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verdict_on_tokens_that_a_neighbour_has_replaced_is_no_verdict_on_his() {
    let fake = Fake::start();
    let (folder, token) = aged(&fake, 0).await;
    let (slow, quick) = (folder.source(&fake), folder.source(&fake));
    fake.auth().replies.push_back(Reply::Hang);
    let refused = token.clone();
    let slow = tokio::spawn(async move { slow.replace(&refused).await });
    eventually("the first is under way", || sent(&fake).0 == 1).await;
    let next = quick.replace(&token).await.expect("refreshes");
    slow.abort();
    assert_eq!(generation(&next), generation(&token) + 1);
    // The neighbour's tokens are in the file, and stay there.
    let again = folder.source(&fake).access_token().await.expect("lives");
    assert_eq!(again, next);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_signed_in_before_the_first_sign_in_and_after_the_log_out() {
    let fake = Fake::start();
    let not_signed_in = |result: Result<AccessToken, TokenError>| {
        let error = result.expect_err("nobody is signed in");
        let TokenError::SignInAgain(why) = error else {
            panic!("{error:?}");
        };
        assert_eq!(why, SignInAgain::NotSignedIn);
    };
    let folder = Folder::new();
    let source = folder.source(&fake);
    not_signed_in(source.access_token().await);
    source.log_out().await.expect("there is nothing to end");
    source
        .sign_in("ana", PASSWORD, phone())
        .await
        .expect("signs in");
    source.log_out().await.expect("ends");
    not_signed_in(source.access_token().await);
    assert!(!folder.file().exists());
    let auth = fake.auth();
    assert_eq!(auth.logouts.len(), 1);
    assert_eq!(auth.logouts[0].refresh_token, "rcr_1000");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_out_that_does_not_arrive_keeps_the_tokens_for_another_try() {
    let fake = Fake::start();
    let (source, store, _) = signed_in(&fake).await;
    let status = Status::unavailable("down");
    fake.auth().replies.push_back(Reply::Refuse(status));
    assert!(source.log_out().await.is_err());
    assert!(
        store
            .update(Box::new(|kept| kept))
            .expect("memory")
            .is_some()
    );
    source.log_out().await.expect("arrives");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password_is_said_to_be_one_and_changes_nothing() {
    let fake = Fake::start();
    let (source, _, token) = signed_in(&fake).await;
    let error = source.sign_in("ana", "wrong", phone()).await;
    let error = error.expect_err("is wrong");
    assert!(matches!(error, TokenError::Credentials { .. }), "{error}");
    assert_eq!(source.access_token().await.expect("lives"), token);
}

#[tokio::test(flavor = "multi_thread")]
async fn account_signs_in_by_itself_at_first_and_when_its_session_has_ended() {
    let fake = Fake::start();
    let builder = builder(&fake).account("shop", PASSWORD, phone());
    let source = builder.build().expect("an address");
    let token = source.access_token().await.expect("signs in");
    let code = Code::Unauthenticated;
    let ended = refused(code, ErrorReason::SessionEnded);
    fake.auth().replies.push_back(Reply::Refuse(ended));
    let next = source.replace(&token).await.expect("signs in again");
    assert_eq!(generation(&next), 2_000);
    assert_eq!(fake.auth().sign_ins.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn account_with_a_wrong_password_does_not_try_again_at_once() {
    let fake = Fake::start();
    let builder = builder(&fake).account("shop", "wrong", phone());
    let source = builder.build().expect("an address");
    for _ in 0..10 {
        let error = source.access_token().await.expect_err("is wrong");
        assert!(matches!(error, TokenError::Credentials { .. }), "{error}");
    }
    assert_eq!(fake.auth().sign_ins.len(), 1);
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

#[tokio::test(flavor = "multi_thread")]
async fn caller_that_gives_up_ends_no_refresh() {
    let fake = Fake::start();
    let (source, _, token) = signed_in(&fake).await;
    fake.auth().replies.push_back(Reply::Lose);
    let giving_up = tokio::time::timeout(Duration::from_millis(1), source.replace(&token));
    let _ = giving_up.await;
    let next = source.replace(&token).await.expect("was refreshed");
    assert_eq!(generation(&next), generation(&token) + 1);
    assert_eq!(sent(&fake).1, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_whose_outcome_is_not_known_is_repeated_when_nobody_asks() {
    let fake = Fake::start();
    let (folder, token) = aged(&fake, 0).await;
    let source = folder.source(&fake);
    fake.auth().replies.extend((0..3).map(|_| Reply::Lose));
    let error = source.replace(&token).await.expect_err("nothing is known");
    assert!(matches!(error, TokenError::TryLater { .. }), "{error}");
    // The token in hand lives, and asking for it asks for nothing.
    let waiting = async {
        loop {
            match source.access_token().await.expect("lives") {
                same if same == token => tokio::task::yield_now().await,
                next => return next,
            }
        }
    };
    let next = crate::harness::patiently("the successor comes", waiting).await;
    assert_eq!(generation(&next), generation(&token) + 1);
    assert_eq!(sent(&fake).1, 1);
}
