//! A Postgres of a test's own, to be stopped and started.

use std::{
    env, fs,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use rollcall::dev::postgres::{Cluster, Settings};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A cluster whose database is `postgres`. It goes with all its data when this is
/// dropped.
pub struct OwnCluster {
    dir: PathBuf,
    settings: Settings,
    running: Option<Cluster>,
    url: String,
}

impl OwnCluster {
    /// Makes and starts a cluster, with further server settings.
    pub async fn start(options: &[(&str, &str)]) -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("rollcall-own-{}-{count}", process::id()));
        let options = options
            .iter()
            .map(|&(name, value)| (name.into(), value.into()));
        let mut own = Self {
            dir,
            settings: Settings {
                durable: false,
                options: options.collect(),
            },
            running: None,
            url: String::new(),
        };
        own.start_again().await;
        own
    }

    pub async fn start_again(&mut self) {
        let (dir, settings) = (self.dir.clone(), self.settings.clone());
        let started = tokio::task::spawn_blocking(move || Cluster::start(&dir, &settings));
        let cluster = started.await.expect("no panic").expect("starts");
        self.url = cluster.url("postgres");
        self.running = Some(cluster);
    }

    pub async fn stop(&mut self) {
        let cluster = self.running.take();
        let stopped = tokio::task::spawn_blocking(move || drop(cluster));
        stopped.await.expect("stops");
    }

    /// The address of its database, whether it runs or not.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What its server logged since it was started last.
    pub fn log(&self) -> String {
        let log = fs::read(self.dir.join("postgres.log")).expect("the server has a log");
        String::from_utf8_lossy(&log).into_owned()
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        drop(self.running.take());
        let _ = fs::remove_dir_all(&self.dir);
    }
}
