//! The command line as its users see it.

mod audit;
mod first_operator;
mod health;
mod import;
mod keys;
mod one_user;
mod person;
mod revoke_all;
mod sessions;
mod shell;
mod sign_in;
mod stolen;
mod users;

use rollcall::identity::MasterKey;

use crate::harness::{
    Database,
    process::{rollcall, run},
};
use person::Person;

/// What a command said, and how it ended.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn of(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().expect("ended by itself"),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// What it said on standard output, where it succeeded.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }

    /// The lines of its standard output as JSON, where it succeeded.
    #[track_caller]
    fn json(self) -> Vec<serde_json::Value> {
        let lines = self.done();
        let parsed = lines.lines().map(serde_json::from_str);
        parsed.collect::<Result<_, _>>().expect("JSON lines")
    }

    /// What it said on standard error, where it failed with this exit code and has shown
    /// no result.
    #[track_caller]
    fn failed(self, code: i32) -> String {
        assert_eq!((self.code, &*self.out), (code, ""), "{}", self.err);
        self.err
    }
}

async fn say(arguments: &[&str], url: &str, input: &str) -> Said {
    let mut command = rollcall(arguments);
    if !url.is_empty() {
        command.env("DATABASE_URL", url);
    }
    Said::of(run(command, input).await)
}

/// A text with what differs from run to run written as what it is.
fn redacted(text: &str) -> String {
    let is_time = |word: &str| word.len() == 20 && word.ends_with('Z') && word.contains('T');
    let redact = |word: &str| match word {
        word if uuid::Uuid::parse_str(word).is_ok() => {
            format!("{:<width$}", "UUID", width = word.len())
        }
        word if is_time(word) => format!("{:<20}", "TIME"),
        word => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(redact).collect::<Vec<_>>().join(" ");
    let lines: Vec<_> = text
        .lines()
        .map(|text| line(text).trim_end().to_owned())
        .collect();
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_key_is_one_line_and_a_key() {
    let said = say(&["keys", "generate"], "", "").await;
    assert!(said.code == 0 && said.err.is_empty());
    assert_eq!(said.out.lines().count(), 1);
    said.out.parse::<MasterKey>().expect("a key");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_make_no_sense_are_named_with_their_limit() {
    let key = MasterKey::generate().expect("random bytes").expose();
    let fixed = [
        "serve",
        "--database-url",
        "host=/nowhere",
        "--issuer",
        "https://id.test",
    ];
    let with_key = [&fixed[..], &["--master-key", &key]].concat();
    let cases: [(&[&str], &[&str], &str); 13] = [
        (&fixed, &[], "a master key is required: --master-key-file"),
        (&with_key, &["--issuer", ""], "--issuer must be not empty"),
        (
            &with_key,
            &["--session-idle-lifetime", "5m"],
            "--session-idle-lifetime must be no shorter than --access-token-lifetime",
        ),
        (
            &with_key,
            &["--signing-key-lead", "59s"],
            "--signing-key-lead must be 1m to 1day",
        ),
        (
            &with_key,
            &["--signing-key-lifetime", "14m"],
            "--signing-key-lifetime must be no shorter than --signing-key-lead",
        ),
        (
            &with_key,
            &["--replay-window", "10m"],
            "--replay-window must be shorter than --access-token-lifetime",
        ),
        (
            &with_key,
            &["--replay-leeway", "5m"],
            "--replay-leeway must be no longer than --replay-window",
        ),
        (
            &with_key,
            &["--refresh-min-interval", "10s"],
            "--refresh-min-interval must be shorter than --replay-leeway",
        ),
        (
            &with_key,
            &["--refresh-min-interval", "10m"],
            "--refresh-min-interval must be shorter than --access-token-lifetime",
        ),
        (
            &with_key,
            &[
                "--superseded-access-tokens=deny",
                "--superseded-overlap=11m",
            ],
            "--superseded-overlap must be no longer than --access-token-lifetime",
        ),
        (
            &with_key,
            &["--argon2-iterations", "1"],
            "hashing options are refused",
        ),
        (
            &with_key,
            &["--max-connections", "1"],
            "--max-connections must be at least 2",
        ),
        (
            &with_key,
            &["--request-timeout", "1ms"],
            "--request-timeout must be 10ms to 1day",
        ),
    ];
    for (arguments, options, expected) in cases {
        // The last of an option that is given twice would be an error of its own.
        let kept = arguments.iter().zip(arguments.iter().skip(1).chain([&""]));
        let mut merged: Vec<&str> = Vec::new();
        let mut skip = false;
        for (argument, next) in kept {
            if skip {
                skip = false;
            } else if options.contains(argument) {
                skip = !next.is_empty();
            } else {
                merged.push(argument);
            }
        }
        merged.extend(options);
        let said = say(&merged, "", "").await;
        assert!(said.code != 0 && said.out.is_empty(), "{options:?}");
        assert!(said.err.contains(expected), "{options:?}: {}", said.err);
    }
    let said = say(
        &[&with_key[..], &["--password-min-characters", "7"]].concat(),
        "",
        "",
    )
    .await;
    assert!(said.err.contains("8 to 64"), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_never_quoted() {
    for arguments in [
        [
            "migrate",
            "--database-url",
            "postgres://ana:hunter2@h/db?nonsense=1",
        ],
        ["migrate", "--database-url", "postgres://ana:p@hunter2@h/db"],
        ["serve", "--master-key", "\"rcm_hunter2\""],
    ] {
        let said = say(&arguments, "", "").await;
        assert!(said.code != 0);
        assert!(!said.err.contains("hunter2"), "{}", said.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_says_what_it_did() {
    let database = Database::create_empty().await;
    let first = say(&["migrate"], database.url(), "").await;
    let steps: Vec<&str> = first.err.lines().collect();
    assert_eq!(steps[0], "migrated 2026-11-24-000000_foundation");
    assert!(steps.iter().all(|step| step.starts_with("migrated 2026-")));
    let second = say(&["migrate"], database.url(), "").await;
    assert_eq!(second.err, "the schema is up to date\n");
    assert!(first.code == 0 && second.code == 0);
}
