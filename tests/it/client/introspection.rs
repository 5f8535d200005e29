//! A verifier that asks Rollcall about each token while its feed is stale.

use std::time::Duration;

use rollcall::{
    client::{VerifyError, WhenStale},
    proto::v1::{ErrorReason, IntrospectResponse},
};
use tonic::Code;

use super::{
    builder,
    fake::{Fake, Reply, refused},
    feed::{SOON, silence, stale},
};

/// How long a request waits in these tests, where there is no answer.
const BRIEF: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn stale_verifier_that_is_to_ask_goes_by_the_answer() {
    let mut fake = Fake::start();
    let verifier = stale(&fake, WhenStale::Introspect).await;
    let token = fake.token(|_| {});
    assert!(matches!(
        verifier.verify(&token),
        Err(VerifyError::Stale(_))
    ));

    fake.feed().introspection = Ok(IntrospectResponse {
        active: true,
        roles: vec!["of this moment".to_owned()],
        ..IntrospectResponse::default()
    });
    let claims = verifier.check(&token).await.expect("is active");
    assert_eq!(claims.roles, ["of this moment"]);

    fake.feed().introspection = Ok(IntrospectResponse::default());
    assert!(matches!(
        verifier.check(&token).await,
        Err(VerifyError::Inactive)
    ));
    assert!(verifier.check("no token").await.is_err());
    assert_eq!(fake.feed().introspected, [token.clone(), token.clone()]);

    fake.stop();
    assert!(matches!(
        verifier.check(&token).await,
        Err(VerifyError::Unavailable(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_verifier_never_asks() {
    let fake = Fake::start();
    let builder = builder(&fake).when_stale(WhenStale::Introspect);
    let verifier = builder.connect().await.expect("connects");
    verifier.check(&fake.token(|_| {})).await.expect("is good");
    assert!(fake.feed().introspected.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn own_token_that_cannot_be_had_in_time_makes_nobody_wait() {
    let fake = Fake::start();
    let builder = builder(&fake).when_stale(WhenStale::Introspect);
    let builder = builder.max_staleness(SOON).ask_timeout(BRIEF);
    let verifier = builder.connect().await.expect("connects");
    silence(&fake, &verifier).await;
    let reason = ErrorReason::AccessTokenExpired;
    fake.feed().introspection = Err(refused(Code::Unauthenticated, reason));
    fake.auth().replies.extend((0..3).map(|_| Reply::Hang));
    let result = verifier.check(&fake.token(|_| {})).await;
    assert!(
        matches!(result, Err(VerifyError::Unavailable(_))),
        "{result:?}"
    );
    // The source itself tries three times, and has not got to the last.
    assert!(fake.auth().refreshes.len() < 3);
}
