use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, thread};

use tokio_postgres::NoTls;

use super::account::Account;
use super::folder::Folder;
use super::programs::{self, Programs};
use super::{Cluster, Error, Settings, remove, server};

/// Tells the process that `helper` runs in where to start a cluster.
const HELPER_FOLDER: &str = "ROLLCALL_TEST_CLUSTER";

/// A folder of a test's own, removed with all that is in it.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("rollcall-cluster-{}-{count}", process::id()));
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn settings() -> Settings {
    Settings {
        durable: false,
        options: vec![("work_mem".into(), "5MB".into())],
    }
}

/// The first column of the first row.
fn query(cluster: &Cluster, database: &str, sql: &str) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(&cluster.url(database), NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        let rows = client.simple_query(sql).await.unwrap();
        rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    })
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn kill_9(processes: &[u32]) {
    let ids = processes.iter().map(u32::to_string);
    assert!(
        Command::new("kill")
            .arg("-9")
            .args(ids)
            .status()
            .unwrap()
            .success()
    );
}

#[test]
fn a_second_start_finds_the_data_of_the_first() {
    let dir = Temporary::new();
    let cluster = Cluster::start(&dir.0, &settings()).unwrap();
    query(&cluster, "postgres", "CREATE DATABASE \"a b/ü\"");
    cluster.stop();

    let cluster = Cluster::start(&dir.0, &settings()).unwrap();
    assert_eq!(
        query(&cluster, "a b/ü", "SELECT current_database()").unwrap(),
        "a b/ü"
    );
}

#[test]
fn a_cluster_is_private_and_set_up_as_asked() {
    let dir = Temporary::new();
    let cluster = Cluster::start(&dir.0, &settings()).unwrap();

    for (name, expected) in [
        ("listen_addresses", ""),
        ("fsync", "off"),
        ("work_mem", "5MB"),
        ("server_encoding", "UTF8"),
        ("is_superuser", "on"),
    ] {
        let value = query(&cluster, "postgres", &format!("SHOW {name}")).unwrap();
        assert_eq!(value, expected, "{name}");
    }
    assert_eq!(mode(&dir.0) & 0o707, 0o700);
    assert_eq!(mode(&dir.0.join("data")), 0o700);
    assert_eq!(mode(cluster.socket_dir()), 0o700);
    assert_eq!(mode(&dir.0.join("postgres.log")), 0o600);
    assert_eq!(mode(&dir.0.join("lock")), 0o600);
}

#[test]
fn a_cluster_in_use_is_neither_started_nor_removed() {
    let dir = Temporary::new();
    let in_use = Folder::claim(&dir.0).unwrap();
    fs::create_dir(in_use.data()).unwrap();

    let message = format!("is already running (process {})", process::id());
    let started = Cluster::start(&dir.0, &settings()).unwrap_err();
    assert!(started.to_string().ends_with(&message), "{started}");
    let removed = remove(&dir.0).unwrap_err();
    assert!(removed.to_string().ends_with(&message), "{removed}");
    assert!(in_use.data().exists());

    let data = in_use.data();
    drop(in_use);
    remove(&dir.0).unwrap();
    assert!(!data.exists());
}

#[test]
fn a_path_too_long_for_a_socket_gets_its_socket_elsewhere() {
    let parent = Temporary::new();
    let folder = Folder::claim(&parent.0.join("x".repeat(100))).unwrap();
    let socket = folder.socket().unwrap();
    Account::current().unwrap().private_folder(&socket).unwrap();

    let listening = UnixListener::bind(socket.join(server::SOCKET_FILE));
    fs::remove_dir_all(&socket).unwrap();
    listening.unwrap();
    assert!(!socket.starts_with(&parent.0));
}

#[test]
fn a_socket_folder_that_others_may_enter_is_refused() {
    let dir = Temporary::new();
    fs::create_dir(&dir.0).unwrap();
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o755)).unwrap();

    let account = Account::current().unwrap();
    assert!(matches!(
        account.private_folder(&dir.0),
        Err(Error::NotPrivate(_))
    ));
}

