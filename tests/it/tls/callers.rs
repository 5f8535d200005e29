//! `--auth-callers known`: who may call `Auth`, and how a service begins.

use rcgen::SanType;
use rollcall::proto::v1;
use tonic::{Code, Status};

use super::{Authority, Behind, authority::Wanted, endpoint};
use crate::harness::{
    Harness, PASSWORD, SignedIn, Subject, authenticate, good_request, patiently, reason,
    request_id, rpcs,
};

/// What needs no access token, in an order in which one subject serves all.
const OPEN: [&str; 5] = [
    "Auth/Register",
    "Auth/Authenticate",
    "Auth/Refresh",
    "Auth/Renew",
    "Auth/Logout",
];

/// By what a service that has nothing else begins.
const BEGINNINGS: [&str; 3] = ["Auth/Authenticate", "Auth/Refresh", "Auth/Logout"];

fn is_refused<T: std::fmt::Debug>(result: &Result<T, Status>) -> bool {
    match result {
        Ok(_) => false,
        Err(status) if reason(status) == "CALLER_NOT_ALLOWED" => {
            assert_eq!(status.code(), Code::PermissionDenied);
            true
        }
        Err(status) => panic!("another refusal: {status:?}"),
    }
}

async fn known() -> Harness {
    Harness::with(&["--auth-callers", "known", "--registration"]).await
}

