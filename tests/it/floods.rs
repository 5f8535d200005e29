//! Floods: of passwords, of HTTP/2 frames, of connections. Each is survived, in bounded
//! memory, and others are served meanwhile.

use std::{fs, process::Command};

use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use rollcall::proto::v1::{AuthenticateRequest, LogoutRequest, auth_client::AuthClient};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;

use crate::harness::{
    Database, Harness, SignedIn, device,
    http2::{
        CONTINUATION, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, HEADERS, RST_STREAM, Raw,
        SETTINGS, call_fields, field,
    },
    patiently,
    process::{Process, rollcall},
    reason, request_id, successor,
};

const HEALTH: &str = "/grpc.health.v1.Health/Check";
const MIB: u64 = 1024 * 1024;

async fn sign_in(mut auth: AuthClient<Channel>) -> Result<(), Status> {
    let request = AuthenticateRequest {
        login: "nobody".to_owned(),
        password: "wrong".to_owned(),
        device: Some(device("")),
        ..AuthenticateRequest::default()
    };
    auth.authenticate(request).await.map(drop)
}

async fn assert_serving(channel: Channel) {
    let request = HealthCheckRequest::default();
    let reply = HealthClient::new(channel).check(request).await;
    reply.expect("health is answered");
}

/// What a process holds and has held in memory at most, in bytes.
fn memory(id: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(field));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.expect("the kernel tells")
        .parse::<u64>()
        .expect("a number")
        * 1024
}

