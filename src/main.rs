//! Parses the command line, starts the runtime, hands over.

use std::process::ExitCode;

use clap::Parser;
use rollcall::{command, config::Cli, error_chain, telemetry};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(error) = telemetry::start(cli.log_filter()) {
        eprintln!("rollcall: --log: {error}");
        return ExitCode::FAILURE;
    }
    match command::run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if error.is_worth_a_word() {
                eprintln!("rollcall: {}", error_chain(&error));
            }
            ExitCode::from(error.exit_code())
        }
    }
}
