//! What the commands do.

mod dev;
mod keys;
mod serve;
mod user;

use std::{error::Error, num::NonZeroUsize, time::Duration};

use tokio::runtime::Runtime;

use crate::{
    config::{Command, DatabaseOptions, Keys, User},
    identity::MasterKey,
    store::{self, Pool, PoolOptions},
};

/// Runs a command to its end.
///
/// # Errors
///
/// Whatever keeps it from succeeding, to be shown with its causes.
pub fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Serve(config) => runtime()?.block_on(serve::serve(*config)),
        Command::Dev(options) => dev::dev(&options),
        Command::Migrate(database) => runtime()?.block_on(async {
            let migrated = store::migrate(&database.database_url).await?;
            for name in &migrated {
                eprintln!("migrated {name}");
            }
            if migrated.is_empty() {
                eprintln!("the schema is up to date");
            }
            Ok(())
        }),
        Command::Keys(Keys::Generate) => {
            let key = MasterKey::generate().map_err(|_| "there are no random bytes")?;
            print_line(&key.expose());
            Ok(())
        }
        Command::Keys(Keys::List(database)) => runtime()?.block_on(keys::list(&database)),
        Command::Keys(Keys::Rotate(options)) => runtime()?.block_on(keys::rotate(&options)),
        Command::Keys(Keys::Reseal(options)) => runtime()?.block_on(keys::reseal(&options)),
        Command::User(User::Create(create)) => runtime()?.block_on(user::create(create)),
    }
}

/// A pool for the few statements of a command.
fn pool(database: &DatabaseOptions) -> Result<Pool, store::Error> {
    let options = PoolOptions {
        max_connections: NonZeroUsize::MIN,
        statement_timeout: Duration::from_secs(10),
        connection_timeout: Duration::from_secs(10),
    };
    Pool::new(&database.database_url, &options)
}

fn runtime() -> Result<Runtime, std::io::Error> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

#[expect(clippy::print_stdout, reason = "what the user asked for")]
fn print_line(text: &str) {
    println!("{text}");
}
