//! Traces: the caller's context goes on, no secret is in them, and a collector that is not
//! there is nobody's trouble.

use std::process::Command;

use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rollcall::proto::v1::{AuthenticateRequest, RefreshRequest, auth_client::AuthClient};
use serde_json::Value;
use tonic::{Request, transport::Channel};

use super::collector::{Collector, attribute};
use crate::harness::{Harness, PASSWORD, Process, authenticate, process::rollcall, request_id};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const REFRESH: &str = "rollcall.v1.Auth/Refresh";

/// A call within a trace, which is sampled or not.
fn within<T>(message: T, flags: &str) -> Request<T> {
    let mut request = Request::new(message);
    let parent = format!("00-{TRACE}-{PARENT}-{flags}");
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", parent.parse().expect("ASCII"));
    metadata.insert("tracestate", "vendor=value".parse().expect("ASCII"));
    request
}

fn refresh(refresh_token: &str) -> RefreshRequest {
    RefreshRequest {
        refresh_token: refresh_token.to_owned(),
        request_id: request_id(),
        ..RefreshRequest::default()
    }
}

async fn serve(it: &Harness, options: &[&str]) -> (Process, AuthClient<Channel>) {
    // At once, so that a test need not rely on the little time that the last have at the end.
    serve_in(it, "OTEL_BSP_SCHEDULE_DELAY=50", options).await
}

/// A server with a variable in its environment.
async fn serve_in(
    it: &Harness,
    assigned: &str,
    options: &[&str],
) -> (Process, AuthClient<Channel>) {
    let command = rollcall(&["serve", "--listen", "127.0.0.1:0"]);
    // The harness clears the environment of what it starts, but for what `env` says.
    let mut through_env = Command::new("env");
    through_env.arg(assigned).arg(command.get_program());
    through_env.args(command.get_args()).args(options);
    let process = Process::start(through_env, it.database.url()).await;
    process.line_with("\"serving\"").await;
    let auth = AuthClient::new(process.channel().await);
    (process, auth)
}

