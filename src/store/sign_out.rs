//! Changes of a user that end sessions, each in one transaction.
//!
//! The user's row comes first: its lock makes a sign-in that is under way wait, or
//! waits for it, so that the statement that ends sessions sees every session there is.

use diesel_async::{AsyncConnection, AsyncPgConnection};

use super::{
    Error, password_resets, sessions,
    users::{self, Change},
};
use crate::model::{
    audit::{Act, EventKind},
    ids::{SessionId, UserId},
    password::PasswordHash,
    password_reset_token::PasswordResetToken,
    session::EndReason,
    user::User,
};

/// Ends all live sessions of a user but those named, and says how many; `None` when
/// there is no such user.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has changed.
pub async fn sign_out(
    conn: &mut AsyncPgConnection,
    act: &Act,
    id: UserId,
    kept: &[SessionId],
) -> Result<Option<usize>, Error> {
    let reason = EndReason::RevokedByAdmin;
    conn.transaction(async |conn| {
        if kept.is_empty() {
            return end_all(conn, act, id, reason).await;
        }
        if !users::lock(conn, id).await? {
            return Ok(None);
        }
        let ended = sessions::revoke_user_sessions_except(conn, act, id, kept, reason).await?;
        Ok(Some(ended))
    })
    .await
}

/// Sets a user's password, lets it be checked, and ends all sessions; `None` when there is no such user.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has changed.
pub async fn set_password(
    conn: &mut AsyncPgConnection,
    act: &Act,
    id: UserId,
    password_hash: &PasswordHash,
) -> Result<Option<usize>, Error> {
    conn.transaction(async |conn| {
        if !users::set_password(conn, act, id, password_hash, EventKind::PasswordSet).await? {
            return Ok(None);
        }
        users::forget_failures(conn, id).await?;
        password_resets::void(conn, id).await?;
        end_all(conn, act, id, EndReason::PasswordChanged).await
    })
    .await
}

/// Sets a user's password with a token, which is used up by it, lets the user's passwords be
/// checked again, and ends all sessions; `None` where the token cannot be used.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has changed.
pub async fn reset_password(
    conn: &mut AsyncPgConnection,
    act: &Act,
    token: PasswordResetToken,
    password_hash: &PasswordHash,
) -> Result<Option<usize>, Error> {
    let id = token.user_id;
    conn.transaction(async |conn| {
        if !users::lock(conn, id).await? || !password_resets::consume(conn, token).await? {
            return Ok(None);
        }
        users::set_password(conn, act, id, password_hash, EventKind::PasswordReset).await?;
        users::forget_failures(conn, id).await?;
        end_all(conn, act, id, EndReason::PasswordChanged).await
    })
    .await
}

/// Replaces a user's password if it still is `verified`, and ends all sessions but
/// `kept`; `None` when it is not.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has changed.
pub async fn change_password(
    conn: &mut AsyncPgConnection,
    act: &Act,
    id: UserId,
    verified: &PasswordHash,
    password_hash: &PasswordHash,
    kept: SessionId,
) -> Result<Option<usize>, Error> {
    conn.transaction(async |conn| {
        if !users::change_password(conn, act, id, verified, password_hash).await? {
            return Ok(None);
        }
        users::forget_failures(conn, id).await?;
        password_resets::void(conn, id).await?;
        let reason = EndReason::PasswordChanged;
        let ended = sessions::revoke_user_sessions_except(conn, act, id, &[kept], reason).await?;
        Ok(Some(ended))
    })
    .await
}

/// Changes a user, and ends all sessions when that disables the user; `None` when
/// there is no such user.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has changed.
pub async fn update_user(
    conn: &mut AsyncPgConnection,
    act: &Act,
    change: &Change,
) -> Result<Option<(User, usize)>, Error> {
    if change.disabled != Some(true) {
        let user = users::update(conn, act, change).await?;
        return Ok(user.map(|user| (user, 0)));
    }
    conn.transaction(async |conn| {
        let Some(user) = users::update(conn, act, change).await? else {
            return Ok(None);
        };
        password_resets::void(conn, change.id).await?;
        let ended = end_all(conn, act, change.id, EndReason::UserDisabled).await?;
        Ok(Some((user, ended.unwrap_or(0))))
    })
    .await
}

/// Deletes a user and ends all sessions, whose rows stay; `None` when there is no such
/// user.
///
/// # Errors
///
/// When the database cannot be asked; then nothing has changed.
pub async fn delete_user(
    conn: &mut AsyncPgConnection,
    act: &Act,
    id: UserId,
) -> Result<Option<usize>, Error> {
    conn.transaction(async |conn| {
        // Its statement sees the logins that were added before it had the lock.
        if !users::lock(conn, id).await? || !users::delete(conn, act, id).await? {
            return Ok(None);
        }
        let ended = sessions::revoke_user_sessions(conn, act, id, EndReason::UserDeleted).await?;
        Ok(Some(ended))
    })
    .await
}

async fn end_all(
    conn: &mut AsyncPgConnection,
    act: &Act,
    id: UserId,
    reason: EndReason,
) -> Result<Option<usize>, Error> {
    if !users::expire_sessions(conn, id).await? {
        return Ok(None);
    }
    Ok(Some(
        sessions::revoke_user_sessions(conn, act, id, reason).await?,
    ))
}
