//! The real binary, as a process of its own.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
};

use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};

use super::{master_key, patiently};

/// The binary with these arguments and no environment but `PATH`.
pub fn rollcall(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollcall"));
    command.args(arguments);
    bare(&mut command);
    command
}

fn bare(command: &mut Command) {
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
}

/// Runs the binary to its end, with `input` as its standard input.
pub async fn run(mut command: Command, input: &str) -> Output {
    let input = input.to_owned();
    let ended = tokio::task::spawn_blocking(move || {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stdin = child.stdin.take().expect("piped");
        // A process that does not read its input has closed it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("the binary ends")
    });
    patiently("the binary ends", ended)
        .await
        .expect("no panic above")
}

/// A running `rollcall serve`, killed when this is dropped.
pub struct Process {
    child: Child,
    lines: watch::Receiver<Vec<String>>,
    address: String,
}

impl Process {
    /// A server on a free port that has begun to listen.
    pub async fn serve(url: &str, options: &[&str]) -> Self {
        let mut command = rollcall(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(options);
        Self::start(command, url).await
    }

    /// Starts a command that ends up in `rollcall serve`, and waits until it listens.
    pub async fn start(command: Command, url: &str) -> Self {
        let mut process = Self::spawn(command, url);
        let line = process.line_with("\"listening\"").await;
        let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        process.address = line["address"].as_str().expect("an address").to_owned();
        process
    }

    /// Starts a command that ends up in `rollcall serve`.
    pub fn spawn(mut command: Command, url: &str) -> Self {
        bare(&mut command);
        command
            .env("DATABASE_URL", url)
            .env("ROLLCALL_MASTER_KEY", master_key())
            .env("ROLLCALL_ISSUER", "https://id.test")
            .env("ROLLCALL_DRAIN_PAUSE", "0s")
            .env("ROLLCALL_REFRESH_MIN_INTERVAL", "0s")
            .env("ROLLCALL_SIGN_INS_PER_ADDRESS", "0")
            .env("ROLLCALL_SIGN_INS_PER_LOGIN", "0")
            .env("ROLLCALL_STATEMENT_TIMEOUT", "10m")
            .env("ROLLCALL_CONNECTION_TIMEOUT", "10m")
            .env("ROLLCALL_REQUEST_TIMEOUT", "10m");
        Self::of(command)
    }

    /// Starts any command that logs to its standard error.
    pub fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, lines) = watch::channel(Vec::new());
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                sender.send_modify(|lines: &mut Vec<String>| lines.push(line));
            }
        });
        Self {
            child,
            lines,
            address: String::new(),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub async fn channel(&self) -> Channel {
        let address = match self.address.strip_prefix("unix:") {
            Some(path) => format!("unix://{path}"),
            None => format!("http://{}", self.address),
        };
        let endpoint = Endpoint::from_shared(address).expect("an address makes a URL");
        endpoint.connect().await.expect("it listens")
    }

    /// Waits for a line of its log that contains `text`.
    pub async fn line_with(&self, text: &str) -> String {
        let mut lines = self.lines.clone();
        let found = lines.wait_for(|lines| lines.iter().any(|line| line.contains(text)));
        let Ok(lines) = patiently(text, found).await else {
            panic!("it ended without {text}: {:#?}", *self.lines.borrow());
        };
        let line = lines.iter().find(|line| line.contains(text));
        line.expect("was found").clone()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for its end, and answers its status and its log.
    pub async fn end(mut self) -> (ExitStatus, Vec<String>) {
        let mut lines = self.lines.clone();
        // Its standard error closes with it.
        let closed = async { while lines.changed().await.is_ok() {} };
        patiently("the process ends", closed).await;
        let status = self.child.wait().expect("is a child");
        let lines = self.lines.borrow().clone();
        (status, lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
