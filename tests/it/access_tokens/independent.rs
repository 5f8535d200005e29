//! Verifiers of others: JWT libraries of other languages, and Envoy. They are what
//! `.ci/tools.sh` installs, so that these tests run only when they are asked for.

mod envoy;

use std::{fmt::Write, fs, path::PathBuf, process::Command};

use serde_json::json;

use super::{
    corpus::{Forge, Forged},
    mint::Mint,
};
use crate::harness::{Database, Harness, Replica, SignedIn, claims};

/// More than the lead of a key.
const LEAD: &str = "1 hour";

/// A deployment whose tokens are of a key of Ed25519 that retires and one of P-256 that
/// signs, while the next is published too.
struct World {
    it: Harness,
    /// The older first.
    forges: [Forge; 2],
    ana: SignedIn,
}

impl World {
    async fn new() -> Self {
        let database = Database::create().await;
        let before = Replica::start(&database, &[]).await;
        before.create_user("ana", &["reader"]).await;
        let retiring = Forge::new(
            Mint::of_database(database.url()).await,
            before.sign_in("ana").await,
        );
        before.stop().await.expect("stops");

        database.age_keys("next", LEAD).await;
        let server = Replica::start(&database, &["--signing-algorithm", "ES256"]).await;
        let it = Harness { database, server };
        // The first look may still be under way, which replaces the next key.
        it.identity.load_signing_keys().await.expect("looks");
        it.database.age_keys("next", LEAD).await;
        it.identity.load_signing_keys().await.expect("rotates");
        let active = Forge::new(Mint::of(&it).await, it.sign_in("ana").await);
        assert_eq!(retiring.mint.algorithm(), "EdDSA");
        assert_eq!(active.mint.algorithm(), "ES256");
        let keys = it.identity.jwks().expect("loaded");
        assert_eq!(keys.len(), 3, "retiring, active, next");
        Self {
            ana: it.sign_in("ana").await,
            forges: [retiring, active],
            it,
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.it.address)
    }

    async fn good(&self) -> Vec<Forged> {
        let mut corpus = vec![(
            "another session's".to_owned(),
            self.ana.access_token.clone(),
        )];
        for forge in &self.forges {
            let algorithm = forge.mint.algorithm();
            let as_issued = forge.session.access_token.clone();
            corpus.push((format!("{algorithm} as issued"), as_issued));
            corpus.push((format!("{algorithm} signed again"), forge.untouched()));
        }
        let single = self.it.sign_in_single("ana").await;
        corpus.push(("a single-token client's".to_owned(), single.access_token));
        corpus
    }

    fn bad(&self) -> Vec<Forged> {
        let mut corpus = Vec::new();
        for (at, forge) in self.forges.iter().enumerate() {
            let algorithm = forge.mint.algorithm();
            let mut bad = forge.bad_for_all(&self.ana);
            bad.extend(forge.expired());
            bad.push(forge.of_another_key(&self.forges[1 - at].mint));
            let named = bad
                .into_iter()
                .map(|(what, token)| (format!("{algorithm}: {what}"), token));
            corpus.extend(named);
        }
        corpus
    }
}

impl Forge {
    /// Genuine tokens whose time is over.
    fn expired(&self) -> Vec<Forged> {
        let iat = claims(&self.session.access_token)["iat"].as_i64();
        let iat = iat.expect("a time");
        [iat - 60, iat - 86_400, 0]
            .map(|exp| {
                let token = self.mint.with_claims(&self.session, |claims| {
                    claims["iat"] = json!(iat - 172_800);
                    claims["exp"] = json!(exp);
                });
                (format!("expired at {exp}"), token)
            })
            .into()
    }

    /// A token that names another published key than the one that signed it.
    fn of_another_key(&self, other: &Mint) -> Forged {
        let token = self.mint.with_header(&self.session, |header| {
            header["kid"] = json!(other.kid);
        });
        ("the kid of another key".to_owned(), token)
    }
}

/// Test cases, a JSON object a line.
fn corpus(cases: &[(&[Forged], bool)]) -> String {
    let mut text = String::new();
    for (forged, good) in cases {
        for (what, token) in *forged {
            let case = json!({ "what": what, "token": token, "good": good });
            writeln!(text, "{case}").expect("is memory");
        }
    }
    text
}

/// A file for other programs; removed when this is dropped.
struct Temporary(PathBuf);

impl Temporary {
    /// Writes a file whose name no other test of this process uses.
    fn write(name: &str, content: impl AsRef<[u8]>) -> Self {
        let name = format!("{}-{name}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, content).expect("writes");
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The programs that judge a corpus, as they are started.
const PROGRAMS: [&[&str]; 3] = [
    &["python3", "tests/clients/verifiers/pyjwt.py"],
    &["node", "tests/clients/verifiers/jose.mjs"],
    &["go", "run", "-C", "tests/clients/verifiers/golang-jwt", "."],
];

/// Runs a program over a corpus, and answers whether it agrees and what it said.
async fn judge(program: &[&str], url: &str, corpus: &Temporary) -> (bool, String) {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]);
    command.args([url, "https://id.test", "rollcall"]);
    command.arg(&corpus.0);
    let output = crate::harness::process::run(command, "").await;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).expect("UTF-8");
    (output.status.success(), said)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "calls Python, Node and Go: source .ci/tools.sh"]
async fn independent_verifiers_take_good_tokens_and_refuse_bad_ones() {
    let world = World::new().await;
    let (good, bad) = (world.good().await, world.bad());
    assert!(bad.len() > 1_000);
    let all = corpus(&[(&good, true), (&bad, false)]);
    let all = Temporary::write("corpus.jsonl", all);
    // Each program has to see through a good token that is called bad, and the reverse.
    let lies = [
        (&good[..2], true),
        (&bad[..2], true),
        (&bad[2..4], false),
        (&good[2..3], false),
    ];
    let lies = Temporary::write("lies.jsonl", corpus(&lies));
    for program in PROGRAMS {
        let (agrees, said) = judge(program, &world.url(), &all).await;
        assert!(agrees, "{program:?}: {said}");
        let counted = format!("{} good, {} bad, 0 wrong", good.len(), bad.len());
        assert!(said.contains(&counted), "{said}");
        let (agrees, said) = judge(program, &world.url(), &lies).await;
        assert!(
            !agrees && said.contains("3 wrong verdicts"),
            "{program:?}: {said}"
        );
        assert_eq!(said.matches("WRONG: ").count(), 3, "{said}");
    }
}
