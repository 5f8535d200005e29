//! What the tests see and arrange in a database by SQL, and refreshes by the dozen.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use rollcall::proto::v1;
use tokio_postgres::Client;
use tonic::Status;

use super::{Database, Replica, SignedIn, database, patiently, pause};

/// How the statements begin that rotate, and that end sessions.
pub const ROTATE: &str = "UPDATE sessions AS s SET generation";
pub const REVOKE: &str = "WITH ended AS (UPDATE sessions";

/// The options of a server whose windows, in which an earlier token is answered, are longer
/// than any test takes.
pub const LONG_WINDOWS: [&str; 3] = [
    "--access-token-lifetime=3h",
    "--replay-window=120m",
    "--replay-leeway=60m",
];

impl Database {
    /// The row of a session as one text: two are equal where nothing was changed.
    pub async fn session(&self, session_id: &str) -> String {
        self.text(&format!(
            "SELECT s::text FROM sessions s WHERE id = '{session_id}'"
        ))
        .await
    }

    /// The generation of a session, and why it was ended.
    pub async fn standing(&self, session_id: &str) -> (i64, Option<String>) {
        let query =
            format!("SELECT generation, end_reason FROM sessions WHERE id = '{session_id}'");
        let rows = self.sql(&query).await;
        assert_eq!(rows.len(), 1, "{query}");
        (rows[0].get(0), rows[0].get(1))
    }

    /// Makes the last refresh of a session `by` older, as `"100 s"`.
    pub async fn age(&self, session_id: &str, by: &str) {
        self.sql(&format!(
            "UPDATE sessions SET rotated_at = rotated_at - interval '{by}' \
             WHERE id = '{session_id}'"
        ))
        .await;
    }

    /// Takes back the last refresh of a session, as a failover to a standby that lags
    /// does. `parent` is the commitment before the one that comes back, where there is
    /// one.
    pub async fn lose_commit(&self, session_id: &str, parent: Option<[u8; 16]>) {
        let client = self.connect().await;
        let update = format!(
            "UPDATE sessions SET generation = generation - 1, h_current = h_previous, \
             h_previous = $1 WHERE id = '{session_id}' AND generation > 0"
        );
        let parent = parent.as_ref().map(<[u8; 16]>::as_slice);
        let updated = client.execute(&update, &[&parent]).await;
        assert_eq!(updated.expect("updates"), 1);
    }

    /// Makes the signing keys in a state `by` older.
    pub async fn age_keys(&self, state: &str, by: &str) {
        self.sql(&format!(
            "UPDATE signing_keys SET created_at = created_at - interval '{by}', \
             activated_at = activated_at - interval '{by}', \
             retired_at = retired_at - interval '{by}', \
             expires_at = expires_at - interval '{by}' WHERE state = '{state}'"
        ))
        .await;
    }

    /// Everything that the service keeps, as one text.
    pub async fn contents(&self) -> String {
        self.rows(&[
            "users",
            "user_logins",
            "user_sign_ins",
            "sessions",
            "audit_events",
            "signing_keys",
            "superseded_tokens",
            "password_reset_tokens",
        ])
        .await
    }

    /// The same without what is told of a sign-in that is refused.
    pub async fn sessions_and_users(&self) -> String {
        self.rows(&["users", "user_logins", "sessions"]).await
    }

    async fn rows(&self, tables: &[&str]) -> String {
        let rows = |table: &&str| format!("SELECT '{table}' || t::text AS r FROM {table} t");
        let rows = tables
            .iter()
            .map(rows)
            .collect::<Vec<_>>()
            .join(" UNION ALL ");
        self.text(&format!(
            "SELECT coalesce(string_agg(r, E'\\n' ORDER BY r), '') FROM ({rows}) AS all_rows"
        ))
        .await
    }

    /// How many statements calls have sent to this database: not the server's pings,
    /// purges and looks at its keys and at revocations, and not what sets up a connection.
    pub async fn statements(&self) -> i64 {
        let rows = self
            .sql(
                "SELECT coalesce(sum(s.calls), 0)::bigint FROM pg_stat_statements AS s \
                 JOIN pg_database AS d ON d.oid = s.dbid WHERE d.datname = current_database() \
                 AND s.query !~ '^(SET |SELECT current_setting|WITH (since|old|seen) AS|LISTEN|NOTIFY)' \
                 AND s.query !~ 'session_stats AS kept|pg_stat_activity|pg_stat_statements|pg_type|signing_keys AS published'",
            )
            .await;
        rows[0].get(0)
    }

