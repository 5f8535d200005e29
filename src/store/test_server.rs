//! A Postgres for the tests of this layer, thrown away at their end.

use std::{
    fs,
    net::TcpListener,
    num::NonZeroUsize,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use diesel::{dsl::sql, sql_types::Bool};
use diesel_async::RunQueryDsl;

use super::{DatabaseUrl, Pool, PoolOptions};

pub(super) struct TestServer {
    /// Holds `data` and the unix socket.
    pub(super) folder: PathBuf,
    pub(super) port: u16,
}

impl TestServer {
    pub(super) fn start() -> Self {
        Self::start_with(|_| String::new())
    }

    /// Starts with more lines in `postgresql.conf`; `prepare` gets the data folder and
    /// may add files to it.
    pub(super) fn start_with(prepare: impl FnOnce(&Path) -> String) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("rollcall-{}-{count}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        give_to_postgres(&folder);
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = Self { folder, port };

        let data = server.folder.join("data");
        let data = data.to_str().unwrap();
        run("cp", &["-R", template(), data], &server.folder);
        let settings = prepare(Path::new(data));
        let socket = server.folder.display();
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{socket}'\nfsync = off\n{settings}"
        );
        fs::write(Path::new(data).join("postgresql.auto.conf"), settings).unwrap();
        server.control(&["start"]);
        server
    }

    /// Runs `pg_ctl`, which waits until what it was told is done.
    pub(super) fn control(&self, arguments: &[&str]) {
        let data = self.folder.join("data");
        let log = self.folder.join("log");
        let common = [
            "-s",
            "-w",
            "-D",
            data.to_str().unwrap(),
            "-l",
            log.to_str().unwrap(),
        ];
        run(
            &postgres("pg_ctl"),
            &[&common, arguments].concat(),
            &self.folder,
        );
    }

    /// The address by unix socket.
    pub(super) fn url(&self) -> DatabaseUrl {
        let text = format!(
            "host={} port={} user=postgres dbname=postgres",
            self.folder.display(),
            self.port
        );
        text.parse().unwrap()
    }

    /// A pool of `size` connections to it, none of whose statements times out.
    pub(super) fn pool(&self, size: usize) -> Pool {
        self.pool_with(size, Duration::ZERO)
    }

    pub(super) fn pool_with(&self, size: usize, statement_timeout: Duration) -> Pool {
        let options = PoolOptions {
            max_connections: NonZeroUsize::new(size).unwrap(),
            statement_timeout,
            connection_timeout: Duration::from_secs(20),
        };
        Pool::new(&self.url(), &options).unwrap()
    }

    /// Returns when the SQL expression `condition` is true for another connection.
    pub(super) async fn wait_until(&self, condition: &str) {
        let pool = self.pool(1);
        let mut connection = pool.get().await.unwrap();
        let wait = async {
            let query = format!("SELECT {condition}");
            while !sql::<Bool>(&query)
                .get_result::<bool>(&mut connection)
                .await
                .unwrap()
            {}
        };
        let result = tokio::time::timeout(Duration::from_secs(60), wait).await;
        assert!(result.is_ok(), "it never came true that {condition}");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.control(&["-m", "immediate", "stop"]);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A data folder to copy, made once for all runs since initdb takes a second.
fn template() -> &'static str {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let uid = postgres_user().map_or(0, |(uid, _)| uid);
        let template = std::env::temp_dir().join(format!("rollcall-initdb-{uid}"));
        if !template.exists() {
            let folder = std::env::temp_dir().join(format!("rollcall-new-{}", std::process::id()));
            fs::create_dir(&folder).unwrap();
            give_to_postgres(&folder);
            let new = folder.join("data");
            let arguments = "-A trust -U postgres -E UTF8 --locale=C --no-sync -D";
            let mut arguments: Vec<_> = arguments.split(' ').collect();
            arguments.push(new.to_str().unwrap());
            run(&postgres("initdb"), &arguments, &folder);
            // Whole, or not at all; another process may have been first.
            let _ = fs::rename(new, &template);
            let _ = fs::remove_dir_all(folder);
        }
        template.to_str().unwrap().to_owned()
    })
}

/// Runs a program as the user that Postgres runs as, its output going to `folder`.
fn run(program: &str, arguments: &[&str], folder: &Path) {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    if let Some((uid, gid)) = postgres_user() {
        command.uid(uid).gid(gid);
    }
    let name = Path::new(program).file_name().unwrap();
    let log = fs::File::create(folder.join(name)).unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let succeeded = command.status().unwrap().success();
    assert!(succeeded, "{program} failed, see {folder:?}");
}

pub(super) fn give_to_postgres(path: &Path) {
    if let Some((uid, gid)) = postgres_user() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// Whom to run as: Postgres refuses root.
fn postgres_user() -> Option<(u32, u32)> {
    let own = std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").ok()?);
    if own != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let line = users
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .unwrap();
    let fields: Vec<_> = line.split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

/// One of Postgres's programs: Debian's newest, or what the PATH has.
fn postgres(program: &str) -> String {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let newest = installed.map(|version| version.unwrap().path()).max();
    let folder = newest
        .map(|version| version.join("bin"))
        .unwrap_or_default();
    folder.join(program).to_str().unwrap().to_owned()
}