/// A subject whom a service signs in, since nobody else may.
async fn subject(it: &Harness, login: &str, roles: &[&str], service: &SignedIn) -> Subject {
    it.create_user(login, roles).await;
    let sign_in = async |token_mode: v1::TokenMode| {
        let request = v1::AuthenticateRequest {
            token_mode: token_mode.into(),
            ..authenticate(login)
        };
        let reply = it.auth().authenticate(service.request(request)).await;
        SignedIn::new(reply.expect("signs in").into_inner())
    };
    let laptop = sign_in(v1::TokenMode::Pair).await;
    Subject {
        login: login.to_owned(),
        reset_token: it.reset_token(&laptop.user_id).await,
        laptop,
        phone: sign_in(v1::TokenMode::Pair).await,
        watch: Some(sign_in(v1::TokenMode::Single).await),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_without_a_service_s_token_are_refused_and_change_nothing_but_begin_as_a_service() {
    let it = known().await;
    let (service, admin) = (it.service().await, it.admin().await);
    let ana = subject(&it, "ana", &[], &service).await;
    let billing = subject(&it, "billing", &["service"], &service).await;
    it.create_user("former", &["service"]).await;
    let former = it.sign_in("former").await;
    let log_out = v1::LogoutRequest {
        refresh_token: former.refresh_token.clone(),
    };
    it.auth().logout(log_out).await.expect("a service's own");

    let strangers = [
        None,
        Some(&*ana.laptop.access_token),
        Some(&*former.access_token),
        Some("no token"),
    ];
    for rpc in OPEN {
        for (subject, is_service) in [(&ana, false), (&billing, true)] {
            let message = good_request(rpc, subject);
            for token in strangers {
                let may = is_service && BEGINNINGS.contains(&rpc);
                let before = it.database.sessions_and_users().await;
                let result = it.call(rpc, message.clone(), token).await;
                assert_eq!(is_refused(&result), !may, "{rpc} by {token:?}: {result:?}");
                if !may {
                    assert_eq!(
                        it.database.sessions_and_users().await,
                        before,
                        "{rpc} by {token:?}"
                    );
                }
            }
            for token in [&service.access_token, &admin.access_token] {
                let message = match rpc {
                    // A login is taken once.
                    "Auth/Register" => good_request(rpc, subject),
                    _ => message.clone(),
                };
                let result = it.call(rpc, message, Some(token)).await;
                assert!(!is_refused(&result), "{rpc} by a service");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_of_auth_wants_a_known_caller_or_the_user_s_own_token_before_it_is_read() {
    let it = known().await;
    let users_own = [
        "Auth/ChangePassword",
        "Auth/ListMySessions",
        "Auth/RevokeMySession",
    ];
    for (rpc, _) in rpcs() {
        if !rpc.starts_with("Auth/") || BEGINNINGS.contains(&&*rpc) {
            continue;
        }
        // Not even a message.
        let message = if users_own.contains(&&*rpc) {
            Vec::new()
        } else {
            vec![255]
        };
        let refused = it.call(&rpc, message, None).await.expect_err("is refused");
        let expected = if users_own.contains(&&*rpc) {
            "ACCESS_TOKEN_INVALID"
        } else {
            "CALLER_NOT_ALLOWED"
        };
        assert_eq!(reason(&refused), expected, "{rpc}");
    }
    let service = it.service().await;
    let ana = subject(&it, "ana", &[], &service).await;
    let list = ana.laptop.request(v1::ListMySessionsRequest::default());
    it.auth().list_my_sessions(list).await.expect("her own");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_caller_learns_nothing_of_logins_and_passwords() {
    let it = known().await;
    let service = it.service().await;
    it.create_user("ana", &[]).await;
    let attempt = |login: &str, password: &str| v1::AuthenticateRequest {
        password: password.to_owned(),
        ..authenticate(login)
    };
    for (login, password) in [
        ("ana", PASSWORD),
        ("ana", "wrong"),
        ("nobody", PASSWORD),
        ("orders", "wrong"),
    ] {
        let request = attempt(login, password);
        let unknown = it.auth().authenticate(request.clone()).await;
        assert!(is_refused(&unknown), "{login}");
        if (login, password) != ("ana", PASSWORD) {
            let known = it.auth().authenticate(service.request(request)).await;
            let known = known.expect_err("wrong");
            assert_eq!(reason(&known), "INVALID_CREDENTIALS", "{login}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn service_without_a_certificate_stays_signed_in_and_learns_when_its_session_has_ended() {
    let it = known().await;
    let service = it.service().await;
    let refreshed = it.refresh(&service.refresh_token, &request_id()).await;
    let tokens = refreshed.expect("its own").tokens.expect("tokens");
    let log_out = v1::LogoutRequest {
        refresh_token: tokens.refresh_token.clone(),
    };
    it.auth().logout(log_out).await.expect("its own");
    // What lets it sign in again, by itself.
    let ended = it.refresh(&tokens.refresh_token, &request_id()).await;
    assert_eq!(reason(&ended.expect_err("has ended")), "SESSION_ENDED");
    let garbage = it.refresh("rcr_AAAA", &request_id()).await;
    let garbage = garbage.expect_err("no token");
    assert_eq!(reason(&garbage), "REFRESH_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_caller_is_not_told_that_a_user_was_deleted() {
    let it = known().await;
    let service = it.service().await;
    let ana = subject(&it, "ana", &[], &service).await;
    it.sql("DELETE FROM users WHERE login = 'ana'").await;
    let refresh = v1::RefreshRequest {
        refresh_token: ana.phone.refresh_token.clone(),
        ..v1::RefreshRequest::default()
    };
    assert!(is_refused(&it.auth().refresh(refresh.clone()).await));
    let known = it.auth().refresh(service.request(refresh)).await;
    assert_eq!(reason(&known.expect_err("deleted")), "SESSION_ENDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_counts_by_a_name_of_the_list_to_the_letter_and_kind() {
    let sans = "orders.internal,spiffe://prod/orders,ops@id.test";
    let options = ["--auth-callers", "known", "--auth-caller-sans", sans];
    let it = Behind::mutual(&options, "orders.internal").await;
    it.create_user("ana", &[]).await;
    let uri = Wanted {
        sans: vec![SanType::URI("orders.internal".try_into().expect("ASCII"))],
        ..Wanted::by("")
    };
    let several = Wanted {
        sans: [Wanted::by("a.test"), Wanted::by("spiffe://prod/orders")]
            .into_iter()
            .flat_map(|wanted| wanted.sans)
            .collect(),
        ..Wanted::by("")
    };
    for (wanted, counts) in [
        (Wanted::by("orders.internal"), true),
        (Wanted::by("spiffe://prod/orders"), true),
        (Wanted::by("ops@id.test"), true),
        (several, true),
        (uri, false),
        (Wanted::by("Orders.internal"), false),
        (Wanted::by("orders.internal.elsewhere.test"), false),
        (Wanted::by("spiffe://prod/order"), false),
    ] {
        let shown = format!("{:?}", wanted.sans);
        let tls = it.authority.issue(wanted).shown(it.authority.trusted());
        let channel = endpoint(&tls, &it.address).connect_lazy();
        let mut auth = v1::auth_client::AuthClient::new(channel);
        let result = auth.authenticate(authenticate("ana")).await;
        assert_eq!(!is_refused(&result), counts, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_the_authorities_between_are_not_the_client_s() {
    let options = [
        "--auth-callers",
        "known",
        "--auth-caller-sans",
        "orders.internal",
    ];
    let it = Behind::mutual(&options, "orders.internal").await;
    it.create_user("ana", &[]).await;
    for (between, own, counts) in [
        ("orders.internal", "other.internal", false),
        ("other.internal", "orders.internal", true),
    ] {
        let between = it.authority.below(between);
        let mut pair = between.client(own);
        pair.certificate += &between.pem();
        let tls = pair.shown(it.authority.trusted());
        let channel = endpoint(&tls, &it.address).connect_lazy();
        let mut auth = v1::auth_client::AuthClient::new(channel);
        let result = auth.authenticate(authenticate("ana")).await;
        assert_eq!(!is_refused(&result), counts, "{own}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_of_the_database_is_not_taken_for_an_unknown_caller() {
    let it = known().await;
    let service = it.service().await;
    it.create_user("ana", &[]).await;
    it.sql("ALTER TABLE sessions RENAME TO gone").await;
    let request = service.request(authenticate("ana"));
    let failed = it.auth().authenticate(request).await.expect_err("fails");
    assert_eq!(failed.code(), Code::Internal, "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verified_certificate_counts_where_there_is_no_list() {
    let it = Behind::mutual(&["--auth-callers", "known"], "whoever.test").await;
    it.create_user("ana", &[]).await;
    it.sign_in("ana").await;
    let optional = ["--auth-callers", "known", "--tls-client-auth", "optional"];
    let it = Behind::mutual(&optional, "whoever.test").await;
    it.create_user("ana", &[]).await;
    it.sign_in("ana").await;
    let bare = endpoint(&it.authority.trusted(), &it.address).connect_lazy();
    let mut bare = v1::auth_client::AuthClient::new(bare);
    assert!(is_refused(&bare.authenticate(authenticate("ana")).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_of_an_authority_that_is_none_any_more_counts_on_no_open_connection() {
    let it = Behind::mutual(&["--auth-callers", "known"], "whoever.test").await;
    it.create_user("ana", &[]).await;
    it.sign_in("ana").await;
    it.files
        .write("client-ca.pem", &Authority::new("next").pem());
    let until_refused =
        async { while !is_refused(&it.auth().authenticate(authenticate("ana")).await) {} };
    patiently("the certificate counts no more", until_refused).await;
}
