//! Users of another system, by the hundred.

use diesel::sql_types::{Array, Bool, Int8, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    super::{Error, audit, statement::statement},
    NewUser,
};
use crate::model::{
    audit::Act,
    ids::UserId,
    login::{Login, LoginKind},
};

/// A user of another system.
#[derive(Debug)]
pub struct ImportedUser {
    /// The user, with the login to be created with.
    pub user: NewUser,
    /// Whether the user is kept from signing in.
    pub disabled: bool,
    /// Further logins.
    pub further_logins: Vec<(Login, LoginKind)>,
}

impl ImportedUser {
    /// The keys of all of the user's logins.
    pub fn login_keys(&self) -> impl Iterator<Item = &str> {
        let further = self.further_logins.iter().map(|(login, _)| login);
        std::iter::once(&self.user.login)
            .chain(further)
            .map(Login::key)
    }
}

/// A user who was not imported: somebody has this login.
#[derive(Debug)]
pub struct Refusal {
    /// Whom.
    pub user_id: UserId,
    /// The login, in the form that is matched.
    pub login_key: String,
}

/// The columns of the users, and those of their logins, as arrays.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    logins: Vec<&'a str>,
    display_names: Vec<&'a str>,
    /// Joined by commas, which no role has.
    roles: Vec<String>,
    password_hashes: Vec<&'a str>,
    disabled: Vec<bool>,
    owners: Vec<Uuid>,
    keys: Vec<&'a str>,
    kinds: Vec<&'static str>,
    typed: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a [ImportedUser]) -> Self {
        let mut columns = Self::default();
        for ImportedUser {
            user,
            disabled,
            further_logins,
        } in batch
        {
            columns.ids.push(user.id.0);
            columns.logins.push(user.login.typed());
            columns.display_names.push(&user.display_name);
            columns.roles.push(user.roles.names().join(","));
            columns.password_hashes.push(user.password_hash.as_phc());
            columns.disabled.push(*disabled);
            columns.login(user.id, &user.login, LoginKind::Username, None);
            for (login, kind) in further_logins {
                columns.login(user.id, login, *kind, Some(login.typed()));
            }
        }
        columns
    }

    fn login(&mut self, owner: UserId, login: &'a Login, kind: LoginKind, typed: Option<&'a str>) {
        self.owners.push(owner.0);
        self.keys.push(login.key());
        self.kinds.push(kind.as_str());
        self.typed.push(typed);
    }
}

struct Binds<'a> {
    columns: Columns<'a>,
    by: audit::By<'a>,
}

statement! {
    /// The logins go in by their order, so that two imports of the same users wait for each
    /// other instead of locking each other up.
    Import(&Binds<'a>) -> (Int8, Nullable<SqlUuid>, Nullable<Text>) = |it|
        "WITH account AS (SELECT * FROM unnest(", [Array<SqlUuid>: it.columns.ids], "::uuid[], ",
        [Array<Text>: it.columns.logins], "::text[], ", [Array<Text>: it.columns.display_names], "::text[], ",
        [Array<Text>: it.columns.roles], "::text[], ", [Array<Text>: it.columns.password_hashes], "::text[], ",
        [Array<Bool>: it.columns.disabled],
        "::boolean[]) AS a (id, login, display_name, roles, password_hash, disabled)\
         ), name AS (SELECT * FROM unnest(", [Array<SqlUuid>: it.columns.owners], "::uuid[], ",
        [Array<Text>: it.columns.keys], "::text[], ", [Array<Text>: it.columns.kinds], "::text[], ",
        [Array<Nullable<Text>>: it.columns.typed], "::text[]) AS n (user_id, login, kind, typed)\
         ), taken AS (\
           SELECT name.user_id, name.login FROM name \
           JOIN user_logins AS other ON other.login = name.login\
         ), claimed AS (\
           INSERT INTO user_logins (login, user_id, kind, typed) \
           SELECT login, user_id, kind, typed FROM name \
           WHERE user_id NOT IN (SELECT user_id FROM taken) ORDER BY login\
         ), created AS (\
           INSERT INTO users (id, login, display_name, roles, password_hash, created_at, \
             updated_at, disabled_at, sessions_valid_after) \
           SELECT id, login, display_name, string_to_array(roles, ','), password_hash, now(), \
             now(), CASE WHEN disabled THEN now() END, now() FROM account \
           WHERE id NOT IN (SELECT user_id FROM taken) \
           RETURNING id, login, display_name, roles, disabled_at, created_at, updated_at\
         ), told AS (", {audit::INSERT},
        "SELECT id, NULL::uuid, 'USER_CREATED', jsonb_build_object('imported', true, 'user', \
           jsonb_build_object('login', login, 'display_name', display_name, 'roles', roles, \
           'disabled', disabled_at IS NOT NULL, \
           'created_at', (extract(epoch FROM created_at) * 1000000)::bigint, \
           'updated_at', (extract(epoch FROM updated_at) * 1000000)::bigint)), ",
        (it.by), " FROM created\
         ), number AS (SELECT count(*) AS created FROM created) \
         SELECT number.created, taken.user_id, taken.login FROM number LEFT JOIN taken ON true"
}

/// Creates users with their logins, all but those of whose logins somebody has one, and says
/// how many were created, and which logins are taken. No login may be in it twice.
///
/// # Errors
///
/// When the database cannot be asked, or somebody took a login meanwhile
/// ([`Error::unique_violation`] of `user_logins_pkey`): then nothing has changed.
pub async fn import(
    conn: &mut AsyncPgConnection,
    act: &Act,
    batch: &[ImportedUser],
) -> Result<(usize, Vec<Refusal>), Error> {
    let binds = Binds {
        columns: Columns::of(batch),
        by: audit::By::from(act),
    };
    let rows: Vec<(i64, Option<Uuid>, Option<String>)> = Import(&binds).get_results(conn).await?;
    let mut created = 0;
    let mut refused = Vec::new();
    for (count, user_id, login_key) in rows {
        created = usize::try_from(count).unwrap_or(0);
        if let (Some(user_id), Some(login_key)) = (user_id.map(UserId), login_key) {
            refused.push(Refusal { user_id, login_key });
        }
    }
    Ok((created, refused))
}
