//! The fake's keys and tokens.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rollcall::proto::v1::Jwk;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{AUDIENCE, ISSUER, now};

/// A key that signs.
pub struct Signer {
    kid: String,
    public: Vec<u8>,
    encoding: EncodingKey,
}

impl Signer {
    pub fn new(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().expect("random bytes");
        let pkcs8 = pair.to_pkcs8v1().expect("an encoding");
        Self {
            kid: kid.to_owned(),
            public: pair.public_key().as_ref().to_vec(),
            encoding: EncodingKey::from_ed_der(pkcs8.as_ref()),
        }
    }

    pub fn jwk(&self) -> Jwk {
        Jwk {
            kty: "OKP".to_owned(),
            r#use: "sig".to_owned(),
            alg: "EdDSA".to_owned(),
            kid: self.kid.clone(),
            crv: "Ed25519".to_owned(),
            x: URL_SAFE_NO_PAD.encode(&self.public),
            y: String::new(),
        }
    }

    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("at+jwt".to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.encoding).expect("signs")
    }
}

/// The claims of a good token of a session of its own, issued now for ten minutes.
pub fn claims() -> Value {
    let iat = now() / 1_000_000;
    json!({
        "iss": ISSUER,
        "sub": Uuid::now_v7(),
        "aud": AUDIENCE,
        "client_id": "test",
        "iat": iat,
        "exp": iat + 600,
        "jti": "a token",
        "sid": Uuid::now_v7(),
        "gen": 0,
        "auth_time": iat,
        "amr": ["pwd"],
        "roles": ["reader"],
    })
}
