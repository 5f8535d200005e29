//! Keys of the other algorithm.

use rollcall::model::access_token::verify;

use super::{access_token, present};
use crate::harness::{Harness, claims, request_id, successor};

#[tokio::test(flavor = "multi_thread")]
async fn es256_signs_from_the_first_key_on_and_is_published_as_such() {
    let it = Harness::with(&["--signing-algorithm", "ES256"]).await;
    let admin = it.admin().await;
    let header = jsonwebtoken::decode_header(&admin.access_token).expect("a JWT");
    assert_eq!(format!("{:?}", header.alg), "ES256");
    present(&it, &admin.access_token).await.expect("good");

    let keys = it.identity.jwks().expect("loaded");
    assert_eq!(keys.len(), 2, "the active and the next");
    let kid = header.kid.expect("a kid");
    let key = keys.iter().find(|key| key.kid == kid).expect("published");
    let described = [&*key.kty, &*key.crv, &*key.alg, &*key.usage];
    assert_eq!(described, ["EC", "P-256", "ES256", "sig"]);
    let verifying = key.verifying_key().expect("a key");
    let find = |_: &str| Some(&verifying);
    let checked = verify(&admin.access_token, find, "https://id.test", "rollcall");
    assert_eq!(checked.expect("good").sid.to_string(), admin.session_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_refresh_says_the_same_under_another_signature() {
    let it = Harness::with(&["--signing-algorithm", "ES256"]).await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let id = request_id();
    let first = it.refresh(&phone.refresh_token, &id).await.expect("one");
    let again = it.refresh(&phone.refresh_token, &id).await.expect("again");
    assert_eq!(successor(&first), successor(&again));
    let (first, again) = (access_token(&first), access_token(&again));
    assert_eq!(claims(first), claims(again));
    assert_ne!(first, again, "ECDSA signs with a random number");
    for token in [first, again] {
        present(&it, token).await.expect("both are good");
    }
}
