//! No secret is told: a run of every call, and a search for canaries in all that the
//! service and its Postgres wrote meanwhile.

use rollcall::proto::v1::{
    AuthenticateRequest, ChangePasswordRequest, CreateUserRequest, DeleteUserRequest,
    GetSessionRequest, GetUserRequest, IssuePasswordResetTokenRequest, ListMySessionsRequest,
    ListSessionsRequest, ListUsersRequest, LogoutRequest, RefreshRequest, RegisterRequest,
    ResetPasswordRequest, RevokeMySessionRequest, RevokeSessionRequest, RevokeUserSessionsRequest,
    SetPasswordRequest, TokenPair, UpdateUserRequest, User, auth_client::AuthClient,
    get_user_request, session_admin_client::SessionAdminClient, user_admin_client::UserAdminClient,
};
use tonic::{Response, Status, transport::Channel};

use crate::harness::{
    OwnCluster, bearer, device, master_key,
    process::{self, Process},
    request_id,
};

/// Everything that Postgres can be made to log, in full.
const LOG_EVERYTHING: [(&str, &str); 5] = [
    ("log_statement", "all"),
    ("log_min_duration_statement", "0"),
    ("log_parameter_max_length", "-1"),
    ("log_parameter_max_length_on_error", "-1"),
    ("log_error_verbosity", "verbose"),
];

/// Calls everything, and keeps what must not be told and what was answered.
struct Caller {
    auth: AuthClient<Channel>,
    session_admin: SessionAdminClient<Channel>,
    user_admin: UserAdminClient<Channel>,
    secrets: Vec<String>,
    errors: Vec<String>,
}

impl Caller {
    /// A password that nothing else contains.
    fn password(&mut self, name: &str) -> String {
        let password = format!("{name}-Kanarienvogel-{}", uuid::Uuid::now_v7().simple());
        self.secrets.push(password.clone());
        password
    }

    /// One that is too short to be set.
    fn short_password(&mut self) -> String {
        let mut random = uuid::Uuid::now_v7().simple().to_string();
        let password = random.split_off(20);
        self.secrets.push(password.clone());
        password
    }

    fn keep(&mut self, tokens: &TokenPair) {
        let signature = tokens.access_token.rsplit('.').next().expect("a JWT");
        let tag = &tokens.refresh_token[tokens.refresh_token.len() - 40..];
        self.secrets.extend([signature.to_owned(), tag.to_owned()]);
    }

    /// Keeps an error, which there must be.
    fn refused<T>(&mut self, result: Result<Response<T>, Status>) {
        let Err(status) = result else {
            panic!("was not refused");
        };
        let details = String::from_utf8_lossy(status.details());
        self.errors.push(format!("{status:?} {details}"));
    }

    async fn sign_in(&mut self, login: &str, password: &str) -> (TokenPair, String) {
        let request = authenticate(login, password);
        let reply = self.auth.authenticate(request).await.expect("signs in");
        let reply = reply.into_inner();
        let tokens = reply.tokens.expect("tokens");
        self.keep(&tokens);
        (tokens, reply.user_id)
    }

    async fn refresh(&mut self, refresh_token: &str) -> TokenPair {
        let request = refresh(refresh_token);
        let reply = self.auth.refresh(request).await.expect("refreshes");
        let tokens = reply.into_inner().tokens.expect("tokens");
        self.keep(&tokens);
        tokens
    }
}

fn authenticate(login: &str, password: &str) -> AuthenticateRequest {
    AuthenticateRequest {
        login: login.to_owned(),
        password: password.to_owned(),
        device: Some(device("phone")),
        ..AuthenticateRequest::default()
    }
}

fn refresh(refresh_token: &str) -> RefreshRequest {
    RefreshRequest {
        refresh_token: refresh_token.to_owned(),
        request_id: request_id(),
        ..RefreshRequest::default()
    }
}

fn register(login: &str, password: &str) -> RegisterRequest {
    RegisterRequest {
        login: login.to_owned(),
        password: password.to_owned(),
        ..RegisterRequest::default()
    }
}

