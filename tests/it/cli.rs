//! The command line as its users see it.

use rollcall::identity::MasterKey;

use crate::harness::{
    Database, PASSWORD,
    process::{rollcall, run},
};

struct Said {
    succeeded: bool,
    out: String,
    err: String,
}

async fn say(arguments: &[&str], url: &str, input: &str) -> Said {
    let mut command = rollcall(arguments);
    if !url.is_empty() {
        command.env("DATABASE_URL", url);
    }
    let output = run(command, input).await;
    Said {
        succeeded: output.status.success(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_of_every_command_reads_as_it_did() {
    let commands: [&[&str]; 11] = [
        &[],
        &["serve"],
        &["dev"],
        &["migrate"],
        &["keys"],
        &["keys", "generate"],
        &["keys", "list"],
        &["keys", "rotate"],
        &["keys", "reseal"],
        &["user"],
        &["user", "create"],
    ];
    let mut helps = String::new();
    for command in commands {
        let arguments = [command, &["--help"]].concat();
        let said = say(&arguments, "", "").await;
        assert!(said.succeeded);
        helps.push_str(&format!(
            "$ rollcall {}\n{}\n",
            arguments.join(" "),
            said.out
        ));
    }
    insta::assert_snapshot!(helps);
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_key_is_one_line_and_a_key() {
    let said = say(&["keys", "generate"], "", "").await;
    assert!(said.succeeded && said.err.is_empty());
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
        assert!(!said.succeeded && said.out.is_empty(), "{options:?}");
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
        assert!(!said.succeeded);
        assert!(!said.err.contains("hunter2"), "{}", said.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_operator_is_created_once_with_a_password_shown_once() {
    let database = Database::create().await;
    let create = ["user", "create", "--admin", "Operator"];
    let said = say(&create, database.url(), "").await;
    assert!(said.succeeded, "{}", said.err);
    assert_eq!(said.out.trim().len(), 24);
    assert!(!said.err.contains(said.out.trim()));
    let roles = database
        .sql("SELECT roles FROM users WHERE login = 'Operator'")
        .await;
    assert_eq!(roles[0].get::<_, Vec<String>>(0), ["admin"]);

    let again = say(&["user", "create", "operator"], database.url(), "").await;
    assert!(!again.succeeded);
    assert_eq!(
        again.err.lines().last(),
        Some("rollcall: the login is taken")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn password_from_standard_input_is_checked_and_not_shown() {
    let database = Database::create().await;
    let create = ["user", "create", "ana", "--password-stdin"];
    let weak = say(&create, database.url(), "short\n").await;
    assert!(!weak.succeeded);
    assert!(weak.err.contains("at least 15 characters"), "{}", weak.err);

    let said = say(&create, database.url(), &format!("{PASSWORD}\n")).await;
    assert!(said.succeeded, "{}", said.err);
    assert!(said.out.is_empty() && !said.err.contains(PASSWORD));
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
    assert!(first.succeeded && second.succeeded);
}
