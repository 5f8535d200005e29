//! Checks that failed.

use diesel::sql_types::{Bool, Int4, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::{
    super::{
        Error,
        audit::{By, IN_THE_LAST_MINUTE, INSERT},
        statement::statement,
    },
    Attempt, Found, number,
};
use crate::model::audit::Act;

/// A sign-in that failed, or the check of a current password.
#[derive(Debug)]
pub struct Failure<'a> {
    /// The check: one that was begun has found a wrong password.
    pub attempt: &'a Attempt,
    /// Which application signs in; may be empty.
    pub client_id: &'a str,
    /// How many checks in a row may fail.
    pub max_attempts: u32,
}

struct Binds<'a> {
    row: Uuid,
    user_id: Uuid,
    reason: &'static str,
    wrong: bool,
    client_id: &'a str,
    /// Whether it was the last check that is made.
    last: bool,
    max_attempts: i32,
    by: By<'a>,
}

statement! {
    /// Refusals that need no right to bring about are told once a minute: those of a user are
    /// found by the time in the ids of events, those of nobody by that in the row of the login,
    /// where it says nothing else. Who has as many attempts as a limit that was lowered is
    /// locked here.
    Fail(&Binds<'a>) -> Nullable<Int4> = |it|
        "WITH counted AS (\
           UPDATE user_sign_ins AS t SET failures = t.failures + old.wrong, \
             attempts = CASE WHEN old.lowered THEN 100 \
               ELSE greatest(t.attempts, t.failures + old.wrong) END, \
             failed_at = CASE WHEN old.wrong = 1 OR old.unknown AND NOT old.lately THEN now() \
               ELSE t.failed_at END \
           FROM (\
             SELECT o.user_id, new.wrong, new.reason = 'UNKNOWN_LOGIN' AS unknown, \
               coalesce(o.failed_at > now() - interval '1 min', false) AS lately, \
               new.reason = 'LOCKED' AND o.attempts >= new.max_attempts AND o.attempts < 100 \
                 AS lowered \
             FROM user_sign_ins AS o, (SELECT ", [Bool: it.wrong], "::integer AS wrong, ",
        [Text: it.reason], "::text AS reason, ", [Int4: it.max_attempts],
        "::integer AS max_attempts) AS new WHERE o.user_id = ", [SqlUuid: it.row], " FOR UPDATE OF o\
           ) AS old WHERE t.user_id = old.user_id \
           RETURNING t.attempts, t.failures * old.wrong AS failures, old.lowered, \
             old.unknown AND old.lately AS known\
         ), failure AS (\
           SELECT f.reason, coalesce(counted.attempts, 0) AS attempts, \
             coalesce(counted.lowered, false) AS lowered, coalesce(counted.known, false) AS known, \
             jsonb_build_object('reason', f.reason, 'client_id', ", [Text: it.client_id], "::text, \
               'failed_attempts', coalesce(counted.failures, 0)) AS detail \
           FROM (SELECT ", [Text: it.reason], "::text AS reason) AS f LEFT JOIN counted ON true\
         ), what AS (\
           SELECT 'SIGN_IN_FAILED' AS kind, detail FROM failure \
           WHERE NOT known AND (reason NOT IN ('LOCKED', 'DISABLED') OR NOT EXISTS (\
             SELECT FROM audit_events AS earlier WHERE earlier.user_id = ", [SqlUuid: it.user_id],
        "      AND ", {IN_THE_LAST_MINUTE}, " AND earlier.kind = 'SIGN_IN_FAILED' \
               AND earlier.detail ->> 'reason' = failure.reason)) \
           UNION ALL SELECT 'USER_LOCKED', detail FROM failure WHERE lowered OR ", [Bool: it.last],
        "    AND attempts >= ", [Int4: it.max_attempts],
        "), told AS (", {INSERT}, "SELECT ", [SqlUuid: it.user_id], ", NULL::uuid, kind, detail, ",
        (it.by), " FROM what) SELECT failures FROM counted"
}

/// Tells of a check that failed, and counts it where a wrong password was found.
///
/// # Errors
///
/// When the database cannot be asked.
pub async fn fail(
    conn: &mut AsyncPgConnection,
    act: &Act,
    failure: &Failure<'_>,
) -> Result<(), Error> {
    let attempt = failure.attempt;
    let (user_id, reason) = match &attempt.found {
        Found::Nobody => (Uuid::nil(), "UNKNOWN_LOGIN"),
        Found::Disabled(id) => (id.0, "DISABLED"),
        Found::Locked(id) => (id.0, "LOCKED"),
        Found::Begun(begun) => (begun.credentials.user_id.0, "WRONG_PASSWORD"),
    };
    let max_attempts = number(failure.max_attempts);
    let begun = match &attempt.found {
        Found::Begun(begun) => Some(begun.number),
        _ => None,
    };
    let binds = Binds {
        row: attempt.row,
        user_id,
        reason,
        wrong: begun.is_some(),
        client_id: failure.client_id,
        last: begun.is_some_and(|number| number >= max_attempts),
        max_attempts,
        by: By::from(act),
    };
    Fail(&binds).execute(conn).await?;
    Ok(())
}
