//! Another algorithm, another key, another header.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Forge, Forged, remove};
use crate::{
    access_tokens::mint::{Mint, encode},
    harness::claims,
};

/// What comes before a public key in its SubjectPublicKeyInfo (RFC 8410 section 4, RFC 5480).
const OF_ED25519: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const OF_P256: &[u8] = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\
                         \xce\x3d\x03\x01\x07\x03\x42\x00";

impl Forge {
    /// No algorithm, and the public key as the secret of an HMAC.
    pub(in crate::access_tokens) fn algorithms(&self) -> Vec<Forged> {
        let token = &self.session.access_token;
        let claims = encode(claims(token).to_string());
        let message = |alg: &str| {
            let mut header = self.mint.good_header();
            header["alg"] = json!(alg);
            format!("{}.{claims}", encode(header.to_string()))
        };
        let signature = token.rsplit('.').next().expect("a signature");
        let mut corpus = Vec::new();
        for alg in ["none", "None", "NONE", "nOnE", "", " none"] {
            for signature in ["", signature, "AA"] {
                let token = format!("{}.{signature}", message(alg));
                corpus.push((format!("alg {alg:?}"), token));
            }
            corpus.push((format!("alg {alg:?} without a part"), message(alg)));
        }
        for (form, secret) in forms(&self.mint) {
            for (alg, algorithm) in [
                ("HS256", hmac::HMAC_SHA256),
                ("HS384", hmac::HMAC_SHA384),
                ("HS512", hmac::HMAC_SHA512),
            ] {
                let message = message(alg);
                let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), message.as_bytes());
                let token = format!("{message}.{}", encode(tag));
                corpus.push((format!("{alg} with {form}"), token));
            }
        }
        corpus
    }

    /// The key of an intruder, wherever the header points.
    pub(in crate::access_tokens) fn intruders(&self) -> Vec<Forged> {
        let mut jwk = json!(self.intruder.jwk());
        jwk["kid"] = json!(self.mint.kid);
        let elsewhere = json!("https://evil.test/keys.json");
        let certificate = json!([STANDARD.encode(b"certificate")]);
        let intruder = json!("intruder");
        let mut corpus: Vec<Forged> = [
            ("the same kid", vec![]),
            ("an unknown kid", vec![("kid", intruder.clone())]),
            ("jku", vec![("jku", elsewhere.clone())]),
            ("x5u", vec![("x5u", elsewhere.clone())]),
            (
                "jku and its kid",
                vec![("jku", elsewhere), ("kid", intruder.clone())],
            ),
            ("x5c", vec![("x5c", certificate)]),
            ("jwk", vec![("jwk", jwk.clone())]),
            ("jwk and its kid", vec![("jwk", jwk), ("kid", intruder)]),
        ]
        .into_iter()
        .map(|(what, members)| {
            let token = self.intruder.with_header(&self.session, |header| {
                for (name, value) in members {
                    header[name] = value;
                }
            });
            (format!("an intruder's key with {what}"), token)
        })
        .collect();
        let without = |header: &mut Value| remove(header, "kid");
        let token = self.intruder.with_header(&self.session, without);
        corpus.push(("an intruder's key with no kid".to_owned(), token));
        corpus
    }

    /// The right key under a header that is not what it must be.
    pub(in crate::access_tokens) fn headers(&self) -> Vec<Forged> {
        let kid = &self.mint.kid;
        let mut changes: Vec<(&str, Value)> = Vec::new();
        for typ in ["JWT", "jwt", "at+jwt ", "", "rt+jwt"] {
            changes.push(("typ", json!(typ)));
        }
        for alg in [
            "Ed25519", "eddsa", "es256", "ES256", "EdDSA", "RS256", "PS256", "HS256", "none",
            "EdDSA ",
        ] {
            if alg != self.mint.algorithm() {
                changes.push(("alg", json!(alg)));
            }
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
            changes.extend(
                [json!(null), json!(7), json!(["at+jwt", kid]), json!({})].map(|v| (name, v)),
            );
        }
        // What must be understood and is not (RFC 7515 section 4.1.11, RFC 7797).
        for crit in [json!(["exp"]), json!(["b64"]), json!([])] {
            changes.push(("crit", crit));
        }
        let changed = changes.into_iter().map(|change| self.with_header(change));
        let without = ["typ", "alg", "kid"].map(|name| {
            let change = |header: &mut Value| remove(header, name);
            let token = self.mint.with_header(&self.session, change);
            (format!("no {name}"), token)
        });
        changed.chain(without).collect()
    }

    /// Other spellings of the type, which RFC 7515 section 4.1.9 knows and Rollcall does not.
    pub(in crate::access_tokens) fn spellings(&self) -> Vec<Forged> {
        ["AT+JWT", "application/at+jwt"]
            .map(|typ| self.with_header(("typ", json!(typ))))
            .into()
    }
}

/// The forms in which a public key may be known, as secrets of an HMAC.
fn forms(mint: &Mint) -> Vec<(&'static str, Vec<u8>)> {
    let key = mint.public_key();
    let prefix = match mint.algorithm() {
        "EdDSA" => OF_ED25519,
        _ => OF_P256,
    };
    let spki = [prefix, key].concat();
    let base64 = STANDARD.encode(&spki);
    let lines: Vec<&str> = (0..base64.len())
        .step_by(64)
        .map(|at| &base64[at..base64.len().min(at + 64)])
        .collect();
    let body = lines.join("\n");
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----");
    vec![
        ("the key", key.to_vec()),
        ("the key as SPKI", spki),
        ("the key as PEM", pem.clone().into_bytes()),
        ("the key as PEM and a line break", (pem + "\n").into_bytes()),
        ("the key as base64url", encode(key).into_bytes()),
        ("the key as JWK", json!(mint.jwk()).to_string().into_bytes()),
        ("nothing", Vec::new()),
    ]
}
