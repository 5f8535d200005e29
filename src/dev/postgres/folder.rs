use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{env, process, thread};

use super::account::Account;
use super::error::Error;
use super::programs::Programs;
use super::server::{POLL, SOCKET_FILE};

/// What fits into the address of a unix socket on the tightest system, macOS, with
/// its closing zero.
const SOCKET_PATH_LIMIT: usize = 104;

/// How long a process that was killed a moment ago may take to be gone.
const DEATH: Duration = Duration::from_secs(1);

/// How long an earlier Postgres may take over each way of stopping.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(10);

/// The folder of a cluster that this process, and no other, may use.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    lock: File,
}

impl Folder {
    /// Makes the folder where it does not exist, and takes it.
    pub(super) fn claim(dir: &Path) -> Result<Self, Error> {
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent).map_err(Error::io("make", parent))?;
        }
        if !dir.exists() {
            DirBuilder::new()
                .mode(0o700)
                .create(dir)
                .map_err(Error::io("make", dir))?;
        }
        let path = dir.canonicalize().map_err(Error::io("look at", dir))?;

        let file = path.join("lock");
        let mut lock = private_file()
            .truncate(false)
            .open(&file)
            .map_err(Error::io("open", &file))?;
        let started = Instant::now();
        while !try_lock(&lock, &file)? {
            if started.elapsed() < DEATH {
                thread::sleep(POLL);
                continue;
            }
            let mut process = String::new();
            lock.read_to_string(&mut process)
                .map_err(Error::io("read", &file))?;
            return Err(Error::AlreadyRunning { dir: path, process });
        }
        lock.set_len(0)
            .and_then(|()| write!(lock, "{}", process::id()))
            .map_err(Error::io("write to", &file))?;
        Ok(Self { path, lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Where a cluster is made, so that `data` is never half of one.
    pub(super) fn new_data(&self) -> PathBuf {
        self.path.join("data.new")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("postgres.log")
    }

    /// Where the socket goes: here, or where the path would be too long, in a folder
    /// of the temporary one that belongs to this folder.
    pub(super) fn socket(&self) -> Result<PathBuf, Error> {
        let mut hasher = DefaultHasher::new();
        self.path.hash(&mut hasher);
        let name = format!("rollcall-{:016x}", hasher.finish());
        let last_resort = Path::new("/tmp").join(&name);

        [
            self.path.join("socket"),
            env::temp_dir().join(&name),
            last_resort.clone(),
        ]
        .into_iter()
        .find(|socket| socket.join(SOCKET_FILE).as_os_str().len() < SOCKET_PATH_LIMIT)
        .ok_or(Error::SocketPathTooLong(last_resort))
    }

    /// Opens the log and locks it, after stopping what is left of an earlier run.
    ///
    /// A process that was killed leaves its Postgres behind, shutting down or, where
    /// the supervisor was killed too, not knowing that it should.
    pub(super) fn lock_log(&self, programs: &Programs, account: &Account) -> Result<File, Error> {
        let path = self.log();
        let log = private_file()
            .append(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        if try_lock(&log, &path)? {
            return Ok(log);
        }
        for mode in ["fast", "immediate"] {
            // Fails where the server is on its way up or down; the lock tells in any case.
            _ = programs
                .pg_ctl(account)
                .args(["stop", "--no-wait", "--mode", mode, "--pgdata"])
                .arg(self.data())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            let told = Instant::now();
            while told.elapsed() < LEFTOVER_PATIENCE {
                if try_lock(&log, &path)? {
                    return Ok(log);
                }
                thread::sleep(POLL);
            }
        }
        Err(Error::Leftover(self.path.clone()))
    }

    /// Waits for the last process that holds the log.
    pub(super) fn wait_until_unused(&self) {
        if let Ok(log) = File::open(self.log()) {
            _ = log.lock();
        }
    }

    /// Removes what a killed Postgres left to guard its data and its socket. It would
    /// keep a new one from starting if another process now has the old one's id.
    ///
    /// The log being locked by us, a server on our socket is not alive. One that
    /// somebody started by hand has another socket, and its file stays.
    pub(super) fn remove_stale_files(&self, socket: &Path) {
        let guard = self.data().join("postmaster.pid");
        let contents = fs::read(&guard).unwrap_or_default();
        let its_socket = contents.split(|&byte| byte == b'\n').nth(4);
        if its_socket == Some(socket.as_os_str().as_bytes()) {
            _ = fs::remove_file(guard);
        }
        _ = fs::remove_file(socket.join(SOCKET_FILE));
        _ = fs::remove_file(socket.join(format!("{SOCKET_FILE}.lock")));
    }

    /// Removes everything but the lock.
    pub(super) fn remove_contents(&self) -> Result<(), Error> {
        for folder in [self.data(), self.new_data(), self.socket()?] {
            unless_missing(fs::remove_dir_all(&folder)).map_err(Error::io("remove", &folder))?;
        }
        let log = self.log();
        unless_missing(fs::remove_file(&log)).map_err(Error::io("remove", &log))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closing alone would not do at once: a child that another thread is about to
        // start may have a copy of the file for a moment.
        _ = self.lock.unlock();
    }
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options
}

fn try_lock(file: &File, path: &Path) -> Result<bool, Error> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", path)(error)),
    }
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