/// That refreshes and health are answered, again and again.
async fn assert_answered(it: &Harness, phone: &mut SignedIn) {
    for _ in 0..10 {
        let reply = it.refresh(&phone.refresh_token, &request_id()).await;
        phone.refresh_token = successor(&reply.expect("is answered")).to_owned();
        assert_serving(it.channel.clone()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn surplus_of_passwords_is_refused_at_once_while_refreshes_and_health_are_answered() {
    let options = [
        "--hashing-concurrency",
        "1",
        "--hashing-queue",
        "7",
        "--argon2-iterations",
        "20",
        "--max-connections",
        "16",
    ];
    let it = Harness::with(&options).await;
    it.create_user("ana", &[]).await;
    let mut phone = it.sign_in("ana").await;
    // Those that are taken wait for what they look up.
    let lock = it.database.connect().await;
    let exclusive = "BEGIN; LOCK TABLE user_sign_ins IN EXCLUSIVE MODE";
    lock.batch_execute(exclusive).await.expect("locks");
    let mut flood: FuturesUnordered<_> =
        (0..40).map(|_| tokio::spawn(sign_in(it.auth()))).collect();

    // Eight are taken. The others are answered before any of them.
    for _ in 0..32 {
        let answer = flood.next().await.expect("40 calls").expect("no panic");
        let busy = answer.expect_err("refused");
        assert_eq!(busy.code(), Code::ResourceExhausted);
        assert_eq!(reason(&busy), "HASHING_BUSY");
        let details = busy.get_error_details();
        assert!(
            details
                .retry_info()
                .is_some_and(|retry| retry.retry_delay.is_some())
        );
    }
    assert!(flood.iter().all(|call| !call.is_finished()));
    assert_answered(&it, &mut phone).await;
    // They hash for seconds.
    lock.batch_execute("COMMIT").await.expect("unlocks");
    assert_answered(&it, &mut phone).await;
    while let Some(answer) = flood.next().await {
        let refused = answer.expect("no panic").expect_err("nobody");
        assert_eq!(reason(&refused), "INVALID_CREDENTIALS");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn flood_of_passwords_takes_the_memory_of_the_hashes_that_run_at_once() {
    let database = Database::create().await;
    let options = ["--hashing-concurrency", "2", "--hashing-queue", "20"];
    let process = Process::serve(database.url(), &options).await;
    process.line_with("\"serving\"").await;
    let channel = process.channel().await;
    assert_serving(channel.clone()).await;
    let before = memory(process.id(), "VmRSS");

    let flood = (0..300).map(|_| sign_in(AuthClient::new(channel.clone())));
    let answers = join_all(flood).await;
    assert!(answers.iter().all(Result::is_err));

    let grown = memory(process.id(), "VmHWM") - before;
    let hashes = 2 * 19 * MIB;
    let rest = 32 * MIB;
    assert!(grown >= 19 * MIB, "no hash ran: {grown}");
    assert!(grown < hashes + rest, "{} MiB", grown / MIB);
}

/// A process, its memory before the flood, and a client that the flood does not concern.
async fn victim(database: &Database) -> (Process, u64, Channel) {
    let process = Process::serve(database.url(), &[]).await;
    process.line_with("\"serving\"").await;
    let channel = process.channel().await;
    assert_serving(channel.clone()).await;
    let before = memory(process.id(), "VmRSS");
    (process, before, channel)
}

#[cfg(target_os = "linux")]
async fn assert_survived(process: &Process, before: u64, channel: Channel) {
    assert_serving(channel).await;
    assert_serving(process.channel().await).await;
    let grown = memory(process.id(), "VmHWM") - before;
    assert!(grown < 16 * MIB, "{} MiB", grown / MIB);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn streams_reset_in_quick_succession_end_the_connection() {
    let database = Database::create().await;
    let (process, before, other) = victim(&database).await;
    let fields = call_fields(HEALTH);
    let resets = (0..100_000_u32).map(move |at| {
        let stream = 2 * at + 1;
        let cancel = 8_u32.to_be_bytes();
        [
            Frame::new(HEADERS, END_HEADERS, stream, &fields).encode(),
            Frame::new(RST_STREAM, 0, stream, &cancel).encode(),
        ]
        .concat()
    });
    let raw = Raw::open(process.address()).await;
    let code = patiently("it is ended", raw.flood(resets)).await;
    assert_eq!(code, ENHANCE_YOUR_CALM);
    assert_survived(&process, before, other).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn header_list_without_an_end_ends_the_connection() {
    let database = Database::create().await;
    let (process, before, other) = victim(&database).await;
    let begin = Frame::new(HEADERS, END_STREAM, 1, &call_fields(HEALTH)).encode();
    let padding = field("x-padding", &"x".repeat(100)).repeat(100);
    let go_on = Frame::new(CONTINUATION, 0, 1, &padding).encode();
    // More than 100 MB.
    let flood = std::iter::once(begin).chain(std::iter::repeat_n(go_on, 10_000));
    let raw = Raw::open(process.address()).await;
    let code = patiently("it is ended", raw.flood(flood)).await;
    assert_eq!(code, ENHANCE_YOUR_CALM);
    assert_survived(&process, before, other).await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn empty_continuations_without_an_end_end_the_connection() {
    let database = Database::create().await;
    let (process, before, other) = victim(&database).await;
    let begin = Frame::new(HEADERS, END_STREAM, 1, &call_fields(HEALTH)).encode();
    let go_on = Frame::new(CONTINUATION, 0, 1, &[]).encode().repeat(1_000);
    let flood = std::iter::once(begin).chain(std::iter::repeat_n(go_on, 1_000));
    let raw = Raw::open(process.address()).await;
    let code = patiently("it is ended", raw.flood(flood)).await;
    assert_eq!(code, ENHANCE_YOUR_CALM);
    assert_survived(&process, before, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn header_list_over_the_limit_is_refused() {
    let it = Harness::start().await;
    let padding = field("x-padding", &"x".repeat(100)).repeat(200);
    let fields = [call_fields(HEALTH), padding].concat();
    let (first, rest) = fields.split_at(16_000);
    let mut raw = Raw::open(&it.address).await;
    let begin = Frame::new(HEADERS, END_STREAM, 1, first).encode();
    let end = Frame::new(CONTINUATION, END_HEADERS, 1, rest).encode();
    let request = [begin, end].concat();
    raw.write.write_all(&request).await.expect("is sent");
    let answer = async {
        loop {
            let frame = raw.frame().await.expect("an answer");
            if frame.stream == 1 {
                return frame;
            }
        }
    };
    let answer = patiently("an answer", answer).await;
    // `:status: 431` (RFC 6585) in HPACK, as the first field of a connection.
    assert_eq!(answer.kind, HEADERS);
    assert_eq!(answer.payload, [0x48, 0x83, 0x69, 0x90, 0xff]);
    assert_serving(it.channel.clone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_announced() {
    let it = Harness::with(&["--max-concurrent-streams", "7"]).await;
    let mut raw = Raw::open(&it.address).await;
    let settings = raw.frame().await.expect("SETTINGS come first");
    assert_eq!(settings.kind, SETTINGS);
    // RFC 9113 section 6.5.2.
    let (max_concurrent_streams, max_header_list_size) = (3, 6);
    let announced = settings.settings();
    assert!(
        announced.contains(&(max_concurrent_streams, 7)),
        "{announced:?}"
    );
    assert!(
        announced.contains(&(max_header_list_size, 16 * 1024)),
        "{announced:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn message_over_64_kib_is_refused_and_one_within_is_read() {
    let it = Harness::start().await;
    // The tag and the length of the field are four bytes.
    for (length, read) in [(64 * 1024 - 4, true), (64 * 1024 - 3, false)] {
        let request = LogoutRequest {
            refresh_token: "x".repeat(length),
        };
        let refused = it.auth().logout(request).await.expect_err("is refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(reason(&refused), "INVALID_ARGUMENT");
        let details = refused.get_error_details();
        assert_eq!(
            details.bad_request().is_some(),
            read,
            "{length}: {refused:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn server_out_of_file_descriptors_recovers_when_connections_close() {
    let database = Database::create().await;
    let mut limited = Command::new("sh");
    let binary = rollcall(&[]).get_program().to_owned();
    limited
        .args(["-c", "ulimit -n 64; exec \"$0\" serve --listen 127.0.0.1:0"])
        .arg(binary);
    let process = Process::start(limited, database.url()).await;
    process.line_with("\"serving\"").await;
    let connect = (0..100).map(|_| TcpStream::connect(process.address()));
    let connections = join_all(connect).await;
    process.line_with("could not be accepted").await;
    drop(connections);
    let channel = patiently("a connection", process.channel()).await;
    assert_serving(channel.clone()).await;
    let refused = sign_in(AuthClient::new(channel)).await.expect_err("nobody");
    assert_eq!(reason(&refused), "INVALID_CREDENTIALS");
}
