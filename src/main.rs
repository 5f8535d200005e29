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
            eprintln!("rollcall: {}", error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
