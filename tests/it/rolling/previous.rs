//! What the previous release asks the database, word for word but for aliases in place of
//! quoted names: prepared once on a connection and then run for as long as that lives, as its
//! pool does, whatever happens to the schema meanwhile.

use tokio_postgres::{Client, SimpleQueryMessage};
use uuid::Uuid;

use crate::harness::Database;

/// The columns of a session that it knows.
const COLUMNS: &str = "s.user_id, s.id, s.client_id, s.device_id, s.display_name, \
     s.user_agent, s.ip_address, s.created_at, s.absolute_expires_at, s.generation, \
     s.h_current, s.h_previous, s.rotated_at, s.last_seen_at, s.last_user_agent, \
     s.last_ip_address, s.idle_expires_at, s.revoked_at, s.end_reason, s.token_mode, \
     s.bound_user_agent, s.bound_ip_prefix_length, s.binding_reaction";

/// The name of each statement, the types of its parameters, and its text, in which
/// `{COLUMNS}` stands for [`COLUMNS`].
const STATEMENTS: [(&str, &str, &str); 11] = [
    (
        "create_user",
        "text, uuid, text, text, text[], text",
        "WITH claimed AS (INSERT INTO user_logins (login, user_id) VALUES ($1, $2) ON CONFLICT DO \
         NOTHING RETURNING user_id) INSERT INTO users (id, login, display_name, roles, \
         password_hash, created_at, updated_at, sessions_valid_after) SELECT user_id, $3, $4, $5, \
         $6, now(), now(), now() FROM claimed RETURNING id, login, display_name, roles, \
         disabled_at, created_at, updated_at",
    ),
    (
        "credentials",
        "text, bigint",
        "SELECT users.id, users.password_hash, users.disabled_at IS NOT NULL FROM user_logins \
         INNER JOIN users ON users.id = user_logins.user_id WHERE user_logins.login = $1 LIMIT $2",
    ),
    (
        "open",
        "uuid, text, text, text, uuid, text, text, text, text, inet, interval, bytea, text, \
         inet, interval, interval, text, boolean, smallint, text",
        "WITH account AS (SELECT id, roles, greatest(now(), sessions_valid_after) AS opened_at \
         FROM users WHERE id = $1 AND disabled_at IS NULL AND password_hash = $2 FOR SHARE), \
         replaced AS (UPDATE sessions AS s SET revoked_at = now(), end_reason = 'REPLACED' FROM \
         account WHERE s.user_id = account.id AND s.client_id = $3 AND s.device_id = $4 AND \
         s.revoked_at IS NULL RETURNING s.id), earlier AS (SELECT count(*) FROM replaced), opened \
         AS (INSERT INTO sessions AS s (user_id, id, client_id, device_id, display_name, \
         user_agent, ip_address, created_at, absolute_expires_at, generation, h_current, \
         rotated_at, last_seen_at, last_user_agent, last_ip_address, idle_expires_at, token_mode, \
         bound_user_agent, bound_ip_prefix_length, binding_reaction) SELECT account.id, $5, $6, \
         $7, $8, $9, $10, opened_at, opened_at + $11::interval, 0, $12, opened_at, opened_at, \
         $13, $14, opened_at + least($15::interval, $16::interval), $17, $18, $19, $20 FROM \
         account, earlier RETURNING {COLUMNS}) SELECT {COLUMNS}, account.roles FROM opened AS s, \
         account",
    ),
    (
        "rotate",
        "bytea, text, inet, interval, uuid, uuid, bigint, bytea, interval, interval, text, \
         inet",
        "UPDATE sessions AS s SET generation = s.generation + 1, h_previous = s.h_current, \
         h_current = $1, rotated_at = now(), last_seen_at = now(), last_user_agent = \
         coalesce(nullif($2, ''), s.last_user_agent), last_ip_address = $3, idle_expires_at = \
         least(now() + $4::interval, s.absolute_expires_at) FROM users AS u WHERE s.user_id = $5 \
         AND s.id = $6 AND s.generation = $7 AND s.h_current = $8 AND s.revoked_at IS NULL AND \
         now() < s.idle_expires_at AND now() < s.absolute_expires_at AND u.id = s.user_id AND \
         u.disabled_at IS NULL AND s.created_at >= u.sessions_valid_after AND ($9::interval IS \
         NULL OR s.rotated_at <= now() - $10::interval) AND (s.binding_reaction IS NULL OR (NOT \
         s.bound_user_agent OR s.user_agent = $11) AND (s.bound_ip_prefix_length IS NULL OR $12 \
         <<= set_masklen(s.ip_address, s.bound_ip_prefix_length))) RETURNING {COLUMNS}, u.roles",
    ),
    (
        "rotate_and_tell",
        "bytea, text, inet, interval, uuid, uuid, bigint, bytea, interval, interval, boolean, \
         text, inet, boolean, uuid, text, jsonb, boolean",
        "WITH rotated AS (UPDATE sessions AS s SET generation = s.generation + 1, h_previous = \
         s.h_current, h_current = $1, rotated_at = now(), last_seen_at = now(), last_user_agent = \
         coalesce(nullif($2, ''), s.last_user_agent), last_ip_address = $3, idle_expires_at = \
         least(now() + $4::interval, s.absolute_expires_at) FROM users AS u WHERE s.user_id = $5 \
         AND s.id = $6 AND s.generation = $7 AND s.h_current = $8 AND s.revoked_at IS NULL AND \
         now() < s.idle_expires_at AND now() < s.absolute_expires_at AND u.id = s.user_id AND \
         u.disabled_at IS NULL AND s.created_at >= u.sessions_valid_after AND ($9::interval IS \
         NULL OR s.rotated_at <= now() - $10::interval) AND (s.binding_reaction IS NULL OR $11 OR \
         (NOT s.bound_user_agent OR s.user_agent = $12) AND (s.bound_ip_prefix_length IS NULL OR \
         $13 <<= set_masklen(s.ip_address, s.bound_ip_prefix_length))) RETURNING {COLUMNS}, \
         u.roles), superseded AS (INSERT INTO superseded_tokens (user_id, session_id, generation, \
         superseded_at) SELECT user_id, id, generation, rotated_at FROM rotated WHERE $14 ON \
         CONFLICT (user_id, session_id) DO UPDATE SET generation = excluded.generation, \
         superseded_at = excluded.superseded_at), told AS (INSERT INTO audit_events (user_id, id, \
         session_id, created_at, kind, detail) SELECT user_id, $15, id, rotated_at, $16, $17 FROM \
         rotated WHERE $18) SELECT {COLUMNS}, s.roles FROM rotated AS s",
    ),
    (
        "standing",
        "uuid, uuid, bigint",
        "SELECT {COLUMNS}, u.login, u.roles, u.disabled_at, u.sessions_valid_after, \
         CURRENT_TIMESTAMP FROM sessions AS s LEFT OUTER JOIN users AS u ON u.id = s.user_id \
         WHERE s.user_id = $1 AND s.id = $2 LIMIT $3",
    ),
    (
        "list",
        "uuid, bigint",
        "SELECT {COLUMNS}, CURRENT_TIMESTAMP FROM sessions AS s WHERE s.user_id = $1 AND \
         s.revoked_at IS NULL AND s.idle_expires_at > CURRENT_TIMESTAMP AND s.absolute_expires_at \
         > CURRENT_TIMESTAMP ORDER BY s.id DESC LIMIT $2",
    ),
    (
        "revoke",
        "text, uuid",
        "UPDATE sessions AS s SET revoked_at = CURRENT_TIMESTAMP, end_reason = $1 WHERE s.id = $2 \
         AND s.revoked_at IS NULL RETURNING {COLUMNS}, CURRENT_TIMESTAMP",
    ),
    (
        "revoke_judged",
        "text, uuid, uuid, bigint, bytea, uuid, text, jsonb",
        "WITH ended AS (UPDATE sessions SET revoked_at = now(), end_reason = $1 WHERE user_id = \
         $2 AND id = $3 AND generation = $4 AND h_current = $5 AND revoked_at IS NULL RETURNING \
         user_id, id), told AS (INSERT INTO audit_events (user_id, id, session_id, created_at, \
         kind, detail) SELECT user_id, $6, id, now(), $7, $8 FROM ended RETURNING 1) SELECT \
         count(*) FROM told",
    ),
    (
        "record",
        "uuid, uuid, uuid, text, jsonb, uuid, uuid, uuid, text",
        "INSERT INTO audit_events (user_id, id, session_id, created_at, kind, detail) SELECT $1, \
         $2, $3, now(), $4, $5 WHERE NOT EXISTS (SELECT FROM audit_events AS earlier WHERE \
         earlier.user_id = $6 AND earlier.id > $7 AND earlier.session_id = $8 AND earlier.kind = \
         $9 AND earlier.created_at > now() - '1 minute'::interval)",
    ),
    (
        "delete_user",
        "uuid, uuid",
        "WITH freed AS (DELETE FROM user_logins WHERE user_id = $1) DELETE FROM users WHERE id = \
         $2 RETURNING id",
    ),
];

