use std::io;
use std::path::{Path, PathBuf};

/// Why the folder or the users of `rollcall dev` could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no home folder, so there is no default for the folder.
    #[error("there is no home folder to keep the data in: choose a folder with --dir")]
    NoHome,

    /// The folder is not this user's alone.
    #[error(
        "{} belongs to somebody else, or others may write to it: choose another with --dir",
        .0.display()
    )]
    NotOurs(PathBuf),

    /// The operating system refused something.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// A verb.
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },

    /// The operating system gave no random bytes.
    #[error("there are no random bytes")]
    Random,

    /// A user could not be created or signed in.
    #[error("cannot prepare the user {login}")]
    User {
        /// Who.
        login: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// For `map_err`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
