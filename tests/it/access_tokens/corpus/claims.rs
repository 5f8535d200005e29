//! Other claims, parts and characters.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Forge, Forged, remove};
use crate::{
    access_tokens::mint::encode,
    harness::{SignedIn, claims},
};

/// What every access token says (RFC 9068 section 2.2).
const REQUIRED: [&str; 7] = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"];
/// What an access token of Rollcall says besides.
const OWN: [&str; 6] = ["sid", "gen", "auth_time", "amr", "roles", "token_mode"];

impl Forge {
    /// Each required claim missing, or of another JSON type.
    pub(in crate::access_tokens) fn required_claims(&self) -> Vec<Forged> {
        let mut corpus = self.missing_or_mistyped(&REQUIRED);
        // A time may have a fraction (RFC 7519 section 2).
        corpus.retain(|(what, _)| what != "iat 7.5");
        corpus
    }

    /// Each claim of Rollcall's own missing, or of another JSON type.
    pub(in crate::access_tokens) fn own_claims(&self) -> Vec<Forged> {
        let mut corpus = self.missing_or_mistyped(&OWN);
        // Without it, the token is one of a pair.
        corpus.retain(|(what, _)| what != "no token_mode");
        corpus
    }

    fn missing_or_mistyped(&self, names: &[&str]) -> Vec<Forged> {
        let mut corpus = Vec::new();
        for name in names {
            let without = self.with_claims(|claims| remove(claims, name));
            corpus.push((format!("no {name}"), without));
            let present = &claims(&self.session.access_token)[name];
            corpus.extend(other_types(present).map(|other| self.with_claim((name, other))));
        }
        corpus
    }

    /// Required claims that have a wrong value or a trick in their type, and what is no set
    /// of claims.
    pub(in crate::access_tokens) fn wrong_claims(&self) -> Vec<Forged> {
        let far = 32_503_680_000_i64;
        let claims = claims(&self.session.access_token).to_string();
        let changed = [
            ("exp", json!("9")),
            ("exp", json!(far.to_string())),
            ("exp", json!(-1)),
            ("iat", json!("0")),
            ("iss", json!("https://evil.test")),
            ("iss", json!("https://id.test/")),
            ("iss", json!("HTTPS://ID.TEST")),
            ("iss", json!("")),
            ("iss", json!(["https://id.test"])),
            ("aud", json!("other")),
            ("aud", json!("Rollcall")),
            ("aud", json!("rollcall ")),
            ("aud", json!("")),
            ("aud", json!(["other"])),
            ("sub", json!([self.session.user_id])),
        ]
        .map(|change| self.with_claim(change));
        let texts = ["", "null", "[]", "7", r#""text""#, "{}", &claims[1..]];
        let unlike = texts.map(|text| self.with_claims_text(text));
        changed.into_iter().chain(unlike).collect()
    }

    /// What Rollcall's own claims must not be, and forms of the required ones that RFC 7519
    /// leaves to whoever reads them.
    pub(in crate::access_tokens) fn strange_claims(&self) -> Vec<Forged> {
        let claims = claims(&self.session.access_token).to_string();
        let twice = claims.replacen('{', r#"{"exp":32503680000,"#, 1);
        let changed = [
            ("exp", json!(32_503_680_000.0)),
            ("exp", json!(1e300)),
            ("exp", json!(u64::MAX)),
            ("iat", json!(7.5)),
            ("aud", json!(["rollcall"])),
            ("aud", json!(["other", "rollcall"])),
            ("sub", json!("operator")),
            ("sub", json!("")),
            ("gen", json!(-1)),
            ("gen", json!(4_294_967_296_i64)),
            ("gen", json!("0")),
            ("sid", json!("' OR '1'='1")),
            ("roles", json!("admin")),
            ("roles", json!([["admin"]])),
            ("amr", json!("pwd")),
            ("token_mode", json!("single")),
            ("token_mode", json!("OTHER")),
            ("token_mode", json!("")),
        ]
        .map(|change| self.with_claim(change));
        let texts = [twice, format!("{claims}{claims}")];
        let unlike = texts.map(|text| self.with_claims_text(&text));
        changed.into_iter().chain(unlike).collect()
    }

    fn with_claims_text(&self, text: &str) -> Forged {
        let header = self.mint.good_header().to_string();
        let token = self.mint.sign_text(&header, text);
        (format!("claims {text}"), token)
    }

    /// Parts that are not the token's own, or not three.
    pub(in crate::access_tokens) fn parts(&self, other: &SignedIn) -> Vec<Forged> {
        let [one, other] = [&self.session, other].map(|session| {
            let parts = session.access_token.split('.');
            parts.map(ToOwned::to_owned).collect::<Vec<_>>()
        });
        let (header, claims, signature) = (&one[0], &one[1], &one[2]);
        let corpus = [
            format!("{header}.{claims}.{}", other[2]),
            format!("{header}.{}.{signature}", other[1]),
            format!("{header}.{claims}."),
            format!("{header}.{claims}"),
            format!(".{claims}.{signature}"),
            format!("{header}..{signature}"),
            format!("{header}.{claims}.{signature}."),
            format!(".{header}.{claims}.{signature}"),
            format!("{header}.{claims}.{signature}.{signature}.{signature}"),
            format!("{header}.{claims}.{signature}{signature}"),
            format!("{header}.{claims}.{}", &signature[..signature.len() / 2]),
            format!("{header}. {claims}.{signature}"),
            format!("{header}.{claims} .{signature}"),
            format!("{claims}.{header}.{signature}"),
            "..".to_owned(),
            ".".to_owned(),
            "null".to_owned(),
            "A".repeat(8_000),
            self.session.refresh_token.clone(),
        ];
        corpus.map(|token| (token.clone(), token)).into()
    }

    /// The signature written in another way, which some readers of base64 take for the same.
    pub(in crate::access_tokens) fn spelled_signatures(&self) -> Vec<Forged> {
        let token = &self.session.access_token;
        let (message, signature) = token.rsplit_once('.').expect("a signature");
        [
            format!("{token}=="),
            format!("{token}A"),
            format!("{message}.\t{signature}"),
        ]
        .map(|token| (token.clone(), token))
        .into()
    }

    /// Each bit of the signature flipped.
    pub(in crate::access_tokens) fn flipped_signatures(&self) -> Vec<Forged> {
        let token = &self.session.access_token;
        let (message, signature) = token.rsplit_once('.').expect("a signature");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        let flipped = |bit: usize| {
            let mut signature = signature.clone();
            signature[bit / 8] ^= 1 << (bit % 8);
            let token = format!("{message}.{}", encode(signature));
            (format!("bit {bit} of the signature"), token)
        };
        (0..signature.len() * 8).map(flipped).collect()
    }
}

/// A claim's value as JSON of another type.
fn other_types(value: &Value) -> impl Iterator<Item = Value> {
    let any = [
        json!(null),
        json!(true),
        json!(7),
        json!(7.5),
        json!("7"),
        json!([]),
        json!([7]),
        json!({}),
    ];
    let differs = move |other: &Value| match (value, other) {
        (Value::Number(_), Value::Number(other)) => !other.is_i64(),
        (Value::Array(_), Value::Array(other)) => !other.is_empty(),
        (Value::String(_), Value::String(_)) => false,
        _ => true,
    };
    any.into_iter().filter(differs)
}
