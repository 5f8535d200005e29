//! Tokens with the right header whose claims, parts or characters are not what they must
//! be. None may be let in anywhere.

use super::{forged::World, present};
use crate::harness::{claims, reason};

#[tokio::test(flavor = "multi_thread")]
async fn each_claim_missing_or_of_another_json_type_is_refused() {
    let world = World::new().await;
    let all = claims(&world.forge.session.access_token);
    assert_eq!(all.as_object().expect("an object").len(), 13);
    let mut corpus = world.forge.required_claims();
    corpus.extend(world.forge.own_claims());
    // Each missing but `token_mode`, and of several other types.
    assert!(corpus.len() > 12 + 13 * 4);
    world.refuse(corpus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_with_a_wrong_value_or_a_trick_in_their_type_are_refused() {
    let world = World::new().await;
    world.refuse(world.forge.wrong_claims()).await;
    world.refuse(world.forge.strange_claims()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_whose_parts_are_not_its_own_or_not_three_is_refused() {
    let world = World::new().await;
    world.refuse(world.forge.parts(&world.subject.phone)).await;
    world.refuse(world.forge.spelled_signatures()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn token_cut_anywhere_or_with_any_character_changed_is_refused() {
    let world = World::new().await;
    let token = &world.forge.session.access_token;
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
            world.verifier_refuses(&bad, &bad);
        }
    }
    assert_eq!(world.it.database.statements().await, before);
}
