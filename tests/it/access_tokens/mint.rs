//! Access tokens signed with the deployment's own key, as nobody without the master key
//! can: so that what is wrong with one is the one thing that a test changed.

use aws_lc_rs::{
    aead, hkdf,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::harness::{Harness, SignedIn, claims, master_key, sql};

/// A key that signs.
pub struct Mint {
    pub(super) kid: String,
    pair: Ed25519KeyPair,
}

impl Mint {
    /// The key of the deployment, unsealed.
    pub async fn of(it: &Harness) -> Self {
        Self::of_database(it.database.url()).await
    }

    /// The key of the deployment on a database, unsealed.
    pub async fn of_database(url: &str) -> Self {
        let active = "SELECT kid, sealed_private FROM signing_keys WHERE state = 'active'";
        let rows = sql(url, active).await;
        let (kid, sealed): (String, Vec<u8>) = (rows[0].get(0), rows[0].get(1));
        let pair = Ed25519KeyPair::from_pkcs8(&open(&kid, &sealed)).expect("a key pair");
        Self { kid, pair }
    }

    /// A key of an intruder, who calls it as the deployment calls its own.
    pub(super) async fn generate(it: &Harness) -> Self {
        let kid = it
            .scalar("SELECT kid FROM signing_keys WHERE state = 'active'")
            .await;
        let pair = Ed25519KeyPair::generate().expect("random bytes");
        Self { kid, pair }
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
        let signature = self.pair.sign(message.as_bytes());
        format!("{message}.{}", encode(signature))
    }

    pub(super) fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    pub(super) fn public_key_hex(&self) -> String {
        self.public_key()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn good_header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": self.kid })
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
fn open(kid: &str, sealed: &[u8]) -> Vec<u8> {
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
    let context = format!("rollcall signing key EdDSA {kid}");
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
