//! From where a call came: the peer, or what one that is trusted says.

use rollcall::proto::v1;
use tonic::{Request, metadata::AsciiMetadataValue};

use crate::harness::{Harness, SignedIn, authenticate, device, request_id};

const UNTRUSTED: [&str; 2] = ["--trusted-proxies", "192.0.2.0/24"];

/// What says from where a call came, and what that comes to.
struct Call {
    header: Option<(&'static str, &'static str)>,
    field: &'static str,
}

fn call(name: &'static str, value: &'static str) -> Call {
    Call {
        header: Some((name, value)),
        field: "",
    }
}

impl Call {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some((name, value)) = self.header {
            let value = value.parse().expect("ASCII");
            request.metadata_mut().insert(name, value);
        }
        request
    }

    async fn sign_in(&self, it: &Harness) -> SignedIn {
        let message = v1::AuthenticateRequest {
            device: Some(v1::Device {
                ip_address: self.field.to_owned(),
                ..device("")
            }),
            ..authenticate("ana")
        };
        let reply = it.auth().authenticate(self.request(message)).await;
        SignedIn::new(reply.expect("signs in").into_inner())
    }

    async fn refresh(&self, it: &Harness, session: &SignedIn) -> v1::Session {
        let message = v1::RefreshRequest {
            refresh_token: session.refresh_token.clone(),
            request_id: request_id(),
            ip_address: self.field.to_owned(),
            ..v1::RefreshRequest::default()
        };
        let reply = it.auth().refresh(self.request(message)).await;
        let reply = reply.expect("refreshes").into_inner();
        reply.session.expect("a session")
    }
}

/// Where a session was opened, refreshed and told to be, which is the same.
async fn address(it: &Harness, call: &Call) -> String {
    let signed_in = call.sign_in(it).await;
    let refreshed = call.refresh(it, &signed_in).await;
    let opened = refreshed.device.expect("a device").ip_address;
    assert_eq!(refreshed.last_ip_address, opened);
    let told: String = it
        .scalar(&format!(
            "SELECT host(ip_address) FROM audit_events \
             WHERE kind = 'SIGNED_IN' AND session_id = '{}'",
            signed_in.session_id
        ))
        .await;
    assert_eq!(told, opened);
    opened
}

