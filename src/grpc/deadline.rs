//! The caller's deadline of a call whose reply is a stream: what surrounds the call bounds it
//! only until the reply begins.

use tokio::time::{Instant, timeout_at};
use tonic::{Request, Status};

use super::status;

/// When the caller gives the call up, among the extensions of a request.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

/// The deadline of a call, where its caller has one.
pub(super) fn deadline<T>(request: &Request<T>) -> Option<Deadline> {
    request.extensions().get().copied()
}

/// Work for the stream of a reply, which ends at the deadline.
pub(super) async fn in_time<T>(
    deadline: Option<Deadline>,
    work: impl Future<Output = T>,
) -> Result<T, Status> {
    let Some(Deadline(at)) = deadline else {
        return Ok(work.await);
    };
    let done = timeout_at(at, work).await;
    done.map_err(|_elapsed| status::deadline_exceeded())
}
