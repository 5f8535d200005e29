//! What the commands do.

mod audit;
mod credentials;
mod cursor_file;
mod dev;
mod failure;
mod filter;
mod health;
mod keys;
mod login;
mod output;
mod pages;
mod reflect;
mod remote;
mod resume;
mod rows;
mod serve;
mod sessions;
mod shell;
mod terminal;
mod text;
mod users;

use std::io::{self, Write};

use tokio::runtime::Runtime;

use crate::{
    config::{Command, DatabaseOptions},
    store,
};

pub use failure::Failure;
use output::Output;
use resume::Resume;

/// Runs a command to its end.
///
/// # Errors
///
/// Whatever keeps it from succeeding, to be shown with its causes.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(config) => Ok(runtime()?.block_on(serve::serve(*config))?),
        Command::Dev(options) => Ok(dev::dev(&options)?),
        Command::Migrate(database) => runtime()?.block_on(migrate(&database)),
        Command::Login(options) => runtime()?.block_on(login::login(options)),
        Command::Logout(options) => runtime()?.block_on(login::logout(options)),
        Command::Users(command) => runtime()?.block_on(users::users(command)),
        Command::Sessions(command) => runtime()?.block_on(sessions::sessions(command)),
        Command::Keys(command) => runtime()?.block_on(keys::keys(command)),
        Command::Audit(command) => runtime()?.block_on(audit::audit(command)),
        Command::Health(options) => runtime()?.block_on(health::health(options)),
        Command::Completions { shell } => shell::completions(shell),
        Command::Man { dir } => shell::man(&dir),
    }
}

async fn migrate(database: &DatabaseOptions) -> Result<(), Failure> {
    let migrated = store::migrate(&database.database_url).await;
    let migrated = migrated.map_err(|error| Failure::Other(error.into()))?;
    for name in &migrated {
        eprintln!("migrated {name}");
    }
    if migrated.is_empty() {
        eprintln!("the schema is up to date");
    }
    Ok(())
}

fn runtime() -> Result<Runtime, io::Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

fn print_line(text: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stdout(), "{text}")?)
}
