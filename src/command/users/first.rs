//! `rollcall users create-first`: the first operator, before there is one to ask as.

use std::{error::Error, num::NonZeroUsize, time::Duration};

use super::{generate_password, say_created};
use crate::{
    command::{Failure, print_line, terminal},
    config::{CreateFirstUser, DatabaseOptions},
    identity::{NewUser, create_first_operator, password::PasswordHasher},
    model::{login::Login, password::Password},
    store::{self, Pool, PoolOptions},
};

pub(super) async fn create(options: CreateFirstUser) -> Result<(), Failure> {
    let given = terminal::given_password(&options.source)?;
    let password = match &given {
        Some(password) => password.clone(),
        None => generate_password()?,
    };
    let (login, id) = create_with(&options, &password).await?;
    if given.is_some() {
        eprintln!("created user {login} ({id})");
        return Ok(());
    }
    say_created(&login, &id);
    print_line(&password)
}

async fn create_with(
    options: &CreateFirstUser,
    password: &str,
) -> Result<(String, String), Box<dyn Error>> {
    let login = Login::parse(&options.login)?;
    let typed = Password::new(password)?;
    let policy = options.password.password_min_characters;
    policy.check(&typed, &[&options.login])?;
    let hashing = options.password.hashing();
    hashing.validate()?;
    let hasher = PasswordHasher::new(hashing)?;
    let new = NewUser {
        login,
        password: typed,
        display_name: String::new(),
        roles: crate::model::role::Roles::operator(),
    };
    let created = create_first_operator(&pool(&options.database)?, &hasher, new).await?;
    let user = created.ok_or(
        "there is an operator: sign in as one with `rollcall login`, and use \
         `rollcall users create`",
    )?;
    Ok((user.login, user.id.to_string()))
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
