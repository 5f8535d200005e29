//! Help, completions and manual pages.

use std::fs;

use clap::CommandFactory;
use rollcall::config::Cli;

use super::{Person, say};

/// Every command, with its parents' names before its own.
fn commands() -> Vec<Vec<String>> {
    fn walk(command: &clap::Command, before: &[String], found: &mut Vec<Vec<String>>) {
        found.push(before.to_vec());
        for inner in command.get_subcommands() {
            let path = [before, &[inner.get_name().to_owned()]].concat();
            walk(inner, &path, found);
        }
    }
    let mut found = Vec::new();
    walk(&Cli::command(), &[], &mut found);
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn help_of_every_command_reads_as_it_did() {
    let mut helps = String::new();
    for path in commands() {
        let arguments = [&path[..], &["--help".to_owned()]].concat();
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let help = say(&words, "", "").await.done();
        let last = help.trim_end().rsplit("\n\n").next();
        assert!(
            last.is_some_and(|last| last.starts_with("Exit codes: 0 ")),
            "{path:?}"
        );
        helps.push_str(&format!("$ rollcall {}\n{help}\n", arguments.join(" ")));
    }
    insta::assert_snapshot!(helps);
}

#[test]
fn every_command_and_option_says_what_it_is_and_is_named_once() {
    fn check(command: &clap::Command) {
        let name = command.get_name();
        assert!(command.get_about().is_some(), "{name}");
        for argument in command.get_arguments() {
            let id = argument.get_id();
            assert!(
                argument.is_hide_set() || argument.get_help().is_some(),
                "{name} {id}"
            );
        }
        command.get_subcommands().for_each(check);
    }
    let command = Cli::command();
    check(&command);
    command.debug_assert();
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_and_manual_pages_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = say(&["completions", shell], "", "").await.done();
        for path in commands() {
            for name in path {
                assert!(script.contains(&name), "{shell}: {name}");
            }
        }
        assert!(script.contains("user-agent-contains"), "{shell}");
    }
    let person = Person::at("");
    let folder = person.folder().join("man");
    let man = ["man", folder.to_str().expect("UTF-8")];
    assert_eq!(person.say(&man).await.done(), "");
    for path in commands() {
        let name = [&["rollcall".to_owned()], &path[..]].concat().join("-");
        let page = fs::read_to_string(folder.join(format!("{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
}
