//! Any token at all: none panics, and only what is right to the last bit is taken.

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;

const ISSUER: &str = "https://id.test";
const AUDIENCE: &str = "shop";
const KID: &str = "a key";

static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());
static KEY: LazyLock<VerifyingKey> = LazyLock::new(|| {
    let point = DecodingKey::from_ed_der(PAIR.public_key().as_ref());
    VerifyingKey::new(Algorithm::EdDSA, point)
});

fn check(text: &str) -> Result<Claims, Invalid> {
    verify(text, |kid| (kid == KID).then_some(&*KEY), ISSUER, AUDIENCE)
}

/// What the right key signs, whatever it is.
fn signed(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(header.as_ref()), encode(claims.as_ref()));
    let signature = PAIR.sign(message.as_bytes());
    format!("{message}.{}", encode(signature.as_ref()))
}

fn header() -> Value {
    json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": KID })
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": Uuid::from_u128(1), "aud": AUDIENCE, "client_id": "test", "iat": 1,
        "exp": 2, "jti": "a token", "sid": Uuid::from_u128(2), "gen": 3, "auth_time": 0,
        "amr": ["pwd"], "roles": [], "token_mode": "SINGLE",
    })
}

fn good() -> String {
    signed(header().to_string(), claims().to_string())
}

/// What a header must be.
fn is_right_header(header: &Value) -> bool {
    header["typ"] == "at+jwt"
        && header["alg"] == "EdDSA"
        && header["kid"] == KID
        && header["crit"].is_null()
}

/// What claims must be.
fn is_right(claims: &Value) -> bool {
    let is_text = |name: &str| claims[name].is_string();
    let is_time = |name: &str| claims[name].is_i64();
    let is_id = |name: &str| {
        let text = claims[name].as_str();
        text.is_some_and(|text| Uuid::try_parse(text).is_ok())
    };
    let is_list = |name: &str| {
        let list = claims[name].as_array();
        list.is_some_and(|list| list.iter().all(Value::is_string))
    };
    let mode = claims.get("token_mode");
    claims["iss"] == ISSUER
        && claims["aud"] == AUDIENCE
        && ["client_id", "jti"].into_iter().all(is_text)
        && ["sub", "sid"].into_iter().all(is_id)
        && ["iat", "auth_time", "exp"].into_iter().all(is_time)
        && claims["exp"].as_i64() >= Some(0)
        && claims["gen"]
            .as_u64()
            .is_some_and(|it| u32::try_from(it).is_ok())
        && ["amr", "roles"].into_iter().all(is_list)
        && mode.is_none_or(|mode| mode == "PAIR" || mode == "SINGLE")
}

/// Any JSON, and often what is right somewhere.
fn any_json() -> impl Strategy<Value = Value> {
    let right = [header(), claims()].map(|it| it.as_object().cloned().unwrap_or_default());
    let right = right.into_iter().flatten().map(|(_, value)| value);
    let leaf = prop_oneof![
        4 => select(right.collect::<Vec<_>>()),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => any::<u32>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        2 => ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{1,3}", inner, 0..3)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Up to two of the members get another value, or go.
fn any_changes(names: &'static [&'static str]) -> impl Strategy<Value = Changes> {
    let value = prop_oneof![1 => Just(None), 5 => any_json().prop_map(Some)];
    prop::collection::vec((select(names), value), 0..3)
}

type Changes = Vec<(&'static str, Option<Value>)>;

fn changed(mut object: Value, changes: Changes) -> Value {
    for (name, value) in changes {
        match value {
            Some(value) => object[name] = value,
            None => drop(object.as_object_mut().unwrap().remove(name)),
        }
    }
    object
}

#[test]
fn good_token_is_taken_with_what_it_says() {
    let taken = check(&good()).unwrap();
    assert_eq!(serde_json::to_value(taken).unwrap(), claims());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_refused(text in r".{0,200}|[\w-]{0,90}(\.[\w-]{0,90}){0,3}") {
        prop_assert!(check(&text).is_err());
    }

    #[test]
    fn any_bytes_that_the_right_key_signed_are_refused(bytes: Vec<u8>) {
        prop_assert!(check(&signed(header().to_string(), &bytes)).is_err());
        prop_assert!(check(&signed(&bytes, claims().to_string())).is_err());
    }

    #[test]
    fn good_token_with_anything_in_the_place_of_a_piece_is_refused(
        at: prop::sample::Index, length in 0_usize..4, piece in r"[\w.=-]{0,3}|.{0,2}",
    ) {
        let good = good();
        let at = at.index(good.len());
        let end = good.len().min(at + length);
        let text = format!("{}{piece}{}", &good[..at], &good[end..]);
        prop_assert!(text == good || check(&text).is_err());
    }

    #[test]
    fn header_is_taken_only_when_it_is_right(
        changes in any_changes(&["typ", "alg", "kid", "crit", "more"]),
    ) {
        let header = changed(header(), changes);
        let taken = check(&signed(header.to_string(), claims().to_string())).is_ok();
        prop_assert_eq!(taken, is_right_header(&header), "{}", header);
    }

    #[test]
    fn claims_are_taken_only_when_they_are_right_and_as_they_are(
        changes in any_changes(&[
            "iss", "sub", "aud", "client_id", "iat", "exp", "jti", "sid", "gen", "auth_time",
            "amr", "roles", "token_mode", "more",
        ]),
    ) {
        let claims = changed(claims(), changes);
        let taken = check(&signed(header().to_string(), claims.to_string()));
        prop_assert_eq!(taken.is_ok(), is_right(&claims), "{}", claims);
        if let Ok(taken) = taken {
            let told = serde_json::to_value(taken).unwrap();
            for (name, value) in told.as_object().unwrap() {
                prop_assert_eq!(value, &claims[name]);
            }
        }
    }

    #[test]
    fn any_claims_are_taken_only_when_they_are_right(claims in any_json()) {
        let taken = check(&signed(header().to_string(), claims.to_string())).is_ok();
        prop_assert!(!taken);
    }
}
