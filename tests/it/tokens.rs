//! Garbage never reaches the database, and nothing in the database signs anybody in.

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use jsonwebtoken::{EncodingKey, Header};
use rollcall::{
    identity::{self, MasterKey},
    model::{
        ids::{SessionId, UserId},
        mac::{MacKey, MacKeys},
        refresh_token::{Commitment, RefreshToken},
    },
    proto::v1,
    server::{Error, Server},
};
use tonic::Code;
use uuid::Uuid;

use crate::harness::{
    Database, Harness, SignedIn, bearer, claims, config, pause, reason, request_id,
};

/// Everything that is almost this token.
fn almost(refresh_token: &str) -> Vec<String> {
    let encoded = &refresh_token["rcr_".len()..];
    let bytes = URL_SAFE_NO_PAD.decode(encoded).expect("base64url");
    let mut garbage = Vec::new();
    for at in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        garbage.push(format!("rcr_{}", URL_SAFE_NO_PAD.encode(flipped)));
    }
    for at in 0..refresh_token.len() * 7 {
        let mut flipped = refresh_token.as_bytes().to_vec();
        flipped[at / 7] ^= 1 << (at % 7);
        garbage.push(String::from_utf8(flipped).expect("ASCII"));
    }
    for at in 1..refresh_token.len() {
        garbage.push(refresh_token[..at].to_owned());
        garbage.push(refresh_token[at..].to_owned());
        garbage.push(format!("rcr_{}", URL_SAFE_NO_PAD.encode(&bytes[..at % 86])));
        garbage.push(format!(
            "rcr_{}",
            URL_SAFE_NO_PAD.encode(&bytes[at % 85 + 1..])
        ));
    }
    let longer = ["=", "==", "A", "AA", "AAAA", " ", "\n", "\0", "é"];
    garbage.extend(longer.map(|tail| format!("{refresh_token}{tail}")));
    garbage.extend(longer.map(|head| format!("{head}{refresh_token}")));
    garbage.extend([encoded.to_owned(), refresh_token.to_uppercase()]);
    garbage
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_with_almost_a_token_is_refused_without_a_statement() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let (before, sent) = (it.database.contents().await, it.database.statements().await);
    for garbage in almost(&phone.refresh_token).chunks(100) {
        let refreshes = garbage.iter().map(|token| it.refresh(token, ""));
        for (token, answer) in garbage.iter().zip(join_all(refreshes).await) {
            let refused = answer.expect_err(token);
            assert_eq!(refused.code(), Code::Unauthenticated, "{token}");
            assert_eq!(reason(&refused), "REFRESH_TOKEN_INVALID", "{token}");
        }
    }
    assert_eq!(it.database.statements().await, sent);
    assert_eq!(it.database.contents().await, before);
    it.refresh(&phone.refresh_token, "").await.expect("lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_with_almost_a_token_is_ok_and_ends_nothing() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let (before, sent) = (it.database.contents().await, it.database.statements().await);
    for garbage in almost(&phone.refresh_token).chunks(100) {
        let logouts = garbage.iter().map(|token| {
            let refresh_token = token.clone();
            let mut auth = it.auth();
            async move { auth.logout(v1::LogoutRequest { refresh_token }).await }
        });
        for answer in join_all(logouts).await {
            answer.expect("a token that is none is logged out");
        }
    }
    assert_eq!(it.database.statements().await, sent);
    assert_eq!(it.database.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn token_of_a_session_that_is_gone_is_invalid() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    it.sql("DELETE FROM sessions").await;
    let refused = it.refresh(&phone.refresh_token, &request_id()).await;
    assert_eq!(reason(&refused.expect_err("gone")), "REFRESH_TOKEN_INVALID");
}

/// A server on a database with a master key that is not the database's.
async fn bind_with_another_master_key(database: &Database) -> Server {
    let mut config = config(database.url(), &[]);
    let other = MasterKey::generate().expect("random bytes");
    config.master_key.master_key = Some(other.into());
    Server::bind(config).await.expect("binds")
}

#[tokio::test(flavor = "multi_thread")]
async fn server_with_another_master_key_refuses_to_start() {
    let it = Harness::start().await;
    let foreign = bind_with_another_master_key(&it.database).await;
    let identity = foreign.identity().clone();
    let ready = async move {
        while let Err(identity::Error::NotReady) = identity.caller("").await {
            pause().await;
        }
    };
    let ended = foreign.run(ready).await;
    let refused = ended.expect_err("refuses");
    let Error::Keys(identity::Error::WrongMasterKey { kid }) = refused else {
        panic!("{refused:?}");
    };
    // Of the keys, the one that was made first.
    let active = "SELECT kid FROM signing_keys WHERE state = 'active'";
    assert_eq!(kid, it.scalar::<String>(active).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_of_the_database_under_another_master_key_signs_nobody_in() {
    let Harness { database, server } = Harness::start().await;
    server.create_user("ana", &[]).await;
    let phone = server.sign_in("ana").await;
    // Whoever runs on the copy is foreign: the server would make its own keys again.
    server.stop().await.expect("stops");
    let own_keys = database.sql("DELETE FROM signing_keys RETURNING kid").await;
    assert_eq!(own_keys.len(), 2);
    let foreign = bind_with_another_master_key(&database).await;
    let theirs = foreign.identity().clone();
    theirs.load_signing_keys().await.expect("makes a key");

    let refresh = |refresh_token: &str| rollcall::identity::Refresh {
        refresh_token: refresh_token.to_owned(),
        request_id: Some(request_id()),
        origin: rollcall::model::session::Origin {
            user_agent: String::new(),
            ip_address: None,
        },
    };
    let refused = theirs
        .refresh(&Default::default(), refresh(&phone.refresh_token))
        .await;
    assert!(matches!(refused, Err(identity::Error::RefreshTokenInvalid)));
    let refused = theirs.caller(&phone.access_token).await;
    assert!(matches!(refused, Err(identity::Error::AccessTokenInvalid)));
}

/// A token of a session's row, under a key that was made up.
fn forge(phone: &SignedIn, key_id: u8, secret: [u8; 32], commitment: [u8; 16]) -> String {
    let id = |text: &str| Uuid::parse_str(text).expect("a UUID");
    let token = RefreshToken {
        user_id: UserId(id(&phone.user_id)),
        session_id: SessionId(id(&phone.session_id)),
        generation: 1,
        commitment: Commitment(commitment),
    };
    let keys = MacKeys::new(MacKey::new(key_id, &secret), Vec::new());
    token.encode(&keys).expose().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_token_cannot_be_forged_from_the_database() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    it.refresh(&phone.refresh_token, &request_id())
        .await
        .expect("lives");
    let rows = it
        .sql("SELECT h_current, h_current || h_previous, public_key, sealed_private FROM sessions, signing_keys")
        .await;
    let columns: [Vec<u8>; 4] = [0, 1, 2, 3].map(|at| rows[0].get(at));
    let current: [u8; 16] = columns[0].as_slice().try_into().expect("16 bytes");
    let secrets = columns[1..]
        .iter()
        .flat_map(|bytes| bytes.windows(32))
        .map(|bytes| bytes.try_into().expect("32 bytes"))
        .chain([[0; 32]]);
    let encoded = &phone.refresh_token["rcr_".len()..];
    let key_id = URL_SAFE_NO_PAD.decode(encoded).expect("base64url")[1];
    let before = it.database.contents().await;
    for secret in secrets {
        let forged = forge(&phone, key_id, secret, current);
        let refused = it.refresh(&forged, &request_id()).await;
        assert_eq!(
            reason(&refused.expect_err("forged")),
            "REFRESH_TOKEN_INVALID"
        );
    }
    assert_eq!(it.database.contents().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn access_token_signed_with_a_key_of_one_s_own_is_refused() {
    let it = Harness::start().await;
    let admin = it.admin().await;
    let header = jsonwebtoken::decode_header(&admin.access_token).expect("a JWT");
    let forge = |key: &EncodingKey| {
        let header = Header {
            typ: header.typ.clone(),
            kid: header.kid.clone(),
            ..Header::new(header.alg)
        };
        jsonwebtoken::encode(&header, &claims(&admin.access_token), key).expect("signs")
    };
    let own = Ed25519KeyPair::generate().expect("random bytes");
    let own = own.to_pkcs8().expect("encodes");
    let forged = forge(&EncodingKey::from_ed_der(own.as_ref()));
    let list = |token: &str| bearer(v1::ListMySessionsRequest::default(), token);
    let refused = it.auth().list_my_sessions(list(&forged)).await;
    assert_eq!(
        reason(&refused.expect_err("forged")),
        "ACCESS_TOKEN_INVALID"
    );
    // A key that was put into the database is not taken either: it is not sealed.
    let public = "UPDATE signing_keys SET public_key = sha256(public_key)";
    it.sql(public).await;
    let other = it.replica().await;
    let genuine = list(&admin.access_token);
    let genuine = other.auth().list_my_sessions(genuine).await;
    genuine.expect("verified with what was sealed");
}
