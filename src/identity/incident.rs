//! What is done about a token that two parties hold, or that has moved, and what the
//! audit event tells of it.
//!
//! All of it in tasks that a caller who hangs up cannot cancel.

use std::future::Future;

use ipnet::IpNet;
use tracing::Instrument;

use super::{Error, Identity};
use crate::{
    model::{
        audit::{self, Act, BindingBreach, Detail, EventKind, RefreshTokenReuse, TokenUse},
        binding::{Binding, Reaction},
        session::EndReason,
        verdict::Reuse,
    },
    store::sessions::{self, Incident, Judged, Rotation, Standing},
};

/// How a call stands to what its session is bound to.
pub(super) enum Bound {
    /// It keeps the binding.
    Kept,
    /// It breaks the binding, which is to be told and nothing else.
    Noted(Box<Incident>),
    /// It breaks the binding, but the row has moved on since it was judged.
    MovedOn,
}

impl Identity {
    /// Ends a session whose token was reused: a thief who hangs up does not keep it.
    /// `false` when the row has moved on.
    pub(super) async fn end_reused(
        &self,
        act: &Act,
        reuse: Reuse,
        rotation: &Rotation,
        standing: &Standing,
    ) -> Result<bool, Error> {
        let detail = Detail::RefreshTokenReuse(RefreshTokenReuse {
            reuse,
            replayed: presented(rotation),
            last_good: last_good(standing),
        });
        let incident = incident(act, EventKind::RefreshTokenReused, rotation, detail);
        self.end(incident, standing, EndReason::TokenReused, Some(reuse))
            .await
    }

    /// Whether a call may have what its token is good for, from where it came.
    ///
    /// # Errors
    ///
    /// When it may not: after the session has ended, or the event is written.
    pub(super) async fn check_binding(
        &self,
        act: &Act,
        rotation: &Rotation,
        standing: &Standing,
    ) -> Result<Bound, Error> {
        let Some(binding) = standing.session.binding else {
            return Ok(Bound::Kept);
        };
        if standing.session.takes_origin(&rotation.origin) {
            return Ok(Bound::Kept);
        }
        let detail = Detail::BindingBreach(BindingBreach {
            reaction: binding.reaction,
            bound: bound(&binding, standing),
            presented: presented(rotation),
            last_good: last_good(standing),
        });
        let incident = incident(act, EventKind::SessionBindingBroken, rotation, detail);
        match binding.reaction {
            Reaction::Note => Ok(Bound::Noted(Box::new(incident))),
            Reaction::Refuse => {
                self.record(incident).await?;
                Err(Error::SessionBindingBroken)
            }
            Reaction::End => {
                let reason = EndReason::BindingBroken;
                if self.end(incident, standing, reason, None).await? {
                    return Err(Error::SessionEnded(Some(reason)));
                }
                Ok(Bound::MovedOn)
            }
        }
    }

    /// Writes the audit event of an incident that ends nothing.
    pub(super) async fn record(&self, incident: Incident) -> Result<(), Error> {
        let identity = self.clone();
        to_the_end(async move {
            let record = async |conn: &mut _| sessions::record(conn, &incident).await;
            Ok(identity.0.pool.run(record).await?)
        })
        .await
    }

    async fn end(
        &self,
        incident: Incident,
        standing: &Standing,
        reason: EndReason,
        reuse: Option<Reuse>,
    ) -> Result<bool, Error> {
        let judged = Judged {
            incident,
            lineage: standing.lineage,
            reason,
        };
        let identity = self.clone();
        to_the_end(async move {
            let revoke = async |conn: &mut _| sessions::revoke_judged(conn, &judged).await;
            let ended = identity.0.pool.run(revoke).await?;
            if ended {
                identity.ended(judged.reason, 1);
                identity.count_theft(reuse);
                report_ended(&judged);
            }
            Ok(ended)
        })
        .await
    }
}

/// Does work in a task of its own, which a caller who hangs up does not cancel.
pub(super) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let task = tokio::spawn(work.in_current_span());
    task.await.map_err(|_| Error::Stopped)?
}

fn report_ended(judged: &Judged) {
    let what = match judged.reason {
        EndReason::BindingBroken => "session binding broken",
        _ => "refresh token reused",
    };
    tracing::warn!(
        user_id = %judged.incident.user_id,
        session_id = %judged.incident.session_id,
        detail = %judged.incident.detail.to_json(),
        "{what}: session ended"
    );
}

fn incident(act: &Act, kind: EventKind, rotation: &Rotation, detail: Detail) -> Incident {
    Incident {
        act: act.clone(),
        user_id: rotation.user_id,
        session_id: rotation.session_id,
        kind,
        detail,
    }
}

fn presented(rotation: &Rotation) -> TokenUse {
    TokenUse {
        generation: rotation.generation,
        origin: rotation.origin.clone(),
        age_seconds: 0,
    }
}

fn last_good(standing: &Standing) -> TokenUse {
    TokenUse {
        generation: standing.session.generation,
        origin: standing.session.last_origin.clone(),
        age_seconds: (standing.now - standing.session.rotated_at).whole_seconds(),
    }
}

/// What the session is bound to.
fn bound(binding: &Binding, standing: &Standing) -> audit::Bound {
    let origin = &standing.session.device.origin;
    let prefix = origin.ip_address.zip(binding.ip_prefix_length);
    let prefix = prefix.and_then(|(address, length)| IpNet::new(address, length).ok());
    audit::Bound {
        ip_prefix: prefix.map(|prefix| prefix.trunc().to_string()),
        user_agent: binding.user_agent.then(|| origin.user_agent.clone()),
    }
}
