//! The conditions about where a session was used from.

use rollcall::proto::v1::{self, SessionFilter};

use super::filters::World;
use crate::harness::{SignedIn, device, request_id};

impl World {
    /// Signs in with this user agent.
    async fn with_agent(&self, user_agent: &str) -> SignedIn {
        let user_agent = user_agent.to_owned();
        self.sign_in(v1::Device {
            user_agent,
            ..device("")
        })
        .await
    }

    /// Signs in from this address.
    async fn at(&self, ip_address: &str) -> SignedIn {
        let ip_address = ip_address.to_owned();
        self.sign_in(v1::Device {
            ip_address,
            ..device("")
        })
        .await
    }
}

fn in_prefix(ip_prefix: &str) -> SessionFilter {
    SessionFilter {
        ip_prefix: ip_prefix.to_owned(),
        ..SessionFilter::default()
    }
}

fn agent_contains(text: &str) -> SessionFilter {
    SessionFilter {
        user_agent_contains: text.to_owned(),
        ..SessionFilter::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn address_prefix_finds_what_lies_in_it_of_either_version() {
    let world = World::new().await;
    let (low, high) = (
        world.at("203.0.113.0").await,
        world.at("203.0.113.127").await,
    );
    let beyond = world.at("203.0.113.128").await;
    let (six, near) = (
        world.at("2001:db8::1").await,
        world.at("2001:db8:1::1").await,
    );
    // An IPv4 address in IPv6's clothes is that address.
    let mapped = world.at("::ffff:198.51.100.7").await;

    world
        .finds(in_prefix("203.0.113.0/25"), &[&high, &low])
        .await;
    world
        .finds(in_prefix("203.0.113.77/25"), &[&high, &low])
        .await;
    world
        .finds(in_prefix("203.0.113.0/24"), &[&beyond, &high, &low])
        .await;
    world.finds(in_prefix("203.0.113.128"), &[&beyond]).await;
    world.finds(in_prefix("203.0.113.128/32"), &[&beyond]).await;
    world.finds(in_prefix("2001:db8::/48"), &[&six]).await;
    world
        .finds(in_prefix("2001:DB8::/32"), &[&near, &six])
        .await;
    world.finds(in_prefix("2001:db8::1"), &[&six]).await;
    world.finds(in_prefix("::/0"), &[&near, &six]).await;
    for prefix in [
        "198.51.100.7",
        "::ffff:198.51.100.7",
        "::ffff:198.51.100.0/120",
    ] {
        world.finds(in_prefix(prefix), &[&mapped]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn address_prefix_finds_the_address_of_the_sign_in_and_of_the_last_refresh() {
    let world = World::new().await;
    let session = world.at("203.0.113.7").await;
    let refresh = v1::RefreshRequest {
        refresh_token: session.refresh_token.clone(),
        request_id: request_id(),
        user_agent: "later".to_owned(),
        ip_address: "198.51.100.7".to_owned(),
    };
    world.it.auth().refresh(refresh).await.expect("lives");
    world.finds(in_prefix("203.0.113.0/24"), &[&session]).await;
    world.finds(in_prefix("198.51.100.0/24"), &[&session]).await;
    world.finds(agent_contains("later"), &[&session]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn user_agent_text_is_found_in_any_case_and_matches_only_itself() {
    let world = World::new().await;
    let percent = world.with_agent("Loads 100% of it").await;
    let score = world.with_agent("snake_case").await;
    let slash = world.with_agent(r"C:\Mail\x").await;
    let plain = world
        .with_agent("Loads 1000 of snakes, case closed; É")
        .await;

    world
        .finds(agent_contains("LOADS"), &[&plain, &percent])
        .await;
    world.finds(agent_contains("100%"), &[&percent]).await;
    world.finds(agent_contains("%"), &[&percent]).await;
    world.finds(agent_contains("100% of"), &[&percent]).await;
    world.finds(agent_contains("snake_c"), &[&score]).await;
    world.finds(agent_contains("_"), &[&score]).await;
    world.finds(agent_contains(r"\mail\"), &[&slash]).await;
    world.finds(agent_contains(r"\"), &[&slash]).await;
    world.finds(agent_contains(r"\%"), &[]).await;
    world.finds(agent_contains("É"), &[&plain]).await;
    world
        .finds(agent_contains("'; DROP TABLE sessions; --"), &[])
        .await;
}
