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
        Err(error) => fail(&error_chain(error.as_ref())),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("rollcall: {why}");
    ExitCode::FAILURE
}
