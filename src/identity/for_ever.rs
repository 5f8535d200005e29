//! Work that is done again and again.

use std::{convert::Infallible, time::Duration};

use tokio::time::sleep;

use super::Error;
use crate::error_chain;

/// Does work for ever, with a rest after each time. A failure is logged once, as `failed`, and
/// the work tried again.
pub(super) async fn for_ever<W: Future<Output = Result<(), Error>>>(
    rest: Duration,
    failed: &'static str,
    work: impl Fn() -> W,
) -> Infallible {
    let mut failing = false;
    loop {
        let done = work().await;
        if let (Err(error), false) = (&done, failing) {
            tracing::warn!(error = error_chain(error), "{failed}");
        }
        failing = done.is_err();
        sleep(rest).await;
    }
}
