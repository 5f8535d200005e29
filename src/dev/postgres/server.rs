use std::ffi::OsString;
use std::fmt::Write;
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Settings;
use super::account::Account;
use super::error::Error;
use super::folder::Folder;
use super::programs::{self, Programs};

/// Between two looks at something that takes tens of milliseconds.
pub(super) const POLL: Duration = Duration::from_millis(5);

pub(super) const SOCKET_FILE: &str = ".s.PGSQL.5432";

/// Starting takes this long only after a crash with much to recover.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// Runs its arguments as a command until that ends, or until the standard input does:
/// then it interrupts it, which is Postgres's fast shutdown, and waits.
///
/// The other end of the standard input is ours alone, so it closes however we end. The
/// reader is a process of its own and does its work even if the shell is killed too.
const SUPERVISOR: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
(read -r line <&3; kill -INT "$server") &
reader=$!
wait "$server"
status=$?
kill "$reader" 2>/dev/null
exit "$status"
"#;

const OPTIONS: [&str; 9] = [
    "listen_addresses=",
    "port=5432",
    "unix_socket_permissions=0700",
    "max_connections=200",
    "shared_buffers=128MB",
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_checkpoints=off",
];

const NOT_DURABLE: [&str; 3] = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
];

/// Makes the data folder. It comes into being whole.
pub(super) fn initialize(
    folder: &Folder,
    programs: &Programs,
    account: &Account,
    log: &File,
) -> Result<(), Error> {
    let new = folder.new_data();
    // Left by an attempt that was cut short.
    _ = fs::remove_dir_all(&new);
    account.private_folder(&new)?;

    let initdb = programs
        .initdb(account)
        .args([
            "--username=rollcall",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ])
        // Who gets to the socket, in its private folder, is who may connect.
        .args(["--auth-local=trust", "--auth-host=reject", "--pgdata"])
        .arg(&new)
        .stdout(copy_of(log, folder)?)
        .stderr(copy_of(log, folder)?)
        .status()
        .map_err(Error::io("run initdb for", &new))?;
    if !initdb.success() {
        return Err(Error::server("initdb", "failed", &folder.log()));
    }
    fs::rename(&new, folder.data()).map_err(Error::io("rename", &new))
}

/// The arguments of `postgres`.
pub(super) fn arguments(data: &Path, socket: &Path, settings: &Settings) -> Vec<OsString> {
    // It is a list, so a folder with a comma in its name needs the quotes.
    let mut sockets = b"unix_socket_directories=\"".to_vec();
    for &byte in socket.as_os_str().as_bytes() {
        if byte == b'"' {
            sockets.push(byte);
        }
        sockets.push(byte);
    }
    sockets.push(b'"');

    let mut options = vec![OsString::from_vec(sockets)];
    options.extend(OPTIONS.map(OsString::from));
    if !settings.durable {
        options.extend(NOT_DURABLE.map(OsString::from));
    }
    options.extend(
        settings
            .options
            .iter()
            .map(|(name, value)| format!("{name}={value}").into()),
    );

    let mut arguments = vec!["-D".into(), data.into()];
    arguments.extend(options.into_iter().flat_map(|option| ["-c".into(), option]));
    arguments
}

/// Starts Postgres under a shell that stops it when our end of the shell's standard
/// input closes.
pub(super) fn supervise(
    programs: &Programs,
    account: &Account,
    arguments: &[OsString],
    log: File,
) -> Result<Child, Error> {
    let shell = Path::new("/bin/sh");
    let errors = log
        .try_clone()
        .map_err(Error::io("copy the log of", shell))?;
    programs::command(shell, account)
        .args(["-c", SUPERVISOR, "sh"])
        .arg(programs.postgres())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(errors)
        // Ctrl-C in a terminal is for us; we stop Postgres when we are done with it.
        .process_group(0)
        .spawn()
        .map_err(Error::io("run", shell))
}

/// Waits until the server accepts connections.
pub(super) fn wait_until_ready(
    supervisor: &mut Child,
    folder: &Folder,
    socket: &Path,
) -> Result<(), Error> {
    let started = Instant::now();
    let status_file = folder.data().join("postmaster.pid");
    let socket = socket.join(SOCKET_FILE);
    loop {
        // The socket is there before recovery, in which connections are turned away.
        let status = fs::read(&status_file).unwrap_or_default();
        let ready = status
            .split(|&byte| byte == b'\n')
            .nth(7)
            .is_some_and(|line| line.trim_ascii() == b"ready");
        if ready && UnixStream::connect(&socket).is_ok() {
            return Ok(());
        }
        let ended = supervisor
            .try_wait()
            .map_err(Error::io("wait for", &socket))?;
        if ended.is_some() {
            return Err(Error::server("postgres", "ended at once", &folder.log()));
        }
        if started.elapsed() > START_PATIENCE {
            return Err(Error::server(
                "postgres",
                "takes too long to start",
                &folder.log(),
            ));
        }
        thread::sleep(POLL);
    }
}

/// The address of a database behind a socket.
pub(super) fn url(socket: &Path, database: &str) -> String {
    // The port is for psql, which would take another from the environment.
    format!(
        "postgresql:///{}?host={}&port=5432&user=rollcall",
        percent_encoded(database.as_bytes()),
        percent_encoded(socket.as_os_str().as_bytes()),
    )
}

fn percent_encoded(bytes: &[u8]) -> String {
    let mut encoded = String::new();
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn copy_of(log: &File, folder: &Folder) -> Result<File, Error> {
    log.try_clone()
        .map_err(Error::io("copy the log of", folder.path()))
}
