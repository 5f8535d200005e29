//! The private Postgres of the tests, and a database for each.

mod recycled;

use std::{
    collections::hash_map::DefaultHasher,
    env,
    hash::{Hash, Hasher},
    mem,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use rollcall::{
    dev::postgres::{Cluster, Settings},
    store,
};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls, Row, types::FromSql};

use super::{patiently, pause};

const TEMPLATE: &str = "rollcall_template";

/// One cluster for the process. It ends with the process, and its folder is taken
/// again by the next run, so that nothing piles up.
static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A database of its own. At the end of its test it is emptied for another.
pub struct Database {
    name: String,
    url: String,
    /// A connection that nothing asks on at the moment: a new one costs more than most
    /// questions do.
    idle: Mutex<Option<Client>>,
}

impl Database {
    pub async fn create() -> Self {
        let cluster = CLUSTER.get_or_init(start_cluster).await;
        let name = match recycled::take() {
            Some(name) => name,
            None => {
                let name = fresh_name();
                let admin = connect(&cluster.url("postgres")).await;
                let create = format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}");
                admin
                    .batch_execute(&create)
                    .await
                    .expect("the template can be copied");
                name
            }
        };
        Self {
            url: cluster.url(&name),
            name,
            idle: Mutex::default(),
        }
    }

    /// A database without a schema.
    pub async fn create_empty() -> Self {
        let database = Self::create().await;
        database.sql("DROP SCHEMA public CASCADE").await;
        database.sql("CREATE SCHEMA public").await;
        database
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address for connections with a setting of their own.
    pub fn url_with(&self, setting: &str, value: &str) -> String {
        format!("{}&options=-c%20{setting}%3D{value}", self.url)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub async fn sql(&self, statement: &str) -> Vec<Row> {
        self.ask(async |client| query(client, statement).await)
            .await
    }

    /// Asks on the idle connection, or on another one while that is in use.
    pub async fn ask<T>(&self, questions: impl AsyncFnOnce(&Client) -> T) -> T {
        let idle = self.idle.lock().expect("no panic under the lock").take();
        let client = match idle {
            Some(client) if !client.is_closed() => client,
            _ => self.connect().await,
        };
        let answer = questions(&client).await;
        *self.idle.lock().expect("no panic under the lock") = Some(client);
        answer
    }

    pub async fn connect(&self) -> Client {
        connect(&self.url).await
    }

    /// Locks the rows of a query until the transaction of the client is ended.
    pub async fn lock(&self, query: &str) -> Client {
        let client = self.connect().await;
        client.batch_execute("BEGIN").await.expect("begins");
        let locked = client.query(&format!("{query} FOR UPDATE"), &[]).await;
        assert!(!locked.expect("locks").is_empty(), "{query}");
        client
    }

    /// Waits until `count` statements wait for locks.
    pub async fn wait_for_blocked(&self, count: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        self.wait_for(waiting, count).await;
    }

    /// Asks a query again and again, until its one value is `wanted`.
    pub async fn wait_for(&self, query: &str, wanted: i64) {
        let asking = self.ask(async |client| {
            while one::<i64>(client, query).await != wanted {
                pause().await;
            }
        });
        patiently(query, asking).await;
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(cluster) = CLUSTER.get() {
            recycled::give_back(cluster, mem::take(&mut self.name));
        }
    }
}

fn fresh_name() -> String {
    format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Runs SQL on the database of an address.
pub async fn sql(url: &str, statement: &str) -> Vec<Row> {
    query(&connect(url).await, statement).await
}

async fn query(client: &Client, statement: &str) -> Vec<Row> {
    let rows = client.query(statement, &[]).await;
    rows.unwrap_or_else(|error| panic!("{statement}: {error:?}"))
}

/// The one value of the one row of a query.
pub async fn one<T>(client: &Client, statement: &str) -> T
where
    T: for<'a> FromSql<'a>,
{
    let rows = query(client, statement).await;
    assert_eq!(rows.len(), 1, "{statement}");
    rows[0].get(0)
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .unwrap_or_else(|error| panic!("the tests' Postgres accepts connections: {error:?}"));
    tokio::spawn(connection);
    client
}

async fn start_cluster() -> Cluster {
    // One folder for each checkout, and short, since it holds a unix socket.
    let mut hasher = DefaultHasher::new();
    env!("CARGO_MANIFEST_DIR").hash(&mut hasher);
    let dir = env::temp_dir().join(format!("rollcall-it-{:016x}", hasher.finish()));
    let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let settings = Settings {
        durable: false,
        options: vec![
            option("max_connections", "500"),
            // When it comes, the planner's statistics change under a test of plans.
            option("autovacuum", "off"),
            option("shared_preload_libraries", "pg_stat_statements"),
            option("pg_stat_statements.max", "50000"),
        ],
    };
    let cluster = Cluster::start(&dir, &settings).expect("a private Postgres");
    let admin = connect(&cluster.url("postgres")).await;
    let leftovers = "SELECT datname FROM pg_database \
         WHERE datname LIKE 'test\\_%' OR datname LIKE 'rollcall\\_template'";
    for row in admin
        .query(leftovers, &[])
        .await
        .expect("a list of databases")
    {
        let drop = format!("DROP DATABASE {} WITH (FORCE)", row.get::<_, &str>(0));
        admin
            .batch_execute(&drop)
            .await
            .expect("a leftover can be dropped");
    }
    let create = format!("CREATE DATABASE {TEMPLATE}");
    admin
        .batch_execute(&create)
        .await
        .expect("a database can be created");
    let template = cluster.url(TEMPLATE);
    store::migrate(&template.parse().expect("a URL"))
        .await
        .expect("migrates");
    let client = connect(&template).await;
    let extension = "CREATE EXTENSION pg_stat_statements";
    client
        .batch_execute(extension)
        .await
        .expect("comes with Postgres");
    recycled::remember_shape(&client).await;
    drop(client);
    // What is copied must have no other connection.
    let others = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{TEMPLATE}'");
    while one::<i64>(&admin, &others).await > 0 {
        pause().await;
    }
    cluster
}
