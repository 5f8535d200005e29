//! What the log tells: JSON where nobody watches, and the call that each line is of.

use std::process::Command;

use rollcall::proto::v1::{
    AuthenticateRequest, ListMySessionsRequest, LogoutRequest, RefreshRequest,
    auth_client::AuthClient,
};
use serde_json::Value;
use tonic::{Code, Request, metadata::MetadataMap};
use tonic_types::StatusExt;

use crate::harness::{
    Database, Harness, PASSWORD, SignedIn, device,
    process::{Process, rollcall},
    request_id,
};

const HEADER: &str = "x-request-id";

async fn start(options: &[&str]) -> (Harness, Process) {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let process = Process::serve(it.database.url(), options).await;
    process.line_with("\"serving\"").await;
    (it, process)
}

fn with_id<T>(mut request: Request<T>, id: &str) -> Request<T> {
    let id = id.parse().expect("ASCII");
    request.metadata_mut().insert(HEADER, id);
    request
}

fn id_of(metadata: &MetadataMap) -> &str {
    let id = metadata.get(HEADER).expect("every reply has an id");
    id.to_str().expect("ASCII")
}

fn refresh(refresh_token: &str) -> Request<RefreshRequest> {
    Request::new(RefreshRequest {
        refresh_token: refresh_token.to_owned(),
        request_id: request_id(),
        ..RefreshRequest::default()
    })
}

/// Ends a process and answers its log, each of whose lines is JSON.
async fn log_of(process: Process) -> Vec<Value> {
    process.signal("TERM");
    let (_, lines) = process.end().await;
    let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    lines.iter().map(parse).collect()
}

/// The lines of the call with this id.
fn lines_of<'a>(log: &'a [Value], id: &str) -> Vec<&'a Value> {
    log.iter()
        .filter(|line| line["span"]["request_id"] == id)
        .collect()
}

fn has<'a>(lines: &[&'a Value], message: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["message"] == message);
    found.unwrap_or_else(|| panic!("{message} is not in {lines:#?}"))
}

