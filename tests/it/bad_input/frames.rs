//! What arrives is not a message at all.

use tonic::{Code, Status, body::Body};
use tower::ServiceExt;

use super::World;
use crate::harness::{Value, good_request, reason, rpcs, set};

/// All RPCs but the one whose messages are a stream: its caller comes first.
fn read_before_the_caller_is_asked_for() -> impl Iterator<Item = String> {
    let rpcs = rpcs().into_iter().map(|(rpc, _)| rpc);
    rpcs.filter(|rpc| rpc != "UserAdmin/ImportUsers")
}

#[tokio::test(flavor = "multi_thread")]
async fn message_over_64_kib_is_refused_and_no_statement_is_sent() {
    let world = World::new().await;
    let before = world.it.database.statements().await;
    for rpc in read_before_the_caller_is_asked_for() {
        let status = world
            .refused(&rpc, padded(&world, &rpc, 64 * 1024 + 1))
            .await;
        assert!(status.message().contains("65536"), "{}", status.message());
    }
    assert_eq!(world.it.database.statements().await, before);

    let largest = padded(&world, "Auth/ListMySessions", 64 * 1024);
    let token = Some(world.admin.access_token.as_str());
    let listed = world.it.call("Auth/ListMySessions", largest, token).await;
    listed.expect("64 KiB are read");
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_cannot_be_decoded_is_refused_and_no_statement_is_sent() {
    let world = World::new().await;
    let before = world.it.database.statements().await;
    for rpc in read_before_the_caller_is_asked_for() {
        for garbage in [
            // A tag without its value, wire types that do not exist, a length beyond
            // the end, the field number 0, a varint without end.
            &b"\x0a"[..],
            b"\x0f\x01",
            b"\xff\xff\xff\xff\x0f",
            b"\x0a\x7fabc",
            b"\x02\x01a",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            let mut message = good_request(&rpc, &world.subject);
            message.extend(garbage);
            world.refused(&rpc, message).await;
        }
    }
    assert_eq!(world.it.database.statements().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_is_not_utf8_is_refused_and_neither_shown_nor_sent_to_the_database() {
    let world = World::new().await;
    let before = world.it.database.statements().await;
    for (rpc, path) in [
        ("Auth/Register", "login"),
        ("Auth/Register", "password"),
        ("Auth/Authenticate", "login"),
        ("Auth/Authenticate", "password"),
        ("Auth/Authenticate", "device.user_agent"),
        ("Auth/Refresh", "refresh_token"),
        ("Auth/Refresh", "user_agent"),
        ("Auth/Logout", "refresh_token"),
        ("Auth/ChangePassword", "new_password"),
        ("SessionAdmin/ListSessions", "filter.user_agent_contains"),
        ("UserAdmin/CreateUser", "display_name"),
        ("UserAdmin/UpdateUser", "update_mask.paths"),
    ] {
        // A lone continuation byte, an overlong zero, half of a surrogate pair.
        for bytes in [&b"secret\x80"[..], b"secret\xc0\x80", b"secret\xed\xa0\x80"] {
            let text = Value::Bytes(bytes.to_vec());
            let mut message = good_request(rpc, &world.subject);
            message.extend(set(rpc, path, &text));
            let status = world.refused(rpc, message).await;
            assert!(!status.message().contains("secret"), "{}", status.message());
        }
    }
    assert_eq!(world.it.database.statements().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn body_that_is_not_framed_as_grpc_has_it_is_refused_and_no_statement_is_sent() {
    let world = World::new().await;
    let before = world.it.database.statements().await;
    for (what, body) in [
        ("no message", Body::empty()),
        ("half a header", text("\0\0\0")),
        ("half a message", text("\0\0\0\0\x05ab")),
        ("a flag that does not exist", text("\x07\0\0\0\x02ab")),
        ("compressed without an encoding", text("\x01\0\0\0\x02ab")),
    ] {
        let status = post(&world, "Auth/Logout", body).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
        assert_eq!(reason(&status), "INVALID_ARGUMENT", "{what}");
    }
    assert_eq!(world.it.database.statements().await, before);
}

/// A request with a field that no message has, so that it has this length.
fn padded(world: &World, rpc: &str, length: usize) -> Vec<u8> {
    let mut message = good_request(rpc, &world.subject);
    // Field 1000 of type bytes: a tag and a length of two and three bytes.
    let content = length - message.len() - 5;
    message.extend([0xc2, 0x3e]);
    let groups = [
        content & 0x7f | 0x80,
        content >> 7 & 0x7f | 0x80,
        content >> 14,
    ];
    message.extend(groups.map(|group| group.to_le_bytes()[0]));
    message.resize(length, b'a');
    message
}

fn text(frame: &str) -> Body {
    Body::new(frame.to_owned())
}

/// The status of a call whose body is sent as it is.
async fn post(world: &World, rpc: &str, body: Body) -> Status {
    let request = http::Request::post(format!("/rollcall.v1.{rpc}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .expect("a request");
    let channel = world.it.channel.clone();
    let response = channel.oneshot(request).await.expect("an answer");
    Status::from_header_map(response.headers()).expect("a reply that ends with its headers")
}
