//! Sessions that are bound to the user agent or the address of their sign-in, and what
//! happens to refreshes and renewals from elsewhere.

mod told;

use rollcall::proto::v1::{self, BindingReaction as Reaction};
use serde_json::Value;
use tonic::{Code, Status};

use crate::harness::{
    Harness, SignedIn, authenticate, device, end_reason, reason, request_id, successor,
    violated_fields,
};

const HOME: (&str, &str) = ("phone/1", "192.0.2.17");

/// How a session's tokens are exchanged for the next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Via {
    Refresh,
    Renew,
}

const BOTH: [Via; 2] = [Via::Refresh, Via::Renew];

fn binding(user_agent: bool, ip_prefix_length: u32, reaction: Reaction) -> v1::SessionBinding {
    v1::SessionBinding {
        user_agent,
        ip_prefix_length,
        reaction: reaction.into(),
    }
}

fn sign_in(via: Via, from: (&str, &str), binding: v1::SessionBinding) -> v1::AuthenticateRequest {
    let token_mode = match via {
        Via::Refresh => v1::TokenMode::Pair,
        Via::Renew => v1::TokenMode::Single,
    };
    v1::AuthenticateRequest {
        device: Some(v1::Device {
            user_agent: from.0.to_owned(),
            ip_address: from.1.to_owned(),
            ..device("")
        }),
        token_mode: token_mode.into(),
        binding: Some(binding),
        ..authenticate("ana")
    }
}

/// Exchanges the tokens of a session, with one name for every attempt.
async fn exchange(
    it: &Harness,
    via: Via,
    session: &SignedIn,
    from: (&str, &str),
) -> Result<v1::TokenPair, Status> {
    let (user_agent, ip_address) = (from.0.to_owned(), from.1.to_owned());
    let tokens = match via {
        Via::Refresh => {
            let request = v1::RefreshRequest {
                refresh_token: session.refresh_token.clone(),
                request_id: format!("refresh-of-{}", session.session_id),
                user_agent,
                ip_address,
            };
            it.auth().refresh(request).await?.into_inner().tokens
        }
        Via::Renew => {
            let request = v1::RenewRequest {
                access_token: session.access_token.clone(),
                user_agent,
                ip_address,
            };
            it.auth().renew(request).await?.into_inner().tokens
        }
    };
    Ok(tokens.expect("tokens"))
}

/// The audit events about a session's binding, oldest first.
async fn events(it: &Harness, session: &SignedIn) -> Vec<Value> {
    let query = format!(
        "SELECT detail::text FROM audit_events WHERE session_id = '{}' AND user_id = '{}' \
         AND kind = 'SESSION_BINDING_BROKEN' ORDER BY id",
        session.session_id, session.user_id
    );
    let rows = it.sql(&query).await;
    let details = rows.iter().map(|row| row.get::<_, &str>(0));
    details
        .map(|detail| serde_json::from_str(detail).expect("JSON"))
        .collect()
}

