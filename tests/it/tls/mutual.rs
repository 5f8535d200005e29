//! Mutual TLS: who is let in.

use super::{Authority, Behind, authority::Wanted};

/// A client certificate of each kind, and whether it opens a connection.
async fn assert_only_the_right_certificate_counts(it: &Behind) {
    let trusted = || it.authority.trusted();
    let right = it.authority.client("orders.internal").shown(trusted());
    it.attempt(&right).await.expect("is let in");

    let expired = it
        .authority
        .issue(Wanted::by("orders.internal").until(2021));
    let other = Authority::new("other").client("orders.internal");
    // Whoever can name the authority is not it.
    let namesake = Authority::new("authority").client("orders.internal");
    for (pair, kind) in [
        (expired, "expired"),
        (other, "of another authority"),
        (namesake, "of a namesake"),
    ] {
        // Which of its errors the client sees first, the alert or the end, is a race.
        let result = it.attempt(&pair.shown(trusted())).await;
        assert!(result.is_err(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_without_a_certificate_or_with_a_wrong_one_is_refused() {
    let it = Behind::mutual(&[], "orders.internal").await;
    assert_only_the_right_certificate_counts(&it).await;
    let nothing = it.attempt(&it.authority.trusted()).await;
    nothing.expect_err("shows nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_without_a_certificate_is_let_in_where_it_is_optional_but_not_with_a_wrong_one() {
    let options = ["--tls-client-auth", "optional"];
    let it = Behind::mutual(&options, "orders.internal").await;
    assert_only_the_right_certificate_counts(&it).await;
    let nothing = it.attempt(&it.authority.trusted()).await;
    nothing.expect("shows nothing, and is let in");
}
