//! Access tokens signed with the deployment's own key, as nobody without the master key
//! can: so that what is wrong with one is the one thing that a test changed.

use aws_lc_rs::{
    aead, hkdf,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rollcall::model::jwk::Jwk;
use serde_json::{Value, json};

use crate::harness::{Harness, SignedIn, claims, master_key, sql};

/// A key that signs.
pub struct Mint {
    pub(super) kid: String,
    pair: Pair,
}

enum Pair {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
}

impl Mint {
    /// The key of the deployment, unsealed.
    pub async fn of(it: &Harness) -> Self {
        Self::of_database(it.database.url()).await
    }

    /// The key of the deployment on a database, unsealed.
    pub async fn of_database(url: &str) -> Self {
        let active = "SELECT kid, algorithm, sealed_private FROM signing_keys \
             WHERE state = 'active'";
        let rows = sql(url, active).await;
        let (kid, algorithm, sealed): (String, String, Vec<u8>) =
            (rows[0].get(0), rows[0].get(1), rows[0].get(2));
        let private = open(&format!("{algorithm} {kid}"), &sealed);
        let pair = match algorithm.as_str() {
            "EdDSA" => Ed25519KeyPair::from_pkcs8(&private).map(Pair::EdDsa),
            "ES256" => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &private)
                .map(Pair::Es256),
            other => panic!("no key of {other}"),
        };
        let pair = pair.expect("a key pair");
        Self { kid, pair }
    }

    /// A key of an intruder, who calls it as the deployment calls its own.
    pub(super) fn intruder(&self) -> Self {
        let pair = match &self.pair {
            Pair::EdDsa(_) => Ed25519KeyPair::generate().map(Pair::EdDsa),
            Pair::Es256(_) => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Es256)
            }
        };
        Self {
            kid: self.kid.clone(),
            pair: pair.expect("random bytes"),
        }
    }

    /// The session's access token with its claims changed.
    pub fn with_claims(&self, session: &SignedIn, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims(&session.access_token);
        change(&mut claims);
        self.sign(&self.good_header(), &claims)
    }

    /// The session's access token with its header changed.
    pub(super) fn with_header(
        &self,
        session: &SignedIn,
        change: impl FnOnce(&mut Value),
    ) -> String {
        let mut header = self.good_header();
        change(&mut header);
        self.sign(&header, &claims(&session.access_token))
    }

    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    pub(super) fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = match &self.pair {
            Pair::EdDsa(pair) => pair.sign(message.as_bytes()),
            Pair::Es256(pair) => pair
                .sign(&SystemRandom::new(), message.as_bytes())
                .expect("random bytes"),
        };
        format!("{message}.{}", encode(signature))
    }

    /// The one algorithm of the key.
    pub(super) fn algorithm(&self) -> &'static str {
        match &self.pair {
            Pair::EdDsa(_) => "EdDSA",
            Pair::Es256(_) => "ES256",
        }
    }

    /// The 32 bytes of a key of Ed25519, or the point of 65 of one of P-256.
    pub(super) fn public_key(&self) -> &[u8] {
        match &self.pair {
            Pair::EdDsa(pair) => pair.public_key().as_ref(),
            Pair::Es256(pair) => pair.public_key().as_ref(),
        }
    }

    /// The key as a set has it (RFC 7517).
    pub(super) fn jwk(&self) -> Jwk {
        let key = self.public_key();
        match &self.pair {
            Pair::EdDsa(_) => Jwk::ed25519(key.try_into().expect("32 bytes")),
            Pair::Es256(_) => Jwk::p256(key.try_into().expect("65 bytes")).expect("a point"),
        }
    }

    pub(super) fn public_key_hex(&self) -> String {
        self.public_key()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// The header of a good token of the key.
    pub(super) fn good_header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": self.algorithm(), "kid": self.kid })
    }
}

/// The header of a token, whoever signed it.
pub(super) fn header(access_token: &str) -> Value {
    let encoded = access_token.split('.').next().expect("a part");
    let text = URL_SAFE_NO_PAD.decode(encoded).expect("base64url");
    serde_json::from_slice(&text).expect("JSON")
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What `identity::master_key` does, written down a second time on purpose: a change
/// of it makes stored keys unreadable.
fn open(algorithm_and_kid: &str, sealed: &[u8]) -> Vec<u8> {
    let text = master_key();
    let encoded = text.strip_prefix("rcm_").expect("a master key");
    let master = URL_SAFE_NO_PAD.decode(encoded).expect("base64url");
    let mut key = [0; 32];
    let label = [&b"rollcall signing key seal"[..]];
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"rollcall").extract(&master);
    let expanded = extracted
        .expand(&label, hkdf::HKDF_SHA256)
        .expect("a short label");
    expanded.fill(&mut key).expect("one block");

    let key = aead::UnboundKey::new(&aead::AES_256_GCM, &key).expect("32 bytes");
    let (nonce, sealed) = sealed.split_first_chunk().expect("a nonce");
    let context = format!("rollcall signing key {algorithm_and_kid}");
    let mut bytes = sealed.to_vec();
    let opened = aead::LessSafeKey::new(key)
        .open_in_place(
            aead::Nonce::assume_unique_for_key(*nonce),
            aead::Aad::from(context.as_bytes()),
            &mut bytes,
        )
        .expect("sealed under the master key");
    opened.to_vec()
}
