//! Tokens with the right header whose claims, parts or characters are not what they must
//! be. None may be let in anywhere.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{forged::World, present};
use crate::harness::{SignedIn, claims, reason};

#[tokio::test(flavor = "multi_thread")]
async fn each_claim_missing_or_of_another_json_type_is_refused() {
    let world = World::new().await;
    let mut corpus = Vec::new();
    let all = names(&world.admin);
    assert_eq!(all.len(), 13);
    for name in &all {
        let without = world.mint.with_claims(&world.admin, |claims| {
            claims.as_object_mut().expect("an object").remove(name);
        });
        // Without it, the token is one of a pair.
        if name != "token_mode" {
            corpus.push((format!("no {name}"), without));
        }
        for other in other_types(&claims(&world.admin.access_token)[name]) {
            let what = format!("{name} {other}");
            corpus.push((
                what,
                world
                    .mint
                    .with_claims(&world.admin, |claims| claims[name] = other),
            ));
        }
    }
    world.refuse(corpus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_with_a_wrong_value_or_a_trick_in_their_type_are_refused() {
    let world = World::new().await;
    let (user_id, far) = (&world.admin.user_id, 32_503_680_000_i64);
    let mut corpus = Vec::new();
    for (name, value) in [
        ("exp", json!("9")),
        ("exp", json!(far.to_string())),
        ("exp", json!(32_503_680_000.0)),
        ("exp", json!(1e300)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(-1)),
        ("iat", json!("0")),
        ("gen", json!(-1)),
        ("gen", json!(4_294_967_296_i64)),
        ("gen", json!("0")),
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
        ("aud", json!(["rollcall"])),
        ("aud", json!(["other", "rollcall"])),
        ("sub", json!("operator")),
        ("sub", json!("")),
        ("sub", json!([user_id])),
        ("sid", json!("' OR '1'='1")),
        ("roles", json!("admin")),
        ("roles", json!([["admin"]])),
        ("amr", json!("pwd")),
        ("token_mode", json!("single")),
        ("token_mode", json!("OTHER")),
        ("token_mode", json!("")),
    ] {
        let what = format!("{name} {value}");
        corpus.push((
            what,
            world
                .mint
                .with_claims(&world.admin, |claims| claims[name] = value),
        ));
    }
    let claims = claims(&world.admin.access_token).to_string();
    let twice = claims.replacen('{', r#"{"exp":32503680000,"#, 1);
    for text in [
        "",
        "null",
        "[]",
        "7",
        r#""text""#,
        "{}",
        &claims[1..],
        &twice,
        &format!("{claims}{claims}"),
    ] {
        let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": world.mint.kid }).to_string();
        corpus.push((
            format!("claims {text}"),
            world.mint.sign_text(&header, text),
        ));
    }
    world.refuse(corpus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_whose_parts_are_not_its_own_or_not_three_is_refused() {
    let world = World::new().await;
    let parts = |token: &str| token.split('.').map(ToOwned::to_owned).collect::<Vec<_>>();
    let [one, other] = [&world.admin, &world.subject.phone].map(|s| parts(&s.access_token));
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
        format!("{header}.{claims}.{signature}=="),
        format!("{header}.{claims}.{signature}{signature}"),
        format!("{header}. {claims}.{signature}"),
        format!("{header}.{claims} .{signature}"),
        format!("{header}.{claims}.\t{signature}"),
        format!("{claims}.{header}.{signature}"),
        "..".to_owned(),
        ".".to_owned(),
        "null".to_owned(),
        "A".repeat(8_000),
        world.admin.refresh_token.clone(),
    ];
    world
        .refuse(
            corpus
                .into_iter()
                .map(|token| (token.clone(), token))
                .collect(),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_cut_anywhere_or_with_any_character_changed_is_refused() {
    let world = World::new().await;
    let token = &world.admin.access_token;
    let before = world.it.database.statements().await;
    for at in 0..token.len() {
        let (head, rest) = token.split_at(at);
        let changed = |to: &str| format!("{head}{to}{}", &rest[1..]);
        // The second changes the bits of a last character that mean nothing.
        let neighbour = char::from(rest.as_bytes()[0] ^ 1).to_string();
        let neighbour = if "+/=".contains(&neighbour) {
            "-".to_owned()
        } else {
            neighbour
        };
        let other = if rest.starts_with('A') { "B" } else { "A" };
        let mut bad = vec![head.to_owned(), changed(other)];
        if !rest.starts_with(&neighbour) {
            bad.push(changed(&neighbour));
        }
        for bad in bad {
            let refused = present(&world.it, &bad).await.expect_err(&bad);
            assert_eq!(reason(&refused), "ACCESS_TOKEN_INVALID", "{bad}");
        }
    }
    assert_eq!(world.it.database.statements().await, before);
}

/// The names of the claims that an access token has.
fn names(session: &SignedIn) -> BTreeSet<String> {
    let claims = claims(&session.access_token);
    let names = claims
        .as_object()
        .map(serde_json::Map::keys)
        .into_iter()
        .flatten();
    names.cloned().collect()
}

/// A claim's value as JSON of another type.
fn other_types(value: &Value) -> Vec<Value> {
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
    let differs = |other: &Value| match (value, other) {
        (Value::Number(_), Value::Number(other)) => !other.is_i64(),
        (Value::Array(_), Value::Array(other)) => !other.is_empty(),
        (Value::String(_), Value::String(_)) => false,
        _ => true,
    };
    any.into_iter().filter(differs).collect()
}