async fn call_auth(it: &mut Caller) {
    let password = it.password("register");
    it.auth
        .register(register("ana", &password))
        .await
        .expect("registers");
    let taken = it.auth.register(register("ana", &password)).await;
    it.refused(taken);
    let short = it.short_password();
    let refused = it.auth.register(register("ben", &short)).await;
    it.refused(refused);
    let long = it.password("long").repeat(30);
    let refused = it.auth.register(register("ben", &long)).await;
    it.refused(refused);

    let wrong = it.password("wrong");
    for login in ["ana", "nobody"] {
        let refused = it.auth.authenticate(authenticate(login, &wrong)).await;
        it.refused(refused);
    }
    let (first, _) = it.sign_in("ana", &password).await;
    let second = it.refresh(&first.refresh_token).await;
    let (reused, forged) = (refresh(&first.refresh_token), it.password("forged"));
    let refused = it.auth.refresh(reused).await;
    it.refused(refused);
    let refused = it.auth.refresh(refresh(&second.refresh_token)).await;
    it.refused(refused);
    let refused = it.auth.refresh(refresh(&format!("rcr_{forged}"))).await;
    it.refused(refused);
    let refused = it.auth.refresh(refresh(&forged.repeat(9))).await;
    it.refused(refused);

    let (third, _) = it.sign_in("ana", &password).await;
    let mine = |message| bearer(message, &third.access_token);
    let listed = it
        .auth
        .list_my_sessions(mine(ListMySessionsRequest::default()))
        .await;
    let session_id = listed.expect("lists").into_inner().current_session_id;
    for token in [&forged, &format!("{}.{forged}", third.access_token)] {
        let request = bearer(ListMySessionsRequest::default(), token);
        let refused = it.auth.list_my_sessions(request).await;
        it.refused(refused);
    }
    let new = it.password("new");
    let change = |current: &str, new: &str| ChangePasswordRequest {
        current_password: current.to_owned(),
        new_password: new.to_owned(),
    };
    for (current, next) in [(&wrong, &new), (&password, &short)] {
        let request = bearer(change(current, next), &third.access_token);
        let refused = it.auth.change_password(request).await;
        it.refused(refused);
    }
    let request = bearer(change(&password, &new), &third.access_token);
    it.auth.change_password(request).await.expect("changes");
    let request = bearer(RevokeMySessionRequest { session_id }, &third.access_token);
    it.auth.revoke_my_session(request).await.expect("revokes");
    let (fourth, _) = it.sign_in("ana", &new).await;
    for refresh_token in [fourth.refresh_token, forged] {
        let request = LogoutRequest { refresh_token };
        it.auth.logout(request).await.expect("logs out");
    }
}

async fn call_admins(it: &mut Caller, admin_password: &str) {
    let (tokens, admin_id) = it.sign_in("operator", admin_password).await;
    let token = tokens.access_token;
    let (password, set) = (it.password("created"), it.password("set"));
    let create = CreateUserRequest {
        login: "cleo".to_owned(),
        password: password.clone(),
        ..CreateUserRequest::default()
    };
    let request = bearer(create.clone(), &token);
    it.user_admin.create_user(request).await.expect("creates");
    let taken = it.user_admin.create_user(bearer(create, &token)).await;
    it.refused(taken);
    let (cleo, user_id) = it.sign_in("cleo", &password).await;
    let list = ListUsersRequest::default();
    let not_admin = it
        .user_admin
        .list_users(bearer(list.clone(), &cleo.access_token))
        .await;
    it.refused(not_admin);
    it.user_admin
        .list_users(bearer(list, &token))
        .await
        .expect("lists");
    let get = GetUserRequest {
        user: Some(get_user_request::User::UserId(user_id.clone())),
    };
    it.user_admin
        .get_user(bearer(get, &token))
        .await
        .expect("gets");
    let update = UpdateUserRequest {
        user: Some(User {
            user_id: user_id.clone(),
            display_name: "Cleo".to_owned(),
            ..User::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["display_name".to_owned()],
        }),
    };
    it.user_admin
        .update_user(bearer(update, &token))
        .await
        .expect("updates");

    let listed = ListSessionsRequest::default();
    let listed = it.session_admin.list_sessions(bearer(listed, &token)).await;
    let sessions = listed.expect("lists").into_inner().sessions;
    let session = sessions.iter().find(|session| session.user_id == user_id);
    let session_id = session.expect("cleo's").session_id.clone();
    let get = GetSessionRequest {
        session_id: session_id.clone(),
    };
    it.session_admin
        .get_session(bearer(get, &token))
        .await
        .expect("gets");
    let revoke = RevokeSessionRequest { session_id };
    it.session_admin
        .revoke_session(bearer(revoke, &token))
        .await
        .expect("revokes");
    let revoke = RevokeUserSessionsRequest {
        user_id: user_id.clone(),
        ..RevokeUserSessionsRequest::default()
    };
    it.session_admin
        .revoke_user_sessions(bearer(revoke, &token))
        .await
        .expect("revokes");

    for (new_password, taken) in [(&set, true), (&format!("{set}\u{7}").repeat(30), false)] {
        let request = SetPasswordRequest {
            user_id: user_id.clone(),
            new_password: new_password.clone(),
        };
        let answer = it.user_admin.set_password(bearer(request, &token)).await;
        if taken {
            answer.expect("sets");
        } else {
            it.refused(answer);
        }
    }
    call_resets(it, &user_id, &token).await;
    for user_id in [user_id, admin_id] {
        let delete = DeleteUserRequest { user_id };
        it.user_admin
            .delete_user(bearer(delete, &token))
            .await
            .expect("deletes");
    }
    let gone = it
        .user_admin
        .list_users(bearer(ListUsersRequest::default(), &token))
        .await;
    it.refused(gone);
}

