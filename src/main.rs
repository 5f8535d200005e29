//! Parses the command line, starts the runtime, hands over.

use std::process::ExitCode;

use clap::Parser;
use rollcall::{command, config::Cli, error_chain, telemetry};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let limit = cli.trace_limit();
    let traces = match cli.traces() {
        Ok(traces) => traces,
        Err(error) => return fail(&error),
    };
    let telemetry = match telemetry::start(cli.log_filter(), traces.as_ref()) {
        Ok(telemetry) => telemetry,
        Err(error) => return fail(&error_chain(&error)),
    };
    let result = command::run(cli.command);
    telemetry.finish(limit);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if error.is_worth_a_word() {
                eprintln!("rollcall: {}", error_chain(&error));
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("rollcall: {why}");
    ExitCode::FAILURE
}
