//! What the exit codes mean: the end of each command's help.

use clap::Command;

/// Of a command that asks a server, and of several together.
pub(super) const OF_REMOTE: &str = "Exit codes: 0 done; 1 the server refused, or an item failed; \
     2 the command line is wrong; 3 nobody is signed in; 4 the server cannot be reached.";
/// Of a command that asks none.
const OF_LOCAL: &str = "Exit codes: 0 done; 1 it failed; 2 the command line is wrong.";
/// Of the one that asks without being signed in.
const OF_HEALTH: &str = "Exit codes: 0 serving; 1 not serving, or no such service; \
     2 the command line is wrong; 4 the server cannot be reached in time.";

/// The same command, it and all below it with their exit codes at the end of the help.
pub(super) fn with_exit_codes(command: Command) -> Command {
    let is_remote = command.has_subcommands()
        || command
            .get_arguments()
            .any(|argument| argument.get_id() == "server");
    let codes = match command.get_name() {
        "health" => OF_HEALTH,
        _ if is_remote => OF_REMOTE,
        _ => OF_LOCAL,
    };
    let help = match command.get_after_help() {
        Some(help) => format!("{help}\n\n{codes}"),
        None => codes.to_owned(),
    };
    command.after_help(help).mut_subcommands(with_exit_codes)
}
