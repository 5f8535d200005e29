//! Any refresh token at all: only what this deployment made, to the last bit, is taken.

use proptest::prelude::*;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{super::mac::MacKey, *};

const VERSION: u8 = 1;
const TAG: usize = 32;
const BYTES: usize = 2 + BODY + TAG;

fn keys() -> MacKeys {
    MacKeys::new(MacKey::new(7, &[1; 32]), vec![MacKey::new(8, &[2; 32])])
}

fn token() -> RefreshToken {
    RefreshToken {
        user_id: UserId(Uuid::from_u128(1)),
        session_id: SessionId(Uuid::from_u128(2)),
        generation: 3,
        commitment: Commitment([4; 16]),
    }
}

#[test]
fn token_survives_its_text() {
    let text = token().encode(&keys());
    assert!(text.expose().starts_with("rcr_"));
    assert_eq!(text.expose().len(), 119);
    assert_eq!(RefreshToken::decode(text.expose(), &keys()), Some(token()));
}

#[test]
fn token_of_an_older_key_in_the_ring_is_taken() {
    let older = MacKeys::new(MacKey::new(8, &[2; 32]), vec![]);
    let text = token().encode(&older);
    assert_eq!(RefreshToken::decode(text.expose(), &keys()), Some(token()));
}

#[test]
fn keys_that_share_an_id_are_both_tried() {
    let twin = MacKeys::new(MacKey::new(7, &[3; 32]), vec![MacKey::new(7, &[1; 32])]);
    let text = token().encode(&keys());
    assert_eq!(RefreshToken::decode(text.expose(), &twin), Some(token()));
}

#[test]
fn token_of_another_deployment_is_refused() {
    let foreign = MacKeys::new(MacKey::new(7, &[9; 32]), vec![]);
    let text = token().encode(&foreign);
    assert_eq!(RefreshToken::decode(text.expose(), &keys()), None);
}

#[test]
fn every_flipped_bit_is_refused() {
    let text = token().encode(&keys());
    for at in 0..text.expose().len() {
        for bit in 0..8 {
            let mut bytes = text.expose().as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            if let Ok(flipped) = String::from_utf8(bytes) {
                assert_eq!(RefreshToken::decode(&flipped, &keys()), None, "{at}.{bit}");
            }
        }
    }
}

#[test]
fn every_prefix_and_suffix_is_refused() {
    let text = token().encode(&keys());
    for at in 0..text.expose().len() {
        assert_eq!(RefreshToken::decode(&text.expose()[..at], &keys()), None);
        assert_eq!(
            RefreshToken::decode(&text.expose()[at + 1..], &keys()),
            None
        );
    }
    for tail in ["=", "A", "AA", "\0", " "] {
        let longer = format!("{}{tail}", text.expose());
        assert_eq!(RefreshToken::decode(&longer, &keys()), None, "{tail:?}");
    }
}

#[test]
fn debug_of_a_token_text_is_silent() {
    let text = token().encode(&keys());
    assert_eq!(format!("{text:?}"), "RefreshTokenText(..)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_refused_without_panic(text in r"(rcr_)?(.{0,200}|[\w-]{0,200})") {
        prop_assert_eq!(RefreshToken::decode(&text, &keys()), None);
    }

    /// Of whatever length, and under a key that there is.
    #[test]
    fn any_bytes_are_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        for (byte, right) in bytes.iter_mut().zip([VERSION, 7]) {
            *byte = right;
        }
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes));
        prop_assert_eq!(RefreshToken::decode(&text, &keys()), None);
    }

    /// These come as far as the comparison of the tag.
    #[test]
    fn any_body_under_a_tag_that_is_not_its_own_is_refused(
        body: [[u8; 13]; 4], tag: [u8; TAG],
    ) {
        let bytes = [&[VERSION, 7][..], body.as_flattened(), &tag].concat();
        prop_assert_eq!(bytes.len(), BYTES);
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes));
        prop_assert_eq!(RefreshToken::decode(&text, &keys()), None);
    }

    #[test]
    fn good_token_with_anything_in_the_place_of_a_piece_is_refused(
        at: prop::sample::Index, length in 0_usize..4, piece in r"[\w=-]{0,3}|.{0,2}",
    ) {
        let text = token().encode(&keys());
        let good = text.expose();
        let at = at.index(good.len());
        let end = good.len().min(at + length);
        let changed = format!("{}{piece}{}", &good[..at], &good[end..]);
        let taken = RefreshToken::decode(&changed, &keys());
        prop_assert_eq!(taken, (changed == good).then(token));
    }

    #[test]
    fn any_token_survives_its_text(
        user: u128, session: u128, generation: u32, commitment: [u8; 16],
    ) {
        let token = RefreshToken {
            user_id: UserId(Uuid::from_u128(user)),
            session_id: SessionId(Uuid::from_u128(session)),
            generation,
            commitment: Commitment(commitment),
        };
        let text = token.encode(&keys());
        prop_assert_eq!(RefreshToken::decode(text.expose(), &keys()), Some(token));
    }
}
