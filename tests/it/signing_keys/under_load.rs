//! Every change of keys while devices refresh and people sign in: no call fails.

use rollcall::identity::Resealed;

use super::{
    LEAD, LIFETIME, kid,
    load::{Fleet, master_keys, under_load},
};

#[tokio::test(flavor = "multi_thread")]
async fn rotation_under_load_fails_no_call() {
    let fleet = Fleet::start(&[]).await;
    let first = fleet.database.key("active").await;
    under_load(&fleet, async |load| {
        for _ in 0..3 {
            fleet.database.age_keys("active", LIFETIME).await;
            fleet.database.age_keys("next", LEAD).await;
            fleet.look().await;
            load.goes_on().await;
        }
    })
    .await;
    let retiring = fleet.database.keys("retiring").await;
    assert_eq!(retiring.len(), 3);
    assert!(retiring.contains(&first));
}

#[tokio::test(flavor = "multi_thread")]
async fn emergency_rotation_under_load_fails_no_refresh_and_no_sign_in() {
    let fleet = Fleet::start(&[]).await;
    let next = fleet.database.key("next").await;
    under_load(&fleet, async |load| {
        load.expect_live_tokens(false);
        let identity = &fleet.replica(0).identity;
        let rotated = identity
            .rotate_signing_key_in_emergency(&Default::default())
            .await;
        assert_eq!(rotated.expect("rotates").kid, next);
        load.goes_on().await;
        fleet.look().await;
        load.goes_on().await;
        load.expect_live_tokens(true);
    })
    .await;
    assert_eq!(fleet.database.keys("gone").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn change_of_the_algorithm_and_back_under_load_fails_no_call() {
    let fleet = Fleet::start(&[]).await;
    let algorithm = async || {
        let signed_in = fleet.replica(0).sign_in("ana").await;
        let header = jsonwebtoken::decode_header(&signed_in.access_token);
        header.expect("a JWT").alg
    };
    under_load(&fleet, async |load| {
        for wanted in ["ES256", "EdDSA"] {
            fleet.replace(&["--signing-algorithm", wanted]).await;
            // The next key of the other algorithm goes, then the one that signs.
            for _ in 0..2 {
                fleet.database.age_keys("next", LEAD).await;
                fleet.look().await;
                load.goes_on().await;
            }
            assert_eq!(format!("{:?}", algorithm().await), wanted);
        }
    })
    .await;
    assert_eq!(fleet.database.left_behind().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn change_of_the_master_key_under_load_fails_no_call_and_ends_no_session() {
    let [old, new] = master_keys();
    let fleet = Fleet::start(&["--master-key", &old]).await;
    fleet.database.age_keys("next", LEAD).await;
    under_load(&fleet, async |load| {
        // So that there is a retiring key as well.
        let rotated = fleet
            .replica(0)
            .identity
            .rotate_signing_key(&Default::default())
            .await;
        rotated.expect("rotates");
        fleet.look().await;
        let old_first = format!("{old},{new}");
        fleet.replace(&["--master-key", &old_first]).await;
        load.goes_on().await;
        let new_first = format!("{new} {old}");
        fleet.replace(&["--master-key", &new_first]).await;
        load.goes_on().await;
        let resealed = fleet
            .replica(0)
            .identity
            .reseal_signing_keys(&Default::default())
            .await;
        let (all, none) = (
            Resealed {
                resealed: 3,
                unchanged: 0,
            },
            Resealed {
                resealed: 0,
                unchanged: 3,
            },
        );
        assert_eq!(resealed.expect("reseals"), all);
        let again = fleet
            .replica(0)
            .identity
            .reseal_signing_keys(&Default::default())
            .await;
        assert_eq!(again.expect("reseals"), none);
        load.goes_on().await;
        fleet.replace(&["--master-key", &new]).await;
        load.goes_on().await;
    })
    .await;
    let signed_in = fleet.replica(1).sign_in("ana").await;
    let active = fleet.database.key("active").await;
    assert_eq!(kid(&signed_in.access_token), active);
}