async fn call_resets(it: &mut Caller, user_id: &str, token: &str) {
    let issue = IssuePasswordResetTokenRequest {
        user_id: user_id.to_owned(),
        lifetime_seconds: 0,
    };
    let issued = it
        .user_admin
        .issue_password_reset_token(bearer(issue, token))
        .await;
    let reset_token = issued.expect("issues").into_inner().reset_token;
    it.secrets
        .push(reset_token[reset_token.len() - 40..].to_owned());
    let (short, new) = (it.short_password(), it.password("reset"));
    let forged = format!("{reset_token}A");
    for (reset_token, new_password, taken) in [
        (&reset_token, &short, false),
        (&forged, &new, false),
        (&reset_token, &new, true),
        (&reset_token, &new, false),
    ] {
        let request = ResetPasswordRequest {
            reset_token: reset_token.clone(),
            new_password: new_password.clone(),
        };
        let answer = it.auth.reset_password(request).await;
        if taken {
            answer.expect("resets");
        } else {
            it.refused(answer);
        }
    }
}

/// Makes an INSERT of a user fail in Postgres, which quotes the row in its DETAIL.
async fn call_with_a_broken_database(it: &mut Caller, client: &tokio_postgres::Client) {
    let breaking = "ALTER TABLE users ADD CHECK (login <> 'dora')";
    client.batch_execute(breaking).await.expect("breaks");
    let password = it.password("internal");
    let internal = it.auth.register(register("dora", &password)).await;
    it.refused(internal);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_token_or_key_is_in_a_log_an_error_or_the_log_of_postgres() {
    let cluster = OwnCluster::start(&LOG_EVERYTHING).await;
    let database_password = "Kanarienvogel-der-Datenbank";
    let url = format!("{}&password={database_password}", cluster.url());
    let process = Process::serve(&url, &["--registration", "--log", "trace"]).await;
    process.line_with("\"serving\"").await;
    let channel = process.channel().await;
    let mut it = Caller {
        auth: AuthClient::new(channel.clone()),
        session_admin: SessionAdminClient::new(channel.clone()),
        user_admin: UserAdminClient::new(channel),
        secrets: vec![master_key(), database_password.to_owned()],
        errors: Vec::new(),
    };

    call_auth(&mut it).await;
    let mut create = process::rollcall(&["users", "create-first", "operator", "--log", "trace"]);
    create.env("DATABASE_URL", &url);
    let created = process::run(create, "").await;
    assert!(created.status.success(), "{created:?}");
    let password = String::from_utf8(created.stdout).expect("a password");
    it.secrets.push(password.trim().to_owned());
    call_admins(&mut it, password.trim()).await;
    let (client, connection) = tokio_postgres::connect(cluster.url(), tokio_postgres::NoTls)
        .await
        .expect("connects");
    tokio::spawn(connection);
    call_with_a_broken_database(&mut it, &client).await;

    let events = "SELECT string_agg(e::text, E'\\n') FROM audit_events AS e";
    let events = client.query_one(events, &[]).await.expect("events");

    process.signal("TERM");
    let (_, log) = process.end().await;
    let written = [
        ("the log", log.join("\n")),
        (
            "the log of users create-first",
            String::from_utf8_lossy(&created.stderr).into_owned(),
        ),
        ("Postgres's log", cluster.log()),
        ("an error", it.errors.join("\n")),
        ("the audit trail", events.get(0)),
    ];
    for (place, text) in &written {
        assert!(!text.is_empty(), "{place} is empty");
        for secret in &it.secrets {
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            let told = text
                .lines()
                .find(|line| line.contains(secret) || line.contains(&hex));
            assert_eq!(told, None, "{place} tells {secret}");
        }
    }
    // What proves that the search looks at the right places.
    assert!(written[0].1.contains("call failed") && written[0].1.contains("\"TRACE\""));
    assert!(written[2].1.contains("$argon2id$") && written[2].1.contains("UPDATE sessions"));
}
