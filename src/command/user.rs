//! `rollcall user create`: the first operator, before there is one to ask.

use std::{error::Error, io};

use zeroize::Zeroizing;

use super::{pool, print_line};
use crate::{
    config::CreateUser,
    dev::random_text,
    identity::{NewUser, create_user, password::PasswordHasher},
    model::{
        audit::Act,
        login::Login,
        password::Password,
        role::{ADMIN, Roles},
    },
};

pub(super) async fn create(options: CreateUser) -> Result<(), Box<dyn Error>> {
    let login = Login::parse(&options.login)?;
    let password = if options.password_stdin {
        read_password()?
    } else {
        random_text()?
    };
    let typed = Password::new(&password)?;
    let policy = options.password.password_min_characters;
    policy.check(&typed, &[&options.login])?;
    let hashing = options.password.hashing();
    hashing.validate()?;
    let hasher = PasswordHasher::new(hashing)?;
    let pool = pool(&options.database)?;
    let mut roles = options.roles;
    if options.admin {
        roles.push(ADMIN.to_owned());
    }
    let roles = Roles::parse(roles).map_err(|error| format!("--role {error}"))?;
    let new = NewUser {
        login,
        password: typed,
        display_name: String::new(),
        roles,
    };
    let user = create_user(&pool, &hasher, &Act::of_command_line(), new).await?;
    eprintln!("created user {} ({})", user.login, user.id);
    if !options.password_stdin {
        eprintln!("the password, shown this once:");
        print_line(&password);
    }
    Ok(())
}

fn read_password() -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    io::stdin().read_line(&mut line)?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}
