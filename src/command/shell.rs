//! `rollcall completions` and `rollcall man`.

use std::{fs, io::Write, path::Path};

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Failure, credentials::of_file};
use crate::config::Cli;

pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rollcall", &mut script);
    let mut stdout = std::io::stdout();
    stdout.write_all(&script)?;
    Ok(stdout.flush()?)
}

pub(super) fn man(dir: &Path) -> Result<(), Failure> {
    let write = || {
        fs::create_dir_all(dir)?;
        clap_mangen::generate_to(Cli::command(), dir)
    };
    write().map_err(|error| of_file(dir, &error))
}
