//! What is asked of whoever sits at the terminal, and what they are told meanwhile.

use std::{
    fs,
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use super::Failure;
use crate::config::{ConfirmOptions, PasswordSource};

/// How often progress is told where it is a line each time.
const EVERY: Duration = Duration::from_secs(10);
/// How often it is told where one line is rewritten.
const EVERY_ON_TERMINAL: Duration = Duration::from_millis(100);

/// Asks before something is done, unless that was confirmed: `y` does it.
pub(super) fn confirm(options: ConfirmOptions, question: &str) -> Result<(), Failure> {
    if options.yes {
        return Ok(());
    }
    require(options)?;
    confirm_one_of(
        &format!("{question} [y/N]"),
        &["y".to_owned(), "yes".to_owned()],
    )
}

/// Sees to it that there is somebody to ask, where that is needed.
pub(super) fn require(options: ConfirmOptions) -> Result<(), Failure> {
    if options.yes || io::stdin().is_terminal() {
        return Ok(());
    }
    Err(Failure::Usage(
        "this asks first, and there is no terminal to ask on: --yes does it without asking"
            .to_owned(),
    ))
}

/// Asks, and fails unless the answer is one of those.
pub(super) fn confirm_one_of(question: &str, answers: &[String]) -> Result<(), Failure> {
    let answer = line(question)?.to_lowercase();
    if answers.contains(&answer) {
        return Ok(());
    }
    Err(Failure::Refused("nothing was done".to_owned()))
}

/// Asks for a line.
pub(super) fn line(question: &str) -> Result<String, Failure> {
    eprint!("{question} ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// The password that was given on standard input or in a file, if any.
pub(super) fn given_password(
    source: &PasswordSource,
) -> Result<Option<Zeroizing<String>>, Failure> {
    let mut text = Zeroizing::new(String::new());
    if source.password_stdin {
        io::stdin().read_line(&mut text)?;
    } else if let Some(path) = &source.password_file {
        let read = fs::read_to_string(path);
        let read = read.map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        text = Zeroizing::new(read);
    } else {
        return Ok(None);
    }
    let end = text.find(['\r', '\n']).unwrap_or(text.len());
    text.truncate(end);
    Ok(Some(text))
}

/// Asks for a password, which is not shown.
pub(super) fn ask_password(question: &str) -> Result<Zeroizing<String>, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "there is no terminal to ask for the password on: --password-stdin or --password-file"
                .to_owned(),
        ));
    }
    Ok(Zeroizing::new(rpassword::prompt_password(question)?))
}

/// Asks for a new password, twice.
pub(super) fn ask_new_password() -> Result<Zeroizing<String>, Failure> {
    let password = ask_password("New password: ")?;
    if ask_password("The same again: ")? == password {
        return Ok(password);
    }
    Err(Failure::Refused("the passwords differ".to_owned()))
}

/// Tells on standard error how far something is: on a terminal in one line that is
/// rewritten, elsewhere in a line now and then.
pub(super) struct Progress {
    is_terminal: bool,
    told: Instant,
    is_shown: bool,
}

impl Progress {
    pub(super) fn begin() -> Self {
        Self {
            is_terminal: io::stderr().is_terminal(),
            told: Instant::now(),
            is_shown: false,
        }
    }

    /// Tells it, where it is time to.
    pub(super) fn tell(&mut self, text: impl FnOnce() -> String) {
        let every = if self.is_terminal {
            EVERY_ON_TERMINAL
        } else {
            EVERY
        };
        if self.told.elapsed() < every {
            return;
        }
        self.told = Instant::now();
        if self.is_terminal {
            eprint!("\r\x1b[K{}", text());
            self.is_shown = true;
        } else {
            eprintln!("{}", text());
        }
    }

    /// Tells something that stays.
    pub(super) fn note(&mut self, text: &str) {
        self.clear();
        eprintln!("{text}");
    }

    /// Takes the line away, before anything else is said.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            eprint!("\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