async fn end(process: Process) -> Vec<Value> {
    process.signal("TERM");
    let (status, log) = process.end().await;
    assert_eq!(status.code(), Some(0), "{log:#?}");
    let parse = |line: &String| serde_json::from_str(line).expect("JSON");
    log.iter().map(parse).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| {
        let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
        panic!("{name} is not in {names:?}")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn sampled_call_continues_the_callers_trace_down_to_its_statements() {
    let collector = Collector::start().await;
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let traced = ["--otlp-endpoint", &collector.endpoint, "--trace-sampling=0"];
    let (process, mut auth) = serve(&it, &traced).await;
    let request = within(refresh(&phone.refresh_token), "01");
    auth.refresh(request).await.expect("refreshes");

    let spans = collector.spans_with(REFRESH).await;
    let log = end(process).await;
    let call = named(&spans, REFRESH);
    assert_eq!(hex(&call.trace_id), TRACE);
    assert_eq!(hex(&call.parent_span_id), PARENT);
    assert_eq!(call.trace_state, "vendor=value");
    assert_eq!(attribute(call, "rpc.system.name"), Some("grpc"));
    assert_eq!(attribute(call, "rpc.method"), Some(REFRESH));
    assert_eq!(attribute(call, "rpc.response.status_code"), Some("OK"));
    let statement = named(&spans, "exchange::rotate");
    assert_eq!(statement.parent_span_id, call.span_id);
    assert_eq!(attribute(statement, "db.system.name"), Some("postgresql"));

    let ended = log.iter().find(|line| line["message"] == "call ended");
    let ended = ended.expect("a line of the call");
    assert_eq!(ended["span"]["trace_id"], TRACE, "{ended}");
    assert_eq!(ended["span"]["method"], "/rollcall.v1.Auth/Refresh");
}

#[tokio::test(flavor = "multi_thread")]
async fn call_of_an_unsampled_trace_is_in_none_and_its_lines_have_no_id() {
    let collector = Collector::start().await;
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let phone = it.sign_in("ana").await;
    let traced = ["--otlp-endpoint", &collector.endpoint, "--trace-sampling=1"];
    let (process, mut auth) = serve(&it, &traced).await;
    auth.refresh(within(refresh("rcr_garbage"), "00"))
        .await
        .expect_err("is garbage");
    // One that says nothing is sampled by the ratio.
    auth.refresh(refresh(&phone.refresh_token))
        .await
        .expect("refreshes");

    let spans = collector.spans_with(REFRESH).await;
    let log = end(process).await;
    let calls: Vec<&Span> = spans.iter().filter(|span| span.name == REFRESH).collect();
    assert_eq!(calls.len(), 1, "{calls:#?}");
    assert_ne!(hex(&calls[0].trace_id), TRACE);
    let ended: Vec<_> = log
        .iter()
        .filter(|line| line["message"] == "call ended")
        .collect();
    assert_eq!(ended[0]["span"]["trace_id"], Value::Null);
    assert_eq!(ended[1]["span"]["trace_id"], hex(&calls[0].trace_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_who_is_not_trusted_decides_neither_whether_nor_where_it_is_traced() {
    for (ratio, flags) in [("--trace-sampling=0", "01"), ("--trace-sampling=1", "00")] {
        let collector = Collector::start().await;
        let it = Harness::start().await;
        let endpoint = &collector.endpoint;
        let traced = ["--trusted-proxies=", "--otlp-endpoint", endpoint, ratio];
        let (process, mut auth) = serve(&it, &traced).await;
        let refused = auth.refresh(within(refresh("rcr_garbage"), flags)).await;
        refused.expect_err("is garbage");
        let log = end(process).await;
        let ended = log.iter().find(|line| line["message"] == "call ended");
        let trace = &ended.expect("a line of the call")["span"]["trace_id"];
        assert_eq!(trace.is_string(), flags == "00", "{trace}");
        assert_ne!(trace, TRACE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_password_token_or_login_is_in_a_trace_and_hashing_is() {
    let collector = Collector::start().await;
    let it = Harness::start().await;
    it.create_user("canary-of-logins", &[]).await;
    let traced = ["--otlp-endpoint", &collector.endpoint, "--log", "trace"];
    let (process, mut auth) = serve(&it, &traced).await;
    let request = within(authenticate("canary-of-logins"), "01");
    let reply = auth.authenticate(request).await.expect("signs in");
    let tokens = reply.into_inner().tokens.expect("tokens");
    let wrong = AuthenticateRequest {
        password: "canary-of-passwords-1".to_owned(),
        ..authenticate("canary-of-logins")
    };
    auth.authenticate(within(wrong, "01"))
        .await
        .expect_err("is wrong");
    auth.refresh(within(refresh(&tokens.refresh_token), "01"))
        .await
        .expect("refreshes");
    let spans = collector.spans_with(REFRESH).await;
    // What only traces have is not in the log, which says of each line whose call it is.
    for line in end(process).await {
        let span = line["span"]["name"].as_str().unwrap_or("call");
        let of_ours = line["target"]
            .as_str()
            .is_some_and(|it| it.starts_with("rollcall"));
        assert!(!of_ours || span == "call", "{line}");
        assert!(!["statement", "hash password"].contains(&span), "{line}");
    }

    let hashing = named(&spans, "hash password");
    let parent = spans
        .iter()
        .find(|span| span.span_id == hashing.parent_span_id);
    assert_eq!(
        parent.expect("is there").name,
        "rollcall.v1.Auth/Authenticate"
    );
    let bytes: Vec<u8> = spans.iter().flat_map(Message::encode_to_vec).collect();
    let text = String::from_utf8_lossy(&bytes);
    let signature = tokens.access_token.rsplit('.').next().expect("a JWT");
    for secret in [PASSWORD, "canary", &tokens.refresh_token[4..], signature] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn collector_that_is_not_there_harms_nothing() {
    let it = Harness::start().await;
    it.create_user("ana", &[]).await;
    let traced = [
        "--otlp-endpoint=http://127.0.0.1:1",
        "--trace-sampling=1",
        "--drain-limit=1s",
    ];
    let (process, mut auth) = serve(&it, &traced).await;
    for _ in 0..20 {
        let phone = it.sign_in("ana").await;
        auth.refresh(within(refresh(&phone.refresh_token), "01"))
            .await
            .expect("refreshes");
    }
    end(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_variable_of_opentelemetry_is_taken() {
    let collector = Collector::start().await;
    let it = Harness::start().await;
    let assigned = format!("OTEL_EXPORTER_OTLP_ENDPOINT={}", collector.endpoint);
    let (process, mut auth) = serve_in(&it, &assigned, &["--log", "info"]).await;
    auth.refresh(within(refresh("rcr_garbage"), "01"))
        .await
        .expect_err("is garbage");
    // What is left is sent at the end.
    end(process).await;
    let spans = collector.spans_with(REFRESH).await;
    let code = attribute(named(&spans, REFRESH), "rpc.response.status_code");
    assert_eq!(code, Some("UNAUTHENTICATED"));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