/// Not a test of its own: the process that the next one kills.
#[test]
#[ignore = "runs until it is killed"]
fn helper() {
    let Some(dir) = env::var_os(HELPER_FOLDER) else {
        return;
    };
    let cluster = Cluster::start(Path::new(&dir), &settings()).unwrap();
    println!("\nsupervisor {}", cluster.supervisor.id());
    loop {
        thread::park();
    }
}

#[test]
fn a_cluster_stops_when_its_process_is_killed_with_the_supervisor() {
    let dir = Temporary::new();
    let mut helper = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "dev::postgres::tests::helper",
            "--ignored",
            "--nocapture",
        ])
        .env(HELPER_FOLDER, &dir.0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let supervisor = BufReader::new(helper.stdout.take().unwrap())
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("supervisor ")?.parse().ok())
        .unwrap();

    kill_9(&[helper.id(), supervisor]);
    helper.wait().unwrap();
    // The lock is to be had once no process has the log open any more.
    let log = fs::File::open(dir.0.join("postgres.log")).unwrap();
    let (done, all_gone) = mpsc::channel();
    thread::spawn(move || done.send(log.lock()));
    all_gone
        .recv_timeout(Duration::from_secs(30))
        .expect("Postgres lives on")
        .unwrap();
    assert!(!dir.0.join("data/postmaster.pid").exists());

    Cluster::start(&dir.0, &settings()).unwrap();
}

#[test]
fn a_postgres_that_nobody_supervises_any_more_is_replaced() {
    let dir = Temporary::new();
    let cluster = Cluster::start(&dir.0, &settings()).unwrap();
    let socket = cluster.socket_dir().to_owned();
    cluster.stop();
    let folder = Folder::claim(&dir.0).unwrap();
    let account = Account::current().unwrap();
    let programs = Programs::find(&account).unwrap();
    let account = account.for_cluster(&folder).unwrap();
    account.private_folder(&socket).unwrap();
    let log = folder.lock_log(&programs, &account).unwrap();
    let mut orphan = programs::command(&programs.postgres(), &account)
        .args(server::arguments(&folder.data(), &socket, &settings()))
        .process_group(0)
        .stderr(log)
        .spawn()
        .unwrap();
    server::wait_until_ready(&mut orphan, &folder, &socket).unwrap();
    drop(folder);

    let cluster = Cluster::start(&dir.0, &settings()).unwrap();
    assert!(orphan.wait().unwrap().success());
    assert_eq!(query(&cluster, "postgres", "SELECT 1").unwrap(), "1");
}

#[test]
fn files_of_a_killed_postgres_whose_id_is_taken_again_do_not_matter() {
    let dir = Temporary::new();
    Cluster::start(&dir.0, &settings()).unwrap().stop();
    let socket = dir.0.canonicalize().unwrap().join("socket");
    let data = dir.0.join("data");
    // A process of the same user, so that Postgres takes it for a living server.
    let account = Account::current().unwrap();
    let folder = Folder::claim(&dir.0).unwrap();
    let account = account.for_cluster(&folder).unwrap();
    drop(folder);
    let mut other = programs::command(Path::new("/bin/sh"), &account)
        .args(["-c", "read -r line"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let guard = format!(
        "{}\n{}\n0\n5432\n{}\n\n0 0\nready\n",
        other.id(),
        data.display(),
        socket.display()
    );
    fs::write(data.join("postmaster.pid"), guard).unwrap();

    let started = Cluster::start(&dir.0, &settings());
    drop(other.stdin.take());
    other.wait().unwrap();
    started.unwrap();
}

#[test]
fn a_server_that_does_not_start_shows_its_log() {
    let dir = Temporary::new();
    let folder = Folder::claim(&dir.0).unwrap();
    let account = Account::current().unwrap().for_cluster(&folder).unwrap();
    account.private_folder(&folder.data()).unwrap();
    drop(folder);

    let error = Cluster::start(&dir.0, &settings()).unwrap_err().to_string();
    assert!(
        error.contains("could not access the server configuration file"),
        "{error}"
    );
}
