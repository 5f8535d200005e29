//! Tokens with another algorithm, another key or another header than they must have.
//! None may be let in anywhere.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    mint::{Mint, encode},
    present,
};
use crate::harness::{Harness, SignedIn, Subject, claims, good_request, reason, rpcs};

/// A token, and what is wrong with it.
type Forged = (String, String);

/// A deployment, an operator's session, and two keys: its own and an intruder's.
pub(super) struct World {
    pub(super) it: Harness,
    pub(super) admin: SignedIn,
    pub(super) subject: Subject,
    pub(super) mint: Mint,
    intruder: Mint,
}

/// An operator whose access token could be renewed by itself.
async fn single_token_admin(it: &Harness) -> SignedIn {
    it.create_user("operator", &["admin"]).await;
    it.sign_in_single("operator").await
}

impl World {
    pub(super) async fn new() -> Self {
        let it = Harness::start().await;
        Self {
            admin: single_token_admin(&it).await,
            subject: it.subject_with_watch("ana", &[]).await,
            mint: Mint::of(&it).await,
            intruder: Mint::generate(&it).await,
            it,
        }
    }

    /// Asserts that every call that takes an access token, and Renew, refuses these, and that none
    /// of them is worth a statement.
    pub(super) async fn refuse(&self, corpus: Vec<Forged>) {
        let untouched = self.mint.with_claims(&self.admin, |_| {});
        present(&self.it, &untouched)
            .await
            .expect("only what is changed is refused");
        let public = [
            "Register",
            "Authenticate",
            "Refresh",
            "Renew",
            "Logout",
            "GetJwks",
        ];
        let rpcs: Vec<_> = rpcs()
            .into_iter()
            .map(|(rpc, _)| (good_request(&rpc, &self.subject), rpc))
            .filter(|(_, rpc)| !public.iter().any(|name| rpc.ends_with(name)))
            .collect();
        assert!(rpcs.len() >= 13);
        let before = self.it.database.statements().await;
        for (what, token) in corpus {
            for (request, rpc) in &rpcs {
                let result = self.it.call(rpc, request.clone(), Some(&token)).await;
                let refused = result.expect_err(&format!("{rpc} lets in {what}"));
                assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID", "{rpc} of {what}");
            }
            if !token.is_empty() {
                let refused = self.it.renew(&token).await;
                let refused = refused.expect_err(&format!("Renew takes {what}"));
                assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID", "Renew of {what}");
            }
        }
        assert_eq!(self.it.database.statements().await, before);
    }

    fn with_header(&self, key: &str, value: Value) -> String {
        self.mint
            .with_header(&self.admin, |header| header[key] = value)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn algorithm_none_and_the_public_key_as_a_secret_are_refused() {
    let world = World::new().await;
    let claims = claims(&world.admin.access_token).to_string();
    let kid = &world.mint.kid;
    let message = |alg: &str| {
        let header = json!({ "typ": "at+jwt", "alg": alg, "kid": kid }).to_string();
        format!("{}.{}", encode(header), encode(&claims))
    };
    let signature = world
        .admin
        .access_token
        .rsplit('.')
        .next()
        .expect("a signature");
    let mut corpus = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", "", " none"] {
        for signature in ["", signature, "AA"] {
            corpus.push((
                format!("alg {alg:?}"),
                format!("{}.{signature}", message(alg)),
            ));
        }
        corpus.push((format!("alg {alg:?} without a part"), message(alg)));
    }
    for (form, secret) in forms(world.mint.public_key()) {
        for (alg, algorithm) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            let message = message(alg);
            let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), message.as_bytes());
            corpus.push((
                format!("{alg} with {form}"),
                format!("{message}.{}", encode(tag)),
            ));
        }
    }
    world.refuse(corpus).await;
}

/// The forms in which the public key may be known, as secrets of an HMAC.
fn forms(public_key: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    // SubjectPublicKeyInfo of Ed25519 (RFC 8410 section 4).
    let prefix = [
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ];
    let spki = [&prefix[..], public_key].concat();
    let base64 = STANDARD.encode(&spki);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----");
    vec![
        ("the key", public_key.to_vec()),
        ("the key as SPKI", spki),
        ("the key as PEM", pem.clone().into_bytes()),
        ("the key as PEM and a line break", (pem + "\n").into_bytes()),
        ("the key as base64url", encode(public_key).into_bytes()),
        ("nothing", Vec::new()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn key_of_an_intruder_is_refused_wherever_the_header_points() {
    let world = World::new().await;
    let x = encode(world.intruder.public_key());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": world.mint.kid });
    let forge = |change: &dyn Fn(&mut Value)| world.intruder.with_header(&world.admin, change);
    let elsewhere = "https://evil.test/keys.json";
    let corpus = vec![
        ("the same kid", forge(&|_| {})),
        (
            "an unknown kid",
            forge(&|header| header["kid"] = json!("intruder")),
        ),
        (
            "no kid",
            forge(&|header| drop(header.as_object_mut().and_then(|h| h.remove("kid")))),
        ),
        ("jku", forge(&|header| header["jku"] = json!(elsewhere))),
        ("x5u", forge(&|header| header["x5u"] = json!(elsewhere))),
        (
            "x5c",
            forge(&|header| header["x5c"] = json!([STANDARD.encode(b"certificate")])),
        ),
        ("jwk", forge(&|header| header["jwk"] = jwk.clone())),
        (
            "jwk and its kid",
            forge(&|header| {
                header["jwk"] = jwk.clone();
                header["kid"] = json!("intruder");
            }),
        ),
    ];
    world
        .refuse(
            corpus
                .into_iter()
                .map(|(what, token)| (what.to_owned(), token))
                .collect(),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn header_with_anything_else_than_it_must_have_is_refused_though_the_key_is_right() {
    let world = World::new().await;
    let kid = &world.mint.kid;
    let mut changes: Vec<(&str, Value)> = Vec::new();
    for typ in [
        "JWT",
        "jwt",
        "AT+JWT",
        "application/at+jwt",
        "at+jwt ",
        "",
        "rt+jwt",
    ] {
        changes.push(("typ", json!(typ)));
    }
    for alg in [
        "Ed25519", "eddsa", "ES256", "RS256", "PS256", "HS256", "none", "EdDSA ",
    ] {
        changes.push(("alg", json!(alg)));
    }
    for kid in [
        "",
        "../../../../dev/null",
        "/dev/null",
        "' OR '1'='1",
        "x'; DROP TABLE signing_keys; --",
        "%",
        &kid.to_lowercase(),
        &format!("{kid} "),
        &kid[1..],
        &"k".repeat(4_000),
    ] {
        changes.push(("kid", json!(kid)));
    }
    for name in ["typ", "alg", "kid"] {
        changes
            .extend([json!(null), json!(7), json!(["at+jwt", kid]), json!({})].map(|v| (name, v)));
    }
    // What must be understood and is not (RFC 7515 section 4.1.11, RFC 7797).
    changes.push(("crit", json!(["exp"])));
    changes.push(("crit", json!(["b64"])));
    changes.push(("crit", json!([])));
    let mut corpus: Vec<Forged> = changes
        .into_iter()
        .map(|(name, value)| (format!("{name} {value}"), world.with_header(name, value)))
        .collect();
    for name in ["typ", "alg", "kid"] {
        let token = world.mint.with_header(&world.admin, |header| {
            header.as_object_mut().expect("an object").remove(name);
        });
        corpus.push((format!("no {name}"), token));
    }
    world.refuse(corpus).await;
}