    /// Waits until sessions were counted, as they are when a server starts.
    pub async fn until_counted(&self) {
        let counted = "SELECT count(*) FROM session_stats WHERE computed_at IS NOT NULL";
        self.wait_for(counted, 1).await;
    }

    /// Waits until a condition, an SQL expression, is true.
    pub async fn until(&self, condition: &str) {
        let query = format!("SELECT {condition}");
        let asking = self.ask(async |client| {
            while !database::one::<bool>(client, &query).await {
                pause().await;
            }
        });
        patiently(condition, asking).await;
    }

    /// Waits until every transaction that has written runs for so long.
    pub async fn until_the_writers_are(&self, old: &str) {
        let began = "(SELECT max(xact_start) FROM pg_stat_activity \
             WHERE datname = current_database() AND backend_xid IS NOT NULL)";
        self.until(&format!("now() > {began} + interval '{old}'"))
            .await;
    }

    /// Waits until so many statements of the server, which begin as given, wait for a
    /// lock.
    pub async fn until_blocked(&self, statement: &str, count: u32) {
        let blocked = running(statement, "AND wait_event_type = 'Lock'");
        self.until(&format!("{blocked} >= {count}")).await;
    }

    /// Waits until no statement of the server that begins as given is under way.
    pub async fn until_done(&self, statement: &str) {
        self.until(&format!("{} = 0", running(statement, ""))).await;
    }

    /// A transaction that holds the lock of a session's row until it is committed.
    pub async fn lock_session(&self, session_id: &str) -> Lock {
        let query = format!("SELECT id FROM sessions WHERE id = '{session_id}'");
        Lock(self.lock(&query).await)
    }

    async fn text(&self, query: &str) -> String {
        let one = async |client: &Client| database::one(client, query).await;
        self.ask(one).await
    }
}

/// How often statements like a pattern were sent to this database, as an SQL expression.
pub fn calls(like: &str) -> String {
    format!(
        "(SELECT coalesce(sum(s.calls), 0)::bigint FROM pg_stat_statements AS s \
         JOIN pg_database AS d ON d.oid = s.dbid AND d.datname = current_database() \
         WHERE s.query LIKE '{like}')"
    )
}

fn running(statement: &str, and: &str) -> String {
    format!(
        "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND state = 'active' AND starts_with(query, '{statement}') {and})"
    )
}

/// A lock that is held.
pub struct Lock(Client);

impl Lock {
    pub async fn release(self) {
        self.0.batch_execute("COMMIT").await.expect("commits");
    }
}

/// Refreshes one token once for each `request_id`, all at once, through `replicas` in
/// turn.
pub async fn refresh_at_once(
    replicas: &[&Replica],
    refresh_token: &str,
    request_ids: &[String],
) -> Vec<Result<v1::RefreshResponse, Status>> {
    let replicas = replicas.iter().cycle();
    let calls = request_ids
        .iter()
        .zip(replicas)
        .map(|(id, replica)| replica.refresh(refresh_token, id));
    join_all(calls).await
}

/// [`refresh_at_once`] with several rotations inside of the database before the first
/// is done.
pub async fn refresh_in_a_race(
    database: &Database,
    replicas: &[&Replica],
    session: &SignedIn,
    request_ids: &[String],
) -> Vec<Result<v1::RefreshResponse, Status>> {
    let lock = database.lock_session(&session.session_id).await;
    let start = async {
        database.until_blocked(ROTATE, 6).await;
        lock.release().await;
    };
    let refreshes = refresh_at_once(replicas, &session.refresh_token, request_ids);
    tokio::join!(refreshes, start).0
}

/// The 16 bytes of `h` in the text of a refresh token.
pub fn commitment(refresh_token: &str) -> [u8; 16] {
    let bytes = URL_SAFE_NO_PAD.decode(&refresh_token["rcr_".len()..]);
    let bytes = bytes.expect("base64url");
    bytes[38..54].try_into().expect("16 bytes")
}
