//! Refresh: the heart of the service.
//!
//! A genuine token rotates its session in one statement. Where that meets no row, the
//! row is read and judged; a reuse ends the session in a task that a caller who hangs
//! up cannot cancel.

use serde_json::json;
use tracing::Instrument;

use super::{Error, Granted, Identity, caller::live_roles, tell_log};
use crate::{
    model::{
        ids::SessionId,
        refresh_token::{Commitment, RefreshToken},
        session::Origin,
        verdict::{Presented, Reuse, Verdict, judge},
    },
    store::sessions::{self, Reused, Rotation, Standing},
};

/// How often a row that moves between two statements is looked at again.
const ATTEMPTS: usize = 5;

/// A refresh that is asked for.
pub struct Refresh {
    /// The text of the token.
    pub refresh_token: String,
    /// The client's name for this refresh.
    pub request_id: Option<String>,
    /// From where.
    pub origin: Origin,
}

impl std::fmt::Debug for Refresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refresh")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Exchanges a refresh token for its successor. One statement for a rotation, two
    /// for a repetition, none for a token that this deployment did not make.
    ///
    /// # Errors
    ///
    /// When the token is invalid or reused, its session has ended, the database lost a
    /// generation or cannot be asked.
    pub async fn refresh(&self, request: Refresh) -> Result<Granted, Error> {
        // Before anything is used up, so that no rotation is left without its tokens.
        self.0.signing_keys.ring()?;
        let token = RefreshToken::decode(&request.refresh_token, &self.0.mac_keys)
            .ok_or(Error::RefreshTokenInvalid)?;
        tell_log(token.user_id, token.session_id);
        let presented = self.present(&token, &request)?;
        let rotation = Rotation {
            user_id: token.user_id,
            session_id: token.session_id,
            generation: token.generation,
            commitment: token.commitment,
            next: presented.next,
            idle: self.0.settings.session_idle_lifetime,
            origin: request.origin,
        };
        for _ in 0..ATTEMPTS {
            let rotate = async |conn: &mut _| sessions::rotate(conn, &rotation).await;
            if let Some(rotated) = self.0.pool.run(rotate).await? {
                return self.grant(rotated.session, rotated.roles, presented.next);
            }
            let (user_id, id) = (token.user_id, token.session_id);
            let find = async |conn: &mut _| sessions::find_standing(conn, user_id, id).await;
            let standing = self.0.pool.run(find).await?;
            let standing = standing.ok_or(Error::RefreshTokenInvalid)?;
            let roles = live_roles(&standing)?;
            match judge(&standing.lineage, &presented, standing.now) {
                Verdict::Repeated => {
                    return self.grant(standing.session, roles, presented.next);
                }
                Verdict::Ahead => {
                    report_ahead(token.session_id, &standing, token.generation);
                    return Err(Error::GenerationAhead);
                }
                Verdict::Reused(reuse) => {
                    if self.end_reused(reuse, &rotation, &standing).await? {
                        return Err(Error::RefreshTokenReused);
                    }
                }
                // The row came to match between the two statements.
                Verdict::Current => {}
            }
        }
        Err(Error::Conflict)
    }

    fn present(&self, token: &RefreshToken, request: &Refresh) -> Result<Presented, Error> {
        let (next, replay_window) = match &request.request_id {
            Some(id) => (Commitment::of_request(id), self.0.settings.replay_window),
            None => (
                Commitment::of_token(&request.refresh_token),
                self.0.settings.replay_leeway,
            ),
        };
        if next == token.commitment {
            return Err(Error::RequestIdRepeated);
        }
        Ok(Presented {
            generation: token.generation,
            commitment: token.commitment,
            next,
            replay_window,
        })
    }

    /// Ends a session whose token was reused, in a task of its own: a thief who hangs
    /// up does not keep the session. `false` when the row has moved on.
    async fn end_reused(
        &self,
        reuse: Reuse,
        rotation: &Rotation,
        standing: &Standing,
    ) -> Result<bool, Error> {
        let reused = Reused {
            user_id: rotation.user_id,
            session_id: rotation.session_id,
            judged: standing.lineage,
            detail: detail(reuse, rotation, standing),
        };
        let identity = self.clone();
        let revoke = async move {
            let revoke = async |conn: &mut _| sessions::revoke_reused(conn, &reused).await;
            let ended = identity.0.pool.run(revoke).await?;
            if ended {
                identity.0.feed.wake();
                tracing::warn!(
                    user_id = %reused.user_id,
                    session_id = %reused.session_id,
                    detail = %reused.detail,
                    "refresh token reused: session ended"
                );
            }
            Ok(ended)
        };
        let task = tokio::spawn(revoke.in_current_span());
        task.await.map_err(|_| Error::Stopped)?
    }
}

/// What the audit event of a reuse tells: what was replayed, and the last good refresh.
fn detail(reuse: Reuse, rotation: &Rotation, standing: &Standing) -> serde_json::Value {
    let last = &standing.session.last_origin;
    json!({
        "reuse": reuse.as_str(),
        "replayed": {
            "generation": rotation.generation,
            "ip_address": rotation.origin.ip_address,
            "user_agent": rotation.origin.user_agent,
        },
        "last_good": {
            "generation": standing.session.generation,
            "ip_address": last.ip_address,
            "user_agent": last.user_agent,
            "age_seconds": (standing.now - standing.session.rotated_at).whole_seconds(),
        },
    })
}

/// A lost commit is the database's failure and nobody's theft: operators must know.
fn report_ahead(session_id: SessionId, standing: &Standing, presented: u32) {
    tracing::error!(
        user_id = %standing.session.user_id,
        %session_id,
        presented,
        stored = standing.session.generation,
        "a refresh token is newer than its session: the database lost a commit"
    );
}