/// A connection of the previous release.
pub struct PreviousRelease(Client);

impl PreviousRelease {
    pub async fn connect(database: &Database) -> Self {
        let client = database.connect().await;
        for (name, types, text) in STATEMENTS {
            let text = text.replace("{COLUMNS}", COLUMNS);
            let prepare = format!("PREPARE {name} ({types}) AS {text}");
            client
                .batch_execute(&prepare)
                .await
                .unwrap_or_else(|error| panic!("{prepare}: {error:?}"));
        }
        Self(client)
    }

    /// Runs a statement, and answers how many rows it returned or changed.
    async fn run(&self, name: &str, values: &str) -> u64 {
        let execute = format!("EXECUTE {name} ({values})");
        let messages = self.0.simple_query(&execute).await;
        let messages = messages.unwrap_or_else(|error| panic!("{execute}: {error:?}"));
        let rows = messages.iter().map(|message| match message {
            SimpleQueryMessage::CommandComplete(count) => *count,
            _ => 0,
        });
        rows.sum()
    }
}

/// A user of the previous release, and everything that it does with one.
pub struct User<'a> {
    release: &'a PreviousRelease,
    pub id: Uuid,
}

const GENERATIONS: [&str; 3] = [
    "'\\x00000000000000000000000000000000'",
    "'\\x11111111111111111111111111111111'",
    "'\\x22222222222222222222222222222222'",
];

