//! `rollcall login` and `rollcall logout`.

use std::io::{self, IsTerminal};

use super::{Failure, credentials, remote::Remote, terminal, text::plain};
use crate::config::{Login, SessionOptions};

pub(super) async fn login(options: Login) -> Result<(), Failure> {
    let remote = Remote::open(&options.session)?;
    let login = match options.login {
        Some(login) => login,
        None if io::stdin().is_terminal() && !options.password.password_stdin => {
            terminal::line("Login:")?
        }
        None => {
            return Err(Failure::Usage(
                "who signs in? `rollcall login LOGIN`, or ROLLCALL_LOGIN".to_owned(),
            ));
        }
    };
    let password = match terminal::given_password(&options.password)? {
        Some(password) => password,
        None => terminal::ask_password(&format!("Password of {}: ", plain(&login)))?,
    };
    let device = credentials::device(&credentials::file(&options.session)?)?;
    remote.source.sign_in(&login, &password, device).await?;
    let server = plain(&options.session.server.server);
    eprintln!("signed in to {server} as {}", plain(&login));
    Ok(())
}

pub(super) async fn logout(options: SessionOptions) -> Result<(), Failure> {
    let remote = Remote::open(&options)?;
    remote.source.log_out().await?;
    eprintln!("signed out of {}", plain(&options.server.server));
    Ok(())
}
