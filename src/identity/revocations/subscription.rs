//! One watcher of the feed.

use std::{collections::VecDeque, sync::Arc};

use time::OffsetDateTime;
use tokio::sync::{
    OwnedSemaphorePermit,
    broadcast::{self, error::RecvError},
};

use super::{
    News,
    past::{Part, Snapshot},
};
use crate::{
    identity::{Caller, Error},
    model::revocation::{Revocation, Revoked},
};

/// What a watcher is told.
#[derive(Clone, Debug)]
pub enum Message {
    /// Revocations. With the time up to which the watcher then knows everything,
    /// except within the snapshot and where more of the same look follows.
    Revocations(Arc<[Revocation]>, Option<OffsetDateTime>),
    /// The snapshot is complete up to this time.
    SnapshotComplete {
        /// Up to when.
        time: OffsetDateTime,
        /// Whether it had everything that is kept.
        whole: bool,
    },
    /// Nothing happened up to this time.
    Heartbeat(OffsetDateTime),
}

/// A place among the watchers, until it is dropped.
pub struct Subscription {
    /// Parts to be given before anything else, and the message that goes with the end of
    /// them.
    parts: VecDeque<Part>,
    last: Option<Message>,
    caller: Caller,
    news: broadcast::Receiver<News>,
    _place: OwnedSemaphorePermit,
}

impl Subscription {
    pub(super) fn new(
        caller: Caller,
        snapshot: Snapshot,
        news: broadcast::Receiver<News>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            caller,
            parts: snapshot.parts.into(),
            last: Some(Message::SnapshotComplete {
                time: snapshot.now,
                whole: snapshot.whole,
            }),
            news,
            _place: place,
        }
    }

    /// The next message, which may be long in coming.
    ///
    /// # Errors
    ///
    /// [`Error::WatchLagged`] when the watcher took too long over the earlier ones,
    /// [`Error::NotReady`] when this replica shuts down, and [`Error::AccessTokenInvalid`] or
    /// [`Error::ServiceRequired`] when the watcher may not watch any more. There is
    /// nothing after an error.
    pub async fn next(&mut self) -> Result<Message, Error> {
        loop {
            if let Some(part) = self.parts.pop_front() {
                return Ok(Message::Revocations(part, None));
            }
            if let Some(message) = self.last.take() {
                return Ok(message);
            }
            match self.news.recv().await {
                Ok(News::Revocations(parts, time)) => {
                    for revocation in parts.iter().flat_map(|part| part.iter()) {
                        may_go_on(&self.caller, &revocation.revoked)?;
                    }
                    self.queue(&parts, time);
                }
                Ok(News::Heartbeat(time)) => return Ok(Message::Heartbeat(time)),
                Ok(News::Stopped) | Err(RecvError::Closed) => return Err(Error::NotReady),
                Err(RecvError::Lagged(_)) => return Err(Error::WatchLagged),
            }
        }
    }

    /// The time goes with the last part: only then is everything up to it known.
    fn queue(&mut self, parts: &[Part], time: OffsetDateTime) {
        if let Some((last, parts)) = parts.split_last() {
            self.parts.extend(parts.iter().cloned());
            self.last = Some(Message::Revocations(Arc::clone(last), Some(time)));
        }
    }
}

/// Whether a watcher may watch after what happened: it may have happened to it.
fn may_go_on(caller: &Caller, revoked: &Revoked) -> Result<(), Error> {
    match revoked {
        Revoked::Session { session_id, .. } if *session_id == caller.session_id => {
            Err(Error::AccessTokenInvalid)
        }
        Revoked::Roles { user_id, roles }
            if *user_id == caller.user_id && !roles.include_service() =>
        {
            Err(Error::ServiceRequired)
        }
        // Its token may have been forged with that key.
        Revoked::Key { .. } => Err(Error::AccessTokenInvalid),
        _ => Ok(()),
    }
}

impl Snapshot {
    /// Whether a watcher may be told: what happened after it was looked at may have
    /// happened to it.
    pub(super) fn may_be_told(&self, caller: &Caller) -> Result<(), Error> {
        let all = self.parts.iter().flat_map(|part| part.iter());
        for revocation in all.filter(|revocation| revocation.at >= caller.now()) {
            may_go_on(caller, &revocation.revoked)?;
        }
        Ok(())
    }
}