fn assert_told_of(line: &Value, device: &SignedIn) {
    assert_eq!(line["span"]["user_id"], device.user_id, "{line}");
    assert_eq!(line["span"]["session_id"], device.session_id, "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_is_json_and_each_line_of_a_call_has_its_id() {
    let (it, process) = start(&["--log", "trace"]).await;
    let phone = it.sign_in("ana").await;
    let mut auth = AuthClient::new(process.channel().await);
    auth.refresh(refresh(&phone.refresh_token))
        .await
        .expect("refreshes");
    // A thief, whose session a task of its own ends.
    auth.refresh(refresh(&phone.refresh_token))
        .await
        .expect_err("is reused");
    auth.refresh(refresh("rcr_garbage"))
        .await
        .expect_err("is garbage");

    let log = log_of(process).await;
    let of_calls = [
        "rollcall::identity",
        "rollcall::grpc",
        "rollcall::server::call",
    ];
    // What the server does by itself has no call.
    let of_nobody = [
        "rollcall::identity::audit::retention",
        "rollcall::identity::for_ever",
        "rollcall::identity::purge",
        "rollcall::identity::revocations",
        "rollcall::identity::session_stats",
        "rollcall::identity::signing_keys",
    ];
    let serving = log.iter().position(|line| line["message"] == "serving");
    let mut seen = 0;
    for line in &log[serving.expect("it served")..] {
        let target = line["target"].as_str().expect("a target");
        let is_within = |modules: &[&str]| modules.iter().any(|module| target.starts_with(module));
        if is_within(&of_calls) && !is_within(&of_nobody) {
            assert!(line["span"]["request_id"].is_string(), "{line}");
            seen += 1;
        }
    }
    assert!(seen >= 4, "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn id_that_the_caller_gives_is_in_the_reply_the_error_and_the_lines() {
    let (it, process) = start(&[]).await;
    let phone = it.sign_in("ana").await;
    let mut auth = AuthClient::new(process.channel().await);
    let request = with_id(refresh(&phone.refresh_token), "mine-1");
    let reply = auth.refresh(request).await.expect("refreshes");
    assert_eq!(id_of(reply.metadata()), "mine-1");

    let request = with_id(refresh(&phone.refresh_token), "mine-2");
    let refused = auth.refresh(request).await.expect_err("is reused");
    assert_eq!(id_of(refused.metadata()), "mine-2");
    let details = refused.get_error_details();
    let info = details.request_info().expect("RequestInfo");
    assert_eq!(info.request_id, "mine-2");

    let log = log_of(process).await;
    let ended = has(&lines_of(&log, "mine-1"), "call ended");
    assert_eq!(ended["code"], "Ok");
    assert_eq!(ended["span"]["method"], "/rollcall.v1.Auth/Refresh");
    let refused = lines_of(&log, "mine-2");
    has(&refused, "refresh token reused: session ended");
    assert_eq!(has(&refused, "call ended")["code"], "Unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn id_that_is_none_is_replaced_by_a_new_one() {
    let it = Harness::start().await;
    let mut seen = Vec::new();
    let long = "x".repeat(129);
    for bad in ["", "with space", "tab\there", &long] {
        let request = Request::new(LogoutRequest {
            refresh_token: "rcr_garbage".to_owned(),
        });
        let reply = it
            .auth()
            .logout(with_id(request, bad))
            .await
            .expect("is OK");
        let id = id_of(reply.metadata()).to_owned();
        assert!(uuid::Uuid::try_parse(&id).is_ok(), "{bad} became {id}");
        assert!(!seen.contains(&id), "{id} is not new");
        seen.push(id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_session_are_in_the_lines_once_they_are_known() {
    let (it, process) = start(&[]).await;
    let mut auth = AuthClient::new(process.channel().await);
    let request = AuthenticateRequest {
        login: "ana".to_owned(),
        password: PASSWORD.to_owned(),
        device: Some(device("phone")),
        ..AuthenticateRequest::default()
    };
    let request = with_id(Request::new(request), "sign-in");
    let phone = SignedIn::new(
        auth.authenticate(request)
            .await
            .expect("signs in")
            .into_inner(),
    );
    let request = phone.request(ListMySessionsRequest::default());
    auth.list_my_sessions(with_id(request, "list"))
        .await
        .expect("lists");
    let request = with_id(refresh(&phone.refresh_token), "refresh");
    auth.refresh(request).await.expect("refreshes");
    let request = Request::new(LogoutRequest {
        refresh_token: phone.refresh_token.clone(),
    });
    auth.logout(with_id(request, "logout"))
        .await
        .expect("logs out");
    let request = with_id(refresh(&phone.refresh_token), "ended");
    auth.refresh(request).await.expect_err("has ended");
    let request = with_id(refresh("rcr_garbage"), "unknown");
    auth.refresh(request).await.expect_err("is garbage");

    let log = log_of(process).await;
    for call in ["sign-in", "list", "refresh", "logout", "ended"] {
        assert_told_of(has(&lines_of(&log, call), "call ended"), &phone);
    }
    let unknown = has(&lines_of(&log, "unknown"), "call ended");
    assert_eq!(unknown["span"]["user_id"], Value::Null);
    drop(it);
}

#[tokio::test(flavor = "multi_thread")]
async fn warnings_have_the_id_though_only_warnings_are_logged() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let mut command = rollcall(&[
        "serve",
        "--log",
        "warn,rollcall::server=info,rollcall::server::call=warn",
    ]);
    command.args(["--listen", "127.0.0.1:0"]);
    let process = Process::start(command, it.database.url()).await;
    process.line_with("\"serving\"").await;
    let mut auth = AuthClient::new(process.channel().await);
    auth.refresh(refresh(&phone.refresh_token))
        .await
        .expect("refreshes");
    let request = with_id(refresh(&phone.refresh_token), "thief");
    auth.refresh(request).await.expect_err("is reused");
    let log = log_of(process).await;
    has(
        &lines_of(&log, "thief"),
        "refresh token reused: session ended",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_failure_shows_a_fixed_text_and_its_cause_stays_in_the_log() {
    let (it, process) = start(&[]).await;
    let phone = it.sign_in("ana").await;
    it.sql("ALTER TABLE sessions RENAME COLUMN h_current TO h")
        .await;
    let mut auth = AuthClient::new(process.channel().await);
    let request = with_id(refresh(&phone.refresh_token), "failing");
    let failed = auth
        .refresh(request)
        .await
        .expect_err("the schema is broken");
    assert_eq!(failed.code(), Code::Internal);
    assert_eq!(failed.message(), "internal error");
    assert!(!String::from_utf8_lossy(failed.details()).contains("h_current"));

    let log = log_of(process).await;
    let told: Vec<_> = lines_of(&log, "failing")
        .into_iter()
        .filter(|line| line["level"] == "ERROR")
        .collect();
    assert_eq!(told.len(), 1, "told once: {told:#?}");
    assert!(
        told[0]["error"]
            .as_str()
            .is_some_and(|cause| cause.contains("h_current")),
        "{told:#?}"
    );
    assert_told_of(told[0], &phone);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn log_on_a_terminal_is_for_people() {
    let database = Database::create().await;
    // script(1) of util-linux gives it a terminal.
    let serve = format!(
        "echo pid $$; exec {} serve --listen 127.0.0.1:0",
        env!("CARGO_BIN_EXE_rollcall")
    );
    let script = r#"exec script --quiet --return --command "$0" /dev/null >&2"#;
    let mut command = Command::new("sh");
    command.args(["-c", script, &serve]);
    let process = Process::spawn(command, database.url());
    let line = process.line_with("serving").await;
    assert!(line.contains("\u{1b}["), "no colours: {line}");
    assert!(
        serde_json::from_str::<Value>(&line).is_err(),
        "JSON: {line}"
    );
    // Where hang-ups are ignored, as under nohup, it would outlive its terminal, and come to
    // the databases of the next run.
    let pid = process.line_with("pid ").await;
    let id = pid.trim_start_matches("pid ").trim_end();
    let killed = Command::new("kill").arg(id).status().expect("kill runs");
    assert!(killed.success());
    process.end().await;
}
