//! The exchange of a token for its successor: the heart of the service.
//!
//! A genuine token rotates its session in one statement. Where that meets no row, the
//! row is read and judged.

use super::{Error, Granted, Identity, caller::live_roles, incident::Bound};
use crate::{
    metrics::RefreshVerdict,
    model::{
        audit::Act,
        ids::{SessionId, UserId},
        session::{Origin, Superseded},
        verdict::{Presented, Verdict, judge},
    },
    store::sessions::{self, Entitled, Rotation, Standing},
};

/// How often a row that moves between two statements is looked at again.
const ATTEMPTS: usize = 5;

/// What a genuine token asks for.
pub(super) struct Exchange {
    pub(super) user_id: UserId,
    pub(super) session_id: SessionId,
    pub(super) presented: Presented,
    pub(super) origin: Origin,
}

impl Identity {
    /// Succeeds the generation of a session by the next, or answers again with what the
    /// same request got before; `None` when there is no such session. One statement for
    /// a rotation, two for a repetition.
    ///
    /// # Errors
    ///
    /// When the token is reused, its session has ended, was refreshed too short a time
    /// ago or is bound to elsewhere, the database lost a generation or cannot be asked.
    pub(super) async fn exchange(
        &self,
        act: &Act,
        exchange: Exchange,
    ) -> Result<Option<Granted>, Error> {
        let next = exchange.presented.next;
        let presented = exchange.presented;
        let mut rotation = self.rotation(exchange);
        for _ in 0..ATTEMPTS {
            if let Some(rotated) = self.rotate(act, &rotation).await? {
                self.count(RefreshVerdict::Rotated);
                return self.grant(rotated.session, rotated.roles, next).map(Some);
            }
            let Some(standing) = self
                .find_standing(rotation.user_id, rotation.session_id)
                .await?
            else {
                return Ok(None);
            };
            let roles = live_roles(&standing)?;
            match judge(&standing.lineage, &presented, standing.now) {
                Verdict::Ahead => {
                    report_ahead(&rotation, &standing);
                    return Err(Error::GenerationAhead);
                }
                Verdict::Reused(reuse) => {
                    if self.end_reused(act, reuse, &rotation, &standing).await? {
                        return Err(Error::RefreshTokenReused);
                    }
                }
                Verdict::Repeated => match self.check_binding(act, &rotation, &standing).await? {
                    Bound::Kept => {
                        self.count(RefreshVerdict::Repeated);
                        return self.grant(standing.session, roles, next).map(Some);
                    }
                    Bound::Noted(incident) => {
                        self.record(*incident).await?;
                        self.count(RefreshVerdict::Repeated);
                        return self.grant(standing.session, roles, next).map(Some);
                    }
                    Bound::MovedOn => {}
                },
                // The row came to match between the two statements, or the session's
                // binding or its age were in the way.
                Verdict::Current => {
                    if let Bound::Noted(incident) =
                        self.check_binding(act, &rotation, &standing).await?
                    {
                        rotation.noted = Some(incident.detail);
                    }
                    let wait = standing.lineage.wait(rotation.min_interval, standing.now);
                    if let Some(retry_after) = wait {
                        return Err(Error::RefreshedTooOften { retry_after });
                    }
                }
            }
        }
        Err(Error::Conflict)
    }

    fn count(&self, verdict: RefreshVerdict) {
        self.0.metrics.sessions().refreshed(verdict);
    }

    fn rotation(&self, exchange: Exchange) -> Rotation {
        let settings = &self.0.settings;
        Rotation {
            user_id: exchange.user_id,
            session_id: exchange.session_id,
            generation: exchange.presented.generation,
            commitment: exchange.presented.commitment,
            next: exchange.presented.next,
            idle: settings.session_idle_lifetime,
            origin: exchange.origin,
            min_interval: settings.refresh_min_interval,
            supersedes: matches!(settings.superseded, Superseded::Deny { .. }),
            noted: None,
        }
    }

    async fn rotate(&self, act: &Act, rotation: &Rotation) -> Result<Option<Entitled>, Error> {
        let rotate = async |conn: &mut _| sessions::rotate(conn, act, rotation).await;
        Ok(self.0.pool.run(rotate).await?)
    }

    pub(super) async fn find_standing(
        &self,
        user_id: UserId,
        id: SessionId,
    ) -> Result<Option<Standing>, Error> {
        let find = async |conn: &mut _| sessions::find_standing(conn, user_id, id).await;
        Ok(self.0.pool.run(find).await?)
    }
}

/// A lost commit is the database's failure and nobody's theft: operators must know.
fn report_ahead(rotation: &Rotation, standing: &Standing) {
    tracing::error!(
        user_id = %rotation.user_id,
        session_id = %rotation.session_id,
        presented = rotation.generation,
        stored = standing.session.generation,
        "a refresh token is newer than its session: the database lost a commit"
    );
}
