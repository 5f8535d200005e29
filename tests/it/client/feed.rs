//! A feed that breaks, lags, goes silent or says odd things, and what a verifier makes of
//! its tokens meanwhile.

use std::time::Duration;

use rollcall::{
    client::{Verifier, VerifyError, WhenStale},
    proto::v1::ErrorReason,
};
use tonic::{Code, Status};

use super::{
    builder, connect, eventually,
    fake::{Fake, now, refused},
};

/// From when on the feed is stale in these tests, where it is to become so.
pub(super) const SOON: Duration = Duration::from_millis(300);

pub(super) async fn with(fake: &Fake, when_stale: WhenStale) -> Verifier {
    let builder = builder(fake).when_stale(when_stale).max_staleness(SOON);
    builder.connect().await.expect("connects")
}

/// Lets the feed fall silent, and waits until the one verifier that is [`SOON`] stale is so,
/// and stays so.
pub(super) async fn silence(fake: &Fake, verifier: &Verifier) {
    let opened = {
        let mut feed = fake.feed();
        feed.silent = true;
        feed.cursors.len()
    };
    // What was told before may be read late, and only from a stream that is not given up.
    let is_given_up = || fake.feed().cursors.len() > opened;
    eventually("the feed is opened again", is_given_up).await;
    eventually("the feed is stale", || verifier.is_stale()).await;
}

/// A verifier that has become stale.
pub(super) async fn stale(fake: &Fake, when_stale: WhenStale) -> Verifier {
    let verifier = with(fake, when_stale).await;
    silence(fake, &verifier).await;
    verifier
}

/// Lets the feed's time stand still, and waits until a verifier is stale by that and stays so.
async fn freeze(fake: &Fake, verifier: &Verifier) {
    fake.feed().frozen = Some(now());
    // Once the second is known, the time of the first was heard, and all before it.
    for _ in 0..2 {
        catches_up(fake, verifier).await;
    }
    eventually("the feed is stale", || verifier.is_stale()).await;
}