impl<'a> User<'a> {
    pub async fn create(release: &'a PreviousRelease) -> Self {
        let id = Uuid::now_v7();
        let values = format!("'{id}', '{id}', '{id}', '', '{{}}', 'hash'");
        assert_eq!(release.run("create_user", &values).await, 1);
        assert_eq!(release.run("credentials", &format!("'{id}', 1")).await, 1);
        Self { release, id }
    }

    /// Opens a session, which replaces that of the same device.
    pub async fn open(&self, device_id: &str) -> Uuid {
        let (user, id) = (self.id, Uuid::now_v7());
        let device = format!("'previous', '{device_id}'");
        let values = format!(
            "'{user}', 'hash', {device}, '{id}', {device}, '', 'ua', '::1', '180 days', {}, \
             'ua', '::1', '30 days', '180 days', 'PAIR', false, NULL, NULL",
            GENERATIONS[0]
        );
        assert_eq!(self.release.run("open", &values).await, 1);
        id
    }

    /// Refreshes a session twice: plainly, and where only the newest access token counts and
    /// a broken binding is noted.
    pub async fn refresh(&self, session: Uuid) {
        let user = self.id;
        let rotation = |generation: usize| {
            format!(
                "{}, 'ua', '::1', '30 days', '{user}', '{session}', {generation}, {}, '0 s', '0 s'",
                GENERATIONS[generation + 1],
                GENERATIONS[generation]
            )
        };
        let plain = format!("{}, 'ua', '::1'", rotation(0));
        assert_eq!(self.release.run("rotate", &plain).await, 1);
        let event = Uuid::now_v7();
        let telling = format!(
            "{}, true, 'ua', '::1', true, '{event}', 'SESSION_BINDING_BROKEN', '{{}}', true",
            rotation(1)
        );
        assert_eq!(self.release.run("rotate_and_tell", &telling).await, 1);
        let standing = format!("'{user}', '{session}', 1");
        assert_eq!(self.release.run("standing", &standing).await, 1);
    }

    /// How many live sessions the list has.
    pub async fn listed(&self) -> u64 {
        self.release
            .run("list", &format!("'{}', 50", self.id))
            .await
    }

    pub async fn revoke(&self, session: Uuid) {
        let values = format!("'REVOKED_BY_ADMIN', '{session}'");
        assert_eq!(self.release.run("revoke", &values).await, 1);
    }

    /// Ends a session of generation 0 for theft, and notes something that ends nothing.
    pub async fn incidents(&self, session: Uuid) {
        let user = self.id;
        let values = format!(
            "'TOKEN_REUSED', '{user}', '{session}', 0, {}, '{}', 'REFRESH_TOKEN_REUSED', '{{}}'",
            GENERATIONS[0],
            Uuid::now_v7()
        );
        assert_eq!(self.release.run("revoke_judged", &values).await, 1);
        let values = format!(
            "'{user}', '{}', '{session}', 'SESSION_BINDING_BROKEN', '{{}}', '{user}', '{user}', \
             '{session}', 'SESSION_BINDING_BROKEN'",
            Uuid::now_v7()
        );
        assert_eq!(self.release.run("record", &values).await, 1);
    }

    pub async fn delete(self) {
        let values = format!("'{0}', '{0}'", self.id);
        assert_eq!(self.release.run("delete_user", &values).await, 1);
    }
}
