//! Tokens in a file, and what reads them.

use std::{fs, path::PathBuf};

use rollcall::client::{AccessToken, FileStore, TokenSource};

use crate::{
    client::{fake::Fake, phone},
    harness::PASSWORD,
};

/// A folder with a file of tokens, removed with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let name = format!("rollcall-tokens-{}", uuid::Uuid::now_v7());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("is new");
        Self(path)
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("tokens.json")
    }

    /// A source as another process, or another life of this one, has it.
    pub fn source(&self, fake: &Fake) -> TokenSource {
        let store = FileStore::new(self.file());
        let builder = TokenSource::builder(fake.url()).store(store);
        builder.build().expect("an address")
    }

    pub fn json(&self) -> serde_json::Value {
        let text = fs::read(self.file()).expect("there is a file");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// Lets the tokens have been asked for this long ago.
    pub fn age(&self, seconds: i64) {
        let mut json = self.json();
        let asked_at = json["asked_at"].as_i64().expect("a time");
        json["asked_at"] = (asked_at - seconds).into();
        fs::write(self.file(), json.to_string()).expect("writes");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A folder whose token of ten minutes is this old.
pub async fn aged(fake: &Fake, seconds: i64) -> (Folder, AccessToken) {
    let folder = Folder::new();
    let source = folder.source(fake);
    let token = source.sign_in("ana", PASSWORD, phone()).await;
    folder.age(seconds);
    (folder, token.expect("signs in"))
}