/// Asserts what a call from elsewhere than the binding leads to.
async fn assert_reaction(
    it: &Harness,
    reaction: Reaction,
    session: &SignedIn,
    answer: Result<v1::TokenPair, Status>,
    what: &str,
) {
    let standing = it.database.standing(&session.session_id).await;
    match (reaction, answer) {
        (Reaction::Note, Ok(_)) => assert_eq!(standing, (1, None), "{what}"),
        (Reaction::Refuse, Err(refused)) => {
            assert_eq!(refused.code(), Code::PermissionDenied, "{what}");
            assert_eq!(reason(&refused), "SESSION_BINDING_BROKEN", "{what}");
            assert_eq!(standing, (0, None), "{what}");
        }
        (Reaction::End, Err(refused)) => {
            assert_eq!(refused.code(), Code::Unauthenticated, "{what}");
            assert_eq!(end_reason(&refused), "BINDING_BROKEN", "{what}");
            assert_eq!(standing, (0, Some("BINDING_BROKEN".to_owned())), "{what}");
        }
        (reaction, answer) => panic!("{reaction:?} of {what}: {answer:?}"),
    }
    assert_eq!(events(it, session).await.len(), 1, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_condition_holds_or_breaks_for_each_reaction_and_each_exchange() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let six = ("phone/1", "2001:db8:1:200::1");
    let cases = [
        // A binding to the user agent.
        (HOME, true, 0, ("phone/1", "198.51.100.1"), true),
        (HOME, true, 0, ("phone/2", "192.0.2.17"), false),
        (HOME, true, 0, ("", "192.0.2.17"), false),
        // To a prefix of the address.
        (HOME, false, 24, ("laptop", "192.0.2.255"), true),
        (HOME, false, 24, ("phone/1", "192.0.3.17"), false),
        (HOME, false, 24, ("", "::ffff:192.0.2.1"), true),
        (HOME, false, 24, ("phone/1", "::ffff:192.0.3.1"), false),
        (HOME, false, 24, ("phone/1", "2001:db8::1"), false),
        (six, false, 56, ("", "2001:db8:1:2ff::9"), true),
        (six, false, 56, ("phone/1", "2001:db8:1:300::1"), false),
        (six, false, 56, ("phone/1", "192.0.2.17"), false),
        // To both.
        (HOME, true, 32, HOME, true),
        (HOME, true, 32, ("phone/1", "192.0.2.16"), false),
        (HOME, true, 32, ("phone/2", "192.0.2.17"), false),
    ];
    for via in BOTH {
        for reaction in [Reaction::Note, Reaction::Refuse, Reaction::End] {
            for (home, user_agent, length, from, holds) in cases {
                let bound = binding(user_agent, length, reaction);
                let session = it.sign_in_as(sign_in(via, home, bound)).await;
                assert_eq!(session.session.binding, Some(bound));
                let answer = exchange(&it, via, &session, from).await;
                let what = format!("{via:?} {home:?} {user_agent} /{length} from {from:?}");
                if holds {
                    answer.expect(&what);
                    assert_eq!(events(&it, &session).await, Vec::<Value>::new(), "{what}");
                } else {
                    assert_reaction(&it, reaction, &session, answer, &what).await;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn address_that_was_given_mapped_binds_as_what_it_means() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let home = ("phone/1", "::ffff:192.0.2.17");
    let request = sign_in(Via::Refresh, home, binding(false, 24, Reaction::Refuse));
    let session = it.sign_in_as(request).await;
    exchange(&it, Via::Refresh, &session, ("", "192.0.2.99"))
        .await
        .expect("within the prefix");
}

#[tokio::test(flavor = "multi_thread")]
async fn renewal_without_an_address_breaks_the_binding_and_a_refresh_has_the_peers() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let home = ("phone/1", "");
    for via in BOTH {
        let bound = binding(false, 32, Reaction::Refuse);
        let session = it.sign_in_as(sign_in(via, home, bound)).await;
        let answer = exchange(&it, via, &session, home).await;
        match via {
            Via::Refresh => drop(answer.expect("from the same peer")),
            Via::Renew => {
                let what = "the peer is the service in between";
                assert_reaction(&it, Reaction::Refuse, &session, answer, what).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_session_goes_on_where_it_was_and_is_told_of_once_a_minute() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    for via in BOTH {
        let bound = binding(true, 24, Reaction::Refuse);
        let session = it.sign_in_as(sign_in(via, HOME, bound)).await;
        let before = it.database.session(&session.session_id).await;
        for told in [1, 1, 2] {
            if told == 2 {
                it.sql("UPDATE audit_events SET created_at = created_at - interval '1 minute'")
                    .await;
            }
            let answer = exchange(&it, via, &session, ("thief", "203.0.113.9")).await;
            assert_eq!(
                reason(&answer.expect_err("elsewhere")),
                "SESSION_BINDING_BROKEN"
            );
            assert_eq!(events(&it, &session).await.len(), told);
        }
        assert_eq!(it.database.session(&session.session_id).await, before);
        exchange(&it, via, &session, HOME).await.expect("lives");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_answer_is_handed_out_elsewhere_only_where_the_binding_is_noted() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    for via in BOTH {
        for reaction in [Reaction::Note, Reaction::Refuse, Reaction::End] {
            let bound = binding(true, 24, reaction);
            let session = it.sign_in_as(sign_in(via, HOME, bound)).await;
            let first = exchange(&it, via, &session, HOME).await.expect("lives");
            let answer = exchange(&it, via, &session, ("thief", "203.0.113.9")).await;
            let standing = it.database.standing(&session.session_id).await;
            match reaction {
                Reaction::Note => {
                    assert_eq!(answer.expect("noted"), first);
                    assert_eq!(standing, (1, None));
                }
                Reaction::Refuse => {
                    let refused = answer.expect_err("elsewhere");
                    assert_eq!(reason(&refused), "SESSION_BINDING_BROKEN");
                    assert_eq!(standing, (1, None));
                }
                _ => {
                    let refused = answer.expect_err("elsewhere");
                    assert_eq!(end_reason(&refused), "BINDING_BROKEN");
                    assert_eq!(standing, (1, Some("BINDING_BROKEN".to_owned())));
                }
            }
            let events = events(&it, &session).await;
            assert_eq!(events.len(), 1, "{via:?} {reaction:?}");
            assert_eq!(events[0]["presented"]["generation"], 0);
            assert_eq!(events[0]["last_good"]["generation"], 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn binding_is_to_the_sign_in_and_not_to_the_refresh_before() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    for (user_agent, length) in [(true, 0), (false, 24)] {
        let bound = binding(user_agent, length, Reaction::Note);
        let session = it.sign_in_as(sign_in(Via::Refresh, HOME, bound)).await;
        let mut token = session.refresh_token.clone();
        for (from, count) in [
            (("laptop/1", "203.0.113.9"), 1),
            (("laptop/1", "203.0.113.9"), 2),
            (HOME, 2),
        ] {
            let request = v1::RefreshRequest {
                refresh_token: token,
                request_id: request_id(),
                user_agent: from.0.to_owned(),
                ip_address: from.1.to_owned(),
            };
            let reply = it.auth().refresh(request).await.expect("noted");
            token = successor(reply.get_ref()).to_owned();
            assert_eq!(events(&it, &session).await.len(), count);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn binding_that_asks_for_what_is_unknown_or_for_nothing_names_the_field() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let before = it.database.statements().await;
    let six = ("phone/1", "2001:db8::1");
    for (from, user_agent, length, reaction, field) in [
        (
            ("", "192.0.2.1"),
            true,
            0,
            Reaction::Note,
            "device.user_agent",
        ),
        (HOME, false, 0, Reaction::Note, "binding"),
        (HOME, true, 0, Reaction::Unspecified, "binding.reaction"),
        (HOME, false, 33, Reaction::Note, "binding.ip_prefix_length"),
        (six, false, 129, Reaction::Note, "binding.ip_prefix_length"),
    ] {
        let request = sign_in(Via::Refresh, from, binding(user_agent, length, reaction));
        let refused = it.auth().authenticate(request).await;
        let refused = refused.expect_err(field);
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        assert_eq!(violated_fields(&refused), [field]);
    }
    assert_eq!(it.database.statements().await, before);
    let whole = sign_in(Via::Refresh, six, binding(false, 128, Reaction::Note));
    it.auth().authenticate(whole).await.expect("every bit");
}