/// Waits until a verifier knows of a session that ended now.
async fn catches_up(fake: &Fake, verifier: &Verifier) {
    let token = fake.token(|_| {});
    fake.feed().end_session(&token);
    eventually("the feed is heard", || {
        matches!(verifier.verify(&token), Err(VerifyError::SessionEnded))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feed_that_ends_is_opened_again_where_it_ended() {
    let fake = Fake::start();
    let verifier = connect(&fake).await;
    catches_up(&fake, &verifier).await;
    let missed = fake.token(|_| {});
    {
        let mut feed = fake.feed();
        feed.streams.clear();
        feed.end_session(&missed);
    }
    eventually("what was missed is known", || {
        matches!(verifier.verify(&missed), Err(VerifyError::SessionEnded))
    })
    .await;
    assert_eq!(fake.feed().cursors, ["", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn feed_that_was_cut_off_for_lagging_is_opened_again_where_it_was() {
    let fake = Fake::start();
    let verifier = connect(&fake).await;
    catches_up(&fake, &verifier).await;
    for stream in fake.feed().streams.drain(..) {
        let lagged = refused(Code::Aborted, ErrorReason::WatchLagged);
        stream.send(Err(lagged)).expect("is open");
    }
    catches_up(&fake, &verifier).await;
    assert_eq!(fake.feed().cursors, ["", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_was_killed_is_followed_again_when_it_is_back() {
    let mut fake = Fake::start();
    let verifier = connect(&fake).await;
    fake.stop();
    let missed = fake.token(|_| {});
    fake.feed().end_session(&missed);
    fake.resume();
    eventually("what was missed is known", || {
        matches!(verifier.verify(&missed), Err(VerifyError::SessionEnded))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_snapshot_replaces_what_was_known_and_a_resumed_one_adds() {
    let fake = Fake::start();
    let verifier = connect(&fake).await;
    let token = fake.token(|_| {});
    fake.feed().end_session(&token);
    eventually("the session ends", || verifier.verify(&token).is_err()).await;
    fake.feed().streams.clear();
    catches_up(&fake, &verifier).await;
    assert!(verifier.verify(&token).is_err());

    {
        let mut feed = fake.feed();
        feed.resumes = false;
        feed.past.clear();
        feed.streams.clear();
    }
    eventually("what the server forgot is forgotten", || {
        verifier.verify(&token).is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cursor_that_the_server_does_not_know_is_given_up() {
    let fake = Fake::start();
    let verifier = connect(&fake).await;
    catches_up(&fake, &verifier).await;
    {
        let mut feed = fake.feed();
        let reason = ErrorReason::InvalidArgument;
        feed.refusal = Some(refused(Code::InvalidArgument, reason));
        feed.streams.clear();
    }
    eventually("the feed is opened anew", || {
        let cursors = &fake.feed().cursors;
        cursors.len() > 2 && cursors.last().is_some_and(String::is_empty)
    })
    .await;
    fake.feed().refusal = None;
    catches_up(&fake, &verifier).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_the_feed_is_refused_with_is_replaced() {
    let fake = Fake::start();
    let verifier = connect(&fake).await;
    {
        let mut feed = fake.feed();
        let reason = ErrorReason::AccessTokenExpired;
        feed.refusal = Some(refused(Code::Unauthenticated, reason));
        feed.streams.clear();
    }
    eventually("the token is refreshed", || {
        !fake.auth().refreshes.is_empty()
    })
    .await;
    fake.feed().refusal = None;
    catches_up(&fake, &verifier).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_feed_is_opened_again() {
    let fake = Fake::start();
    let verifier = with(&fake, WhenStale::Refuse).await;
    fake.feed().silent = true;
    eventually("the feed is opened again", || fake.feed().cursors.len() > 1).await;
    fake.feed().silent = false;
    catches_up(&fake, &verifier).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feed_whose_time_stands_still_is_stale_however_much_it_says() {
    let fake = Fake::start();
    let verifier = with(&fake, WhenStale::Refuse).await;
    freeze(&fake, &verifier).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feed_that_opens_again_at_the_same_time_is_stale_still() {
    let fake = Fake::start();
    let verifier = with(&fake, WhenStale::Refuse).await;
    freeze(&fake, &verifier).await;
    // It opens again, and tells what it knows up to the same time.
    let token = fake.token(|_| {});
    {
        let mut feed = fake.feed();
        feed.streams.clear();
        feed.end_session(&token);
    }
    eventually("the feed is open again", || {
        matches!(verifier.verify(&token), Err(VerifyError::SessionEnded))
    })
    .await;
    assert!(verifier.is_stale());
}

#[tokio::test(flavor = "multi_thread")]
async fn database_whose_clock_was_set_back_is_believed_once_it_moves() {
    let fake = Fake::start();
    let verifier = with(&fake, WhenStale::Refuse).await;
    fake.feed().ahead = -5_000_000;
    fake.feed().streams.clear();
    catches_up(&fake, &verifier).await;
    eventually("the feed is fresh", || !verifier.is_stale()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_verifier_that_is_to_refuse_takes_nothing_until_it_hears_again() {
    let fake = Fake::start();
    let verifier = stale(&fake, WhenStale::Refuse).await;
    let token = fake.token(|_| {});
    assert!(matches!(
        verifier.verify(&token),
        Err(VerifyError::Stale(_))
    ));
    assert!(matches!(
        verifier.check(&token).await,
        Err(VerifyError::Stale(_))
    ));
    assert!(matches!(
        verifier.verify("no token"),
        Err(VerifyError::Invalid(_))
    ));
    fake.feed().silent = false;
    eventually("it is heard again", || verifier.verify(&token).is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_verifier_that_is_to_allow_takes_good_tokens_and_no_others() {
    let fake = Fake::start();
    let verifier = with(&fake, WhenStale::AllowUntilExpiry).await;
    let (good, ended) = (fake.token(|_| {}), fake.token(|_| {}));
    fake.feed().end_session(&ended);
    let has_ended = || matches!(verifier.verify(&ended), Err(VerifyError::SessionEnded));
    eventually("the session ends", has_ended).await;
    silence(&fake, &verifier).await;
    assert!(verifier.verify(&good).is_ok());
    assert!(verifier.check(&good).await.is_ok());
    assert!(matches!(
        verifier.verify(&ended),
        Err(VerifyError::SessionEnded)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn last_clone_ends_the_feed() {
    let fake = Fake::start();
    let verifier = connect(&fake).await;
    let clone = verifier.clone();
    drop(verifier);
    catches_up(&fake, &clone).await;
    assert_eq!(fake.feed().streams.len(), 1);
    drop(clone);
    eventually("the stream is closed", || fake.feed().streams.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_stay_in_use_while_they_cannot_be_fetched() {
    let fake = Fake::start();
    let verifier = connect(&fake).await;
    fake.feed().keys_fail = true;
    fake.feed().keys.clear();
    for stream in &fake.feed().streams {
        let odd = Status::internal("odd");
        let _ = stream.send(Err(odd));
    }
    catches_up(&fake, &verifier).await;
    verifier.check(&fake.token(|_| {})).await.expect("is good");
}
