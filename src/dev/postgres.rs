//! A private Postgres: made on first use, run as a child, gone with its parent.
//!
//! What lies in the folder of a cluster:
//!
//! - `data/`: Postgres's own, kept between runs
//! - `socket/`: the only way in; a folder under the temporary one where the path
//!   would be too long for a socket
//! - `postgres.log`: of this run; locked by every process that may write to it, so
//!   that a lock on it proves that nothing of an earlier run is left
//! - `lock`: held by the one process that runs the cluster, and names it
//!
//! No lock is judged by a process id. The kernel releases both kinds however their
//! holders end.

mod account;
mod error;
mod folder;
mod programs;
mod server;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::process::Child;

use account::Account;
pub use error::Error;
use folder::Folder;
use programs::Programs;

/// How a cluster is run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether a commit survives a power cut. Tests do without and are faster.
    pub durable: bool,
    /// Further server settings, as `name` and `value`; they win over the built-in ones.
    pub options: Vec<(String, String)>,
}

/// A running Postgres, reachable on a unix socket only, by this user (and root) only.
///
/// It stops when this is dropped, and when the process ends in any way, even killed.
#[derive(Debug)]
pub struct Cluster {
    supervisor: Child,
    socket: PathBuf,
    folder: Folder,
}

impl Cluster {
    /// Runs the cluster in `dir`, which is made on first use, and returns when it
    /// accepts connections: after about a second the first time, then in a tenth.
    ///
    /// `dir` should hold nothing else. A root process runs Postgres as the user
    /// `postgres`, else `nobody`, and gives that user's group passage through `dir`.
    ///
    /// # Errors
    /// [`Error::ProgramsMissing`] says in one line what to install;
    /// [`Error::AlreadyRunning`] names the process that runs the cluster.
    pub fn start(dir: &Path, settings: &Settings) -> Result<Self, Error> {
        let account = Account::current()?;
        let programs = Programs::find(&account)?;
        let folder = Folder::claim(dir)?;
        let account = account.for_cluster(&folder)?;

        let log = folder.lock_log(&programs, &account)?;
        log.set_len(0).map_err(Error::io("empty", &folder.log()))?;
        if !folder.data().exists() {
            server::initialize(&folder, &programs, &account, &log)?;
        }
        let socket = folder.socket()?;
        account.private_folder(&socket)?;
        folder.remove_stale_files(&socket);

        let arguments = server::arguments(&folder.data(), &socket, settings);
        let supervisor = server::supervise(&programs, &account, &arguments, log)?;
        let mut cluster = Self {
            supervisor,
            socket,
            folder,
        };
        server::wait_until_ready(&mut cluster.supervisor, &cluster.folder, &cluster.socket)?;
        Ok(cluster)
    }

    /// The address of a database of the cluster, whether or not it exists yet.
    /// `postgres` always does. The user `rollcall` is a superuser, without a password.
    pub fn url(&self, database: &str) -> String {
        server::url(&self.socket, database)
    }

    /// The folder that the socket is in, for programs that want it apart from the rest.
    pub fn socket_dir(&self) -> &Path {
        &self.socket
    }

    /// Ends all connections, stops the server and waits until it is gone.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Closing its standard input is what tells the supervisor to stop. There is
        // nobody to report a failure to, and the next start copes with what is left.
        drop(self.supervisor.stdin.take());
        _ = self.supervisor.wait();
        self.folder.wait_until_unused();
        _ = std::fs::remove_dir(&self.socket);
    }
}

/// The user id of this process; 0 is root's, and then Postgres runs as another user.
///
/// # Errors
/// [`Error::Io`] where the system does not tell.
pub fn own_uid() -> Result<u32, Error> {
    Ok(Account::current()?.own_uid())
}

/// Throws away the cluster in `dir`, with all its data. The folder itself remains.
///
/// # Errors
/// [`Error::AlreadyRunning`] where a process is running it.
pub fn remove(dir: &Path) -> Result<(), Error> {
    if !dir.exists() {
        return Ok(());
    }
    let account = Account::current()?;
    let programs = Programs::find(&account)?;
    let folder = Folder::claim(dir)?;
    let account = account.for_cluster(&folder)?;
    // Held until all is gone.
    let _log = folder.lock_log(&programs, &account)?;
    folder.remove_contents()
}
