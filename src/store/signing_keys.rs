//! The keys that sign access tokens, sealed.

use diesel::{
    ExpressionMethods, IntoSql, OptionalExtension, QueryDsl, dsl::now, prelude::Queryable,
    sql_types::Timestamptz,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{
    Error,
    schema::signing_keys::{self, dsl},
};

/// The state of the one key that signs.
const ACTIVE: &str = "active";

/// A key pair whose private half is sealed.
#[derive(Clone, Debug, Queryable)]
pub struct SealedKey {
    /// The `kid` of the tokens that it signs.
    pub kid: String,
    /// The `alg` of the tokens that it signs.
    pub algorithm: String,
    /// The public half.
    pub public_key: Vec<u8>,
    /// The private half, sealed.
    pub sealed_private: Vec<u8>,
}

/// The key that signs.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn find_active(conn: &mut AsyncPgConnection) -> Result<Option<SealedKey>, Error> {
    Ok(dsl::signing_keys
        .filter(dsl::state.eq(ACTIVE))
        .select((
            dsl::kid,
            dsl::algorithm,
            dsl::public_key,
            dsl::sealed_private,
        ))
        .first(conn)
        .await
        .optional()?)
}

/// Makes `key` the one that signs, unless there is one; `false` then. However many
/// replicas call it at once, one is told `true`.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn insert_active_if_none(
    conn: &mut AsyncPgConnection,
    key: &SealedKey,
) -> Result<bool, Error> {
    let inserted = diesel::insert_into(signing_keys::table)
        .values((
            dsl::kid.eq(&key.kid),
            dsl::algorithm.eq(&key.algorithm),
            dsl::public_key.eq(&key.public_key),
            dsl::sealed_private.eq(&key.sealed_private),
            dsl::state.eq(ACTIVE),
            dsl::created_at.eq(now.into_sql::<Timestamptz>()),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(inserted == 1)
}