#[tokio::test(flavor = "multi_thread")]
async fn trusted_peer_is_believed() {
    let it = Harness::with(&["--trusted-proxies", "127.0.0.1,10.0.0.0/8"]).await;
    it.create_user("ana", &[]).await;
    for (call, expected) in [
        (call("x-forwarded-for", "192.0.2.7"), "192.0.2.7"),
        (
            call("x-forwarded-for", "203.0.113.9, 192.0.2.7, 10.0.0.1"),
            "192.0.2.7",
        ),
        (
            call("forwarded", "for=203.0.113.9, for=\"[2001:db8::7]:4711\""),
            "2001:db8::7",
        ),
        (call("x-forwarded-for", "nonsense"), "127.0.0.1"),
        (call("x-real-ip", "192.0.2.7"), "127.0.0.1"),
    ] {
        assert_eq!(address(&it, &call).await, expected, "{:?}", call.header);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn field_is_believed_from_callers_of_trusted_networks_alone() {
    let it = Harness::with(&["--trusted-proxies", "127.0.0.1,10.0.0.0/8"]).await;
    it.create_user("ana", &[]).await;
    for (header, expected) in [
        (None, "198.51.100.1"),
        // A service behind the proxy.
        (Some(("x-forwarded-for", "10.0.0.9")), "198.51.100.1"),
        (Some(("forwarded", "for=10.0.0.9")), "198.51.100.1"),
        // Anybody behind it.
        (Some(("x-forwarded-for", "192.0.2.7")), "192.0.2.7"),
        (Some(("forwarded", "for=192.0.2.7")), "192.0.2.7"),
        (Some(("x-forwarded-for", "unknown")), "127.0.0.1"),
    ] {
        let call = Call {
            header,
            field: "198.51.100.1",
        };
        assert_eq!(address(&it, &call).await, expected, "{header:?}");
    }
}

/// The address of a session whose caller sent these values of one header, each on a line.
async fn address_of_lines(it: &Harness, name: &'static str, lines: &[&'static [u8]]) -> String {
    let mut request = Request::new(v1::AuthenticateRequest {
        device: Some(v1::Device {
            ip_address: "198.51.100.1".to_owned(),
            ..device("")
        }),
        ..authenticate("ana")
    });
    for line in lines {
        let value = AsciiMetadataValue::try_from(*line).expect("a value");
        request.metadata_mut().append(name, value);
    }
    let reply = it.auth().authenticate(request).await.expect("signs in");
    let session = reply.into_inner().session.expect("a session");
    session.device.expect("a device").ip_address
}

#[tokio::test(flavor = "multi_thread")]
async fn line_that_a_client_sent_before_that_of_the_proxy_is_not_believed() {
    let it = Harness::with(&["--trusted-proxies", "127.0.0.1,10.0.0.0/8"]).await;
    it.create_user("ana", &[]).await;
    for name in ["x-forwarded-for", "forwarded"] {
        let [own, noted]: [&[u8]; 2] = match name {
            "forwarded" => [b"for=203.0.113.9", b"for=192.0.2.7"],
            _ => [b"203.0.113.9", b"192.0.2.7"],
        };
        let lines = [own, noted];
        assert_eq!(address_of_lines(&it, name, &lines).await, "192.0.2.7");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn line_that_cannot_be_read_is_believed_as_little_as_the_field_with_it() {
    let it = Harness::with(&["--trusted-proxies", "127.0.0.1,10.0.0.0/8"]).await;
    it.create_user("ana", &[]).await;
    for name in ["x-forwarded-for", "forwarded"] {
        let lines: [&[u8]; 1] = [b"\xff, 192.0.2.7"];
        assert_eq!(address_of_lines(&it, name, &lines).await, "127.0.0.1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_headers_at_once_are_believed_as_little_as_the_field_with_them() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let both = Call {
        header: Some(("x-forwarded-for", "192.0.2.7")),
        field: "198.51.100.1",
    };
    let mut request = both.request(v1::AuthenticateRequest {
        device: Some(v1::Device {
            ip_address: both.field.to_owned(),
            ..device("")
        }),
        ..authenticate("ana")
    });
    let made_up = "for=203.0.113.9".parse().expect("ASCII");
    request.metadata_mut().insert("forwarded", made_up);
    let reply = it.auth().authenticate(request).await.expect("signs in");
    let session = reply.into_inner().session.expect("a session");
    assert_eq!(session.device.expect("a device").ip_address, "127.0.0.1");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_of_a_proxy_cannot_renew_from_where_it_says() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let watch = it.sign_in_single("ana").await;
    let lie = Call {
        header: Some(("x-forwarded-for", "192.0.2.7")),
        field: "198.51.100.1",
    };
    let renew = lie.request(v1::RenewRequest {
        access_token: watch.access_token,
        ip_address: lie.field.to_owned(),
        ..v1::RenewRequest::default()
    });
    let renewed = it.auth().renew(renew).await.expect("renews").into_inner();
    let session = renewed.session.expect("a session");
    assert_eq!(session.last_ip_address, "192.0.2.7");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_other_peer_is_where_it_is() {
    let it = Harness::with(&UNTRUSTED).await;
    it.create_user("ana", &[]).await;
    for header in ["x-forwarded-for", "forwarded"] {
        let lie = Call {
            header: Some((header, "for=198.51.100.1, 198.51.100.1")),
            field: "198.51.100.1",
        };
        assert_eq!(address(&it, &lie).await, "127.0.0.1", "{header}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn address_in_a_renewal_is_believed_from_a_trusted_peer_alone() {
    for (options, expected) in [(&[][..], "198.51.100.1"), (&UNTRUSTED, "127.0.0.1")] {
        let it = Harness::with(options).await;
        it.create_user("ana", &[]).await;
        let watch = it.sign_in_single("ana").await;
        let renew = v1::RenewRequest {
            access_token: watch.access_token,
            ip_address: "198.51.100.1".to_owned(),
            ..v1::RenewRequest::default()
        };
        let renewed = it.auth().renew(renew).await.expect("renews").into_inner();
        let session = renewed.session.expect("a session");
        assert_eq!(session.last_ip_address, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anybody_can_say_of_its_address_opens_no_fresh_bucket() {
    let it = Harness::with(&[&UNTRUSTED[..], &["--sign-ins-per-address", "1"]].concat()).await;
    it.create_user("ana", &[]).await;
    let first = Call {
        header: Some(("x-forwarded-for", "198.51.100.1")),
        field: "198.51.100.1",
    };
    first.sign_in(&it).await;
    let second = v1::AuthenticateRequest {
        device: Some(v1::Device {
            ip_address: "198.51.100.2".to_owned(),
            ..device("")
        }),
        ..authenticate("ana")
    };
    let refused = it.auth().authenticate(second).await;
    let refused = refused.expect_err("the same address");
    assert_eq!(crate::harness::reason(&refused), "RATE_LIMITED");
}
