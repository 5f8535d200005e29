//! Somebody at a command line, with files of one's own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rollcall::{
    client::{FileStore, TokenSource},
    proto::v1,
};

use super::Said;
use crate::harness::{
    Replica, SignedIn,
    process::{rollcall, run},
};

/// Somebody at a command line; the files go with this.
pub struct Person {
    folder: PathBuf,
    server: String,
}

impl Person {
    /// Nobody is signed in.
    pub fn at(server: &str) -> Self {
        let name = format!("rollcall-cli-{}", uuid::Uuid::now_v7());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("is new");
        Self {
            folder,
            server: server.to_owned(),
        }
    }

    /// An operator, signed in, and the session.
    pub async fn operator(it: &Replica) -> (Self, SignedIn) {
        let person = Self::at(&format!("http://{}", it.address));
        let session = it.admin().await;
        person.keep(&session).await;
        (person, session)
    }

    /// Keeps the tokens of a session as `rollcall login` does.
    pub async fn keep(&self, session: &SignedIn) {
        let source = TokenSource::builder(self.server.clone())
            .store(FileStore::new(self.credentials()))
            .build()
            .expect("an address");
        let pair = v1::TokenPair {
            access_token: session.access_token.clone(),
            refresh_token: session.refresh_token.clone(),
            access_token_expire_time: Some(prost_types::Timestamp {
                seconds: i64::MAX / 2_000_000,
                nanos: 0,
            }),
            ..v1::TokenPair::default()
        };
        source.set_tokens(pair).await.expect("stored");
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn credentials(&self) -> PathBuf {
        self.folder.join("credentials")
    }

    /// A file of this name and content.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, content).expect("writes");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Runs a command to its end.
    pub async fn say(&self, arguments: &[&str]) -> Said {
        self.say_with(arguments, "").await
    }

    /// Runs a command on a terminal of its own, where `typed` is typed, and answers its exit
    /// code and all that the terminal shows.
    pub async fn say_on_terminal(&self, arguments: &[&str], typed: &str) -> (i32, String) {
        let line = [&[env!("CARGO_BIN_EXE_rollcall")], arguments].concat();
        let mut command = std::process::Command::new("script");
        command.args([
            "--quiet",
            "--return",
            "--command",
            &line.join(" "),
            "/dev/null",
        ]);
        command.env("ROLLCALL_SERVER", &self.server);
        command.env("ROLLCALL_CREDENTIALS", self.credentials());
        let said = Said::of(run(command, typed).await);
        (said.code, said.out.replace('\r', ""))
    }

    /// The same with a standard input.
    pub async fn say_with(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = rollcall(arguments);
        command.env("ROLLCALL_SERVER", &self.server);
        command.env("ROLLCALL_CREDENTIALS", self.credentials());
        Said::of(run(command, input).await)
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
