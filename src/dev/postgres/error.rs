use std::path::{Path, PathBuf};
use std::{fs, io};

/// Why a private Postgres could not be started or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres is not installed. One line, for a terminal.
    #[error("Postgres's server programs (initdb, postgres) are missing; {advice}")]
    ProgramsMissing {
        /// The command that installs them on this system.
        advice: String,
    },

    /// `PG_BIN` names a folder without Postgres's programs.
    #[error("PG_BIN is {}, which lacks initdb, postgres or pg_ctl", .0.display())]
    WrongPgBin(PathBuf),

    /// Another process, or another handle in this one, runs the cluster.
    #[error("the database in {} is already running (process {process})", dir.display())]
    AlreadyRunning {
        /// The cluster's folder.
        dir: PathBuf,
        /// The id of the process that runs it.
        process: String,
    },

    /// Processes of an earlier run did not stop, neither by themselves nor when told to.
    #[error("an earlier Postgres in {} does not stop", .0.display())]
    Leftover(PathBuf),

    /// Root runs Postgres as another user, who cannot get to the cluster.
    #[error(
        "Postgres does not run as root, and user {uid} may not pass through {}: \
         allow it (chmod o+x) or choose a folder elsewhere",
        directory.display()
    )]
    NotTraversable {
        /// The topmost folder that keeps the user out.
        directory: PathBuf,
        /// The user that Postgres would run as.
        uid: u32,
    },

    /// Root has no user to run Postgres as.
    #[error("Postgres does not run as root, and there is no user postgres or nobody")]
    NoUser,

    /// Something else is where a private folder should be.
    #[error("{} is not a folder of our own that others are kept out of", .0.display())]
    NotPrivate(PathBuf),

    /// A unix socket's path holds about a hundred bytes.
    #[error("no folder has a path short enough for a unix socket, not even {}", .0.display())]
    SocketPathTooLong(PathBuf),

    /// Postgres gave up or took too long.
    #[error("{program} {problem}; the end of {}:\n{tail}", log.display())]
    Server {
        /// `initdb` or `postgres`.
        program: &'static str,
        /// What it did.
        problem: &'static str,
        /// Where its messages are.
        log: PathBuf,
        /// The last of them.
        tail: String,
    },

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

    /// A failure of one of Postgres's programs, with what it said last.
    pub(super) fn server(program: &'static str, problem: &'static str, log: &Path) -> Self {
        const LINES: usize = 12;
        let text = fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(LINES)..].join("\n");
        Self::Server {
            program,
            problem,
            log: log.to_owned(),
            tail,
        }
    }
}
