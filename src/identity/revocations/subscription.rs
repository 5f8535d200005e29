//! One subscriber of the feed.

use std::{sync::Arc, vec};

use time::OffsetDateTime;
use tokio::sync::{
    OwnedSemaphorePermit,
    broadcast::{self, error::RecvError},
};

use super::{News, past::Snapshot};
use crate::{identity::Error, model::revocation::Revocation};

/// What a subscriber is told.
#[derive(Clone, Debug)]
pub enum Message {
    /// Revocations. With the time up to which the subscriber then knows everything,
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

/// A place among the subscribers, until it is dropped.
pub struct Subscription {
    snapshot: vec::IntoIter<Arc<[Revocation]>>,
    /// The message after the snapshot, until it was given.
    complete: Option<Message>,
    news: broadcast::Receiver<News>,
    _place: OwnedSemaphorePermit,
}

impl Subscription {
    pub(super) fn new(
        snapshot: Snapshot,
        news: broadcast::Receiver<News>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            snapshot: snapshot.parts.into_iter(),
            complete: Some(Message::SnapshotComplete {
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
    /// [`Error::WatchLagged`] when the subscriber took too long over the earlier ones, and
    /// [`Error::NotReady`] when this replica shuts down. There is nothing after an error.
    pub async fn next(&mut self) -> Result<Message, Error> {
        if let Some(part) = self.snapshot.next() {
            return Ok(Message::Revocations(part, None));
        }
        if let Some(message) = self.complete.take() {
            return Ok(message);
        }
        match self.news.recv().await {
            Ok(News::Revocations(part, time)) => Ok(Message::Revocations(part, time)),
            Ok(News::Heartbeat(time)) => Ok(Message::Heartbeat(time)),
            Ok(News::Stopped) | Err(RecvError::Closed) => Err(Error::NotReady),
            Err(RecvError::Lagged(_)) => Err(Error::WatchLagged),
        }
    }
}
