//! A store that is not the library's, as a keychain is.

use std::{
    io,
    sync::{Arc, Mutex},
};

use rollcall::client::{Change, Store, Tokens};

use super::{builder, generation, sent};
use crate::{
    client::{
        fake::{Fake, Reply},
        phone,
    },
    harness::PASSWORD,
};

/// Keeps bytes, and knows nothing of what they mean.
#[derive(Default)]
struct Keychain(Mutex<Option<Vec<u8>>>);

impl Store for Keychain {
    fn update(&self, change: Change) -> io::Result<Option<Tokens>> {
        let mut entry = self.0.lock().expect("no panic");
        let kept = entry.as_deref().map(Tokens::from_bytes).transpose()?;
        let kept = change(kept);
        *entry = kept.as_ref().map(|tokens| tokens.to_bytes().to_vec());
        Ok(kept)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_that_is_under_way_goes_on_from_the_bytes_of_another_store() {
    let fake = Fake::start();
    let keychain = Arc::new(Keychain::default());
    let source = || {
        let builder = builder(&fake).store(keychain.clone());
        builder.build().expect("an address")
    };
    let first = source();
    let token = first.sign_in("ana", PASSWORD, phone()).await;
    let token = token.expect("signs in");
    let restarted = source().access_token().await.expect("lives");
    assert_eq!(restarted, token);

    fake.auth().replies.extend((0..3).map(|_| Reply::Lose));
    first
        .replace(&token)
        .await
        .expect_err("every reply is lost");
    drop(first);
    let next = source().replace(&token).await.expect("goes on");
    assert_eq!(generation(&next), generation(&token) + 1);
    assert_eq!(sent(&fake).1, 1, "request ids");

    source().log_out().await.expect("ends");
    assert_eq!(*keychain.0.lock().expect("no panic"), None);
}
